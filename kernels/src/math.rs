//! Elementary functions for `no_std`, the same bits on every CPU.

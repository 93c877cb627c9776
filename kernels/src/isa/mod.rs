//! Helpers shared by the variants of one instruction set.

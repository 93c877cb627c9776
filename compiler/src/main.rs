//! The `ternc` command.

fn main() {}

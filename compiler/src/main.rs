//! The `ternc` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    ternc::cli::main()
}

//! The command line: one file a subcommand.

mod compile;
mod data;
mod inspect;
mod model_file;
mod npy;
mod picture;
mod progress;
mod quickstart;
mod run;

mod verify;

use clap::{Parser, Subcommand};
use std::io::Write;
use std::process::ExitCode;

/// Compile neural networks with ternary weights to .tern files, and run, look into and check them.
#[derive(Parser)]
#[command(name = "ternc", version, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  ternc quickstart                                   see it work, with a model that is built in
  ternc compile model.onnx -o model.tern             keep what is ternary ternary, the rest f32
  ternc compile model.onnx -o model.tern --activations i8 --calibrate samples.npz
  ternc run model.tern --input x=x.npy --output-dir out
  ternc inspect model.tern --svg arena.svg
  ternc verify model.tern";

#[derive(Subcommand)]
enum Command {
    Compile(compile::Args),
    Run(run::Args),
    Inspect(inspect::Args),
    Verify(verify::Args),
    Data(data::Args),
    Quickstart(quickstart::Args),
}

/// Parses the arguments, runs the command, and prints an error as one line on stderr.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Compile(args) => compile::run(args),
        Command::Run(args) => run::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Data(args) => data::run(args),
        Command::Quickstart(args) => quickstart::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // The chain on one line: context first, cause last.
            let text = format!("{error:#}").replace('\n', "\n  ");
            let _ = writeln!(std::io::stderr(), "error: {text}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the reader of our output went away (`ternc inspect ... | head`).
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|e| {
        e.downcast_ref::<std::io::Error>()
            .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

//! The command line: one file a subcommand.

mod accuracy;
mod compile;
mod data;
mod diff;
mod inspect;
mod memory;
mod model_file;
mod npy;
mod picture;
mod progress;
mod prune;
mod quickstart;
mod run;
mod sensitivity;
mod train;
mod verify;
mod zoo;

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
  ternc memory model.tern --out report               where the bytes go, as a page
  ternc accuracy model.tern --dataset fashion-mnist --baseline f32.onnx --out report
  ternc sensitivity model.onnx --dataset fashion-mnist --out report
  ternc zoo list                                     networks by name
  ternc train --dataset digits                       train a network of the zoo, and compile it
  ternc diff before.tern after.tern                  what changed, by layer
  ternc verify model.tern";

#[derive(Subcommand)]
enum Command {
    Compile(compile::Args),
    Accuracy(accuracy::Args),
    Sensitivity(sensitivity::Args),
    Prune(prune::Args),
    Zoo(zoo::Args),
    Train(train::Args),
    Run(run::Args),
    Inspect(inspect::Args),
    Memory(memory::Args),
    Diff(diff::Args),
    Verify(verify::Args),
    Data(data::Args),
    Quickstart(quickstart::Args),
}

/// Parses the arguments, runs the command, and prints an error as one line on stderr.
pub fn main() -> ExitCode {
    let command = Cli::parse().command;
    let trouble = match command {
        Command::Diff(_) => diff::TROUBLE,
        _ => 1,
    };
    let done = |()| ExitCode::SUCCESS;
    let result = match command {
        Command::Compile(args) => compile::run(args).map(done),
        Command::Accuracy(args) => accuracy::run(args).map(done),
        Command::Sensitivity(args) => sensitivity::run(args).map(done),
        Command::Prune(args) => prune::run(args).map(done),
        Command::Zoo(args) => zoo::run(args).map(done),
        Command::Train(args) => train::run(args).map(done),
        Command::Run(args) => run::run(args).map(done),
        Command::Inspect(args) => inspect::run(args).map(done),
        Command::Memory(args) => memory::run(args).map(done),
        Command::Diff(args) => diff::run(args),
        Command::Verify(args) => verify::run(args).map(done),
        Command::Quickstart(args) => quickstart::run(args).map(done),
        Command::Data(args) => data::run(args).map(done),
    };
    match result {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // The chain on one line: context first, cause last.
            let text = format!("{error:#}").replace('\n', "\n  ");
            let _ = writeln!(std::io::stderr(), "error: {text}");
            ExitCode::from(trouble)
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

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::{Command, CommandFactory};
    use std::collections::HashSet;

    fn check(command: &Command) {
        let mut names = HashSet::new();
        for argument in command.get_arguments() {
            let name = argument.get_id().as_str();
            assert!(names.insert(name), "{}: {name:?} twice", command.get_name());
        }
        command.get_subcommands().for_each(check);
    }

    /// Builds without debug assertions do not look.
    #[test]
    fn no_command_has_two_arguments_of_a_name() {
        check(&Cli::command());
    }
}

//! `ternc zoo`: the networks that are known by name.

mod export;
mod list;
mod show;

use crate::zoo::Config;
use anyhow::Result;
use clap::Subcommand;

/// List, look at and export the networks that are known by name
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  ternc zoo list
  ternc zoo show mobilenetv2 --image-size 32 --classes 10
  ternc zoo export resnet8 --to onnx -o resnet8.onnx --checkpoint run/checkpoint.safetensors";

#[derive(Subcommand)]
enum Command {
    List(list::Args),
    Show(show::Args),
    Export(export::Args),
}

pub(super) fn run(args: Args) -> Result<()> {
    match args.command {
        Command::List(args) => list::run(args),
        Command::Show(args) => show::run(args),
        Command::Export(args) => export::run(args),
    }
}

/// What an architecture leaves open.
#[derive(clap::Args)]
struct Sizes {
    /// Classes
    #[arg(long, value_name = "N")]
    classes: Option<usize>,
    /// What numbers of channels are multiplied by
    #[arg(long, value_name = "W")]
    width: Option<f64>,
    /// Height and width of an image
    #[arg(long, value_name = "S")]
    image_size: Option<usize>,
    /// Channels of an image
    #[arg(long, value_name = "C")]
    channels: Option<usize>,
}

impl Sizes {
    /// What was asked for, and the rest from `base`.
    fn or(&self, base: Config) -> Config {
        Config {
            width: self.width.unwrap_or(base.width),
            channels: self.channels.unwrap_or(base.channels),
            image_size: self.image_size.unwrap_or(base.image_size),
            classes: self.classes.unwrap_or(base.classes),
        }
    }
}

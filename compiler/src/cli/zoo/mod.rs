//! `ternc zoo`: the networks that are known by name.

mod export;
mod list;
mod show;

use crate::nearest::nearest;
use crate::zoo::registry::Entry;
use crate::zoo::{self, Architecture, Config};
use anyhow::{Result, bail};
use clap::Subcommand;
use std::path::PathBuf;

/// List, look at and export the networks that are known by name, trained ones too
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  ternc zoo list
  ternc zoo show resnet20-fashion-mnist-n12
  ternc zoo show mobilenetv2 --image-size 32 --classes 10
  ternc zoo export resnet8 --to onnx -o resnet8.onnx --checkpoint run/checkpoint.safetensors
  ternc zoo export resnet20-fashion-mnist-n12 --to tern -o resnet20.tern
  ternc accuracy resnet20-fashion-mnist-n12 --dataset fashion-mnist

A trained network's name stands wherever a command takes a .tern file. The environment variable
TERNC_REGISTRY names a file with more of them; its form: compiler/src/zoo/registry.toml.";

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

/// The architecture of this name; where there is none, the nearest name is suggested, be it
/// an architecture's or a trained network's.
fn find(name: &str, trained: &[Entry]) -> Result<&'static Architecture> {
    zoo::find(name).or_else(|error| {
        let names = zoo::ARCHITECTURES.iter().map(|a| a.name);
        let names = names.chain(trained.iter().map(|e| e.name.as_str()));
        match nearest(name, names) {
            Some(near) => bail!("there is no network {name:?}; did you mean {near:?}?"),
            None => Err(error),
        }
    })
}

/// More trained networks.
#[derive(clap::Args)]
struct Registry {
    /// A file with more trained networks, in place of the one that TERNC_REGISTRY names
    #[arg(long, value_name = "FILE.toml")]
    registry: Option<PathBuf>,
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
    /// Whether anything was asked for.
    fn any(&self) -> bool {
        self.classes.is_some()
            || self.width.is_some()
            || self.image_size.is_some()
            || self.channels.is_some()
    }

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

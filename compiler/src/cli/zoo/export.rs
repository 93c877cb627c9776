//! `ternc zoo export`.

use super::{Registry, Sizes, find};
use crate::emit::write_atomically;
use crate::text_table as table;
use crate::zoo::parameters::Filled;
use crate::zoo::registry;
use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use std::io::Write;
use std::path::{Path, PathBuf};
use tern_train::{Activations, Weights};

/// Write a network as a file, with the parameters of a checkpoint or with random ones
///
/// Of a checkpoint of `ternc train`, sizes, weights and activations are those of that training.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Its name in `ternc zoo list`
    name: String,
    /// The file's format
    #[arg(long, value_enum)]
    to: Format,
    /// The file to write; it appears only when it is complete
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    sizes: Sizes,
    #[command(flatten)]
    registry: Registry,
    /// A checkpoint of `ternc train`, or a safetensors file of f32 arrays with torchvision's or
    /// timm's names
    #[arg(long, value_name = "FILE.safetensors")]
    checkpoint: Option<PathBuf>,
    /// Of the random parameters, where there is no checkpoint
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        conflicts_with = "checkpoint"
    )]
    seed: u64,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    /// An ONNX model: ternary weights are what they stand for, activations f32
    Onnx,
    /// A compiled model
    Tern,
    /// Parameters alone, as they are trained: floats
    Safetensors,
}

pub(super) fn run(args: Args) -> Result<()> {
    let entries = registry::entries(args.registry.registry.as_deref())?;
    if let Some(entry) = entries.iter().find(|e| e.name == args.name) {
        ensure!(
            args.to == Format::Tern && !args.sizes.any() && args.checkpoint.is_none(),
            "{:?} is trained and compiled, it can be had --to tern alone; for another format export {:?} with {}",
            entry.name,
            entry.architecture,
            match &entry.checkpoint {
                Some(checkpoint) => format!("--checkpoint {checkpoint}"),
                None => "the checkpoint of its training".to_owned(),
            }
        );
        write_atomically(&args.output, &entry.read()?)?;
        return wrote(&args.output);
    }
    let found = find(&args.name, &entries)?;
    let filled = match &args.checkpoint {
        Some(path) => Filled::load(found.name, |base| args.sizes.or(base), path)?,
        None => Filled::random(found.name, args.sizes.or(found.default), args.seed)?,
    };
    match args.to {
        Format::Onnx => write_atomically(&args.output, &filled.onnx()?)?,
        Format::Tern => write_atomically(&args.output, &filled.tern()?)?,
        Format::Safetensors => filled.checkpoint()?.save(&args.output)?,
    }
    let mut notes = std::io::stderr().lock();
    if args.checkpoint.is_none() {
        let seed = args.seed;
        writeln!(
            notes,
            "note: parameters are random (Kaiming, seed {seed}); --checkpoint FILE gives trained ones"
        )?;
    }
    if args.to == Format::Onnx && filled.weights != Weights::F32 {
        let weights = filled.weights.name();
        writeln!(
            notes,
            "note: weights are ternary ({weights}), as in training; ternc compile finds them"
        )?;
    }
    if args.to == Format::Onnx && filled.activations != Activations::F32 {
        let activations = filled.activations.name();
        writeln!(
            notes,
            "note: the ranges of {activations} activations have no place in ONNX; --to tern keeps them"
        )?;
    }
    wrote(&args.output)
}

fn wrote(path: &Path) -> Result<()> {
    let len = std::fs::metadata(path)
        .with_context(|| format!("cannot read {}", path.display()))?
        .len();
    writeln!(
        std::io::stdout(),
        "wrote {} ({} bytes)",
        path.display(),
        table::grouped(len)
    )?;
    Ok(())
}

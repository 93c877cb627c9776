//! `ternc diff`: what changed from one model to another.

use super::model_file;
use crate::report::diff;
use anyhow::{Context, Result};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Show what changed between two models, layer by layer: ops, shapes, codecs,
/// sizes, how many trits flipped, how scales moved
///
/// The exit code is 0 where nothing differs, 1 where something does, and 2 where
/// the models cannot be compared.
#[derive(clap::Args)]
pub struct Args {
    /// The first model
    a: PathBuf,
    /// The second model
    b: PathBuf,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

/// The exit code of an error, as diff(1) has it.
pub(super) const TROUBLE: u8 = 2;

pub(super) fn run(args: Args) -> Result<ExitCode> {
    let (a, b) = (model_file::open(&args.a)?, model_file::open(&args.b)?);
    let names = [&args.a, &args.b].map(|p| p.display().to_string());
    let diff = diff::diff(&a.model()?, &b.model()?, [&names[0], &names[1]])?;
    let text = if args.json {
        serde_json::to_string_pretty(&diff).context("writing JSON")? + "\n"
    } else {
        diff.to_text()
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::from(!diff.is_empty() as u8))
}

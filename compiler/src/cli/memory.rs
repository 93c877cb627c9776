//! `ternc memory`: what a model needs of flash and memory, and why.

use super::model_file;
use crate::emit::write_atomically;
use crate::report::memory;
use crate::report::page::file_name;
use anyhow::{Context, Result};
use std::io::Write;
use std::path::PathBuf;
use ternrt::caps_from_env;

/// Show what a model needs of flash and of memory: weights, scales, the arena
/// over time and its peak, layer by layer, beside f32, f16 and int8
#[derive(clap::Args)]
pub struct Args {
    /// The compiled model, an ONNX model (compiled as f32), or the name of a trained one (ternc zoo
    /// list)
    model: PathBuf,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
    /// Write memory.json and memory.html into this directory (made if missing)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Threads that the working memory is for
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,
}

pub(super) fn run(args: Args) -> Result<()> {
    let file = model_file::open(&args.model)?;
    let model = file.model()?;
    let name = file_name(&args.model);
    let report = memory::measure(&model, &name, caps_from_env()?, args.threads as usize);
    let json = serde_json::to_string_pretty(&report).context("writing JSON")? + "\n";
    if let Some(dir) = &args.out {
        std::fs::create_dir_all(dir)
            .with_context(|| format!("cannot make the directory {}", dir.display()))?;
        write_atomically(&dir.join("memory.json"), json.as_bytes())?;
        write_atomically(&dir.join("memory.html"), report.to_html(&model).as_bytes())?;
    }
    let text = if args.json { json } else { report.to_text() };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}

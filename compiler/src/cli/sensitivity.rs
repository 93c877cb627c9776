//! `ternc sensitivity`: what each layer loses by ternary weights.

use super::accuracy::On;
use super::compile;
use super::progress::Bar;
use crate::emit::write_atomically;
use crate::evaluate::Input;
use crate::host::Aligned;
use crate::import::ImportOptions;
use crate::import::onnx;
use crate::ir::Graph;
use crate::pipeline::{CompileOptions, Silent, compile_graph};
use crate::report::page::file_name;
use crate::sensitivity::{Subject, measure};
use crate::ternarise::{Choice, Policy};
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use std::io::Write;
use std::path::{Path, PathBuf};
use ternrt::Model;

/// Measure what each layer loses by ternary weights: made ternary alone, after
/// training, with the bytes that it saves
#[derive(clap::Args)]
pub struct Args {
    /// The ONNX model
    model: PathBuf,
    /// The data set: a name that `ternc data list` knows, or a folder of pictures. Smaller images
    /// are padded with zeros evenly on all sides
    #[arg(long, value_name = "NAME|DIR")]
    dataset: String,
    #[command(flatten)]
    on: On,
    /// What to try
    #[arg(long, value_enum, default_value_t = Tried::All)]
    codec: Tried,
    /// Layers to leave as they are: a glob on node names (repeatable)
    #[arg(long, value_name = "PATTERN")]
    skip: Vec<String>,
    /// Fixes the dimensions of an input that has dynamic ones (repeatable)
    #[arg(long, value_name = "NAME=1x3x224x224")]
    input_shape: Vec<String>,
    /// Write sensitivity.json and sensitivity.html into this directory (made if missing)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

/// Codecs to try.
#[derive(Clone, Copy, ValueEnum)]
enum Tried {
    /// Ternary, threshold and scale of least squared error, 2 bits a weight
    T2,
    /// Of each pair of input channels the larger weight, 1 bit a weight
    N12,
    /// Of each four input channels the three larger weights, 1.25 bits a weight
    N34,
    /// All of them
    All,
}

/// An ONNX file as a graph.
///
/// # Errors
/// Any other file; those of the import.
pub fn import(path: &Path, input_shape: &[String]) -> Result<Graph> {
    if path.extension().is_some_and(|e| e == "tern") {
        bail!(
            "{}: weights of a .tern file are packed already: give the ONNX model that it was made of",
            path.display()
        );
    }
    let options = ImportOptions {
        input_shapes: compile::input_shapes(input_shape)?,
    };
    onnx::import(path, &options)
}

/// How a graph takes images.
///
/// # Errors
/// A graph that cannot be compiled or takes no images.
pub fn graph_input(graph: &Graph) -> Result<Input> {
    let options = CompileOptions {
        golden: false,
        ..CompileOptions::default()
    };
    let compiled = compile_graph(graph.clone(), "", &options, &Silent)?;
    let bytes = Aligned::new(&compiled.bytes);
    Input::of(&Model::new(bytes.bytes())?)
}

pub(super) fn run(args: Args) -> Result<()> {
    let bar = Bar::new(args.quiet);
    let graph = import(&args.model, &args.input_shape)?;
    let input = graph_input(&graph).with_context(|| args.model.display().to_string())?;
    let data = args.on.open(&args.dataset, &input)?;
    let options = CompileOptions {
        ternarise: Policy {
            skip: args.skip,
            ..Policy::default()
        },
        ..CompileOptions::default()
    };
    let subject = Subject {
        graph: &graph,
        name: &file_name(&args.model),
        options: &options,
        data: data.as_ref(),
        evaluate: &args.on.options(),
    };
    let choices: &[Choice] = match args.codec {
        Tried::T2 => &[Choice::T2],
        Tried::N12 => &[Choice::N12],
        Tried::N34 => &[Choice::N34],
        Tried::All => &[Choice::T2, Choice::N34, Choice::N12],
    };
    let measured = measure(&subject, choices, &bar)?;
    bar.finish();
    let json = serde_json::to_string_pretty(&measured).context("writing JSON")? + "\n";
    if let Some(dir) = &args.out {
        std::fs::create_dir_all(dir)
            .with_context(|| format!("cannot make the directory {}", dir.display()))?;
        write_atomically(&dir.join("sensitivity.json"), json.as_bytes())?;
        write_atomically(&dir.join("sensitivity.html"), measured.to_html().as_bytes())?;
    }
    let text = if args.json { json } else { measured.to_text() };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}

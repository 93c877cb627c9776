//! `ternc accuracy`: how often a model is right, and what a baseline does better.

use super::data::SplitArg;
use super::picture::Pixels;
use super::progress::Bar;
use super::{compile, model_file};
use crate::data::{self, Dataset, Split};
use crate::emit::write_atomically;
use crate::evaluate::{self, Input, Predictions};
use crate::pipeline::Progress;
use crate::report::accuracy::{Named, measure};
use crate::report::page::file_name;
use anyhow::{Context, Result};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Measure a model on a data set: top 1 and top 5, precision, recall and F1 of
/// each class, confusion matrix, confidence and calibration, and where it differs
/// from a baseline
#[derive(clap::Args)]
pub struct Args {
    /// The compiled model, an ONNX model (compiled as f32), or the name of a trained one (ternc zoo
    /// list)
    model: PathBuf,
    /// The data set: a name that `ternc data list` knows, or a folder of pictures. Smaller images
    /// are padded with zeros evenly on all sides
    #[arg(long, value_name = "NAME|DIR")]
    dataset: String,
    #[command(flatten)]
    on: On,
    /// A model to compare with on the same images, .tern or ONNX
    #[arg(long, value_name = "MODEL")]
    baseline: Option<PathBuf>,
    /// Fixes the dimensions of an ONNX model's input that has dynamic ones; the first is the number
    /// of images that are run at a time
    #[arg(long, value_name = "NAME=1x3x224x224")]
    input_shape: Vec<String>,
    /// Write accuracy.json and accuracy.html into this directory (made if missing)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

/// Which images of a data set to measure on, and how. For commands that have `--dataset`.
#[derive(clap::Args)]
pub struct On {
    /// Which part of the data set
    #[arg(long, requires = "dataset", value_enum, default_value_t = SplitArg::Test)]
    split: SplitArg,
    /// Where the data set's files are, in place of the cache
    #[arg(long, requires = "dataset", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Use so many images at most, evenly spread over the set
    #[arg(long, requires = "dataset", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Threads, each with an image of its own [default: all]
    #[arg(long, requires = "dataset", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    #[command(flatten)]
    pub(super) pixels: Pixels,
}

impl On {
    /// How to evaluate.
    pub fn options(&self) -> evaluate::Options {
        evaluate::Options {
            threads: self.threads.map_or(0, usize::from),
            limit: self.limit.map(|n| n as usize),
            mean: self.pixels.mean.clone(),
            std: self.pixels.std.clone(),
        }
    }

    /// Where the data set's files are.
    pub fn data_dir(&self) -> Option<PathBuf> {
        self.data_dir.clone()
    }

    /// The data set, with images as a model takes them.
    ///
    /// # Errors
    /// As [`data::open`].
    pub fn open(&self, dataset: &str, input: &Input) -> Result<Box<dyn Dataset>> {
        let options = data::Options {
            data_dir: self.data_dir.clone(),
            shape: input.shape,
        };
        data::open(dataset, Split::from(self.split), &options)
    }
}

/// What a model says, and the data set as it saw it.
struct Measured {
    named: Named,
    predictions: Predictions,
    data: Box<dyn Dataset>,
}

fn predict(path: &Path, args: &Args, progress: &dyn Progress) -> Result<Measured> {
    let file = model_file::open_shaped(path, &compile::input_shapes(&args.input_shape)?)?;
    let model = file.model()?;
    let about = || path.display().to_string();
    let data = args
        .on
        .open(&args.dataset, &Input::of(&model).with_context(about)?)?;
    let predictions = evaluate::evaluate(file.bytes(), data.as_ref(), &args.on.options(), progress)
        .with_context(about)?;
    Ok(Measured {
        named: Named {
            name: file_name(path),
            file_bytes: file.bytes().len() as u64,
        },
        predictions,
        data,
    })
}

pub(super) fn run(args: Args) -> Result<()> {
    let bar = Bar::new(args.quiet);
    let model = predict(&args.model, &args, &bar)?;
    let baseline = match &args.baseline {
        Some(path) => Some(predict(path, &args, &bar)?),
        None => None,
    };
    bar.finish();
    let report = measure(
        model.data.info(),
        (&model.named, &model.predictions),
        baseline.as_ref().map(|b| (&b.named, &b.predictions)),
    )?;
    let json = serde_json::to_string_pretty(&report.to_json()?).context("writing JSON")? + "\n";
    if let Some(dir) = &args.out {
        std::fs::create_dir_all(dir)
            .with_context(|| format!("cannot make the directory {}", dir.display()))?;
        let html = report.to_html(model.data.as_ref())?;
        write_atomically(&dir.join("accuracy.json"), json.as_bytes())?;
        write_atomically(&dir.join("accuracy.html"), html.as_bytes())?;
    }
    let mut out = std::io::stdout().lock();
    if args.json {
        out.write_all(json.as_bytes())?;
    } else {
        out.write_all(report.to_text().as_bytes())?;
        if let Some(dir) = &args.out {
            writeln!(out, "wrote {}", dir.join("accuracy.html").display())?;
        }
    }
    Ok(())
}

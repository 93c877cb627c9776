//! `ternc quickstart`: the whole path on a model that is built in, or the trained
//! networks of a data set on its pictures.

use super::data::drawing;
use super::progress::Bar;
use crate::data::{self, Dataset, Split};
use crate::emit::write_atomically;
use crate::evaluate::{self, Input, Predictions};
use crate::host::{Aligned, Host};
use crate::passes::ActivationMode;
use crate::pipeline::{self, CompileOptions};
use crate::text_table as table;
use crate::zoo::{self, registry};
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;
use ternrt::Model;

/// Compile and run a small classifier of handwritten digits that is built in, or run
/// the trained networks of another data set on its pictures
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ternc quickstart
  ternc data fetch fashion-mnist && ternc quickstart --dataset fashion-mnist")]
pub struct Args {
    /// What to recognise: a data set that trained networks are built in for
    #[arg(long, value_name = "NAME", default_value = "digits")]
    dataset: String,
    /// Where the data set's files are, in place of the cache
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Keep the model (default: a file in the system's temporary directory)
    #[arg(short, long, value_name = "OUT.tern")]
    output: Option<PathBuf>,
}

/// The classifier of digits; its README tells where it is from.
const ONNX: &[u8] = include_bytes!("../../assets/digits/digits.onnx");
/// Held-out images at most: enough to tell networks apart, and done in seconds.
const IMAGES: usize = 1000;
/// Times that an image is run to measure how long one takes.
const RUNS: usize = 50;

/// A model to show.
struct Shown {
    name: String,
    bytes: Vec<u8>,
    /// Bytes of its parameters as f32.
    dense: u64,
}

pub(super) fn run(args: Args) -> Result<()> {
    let name = data::catalogue::find(&args.dataset)?.name;
    let mut out = std::io::stdout().lock();
    let (what, models) = if name == "digits" {
        let about =
            "A ternary classifier of handwritten digits (8x8 pixels), from ONNX to results.";
        writeln!(out, "{about}\n")?;
        ("activations", compiled(&mut out)?)
    } else {
        let models = trained(name)?;
        writeln!(out, "The trained networks that ternc has for {name}.")?;
        ("network", models)
    };
    let mut rows = Vec::new();
    // The pictures as the model before takes them, and what it says of them.
    let mut last: Option<(Input, Box<dyn Dataset>, Predictions)> = None;
    for model in &models {
        let bytes = Aligned::new(&model.bytes);
        let loaded = Model::new(bytes.bytes())?;
        let input = Input::of(&loaded)?;
        let set = match last {
            Some((before, set, _)) if before.shape == input.shape => set,
            _ => {
                let options = data::Options {
                    data_dir: args.data_dir.clone(),
                    shape: input.shape,
                };
                data::open(name, Split::Test, &options)?
            }
        };
        let bar = Bar::new(false);
        let options = evaluate::Options {
            limit: Some(IMAGES),
            ..evaluate::Options::default()
        };
        let seen = evaluate::evaluate(bytes.bytes(), set.as_ref(), &options, &bar)?;
        bar.finish();
        rows.push(vec![
            model.name.clone(),
            format!(
                "{:.1}%  ({} of {})",
                100.0 * seen.top1(),
                table::grouped(seen.correct() as u64),
                table::grouped(seen.len() as u64)
            ),
            table::grouped(model.bytes.len() as u64),
            format!("{:.1}x", model.dense as f64 / model.bytes.len() as f64),
            table::grouped(loaded.arena_len() as u64),
            format!("{:.1} us", latency(&loaded)?),
        ]);
        last = Some((input, set, seen));
    }
    let (_, set, seen) = last.context("no model")?;
    writeln!(
        out,
        "\nRun on {} held-out images with the runtime, and one at a time on one thread:\n",
        table::grouped(seen.len() as u64)
    )?;
    let header = [
        what,
        "accuracy",
        "file bytes",
        "smaller than f32",
        "arena bytes",
        "median latency",
    ];
    write!(out, "{}", table::render(&header, &[2, 3, 4, 5], &rows))?;
    show(&mut out, set.as_ref(), &seen)?;
    let path = args
        .output
        .unwrap_or_else(|| std::env::temp_dir().join(format!("{name}.tern")));
    write_atomically(&path, &models[0].bytes)?;
    let path = path.display();
    writeln!(
        out,
        "The first of these models is {path} now. What to try next:"
    )?;
    writeln!(out, "  ternc inspect {path}")?;
    writeln!(out, "  ternc verify {path}")?;
    writeln!(out, "  ternc compile your-model.onnx -o your-model.tern")?;
    writeln!(
        out,
        "  ternrt-bench {path} --profile      (cargo run --release -p ternrt-bench -- ...)"
    )?;
    Ok(())
}

/// The classifier of digits, compiled with every kind of activations; tells of the
/// first.
fn compiled(out: &mut impl Write) -> Result<Vec<Shown>> {
    let mut models = Vec::new();
    for mode in [ActivationMode::F32, ActivationMode::I16, ActivationMode::I8] {
        let bar = Bar::new(false);
        let options = CompileOptions {
            activations: mode,
            ..CompileOptions::default()
        };
        let compiled = pipeline::compile_bytes(ONNX, "digits.onnx", &options, &bar)?;
        bar.finish();
        if models.is_empty() {
            write!(out, "{}", compiled.report.to_text())?;
        }
        models.push(Shown {
            name: mode.name().to_owned(),
            bytes: compiled.bytes,
            dense: compiled.report.totals.f32_bytes,
        });
    }
    Ok(models)
}

/// The trained networks of a data set.
fn trained(dataset: &str) -> Result<Vec<Shown>> {
    let entries = registry::entries(None)?;
    let models: Result<Vec<Shown>> = entries
        .iter()
        .filter(|e| e.dataset == dataset)
        .map(|e| {
            let network = zoo::architecture(&e.architecture, &e.config)?;
            Ok(Shown {
                name: e.name.clone(),
                bytes: e.read()?,
                dense: 4 * network.parameter_count(),
            })
        })
        .collect();
    let models = models?;
    if models.is_empty() {
        let known: BTreeSet<&str> = entries.iter().map(|e| e.dataset.as_str()).collect();
        let known: Vec<&str> = known.into_iter().collect();
        bail!(
            "there is no trained network for {dataset:?}: there are some for {}",
            known.join(", ")
        );
    }
    Ok(models)
}

/// Median time of one run, in microseconds.
fn latency(model: &Model<'_>) -> Result<f64> {
    let mut host = Host::new(model, 1)?;
    let mut session = host.session()?;
    let mut micros = Vec::new();
    for _ in 0..RUNS {
        session.input_f32_mut(0)?.fill(0.5);
        let start = Instant::now();
        session.run(0)?;
        micros.push(start.elapsed().as_secs_f64() * 1e6);
    }
    micros.sort_by(f64::total_cmp);
    Ok(micros[micros.len() / 2])
}

/// The first image, and the first that is seen as something else than it is.
fn show(out: &mut impl Write, set: &dyn Dataset, seen: &Predictions) -> Result<()> {
    let classes = &set.info().classes;
    let as_what = seen.seen();
    let wrong = (0..seen.len()).find(|&i| as_what[i] != seen.labels[i]);
    let first = (0..seen.len()).take(1).filter(|i| Some(*i) != wrong);
    for i in first.chain(wrong) {
        let (own, other) = (&classes[seen.labels[i]], &classes[as_what[i]]);
        let image = seen.images[i];
        let picture = drawing(set, image)?;
        if own == other {
            writeln!(
                out,
                "\nImage {image}, seen as {own}, which it is:\n{picture}"
            )?;
        } else {
            writeln!(
                out,
                "\nImage {image}, seen as {other}, but it is {own}:\n{picture}"
            )?;
        }
    }
    Ok(())
}

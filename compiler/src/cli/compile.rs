//! `ternc compile`: ONNX in, `.tern` out.

use super::accuracy::On;
use super::progress::Bar;
use super::sensitivity;
use crate::calibrate::Calibration;
use crate::emit::write_atomically;
use crate::pack::{CodecChoice, Dense};
use crate::passes::ActivationMode;
use crate::pipeline::{self, CompileOptions, Compiled, Progress};
use crate::sensitivity::choose::{Limits, choose};
use crate::sensitivity::{Subject, measure};
use crate::ternarise::{Choice, Mode, Pattern, Policy};
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use ternrt::format::metadata::key as keys;

/// Compile an ONNX model to a .tern file
///
/// Weights that already are ternary (-a, 0 or +a, one a per tensor or per output
/// channel) are found and stored as trits without loss. Everything else stays dense,
/// unless --ternarise says otherwise.
#[derive(clap::Args)]
pub struct Args {
    /// The ONNX model
    model: PathBuf,
    /// The file to write; it appears only when it is complete
    #[arg(short, long, value_name = "OUT.tern")]
    output: PathBuf,
    /// What becomes of weights
    #[arg(long, value_enum, default_value_t = Ternarise::Detect)]
    ternarise: Ternarise,
    /// Layers that stay dense: a glob on node names (repeatable)
    #[arg(long, value_name = "PATTERN")]
    skip: Vec<String>,
    /// With absmean or threshold: ternarise the first, the last and depthwise layers too
    #[arg(long)]
    ternarise_all: bool,
    /// How weights that stay dense are stored [default: i8 with --activations i8 or i7, otherwise f32]
    #[arg(long, value_enum)]
    dense: Option<DenseArg>,
    /// What layers with integer weights compute with
    #[arg(long, value_enum, default_value_t = Activations::F32)]
    activations: Activations,
    /// Samples for static i8 or i7 scales: an .npz file with an array per input
    /// (of its shape, or with a leading sample dimension), or a directory of .npz or .npy files
    #[arg(long, value_name = "FILE|DIR")]
    calibrate: Option<PathBuf>,
    /// Drops weights after training: of each pair of input channels the smaller one, so that
    /// n12 stores one bit a weight, or of each four the smallest one for n34, 1.25 bits. Layers
    /// that --ternarise would leave dense stay so
    #[arg(long, value_enum, value_name = "PATTERN")]
    sparsify: Option<Sparsify>,
    /// How trits are packed: t2 is 2 bits a weight, t5 is 1.6, n12 is 1 where exactly one weight of each pair of
    /// input channels is zero (t2 elsewhere), n34 is 1.25 where exactly one of each four is (t2 elsewhere);
    /// auto is n12 or n34 where it can be, otherwise t2, and t5 where --max-file needs it
    #[arg(long, value_enum, default_value_t = Codec::Auto)]
    codec: Codec,
    /// Fixes the dimensions of an input that has dynamic ones (repeatable)
    #[arg(long, value_name = "NAME=1x3x224x224")]
    input_shape: Vec<String>,
    /// Fail if the arena plan is larger; suffixes k, M, KiB, MiB
    #[arg(long, value_name = "BYTES", value_parser = byte_count)]
    max_arena: Option<u64>,
    /// Fail if the file is larger; suffixes k, M, KiB, MiB. With --dataset, make as many layers ternary
    /// as it takes, those first that lose least
    #[arg(long, value_name = "BYTES", value_parser = byte_count)]
    max_file: Option<u64>,
    /// With --dataset: make as many layers ternary as can be without losing more points of top 1 than
    /// this, against the model with f32 activations
    #[arg(long, value_name = "POINTS", requires = "dataset")]
    max_drop: Option<f64>,
    /// Leave out the golden inputs and outputs that `ternc verify` uses
    #[arg(long)]
    no_golden: bool,
    /// A file with one class label a line, kept in the model's metadata
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Write the table as JSON too
    #[arg(long, value_name = "FILE.json")]
    report: Option<PathBuf>,
    /// Print the graph after the passes, in text form, to this file
    #[arg(long, value_name = "FILE")]
    dump_ir: Option<PathBuf>,
    /// Print nothing but errors
    #[arg(short, long)]
    quiet: bool,
    /// Pick a codec for each layer by measuring on this data set: a name that `ternc data list`
    /// knows, or a folder of pictures. To keep test images out of the choice, give --split train
    #[arg(
        long,
        value_name = "NAME|DIR",
        help_heading = "What --max-drop and --max-file measure on"
    )]
    dataset: Option<String>,
    #[command(
        flatten,
        next_help_heading = "What --max-drop and --max-file measure on"
    )]
    on: On,
}

/// A [`Mode`] on the command line.
#[derive(Clone, Copy, ValueEnum)]
pub enum Ternarise {
    /// Keep what is ternary already, exactly
    Detect,
    /// As BitNet b1.58: scale = mean magnitude of the tensor, round and clip
    Absmean,
    /// As Ternary Weight Networks: threshold and scale of least squared error, per output channel
    Threshold,
}

impl From<Ternarise> for Mode {
    fn from(arg: Ternarise) -> Mode {
        match arg {
            Ternarise::Detect => Mode::Detect,
            Ternarise::Absmean => Mode::Absmean,
            Ternarise::Threshold => Mode::Threshold,
        }
    }
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum DenseArg {
    /// 32-bit floats
    F32,
    /// 16-bit floats
    F16,
    /// 8-bit integers, one scale per output channel; computed with in integers where activations are
    I8,
}

/// A pattern of zeros on the command line.
#[derive(Clone, Copy, ValueEnum)]
pub enum Sparsify {
    /// One of two
    #[value(name = "1of2")]
    OneOfTwo,
    /// Three of four
    #[value(name = "3of4")]
    ThreeOfFour,
}

impl From<Sparsify> for Pattern {
    fn from(arg: Sparsify) -> Pattern {
        match arg {
            Sparsify::OneOfTwo => Pattern::OneOfTwo,
            Sparsify::ThreeOfFour => Pattern::ThreeOfFour,
        }
    }
}

/// An [`ActivationMode`] on the command line.
#[derive(Clone, Copy, ValueEnum)]
pub enum Activations {
    /// 32-bit floats
    F32,
    /// 16-bit integers, dynamic scales
    I16,
    /// 8-bit integers; static scales with --calibrate, else dynamic
    I8,
    /// As i8 within -63..63
    I7,
}

impl From<Activations> for ActivationMode {
    fn from(arg: Activations) -> ActivationMode {
        match arg {
            Activations::F32 => ActivationMode::F32,
            Activations::I16 => ActivationMode::I16,
            Activations::I8 => ActivationMode::I8,
            Activations::I7 => ActivationMode::I7,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Codec {
    Auto,
    T2,
    T5,
    N12,
    N34,
}

/// `1500`, `64k`, `1.5M`, `256KiB`.
fn byte_count(text: &str) -> Result<u64, String> {
    let split = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "" | "B" => 1.0,
        "k" | "K" | "kB" | "KB" => 1e3,
        "M" | "MB" => 1e6,
        "KiB" | "Ki" => 1024.0,
        "MiB" | "Mi" => 1048576.0,
        _ => return Err(format!("unknown unit {unit:?}; use k, M, KiB or MiB")),
    };
    let number: f64 = number
        .parse()
        .map_err(|_| format!("{text:?} is not a number of bytes"))?;
    Ok((number * factor) as u64)
}

/// Shapes as `--input-shape` gives them.
///
/// # Errors
/// Text that is no shape.
pub fn input_shapes(texts: &[String]) -> Result<Vec<(String, Vec<usize>)>> {
    texts.iter().map(|s| input_shape(s)).collect()
}

/// `NAME=1x3x224x224`.
fn input_shape(text: &str) -> Result<(String, Vec<usize>)> {
    let wrong = || format!("--input-shape {text:?}: write NAME=1x3x224x224");
    let (name, dims) = text.rsplit_once('=').with_context(wrong)?;
    let dims: Vec<usize> = dims
        .split('x')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .with_context(wrong)?;
    if dims.contains(&0) {
        bail!("--input-shape {text:?}: a dimension is 0");
    }
    Ok((name.to_owned(), dims))
}

pub(super) fn run(args: Args) -> Result<()> {
    let mut metadata = args.on.pixels.metadata()?;
    if let Some(path) = &args.labels {
        let labels = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the labels {}", path.display()))?;
        metadata.insert(keys::LABELS.to_owned(), labels.trim_end().to_owned());
    }
    match (args.sparsify, args.codec) {
        (None, _) | (_, Codec::Auto) => {}
        (Some(Sparsify::OneOfTwo), Codec::N12) | (Some(Sparsify::ThreeOfFour), Codec::N34) => {}
        (Some(Sparsify::OneOfTwo), _) => {
            bail!("--sparsify 1of2 is for the codec n12: leave --codec out, or give --codec n12")
        }
        (Some(Sparsify::ThreeOfFour), _) => {
            bail!("--sparsify 3of4 is for the codec n34: leave --codec out, or give --codec n34")
        }
    }
    let integers = matches!(args.activations, Activations::I8 | Activations::I7);
    let dense = args.dense.unwrap_or(if integers {
        DenseArg::I8
    } else {
        DenseArg::F32
    });
    let options = CompileOptions {
        ternarise: Policy {
            mode: args.ternarise.into(),
            skip: args.skip.clone(),
            all: args.ternarise_all,
            sparsify: args.sparsify.map(Pattern::from),
            int8: dense == DenseArg::I8,
            layers: BTreeMap::new(),
        },
        dense: match dense {
            DenseArg::F16 => Dense::F16,
            DenseArg::F32 | DenseArg::I8 => Dense::F32,
        },
        activations: args.activations.into(),
        calibrate: args.calibrate.clone().map(Calibration::Samples),
        codec: match args.codec {
            Codec::Auto => CodecChoice::Auto,
            Codec::T2 => CodecChoice::T2,
            Codec::T5 => CodecChoice::T5,
            Codec::N12 => CodecChoice::N12,
            Codec::N34 => CodecChoice::N34,
        },
        input_shapes: input_shapes(&args.input_shape)?,
        max_arena: args.max_arena,
        max_file: args.max_file,
        golden: !args.no_golden,
        metadata,
    };
    let bar = Bar::new(args.quiet);
    let compiled = match &args.dataset {
        None => pipeline::compile(&args.model, &options, &bar)?,
        Some(dataset) => select(&args, dataset, &options, &bar)?,
    };
    bar.finish();
    // The model first: where it cannot be written, nothing else is left behind.
    write_atomically(&args.output, &compiled.bytes)?;
    if let Some(path) = &args.dump_ir {
        write_atomically(path, compiled.ir_text().as_bytes())?;
    }
    if let Some(path) = &args.report {
        let json = serde_json::to_vec_pretty(&compiled.report).context("writing the report")?;
        write_atomically(path, &json)?;
    }
    if !args.quiet {
        let mut out = std::io::stdout().lock();
        write!(out, "{}", compiled.report.to_text())?;
        writeln!(out, "wrote {}", args.output.display())?;
    }
    Ok(())
}

/// Picks a codec for each layer by measuring.
fn select(
    args: &Args,
    dataset: &str,
    options: &CompileOptions,
    progress: &dyn Progress,
) -> Result<Compiled> {
    let limits = Limits {
        max_drop: args.max_drop,
        max_file: args.max_file,
    };
    if limits == Limits::default() {
        bail!(
            "--dataset is for picking codecs: give --max-drop POINTS or --max-file BYTES with it"
        );
    }
    if args
        .max_drop
        .is_some_and(|drop| !(0.0..=100.0).contains(&drop))
    {
        bail!("--max-drop is a number of points of accuracy, from 0 to 100");
    }
    let detect = options.ternarise.mode == Mode::Detect;
    if !detect || args.ternarise_all || args.sparsify.is_some() {
        bail!(
            "--dataset picks the layers by measuring: leave --ternarise, --ternarise-all and --sparsify out"
        );
    }
    let choices: &[Choice] = match args.codec {
        Codec::Auto => &[Choice::T2, Choice::N34, Choice::N12],
        Codec::T2 => &[Choice::T2],
        Codec::N12 => &[Choice::N12],
        Codec::N34 => &[Choice::N34],
        Codec::T5 => {
            bail!("--codec t5 packs what t2 packs: leave it out, --max-file uses it if it must")
        }
    };
    let graph = sensitivity::import(&args.model, &args.input_shape)?;
    let input =
        sensitivity::graph_input(&graph).with_context(|| args.model.display().to_string())?;
    let data = args.on.open(dataset, &input)?;
    let name = args.model.file_stem().unwrap_or_default().to_string_lossy();
    let evaluate = args.on.options();
    let with = |options| Subject {
        graph: &graph,
        name: &name,
        options,
        data: data.as_ref(),
        evaluate: &evaluate,
    };
    // Calibrating for every layer would take long; only the order of the steps comes of this.
    let dynamic = CompileOptions {
        calibrate: None,
        ..options.clone()
    };
    let measured = measure(&with(&dynamic), choices, progress)?;
    let floats = CompileOptions {
        ternarise: Policy {
            skip: options.ternarise.skip.clone(),
            ..Policy::default()
        },
        ..CompileOptions::default()
    };
    let reference = with(&floats).trial(&BTreeMap::new(), progress)?.quality;
    choose(&with(options), &measured, reference, limits, progress)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_shapes_parse() {
        assert_eq!(byte_count("1500"), Ok(1500));
        assert_eq!(byte_count("1.5k"), Ok(1500));
        assert_eq!(byte_count("2MiB"), Ok(2 << 20));
        assert!(byte_count("3 parsecs").is_err());
        assert_eq!(
            input_shape("x=1x3x8x8").unwrap(),
            ("x".into(), vec![1, 3, 8, 8])
        );
        assert_eq!(input_shape("a=b=2").unwrap(), ("a=b".into(), vec![2]));
        assert!(input_shape("x").is_err());
        assert!(input_shape("x=1x-1").is_err());
        assert!(input_shape("x=0").is_err());
    }
}

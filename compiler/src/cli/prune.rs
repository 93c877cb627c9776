//! `ternc prune`: fewer channels, and channels in pairs or fours that `n12` or `n34` can store.

use super::accuracy::On;
use super::compile::{Activations, Sparsify, Ternarise};
use super::progress::Bar;
use super::sensitivity::{graph_input, import};
use crate::data::{self, Split};
use crate::emit::write_atomically;
use crate::evaluate;
use crate::ir::Graph;
use crate::passes;
use crate::pipeline::{CompileOptions, compile_graph};
use crate::prune::statistics::Statistics;
use crate::prune::{Request, prune};
use crate::report::page::file_name;
use crate::report::pruning::{Pruning, Stage};
use crate::sensitivity::{Quality, Trial};
use crate::ternarise::{Pattern, Policy};
use anyhow::{Context, Result, bail};
use std::io::Write;
use std::path::PathBuf;

/// Remove the channels that matter least and compile the smaller model, or order
/// channels for the pattern of n12 or n34; nothing is trained, and the accuracy is
/// measured before and after
#[derive(clap::Args)]
pub struct Args {
    /// The ONNX model
    model: PathBuf,
    /// The file to write; it appears only when it is complete
    #[arg(short, long, value_name = "OUT.tern")]
    output: PathBuf,
    /// The data set: a name that `ternc data list` knows, or a folder of pictures. What a channel is
    /// worth is found on its training images, the accuracy on --split
    #[arg(long, value_name = "NAME|DIR")]
    dataset: String,
    #[command(flatten)]
    on: On,
    /// Share of the channels of each hidden layer that goes, such as 0.25; an even number stays,
    /// with --pattern 3of4 a multiple of four
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    channels: f64,
    /// Put channels into an order in which one weight of each pair is small, or one of each four,
    /// then drop it: 1of2 is for n12, one bit a weight, 3of4 for n34, 1.25 bits. The first, the last
    /// and depthwise layers stay dense, and those whose channels make no fours
    #[arg(long, value_enum)]
    pattern: Option<Sparsify>,
    /// What becomes of weights, as for `ternc compile`
    #[arg(long, value_enum, default_value_t = Ternarise::Detect)]
    ternarise: Ternarise,
    /// What layers with integer weights compute with
    #[arg(long, value_enum, default_value_t = Activations::F32)]
    activations: Activations,
    /// Layers that stay dense and keep their channels: a glob on node names (repeatable)
    #[arg(long, value_name = "PATTERN")]
    skip: Vec<String>,
    /// Training images to judge channels by [default: 64, fewer for large models]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    samples: Option<u32>,
    /// Fixes the dimensions of an input that has dynamic ones (repeatable)
    #[arg(long, value_name = "NAME=1x3x224x224")]
    input_shape: Vec<String>,
    /// Write pruning.json and pruning.html into this directory (made if missing)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|s| (0.0..1.0).contains(s));
    share.ok_or_else(|| "a share of the channels, from 0 to less than 1, such as 0.25".into())
}

/// The reference interpreter does some hundred million multiply-accumulates a second.
const SAMPLE_MACS: u64 = 4_000_000_000;

pub(super) fn run(args: Args) -> Result<()> {
    if args.channels == 0.0 && args.pattern.is_none() {
        bail!("nothing to prune: give --channels SHARE, --pattern 1of2 or 3of4, or both");
    }
    let bar = Bar::new(args.quiet);
    let about = || args.model.display().to_string();
    let mut graph = import(&args.model, &args.input_shape)?;
    let input = graph_input(&graph).with_context(about)?;
    let data = args.on.open(&args.dataset, &input)?;
    let training = data::open(
        &args.dataset,
        Split::Train,
        &data::Options {
            data_dir: args.on.data_dir(),
            shape: input.shape,
        },
    )?;
    let plain = CompileOptions {
        golden: false,
        ternarise: Policy {
            skip: args.skip.clone(),
            ..Policy::default()
        },
        metadata: args.on.pixels.metadata()?,
        ..CompileOptions::default()
    };
    let asked = CompileOptions {
        golden: true,
        activations: args.activations.into(),
        ternarise: Policy {
            mode: args.ternarise.into(),
            sparsify: args.pattern.map(Pattern::from),
            ..plain.ternarise.clone()
        },
        ..plain.clone()
    };
    let stem = args.model.file_stem().unwrap_or_default().to_string_lossy();
    let on = args.on.options();
    let trial = |graph: &Graph, options: &CompileOptions| -> Result<Trial> {
        let compiled = compile_graph(graph.clone(), &stem, options, &bar)?;
        let predictions = evaluate::evaluate(&compiled.bytes, data.as_ref(), &on, &bar)?;
        Ok(Trial {
            quality: Quality::from(&predictions),
            compiled,
        })
    };
    let before = trial(&graph, &plain)?;
    let mut stages = vec![Stage::new("as it was, f32", &before)];
    passes::optimise(&mut graph)?;
    let most = SAMPLE_MACS / before.compiled.report.totals.macs.max(1);
    let samples = args.samples.map_or(most.clamp(4, 64), u64::from) as usize;
    let statistics = Statistics::collect(&graph, training.as_ref(), &input, &on, samples, &bar)
        .with_context(about)?;
    let request = |channels, reorder| Request {
        channels,
        reorder,
        policy: asked.ternarise.clone(),
    };
    let mut fewer = graph.clone();
    let mut groups = prune(&mut fewer, &statistics, &request(args.channels, false))?;
    if args.channels > 0.0 {
        let what = format!("{}% of the channels gone, f32", 100.0 * args.channels);
        stages.push(Stage::new(&what, &trial(&fewer, &plain)?));
    }
    if let Some(pattern) = args.pattern {
        let what = match pattern {
            Sparsify::OneOfTwo => "1 of 2 alone",
            Sparsify::ThreeOfFour => "3 of 4 alone",
        };
        stages.push(Stage::new(what, &trial(&fewer, &asked)?));
        fewer = graph;
        groups = prune(&mut fewer, &statistics, &request(args.channels, true))?;
    }
    let after = trial(&fewer, &asked)?;
    stages.push(Stage::new("as written", &after));
    bar.finish();
    let report = Pruning {
        model: file_name(&args.model),
        dataset: data.info().name.clone(),
        split: data.info().split.name(),
        images: evaluate::image_count(data.as_ref(), &on),
        samples: statistics.samples,
        stages,
        groups,
    };
    write_atomically(&args.output, &after.compiled.bytes)?;
    let json = serde_json::to_string_pretty(&report).context("writing JSON")? + "\n";
    if let Some(dir) = &args.out {
        std::fs::create_dir_all(dir)
            .with_context(|| format!("cannot make the directory {}", dir.display()))?;
        write_atomically(&dir.join("pruning.json"), json.as_bytes())?;
        write_atomically(&dir.join("pruning.html"), report.to_html().as_bytes())?;
    }
    let mut out = std::io::stdout().lock();
    if args.json {
        out.write_all(json.as_bytes())?;
    } else {
        write!(out, "{}", report.to_text())?;
        writeln!(out, "wrote {}", args.output.display())?;
    }
    Ok(())
}

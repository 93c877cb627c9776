//! `ternrt-bench`: measures `.tern` models, and the kernels below them.

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tern_kernels::{Caps, Codec};
use ternrt::pool::ThreadPool;
use ternrt_bench::ceiling::Ceiling;
use ternrt_bench::product::{Activations, Form};
use ternrt_bench::shapes;
use ternrt_bench::sweep::{self, Axis, Sweep};
use ternrt_bench::{layers, matvec, model, scaling};

/// Measure a .tern model: latency, throughput, memory, and time per op
///
/// Inputs are filled with seeded random values. TERNRT_CAPS=scalar|avx2
/// restricts the instruction sets.
#[derive(Parser)]
#[command(name = "ternrt-bench", version, max_term_width = 100)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
struct Args {
    #[command(flatten)]
    model: Option<model::Args>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// What this machine multiplies and reads from memory at most
    Ceiling(Common),
    /// Matrix-vector products with weights from memory: GB/s, as a share of what the memory gives
    Matvec(Common),
    /// The layers of a network one by one, with two bits a weight and with one
    Layers {
        /// resnet18_32, resnet18_224, mobilenet_v2, efficientnet_lite0 or vit_tiny
        #[arg(default_value = "resnet18_224")]
        network: String,
        #[command(flatten)]
        common: Common,
    },
    /// A model with one thread, two ... in turn: how many times faster, in all and op by op
    Scaling(scaling::Args),
    /// Speed of the product kernels over one dimension, as a table, and as JSON, CSV and SVG files
    Sweep {
        /// What grows (default: each)
        #[arg(value_enum)]
        axes: Vec<Axis>,
        /// Write AXIS.json, AXIS.csv and AXIS.svg there
        #[arg(long, value_name = "DIR")]
        output_dir: Option<PathBuf>,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(clap::Args)]
struct Common {
    /// Threads; for sweeps over threads the most, and other sweeps use one (default: 1; for sweeps all processors)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Milliseconds that each figure may take
    #[arg(long, default_value_t = 200, value_name = "MS")]
    budget: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Common {
    fn threads(&self, default: usize) -> usize {
        self.threads.map_or(default, usize::from)
    }

    fn budget(&self) -> Duration {
        Duration::from_millis(self.budget)
    }
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<()> {
    match (args.command, args.model) {
        (Some(Command::Ceiling(common)), _) => run_ceiling(&common),
        (Some(Command::Matvec(common)), _) => run_matvec(&common),
        (Some(Command::Layers { network, common }), _) => run_layers(&network, &common),
        (Some(Command::Scaling(args)), _) => scaling::run(&args),
        (
            Some(Command::Sweep {
                axes,
                output_dir,
                common,
            }),
            _,
        ) => run_sweeps(&axes, output_dir, &common),
        (None, Some(args)) => model::run(&args),
        (None, None) => Ok(()),
    }
}

fn print_json(value: &impl Serialize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    Ok(writeln!(out)?)
}

fn run_ceiling(common: &Common) -> Result<()> {
    let ceiling = Ceiling::measure(common.threads(1), ternrt::caps_from_env()?);
    if common.json {
        return print_json(&ceiling);
    }
    Ok(writeln!(
        std::io::stdout(),
        "{}",
        ceiling.lines().join("\n")
    )?)
}

/// Figures of `matvec`.
#[derive(Serialize)]
struct MatvecReport {
    instruction_sets: String,
    ceiling: Ceiling,
    lines: Vec<matvec::Line>,
}

fn run_matvec(common: &Common) -> Result<()> {
    let threads = common.threads(1);
    let caps = ternrt::caps_from_env()?;
    let pool =
        ThreadPool::new(threads).with_context(|| format!("cannot start {threads} threads"))?;
    let ceiling = Ceiling::measure(threads, caps);
    let layers = shapes::matvec()?.layer;
    let lines = matvec::measure(
        &layers,
        &Form::PAIRS,
        caps,
        &pool,
        &ceiling,
        common.budget(),
    )?;
    if common.json {
        return print_json(&MatvecReport {
            instruction_sets: caps.to_string(),
            ceiling,
            lines,
        });
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", ceiling.lines().join("\n"))?;
    writeln!(
        out,
        "\n{caps} kernels, {threads} thread(s), activations quantised in the measured time, weights from memory\n\n\
         {:>13}  {:<7}  {:>9}  {:>8}  {:>7}  {:>9}",
        "shape", "x w", "us", "GMAC/s", "GB/s", "of memory"
    )?;
    for l in &lines {
        writeln!(
            out,
            "{:>13}  {:<7}  {:>9.1}  {:>8.2}  {:>7.2}  {:>8.1}%",
            format!("{}x{}", l.outputs, l.inputs),
            l.form.name(),
            l.us,
            l.gmac_per_s,
            l.gb_per_s,
            100.0 * l.memory_share
        )?;
    }
    Ok(())
}

/// Figures of `layers`.
#[derive(Serialize)]
struct LayersReport {
    instruction_sets: String,
    ceiling: Ceiling,
    lines: Vec<layers::Line>,
}

fn run_layers(network: &str, common: &Common) -> Result<()> {
    /// Eight bits and t2 first: what the others are compared with.
    const FORMS: [Form; 3] = [
        Form::new(Activations::I8, Codec::T2),
        Form::new(Activations::I8, Codec::T2).after_relu(),
        Form::new(Activations::I7, Codec::N12),
    ];
    let threads = common.threads(1);
    let caps = ternrt::caps_from_env()?;
    let network = shapes::network(network)?;
    let pool =
        ThreadPool::new(threads).with_context(|| format!("cannot start {threads} threads"))?;
    let ceiling = Ceiling::measure(threads, caps);
    let lines = layers::measure(&network, &FORMS, caps, &pool, &ceiling, common.budget())?;
    if common.json {
        return print_json(&LayersReport {
            instruction_sets: caps.to_string(),
            ceiling,
            lines,
        });
    }
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{}, {caps} kernels, {threads} thread(s)\n\n{:<24}  {:<11}  {:>9}  {:>8}  {:>8}  {:>12}",
        network.name, "layer", "x w", "us", "GMAC/s", "of limit", "times i8 t2"
    )?;
    for l in &lines {
        writeln!(
            out,
            "{:<24}  {:<11}  {:>9.1}  {:>8.1}  {:>7.1}%  {:>11.2}x",
            l.layer,
            l.form.name(),
            l.us,
            l.gmac_per_s,
            100.0 * l.limit_share,
            l.times_faster_than_first
        )?;
    }
    Ok(())
}

fn run_sweeps(axes: &[Axis], output_dir: Option<PathBuf>, common: &Common) -> Result<()> {
    let processors = std::thread::available_parallelism().map_or(1, |n| n.get());
    let threads = common.threads(processors);
    let caps: Caps = ternrt::caps_from_env()?;
    let ceiling = Ceiling::measure(1, caps);
    let axes = if axes.is_empty() { &Axis::ALL } else { axes };
    let mut sweeps = Vec::new();
    for &axis in axes {
        let sweep = sweep::measure(axis, &Form::PAIRS, caps, threads, &ceiling, common.budget())?;
        if let Some(dir) = &output_dir {
            write_sweep(&sweep, dir)?;
        }
        if !common.json {
            write!(std::io::stdout(), "{}", sweep.csv())?;
        }
        sweeps.push(sweep);
    }
    if common.json {
        print_json(&sweeps)?;
    }
    Ok(())
}

fn write_sweep(sweep: &Sweep, dir: &std::path::Path) -> Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let files = [
        ("json", serde_json::to_string_pretty(sweep)? + "\n"),
        ("csv", sweep.csv()),
        ("svg", sweep.svg()),
    ];
    for (extension, text) in files {
        let path = dir.join(format!("{}.{extension}", sweep.axis.name()));
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

//! How long a `.tern` model takes, and where.

use crate::ceiling::Ceiling;
use crate::profile::{Line, Profiler, Work};
use crate::stats::{Summary, peak_resident_bytes, summarise};
use anyhow::{Context, Result, anyhow, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;
use ternrt::format::golden;
use ternrt::format::header::Section;
use ternrt::pool::ThreadPool;
use ternrt::{Model, Options, Session};

/// What to measure, and how.
#[derive(clap::Args)]
pub struct Args {
    /// The compiled model
    model: PathBuf,
    /// Threads
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,
    /// Inferences that count as one iteration
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// Iterations before the measurement
    #[arg(long, default_value_t = 3, value_name = "N")]
    warmup: u32,
    /// Measured iterations (default: as many as fit into some two seconds, 20 to 1000)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    iterations: Option<u32>,
    /// A line per op: time, share, GMAC/s and how much that is of what this CPU can do
    #[arg(long)]
    profile: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    model: String,
    threads: u16,
    batch: u32,
    instruction_sets: String,
    warmup: u32,
    iterations: u32,
    latency_ms: Summary,
    inferences_per_s: f64,
    macs: u64,
    gmac_per_s: f64,
    file_bytes: u64,
    weight_bytes: u64,
    arena_bytes: u64,
    arena_plan_bytes: u64,
    peak_resident_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ceiling: Option<Ceiling>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    profile: Vec<Line>,
}

/// A model's file in memory.
pub(crate) struct Opened {
    shown: String,
    bytes: memmap2::Mmap,
}

impl Opened {
    /// Maps the file.
    pub(crate) fn new(path: &Path) -> Result<Opened> {
        let shown = path.display().to_string();
        let file = std::fs::File::open(path).with_context(|| format!("cannot open {shown}"))?;
        let metadata = file.metadata();
        if metadata
            .with_context(|| format!("cannot read {shown}"))?
            .len()
            == 0
        {
            bail!("{shown} is empty; compile the model again");
        }
        // SAFETY: a read-only map of a file that nobody alters while it is measured.
        let bytes = unsafe { memmap2::Mmap::map(&file) };
        let bytes = bytes.with_context(|| format!("cannot map {shown}"))?;
        Ok(Opened { shown, bytes })
    }

    /// The model in it.
    pub(crate) fn model(&self) -> Result<Model<'_>> {
        Model::new(&self.bytes).map_err(|e| anyhow!("{}: {e}", self.shown))
    }
}

/// Bytes for each input. A run may overwrite inputs, so they are copied before each.
pub(crate) fn seeded_inputs(model: &Model<'_>) -> Vec<Vec<u8>> {
    let inputs = model.inputs(0).enumerate();
    let fill = |(i, info): (usize, ternrt::TensorInfo<'_>)| {
        let mut bytes = vec![0u8; info.len];
        golden::fill(info.dtype, i as u64 + 1, &mut bytes);
        bytes
    };
    inputs.map(fill).collect()
}

/// Measures a model and prints the figures.
///
/// # Errors
/// A file that is no model, or a runtime's error.
pub fn run(args: &Args) -> Result<()> {
    let shown = args.model.display();
    let opened = Opened::new(&args.model)?;
    let (bytes, model) = (&opened.bytes, opened.model()?);
    let caps = ternrt::caps_from_env()?;
    let pool = ThreadPool::new(args.threads.into())
        .map_err(|e| anyhow!("cannot start {} threads: {e}", args.threads))?;
    let mut arena = vec![0u8; model.arena_len_for(caps, args.threads.into())];
    let arena_bytes = arena.len() as u64;
    let mut session = Session::with_options(
        &model,
        &mut arena,
        Options {
            caps,
            parallel: &pool,
        },
    )?;

    let inputs = seeded_inputs(&model);
    let once = |session: &mut Session<'_, '_>, profiler: Option<&mut Profiler>| -> Result<f64> {
        let mut ms = 0.0;
        let mut profiler = profiler;
        for _ in 0..args.batch {
            for (i, input) in inputs.iter().enumerate() {
                session.input_mut(i)?.copy_from_slice(input);
            }
            let start = Instant::now();
            match profiler.as_deref_mut() {
                Some(p) => session.run_traced(0, p)?,
                None => session.run(0)?,
            }
            ms += start.elapsed().as_secs_f64() * 1e3;
        }
        Ok(ms)
    };
    let mut last = 1.0;
    for _ in 0..args.warmup.max(1) {
        last = once(&mut session, None)?;
    }
    let iterations = args
        .iterations
        .unwrap_or(((2000.0 / last.max(1e-3)) as u32).clamp(20, 1000));
    let bar = if last * f64::from(iterations) > 1000.0 && !args.json {
        ProgressBar::new(iterations.into()).with_style(
            ProgressStyle::with_template("measuring [{bar:30}] {pos}/{len} {eta} left")
                .unwrap_or_else(|_| ProgressStyle::default_bar()),
        )
    } else {
        ProgressBar::hidden()
    };
    let mut times = Vec::with_capacity(iterations as usize);
    for _ in 0..iterations {
        times.push(once(&mut session, None)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    // Before the ceiling is measured, which needs memory of its own.
    let peak_resident = peak_resident_bytes();
    let (mut ceiling, mut profile) = (None, Vec::new());
    if args.profile {
        let mut profiler = Profiler::default();
        for _ in 0..iterations.min(50) {
            once(&mut session, Some(&mut profiler))?;
        }
        let most = Ceiling::measure(args.threads.into(), caps);
        let name = |number| model.op_name(number).unwrap_or_default();
        let ops = model.ops(0).map(|step| Work::of(&step, name(step.number)));
        profile = profiler.lines(ops, &most);
        ceiling = Some(most);
    }
    let latency_ms = summarise(times).context("no iterations")?;
    let macs = model
        .ops(0)
        .map(|s| s.record.op.macs(&s.operands))
        .sum::<u64>();
    let per_s = 1e3 * f64::from(args.batch) / latency_ms.median;
    let report = Report {
        model: shown.to_string(),
        threads: args.threads,
        batch: args.batch,
        instruction_sets: caps.to_string(),
        warmup: args.warmup,
        iterations,
        latency_ms,
        inferences_per_s: per_s,
        macs,
        gmac_per_s: macs as f64 * per_s / 1e9,
        file_bytes: bytes.len() as u64,
        weight_bytes: model.header().section(Section::Data).len,
        arena_bytes,
        arena_plan_bytes: model.header().arena_bytes,
        peak_resident_bytes: peak_resident,
        ceiling,
        profile,
    };
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
    } else {
        print(&mut out, &report)?;
    }
    Ok(())
}

fn print(out: &mut impl Write, r: &Report) -> Result<()> {
    let mib = |n: u64| format!("{:.2} MiB", n as f64 / 1048576.0);
    let l = r.latency_ms;
    writeln!(
        out,
        "{}, {} thread(s), {} kernels, {} iterations of {}",
        r.model, r.threads, r.instruction_sets, r.iterations, r.batch
    )?;
    writeln!(
        out,
        "latency     min {:.3} ms   median {:.3} ms   p95 {:.3} ms",
        l.min, l.median, l.p95
    )?;
    writeln!(
        out,
        "throughput  {:.1} inferences/s   {:.2} GMAC/s",
        r.inferences_per_s, r.gmac_per_s
    )?;
    writeln!(
        out,
        "memory      arena {} (plan {})   weights {}   file {}{}",
        mib(r.arena_bytes),
        mib(r.arena_plan_bytes),
        mib(r.weight_bytes),
        mib(r.file_bytes),
        r.peak_resident_bytes
            .map_or(String::new(), |b| format!("   peak resident {}", mib(b)))
    )?;
    if let Some(ceiling) = &r.ceiling {
        print_profile(out, &r.profile, ceiling)?;
    }
    Ok(())
}

fn print_profile(out: &mut impl Write, lines: &[Line], ceiling: &Ceiling) -> Result<()> {
    writeln!(out, "\nwhat this machine can do")?;
    for line in ceiling.lines() {
        writeln!(out, "  {line}")?;
    }
    let width = lines.iter().map(|p| p.name.chars().count());
    let width = width.max().unwrap_or(0).max(4);
    writeln!(
        out,
        "\n{:>4}  {:<width$}  {:<16}  {:<8}  {:>9}  {:>6}  {:>8}  {:>8}  {:>7}  {:>9}",
        "op", "name", "kind", "x w", "ms", "share", "GMAC/s", "of limit", "GB/s", "of memory"
    )?;
    let percent =
        |share: Option<f64>| share.map_or(String::new(), |s| format!("{:.1}%", 100.0 * s));
    for p in lines {
        let dtypes = format!(
            "{} {}",
            p.activations.unwrap_or_default(),
            p.codec.unwrap_or_default()
        );
        let rate = (p.macs > 0).then(|| format!("{:.2}", p.gmac_per_s));
        let read = p.weights_gb_per_s.map(|r| format!("{r:.2}"));
        let line = format!(
            "{:>4}  {:<width$}  {:<16}  {:<8}  {:>9.4}  {:>5.1}%  {:>8}  {:>8}  {:>7}  {:>9}",
            p.index,
            p.name,
            p.op,
            dtypes,
            p.ms,
            100.0 * p.share,
            rate.unwrap_or_default(),
            percent(p.ceiling_share),
            read.unwrap_or_default(),
            percent(p.memory_share),
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    writeln!(
        out,
        "\nof limit: GMAC/s as a share of the fastest multiply loop above for these activations; n12 kernels that\n\
         look sums up in tables, and 3x3 kernels (of integers behind a relu, and of f32) multiply less and may\n\
         exceed it. GB/s, of memory: matrix-vector products read each weight once; weights that stay in a cache\n\
         may exceed the memory's rate."
    )?;
    Ok(())
}

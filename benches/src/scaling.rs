//! A model with one thread, two, three ...: how much faster it gets, op by op.
//!
//! The numbers of threads take turns, a few runs each, so that a machine that is
//! slower for a while is so for all of them.

use crate::model::{self, Opened};
use crate::stats::{Summary, summarise};
use anyhow::{Context, Result, anyhow};
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;
use ternrt::model::OpStep;
use ternrt::pool::ThreadPool;
use ternrt::trace::{Memory, Trace};
use ternrt::{Options, Session};

/// What to measure, and how.
#[derive(clap::Args)]
pub struct Args {
    /// The compiled model
    model: PathBuf,
    /// From one thread to this many (default: all processors)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: Option<u16>,
    /// How often each number of threads has its turn
    #[arg(long, default_value_t = 40, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs of a turn that count. One comes before, in which threads wake and caches fill.
const RUNS: usize = 4;

/// Times of some runs with one number of threads.
#[derive(Serialize)]
struct Times {
    threads: u16,
    latency_ms: Summary,
    /// How many times faster than one thread, by the medians.
    times_faster: f64,
    /// The same by the shortest runs.
    times_faster_at_best: f64,
}

/// An op with every number of threads.
#[derive(Serialize)]
struct Line {
    index: usize,
    name: String,
    op: &'static str,
    /// Medians of a run, milliseconds, in the order of `Report::totals`.
    ms: Vec<f64>,
}

#[derive(Serialize)]
struct Report {
    model: String,
    instruction_sets: String,
    rounds: u32,
    totals: Vec<Times>,
    ops: Vec<Line>,
}

/// Every op's times, milliseconds.
#[derive(Default)]
struct Watch {
    started: Option<Instant>,
    ops: Vec<Vec<f64>>,
}

impl Trace for Watch {
    fn before(&mut self, _: &OpStep<'_>) {
        self.started = Some(Instant::now());
    }

    fn after(&mut self, step: &OpStep<'_>, _: &Memory<'_>) {
        let ms = self
            .started
            .take()
            .map_or(0.0, |s| s.elapsed().as_secs_f64() * 1e3);
        if self.ops.len() <= step.number {
            self.ops.resize(step.number + 1, Vec::new());
        }
        self.ops[step.number].push(ms);
    }
}

/// Measures a model and prints the figures.
///
/// # Errors
/// A file that is no model, or a runtime's error.
pub fn run(args: &Args) -> Result<()> {
    let opened = Opened::new(&args.model)?;
    let model = opened.model()?;
    let caps = ternrt::caps_from_env()?;
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    let most = args
        .threads
        .unwrap_or_else(|| u16::try_from(processors().min(64)).unwrap_or(1));
    let counts: Vec<u16> = (1..=most).collect();
    let pools = counts
        .iter()
        .map(|&n| ThreadPool::new(n.into()).map_err(|e| anyhow!("cannot start {n} threads: {e}")))
        .collect::<Result<Vec<_>>>()?;
    let mut arenas: Vec<Vec<u8>> = counts
        .iter()
        .map(|&n| vec![0; model.arena_len_for(caps, n.into())])
        .collect();
    let mut sessions = Vec::new();
    for (arena, pool) in arenas.iter_mut().zip(&pools) {
        let parallel = pool;
        sessions.push(Session::with_options(
            &model,
            arena,
            Options { caps, parallel },
        )?);
    }
    let inputs = model::seeded_inputs(&model);
    let mut watches: Vec<Watch> = counts.iter().map(|_| Watch::default()).collect();
    let mut totals = vec![Vec::new(); counts.len()];
    for _ in 0..args.rounds {
        for ((session, watch), times) in sessions.iter_mut().zip(&mut watches).zip(&mut totals) {
            for run in 0..=RUNS {
                for (i, input) in inputs.iter().enumerate() {
                    session.input_mut(i)?.copy_from_slice(input);
                }
                if run == 0 {
                    session.run(0)?;
                    continue;
                }
                let start = Instant::now();
                session.run_traced(0, watch)?;
                times.push(start.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    let summaries = totals
        .into_iter()
        .map(|times| summarise(times).context("no runs"))
        .collect::<Result<Vec<_>>>()?;
    let one = summaries[0];
    let median = |times: &Vec<f64>| summarise(times.clone()).map_or(0.0, |s| s.median);
    let report = Report {
        model: args.model.display().to_string(),
        instruction_sets: caps.to_string(),
        rounds: args.rounds,
        totals: counts
            .iter()
            .zip(&summaries)
            .map(|(&threads, &latency_ms)| Times {
                threads,
                latency_ms,
                times_faster: one.median / latency_ms.median,
                times_faster_at_best: one.min / latency_ms.min,
            })
            .collect(),
        ops: model
            .ops(0)
            .map(|step| Line {
                index: step.number,
                name: model.op_name(step.number).unwrap_or_default().to_owned(),
                op: step.record.op.name(),
                ms: watches
                    .iter()
                    .map(|w| w.ops.get(step.number).map_or(0.0, median))
                    .collect(),
            })
            .collect(),
    };
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &report)?;
        return Ok(writeln!(out)?);
    }
    print(&mut out, &report)
}

fn print(out: &mut impl Write, r: &Report) -> Result<()> {
    writeln!(
        out,
        "{}, {} kernels, {} rounds of {RUNS} runs each\n",
        r.model, r.instruction_sets, r.rounds
    )?;
    writeln!(
        out,
        "{:>7}  {:>10}  {:>10}  {:>6}  {:>7}",
        "threads", "median ms", "min ms", "times", "at best"
    )?;
    for t in &r.totals {
        writeln!(
            out,
            "{:>7}  {:>10.3}  {:>10.3}  {:>5.2}x  {:>6.2}x",
            t.threads,
            t.latency_ms.median,
            t.latency_ms.min,
            t.times_faster,
            t.times_faster_at_best
        )?;
    }
    let width = r.ops.iter().map(|l| l.name.chars().count());
    let width = width.max().unwrap_or(0).max(4);
    let heads = r.totals.iter().map(|t| format!("ms, {}", t.threads));
    let heads: String = heads.map(|h| format!("  {h:>9}")).collect();
    writeln!(
        out,
        "\n{:>4}  {:<width$}  {:<16}{heads}  {:>6}",
        "op", "name", "kind", "times"
    )?;
    for l in &r.ops {
        let ms: String = l.ms.iter().map(|ms| format!("  {ms:>9.4}")).collect();
        let last = l.ms.last().copied().unwrap_or(0.0);
        writeln!(
            out,
            "{:>4}  {:<width$}  {:<16}{ms}  {:>5.2}x",
            l.index,
            l.name,
            l.op,
            l.ms[0] / last.max(1e-9)
        )?;
    }
    Ok(())
}

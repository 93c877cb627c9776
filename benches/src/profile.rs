//! Time per op, by the runtime's trace hook.

use serde::Serialize;
use std::time::{Duration, Instant};
use ternrt::model::OpStep;
use ternrt::trace::{Memory, Trace};

/// Adds up the time of each op over runs.
#[derive(Default)]
pub struct Profiler {
    started: Option<Instant>,
    totals: Vec<Duration>,
    runs: u32,
}

/// One op's line.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// Position in the file.
    pub index: usize,
    /// Name of the ONNX node.
    pub name: String,
    /// Op.
    pub op: &'static str,
    /// Mean time of a run, milliseconds.
    pub ms: f64,
    /// Share of the sum over all ops.
    pub share: f64,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Billions of them a second.
    pub gmac_per_s: f64,
}

impl Trace for Profiler {
    fn before(&mut self, _: &OpStep<'_>) {
        self.started = Some(Instant::now());
    }

    fn after(&mut self, step: &OpStep<'_>, _: &Memory<'_>) {
        let index = step.number;
        let spent = self.started.take().map_or(Duration::ZERO, |s| s.elapsed());
        if self.totals.len() <= index {
            self.totals.resize(index + 1, Duration::ZERO);
        }
        self.totals[index] += spent;
        if index == 0 {
            self.runs += 1;
        }
    }
}

impl Profiler {
    /// A line per op, in order; `ops` gives name, op name and multiply-accumulates.
    pub fn lines(&self, ops: impl Iterator<Item = (String, &'static str, u64)>) -> Vec<Line> {
        let sum: f64 = self.totals.iter().map(Duration::as_secs_f64).sum();
        let runs = f64::from(self.runs.max(1));
        ops.zip(&self.totals)
            .enumerate()
            .map(|(index, ((name, op, macs), total))| {
                let seconds = total.as_secs_f64() / runs;
                Line {
                    index,
                    name,
                    op,
                    ms: seconds * 1e3,
                    share: if sum > 0.0 {
                        total.as_secs_f64() / sum
                    } else {
                        0.0
                    },
                    macs,
                    gmac_per_s: if seconds > 0.0 {
                        macs as f64 / seconds / 1e9
                    } else {
                        0.0
                    },
                }
            })
            .collect()
    }
}

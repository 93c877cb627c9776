//! Time per op, by the runtime's trace hook, and how it compares with what the
//! machine could do.

use crate::ceiling::Ceiling;
use serde::Serialize;
use std::time::{Duration, Instant};
use tern_kernels::DType;
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
    /// Dtype of the activations that are multiplied (`i7` for 8-bit integers
    /// within -63..63), and the codec of the weights; `None` without such.
    pub activations: Option<&'static str>,
    /// See [`activations`](Self::activations).
    pub codec: Option<&'static str>,
    /// `gmac_per_s` as a share of the fastest multiply loop for these
    /// activations. A kernel that looks sums up may exceed 1, and so may one
    /// that needs fewer products.
    pub ceiling_share: Option<f64>,
    /// For a matrix-vector product, where every weight is used once: billions of
    /// bytes of weights a second.
    pub weights_gb_per_s: Option<f64>,
    /// The same as a share of what the machine reads from memory. Weights that
    /// stay in a cache between runs may exceed 1.
    pub memory_share: Option<f64>,
}

/// What an op multiplies.
pub struct Work {
    name: String,
    op: &'static str,
    macs: u64,
    activations: Option<&'static str>,
    codec: Option<&'static str>,
    /// Bytes of weights, where every weight is used once.
    matvec_bytes: Option<u64>,
}

impl Work {
    /// Reads it off a step; `name` is the ONNX node's.
    pub fn of(step: &OpStep<'_>, name: &str) -> Work {
        let op = &step.record.op;
        let macs = op.macs(&step.operands);
        let x = step.operands.input(0).ok().filter(|_| macs > 0);
        let w = step.operands.input(1).ok().filter(|_| macs > 0);
        let matrix = op.weights(&step.operands);
        let once = matrix.and_then(|m| m.len()).map(|len| len as u64) == Some(macs);
        Work {
            name: name.to_owned(),
            op: op.name(),
            macs,
            activations: x.map(|x| match (x.dtype, x.qmax) {
                (DType::I8, 1..=63) => "i7",
                (dtype, _) => dtype.name(),
            }),
            codec: matrix.and(w).map(|w| w.codec.name()),
            matvec_bytes: w.filter(|_| once).map(|w| w.len),
        }
    }
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
    /// A line per op, in order.
    pub fn lines(&self, ops: impl Iterator<Item = Work>, ceiling: &Ceiling) -> Vec<Line> {
        let sum: f64 = self.totals.iter().map(Duration::as_secs_f64).sum();
        let runs = f64::from(self.runs.max(1));
        let ratio = |a: f64, b: f64| if b > 0.0 { a / b } else { 0.0 };
        ops.zip(&self.totals)
            .enumerate()
            .map(|(index, (work, total))| {
                let seconds = total.as_secs_f64() / runs;
                let gmac_per_s = ratio(work.macs as f64 / 1e9, seconds);
                let most = work.activations.and_then(|x| ceiling.gmac_per_s(x));
                let weights_gb_per_s = work.matvec_bytes.map(|b| ratio(b as f64 / 1e9, seconds));
                let memory = weights_gb_per_s.zip(ceiling.gb_per_s());
                Line {
                    index,
                    name: work.name,
                    op: work.op,
                    ms: seconds * 1e3,
                    share: ratio(total.as_secs_f64(), sum),
                    macs: work.macs,
                    gmac_per_s,
                    activations: work.activations,
                    codec: work.codec,
                    ceiling_share: most.map(|m| ratio(gmac_per_s, m)),
                    weights_gb_per_s,
                    memory_share: memory.map(|(ours, most)| ratio(ours, most)),
                }
            })
            .collect()
    }
}

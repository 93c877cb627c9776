//! How fast the product kernels are as one dimension grows and the others stay.

use crate::ceiling::Ceiling;
use crate::product::{Form, Product};
use crate::shapes::{Kind, Layer};
use crate::stats::time;
use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::Serialize;
use std::fmt::Write;
use std::time::Duration;
use tern_charts::{Level, Lines, Series, Unit};
use tern_kernels::Caps;
use ternrt::pool::ThreadPool;

/// What grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    /// Products in a sum: input channels times kernel positions.
    K,
    /// Outputs.
    N,
    /// Rows of activations: the pixels of a 1x1 convolution.
    Pixels,
    /// Threads.
    Threads,
}

/// The dimensions that stay: those of a layer in the middle of a network.
const BASE: Point = Point {
    k: 1024,
    n: 256,
    pixels: 196,
    threads: 1,
};

/// Sizes of one product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Point {
    /// Products in a sum.
    pub k: usize,
    /// Outputs.
    pub n: usize,
    /// Rows of activations.
    pub pixels: usize,
    /// Threads.
    pub threads: usize,
}

impl Axis {
    /// All of them.
    pub const ALL: [Axis; 4] = [Axis::K, Axis::N, Axis::Pixels, Axis::Threads];

    /// As on the command line.
    pub fn name(self) -> &'static str {
        ["k", "n", "pixels", "threads"][self as usize]
    }

    fn title(self) -> &'static str {
        [
            "products in a sum (K)",
            "outputs (N)",
            "rows of activations (pixels)",
            "threads",
        ][self as usize]
    }

    /// The points along it; `threads` at most so many threads.
    fn points(self, threads: usize) -> Vec<Point> {
        let doubling = |from: usize, to: usize| {
            std::iter::successors(Some(from), |n| Some(2 * n)).take_while(move |n| *n <= to)
        };
        match self {
            Axis::K => doubling(16, 8192).map(|k| Point { k, ..BASE }).collect(),
            Axis::N => doubling(16, 4096).map(|n| Point { n, ..BASE }).collect(),
            Axis::Pixels => doubling(1, 4096)
                .map(|pixels| Point { pixels, ..BASE })
                .collect(),
            Axis::Threads => (1..=threads)
                .map(|threads| Point { threads, ..BASE })
                .collect(),
        }
    }

    fn of(self, point: &Point) -> usize {
        match self {
            Axis::K => point.k,
            Axis::N => point.n,
            Axis::Pixels => point.pixels,
            Axis::Threads => point.threads,
        }
    }
}

/// One measured point in one form.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sample {
    /// Activations and weights.
    #[serde(flatten)]
    pub form: Form,
    /// Sizes.
    #[serde(flatten)]
    pub point: Point,
    /// Median time, milliseconds.
    pub ms: f64,
    /// Billions of multiply-accumulates a second.
    pub gmac_per_s: f64,
}

/// A whole sweep.
#[derive(Clone, Debug, Serialize)]
pub struct Sweep {
    /// What grows.
    pub axis: Axis,
    /// Instruction sets that were allowed.
    pub instruction_sets: String,
    /// What the machine could do, with one thread.
    pub ceiling: Ceiling,
    /// Every point in every form.
    pub samples: Vec<Sample>,
}

/// Measures along one axis, on at most `threads` threads.
///
/// # Errors
/// Threads that cannot start, or a shape that no kernel takes.
pub fn measure(
    axis: Axis,
    forms: &[Form],
    caps: Caps,
    threads: usize,
    ceiling: &Ceiling,
    budget: Duration,
) -> Result<Sweep> {
    let mut samples = Vec::new();
    for point in axis.points(threads) {
        let pool = ThreadPool::new(point.threads)
            .with_context(|| format!("cannot start {} threads", point.threads))?;
        let layer = Layer {
            kind: Kind::Gemm,
            size: point.pixels,
            inputs: point.k,
            outputs: point.n,
            kernel: 1,
            stride: 1,
            times: 1,
        };
        for &form in forms {
            let mut product = Product::new(&layer, form, caps, point.threads, 0)
                .with_context(|| format!("{} cannot hold {}", form.name(), layer.label()))?;
            let ms = time(budget, || product.run(&pool))?.median;
            samples.push(Sample {
                form,
                point,
                ms,
                gmac_per_s: layer.macs() as f64 / ms / 1e6,
            });
        }
    }
    Ok(Sweep {
        axis,
        instruction_sets: caps.to_string(),
        ceiling: ceiling.clone(),
        samples,
    })
}

impl Sweep {
    /// A line a sample, with a header.
    pub fn csv(&self) -> String {
        let mut text = String::from("activations,codec,k,n,pixels,threads,ms,gmac_per_s\n");
        for s in &self.samples {
            let (form, p) = (s.form, s.point);
            // A String takes everything.
            let _ = writeln!(
                text,
                "{},{},{},{},{},{},{:.6},{:.3}",
                form.activations.name(),
                form.codec.name(),
                p.k,
                p.n,
                p.pixels,
                p.threads,
                s.ms,
                s.gmac_per_s
            );
        }
        text
    }

    /// A picture.
    pub fn svg(&self) -> String {
        let stays: Vec<String> = Axis::ALL
            .iter()
            .filter(|a| **a != self.axis)
            .map(|a| format!("{} {}", a.name(), a.of(&BASE)))
            .collect();
        let mut series: Vec<Series> = Vec::new();
        for s in &self.samples {
            let at = [self.axis.of(&s.point) as f64, s.gmac_per_s];
            let name = s.form.name();
            match series.iter_mut().find(|known| known.name == name) {
                Some(known) => known.points.push(at),
                None => series.push(Series {
                    name,
                    points: vec![at],
                }),
            }
        }
        let level = |dtype: &str| {
            let at = self.ceiling.gmac_per_s(dtype)?;
            let name = format!("{dtype} multiply limit");
            Some(Level { name, at })
        };
        Lines {
            title: format!("Product kernels by {}", self.axis.name()),
            subtitle: format!("{}; {} kernels", stays.join(", "), self.instruction_sets),
            x_title: self.axis.title().to_owned(),
            y_title: "speed (GMAC/s)".to_owned(),
            width: tern_charts::WIDE,
            doubling_x: self.axis != Axis::Threads,
            from_zero: true,
            unit: Unit::Plain,
            series,
            // The limits are those of one thread.
            levels: match self.axis {
                Axis::Threads => Vec::new(),
                _ => ["f32", "i16", "i8"].into_iter().filter_map(level).collect(),
            },
        }
        .draw()
        .document()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_has_every_point_and_prints() {
        let ceiling = Ceiling::measure(1, Caps::detect());
        let caps = Caps::detect();
        let sweep = measure(
            Axis::Threads,
            &Form::PAIRS,
            caps,
            2,
            &ceiling,
            Duration::ZERO,
        )
        .unwrap();
        assert_eq!(sweep.samples.len(), 2 * Form::PAIRS.len());
        assert_eq!(sweep.csv().lines().count(), 1 + sweep.samples.len());
        let svg = sweep.svg();
        for form in Form::PAIRS {
            assert!(svg.contains(&form.name()), "{}", form.name());
        }
    }

    #[test]
    fn points_vary_in_one_dimension() {
        for axis in Axis::ALL {
            let points = axis.points(4);
            assert!(points.len() >= 4);
            for other in Axis::ALL.iter().filter(|a| **a != axis) {
                assert!(points.iter().all(|p| other.of(p) == other.of(&BASE)));
            }
            assert!(points.is_sorted_by_key(|p| axis.of(p)));
        }
    }
}

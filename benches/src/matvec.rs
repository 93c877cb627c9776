//! Matrix-vector products whose weights come from memory, as when a language
//! model generates a token: there the memory's rate is the limit, not the
//! multiplications.

use crate::ceiling::{Ceiling, beyond_caches};
use crate::product::{Form, Product};
use crate::shapes::Layer;
use crate::stats::time;
use anyhow::{Result, bail};
use serde::Serialize;
use std::time::Duration;
use tern_kernels::{Caps, ParallelFor};

/// One shape in one form. A run begins with f32 activations, finds their scale
/// and quantises them, and ends with f32 outputs.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// Rows of the matrix.
    pub outputs: usize,
    /// Columns of the matrix.
    pub inputs: usize,
    /// Activations and weights.
    #[serde(flatten)]
    pub form: Form,
    /// Threads.
    pub threads: usize,
    /// Bytes of the matrix.
    pub weight_bytes: usize,
    /// Median time, microseconds.
    pub us: f64,
    /// Billions of multiply-accumulates a second.
    pub gmac_per_s: f64,
    /// Billions of bytes of weights a second.
    pub gb_per_s: f64,
    /// The same as a share of what the machine reads, measured in the same run.
    pub memory_share: f64,
}

/// Measures every shape in every form; each run takes the next of so many
/// copies of the weights that no cache holds them.
///
/// # Errors
/// A form that a shape cannot have.
pub fn measure(
    layers: &[Layer],
    forms: &[Form],
    caps: Caps,
    par: &dyn ParallelFor,
    ceiling: &Ceiling,
    budget: Duration,
) -> Result<Vec<Line>> {
    let threads = par.threads();
    let mut lines = Vec::new();
    for layer in layers {
        for form in forms {
            let form = Form {
                quantise: true,
                ..*form
            };
            let Some(mut product) = Product::new(layer, form, caps, threads, beyond_caches())
            else {
                bail!("{} cannot hold {}", form.name(), layer.label());
            };
            let ms = time(budget, || product.run(par))?.median;
            let gb_per_s = product.weight_bytes() as f64 / ms / 1e6;
            lines.push(Line {
                outputs: layer.outputs,
                inputs: layer.inputs,
                form,
                threads,
                weight_bytes: product.weight_bytes(),
                us: ms * 1e3,
                gmac_per_s: layer.macs() as f64 / ms / 1e6,
                gb_per_s,
                memory_share: ceiling.gb_per_s().map_or(0.0, |most| gb_per_s / most),
            });
        }
    }
    Ok(lines)
}

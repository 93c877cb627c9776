//! The layers of a network one by one, with dense and with one-bit weights: what
//! a layer gains by the codec, in the same run.

use crate::ceiling::Ceiling;
use crate::product::{Form, Product};
use crate::shapes::{Kind, Network};
use crate::stats::{summarise, time};
use anyhow::Result;
use serde::Serialize;
use std::time::Duration;
use tern_kernels::{Caps, ParallelFor};

/// Measurements of a layer in each form, one after another, of which the median
/// counts.
const ROUNDS: usize = 5;

/// One layer in one form.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// The network.
    pub network: String,
    /// Kernel, size and channels.
    pub layer: String,
    /// Activations and weights.
    #[serde(flatten)]
    pub form: Form,
    /// Threads.
    pub threads: usize,
    /// Median time, microseconds.
    pub us: f64,
    /// Billions of multiply-accumulates a second.
    pub gmac_per_s: f64,
    /// The same as a share of the fastest multiply loop for these activations.
    pub limit_share: f64,
    /// How many times as fast as the same layer in the first form.
    pub times_faster_than_first: f64,
}

/// Measures each convolution and matrix product of a network that every form can
/// hold.
///
/// # Errors
/// Those of a kernel that refuses the layer.
pub fn measure(
    network: &Network,
    forms: &[Form],
    caps: Caps,
    par: &dyn ParallelFor,
    ceiling: &Ceiling,
    budget: Duration,
) -> Result<Vec<Line>> {
    let threads = par.threads();
    let mut lines = Vec::new();
    for layer in network.layer.iter().filter(|l| l.kind != Kind::Depthwise) {
        let products: Option<Vec<Product>> = forms
            .iter()
            .map(|form| Product::new(layer, *form, caps, threads, 0))
            .collect();
        let Some(mut products) = products else {
            continue;
        };
        let mut times = vec![Vec::new(); forms.len()];
        for _ in 0..ROUNDS {
            for (product, times) in products.iter_mut().zip(&mut times) {
                times.push(time(budget / ROUNDS as u32, || product.run(par))?.median);
            }
        }
        let medians: Vec<f64> = times
            .into_iter()
            .filter_map(|t| Some(summarise(t)?.median))
            .collect();
        for (form, ms) in forms.iter().zip(&medians) {
            let gmac_per_s = layer.macs() as f64 / ms / 1e6;
            let limit = ceiling.gmac_per_s(form.activations.name());
            lines.push(Line {
                network: network.name.clone(),
                layer: layer.label(),
                form: *form,
                threads,
                us: ms * 1e3,
                gmac_per_s,
                limit_share: limit.map_or(0.0, |most| gmac_per_s / most),
                times_faster_than_first: medians[0] / ms,
            });
        }
    }
    Ok(lines)
}

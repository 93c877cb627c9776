//! Integers and scales for weights that are floats.

use crate::ir::{Scaled, Tensor};

/// As BitNet b1.58 (Ma et al. 2024, arXiv:2402.17764, equations 1 to 3): the
/// scale is the mean magnitude of the whole tensor, each weight is divided by
/// it, rounded (half to even, as PyTorch rounds) and clipped to -1..1. `None` for weights that are not f32 or not finite.
pub fn absmean(weights: &Tensor) -> Option<Scaled> {
    let values = weights.as_f32()?;
    let outputs = *weights.shape.first()?;
    let sum: f64 = values.iter().map(|v| f64::from(v.abs())).sum();
    let scale = (sum / values.len().max(1) as f64) as f32;
    if !scale.is_finite() {
        return None;
    }
    let trit = |v: f32| {
        if scale > 0.0 {
            (v / scale).round_ties_even().clamp(-1.0, 1.0) as i8
        } else {
            0
        }
    };
    Some(Scaled {
        shape: weights.shape.clone(),
        values: values.iter().map(|&v| trit(v)).collect(),
        scale: vec![scale; outputs],
    })
}

/// [`tern_network::fit::threshold`] for each output. `None` for weights that are
/// not f32 or not finite.
pub fn threshold(weights: &Tensor) -> Option<Scaled> {
    each_output(weights, tern_network::fit::threshold)
}

/// [`tern_network::fit::one_of_two`] for each output, of pairs of consecutive
/// input channels (the last dimension). `None` for weights that are not f32 or
/// not finite, or whose channels make no pairs.
pub fn one_of_two(weights: &Tensor) -> Option<Scaled> {
    if !weights.shape.last()?.is_multiple_of(2) {
        return None;
    }
    each_output(weights, |row, trits| {
        tern_network::fit::one_of_two(row, 1, trits)
    })
}

/// [`tern_network::fit::three_of_four`] for each output, of fours of consecutive
/// input channels (the last dimension). `None` for weights that are not f32 or
/// not finite, or whose channels make no fours.
pub fn three_of_four(weights: &Tensor) -> Option<Scaled> {
    if !weights.shape.last()?.is_multiple_of(4) {
        return None;
    }
    each_output(weights, |row, trits| {
        tern_network::fit::three_of_four(row, 1, trits)
    })
}

/// [`tern_network::fit::int8`] for each output. `None` for weights that are not
/// f32 or not finite.
pub fn int8(weights: &Tensor) -> Option<Scaled> {
    each_output(weights, tern_network::fit::int8)
}

/// A fit that writes the integers of one output and returns their scale.
fn each_output(weights: &Tensor, fit: impl Fn(&[f32], &mut [i8]) -> f32) -> Option<Scaled> {
    let values = weights.as_f32()?;
    let outputs = *weights.shape.first()?;
    let per_output = values.len().checked_div(outputs)?.max(1);
    if values.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let mut integers = vec![0i8; values.len()];
    let rows = values.chunks_exact(per_output);
    let scale = rows
        .zip(integers.chunks_exact_mut(per_output))
        .map(|(row, integers)| fit(row, integers))
        .collect();
    Some(Scaled {
        shape: weights.shape.clone(),
        values: integers,
        scale,
    })
}

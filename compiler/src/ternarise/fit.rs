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

/// The threshold and scale of Ternary Weight Networks (Li, Zhang and Liu 2016,
/// arXiv:1605.04711), for each output, as the exact minimum of the squared
/// error and not by the 0.7 rule of that paper.
///
/// If the `k` largest magnitudes stay, the best scale is their mean `S_k / k`,
/// and the error is `|w|^2 - S_k^2 / k`: sort, and take the `k` with the largest
/// `S_k^2 / k`. `None` for weights that are not f32 or not finite.
pub fn threshold(weights: &Tensor) -> Option<Scaled> {
    let values = weights.as_f32()?;
    let outputs = *weights.shape.first()?;
    let per_output = values.len().checked_div(outputs)?;
    if values.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let mut scale = Vec::with_capacity(outputs);
    let mut trits = vec![0i8; values.len()];
    for (row, trits) in values
        .chunks_exact(per_output.max(1))
        .zip(trits.chunks_exact_mut(per_output.max(1)))
    {
        let mut order: Vec<usize> = (0..row.len()).collect();
        order.sort_by(|&a, &b| row[b].abs().total_cmp(&row[a].abs()));
        let (mut sum, mut best, mut keep, mut mean) = (0f64, 0f64, 0, 0f64);
        for (i, &at) in order.iter().enumerate() {
            sum += f64::from(row[at].abs());
            let gain = sum * sum / (i + 1) as f64;
            if gain > best {
                (best, keep, mean) = (gain, i + 1, sum / (i + 1) as f64);
            }
        }
        for &at in &order[..keep] {
            trits[at] = if row[at] > 0.0 { 1 } else { -1 };
        }
        scale.push(mean as f32);
    }
    Some(Scaled {
        shape: weights.shape.clone(),
        values: trits,
        scale,
    })
}

/// Of each two consecutive input channels (the last dimension) the weight with
/// the larger magnitude stays, the first where they are equal, as plus or minus
/// the mean magnitude of those of its output that stay. `None` for weights that
/// are not f32 or not finite, or whose channels make no pairs.
pub fn one_of_two(weights: &Tensor) -> Option<Scaled> {
    let values = weights.as_f32()?;
    let outputs = *weights.shape.first()?;
    let per_output = values.len().checked_div(outputs)?.max(1);
    if values.iter().any(|v| !v.is_finite()) || !weights.shape.last()?.is_multiple_of(2) {
        return None;
    }
    let mut scale = Vec::with_capacity(outputs);
    let mut trits = vec![0i8; values.len()];
    for (row, trits) in values
        .chunks_exact(per_output)
        .zip(trits.chunks_exact_mut(per_output))
    {
        let mut sum = 0f64;
        for (pair, trits) in row
            .as_chunks::<2>()
            .0
            .iter()
            .zip(trits.as_chunks_mut::<2>().0)
        {
            let stays = (pair[1].abs() > pair[0].abs()) as usize;
            trits[stays] = if pair[stays] < 0.0 { -1 } else { 1 };
            sum += f64::from(pair[stays].abs());
        }
        scale.push((2.0 * sum / per_output as f64) as f32);
    }
    Some(Scaled {
        shape: weights.shape.clone(),
        values: trits,
        scale,
    })
}

/// 8-bit weights, symmetric, one scale an output: its largest magnitude over 127.
/// Rounded half to even. `None` for weights that are not f32 or not finite.
pub fn int8(weights: &Tensor) -> Option<Scaled> {
    let values = weights.as_f32()?;
    let outputs = *weights.shape.first()?;
    let per_output = values.len().checked_div(outputs)?.max(1);
    if values.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let mut scale = Vec::with_capacity(outputs);
    let mut integers = Vec::with_capacity(values.len());
    for row in values.chunks_exact(per_output) {
        let largest = row.iter().fold(0f32, |max, v| max.max(v.abs()));
        let s = largest / 127.0;
        // Weights too small to divide by their scale are zero.
        let s = if s.is_normal() { s } else { 0.0 };
        scale.push(s);
        integers.extend(row.iter().map(|v| {
            let q = if s > 0.0 { v / s } else { 0.0 };
            q.round_ties_even().clamp(-127.0, 127.0) as i8
        }));
    }
    Some(Scaled {
        shape: weights.shape.clone(),
        values: integers,
        scale,
    })
}

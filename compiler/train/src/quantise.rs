//! Weights as integers times a scale.

use crate::policy::{Policy, Weights};
use crate::{Error, Result, Tensors};
use tern_network::{Layer, Network, Role, fit};

/// Writes the integers that stand for the weights of one output, 8-bit ones for dense
/// weights, and returns their scale.
pub(crate) fn integers(weights: &[f32], taps: usize, kind: Weights, out: &mut [i8]) -> f32 {
    match kind {
        Weights::T2 => fit::mean_threshold(weights, out),
        Weights::N12 => fit::one_of_two(weights, taps, out),
        Weights::N34 => fit::three_of_four(weights, taps, out),
        Weights::F32 => fit::int8(weights, out),
    }
}

/// Writes the weights that stand for these of a layer, `[outputs, ...]` in
/// PyTorch's order, and each output's scale. Dense ones become 8-bit integers times
/// a scale if `int8`.
pub fn quantise(
    weights: &[f32],
    outputs: usize,
    taps: usize,
    kind: Weights,
    int8: bool,
    out: &mut [f32],
    scales: &mut [f32],
) {
    let each = weights.len() / outputs.max(1);
    let mut row = vec![0i8; each];
    let rows = weights.chunks_exact(each).zip(out.chunks_exact_mut(each));
    for ((w, out), scale) in rows.zip(scales) {
        if kind == Weights::F32 && !int8 {
            out.copy_from_slice(w);
            continue;
        }
        *scale = integers(w, taps, kind, &mut row);
        for (out, q) in out.iter_mut().zip(&row) {
            *out = f32::from(*q) * *scale;
        }
    }
}

/// The taps of a layer's weights: how far apart consecutive input channels are.
pub(crate) fn taps(layer: &Layer) -> usize {
    match layer {
        Layer::Conv2d(c) => c.kernel * c.kernel,
        _ => 1,
    }
}

/// Makes the weights of a network ternary as `policy` says; other parameters stay
/// as they are. What a loop of one's own calls before it evaluates, exports or
/// compiles.
///
/// # Errors
/// A weight that is missing or of another length.
pub fn quantise_weights(network: &Network, policy: &Policy, tensors: &mut Tensors) -> Result<()> {
    for (node, kind) in network.nodes().iter().zip(&policy.weights) {
        if *kind == Weights::F32 {
            continue;
        }
        for parameter in node.parameters().filter(|p| p.role == Role::Weight) {
            let tensor = tensors
                .get_mut(&parameter.name)
                .filter(|t| t.data.len() == parameter.len())
                .ok_or_else(|| {
                    Error::new(format!(
                        "there is no weight {:?} of its size",
                        parameter.name
                    ))
                })?;
            let dense = tensor.data.clone();
            let outputs = parameter.shape[0];
            let mut scales = vec![0.0; outputs];
            let taps = taps(&node.layer);
            quantise(
                &dense,
                outputs,
                taps,
                *kind,
                false,
                &mut tensor.data,
                &mut scales,
            );
        }
    }
    Ok(())
}

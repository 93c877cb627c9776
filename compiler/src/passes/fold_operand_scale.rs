//! A multiplication, division, addition or subtraction of one constant per
//! input channel before a product becomes part of its weights and bias, such as
//! the normalisation of an image.
//!
//! A shift folds only where every sum meets all of its operands: padding is
//! zero behind the shift, not before it. Ternary weights take a common gain
//! only, or they would be ternary no longer.

use super::affine::{Affine, affine};
use super::{f32_constant, sole_producer};
use crate::ir::{Constant, Graph, Node, Op, Tensor};
use crate::ops::has_weights;
use crate::ternarise::detect;
use anyhow::Result;
use ternrt::kernels::eltwise::UnaryKind;

pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    let mut changed = false;
    let mut n = 0;
    while n < graph.nodes.len() {
        if fold(graph, n).is_some() {
            changed = true;
            n -= 1; // the step is gone: the product again, there may be one more
        } else {
            n += 1;
        }
    }
    Ok(changed)
}

/// Folds the step before product `n`, or before the transpose before it.
fn fold(graph: &mut Graph, n: usize) -> Option<()> {
    let node = &graph.nodes[n];
    if !has_weights(&node.op) {
        return None;
    }
    let x = node.inputs[0]?;
    let (producers, consumers) = (graph.producers(), graph.consumers());
    let mut before = sole_producer(&producers, &consumers, x)?;
    let (mut reader, mut perm) = (n, None);
    if let Op::Transpose(op) = &graph.nodes[before].op {
        perm = Some(op.perm.map(usize::from));
        (reader, before) = (
            before,
            sole_producer(&producers, &consumers, graph.nodes[before].inputs[0]?)?,
        );
    }
    let rank = graph.ty(x).shape.len();
    let step_node = &graph.nodes[before];
    let Op::BinaryOp(op) = step_node.op else {
        return None;
    };
    if op.activation.kind != UnaryKind::Identity {
        return None;
    }
    let step = affine(graph, step_node, perm.as_ref().map(|p| &p[..rank]))?;
    let w = node.inputs[1]?;
    let weights = f32_constant(graph, w)?;
    let shape = graph.ty(w).shape.clone();
    let outputs = *shape.first()?;
    let shifts = step.shift.iter().any(|&s| s != 0.0);
    if shifts && !meets_all_operands(&node.op) {
        return None;
    }
    let common = step.gain.iter().all(|g| *g == step.gain[0]);
    let dense = Constant::Dense(Tensor::f32(shape.clone(), weights.to_vec()));
    if let (Constant::Dense(tensor), false) = (&dense, common)
        && !matches!(node.op, Op::DepthwiseConv2d(_))
        && detect(tensor).is_some()
    {
        return None;
    }
    let old_bias = match node.inputs.get(2).copied().flatten() {
        None => vec![0.0; outputs],
        Some(id) => f32_constant(graph, id)?.to_vec(),
    };
    let channel = channels_of_weights(node, &shape, &step)?;
    let scaled: Vec<f32> = weights
        .iter()
        .enumerate()
        .map(|(i, v)| v * step.gain[channel(i)])
        .collect();
    let each = weights.len() / outputs.max(1);
    let added = |o: usize| -> f64 {
        (o * each..(o + 1) * each)
            .map(|i| f64::from(weights[i]) * f64::from(step.shift[channel(i)]))
            .sum()
    };
    let bias = shifts.then(|| {
        let sum = |(o, b): (usize, &f32)| (f64::from(*b) + added(o)) as f32;
        old_bias.iter().enumerate().map(sum).collect::<Vec<f32>>()
    });
    if step.gain.iter().any(|&g| g != 1.0) {
        let name = graph.value(w).name.clone();
        let id = graph.add_constant(&name, Constant::Dense(Tensor::f32(shape, scaled)));
        graph.nodes[n].inputs[1] = Some(id);
    }
    if let Some(bias) = bias {
        super::set_bias(graph, n, bias);
    }
    graph.nodes[reader].inputs[0] = Some(step.x);
    graph.nodes.remove(before);
    Some(())
}

/// Whether every sum has all of its terms: there is no padding.
fn meets_all_operands(op: &Op) -> bool {
    match op {
        Op::Conv2d(op) => !op.transposed && op.pads == [0; 4],
        Op::DepthwiseConv2d(op) => op.pads == [0; 4],
        _ => true,
    }
}

/// The input channel that a weight meets, by the weight's index.
fn channels_of_weights(
    node: &Node,
    shape: &[usize],
    step: &Affine,
) -> Option<impl Fn(usize) -> usize + use<>> {
    let inner = *shape.last()?;
    let each: usize = shape.iter().skip(1).product();
    // Weights of outputs in the same group meet the same channels.
    let outputs_in_group = match &node.op {
        Op::Conv2d(op) => shape.first()?.checked_div(op.group as usize)?,
        Op::DepthwiseConv2d(_) => 1,
        _ => *shape.first()?,
    };
    let last = (each > 0 && outputs_in_group > 0)
        .then(|| (shape[0] - 1) / outputs_in_group * inner + inner - 1)?;
    (last < step.gain.len()).then_some(move |i| i / each / outputs_in_group * inner + i % inner)
}

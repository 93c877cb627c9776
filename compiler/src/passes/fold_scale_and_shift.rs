//! A multiplication, division, addition or subtraction of one constant per
//! output channel behind a product becomes part of its weights and bias: what
//! batch norms are at inference.
//!
//! All weights of an output are multiplied by the same number, so those that
//! were -a, 0 or a stay so.

use super::{f32_constant, is_bare_product, sole_producer};
use crate::ir::{Constant, Graph, Tensor};
use anyhow::Result;
use ternrt::kernels::eltwise::{BinaryKind, UnaryKind};

/// One number for each of `channels` outputs, if the constant is spread over
/// the last axis only.
fn per_channel(graph: &Graph, id: crate::ir::ValueId, channels: usize) -> Option<Vec<f32>> {
    let values = f32_constant(graph, id)?;
    let shape = &graph.ty(id).shape;
    let leading = shape
        .split_last()
        .map_or(1, |(_, l)| l.iter().product::<usize>());
    match values {
        [one] => Some(vec![*one; channels]),
        _ if values.len() == channels && leading == 1 => Some(values.to_vec()),
        _ => None,
    }
}

/// The sum or product with a constant, as `y = gain * x + shift`, for each channel.
struct Affine {
    gain: Vec<f32>,
    shift: Vec<f32>,
}

fn affine(kind: BinaryKind, constant_first: bool, c: Vec<f32>) -> Option<Affine> {
    let n = c.len();
    let same = |v: f32| vec![v; n];
    Some(match (kind, constant_first) {
        (BinaryKind::Mul, _) => Affine {
            gain: c,
            shift: same(0.0),
        },
        (BinaryKind::Div, false) => Affine {
            gain: c.iter().map(|c| 1.0 / c).collect(),
            shift: same(0.0),
        },
        (BinaryKind::Add, _) => Affine {
            gain: same(1.0),
            shift: c,
        },
        (BinaryKind::Sub, false) => Affine {
            gain: same(1.0),
            shift: c.iter().map(|c| -c).collect(),
        },
        (BinaryKind::Sub, true) => Affine {
            gain: same(-1.0),
            shift: c,
        },
        _ => return None,
    })
}

pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    let mut changed = false;
    let mut n = 0;
    while n < graph.nodes.len() {
        changed |= fold(graph, n);
        n += 1;
    }
    Ok(changed)
}

/// Folds node `n` into the product before it, if it is such a step.
fn fold(graph: &mut Graph, n: usize) -> bool {
    let node = &graph.nodes[n];
    let crate::ir::Op::BinaryOp(op) = node.op else {
        return false;
    };
    let [Some(a), Some(b)] = node.inputs[..] else {
        return false;
    };
    let (x, c, constant_first) = match (graph.constant(a), graph.constant(b)) {
        (None, Some(_)) => (a, b, false),
        (Some(_), None) => (b, a, true),
        _ => return false,
    };
    let y = node.outputs[0];
    let (producers, consumers) = (graph.producers(), graph.consumers());
    let Some(p) = sole_producer(&producers, &consumers, x) else {
        return false;
    };
    if !is_bare_product(&graph.nodes[p]) || graph.ty(x) != graph.ty(y) {
        return false;
    }
    let Some(&channels) = graph.ty(y).shape.last() else {
        return false;
    };
    let Some(w) = graph.nodes[p].inputs[1] else {
        return false;
    };
    let Some(weights) = f32_constant(graph, w).map(<[f32]>::to_vec) else {
        return false;
    };
    let old_bias = match graph.nodes[p].inputs.get(2).copied().flatten() {
        None => vec![0.0; channels],
        Some(id) => match f32_constant(graph, id) {
            Some(bias) => bias.to_vec(),
            None => return false,
        },
    };
    let Some(step) =
        per_channel(graph, c, channels).and_then(|c| affine(op.function, constant_first, c))
    else {
        return false;
    };
    if step.gain.iter().any(|&g| g != 1.0) {
        let shape = graph.ty(w).shape.clone();
        let each = weights.len() / channels.max(1);
        let scaled = weights
            .iter()
            .enumerate()
            .map(|(i, v)| v * step.gain[i / each])
            .collect();
        let name = graph.value(w).name.clone();
        let id = graph.add_constant(&name, Constant::Dense(Tensor::f32(shape, scaled)));
        graph.nodes[p].inputs[1] = Some(id);
    }
    let bias = (0..channels)
        .map(|i| old_bias[i] * step.gain[i] + step.shift[i])
        .collect();
    let name = format!("{}.bias", graph.nodes[p].name);
    let id = graph.add_constant(&name, Constant::Dense(Tensor::f32(vec![channels], bias)));
    let product = &mut graph.nodes[p];
    product.inputs.resize(3.max(product.inputs.len()), None);
    product.inputs[2] = Some(id);
    product.outputs[0] = y;
    if let Some(activation) = super::activation(&mut product.op) {
        *activation = op.activation;
    }
    debug_assert!(op.activation.kind == UnaryKind::Identity || !is_bare_product(&graph.nodes[p]));
    graph.nodes.remove(n);
    true
}

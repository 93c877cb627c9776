//! A multiplication, division, addition or subtraction of one constant per
//! output channel behind a product becomes part of its weights and bias: what
//! batch norms are at inference.
//!
//! All weights of an output are multiplied by the same number, so those that
//! were -a, 0 or a stay so.

use super::affine::affine;
use super::{f32_constant, is_bare_product, sole_producer};
use crate::ir::{Constant, Graph, Op, Tensor};
use anyhow::Result;

pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    let mut changed = false;
    let mut n = 0;
    while n < graph.nodes.len() {
        if fold(graph, n).is_some() {
            changed = true; // what followed is node n now
        } else {
            n += 1;
        }
    }
    Ok(changed)
}

/// Folds node `n` into the product before it, if it is such a step.
fn fold(graph: &mut Graph, n: usize) -> Option<()> {
    let node = &graph.nodes[n];
    let Op::BinaryOp(op) = node.op else {
        return None;
    };
    let (step, y) = (affine(graph, node, None)?, node.outputs[0]);
    let p = sole_producer(&graph.producers(), &graph.consumers(), step.x)?;
    if !is_bare_product(&graph.nodes[p]) {
        return None;
    }
    let channels = step.gain.len();
    let w = graph.nodes[p].inputs[1]?;
    let weights = f32_constant(graph, w)?;
    let old_bias = match graph.nodes[p].inputs.get(2).copied().flatten() {
        None => vec![0.0; channels],
        Some(id) => f32_constant(graph, id)?.to_vec(),
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
    super::set_bias(graph, p, bias);
    let product = &mut graph.nodes[p];
    product.outputs[0] = y;
    if let Some(activation) = super::activation(&mut product.op) {
        *activation = op.activation;
    }
    graph.nodes.remove(n);
    Some(())
}

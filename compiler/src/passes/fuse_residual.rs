//! The addition of another value of the same shape becomes the residual of the
//! product that computes one of the two.

use super::{activation, is_bare_product, sole_producer};
use crate::ir::{Graph, Op};
use anyhow::Result;
use ternrt::DType;
use ternrt::kernels::eltwise::BinaryKind;

pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    let mut changed = false;
    let mut n = 0;
    while n < graph.nodes.len() {
        if fuse(graph, n) {
            changed = true; // a node before n is gone: n is the next one already
        } else {
            n += 1;
        }
    }
    Ok(changed)
}

/// Puts the product into the addition's place, where both operands are there.
fn fuse(graph: &mut Graph, n: usize) -> bool {
    let node = &graph.nodes[n];
    let Op::BinaryOp(op) = node.op else {
        return false;
    };
    let [Some(a), Some(b)] = node.inputs[..] else {
        return false;
    };
    let y = graph.ty(node.outputs[0]);
    let same = graph.ty(a) == y && graph.ty(b) == y && y.dtype == DType::F32;
    if op.function != BinaryKind::Add || !same || a == b {
        return false;
    }
    let (producers, consumers) = (graph.producers(), graph.consumers());
    let product =
        |x| sole_producer(&producers, &consumers, x).filter(|&p| is_bare_product(&graph.nodes[p]));
    // The later of two products: the other's result is there already.
    let candidates = [(a, b), (b, a)]
        .into_iter()
        .filter_map(|(x, other)| Some((product(x)?, other)));
    let Some((p, other)) = candidates.max_by_key(|(p, _)| *p) else {
        return false;
    };
    let mut fused = graph.nodes[p].clone();
    fused.inputs.resize(4, None);
    fused.inputs[3] = Some(other);
    fused.outputs[0] = graph.nodes[n].outputs[0];
    if let Some(last) = activation(&mut fused.op) {
        *last = op.activation;
    }
    graph.nodes[n] = fused;
    graph.nodes.remove(p);
    true
}

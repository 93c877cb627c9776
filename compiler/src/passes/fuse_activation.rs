//! An f32 function of one operand becomes the activation of the product or
//! binary op before it.

use super::{activation, sole_producer};
use crate::ir::{Graph, Op};
use anyhow::Result;
use ternrt::DType;
use ternrt::kernels::eltwise::UnaryKind;

pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    let mut changed = false;
    let mut n = 0;
    while n < graph.nodes.len() {
        if fuse(graph, n) {
            changed = true;
        } else {
            n += 1;
        }
    }
    Ok(changed)
}

fn fuse(graph: &mut Graph, n: usize) -> bool {
    let Op::UnaryOp(op) = graph.nodes[n].op else {
        return false;
    };
    let (Some(x), y) = (graph.nodes[n].inputs[0], graph.nodes[n].outputs[0]) else {
        return false;
    };
    if graph.ty(x).dtype != DType::F32 || op.function.kind == UnaryKind::Not {
        return false;
    }
    let (producers, consumers) = (graph.producers(), graph.consumers());
    let Some(p) = sole_producer(&producers, &consumers, x) else {
        return false;
    };
    match activation(&mut graph.nodes[p].op) {
        Some(last) if last.kind == UnaryKind::Identity => *last = op.function,
        _ => return false,
    }
    graph.nodes[p].outputs[0] = y;
    graph.nodes.remove(n);
    true
}

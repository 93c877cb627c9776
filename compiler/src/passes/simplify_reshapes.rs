//! A transpose that only moves dimensions of one element becomes a reshape, and
//! a reshape of a reshape one reshape of the first operand.

use crate::ir::{Graph, Op};
use anyhow::Result;
use std::collections::HashMap;
use ternrt::ops::table::Reshape;

pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    let mut changed = false;
    // What each reshape's result was made from.
    let mut origin = HashMap::new();
    for n in 0..graph.nodes.len() {
        let Some(x) = graph.nodes[n].inputs.first().copied().flatten() else {
            continue;
        };
        if let Op::Transpose(op) = graph.nodes[n].op {
            let shape = &graph.ty(x).shape;
            let moved: Vec<u8> = op.perm[..shape.len()]
                .iter()
                .copied()
                .filter(|&p| shape[p as usize] != 1)
                .collect();
            if moved.is_sorted() {
                graph.nodes[n].op = Reshape {}.into();
                changed = true;
            }
        }
        if let Op::Reshape(_) = graph.nodes[n].op {
            let from = origin.get(&x).copied().unwrap_or(x);
            if from != x {
                graph.nodes[n].inputs[0] = Some(from);
                changed = true;
            }
            origin.insert(graph.nodes[n].outputs[0], from);
        }
    }
    Ok(changed)
}

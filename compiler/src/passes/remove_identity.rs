//! Removes ops whose result is their operand.

use crate::ir::{Graph, Node, Op};
use anyhow::Result;
use ternrt::kernels::eltwise::{BinaryKind, UnaryKind};

/// The operand that the node's result equals, by position.
fn same_as(graph: &Graph, node: &Node) -> Option<usize> {
    let x = graph.ty(node.inputs.first().copied().flatten()?);
    let y = graph.ty(*node.outputs.first()?);
    let constant = |i: usize, value: f32| {
        let id = node.inputs.get(i).copied().flatten()?;
        super::f32_constant(graph, id)?
            .iter()
            .all(|&v| v == value)
            .then_some(1 - i)
    };
    let unchanged = match &node.op {
        Op::UnaryOp(op) => op.function.kind == UnaryKind::Identity,
        Op::Cast(_) | Op::Reshape(_) | Op::Broadcast(_) => true,
        Op::Slice(op) => op.start.iter().all(|&s| s == 0) && op.step.iter().all(|&s| s == 1),
        Op::Pad(op) => op.before.iter().all(|&b| b == 0),
        Op::Concat(_) => node.inputs.iter().flatten().count() == 1,
        Op::BinaryOp(op) if op.activation.kind == UnaryKind::Identity => {
            // x + 0 would turn -0 into 0: equal, and nothing downstream can tell but 1 / x.
            let other = match op.function {
                BinaryKind::Mul => constant(1, 1.0).or_else(|| constant(0, 1.0)),
                BinaryKind::Div => constant(1, 1.0),
                BinaryKind::Add => constant(1, 0.0).or_else(|| constant(0, 0.0)),
                BinaryKind::Sub => constant(1, 0.0),
                _ => None,
            }?;
            let id = node.inputs[other]?;
            return (graph.ty(id) == y).then_some(other);
        }
        _ => false,
    };
    (unchanged && x == y).then_some(0)
}

pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    let mut changed = false;
    for n in 0..graph.nodes.len() {
        let Some(i) = same_as(graph, &graph.nodes[n]) else {
            continue;
        };
        let (Some(from), to) = (graph.nodes[n].inputs[i], graph.nodes[n].outputs[0]) else {
            continue;
        };
        if graph.consumers()[to.0].is_empty() {
            continue; // replaced before; remove_dead takes it
        }
        graph.replace_uses(to, from);
        changed = true;
    }
    Ok(changed)
}

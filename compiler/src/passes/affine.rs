//! Steps `y = gain * x + shift` with constants for each channel, the last
//! dimension: the parts that a batch norm is exported as.

use super::f32_constant;
use crate::ir::{Graph, Node, Op, ValueId};
use ternrt::kernels::eltwise::BinaryKind;

/// Such a step.
pub(super) struct Affine {
    /// The operand that is not constant.
    pub x: ValueId,
    /// Factor of each channel.
    pub gain: Vec<f32>,
    /// What is added to each channel, after the factor.
    pub shift: Vec<f32>,
}

/// The step that a node is, if its result has its operand's type and all
/// numbers are finite. `perm` is that of a transpose behind the node, by which
/// the channels become the last dimension.
pub(super) fn affine(graph: &Graph, node: &Node, perm: Option<&[usize]>) -> Option<Affine> {
    let Op::BinaryOp(op) = node.op else {
        return None;
    };
    let [Some(a), Some(b)] = node.inputs[..] else {
        return None;
    };
    let (x, c, constant_first) = match (graph.constant(a), graph.constant(b)) {
        (None, Some(_)) => (a, b, false),
        (Some(_), None) => (b, a, true),
        _ => return None,
    };
    if graph.ty(x) != graph.ty(node.outputs[0]) {
        return None;
    }
    let c = per_channel(graph, c, x, perm)?;
    let same = |v: f32| vec![v; c.len()];
    let (gain, shift) = match (op.function, constant_first) {
        (BinaryKind::Mul, _) => (c.clone(), same(0.0)),
        (BinaryKind::Div, false) => (c.iter().map(|c| 1.0 / c).collect(), same(0.0)),
        (BinaryKind::Add, _) => (same(1.0), c),
        (BinaryKind::Sub, false) => (same(1.0), c.iter().map(|c| -c).collect()),
        (BinaryKind::Sub, true) => (same(-1.0), c),
        _ => return None,
    };
    let finite = gain.iter().chain(&shift).all(|v| v.is_finite());
    finite.then_some(Affine { x, gain, shift })
}

/// One number for each channel of `x`, if the constant varies along that dimension only.
fn per_channel(
    graph: &Graph,
    constant: ValueId,
    x: ValueId,
    perm: Option<&[usize]>,
) -> Option<Vec<f32>> {
    let values = f32_constant(graph, constant)?;
    let (shape, x) = (&graph.ty(constant).shape, &graph.ty(x).shape);
    let last = x.len().checked_sub(1)?;
    let axis = perm.map_or(last, |p| p[last]);
    // Shapes align at the right.
    let missing = x.len().checked_sub(shape.len())?;
    match values {
        [one] => Some(vec![*one; x[axis]]),
        _ => {
            let varies = |&(i, &d): &(usize, &usize)| d != 1 && i + missing != axis;
            let elsewhere = shape.iter().enumerate().find(varies);
            (elsewhere.is_none() && values.len() == x[axis]).then(|| values.to_vec())
        }
    }
}

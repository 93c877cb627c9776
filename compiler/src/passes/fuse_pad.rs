//! Zeros that a pad puts around an image become the convolution's own padding,
//! also where the layout changes in between.

use super::sole_producer;
use crate::ir::{Graph, NodeId, Op};
use anyhow::Result;
use ternrt::kernels::movement::PadMode;

/// A pad before a convolution.
struct Around {
    /// Index of the pad's node.
    pad: usize,
    /// The transpose between the two.
    transpose: Option<usize>,
    /// Top, left, bottom, right.
    added: [usize; 4],
}

/// The pad before node `n`, if it adds zeros at height and width alone.
fn around_image(
    graph: &Graph,
    producers: &[Option<NodeId>],
    consumers: &[Vec<NodeId>],
    n: usize,
) -> Option<Around> {
    let mut pad = sole_producer(producers, consumers, graph.nodes[n].inputs[0]?)?;
    let (mut transpose, mut perm) = (None, [0, 1, 2, 3]);
    if let Op::Transpose(op) = &graph.nodes[pad].op {
        perm = [0, 1, 2, 3].map(|i| usize::from(op.perm[i]));
        transpose = Some(pad);
        pad = sole_producer(producers, consumers, graph.nodes[pad].inputs[0]?)?;
    }
    let node = &graph.nodes[pad];
    let Op::Pad(op) = &node.op else { return None };
    let shape = |id| {
        let shape: &[usize; 4] = graph.ty(id).shape.as_slice().try_into().ok()?;
        Some(perm.map(|p| shape[p]))
    };
    let [xn, xh, xw, xc] = shape(node.inputs[0]?)?;
    let [yn, yh, yw, yc] = shape(node.outputs[0])?;
    let zeros = op.mode == PadMode::Constant && op.value == 0.0;
    if !zeros || (xn, xc) != (yn, yc) {
        return None;
    }
    let [top, left] = [1, 2].map(|i| op.before[perm[i]] as usize);
    Some(Around {
        pad,
        transpose,
        added: [top, left, yh - xh - top, yw - xw - left],
    })
}

pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    let mut changed = false;
    let (producers, consumers) = (graph.producers(), graph.consumers());
    for n in 0..graph.nodes.len() {
        let pads = match &graph.nodes[n].op {
            Op::Conv2d(op) if !op.transposed => op.pads,
            Op::DepthwiseConv2d(op) => op.pads,
            _ => continue,
        };
        let Some(around) = around_image(graph, &producers, &consumers, n) else {
            continue;
        };
        let sums = [0, 1, 2, 3].map(|i| u16::try_from(pads[i] as usize + around.added[i]));
        let [Ok(top), Ok(left), Ok(bottom), Ok(right)] = sums else {
            continue;
        };
        if let Op::Conv2d(ternrt::ops::table::Conv2d { pads, .. })
        | Op::DepthwiseConv2d(ternrt::ops::table::DepthwiseConv2d { pads, .. }) =
            &mut graph.nodes[n].op
        {
            *pads = [top, left, bottom, right];
        }
        let from = graph.nodes[around.pad].inputs[0];
        match (around.transpose, from) {
            (Some(t), Some(x)) => {
                let y = graph.nodes[t].outputs[0];
                let Op::Transpose(op) = graph.nodes[t].op else {
                    continue;
                };
                let shape = graph.ty(x).shape.clone();
                let inner = (0..shape.len()).map(|i| shape[usize::from(op.perm[i])]);
                graph.values[y.0].ty.shape = inner.collect();
                graph.nodes[t].inputs[0] = from;
            }
            _ => graph.nodes[n].inputs[0] = from,
        }
        changed = true;
    }
    Ok(changed)
}

//! Zeros that a pad puts around an image become the convolution's own padding.

use super::sole_producer;
use crate::ir::{Graph, Op};
use anyhow::Result;
use ternrt::kernels::movement::PadMode;

/// Top, left, bottom, right, if the pad adds zeros at height and width alone.
fn around_image(graph: &Graph, n: usize) -> Option<[usize; 4]> {
    let node = &graph.nodes[n];
    let Op::Pad(pad) = &node.op else { return None };
    let (x, y) = (
        &graph.ty(node.inputs[0]?).shape,
        &graph.ty(node.outputs[0]).shape,
    );
    let [xn, xh, xw, xc] = x[..] else { return None };
    let [yn, yh, yw, yc] = y[..] else { return None };
    let zeros = pad.mode == PadMode::Constant && pad.value == 0.0;
    if !zeros || (xn, xc) != (yn, yc) {
        return None;
    }
    let (top, left) = (pad.before[1] as usize, pad.before[2] as usize);
    Some([top, left, yh - xh - top, yw - xw - left])
}

pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    let mut changed = false;
    let (producers, consumers) = (graph.producers(), graph.consumers());
    for n in 0..graph.nodes.len() {
        let Some(x) = graph.nodes[n].inputs.first().copied().flatten() else {
            continue;
        };
        let Some(pad) = sole_producer(&producers, &consumers, x) else {
            continue;
        };
        let Some(added) = around_image(graph, pad) else {
            continue;
        };
        let from = graph.nodes[pad].inputs[0];
        let node = &mut graph.nodes[n];
        let pads = match &mut node.op {
            Op::Conv2d(op) if !op.transposed => &mut op.pads,
            Op::DepthwiseConv2d(op) => &mut op.pads,
            _ => continue,
        };
        let sums = [0, 1, 2, 3].map(|i| u16::try_from(pads[i] as usize + added[i]));
        let [Ok(top), Ok(left), Ok(bottom), Ok(right)] = sums else {
            continue;
        };
        *pads = [top, left, bottom, right];
        node.inputs[0] = from;
        changed = true;
    }
    Ok(changed)
}

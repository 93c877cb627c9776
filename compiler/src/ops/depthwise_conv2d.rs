//! `depthwise_conv2d`: every channel of an NHWC image has its own kernel.

use super::interpret::Io;
use super::window::Axis;
use super::{Signature, product};
use crate::ir::{Tensor, Type};
use anyhow::{Result, bail};
use ternrt::ops::table::DepthwiseConv2d;

pub(super) fn infer(op: &DepthwiseConv2d, io: &Signature<'_>) -> Result<Vec<Type>> {
    let x = io.input(0)?;
    let (batch, input, channels) = io.image(0)?;
    let axes = axes(op, input)?;
    let (Some(h), Some(w)) = (axes[0].floor(input[0]), axes[1].floor(input[1])) else {
        bail!(
            "kernel={:?} dilation={:?} pads={:?}: no output is left of {x}",
            op.kernel,
            op.dilation,
            op.pads
        );
    };
    let [kh, kw] = axes.map(|a| a.kernel);
    let result = product::infer(
        io,
        &op.activation,
        vec![batch, h, w, channels],
        &[channels, kh, kw, 1],
        kh * kw,
    )?;
    Ok(vec![result])
}

fn axes(op: &DepthwiseConv2d, input: [usize; 2]) -> Result<[Axis; 2]> {
    Axis::both(input, op.kernel, op.stride, op.dilation, op.pads)
}

/// Every channel is a group of its own.
pub(super) fn interpret(op: &DepthwiseConv2d, io: &Io<'_>) -> Result<Vec<Tensor>> {
    let (x, y) = (&io.dense(0)?.shape, &io.result().shape);
    let axes = axes(op, [x[1], x[2]])?;
    let walk = product::Walk {
        positions: y[0] * y[1] * y[2],
        taps: axes[0].kernel * axes[1].kernel,
        groups: y[3],
        channels: 1,
        outputs: 1,
        source: |p, tap| {
            let row = axes[0].source(p / y[2] % y[1], tap / axes[1].kernel, x[1])?;
            let column = axes[1].source(p % y[2], tap % axes[1].kernel, x[2])?;
            Some((p / (y[1] * y[2]) * x[1] + row) * x[2] + column)
        },
    };
    product::interpret(io, &walk, &op.activation)
}

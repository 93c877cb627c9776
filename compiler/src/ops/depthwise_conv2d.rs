//! `depthwise_conv2d`: every channel of an NHWC image has its own kernel.

use super::window::Axis;
use super::{Signature, product};
use crate::ir::Type;
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

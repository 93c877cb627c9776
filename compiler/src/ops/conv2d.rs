//! `conv2d`: convolution over NHWC images, forward or transposed.

use super::interpret::Io;
use super::window::Axis;
use super::{Signature, product};
use crate::ir::{Tensor, Type};
use anyhow::{Result, bail, ensure};
use ternrt::ops::table::Conv2d;

pub(super) fn infer(op: &Conv2d, io: &Signature<'_>) -> Result<Vec<Type>> {
    let x = io.input(0)?;
    let (batch, input, in_channels) = io.image(0)?;
    let axes = axes(op, input)?;
    let w = io.input(1)?;
    let [out_channels, ..] = w.shape[..] else {
        bail!("operand \"w\" is {w}, must be [out,kernel_h,kernel_w,in/group]");
    };
    let group = op.group as usize;
    ensure!(
        group > 0 && in_channels % group == 0 && out_channels % group == 0,
        "group={group} must divide the {in_channels} input channels of {x} and the {out_channels} outputs of {w}"
    );
    let mut output = [0; 2];
    for i in 0..2 {
        let axis = axes[i];
        let name = ["height", "width"][i];
        let size = if op.transposed {
            axis.transposed(input[i])
        } else {
            axis.floor(input[i])
        };
        let Some(size) = size else {
            bail!(
                "kernel={:?} dilation={:?} pads={:?}: no output {name} is left of {x}",
                op.kernel,
                op.dilation,
                op.pads
            );
        };
        output[i] = size;
        if let (true, Some(&wanted)) = (op.transposed, io.wanted.and_then(|t| t.shape.get(i + 1))) {
            let most = size + axis.stride.max(axis.dilation) - 1;
            ensure!(
                (size..=most).contains(&wanted),
                "output {name} {wanted} of {x}: stride={:?} allows {size} to {most}",
                op.stride
            );
            output[i] = wanted;
        }
    }
    let [kh, kw] = axes.map(|a| a.kernel);
    let channels = in_channels / group;
    let result = product::infer(
        io,
        &op.activation,
        vec![batch, output[0], output[1], out_channels],
        &[out_channels, kh, kw, channels],
        kh * kw * channels,
    )?;
    Ok(vec![result])
}

fn axes(op: &Conv2d, input: [usize; 2]) -> Result<[Axis; 2]> {
    Axis::both(input, op.kernel, op.stride, op.dilation, op.pads)
}

pub(super) fn interpret(op: &Conv2d, io: &Io<'_>) -> Result<Vec<Tensor>> {
    let (x, y) = (&io.dense(0)?.shape, &io.result().shape);
    let axes = axes(op, [x[1], x[2]])?;
    let groups = op.group as usize;
    let source = |axis: usize, o: usize, k: usize| {
        if op.transposed {
            axes[axis].transposed_source(o, k, x[1 + axis])
        } else {
            axes[axis].source(o, k, x[1 + axis])
        }
    };
    let walk = product::Walk {
        positions: y[0] * y[1] * y[2],
        taps: axes[0].kernel * axes[1].kernel,
        groups,
        channels: x[3] / groups,
        outputs: y[3] / groups,
        source: |p, tap| {
            let row = source(0, p / y[2] % y[1], tap / axes[1].kernel)?;
            let column = source(1, p % y[2], tap % axes[1].kernel)?;
            Some((p / (y[1] * y[2]) * x[1] + row) * x[2] + column)
        },
    };
    product::interpret(io, &walk, &op.activation)
}

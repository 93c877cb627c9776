//! `depthwise_conv2d`.

use super::operand::{Arg, ensure};
use super::table::DepthwiseConv2d;
use super::window::Window;
use super::{Exec, Operands, product};
use crate::Error;
use tern_kernels::conv2d::Conv2dShape;
use tern_kernels::{Caps, depthwise};

pub(super) fn shape(op: &DepthwiseConv2d, io: &Operands<'_>) -> Result<Conv2dShape, Error> {
    let (x, y) = (Arg::input(io, 0)?, Arg::output(io, 0)?);
    let channels = *x.dims.last().ok_or(Error::BadOp)?;
    let shape = Window::from(op).shape(&x, &y, channels)?;
    ensure(shape.out_channels == channels)?;
    Ok(shape)
}

pub(super) fn check(op: &DepthwiseConv2d, io: &Operands<'_>) -> Result<(), Error> {
    let shape = shape(op, io)?;
    let w_dims = [shape.out_channels, shape.kernel[0], shape.kernel[1], 1];
    product::check(io, &op.activation, &depthwise::matrix(&shape), &w_dims)
}

pub(super) fn scratch(
    op: &DepthwiseConv2d,
    io: &Operands<'_>,
    caps: Caps,
    threads: usize,
) -> usize {
    let (Ok(shape), Ok(x), Ok(w)) = (shape(op, io), io.input(0), io.input(1)) else {
        return 0;
    };
    depthwise::scratch(caps, threads, &shape, x.dtype, w.codec)
}

pub(super) fn run(
    op: &DepthwiseConv2d,
    io: &Operands<'_>,
    exec: &mut Exec<'_>,
) -> Result<(), Error> {
    let shape = shape(op, io)?;
    let x = exec.view(io.input(0)?)?;
    let w = product::weights(io, exec)?;
    let epilogue = product::epilogue(io, &op.activation, exec)?;
    let y = exec.view_mut(io.output(0)?)?;
    Ok(depthwise::run(
        &mut exec.ctx(),
        &shape,
        x,
        &w,
        &epilogue,
        y,
    )?)
}

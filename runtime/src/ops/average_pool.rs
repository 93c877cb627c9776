//! `average_pool`.

use super::operand::{Arg, ensure};
use super::table::AveragePool;
use super::window::Window;
use super::{Exec, Operands};
use crate::Error;
use tern_kernels::conv2d::Conv2dShape;
use tern_kernels::{Caps, DType, pool};

fn shape(op: &AveragePool, io: &Operands<'_>) -> Result<Conv2dShape, Error> {
    let (x, y) = (Arg::input(io, 0)?, Arg::output(io, 0)?);
    let channels = *x.dims.last().ok_or(Error::BadOp)?;
    let shape = Window::from(op).shape(&x, &y, channels)?;
    ensure(shape.out_channels == channels)?;
    Ok(shape)
}

pub(super) fn check(op: &AveragePool, io: &Operands<'_>) -> Result<(), Error> {
    Arg::input(io, 0)?.ensure_is(DType::F32)?;
    Arg::output(io, 0)?.ensure_is(DType::F32)?;
    shape(op, io).map(|_| ())
}

pub(super) fn scratch(_: &AveragePool, _: &Operands<'_>, _: Caps, _: usize) -> usize {
    0
}

pub(super) fn run(op: &AveragePool, io: &Operands<'_>, exec: &mut Exec<'_>) -> Result<(), Error> {
    let shape = shape(op, io)?;
    let x = exec.f32(io.input(0)?)?;
    let y = exec.f32_mut(io.output(0)?)?;
    let pad_end = Window::from(op).pad_end();
    Ok(pool::average(
        &mut exec.ctx(),
        &shape,
        pad_end,
        op.count_include_pad,
        x,
        y,
    )?)
}

//! `max_pool`.

use super::operand::{Arg, ensure};
use super::table::MaxPool;
use super::window::Window;
use super::{Exec, Operands};
use crate::Error;
use tern_kernels::conv2d::Conv2dShape;
use tern_kernels::{Caps, DType, pool};

fn shape(op: &MaxPool, io: &Operands<'_>) -> Result<Conv2dShape, Error> {
    let (x, y) = (Arg::input(io, 0)?, Arg::output(io, 0)?);
    let channels = *x.dims.last().ok_or(Error::BadOp)?;
    let shape = Window::from(op).shape(&x, &y, channels)?;
    ensure(shape.out_channels == channels)?;
    Ok(shape)
}

pub(super) fn check(op: &MaxPool, io: &Operands<'_>) -> Result<(), Error> {
    let (x, y) = (Arg::input(io, 0)?, Arg::output(io, 0)?);
    ensure(matches!(x.dtype(), DType::F32 | DType::I8 | DType::I16))?;
    y.ensure_same_type(&x)?;
    shape(op, io).map(|_| ())
}

pub(super) fn scratch(_: &MaxPool, _: &Operands<'_>, _: Caps, _: usize) -> usize {
    0
}

pub(super) fn run(op: &MaxPool, io: &Operands<'_>, exec: &mut Exec<'_>) -> Result<(), Error> {
    let shape = shape(op, io)?;
    let x = exec.view(io.input(0)?)?;
    let y = exec.view_mut(io.output(0)?)?;
    Ok(pool::max(&mut exec.ctx(), &shape, x, y)?)
}

//! `softmax`.

use super::operand::Arg;
use super::table::Softmax;
use super::{Exec, Operands};
use crate::Error;
use tern_kernels::{Caps, DType, softmax};

pub(super) fn check(op: &Softmax, io: &Operands<'_>) -> Result<(), Error> {
    let (x, y) = (Arg::input(io, 0)?, Arg::output(io, 0)?);
    x.ensure_is(DType::F32)?;
    y.ensure_is(DType::F32)?;
    y.ensure_dims(&x.dims)?;
    x.dims.around(op.axis.into()).map(|_| ())
}

pub(super) fn scratch(_: &Softmax, _: &Operands<'_>, _: Caps, _: usize) -> usize {
    0
}

pub(super) fn run(op: &Softmax, io: &Operands<'_>, exec: &mut Exec<'_>) -> Result<(), Error> {
    let (outer, axis, inner) = Arg::input(io, 0)?.dims.around(op.axis.into())?;
    let x = exec.f32(io.input(0)?)?;
    let y = exec.f32_mut(io.output(0)?)?;
    Ok(softmax::run(
        &mut exec.ctx(),
        outer,
        axis,
        inner,
        op.log,
        x,
        y,
    )?)
}

//! `cast`.

use super::operand::Arg;
use super::table::Cast;
use super::{Exec, Operands};
use crate::Error;
use tern_kernels::{Caps, eltwise};

pub(super) fn check(_: &Cast, io: &Operands<'_>) -> Result<(), Error> {
    let (x, y) = (Arg::input(io, 0)?, Arg::output(io, 0)?);
    x.ensure_is(x.dtype())?;
    y.ensure_is(y.dtype())?;
    y.ensure_dims(&x.dims)
}

pub(super) fn scratch(_: &Cast, _: &Operands<'_>, _: Caps, _: usize) -> usize {
    0
}

pub(super) fn run(_: &Cast, io: &Operands<'_>, exec: &mut Exec<'_>) -> Result<(), Error> {
    let x = exec.view(io.input(0)?)?;
    let y = exec.view_mut(io.output(0)?)?;
    Ok(eltwise::cast(&mut exec.ctx(), x, y)?)
}

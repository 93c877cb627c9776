//! `where`.

use super::operand::Arg;
use super::table::Where;
use super::{Exec, Operands};
use crate::Error;
use tern_kernels::eltwise::{self, Broadcast};
use tern_kernels::{Caps, DType, View};

fn shape(io: &Operands<'_>) -> Result<Broadcast<3>, Error> {
    let (condition, a, b) = (Arg::input(io, 0)?, Arg::input(io, 1)?, Arg::input(io, 2)?);
    let y = Arg::output(io, 0)?;
    Broadcast::new(&y.dims, [&condition.dims, &a.dims, &b.dims]).ok_or(Error::BadOp)
}

pub(super) fn check(_: &Where, io: &Operands<'_>) -> Result<(), Error> {
    let y = Arg::output(io, 0)?;
    Arg::input(io, 0)?.ensure_is(DType::Bool)?;
    Arg::input(io, 1)?.ensure_same_type(&y)?;
    Arg::input(io, 2)?.ensure_same_type(&y)?;
    shape(io).map(|_| ())
}

pub(super) fn scratch(_: &Where, _: &Operands<'_>, _: Caps, _: usize) -> usize {
    0
}

pub(super) fn run(_: &Where, io: &Operands<'_>, exec: &mut Exec<'_>) -> Result<(), Error> {
    let shape = shape(io)?;
    let View::Bool(condition) = exec.view(io.input(0)?)? else {
        return Err(Error::BadOp);
    };
    let (a, b) = (exec.view(io.input(1)?)?, exec.view(io.input(2)?)?);
    let y = exec.view_mut(io.output(0)?)?;
    Ok(eltwise::select(
        &mut exec.ctx(),
        &shape,
        condition,
        a,
        b,
        y,
    )?)
}

//! `broadcast`.

use super::operand::Arg;
use super::table::Broadcast;
use super::{Exec, Operands};
use crate::Error;
use tern_kernels::{Caps, eltwise, movement};

fn shape(io: &Operands<'_>) -> Result<eltwise::Broadcast<1>, Error> {
    eltwise::Broadcast::new(&Arg::output(io, 0)?.dims, [&Arg::input(io, 0)?.dims])
        .ok_or(Error::BadOp)
}

pub(super) fn check(_: &Broadcast, io: &Operands<'_>) -> Result<(), Error> {
    Arg::output(io, 0)?.ensure_same_type(&Arg::input(io, 0)?)?;
    shape(io).map(|_| ())
}

pub(super) fn scratch(_: &Broadcast, _: &Operands<'_>, _: Caps, _: usize) -> usize {
    0
}

pub(super) fn run(_: &Broadcast, io: &Operands<'_>, exec: &mut Exec<'_>) -> Result<(), Error> {
    let eltwise::Broadcast {
        rank,
        dims,
        strides: [strides],
    } = shape(io)?;
    let (Some(dims), Some(strides)) = (dims.get(..rank), strides.get(..rank)) else {
        return Err(Error::BadOp);
    };
    let x = exec.view(io.input(0)?)?;
    let y = exec.view_mut(io.output(0)?)?;
    Ok(movement::broadcast(&mut exec.ctx(), dims, strides, x, y)?)
}

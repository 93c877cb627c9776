//! `pad`.

use super::operand::{Arg, ensure};
use super::table::Pad;
use super::{Exec, Operands};
use crate::Error;
use tern_kernels::Caps;
use tern_kernels::movement::{self, PadMode};

pub(super) fn check(op: &Pad, io: &Operands<'_>) -> Result<(), Error> {
    let (x, y) = (Arg::input(io, 0)?, Arg::output(io, 0)?);
    y.ensure_same_type(&x)?;
    let rank = x.dims.len();
    ensure(y.dims.len() == rank && op.before[rank..].iter().all(|&b| b == 0))?;
    for i in 0..rank {
        let before = op.before[i] as usize;
        let after = y.dims[i]
            .checked_sub(x.dims[i])
            .and_then(|d| d.checked_sub(before))
            .ok_or(Error::BadOp)?;
        // A reflection reaches the far border at most.
        ensure(op.mode != PadMode::Reflect || before.max(after) < x.dims[i])?;
    }
    // Zero means zero under any scale; other values would have to be quantised.
    ensure(!x.quantised() || op.mode != PadMode::Constant || op.value == 0.0)
}

pub(super) fn scratch(_: &Pad, _: &Operands<'_>, _: Caps, _: usize) -> usize {
    0
}

pub(super) fn run(op: &Pad, io: &Operands<'_>, exec: &mut Exec<'_>) -> Result<(), Error> {
    let (dims, out_dims) = (Arg::input(io, 0)?.dims, Arg::output(io, 0)?.dims);
    let before = op.before.map(|b| b as usize);
    let x = exec.view(io.input(0)?)?;
    let y = exec.view_mut(io.output(0)?)?;
    Ok(movement::pad(
        &mut exec.ctx(),
        &dims,
        &before[..dims.len()],
        &out_dims,
        op.mode,
        op.value,
        x,
        y,
    )?)
}

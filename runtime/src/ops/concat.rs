//! `concat`. Operands have no gap: after an absent one all are absent.

use super::operand::{Arg, ensure};
use super::table::Concat;
use super::{Exec, MAX_INPUTS, Operands};
use crate::Error;
use tern_kernels::{Caps, movement};

pub(super) fn check(op: &Concat, io: &Operands<'_>) -> Result<(), Error> {
    let axis = usize::from(op.axis);
    let y = Arg::output(io, 0)?;
    let total = *y.dims.get(axis).ok_or(Error::BadOp)?;
    let (mut sum, mut ended) = (0usize, false);
    for i in 0..MAX_INPUTS {
        let Some(x) = Arg::optional(io, i)? else {
            ended = true;
            continue;
        };
        ensure(!ended && x.dims.len() == y.dims.len())?;
        x.ensure_same_type(&y)?;
        ensure(x.dims[..axis] == y.dims[..axis] && x.dims[axis + 1..] == y.dims[axis + 1..])?;
        sum = sum.checked_add(x.dims[axis]).ok_or(Error::BadOp)?;
    }
    ensure(sum == total)
}

pub(super) fn scratch(_: &Concat, _: &Operands<'_>, _: Caps, _: usize) -> usize {
    0
}

pub(super) fn run(op: &Concat, io: &Operands<'_>, exec: &mut Exec<'_>) -> Result<(), Error> {
    let axis = usize::from(op.axis);
    let (outer, y_axis, inner) = Arg::output(io, 0)?.dims.around(axis)?;
    let mut y = exec.view_mut(io.output(0)?)?;
    let mut at = 0;
    for i in 0..MAX_INPUTS {
        let Some(x) = Arg::optional(io, i)? else {
            break;
        };
        let (_, x_axis, _) = x.dims.around(axis)?;
        let values = exec.view(x.tensor)?;
        movement::concat_part(
            &mut exec.ctx(),
            outer,
            inner,
            x_axis,
            y_axis,
            at,
            values,
            y.reborrow(),
        )?;
        at += x_axis;
    }
    Ok(())
}

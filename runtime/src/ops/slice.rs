//! `slice`.

use super::operand::{Arg, ensure};
use super::table::Slice;
use super::{Exec, Operands};
use crate::Error;
use tern_kernels::{Caps, movement};

pub(super) fn check(op: &Slice, io: &Operands<'_>) -> Result<(), Error> {
    let (x, y) = (Arg::input(io, 0)?, Arg::output(io, 0)?);
    y.ensure_same_type(&x)?;
    let rank = x.dims.len();
    ensure(y.dims.len() == rank)?;
    for i in 0..rank {
        let (start, step) = (i64::from(op.start[i]), i64::from(op.step[i]));
        let (size, taken) = (x.dims[i] as i64, y.dims[i] as i64);
        let last = step
            .checked_mul(taken - 1)
            .and_then(|d| d.checked_add(start))
            .ok_or(Error::BadOp)?;
        ensure(step != 0 && start < size && (0..size).contains(&last))?;
    }
    ensure(op.start[rank..].iter().all(|&s| s == 0) && op.step[rank..].iter().all(|&s| s == 1))
}

pub(super) fn scratch(_: &Slice, _: &Operands<'_>, _: Caps, _: usize) -> usize {
    0
}

pub(super) fn run(op: &Slice, io: &Operands<'_>, exec: &mut Exec<'_>) -> Result<(), Error> {
    let (dims, out_dims) = (Arg::input(io, 0)?.dims, Arg::output(io, 0)?.dims);
    let (start, step) = (op.start.map(|s| s as usize), op.step.map(|s| s as isize));
    let rank = dims.len();
    let x = exec.view(io.input(0)?)?;
    let y = exec.view_mut(io.output(0)?)?;
    Ok(movement::slice(
        &mut exec.ctx(),
        &dims,
        &start[..rank],
        &step[..rank],
        &out_dims,
        x,
        y,
    )?)
}

//! `transpose`.

use super::operand::{Arg, ensure};
use super::table::Transpose;
use super::{Exec, Operands};
use crate::Error;
use tern_kernels::{Caps, movement};

pub(super) fn check(op: &Transpose, io: &Operands<'_>) -> Result<(), Error> {
    let (x, y) = (Arg::input(io, 0)?, Arg::output(io, 0)?);
    y.ensure_same_type(&x)?;
    ensure(y.dims.len() == x.dims.len())?;
    let (perm, unused) = op.perm.split_at(x.dims.len());
    let mut seen = 0u32;
    for (&from, &d) in perm.iter().zip(y.dims.iter()) {
        ensure(x.dims.get(usize::from(from)) == Some(&d))?;
        seen |= 1 << from;
    }
    ensure(seen.count_ones() as usize == perm.len() && unused.iter().all(|&p| p == 0))
}

pub(super) fn scratch(_: &Transpose, _: &Operands<'_>, _: Caps, _: usize) -> usize {
    0
}

pub(super) fn run(op: &Transpose, io: &Operands<'_>, exec: &mut Exec<'_>) -> Result<(), Error> {
    let dims = Arg::input(io, 0)?.dims;
    let perm = op.perm.map(usize::from);
    let x = exec.view(io.input(0)?)?;
    let y = exec.view_mut(io.output(0)?)?;
    Ok(movement::transpose(
        &mut exec.ctx(),
        &dims,
        &perm[..dims.len()],
        x,
        y,
    )?)
}

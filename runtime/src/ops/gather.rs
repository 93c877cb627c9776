//! `gather`.

use super::operand::{Arg, ensure};
use super::table::Gather;
use super::{Exec, Operands};
use crate::Error;
use tern_kernels::{Caps, DType, movement};

pub(super) fn check(op: &Gather, io: &Operands<'_>) -> Result<(), Error> {
    let (x, indices, y) = (Arg::input(io, 0)?, Arg::input(io, 1)?, Arg::output(io, 0)?);
    y.ensure_same_type(&x)?;
    ensure(matches!(indices.dtype(), DType::I32 | DType::I64))?;
    let axis = usize::from(op.axis);
    ensure(axis < x.dims.len())?;
    let expected = x.dims[..axis]
        .iter()
        .chain(indices.dims.iter())
        .chain(&x.dims[axis + 1..]);
    ensure(y.dims.iter().eq(expected))
}

pub(super) fn scratch(_: &Gather, _: &Operands<'_>, _: Caps, _: usize) -> usize {
    0
}

/// `BadValue` where an index is out of range: all else was checked at load.
pub(super) fn run(op: &Gather, io: &Operands<'_>, exec: &mut Exec<'_>) -> Result<(), Error> {
    let (outer, axis, inner) = Arg::input(io, 0)?.dims.around(op.axis.into())?;
    let (x, indices) = (exec.view(io.input(0)?)?, exec.view(io.input(1)?)?);
    let y = exec.view_mut(io.output(0)?)?;
    movement::gather(&mut exec.ctx(), outer, axis, inner, indices, x, y)
        .map_err(|_| Error::BadValue)
}

//! `reduce`. The result's shape may keep reduced dimensions as 1 or leave them
//! out: dimensions of 1 are passed over when it is compared.

use super::operand::{Arg, ensure};
use super::table::Reduce;
use super::{Exec, Operands};
use crate::Error;
use tern_kernels::reduce::{self, ReduceKind};
use tern_kernels::{Caps, DType};

pub(super) fn check(op: &Reduce, io: &Operands<'_>) -> Result<(), Error> {
    let (x, y) = (Arg::input(io, 0)?, Arg::output(io, 0)?);
    x.ensure_is(x.dtype())?;
    ensure(usize::from(op.axes) >> x.dims.len() == 0)?;
    let mut kept = x
        .dims
        .iter()
        .enumerate()
        .filter(|(i, d)| op.axes >> i & 1 == 0 && **d != 1)
        .map(|(_, d)| *d);
    let mut stated = y.dims.iter().copied().filter(|&d| d != 1);
    ensure(kept.by_ref().all(|d| stated.next() == Some(d)) && stated.next().is_none())?;

    let is_index = op.function.is_index();
    ensure(match op.function {
        ReduceKind::Mean => x.dtype() == DType::F32,
        _ => matches!(x.dtype(), DType::F32 | DType::I32 | DType::I64),
    })?;
    ensure(!is_index || op.axes.count_ones() == 1)?;
    y.ensure_is(if is_index { DType::I64 } else { x.dtype() })
}

pub(super) fn scratch(_: &Reduce, _: &Operands<'_>, _: Caps, _: usize) -> usize {
    0
}

pub(super) fn run(op: &Reduce, io: &Operands<'_>, exec: &mut Exec<'_>) -> Result<(), Error> {
    let dims = Arg::input(io, 0)?.dims;
    let x = exec.view(io.input(0)?)?;
    let y = exec.view_mut(io.output(0)?)?;
    Ok(reduce::run(
        &mut exec.ctx(),
        op.function,
        &dims,
        op.axes,
        x,
        y,
    )?)
}

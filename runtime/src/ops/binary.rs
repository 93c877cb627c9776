//! `binary`.

use super::operand::{Arg, ensure};
use super::table::BinaryOp;
use super::unary::works_on;
use super::{Exec, Operands};
use crate::Error;
use tern_kernels::eltwise::{self, BinaryKind, Broadcast, Unary};
use tern_kernels::{Caps, DType};

/// Whether the function takes operands of this dtype.
fn takes(kind: BinaryKind, dtype: DType) -> bool {
    match kind {
        BinaryKind::Pow => dtype == DType::F32,
        BinaryKind::And | BinaryKind::Or | BinaryKind::Xor => dtype == DType::Bool,
        BinaryKind::Equal | BinaryKind::NotEqual if dtype == DType::Bool => true,
        _ => matches!(dtype, DType::F32 | DType::I32 | DType::I64),
    }
}

fn shape(io: &Operands<'_>) -> Result<Broadcast<2>, Error> {
    let (a, b, y) = (Arg::input(io, 0)?, Arg::input(io, 1)?, Arg::output(io, 0)?);
    Broadcast::new(&y.dims, [&a.dims, &b.dims]).ok_or(Error::BadOp)
}

pub(super) fn check(op: &BinaryOp, io: &Operands<'_>) -> Result<(), Error> {
    let (a, b, y) = (Arg::input(io, 0)?, Arg::input(io, 1)?, Arg::output(io, 0)?);
    let dtype = a.dtype();
    a.ensure_is(dtype)?;
    b.ensure_is(dtype)?;
    ensure(takes(op.function, dtype))?;
    y.ensure_is(if op.function.is_comparison() {
        DType::Bool
    } else {
        dtype
    })?;
    ensure(match y.dtype() {
        DType::F32 => works_on(&op.activation, DType::F32),
        _ => op.activation == Unary::IDENTITY,
    })?;
    shape(io).map(|_| ())
}

pub(super) fn scratch(_: &BinaryOp, _: &Operands<'_>, _: Caps, _: usize) -> usize {
    0
}

pub(super) fn run(op: &BinaryOp, io: &Operands<'_>, exec: &mut Exec<'_>) -> Result<(), Error> {
    let shape = shape(io)?;
    let (a, b) = (exec.view(io.input(0)?)?, exec.view(io.input(1)?)?);
    let y = exec.view_mut(io.output(0)?)?;
    Ok(eltwise::binary(
        &mut exec.ctx(),
        op.function,
        &op.activation,
        &shape,
        a,
        b,
        y,
    )?)
}

//! `unary`.

use super::operand::{Arg, ensure};
use super::table::UnaryOp;
use super::{Exec, Operands};
use crate::Error;
use tern_kernels::eltwise::{self, Unary, UnaryKind};
use tern_kernels::{Caps, DType};

/// Whether the function takes and gives elements of this dtype.
pub(super) fn works_on(f: &Unary, dtype: DType) -> bool {
    let numbers = !f.alpha.is_nan() && !f.beta.is_nan();
    numbers
        && match f.kind {
            UnaryKind::Identity => true,
            UnaryKind::Not => dtype == DType::Bool,
            UnaryKind::Neg | UnaryKind::Abs | UnaryKind::Sign => {
                matches!(dtype, DType::F32 | DType::I32 | DType::I64)
            }
            _ => dtype == DType::F32,
        }
}

pub(super) fn check(op: &UnaryOp, io: &Operands<'_>) -> Result<(), Error> {
    let (x, y) = (Arg::input(io, 0)?, Arg::output(io, 0)?);
    y.ensure_same_type(&x)?;
    y.ensure_dims(&x.dims)?;
    ensure(works_on(&op.function, x.dtype()))
}

pub(super) fn scratch(_: &UnaryOp, _: &Operands<'_>, _: Caps, _: usize) -> usize {
    0
}

pub(super) fn run(op: &UnaryOp, io: &Operands<'_>, exec: &mut Exec<'_>) -> Result<(), Error> {
    let x = exec.view(io.input(0)?)?;
    let y = exec.view_mut(io.output(0)?)?;
    Ok(eltwise::unary(&mut exec.ctx(), &op.function, x, y)?)
}

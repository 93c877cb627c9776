//! `unary`: a function of one operand.

use super::Signature;
use crate::ir::Type;
use anyhow::Result;
use ternrt::DType;
use ternrt::kernels::eltwise::UnaryKind;
use ternrt::ops::table::UnaryOp;

pub(super) fn infer(op: &UnaryOp, io: &Signature<'_>) -> Result<Vec<Type>> {
    let x = match op.function.kind {
        UnaryKind::Identity => io.input(0)?,
        UnaryKind::Not => io.of(0, &[DType::Bool])?,
        UnaryKind::Neg | UnaryKind::Abs | UnaryKind::Sign => {
            io.of(0, &[DType::F32, DType::I32, DType::I64])?
        }
        _ => io.f32(0)?,
    };
    Ok(vec![x.clone()])
}

//! `unary`: a function of one operand.

use super::Signature;
use crate::ir::Type;
use anyhow::{Result, ensure};
use ternrt::DType;
use ternrt::kernels::eltwise::{Unary, UnaryKind};
use ternrt::ops::table::UnaryOp;

pub(super) fn infer(op: &UnaryOp, io: &Signature<'_>) -> Result<Vec<Type>> {
    check_parameters(&op.function)?;
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

/// Checks a function that is applied to the f32 results of another op.
pub(super) fn check_activation(f: &Unary) -> Result<()> {
    check_parameters(f)?;
    ensure!(
        f.kind != UnaryKind::Not,
        "activation: a logical function does not take f32"
    );
    Ok(())
}

fn check_parameters(f: &Unary) -> Result<()> {
    ensure!(
        !f.alpha.is_nan() && !f.beta.is_nan(),
        "parameters {:?} and {:?} of {:?} must be numbers",
        f.alpha,
        f.beta,
        f.kind
    );
    Ok(())
}

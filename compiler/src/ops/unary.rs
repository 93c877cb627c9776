//! `unary`: a function of one operand.

use super::Signature;
use super::elementary;
use super::interpret::Io;
use crate::ir::{Data, Tensor, Type};
use anyhow::{Result, bail, ensure};
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

pub(super) fn interpret(op: &UnaryOp, io: &Io<'_>) -> Result<Vec<Tensor>> {
    use UnaryKind::*;
    let kind = op.function.kind;
    io.give(match (&io.dense(0)?.data, kind) {
        (data, Identity) => data.clone(),
        (Data::F32(x), _) => Data::F32(elementary::unary(&op.function, x)?),
        (Data::Bool(x), Not) => Data::Bool(x.iter().map(|&x| (x == 0) as u8).collect()),
        (Data::I32(x), Neg) => Data::I32(x.iter().map(|x| x.wrapping_neg()).collect()),
        (Data::I32(x), Abs) => Data::I32(x.iter().map(|x| x.wrapping_abs()).collect()),
        (Data::I32(x), Sign) => Data::I32(x.iter().map(|x| x.signum()).collect()),
        (Data::I64(x), Neg) => Data::I64(x.iter().map(|x| x.wrapping_neg()).collect()),
        (Data::I64(x), Abs) => Data::I64(x.iter().map(|x| x.wrapping_abs()).collect()),
        (Data::I64(x), Sign) => Data::I64(x.iter().map(|x| x.signum()).collect()),
        (data, _) => bail!("{kind:?} does not take {}", data.dtype().name()),
    })
}

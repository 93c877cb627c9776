//! `binary`: a function of two operands, with NumPy broadcasting.

use super::unary::check_activation;
use super::{Signature, broadcast_shapes};
use crate::ir::Type;
use anyhow::{Result, anyhow, ensure};
use ternrt::DType;
use ternrt::kernels::eltwise::{BinaryKind, Unary};
use ternrt::ops::table::BinaryOp;

pub(super) fn infer(op: &BinaryOp, io: &Signature<'_>) -> Result<Vec<Type>> {
    use BinaryKind::*;
    let dtypes: &[DType] = match op.function {
        And | Or | Xor => &[DType::Bool],
        Equal | NotEqual => &[DType::F32, DType::I32, DType::I64, DType::Bool],
        Pow => &[DType::F32],
        _ => &[DType::F32, DType::I32, DType::I64],
    };
    let (a, b) = (io.of(0, dtypes)?, io.of(1, dtypes)?);
    ensure!(
        a.dtype == b.dtype,
        "operands {a} and {b} must have one dtype"
    );
    let shape = broadcast_shapes(&[&a.shape, &b.shape])
        .ok_or_else(|| anyhow!("shapes of {a} and {b} do not broadcast"))?;
    let dtype = match op.function {
        Equal | NotEqual | Less | LessOrEqual | Greater | GreaterOrEqual => DType::Bool,
        _ => a.dtype,
    };
    if dtype == DType::F32 {
        check_activation(&op.activation)?;
    } else {
        ensure!(
            op.activation == Unary::IDENTITY,
            "an activation needs an f32 result, this is {}",
            dtype.name()
        );
    }
    Ok(vec![Type::new(dtype, shape)])
}

//! `where`: a choice between two operands, with NumPy broadcasting.

use super::{Signature, broadcast_shapes};
use crate::ir::Type;
use anyhow::{Result, anyhow, ensure};
use ternrt::DType;
use ternrt::ops::table::Where;

pub(super) fn infer(_: &Where, io: &Signature<'_>) -> Result<Vec<Type>> {
    let condition = io.of(0, &[DType::Bool])?;
    let (a, b) = (io.input(1)?, io.input(2)?);
    ensure!(
        a.dtype == b.dtype && a.quant == b.quant,
        "operands {a} and {b} must have one dtype and scale"
    );
    let shape = broadcast_shapes(&[&condition.shape, &a.shape, &b.shape])
        .ok_or_else(|| anyhow!("shapes of {condition}, {a} and {b} do not broadcast"))?;
    Ok(vec![a.with_shape(shape)])
}

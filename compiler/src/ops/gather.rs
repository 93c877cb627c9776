//! `gather`: slices picked along one axis by indices.

use super::Signature;
use crate::ir::Type;
use anyhow::Result;
use ternrt::DType;
use ternrt::ops::table::Gather;

pub(super) fn infer(op: &Gather, io: &Signature<'_>) -> Result<Vec<Type>> {
    let x = io.input(0)?;
    let indices = io.of(1, &[DType::I32, DType::I64])?;
    let axis = io.axis(op.axis, x)?;
    let shape = [&x.shape[..axis], &indices.shape, &x.shape[axis + 1..]].concat();
    Ok(vec![x.with_shape(shape)])
}

//! `where`: a choice between two operands, with NumPy broadcasting.

use super::index::broadcast_positions;
use super::interpret::Io;
use super::{Signature, broadcast_shapes};
use crate::ir::{Data, Tensor, Type};
use anyhow::{Result, anyhow, bail, ensure};
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

pub(super) fn interpret(_: &Where, io: &Io<'_>) -> Result<Vec<Tensor>> {
    let (condition, a, b) = (io.dense(0)?, io.dense(1)?, io.dense(2)?);
    let Data::Bool(choices) = &condition.data else {
        bail!("the condition must be bool");
    };
    // The elements of `b` stand behind those of `a`.
    let mut data = a.data.clone();
    data.append(&b.data);
    let y = &io.result().shape;
    let positions = broadcast_positions(&condition.shape, y)
        .zip(broadcast_positions(&a.shape, y))
        .zip(broadcast_positions(&b.shape, y))
        .map(|((c, i), j)| if choices[c] != 0 { i } else { a.data.len() + j });
    io.give(data.pick(positions))
}

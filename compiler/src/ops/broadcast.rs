//! `broadcast`: repetition to a larger shape by NumPy's rules.

use super::index::broadcast_positions;
use super::interpret::Io;
use super::{Signature, broadcast_shapes};
use crate::ir::{Tensor, Type};
use anyhow::{Result, ensure};
use ternrt::ops::table::Broadcast;

pub(super) fn infer(_: &Broadcast, io: &Signature<'_>) -> Result<Vec<Type>> {
    let (x, wanted) = (io.input(0)?, io.required()?);
    let fits = broadcast_shapes(&[&x.shape, &wanted.shape]).is_some_and(|s| s == wanted.shape);
    ensure!(fits, "{x} does not broadcast to {:?}", wanted.shape);
    Ok(vec![x.with_shape(wanted.shape.clone())])
}

pub(super) fn interpret(_: &Broadcast, io: &Io<'_>) -> Result<Vec<Tensor>> {
    let x = io.dense(0)?;
    io.give(
        x.data
            .pick(broadcast_positions(&x.shape, &io.result().shape)),
    )
}

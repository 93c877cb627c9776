//! `reshape`: the same elements in another shape.

use super::Signature;
use super::interpret::Io;
use crate::ir::{Tensor, Type};
use anyhow::{Result, ensure};
use ternrt::ops::table::Reshape;

pub(super) fn infer(_: &Reshape, io: &Signature<'_>) -> Result<Vec<Type>> {
    let (x, wanted) = (io.input(0)?, io.required()?);
    ensure!(
        x.elements() == wanted.elements(),
        "{x} has {} elements, the shape {:?} needs {}",
        x.elements(),
        wanted.shape,
        wanted.elements()
    );
    Ok(vec![x.with_shape(wanted.shape.clone())])
}

pub(super) fn interpret(_: &Reshape, io: &Io<'_>) -> Result<Vec<Tensor>> {
    io.give(io.dense(0)?.data.clone())
}

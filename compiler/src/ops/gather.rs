//! `gather`: slices picked along one axis by indices.

use super::Signature;
use super::interpret::Io;
use crate::ir::{Data, Tensor, Type};
use anyhow::{Result, bail, ensure};
use ternrt::DType;
use ternrt::ops::table::Gather;

pub(super) fn infer(op: &Gather, io: &Signature<'_>) -> Result<Vec<Type>> {
    let x = io.input(0)?;
    let indices = io.of(1, &[DType::I32, DType::I64])?;
    let axis = io.axis(op.axis, x)?;
    let shape = [&x.shape[..axis], &indices.shape, &x.shape[axis + 1..]].concat();
    Ok(vec![x.with_shape(shape)])
}

pub(super) fn interpret(op: &Gather, io: &Io<'_>) -> Result<Vec<Tensor>> {
    let (x, axis) = (io.dense(0)?, op.axis as usize);
    let indices: Vec<i64> = match &io.dense(1)?.data {
        Data::I32(v) => v.iter().map(|&i| i as i64).collect(),
        Data::I64(v) => v.clone(),
        data => bail!("indices of dtype {}", data.dtype().name()),
    };
    let size = x.shape[axis];
    let inner: usize = x.shape[axis + 1..].iter().product();
    let outer: usize = x.shape[..axis].iter().product();
    let mut positions = Vec::with_capacity(io.result().elements());
    for o in 0..outer {
        for &index in &indices {
            let from_start = if index < 0 {
                index + size as i64
            } else {
                index
            };
            ensure!(
                (0..size as i64).contains(&from_start),
                "index {index} is out of range for dimension {axis} of {:?}",
                x.shape
            );
            let first = (o * size + from_start as usize) * inner;
            positions.extend(first..first + inner);
        }
    }
    io.give(x.data.pick(positions.into_iter()))
}

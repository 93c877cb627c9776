//! `transpose`: permuted dimensions.

use super::Signature;
use super::index::{coordinates, position};
use super::interpret::Io;
use crate::ir::{Tensor, Type};
use anyhow::{Result, ensure};
use ternrt::kernels::MAX_RANK;
use ternrt::ops::table::Transpose;

pub(super) fn infer(op: &Transpose, io: &Signature<'_>) -> Result<Vec<Type>> {
    let x = io.input(0)?;
    let rank = x.shape.len();
    io.entries("perm", &op.perm, x, 0)?;
    let perm = &op.perm[..rank];
    ensure!(
        (0..rank).all(|i| perm.contains(&(i as u8))),
        "perm={perm:?} is no permutation of the dimensions of {x}"
    );
    let shape: Vec<usize> = perm.iter().map(|&p| x.shape[p as usize]).collect();
    Ok(vec![x.with_shape(shape)])
}

pub(super) fn interpret(op: &Transpose, io: &Io<'_>) -> Result<Vec<Tensor>> {
    let (x, y) = (io.dense(0)?, io.result());
    let positions = coordinates(&y.shape).map(|at| {
        let mut source = [0; MAX_RANK];
        for i in 0..y.shape.len() {
            source[op.perm[i] as usize] = at[i];
        }
        position(&x.shape, &source)
    });
    io.give(x.data.pick(positions))
}

//! `transpose`: permuted dimensions.

use super::Signature;
use crate::ir::Type;
use anyhow::{Result, ensure};
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

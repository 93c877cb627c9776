//! Batched product of two f32 matrices that are both computed at run time.

use crate::{Ctx, Invalid};

/// Shape of a batched product, `a[b, m, k] * b[b, k, n]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatMulShape {
    /// Number of products.
    pub batch: usize,
    /// Rows of `a` and `y`.
    pub m: usize,
    /// Columns of `a`, rows of `b`.
    pub k: usize,
    /// Columns of `b` and `y`.
    pub n: usize,
    /// Whether `a` has one matrix for all of the batch.
    pub broadcast_a: bool,
    /// Whether `b` has one matrix for all of the batch.
    pub broadcast_b: bool,
    /// Whether each `a` is stored `[k, m]`.
    pub transpose_a: bool,
    /// Whether each `b` is stored `[n, k]`.
    pub transpose_b: bool,
}

/// Computes `y[batch, m, n]`.
pub fn run(
    ctx: &mut Ctx<'_>,
    shape: &MatMulShape,
    a: &[f32],
    b: &[f32],
    y: &mut [f32],
) -> Result<(), Invalid> {
    let _ = (ctx, shape, a, b, y);
    todo!()
}

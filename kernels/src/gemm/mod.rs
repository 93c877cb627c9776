//! Matrix product with packed weights: `y[m, n] = epilogue(sum_k x[m, k] * w[n, k])`.

use crate::{Caps, Codec, Ctx, DType, Epilogue, Invalid, View, ViewMut, Weights};

/// Shape of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GemmShape {
    /// Rows of `x` and `y`.
    pub m: usize,
    /// Columns of `y`, outputs.
    pub n: usize,
    /// Columns of `x`.
    pub k: usize,
}

/// Scratch bytes that [`run`] needs.
pub fn scratch(caps: Caps, threads: usize, shape: &GemmShape, x: DType, codec: Codec) -> usize {
    let _ = (caps, threads, shape, x, codec);
    todo!()
}

/// Computes the product; dtypes as for [`crate::conv2d::run`]. The weight
/// matrix is `Matrix { groups: 1, outputs: n, taps: 1, channels: k }`.
pub fn run(
    ctx: &mut Ctx<'_>,
    shape: &GemmShape,
    x: View<'_>,
    w: &Weights<'_>,
    epilogue: &Epilogue<'_>,
    y: ViewMut<'_>,
) -> Result<(), Invalid> {
    let _ = (ctx, shape, x, w, epilogue, y);
    todo!()
}

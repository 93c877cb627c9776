//! Matrix product with packed weights: `y[m, n] = epilogue(sum_k x[m, k] * w[n, k])`.

use crate::conv2d::Conv2dShape;
use crate::product::{self, Kernel, Problem, Rows, Size};
use crate::{Caps, Codec, Ctx, DType, Epilogue, Invalid, Matrix, Variant, View, ViewMut, Weights};

#[cfg(target_arch = "aarch64")]
mod aarch64_dotprod;
#[cfg(target_arch = "aarch64")]
mod aarch64_i8mm;
#[cfg(target_arch = "aarch64")]
mod aarch64_neon;
mod scalar;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm32_simd128;
#[cfg(target_arch = "x86_64")]
mod x86_amxint8;
#[cfg(target_arch = "x86_64")]
mod x86_avx2;
#[cfg(target_arch = "x86_64")]
mod x86_avx512vbmi;
#[cfg(target_arch = "x86_64")]
mod x86_avx512vnni;
#[cfg(target_arch = "x86_64")]
mod x86_avxvnni;
#[cfg(target_arch = "x86_64")]
mod x86_sse41;

#[cfg(test)]
mod tests;

/// Every implementation, best first.
pub(crate) static VARIANTS: &[Variant<Kernel<MatrixRows>>] = &[
    #[cfg(target_arch = "x86_64")]
    x86_amxint8::VARIANT,
    #[cfg(target_arch = "x86_64")]
    x86_avx512vbmi::VARIANT,
    #[cfg(target_arch = "x86_64")]
    x86_avx512vnni::VARIANT,
    #[cfg(target_arch = "x86_64")]
    x86_avxvnni::VARIANT,
    #[cfg(target_arch = "x86_64")]
    x86_avx2::VARIANT,
    #[cfg(target_arch = "x86_64")]
    x86_sse41::VARIANT,
    #[cfg(target_arch = "aarch64")]
    aarch64_i8mm::VARIANT,
    #[cfg(target_arch = "aarch64")]
    aarch64_dotprod::VARIANT,
    #[cfg(target_arch = "aarch64")]
    aarch64_neon::VARIANT,
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    wasm32_simd128::VARIANT,
    scalar::VARIANT,
];

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

impl GemmShape {
    /// Shape of the weight array.
    pub const fn matrix(&self) -> Matrix {
        Matrix {
            groups: 1,
            outputs: self.n,
            taps: 1,
            channels: self.k,
        }
    }
}

/// Input rows that follow each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MatrixRows {
    pub(crate) k: usize,
}

impl Rows for MatrixRows {
    /// A line of pixels.
    fn shape(&self, rows: usize) -> Conv2dShape {
        Conv2dShape {
            batch: 1,
            input: [1, rows],
            in_channels: self.k,
            output: [1, rows],
            out_channels: 1,
            kernel: [1, 1],
            stride: [1, 1],
            dilation: [1, 1],
            pad: [0, 0],
            groups: 1,
            transposed: false,
        }
    }

    fn kernel(&self) -> [usize; 2] {
        [1, 1]
    }

    #[inline(always)]
    fn position(&self, row: usize) -> [usize; 3] {
        [row, 0, 0]
    }

    #[inline(always)]
    fn after(&self, [row, ..]: [usize; 3]) -> [usize; 3] {
        [row + 1, 0, 0]
    }

    #[inline(always)]
    fn interior(&self, [row, ..]: [usize; 3]) -> Option<usize> {
        Some(row * self.k)
    }

    #[inline(always)]
    fn offset(&self, _: usize, _: usize) -> usize {
        0
    }

    #[inline(always)]
    fn line(&self, [row, ..]: [usize; 3], _: usize) -> Option<usize> {
        Some(row * self.k)
    }

    #[inline(always)]
    fn source(&self, line: usize, _: [usize; 3], _: usize) -> Option<usize> {
        Some(line)
    }
}

/// Scratch bytes that [`run`] needs; 0 for a shape that it refuses.
pub fn scratch(caps: Caps, threads: usize, shape: &GemmShape, x: DType, codec: Codec) -> usize {
    Size::new(shape.matrix(), shape.m, x, codec).map_or(0, |size| {
        product::scratch(VARIANTS, caps, threads, &size, &MatrixRows { k: shape.k })
    })
}

/// Computes the product; dtypes as for [`crate::conv2d::run`]. `n` and `k` are
/// at least 1. The weight matrix is `Matrix { groups: 1, outputs: n, taps: 1,
/// channels: k }`.
pub fn run(
    ctx: &mut Ctx<'_>,
    shape: &GemmShape,
    x: View<'_>,
    w: &Weights<'_>,
    epilogue: &Epilogue<'_>,
    y: ViewMut<'_>,
) -> Result<(), Invalid> {
    let size = Size::new(shape.matrix(), shape.m, x.dtype(), w.codec)?;
    if shape.m.checked_mul(shape.k) != Some(x.len()) {
        return Err(Invalid);
    }
    let rows = MatrixRows { k: shape.k };
    let problem = Problem::new(size, rows, x, w, epilogue, y)?;
    product::run(VARIANTS, ctx, &problem)
}

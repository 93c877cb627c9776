//! The loops of `scalar.rs` compiled for AVX2. `wide` serves the functions that
//! rest on the exponential here as well.

use super::{BinaryKind, Unary, UnaryKind, portable_simd, scalar};

/// # Safety
/// The CPU has AVX2.
#[target_feature(enable = "avx2")]
unsafe fn unary_avx2(f: &Unary, x: &[f32], y: &mut [f32]) {
    scalar::unary(f, x, y);
}

/// # Safety
/// The CPU has AVX2.
#[target_feature(enable = "avx2")]
unsafe fn binary_avx2(
    kind: BinaryKind,
    activation: &Unary,
    a: &[f32],
    b: &[f32],
    steps: [usize; 2],
    y: &mut [f32],
) {
    scalar::binary(kind, activation, a, b, steps, y);
}

pub(crate) fn unary(f: &Unary, x: &[f32], y: &mut [f32]) {
    if matches!(
        f.kind,
        UnaryKind::Exp | UnaryKind::Sigmoid | UnaryKind::Silu
    ) {
        return portable_simd::unary(f, x, y);
    }
    // SAFETY: the variants table asks for AVX2, and dispatch obeys it.
    unsafe { unary_avx2(f, x, y) }
}

pub(super) fn binary(
    kind: BinaryKind,
    activation: &Unary,
    a: &[f32],
    b: &[f32],
    steps: [usize; 2],
    y: &mut [f32],
) {
    // SAFETY: the variants table asks for AVX2, and dispatch obeys it.
    unsafe { binary_avx2(kind, activation, a, b, steps, y) }
}

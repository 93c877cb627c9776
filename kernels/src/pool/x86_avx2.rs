//! The loops of `scalar.rs` compiled for AVX2.

use super::{Kernels, scalar};

pub(super) const KERNELS: Kernels = Kernels {
    max_f32,
    max_i8,
    max_i16,
    add,
    divide,
};

fn max_f32(y: &mut [f32], x: &[f32]) {
    /// # Safety
    /// The CPU has AVX2.
    #[target_feature(enable = "avx2")]
    unsafe fn inner(y: &mut [f32], x: &[f32]) {
        scalar::max_f32(y, x);
    }
    // SAFETY: the variants table asks for AVX2, and dispatch obeys it.
    unsafe { inner(y, x) }
}

fn max_i8(y: &mut [i8], x: &[i8]) {
    /// # Safety
    /// The CPU has AVX2.
    #[target_feature(enable = "avx2")]
    unsafe fn inner(y: &mut [i8], x: &[i8]) {
        scalar::max_i8(y, x);
    }
    // SAFETY: the variants table asks for AVX2, and dispatch obeys it.
    unsafe { inner(y, x) }
}

fn max_i16(y: &mut [i16], x: &[i16]) {
    /// # Safety
    /// The CPU has AVX2.
    #[target_feature(enable = "avx2")]
    unsafe fn inner(y: &mut [i16], x: &[i16]) {
        scalar::max_i16(y, x);
    }
    // SAFETY: the variants table asks for AVX2, and dispatch obeys it.
    unsafe { inner(y, x) }
}

fn add(y: &mut [f32], x: &[f32]) {
    /// # Safety
    /// The CPU has AVX2.
    #[target_feature(enable = "avx2")]
    unsafe fn inner(y: &mut [f32], x: &[f32]) {
        scalar::add(y, x);
    }
    // SAFETY: the variants table asks for AVX2, and dispatch obeys it.
    unsafe { inner(y, x) }
}

fn divide(y: &mut [f32], n: f32) {
    /// # Safety
    /// The CPU has AVX2.
    #[target_feature(enable = "avx2")]
    unsafe fn inner(y: &mut [f32], n: f32) {
        scalar::divide(y, n);
    }
    // SAFETY: the variants table asks for AVX2, and dispatch obeys it.
    unsafe { inner(y, n) }
}

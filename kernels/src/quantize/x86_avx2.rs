//! Eight elements at a time. `vcvtps2dq` rounds half to even, as the scalar
//! definition does; `vmaxps(t, -limit)` gives `-limit` for a NaN in `t`.

use super::{Kernels, scalar};
use core::arch::x86_64::*;

pub(super) const KERNELS: Kernels = Kernels {
    max_abs,
    quantize_i8,
    quantize_i16,
    dequantize_i8,
    dequantize_i16,
};

macro_rules! dispatch {
    ($($name:ident, $inner:ident($($arg:ident: $t:ty),*) $(-> $r:ty)?;)*) => {$(
        fn $name($($arg: $t),*) $(-> $r)? {
            // SAFETY: the variants table asks for AVX2, and dispatch obeys it.
            unsafe { $inner($($arg),*) }
        }
    )*};
}
dispatch! {
    max_abs, max_abs_avx2(x: &[f32]) -> f32;
    quantize_i8, quantize_i8_avx2(x: &[f32], inverse: f32, qmax: i32, q: &mut [i8]);
    quantize_i16, quantize_i16_avx2(x: &[f32], inverse: f32, qmax: i32, q: &mut [i16]);
    dequantize_i8, dequantize_i8_avx2(q: &[i8], scale: f32, x: &mut [f32]);
    dequantize_i16, dequantize_i16_avx2(q: &[i16], scale: f32, x: &mut [f32]);
}

/// # Safety
/// The CPU has AVX2.
#[target_feature(enable = "avx2")]
unsafe fn max_abs_avx2(x: &[f32]) -> f32 {
    scalar::max_abs(x)
}

/// # Safety
/// The CPU has AVX2.
#[target_feature(enable = "avx2")]
unsafe fn dequantize_i8_avx2(q: &[i8], scale: f32, x: &mut [f32]) {
    scalar::dequantize_i8(q, scale, x);
}

/// # Safety
/// The CPU has AVX2.
#[target_feature(enable = "avx2")]
unsafe fn dequantize_i16_avx2(q: &[i16], scale: f32, x: &mut [f32]) {
    scalar::dequantize_i16(q, scale, x);
}

/// Eight quantised values as i32.
#[inline]
#[target_feature(enable = "avx2")]
fn eight(x: &[f32; 8], inverse: __m256, limit: __m256) -> __m256i {
    // SAFETY: the array holds the eight f32 that are read.
    let v = unsafe { _mm256_loadu_ps(x.as_ptr()) };
    let t = _mm256_mul_ps(v, inverse);
    let t = _mm256_max_ps(t, _mm256_sub_ps(_mm256_setzero_ps(), limit));
    _mm256_cvtps_epi32(_mm256_min_ps(t, limit))
}

/// Sixteen quantised values as i16, in order.
#[inline]
#[target_feature(enable = "avx2")]
fn sixteen(x: &[f32; 16], inverse: __m256, limit: __m256) -> __m256i {
    let (x, _) = x.as_chunks::<8>();
    let packed = _mm256_packs_epi32(eight(&x[0], inverse, limit), eight(&x[1], inverse, limit));
    _mm256_permute4x64_epi64::<0b11_01_10_00>(packed)
}

/// # Safety
/// The CPU has AVX2.
#[target_feature(enable = "avx2")]
unsafe fn quantize_i8_avx2(x: &[f32], inverse: f32, qmax: i32, q: &mut [i8]) {
    let (xs, x_rest) = x.as_chunks::<16>();
    let (qs, q_rest) = q.as_chunks_mut::<16>();
    let (i, l) = (_mm256_set1_ps(inverse), _mm256_set1_ps(qmax as f32));
    for (q, x) in qs.iter_mut().zip(xs) {
        let words = sixteen(x, i, l);
        let bytes = _mm_packs_epi16(
            _mm256_castsi256_si128(words),
            _mm256_extracti128_si256::<1>(words),
        );
        // SAFETY: the array holds the sixteen bytes that are written.
        unsafe { _mm_storeu_si128(q.as_mut_ptr().cast(), bytes) };
    }
    scalar::quantize_i8(x_rest, inverse, qmax, q_rest);
}

/// # Safety
/// The CPU has AVX2.
#[target_feature(enable = "avx2")]
unsafe fn quantize_i16_avx2(x: &[f32], inverse: f32, qmax: i32, q: &mut [i16]) {
    let (xs, x_rest) = x.as_chunks::<16>();
    let (qs, q_rest) = q.as_chunks_mut::<16>();
    let (i, l) = (_mm256_set1_ps(inverse), _mm256_set1_ps(qmax as f32));
    for (q, x) in qs.iter_mut().zip(xs) {
        // SAFETY: the array holds the sixteen i16 that are written.
        unsafe { _mm256_storeu_si256(q.as_mut_ptr().cast(), sixteen(x, i, l)) };
    }
    scalar::quantize_i16(x_rest, inverse, qmax, q_rest);
}

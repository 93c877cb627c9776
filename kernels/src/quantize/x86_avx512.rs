//! Sixty-four elements at a time; otherwise as AVX2.

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
            // SAFETY: the variants table asks for AVX-512, and dispatch obeys it.
            unsafe { $inner($($arg),*) }
        }
    )*};
}
dispatch! {
    max_abs, max_abs_avx512(x: &[f32]) -> f32;
    quantize_i8, quantize_i8_avx512(x: &[f32], inverse: f32, qmax: i32, q: &mut [i8]);
    quantize_i16, quantize_i16_avx512(x: &[f32], inverse: f32, qmax: i32, q: &mut [i16]);
    dequantize_i8, dequantize_i8_avx512(q: &[i8], scale: f32, x: &mut [f32]);
    dequantize_i16, dequantize_i16_avx512(q: &[i16], scale: f32, x: &mut [f32]);
}

/// # Safety
/// The CPU has AVX-512 F, BW, DQ and VL.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn max_abs_avx512(x: &[f32]) -> f32 {
    scalar::max_abs(x)
}

/// # Safety
/// The CPU has AVX-512 F, BW, DQ and VL.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn dequantize_i8_avx512(q: &[i8], scale: f32, x: &mut [f32]) {
    scalar::dequantize_i8(q, scale, x);
}

/// # Safety
/// The CPU has AVX-512 F, BW, DQ and VL.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn dequantize_i16_avx512(q: &[i16], scale: f32, x: &mut [f32]) {
    scalar::dequantize_i16(q, scale, x);
}

/// Sixteen quantised values as i32.
#[inline]
#[target_feature(enable = "avx512f")]
fn sixteen(x: &[f32; 16], inverse: __m512, limit: __m512) -> __m512i {
    // SAFETY: the array holds the sixteen f32 that are read.
    let v = unsafe { _mm512_loadu_ps(x.as_ptr()) };
    let t = _mm512_mul_ps(v, inverse);
    let t = _mm512_max_ps(t, _mm512_sub_ps(_mm512_setzero_ps(), limit));
    _mm512_cvtps_epi32(_mm512_min_ps(t, limit))
}

/// Thirty-two quantised values as i16: within each quarter, four of the first and
/// four of the last sixteen.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn thirty_two(x: &[f32; 32], inverse: __m512, limit: __m512) -> __m512i {
    let (x, _) = x.as_chunks::<16>();
    _mm512_packs_epi32(
        sixteen(&x[0], inverse, limit),
        sixteen(&x[1], inverse, limit),
    )
}

/// # Safety
/// The CPU has AVX-512 F, BW, DQ and VL.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn quantize_i8_avx512(x: &[f32], inverse: f32, qmax: i32, q: &mut [i8]) {
    let (xs, x_rest) = x.as_chunks::<64>();
    let (qs, q_rest) = q.as_chunks_mut::<64>();
    let (i, l) = (_mm512_set1_ps(inverse), _mm512_set1_ps(qmax as f32));
    // Packing leaves four bytes of each sixteen in every quarter.
    let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    for (q, x) in qs.iter_mut().zip(xs) {
        let (x, _) = x.as_chunks::<32>();
        let bytes = _mm512_packs_epi16(thirty_two(&x[0], i, l), thirty_two(&x[1], i, l));
        let bytes = _mm512_permutexvar_epi32(order, bytes);
        // SAFETY: the array holds the sixty-four bytes that are written.
        unsafe { _mm512_storeu_si512(q.as_mut_ptr().cast(), bytes) };
    }
    scalar::quantize_i8(x_rest, inverse, qmax, q_rest);
}

/// # Safety
/// The CPU has AVX-512 F, BW, DQ and VL.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn quantize_i16_avx512(x: &[f32], inverse: f32, qmax: i32, q: &mut [i16]) {
    let (xs, x_rest) = x.as_chunks::<32>();
    let (qs, q_rest) = q.as_chunks_mut::<32>();
    let (i, l) = (_mm512_set1_ps(inverse), _mm512_set1_ps(qmax as f32));
    let order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    for (q, x) in qs.iter_mut().zip(xs) {
        let words = _mm512_permutexvar_epi64(order, thirty_two(x, i, l));
        // SAFETY: the array holds the thirty-two i16 that are written.
        unsafe { _mm512_storeu_si512(q.as_mut_ptr().cast(), words) };
    }
    scalar::quantize_i16(x_rest, inverse, qmax, q_rest);
}

//! The reference: one element at a time. The loops are `inline(always)` so that
//! the AVX2 variant compiles the same source for its instructions.

use super::{Kernels, quantize_one};

pub(super) const KERNELS: Kernels = Kernels {
    max_abs,
    quantize_i8,
    quantize_i16,
    dequantize_i8,
    dequantize_i16,
};

#[inline(always)]
pub(super) fn max_abs(x: &[f32]) -> f32 {
    // A comparison with NaN is false, which passes over it. Eight maxima side
    // by side, so that the compiler can keep them in a vector.
    let mut lanes = [0f32; 8];
    let (chunks, rest) = x.as_chunks::<8>();
    for chunk in chunks {
        for (m, v) in lanes.iter_mut().zip(chunk) {
            let v = v.abs();
            *m = if v > *m { v } else { *m };
        }
    }
    lanes
        .iter()
        .chain(rest)
        .fold(0f32, |m, v| if v.abs() > m { v.abs() } else { m })
}

#[inline(always)]
pub(super) fn quantize_i8(x: &[f32], inverse: f32, qmax: i32, q: &mut [i8]) {
    q.iter_mut()
        .zip(x)
        .for_each(|(q, &x)| *q = quantize_one(x, inverse, qmax) as i8);
}

#[inline(always)]
pub(super) fn quantize_i16(x: &[f32], inverse: f32, qmax: i32, q: &mut [i16]) {
    q.iter_mut()
        .zip(x)
        .for_each(|(q, &x)| *q = quantize_one(x, inverse, qmax) as i16);
}

#[inline(always)]
pub(super) fn dequantize_i8(q: &[i8], scale: f32, x: &mut [f32]) {
    x.iter_mut()
        .zip(q)
        .for_each(|(x, &q)| *x = q as f32 * scale);
}

#[inline(always)]
pub(super) fn dequantize_i16(q: &[i16], scale: f32, x: &mut [f32]) {
    x.iter_mut()
        .zip(q)
        .for_each(|(x, &q)| *x = q as f32 * scale);
}

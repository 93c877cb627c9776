//! The reference: one element at a time. The loops are `inline(always)` so that
//! the x86 variants compile the same source for their instructions.

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
    // A comparison with NaN is false, which passes over it. Many maxima side by
    // side, so that the compiler can keep them in vectors that do not wait for each
    // other.
    let larger = |m: f32, v: f32| if v > m { v } else { m };
    let mut lanes = [0f32; 64];
    let (chunks, rest) = x.as_chunks::<64>();
    for chunk in chunks {
        for (m, v) in lanes.iter_mut().zip(chunk) {
            *m = larger(*m, v.abs());
        }
    }
    let all = lanes.iter().chain(rest);
    all.fold(0f32, |m, v| larger(m, v.abs()))
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

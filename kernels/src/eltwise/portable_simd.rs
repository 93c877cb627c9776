//! Eight elements at a time with the `wide` crate, for functions that rest on
//! the exponential: the same operations in the same order as
//! [`crate::math::exp`], so the same bits.
//!
//! `wide` picks its instructions when it is compiled, for the baseline of the
//! target: SSE2 on x86-64, NEON on AArch64, simd128 where enabled. It cannot
//! use AVX2 in a binary that also runs without, so AVX2 has its own file.

use super::{Unary, UnaryKind, scalar};
use wide::{f32x8, i32x8};

fn power_of_two(n: i32x8) -> f32x8 {
    let bits: i32x8 = (n + i32x8::splat(127)) << 23;
    f32x8::from(bits.to_array().map(|b| f32::from_bits(b as u32)))
}

fn exp(x: f32x8) -> f32x8 {
    let c = |v: f32| f32x8::splat(v);
    let (top, bottom) = (c(88.722_84), c(-103.972_08));
    // Outside of the range the result is replaced below; inside nothing changes.
    let v = x.min(top).max(bottom);
    // |v * log2 e| < 2^23: adding and taking off 1.5 * 2^23 rounds half to even.
    let magic = c(12_582_912.0);
    let n = (v * c(core::f32::consts::LOG2_E) + magic) - magic;
    let r = (v - n * c(0.693_359_4)) - n * c(-2.121_944_4e-4);
    let mut p = c(1.987_569_1e-4);
    for k in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        5e-1,
    ] {
        p = p * r + c(k);
    }
    let y = p * (r * r) + r + c(1.0);
    let whole = i32x8::from(n.to_array().map(|n| n as i32));
    let half: i32x8 = whole >> 1;
    let y = y * power_of_two(half) * power_of_two(whole - half);
    let y = x.simd_gt(top).select(c(f32::INFINITY), y);
    let y = x.simd_lt(bottom).select(c(0.0), y);
    x.is_nan().select(x, y)
}

fn sigmoid(x: f32x8) -> f32x8 {
    f32x8::splat(1.0) / (f32x8::splat(1.0) + exp(-x))
}

pub(super) fn unary(f: &Unary, x: &[f32], y: &mut [f32]) {
    let function: fn(f32x8) -> f32x8 = match f.kind {
        UnaryKind::Exp => exp,
        UnaryKind::Sigmoid => sigmoid,
        UnaryKind::Silu => |x| x * sigmoid(x),
        _ => return scalar::unary(f, x, y),
    };
    let (xs, x_rest) = x.as_chunks::<8>();
    let (ys, y_rest) = y.as_chunks_mut::<8>();
    for (y, x) in ys.iter_mut().zip(xs) {
        *y = function(f32x8::from(*x)).to_array();
    }
    scalar::unary(f, x_rest, y_rest);
}

//! The reference: one channel at a time. The loops are `inline(always)` so that
//! the AVX2 variant compiles the same source for its instructions; the order of
//! additions is that of the kernel positions in every variant.

use super::Kernels;

pub(super) const KERNELS: Kernels = Kernels {
    max_f32,
    max_i8,
    max_i16,
    add,
    divide,
};

#[inline(always)]
pub(super) fn max_f32(y: &mut [f32], x: &[f32]) {
    y.iter_mut()
        .zip(x)
        .for_each(|(y, &x)| *y = if x > *y { x } else { *y });
}

#[inline(always)]
pub(super) fn max_i8(y: &mut [i8], x: &[i8]) {
    y.iter_mut().zip(x).for_each(|(y, &x)| *y = x.max(*y));
}

#[inline(always)]
pub(super) fn max_i16(y: &mut [i16], x: &[i16]) {
    y.iter_mut().zip(x).for_each(|(y, &x)| *y = x.max(*y));
}

#[inline(always)]
pub(super) fn add(y: &mut [f32], x: &[f32]) {
    y.iter_mut().zip(x).for_each(|(y, &x)| *y += x);
}

#[inline(always)]
pub(super) fn divide(y: &mut [f32], n: f32) {
    y.iter_mut().for_each(|y| *y /= n);
}

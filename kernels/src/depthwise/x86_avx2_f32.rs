//! AVX2, f32: eight channels at once.

use super::direct::{Job, Vector};
use super::x86_avx2::F32;
use crate::epilogue::{Finish, FloatRows};
use core::arch::x86_64::*;

impl Vector for F32 {
    type Register = __m256;
    type Lines = F32;

    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn zero() -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_setzero_ps() }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn add(sum: __m256, x: __m256, w: __m256) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_add_ps(sum, _mm256_mul_ps(x, w)) }
    }

    unsafe fn columns(finish: &Finish<'_>, first: usize, to: &mut [f32]) {
        // SAFETY: the caller's promises are the same.
        unsafe { FloatRows::columns(finish, first, to) };
    }

    #[inline(always)]
    unsafe fn put(out: &FloatRows<'_>, columns: *const f32, sums: __m256, to: *mut f32) {
        // SAFETY: the caller's promises are the same.
        unsafe { out.put(columns, sums, to) };
    }

    #[target_feature(enable = "avx2")]
    unsafe fn line<const W: usize, const S: usize>(job: &Job<'_>, number: usize) {
        // SAFETY: the caller's promises are the same.
        unsafe { job.line::<F32, W, S>(number) };
    }
}

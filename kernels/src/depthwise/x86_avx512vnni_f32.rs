//! AVX-512, f32: sixteen channels at once.

use super::direct::{Job, Vector};
use super::x86_avx512vnni::F32;
use crate::epilogue::{Finish, FloatRows};
use core::arch::x86_64::*;

impl Vector for F32 {
    type Register = __m512;
    type Lines = F32;

    const LANES: usize = 16;

    #[inline(always)]
    unsafe fn zero() -> __m512 {
        // SAFETY: the caller's promise.
        unsafe { _mm512_setzero_ps() }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m512 {
        // SAFETY: the caller's promise.
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn add(sum: __m512, x: __m512, w: __m512) -> __m512 {
        // SAFETY: the caller's promise.
        unsafe { _mm512_add_ps(sum, _mm512_mul_ps(x, w)) }
    }

    unsafe fn columns(finish: &Finish<'_>, first: usize, to: &mut [f32]) {
        // SAFETY: the caller's promises are the same.
        unsafe { FloatRows::columns_512(finish, first, to) };
    }

    #[inline(always)]
    unsafe fn put(out: &FloatRows<'_>, columns: *const f32, sums: __m512, to: *mut f32) {
        // SAFETY: the caller's promises are the same.
        unsafe { out.put_512(columns, sums, to) };
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn line<const W: usize, const S: usize>(job: &Job<'_>, number: usize) {
        // SAFETY: the caller's promises are the same.
        unsafe { job.line::<F32, W, S>(number) };
    }
}

//! Residuals and stores, in the output's order.

use super::{Columns, LANES, Place, lanes, mask};
use core::arch::x86_64::*;

impl<const N: usize, const U: usize> Columns<'_, N, U> {
    /// Rounds, bounds and stores i16.
    ///
    /// # Safety
    ///
    /// As for [`line`](Self::line).
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    pub(super) unsafe fn store_i16(&self, y: *mut i16, place: &Place<N>, t: [__m512; N]) {
        // Packing leaves eight bytes of either register in each 128 bits.
        let order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
        let words = self.words(self.integers(t));
        let words = words.map(|words| _mm512_permutexvar_epi64(order, words));
        // SAFETY: the caller's promise.
        unsafe { self.store_words(place.at.map(|at| y.wrapping_add(at)), place.mask, words) };
    }

    /// Rounds, bounds and stores i8.
    ///
    /// # Safety
    ///
    /// As for [`line`](Self::line).
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    pub(super) unsafe fn store_i8(&self, y: *mut i8, place: &Place<N>, t: [__m512; N]) {
        // Packing leaves four bytes of every register in each 128 bits.
        let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        let bytes = self.bytes(self.integers(t));
        let bytes = _mm512_permutexvar_epi32(order, bytes);
        // SAFETY: the caller's promise.
        unsafe { self.store_bytes(place.at.map(|at| y.wrapping_add(at)), place.mask, bytes) };
    }

    /// Scaled, unless they are known to be, bounded above, and rounded.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn integers(&self, mut t: [__m512; N]) -> [__m512i; N] {
        if !self.bounded {
            for t in &mut t {
                *t = _mm512_mul_ps(*t, self.inverse_scale);
            }
        }
        let mut q = [_mm512_setzero_si512(); N];
        for (q, t) in q.iter_mut().zip(t) {
            // The second operand is the result where it is NaN.
            *q = _mm512_cvtps_epi32(_mm512_min_ps(self.bound, t));
        }
        q
    }

    /// Packed and at least `low`: 32 words of every two registers.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    pub(super) fn words(&self, q: [__m512i; N]) -> [__m512i; 2] {
        [
            _mm512_max_epi16(_mm512_packs_epi32(q[0], q[1 % N]), self.low),
            _mm512_max_epi16(_mm512_packs_epi32(q[2 % N], q[3 % N]), self.low),
        ]
    }

    /// Packed and at least `low`: as many bytes as there are lanes.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    pub(super) fn bytes(&self, q: [__m512i; N]) -> __m512i {
        let low = _mm512_packs_epi32(q[0], q[1 % N]);
        let high = _mm512_packs_epi32(q[2 % N], q[3 % N]);
        _mm512_max_epi8(_mm512_packs_epi16(low, high), self.low)
    }

    /// Stores 32 words of every two registers, register n's at `to[n]`.
    ///
    /// # Safety
    ///
    /// There is room where the mask says so.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    pub(super) unsafe fn store_words(&self, to: [*mut i16; N], mask: u64, words: [__m512i; 2]) {
        // SAFETY: the caller's promise.
        unsafe {
            for n in (0..N).step_by(2) {
                let (words, mask) = (words[n / 2], mask >> (n * LANES));
                if self.copies < N && mask as __mmask32 == u32::MAX {
                    _mm512_storeu_si512(to[n].cast(), words);
                } else if self.copies < N {
                    _mm512_mask_storeu_epi16(to[n], mask as __mmask32, words);
                } else {
                    let low = _mm512_castsi512_si256(words);
                    _mm256_mask_storeu_epi16(to[n], mask as __mmask16, low);
                    let high = _mm512_extracti64x4_epi64::<1>(words);
                    // Where N is 1 this is the same place and no output.
                    let next = to[(n + 1) % N];
                    _mm256_mask_storeu_epi16(next, (mask >> LANES) as __mmask16, high);
                }
            }
        }
    }

    /// Stores the bytes of all registers, register n's at `to[n]`. A store with a
    /// mask takes as long as two.
    ///
    /// # Safety
    ///
    /// There is room where the mask says so.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    pub(super) unsafe fn store_bytes(&self, to: [*mut i8; N], mask: u64, bytes: __m512i) {
        let half = _mm512_castsi512_si256(bytes);
        let quarter = _mm512_castsi512_si128(bytes);
        // SAFETY: the caller's promise.
        unsafe {
            match (N, self.copies) {
                (1, _) => _mm_mask_storeu_epi8(to[0], mask as __mmask16, quarter),
                (2, _) => _mm256_mask_storeu_epi8(to[0], mask as __mmask32, half),
                (_, 1) if mask == u64::MAX => _mm512_storeu_si512(to[0].cast(), bytes),
                (_, 1) => _mm512_mask_storeu_epi8(to[0], mask, bytes),
                (_, 2) => {
                    let other = _mm512_extracti64x4_epi64::<1>(bytes);
                    if mask == u64::MAX {
                        _mm256_storeu_si256(to[0].cast(), half);
                        _mm256_storeu_si256(to[2 % N].cast(), other);
                    } else {
                        _mm256_mask_storeu_epi8(to[0], mask as __mmask32, half);
                        _mm256_mask_storeu_epi8(to[2 % N], (mask >> 32) as __mmask32, other);
                    }
                }
                _ => {
                    let all = [
                        quarter,
                        _mm512_extracti32x4_epi32::<1>(bytes),
                        _mm512_extracti32x4_epi32::<2>(bytes),
                        _mm512_extracti32x4_epi32::<3>(bytes),
                    ];
                    for (n, quarter) in all.into_iter().enumerate() {
                        if mask == u64::MAX {
                            _mm_storeu_si128(to[n % N].cast(), quarter);
                        } else {
                            _mm_mask_storeu_epi8(to[n % N], lanes(mask, n), quarter);
                        }
                    }
                }
            }
        }
    }
}

/// Adds a residual.
///
/// # Safety
///
/// Where the mask says so, the residual has the outputs that begin at the places.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
pub(super) unsafe fn add_f32<const N: usize>(
    t: &mut [__m512; N],
    residual: *const f32,
    place: &Place<N>,
    scale: f32,
) {
    let scaled = scale != 1.0;
    let scale = _mm512_set1_ps(scale);
    for (n, t) in t.iter_mut().enumerate() {
        let from = residual.wrapping_add(place.at[n]);
        // SAFETY: the caller's promise.
        let r = unsafe { _mm512_maskz_loadu_ps(lanes(place.mask, n), from) };
        let r = if scaled { _mm512_mul_ps(r, scale) } else { r };
        *t = _mm512_add_ps(*t, r);
    }
}

/// # Safety
///
/// As for [`add_f32`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
pub(super) unsafe fn add_i16<const N: usize>(
    t: &mut [__m512; N],
    residual: *const i16,
    place: &Place<N>,
    scale: f32,
) {
    let scale = _mm512_set1_ps(scale);
    for (n, t) in t.iter_mut().enumerate() {
        let from = residual.wrapping_add(place.at[n]);
        // SAFETY: the caller's promise.
        let r = unsafe { _mm256_maskz_loadu_epi16(lanes(place.mask, n), from) };
        let r = _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(r));
        *t = _mm512_add_ps(*t, _mm512_mul_ps(r, scale));
    }
}

/// # Safety
///
/// As for [`add_f32`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
pub(super) unsafe fn add_i8<const N: usize>(
    t: &mut [__m512; N],
    residual: *const i8,
    place: &Place<N>,
    scale: f32,
) {
    let scale = _mm512_set1_ps(scale);
    for (n, t) in t.iter_mut().enumerate() {
        let from = residual.wrapping_add(place.at[n]);
        // SAFETY: the caller's promise.
        let r = unsafe { _mm_maskz_loadu_epi8(lanes(place.mask, n), from) };
        let r = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(r));
        *t = _mm512_add_ps(*t, _mm512_mul_ps(r, scale));
    }
}

/// Stores floats in the output's order, register n's at `to[n]`.
///
/// # Safety
///
/// There is room where the mask says so.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) unsafe fn store_f32<const N: usize>(to: [*mut f32; N], stored: u64, t: [__m512; N]) {
    let whole = stored == mask(N * LANES);
    for (n, t) in t.into_iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe {
            if whole {
                _mm512_storeu_ps(to[n], t);
            } else {
                _mm512_mask_storeu_ps(to[n], lanes(stored, n), t);
            }
        }
    }
}

//! Up to 64 outputs to i8, 64 bytes at a time, where the activation is no more than
//! bounds: instructions that pack saturate, and what is left of the bounds comes
//! last, on bytes. One, two or four rows fill a register of bytes.
//!
//! What is inlined into a function that has the features has none itself.

use super::{Columns, LANES, Out, SumRows, mask};
use crate::View;
use crate::epilogue::Residual;
use core::arch::x86_64::*;

/// Registers of sums that make one of bytes.
const REGISTERS: usize = 4;

/// The epilogue of `B` registers of outputs, 1 to 4.
pub(crate) struct PackedRows<const B: usize> {
    scale: [__m512; B],
    bias: [__m512; B],
    inverse_scale: __m512,
    low: __m512i,
    high: __m512i,
    /// Where output `first` of row 0 goes, and the distance to the next row's.
    to: *mut i8,
    step: usize,
    /// What is added to output `first` of row 0, and its scale.
    residual: Option<*const i8>,
    residual_scale: __m512,
    /// The outputs of a row that there are.
    mask: u64,
}

impl<const B: usize> SumRows<B> for PackedRows<B> {
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn new<const N: usize>(columns: &Columns<'_, N>, largest: f32) -> Option<Self> {
        let finish = columns.finish;
        let Out::I8(y) = &finish.y else {
            return None;
        };
        let (residual, residual_scale) = match finish.residual {
            None => (None, 0.0),
            Some(Residual {
                values: View::I8(values),
                scale,
            }) => (Some(values.as_ptr().wrapping_add(columns.first)), scale),
            _ => return None,
        };
        let more = _mm512_abs_ps(_mm512_set1_ps(128.0 * residual_scale));
        let fit = (0..B).all(|b| {
            let bias = _mm512_add_ps(_mm512_abs_ps(columns.bias[b]), more);
            fits(columns.scale[b], bias, columns.inverse_scale, largest)
        });
        (columns.bounded && fit).then_some(PackedRows {
            scale: core::array::from_fn(|b| columns.scale[b]),
            bias: core::array::from_fn(|b| columns.bias[b]),
            inverse_scale: columns.inverse_scale,
            low: columns.low,
            high: columns.high,
            to: y.start().wrapping_add(columns.first),
            step: finish.outputs,
            residual,
            residual_scale: _mm512_set1_ps(residual_scale),
            mask: columns.mask,
        })
    }

    fn has_residual(&self) -> bool {
        self.residual.is_some()
    }

    #[inline(always)]
    unsafe fn rows<const R: usize, const RESIDUAL: bool>(
        &self,
        row: usize,
        sums: &[[__m512i; B]; R],
    ) {
        const { assert!(R.div_ceil(Self::ROWS) <= 8) };
        macro_rules! registers {
            ($($n:literal)*) => {$(
                if $n * Self::ROWS < R {
                    // SAFETY: the caller's promises.
                    unsafe { self.register::<R, RESIDUAL>(row, sums, $n * Self::ROWS) };
                }
            )*};
        }
        // In a loop, sums would be in memory.
        registers!(0 1 2 3 4 5 6 7);
    }
}

impl<const B: usize> PackedRows<B> {
    /// Rows that make a register of bytes.
    const ROWS: usize = REGISTERS / B;

    /// As many rows from `row + from` on as make a register of bytes.
    ///
    /// # Safety
    ///
    /// As for [`SumRows::rows`].
    #[inline(always)]
    unsafe fn register<const R: usize, const RESIDUAL: bool>(
        &self,
        row: usize,
        sums: &[[__m512i; B]; R],
        from: usize,
    ) {
        let count = Self::ROWS.min(R - from);
        // SAFETY: the caller's promises; the residual is as long as `y`.
        unsafe {
            let mut t = [_mm512_setzero_ps(); REGISTERS];
            for r in 0..count {
                for b in 0..B {
                    let sum = _mm512_cvtepi32_ps(sums[from + r][b]);
                    t[r * B + b] = _mm512_add_ps(_mm512_mul_ps(sum, self.scale[b]), self.bias[b]);
                }
            }
            if RESIDUAL && let Some(residual) = self.residual {
                for r in 0..count {
                    let at = residual.wrapping_add((row + from + r) * self.step);
                    for b in 0..B {
                        t[r * B + b] = _mm512_add_ps(t[r * B + b], self.residual(at, b));
                    }
                }
            }
            let mut q = [_mm512_setzero_si512(); REGISTERS];
            for (q, t) in q.iter_mut().zip(t).take(B * count) {
                *q = _mm512_cvtps_epi32(_mm512_mul_ps(t, self.inverse_scale));
            }
            let low = _mm512_packs_epi32(q[0], q[1]);
            let high = if B * count > 2 {
                _mm512_packs_epi32(q[2], q[3])
            } else {
                low
            };
            // Packing leaves four bytes of every register in each 128 bits.
            let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            let bytes = _mm512_permutexvar_epi32(order, _mm512_packs_epi16(low, high));
            let bytes = _mm512_min_epi8(_mm512_max_epi8(bytes, self.low), self.high);
            self.store(row + from, count, bytes);
        }
    }

    /// What is added to register `b` of a row.
    ///
    /// # Safety
    ///
    /// `at` is where the row's begins.
    #[inline(always)]
    unsafe fn residual(&self, at: *const i8, b: usize) -> __m512 {
        let mask = (self.mask >> (b * LANES)) as __mmask16;
        // SAFETY: the caller's promise; the mask has no more than the outputs.
        unsafe {
            let r = _mm_maskz_loadu_epi8(mask, at.wrapping_add(b * LANES));
            let r = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(r));
            _mm512_mul_ps(r, self.residual_scale)
        }
    }

    /// Stores `count` rows, the bytes of which follow each other. A store with a mask
    /// takes as long as two.
    ///
    /// # Safety
    ///
    /// As for [`SumRows::rows`].
    #[inline(always)]
    unsafe fn store(&self, row: usize, count: usize, bytes: __m512i) {
        let to = self.to.wrapping_add(row * self.step);
        let whole = self.mask == mask(B * LANES);
        // SAFETY: the caller's promises.
        unsafe {
            let half = _mm512_castsi512_si256(bytes);
            let quarter = _mm512_castsi512_si128(bytes);
            match B {
                1 | 2 if count == Self::ROWS && whole && self.step == B * LANES => {
                    _mm512_storeu_si512(to.cast(), bytes);
                }
                1 => {
                    let all = [
                        quarter,
                        _mm512_extracti32x4_epi32::<1>(bytes),
                        _mm512_extracti32x4_epi32::<2>(bytes),
                        _mm512_extracti32x4_epi32::<3>(bytes),
                    ];
                    for (r, quarter) in all.into_iter().enumerate().take(count) {
                        let to = to.wrapping_add(r * self.step);
                        _mm_mask_storeu_epi8(to, self.mask as __mmask16, quarter);
                    }
                }
                2 => {
                    let all = [half, _mm512_extracti64x4_epi64::<1>(bytes)];
                    for (r, half) in all.into_iter().enumerate().take(count) {
                        let to = to.wrapping_add(r * self.step);
                        if whole {
                            _mm256_storeu_si256(to.cast(), half);
                        } else {
                            _mm256_mask_storeu_epi8(to, self.mask as __mmask32, half);
                        }
                    }
                }
                4 if whole => _mm512_storeu_si512(to.cast(), bytes),
                _ => _mm512_mask_storeu_epi8(to, self.mask, bytes),
            }
        }
    }
}

/// Whether `(largest * scale + bias) * inverse_scale` is a number in the range of an
/// i32, and so is that of every smaller sum; `bias` is a magnitude.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn fits(scale: __m512, bias: __m512, inverse_scale: __m512, largest: f32) -> bool {
    // Half of the range, as these are not the roundings of the outputs.
    const RANGE: f32 = (1 << 30) as f32;
    let t = _mm512_mul_ps(_mm512_abs_ps(scale), _mm512_set1_ps(largest));
    let t = _mm512_mul_ps(_mm512_add_ps(t, bias), _mm512_abs_ps(inverse_scale));
    _mm512_cmp_ps_mask::<_CMP_LT_OQ>(t, _mm512_set1_ps(RANGE)) == __mmask16::MAX
}

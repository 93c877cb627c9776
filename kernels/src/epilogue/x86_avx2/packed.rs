//! 16 or 8 outputs to i8, two rows at a time, where the activation is no more than
//! bounds: instructions that pack saturate, and what is left of the bounds comes
//! last, on bytes.
//!
//! What is inlined into a function that has the features has none itself.

use super::{Columns, LANES, Out};
use crate::View;
use crate::epilogue::{Finish, Residual};
use core::arch::x86_64::*;

/// Registers.
const N: usize = 2;

/// The epilogue of two registers of outputs.
pub(crate) struct PackedRows<'a> {
    columns: Columns<'a, N>,
    /// Where output `first` of row 0 goes, and the distance to the next row's.
    to: *mut i8,
    step: usize,
    /// What is added to output `first` of row 0.
    residual: Option<*const i8>,
    low: __m256i,
    high: __m256i,
}

impl<'a> PackedRows<'a> {
    /// Outputs `first..first + 16` of sums of at most `largest` in magnitude; or of
    /// `first..first + 8`, where these are the last ones. `None` where the epilogue is
    /// another one.
    #[target_feature(enable = "avx2")]
    pub(crate) fn new(finish: &'a Finish<'a>, first: usize, largest: f32) -> Option<Self> {
        let (Out::I8(y), Some((low, high))) = (&finish.y, finish.bounds()) else {
            return None;
        };
        let (residual, more) = match finish.residual {
            None => (None, 0.0),
            Some(Residual {
                values: View::I8(values),
                scale,
            }) => (Some(values.as_ptr().wrapping_add(first)), 128.0 * scale),
            _ => return None,
        };
        let columns = Columns::<N>::new(finish, first);
        let mut bias = columns.bias;
        for bias in &mut bias {
            *bias = _mm256_add_ps(magnitude(*bias), magnitude(_mm256_set1_ps(more)));
        }
        fits(&columns.scale, &bias, largest).then_some(PackedRows {
            columns,
            to: y.start().wrapping_add(first),
            step: finish.outputs,
            residual,
            low: _mm256_set1_epi8(low as i8),
            high: _mm256_set1_epi8(high as i8),
        })
    }

    /// Whether there is a residual.
    pub(crate) fn has_residual(&self) -> bool {
        self.residual.is_some()
    }

    /// Rows `row` and `row + 1`, `H` registers of each; `RESIDUAL` as
    /// [`has_residual`](Self::has_residual) says.
    ///
    /// # Safety
    ///
    /// The CPU has AVX2; the outputs lie in `y`, and no other task has them.
    #[inline(always)]
    pub(crate) unsafe fn two<const H: usize, const RESIDUAL: bool>(
        &self,
        row: usize,
        a: [__m256; N],
        b: [__m256; N],
    ) {
        // SAFETY: the caller's promises.
        unsafe {
            let a = self.words::<H, RESIDUAL>(row, a);
            let b = self.words::<H, RESIDUAL>(row + 1, b);
            let [a, b] = self.bytes(a, b);
            self.store::<H>(row, a);
            self.store::<H>(row + 1, b);
        }
    }

    /// One row.
    ///
    /// # Safety
    ///
    /// As for [`two`](Self::two).
    #[inline(always)]
    pub(crate) unsafe fn one<const H: usize, const RESIDUAL: bool>(
        &self,
        row: usize,
        t: [__m256; N],
    ) {
        // SAFETY: the caller's promises.
        unsafe {
            let words = self.words::<H, RESIDUAL>(row, t);
            let [bytes, _] = self.bytes(words, words);
            self.store::<H>(row, bytes);
        }
    }

    /// Two rows of [`words`](Self::words) as outputs.
    ///
    /// # Safety
    ///
    /// The CPU has AVX2.
    #[inline(always)]
    unsafe fn bytes(&self, a: __m256i, b: __m256i) -> [__m128i; 2] {
        // SAFETY: the caller's promise.
        unsafe {
            // Dwords of a lane: outputs 0..4 and 8..12 of each row, then the others.
            let bytes = _mm256_packs_epi16(a, b);
            let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
            let bytes = _mm256_permutevar8x32_epi32(bytes, order);
            let bytes = _mm256_min_epi8(_mm256_max_epi8(bytes, self.low), self.high);
            [
                _mm256_castsi256_si128(bytes),
                _mm256_extracti128_si256::<1>(bytes),
            ]
        }
    }

    /// The outputs of a row as words, as `packs` leaves them.
    ///
    /// # Safety
    ///
    /// As for [`two`](Self::two).
    #[inline(always)]
    unsafe fn words<const H: usize, const RESIDUAL: bool>(
        &self,
        row: usize,
        t: [__m256; N],
    ) -> __m256i {
        let columns = &self.columns;
        // SAFETY: the caller's promises; the residual is as long as `y`.
        unsafe {
            let mut q = [_mm256_setzero_si256(); N];
            for h in 0..H {
                let t = _mm256_mul_ps(t[h], columns.scale[h]);
                let mut t = _mm256_add_ps(t, columns.bias[h]);
                if RESIDUAL && let Some(residual) = self.residual {
                    let at = residual.add(row * self.step + h * LANES);
                    let r = _mm256_cvtepi8_epi32(_mm_loadl_epi64(at.cast()));
                    let r = _mm256_mul_ps(_mm256_cvtepi32_ps(r), columns.residual_scale);
                    t = _mm256_add_ps(t, r);
                }
                q[h] = _mm256_cvtps_epi32(t);
            }
            _mm256_packs_epi32(q[0], q[1])
        }
    }

    /// Writes the outputs of a row.
    ///
    /// # Safety
    ///
    /// As for [`two`](Self::two).
    #[inline(always)]
    unsafe fn store<const H: usize>(&self, row: usize, bytes: __m128i) {
        let to = self.to.wrapping_add(row * self.step);
        // SAFETY: the caller's promises; 16 bytes, or eight.
        unsafe {
            if H == N {
                _mm_storeu_si128(to.cast(), bytes);
            } else {
                _mm_storel_epi64(to.cast(), bytes);
            }
        }
    }
}

/// Whether `largest * scale + bias` is a number in the range of an i32, and so is that of
/// every smaller sum.
#[target_feature(enable = "avx2")]
pub(super) fn fits(scale: &[__m256], bias: &[__m256], largest: f32) -> bool {
    // Half of the range, as these are not the roundings of the outputs.
    const RANGE: f32 = (1 << 30) as f32;
    scale.iter().zip(bias).all(|(scale, bias)| {
        let t = _mm256_mul_ps(magnitude(*scale), _mm256_set1_ps(largest));
        let t = _mm256_add_ps(t, magnitude(*bias));
        let less = _mm256_cmp_ps::<_CMP_LT_OQ>(t, _mm256_set1_ps(RANGE));
        _mm256_movemask_ps(less) == 0xff
    })
}

#[target_feature(enable = "avx2")]
#[inline]
fn magnitude(t: __m256) -> __m256 {
    _mm256_andnot_ps(_mm256_set1_ps(-0.0), t)
}

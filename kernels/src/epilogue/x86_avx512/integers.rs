//! Integer sums to outputs straight from registers, where the activation is no more than
//! bounds. To i8, 64 bytes at a time: instructions that pack saturate, and what is left
//! of the bounds comes last, on bytes. One, two or four rows fill a register of bytes.
//! To f32 a register at a time.
//!
//! What is inlined into a function that has the features has none itself.

use super::{Columns, LANES, Out, SumRows, bound, lanes, mask};
use crate::View;
use crate::epilogue::Residual;
use core::arch::x86_64::*;

/// Registers of sums that make one of bytes.
const REGISTERS: usize = 4;

/// The epilogue of `B` registers of outputs, 1 to 4.
pub(crate) struct IntegerTile<const B: usize> {
    scale: [__m512; B],
    bias: [__m512; B],
    /// Where output `first` of row 0 goes, and the distance to the next row's.
    to: To,
    step: usize,
    /// What is added to output `first` of row 0.
    residual: Option<Added>,
    /// The outputs of a row that there are.
    mask: u64,
}

/// Outputs.
enum To {
    Bytes {
        to: *mut i8,
        low: __m512i,
        high: __m512i,
    },
    Floats {
        to: *mut f32,
        /// `None` without an activation.
        bounds: Option<[f32; 2]>,
    },
}

/// What is added before the activation.
enum Added {
    Bytes {
        from: *const i8,
        scale: __m512,
    },
    /// To bytes.
    ScaledFloats {
        from: *const f32,
        scale: __m512,
        /// The largest output: nothing is known of what is added, and what is beyond an
        /// i32 would not saturate.
        high: __m512,
    },
    /// To floats.
    Floats {
        from: *const f32,
    },
}

impl<const B: usize> SumRows<B> for IntegerTile<B> {
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn new<const N: usize>(columns: &Columns<'_, N>, largest: f32) -> Option<Self> {
        let finish = columns.finish;
        // At most this is added to what a sum becomes, if it becomes an integer.
        let mut more = 0.0;
        let residual = match finish.residual {
            None => None,
            Some(Residual {
                values: View::I8(values),
                scale,
            }) => {
                more = 128.0 * scale;
                Some(Added::Bytes {
                    from: values.as_ptr().wrapping_add(columns.first),
                    scale: _mm512_set1_ps(scale),
                })
            }
            Some(Residual {
                values: View::F32(values),
                scale,
            }) => {
                let from = values.as_ptr().wrapping_add(columns.first);
                Some(match finish.y {
                    Out::F32(_) => Added::Floats { from },
                    _ => Added::ScaledFloats {
                        from,
                        scale: _mm512_set1_ps(scale),
                        high: columns.bound,
                    },
                })
            }
            _ => return None,
        };
        let to = match &finish.y {
            Out::I8(y) => {
                let more = _mm512_abs_ps(_mm512_set1_ps(more));
                let fit = (0..B).all(|b| {
                    let bias = _mm512_add_ps(_mm512_abs_ps(columns.bias[b]), more);
                    fits(columns.scale[b], bias, largest)
                });
                if !(columns.bounded && fit) {
                    return None;
                }
                To::Bytes {
                    to: y.start().wrapping_add(columns.first),
                    low: columns.low,
                    high: columns.high,
                }
            }
            Out::F32(y) if finish.only_bounds() => To::Floats {
                to: y.start().wrapping_add(columns.first),
                bounds: columns.clip,
            },
            _ => return None,
        };
        Some(IntegerTile {
            scale: core::array::from_fn(|b| columns.scale[b]),
            bias: core::array::from_fn(|b| columns.bias[b]),
            to,
            step: finish.outputs,
            residual,
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

impl<const B: usize> IntegerTile<B> {
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
            if RESIDUAL {
                for r in 0..count {
                    let at = (row + from + r) * self.step;
                    for b in 0..B {
                        self.add_residual(&mut t[r * B + b], at + b * LANES, lanes(self.mask, b));
                    }
                }
            }
            match &self.to {
                To::Bytes { to, low, high } => {
                    let mut q = [_mm512_setzero_si512(); REGISTERS];
                    for (q, mut t) in q.iter_mut().zip(t).take(B * count) {
                        if let Some(Added::ScaledFloats { high, .. }) = self.residual
                            && RESIDUAL
                        {
                            // A NaN stays.
                            t = _mm512_min_ps(high, t);
                        }
                        *q = _mm512_cvtps_epi32(t);
                    }
                    let bytes = _mm512_min_epi8(_mm512_max_epi8(pack(q, B * count), *low), *high);
                    self.store(*to, row + from, count, bytes);
                }
                To::Floats { to, bounds } => {
                    if let Some([low, high]) = *bounds {
                        bound(&mut t, low, high);
                    }
                    for r in 0..count {
                        let at = to.wrapping_add((row + from + r) * self.step);
                        for b in 0..B {
                            let t = t[r * B + b];
                            _mm512_mask_storeu_ps(
                                at.wrapping_add(b * LANES),
                                lanes(self.mask, b),
                                t,
                            );
                        }
                    }
                }
            }
        }
    }

    /// Adds the residual of the outputs from `at` on.
    ///
    /// # Safety
    ///
    /// They are there where the mask says so.
    #[inline(always)]
    unsafe fn add_residual(&self, t: &mut __m512, at: usize, mask: __mmask16) {
        // SAFETY: the caller's promise.
        unsafe {
            let residual = match &self.residual {
                Some(Added::Bytes { from, scale }) => {
                    let r = _mm_maskz_loadu_epi8(mask, from.wrapping_add(at));
                    let r = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(r));
                    _mm512_mul_ps(r, *scale)
                }
                Some(Added::ScaledFloats { from, scale, .. }) => {
                    _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, from.wrapping_add(at)), *scale)
                }
                Some(Added::Floats { from }) => _mm512_maskz_loadu_ps(mask, from.wrapping_add(at)),
                None => return,
            };
            *t = _mm512_add_ps(*t, residual);
        }
    }

    /// Stores `count` rows, the bytes of which follow each other. A store with a mask
    /// takes as long as two.
    ///
    /// # Safety
    ///
    /// As for [`SumRows::rows`].
    #[inline(always)]
    unsafe fn store(&self, to: *mut i8, row: usize, count: usize, bytes: __m512i) {
        let to = to.wrapping_add(row * self.step);
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

/// The first `count` of four registers of i32 as bytes, saturated.
#[inline(always)]
unsafe fn pack(q: [__m512i; REGISTERS], count: usize) -> __m512i {
    // SAFETY: the caller's promise.
    unsafe {
        let low = _mm512_packs_epi32(q[0], q[1]);
        let high = if count > 2 {
            _mm512_packs_epi32(q[2], q[3])
        } else {
            low
        };
        // Packing leaves four bytes of every register in each 128 bits.
        let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        _mm512_permutexvar_epi32(order, _mm512_packs_epi16(low, high))
    }
}

/// Whether `largest * scale + bias` is a number in the range of an i32, and so is that of
/// every smaller sum; `bias` is a magnitude.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn fits(scale: __m512, bias: __m512, largest: f32) -> bool {
    // Half of the range, as these are not the roundings of the outputs.
    const RANGE: f32 = (1 << 30) as f32;
    let t = _mm512_mul_ps(_mm512_abs_ps(scale), _mm512_set1_ps(largest));
    let t = _mm512_add_ps(t, bias);
    _mm512_cmp_ps_mask::<_CMP_LT_OQ>(t, _mm512_set1_ps(RANGE)) == __mmask16::MAX
}

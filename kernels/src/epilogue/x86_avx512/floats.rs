//! Outputs to f32 straight from registers of sums, with an activation that is no more
//! than bounds.
//!
//! What is inlined into a function that has the features has none itself.

use super::{Columns, LANES, Out, SumRows, lanes};
use crate::View;
use crate::epilogue::{Finish, FloatRows, Residual};
use core::arch::x86_64::*;

impl FloatRows<'_> {
    /// Writes the scales of outputs `first..first + 16`, then their biases.
    ///
    /// # Safety
    ///
    /// The CPU has AVX-512 F, BW and VL; the outputs are there.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(crate) unsafe fn columns_512(finish: &Finish<'_>, first: usize, to: &mut [f32]) {
        let columns = Columns::<1>::new(finish, first, LANES);
        for (to, values) in to
            .chunks_exact_mut(LANES)
            .zip([columns.scale, columns.bias])
        {
            // SAFETY: sixteen floats.
            unsafe { _mm512_storeu_ps(to.as_mut_ptr(), values[0]) };
        }
    }

    /// Finishes sixteen sums.
    ///
    /// # Safety
    ///
    /// The CPU has AVX-512 F; `columns` is what [`columns_512`](Self::columns_512)
    /// wrote, the outputs begin at `to`, and no other task has them.
    #[inline(always)]
    pub(crate) unsafe fn put_512(&self, columns: *const f32, sums: __m512, to: *mut f32) {
        // SAFETY: the caller's promises.
        unsafe {
            let scale = _mm512_loadu_ps(columns);
            let bias = _mm512_loadu_ps(columns.add(LANES));
            let mut t = _mm512_add_ps(_mm512_mul_ps(sums, scale), bias);
            if let Some([low, high]) = self.bounds {
                t = _mm512_min_ps(_mm512_max_ps(t, _mm512_set1_ps(low)), _mm512_set1_ps(high));
            }
            _mm512_storeu_ps(to, t);
        }
    }
}

/// The epilogue of `B` registers of outputs, 1 to 4.
pub(crate) struct FloatTile<const B: usize> {
    scale: [__m512; B],
    bias: [__m512; B],
    /// `None` without an activation.
    bounds: Option<[__m512; 2]>,
    /// Where output `first` of row 0 goes, and the distance to the next row's.
    to: *mut f32,
    step: usize,
    /// What is added to output `first` of row 0.
    residual: Option<*const f32>,
    /// The outputs of the last register that there are.
    mask: __mmask16,
}

impl<const B: usize> SumRows<B> for FloatTile<B> {
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn new<const N: usize>(columns: &Columns<'_, N>, _: f32) -> Option<Self> {
        let finish = columns.finish;
        let Out::F32(y) = &finish.y else {
            return None;
        };
        let residual = match finish.residual {
            None => None,
            Some(Residual {
                values: View::F32(values),
                ..
            }) => Some(values.as_ptr().wrapping_add(columns.first)),
            _ => return None,
        };
        finish.only_bounds().then(|| FloatTile {
            scale: core::array::from_fn(|b| columns.scale[b]),
            bias: core::array::from_fn(|b| columns.bias[b]),
            bounds: columns
                .clip
                .map(|[low, high]| [_mm512_set1_ps(low), _mm512_set1_ps(high)]),
            to: y.start().wrapping_add(columns.first),
            step: finish.outputs,
            residual,
            mask: lanes(columns.mask, B - 1),
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
        let residual = self.residual.unwrap_or(core::ptr::null());
        let mut at = row * self.step;
        // SAFETY: the caller's promises; a residual is as long as `y`.
        unsafe {
            for sums in sums {
                for (b, sum) in sums.iter().enumerate() {
                    let mask = if b + 1 < B { !0 } else { self.mask };
                    let t = _mm512_mul_ps(_mm512_castsi512_ps(*sum), self.scale[b]);
                    let mut t = _mm512_add_ps(t, self.bias[b]);
                    if RESIDUAL {
                        let from = residual.wrapping_add(at + b * LANES);
                        t = _mm512_add_ps(t, _mm512_maskz_loadu_ps(mask, from));
                    }
                    if let Some([low, high]) = self.bounds {
                        t = _mm512_min_ps(_mm512_max_ps(t, low), high);
                    }
                    let to = self.to.wrapping_add(at + b * LANES);
                    _mm512_mask_storeu_ps(to, mask, t);
                }
                at += self.step;
            }
        }
    }
}

//! Eight outputs to f32, without a residual and with an activation that is no more
//! than bounds.
//!
//! What is inlined into a function that has the features has none itself.

use super::{Columns, LANES, Out};
use crate::epilogue::Finish;
use crate::par::Shared;
use core::arch::x86_64::*;

/// Such an epilogue.
#[derive(Clone, Copy)]
pub(crate) struct FloatRows<'a> {
    y: &'a Shared<'a, f32>,
    /// Length of a row.
    outputs: usize,
    pub(in crate::epilogue) bounds: Option<[f32; 2]>,
}

impl<'a> FloatRows<'a> {
    /// `None` for another epilogue.
    pub(crate) fn new(finish: &'a Finish<'a>) -> Option<Self> {
        let (Out::F32(y), None) = (&finish.y, finish.residual) else {
            return None;
        };
        finish.only_bounds().then_some(FloatRows {
            y,
            outputs: finish.outputs,
            bounds: finish.clip(),
        })
    }

    /// Writes the scales of outputs `first..first + 8`, then their biases.
    ///
    /// # Safety
    ///
    /// The CPU has AVX2; the outputs are there.
    #[target_feature(enable = "avx2")]
    pub(crate) unsafe fn columns(finish: &Finish<'_>, first: usize, to: &mut [f32]) {
        let columns = Columns::<1>::new(finish, first);
        for (to, values) in to
            .chunks_exact_mut(LANES)
            .zip([columns.scale, columns.bias])
        {
            // SAFETY: eight floats.
            unsafe { _mm256_storeu_ps(to.as_mut_ptr(), values[0]) };
        }
    }

    /// Where an output goes.
    pub(crate) fn at(&self, row: usize, output: usize) -> *mut f32 {
        (self.y.start()).wrapping_add(row * self.outputs + output)
    }

    /// Finishes eight sums.
    ///
    /// # Safety
    ///
    /// The CPU has AVX2; `columns` is what [`columns`](Self::columns) wrote, the outputs
    /// begin at `to`, and no other task has them.
    #[inline(always)]
    pub(crate) unsafe fn put(&self, columns: *const f32, sums: __m256, to: *mut f32) {
        // SAFETY: the caller's promises.
        unsafe {
            let scale = _mm256_loadu_ps(columns);
            let bias = _mm256_loadu_ps(columns.add(LANES));
            let mut t = _mm256_add_ps(_mm256_mul_ps(sums, scale), bias);
            if let Some([low, high]) = self.bounds {
                t = _mm256_min_ps(_mm256_max_ps(t, _mm256_set1_ps(low)), _mm256_set1_ps(high));
            }
            _mm256_storeu_ps(to, t);
        }
    }
}

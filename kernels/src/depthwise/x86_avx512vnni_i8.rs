//! AVX-512 VNNI, i8, kernels of three columns: columns stay in registers while they are
//! under the kernel.
//!
//! ```text
//! for each position along a band:
//!     columns[0..3] = columns[STRIDE..3], then STRIDE new ones, interleaved
//!     for each line of the band:
//!         sums = start + products of the three columns
//!         epilogue
//! ```
//!
//! What is inlined into a function that has the features has none itself.

use super::lines::{Lanes, Source, Walk};
use super::x86_avx512vnni::{BYTES, CHANNELS, I8, N, group};
use crate::epilogue::PACKED;
use crate::epilogue::x86_avx512::Columns;
use core::arch::x86_64::*;

/// Columns under the kernel.
const WIDTH: usize = 3;

/// Walks along the lines of a band, if this is its way; tells whether it is.
///
/// # Safety
///
/// As for [`walk`](super::lines::walk); the CPU has AVX-512 F, BW, VL and VNNI.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) unsafe fn slide(job: &Walk<i8>, columns: &Columns<'_, N, 4>) -> bool {
    let plain = job.width == WIDTH && job.groups == 1 && job.dilation == 1;
    if !plain || columns.way(job.largest) != PACKED {
        return false;
    }
    // SAFETY: the caller's promises; there are as many input lines, and weights and places
    // for all lines of the band.
    unsafe {
        let whole = columns.whole(job.places[..job.lines].iter().map(|place| place.mask));
        match (job.rows, job.lines, job.stride, job.copies) {
            (4, 2, 1, 1) if whole => along::<1, 4, 2, 1, true>(job, columns),
            (4, 2, 1, 1) => along::<1, 4, 2, 1, false>(job, columns),
            (4, 2, 1, 2) => along::<2, 4, 2, 1, false>(job, columns),
            (4, 2, 1, 4) => along::<4, 4, 2, 1, false>(job, columns),
            (3, 1, 1, 1) if whole => along::<1, 3, 1, 1, true>(job, columns),
            (3, 1, 1, 1) => along::<1, 3, 1, 1, false>(job, columns),
            (3, 1, 1, 2) => along::<2, 3, 1, 1, false>(job, columns),
            (3, 1, 1, 4) => along::<4, 3, 1, 1, false>(job, columns),
            (3, 1, 2, 1) if whole => along::<1, 3, 1, 2, true>(job, columns),
            (3, 1, 2, 1) => along::<1, 3, 1, 2, false>(job, columns),
            (3, 1, 2, 2) => along::<2, 3, 1, 2, false>(job, columns),
            (3, 1, 2, 4) => along::<4, 3, 1, 2, false>(job, columns),
            _ => return false,
        }
    }
    true
}

/// As [`slide`], for `COPIES` bands side by side of `LINES` lines, under `ROWS` input
/// lines.
///
/// # Safety
///
/// As for [`slide`].
#[inline(always)]
unsafe fn along<
    const COPIES: usize,
    const ROWS: usize,
    const LINES: usize,
    const STRIDE: usize,
    const WHOLE: bool,
>(
    job: &Walk<i8>,
    columns: &Columns<'_, N, 4>,
) {
    // SAFETY: the caller's promises, to the end; columns are read where they lie inside.
    unsafe {
        let sources: [_; ROWS] = core::array::from_fn(|row| *job.sources.add(row));
        let lines: [_; LINES] = core::array::from_fn(|line| I8::line(columns, &job.places[line]));
        // Columns of the position before that are still under the kernel.
        let mut kept = [
            column::<COPIES, ROWS>(job, &sources, 0),
            column::<COPIES, ROWS>(job, &sources, 1),
        ];
        for position in 0..job.positions {
            let first = position * STRIDE;
            let last = column::<COPIES, ROWS>(job, &sources, first + 2);
            let [a, b] = kept;
            let under = if STRIDE == 1 {
                kept = [b, last];
                [a, b, last]
            } else {
                kept = [last; 2];
                let b = column::<COPIES, ROWS>(job, &sources, first + 1);
                [a, b, last]
            };
            for (l, line) in lines.iter().enumerate() {
                let mut sums = I8::begin(job.start);
                for (k, column) in under.iter().enumerate() {
                    let group = (l * WIDTH + k) * CHANNELS * 4;
                    sums = add(sums, column, job.weights.add(group));
                }
                I8::finish::<PACKED, WHOLE>(columns, line, position * job.channels, sums);
            }
        }
    }
}

/// A column of the places under the kernel, the input's zeros around it included.
///
/// # Safety
///
/// The CPU has AVX-512 F and BW; columns are read where they lie inside.
#[inline(always)]
unsafe fn column<const COPIES: usize, const ROWS: usize>(
    job: &Walk<i8>,
    sources: &[Source<i8>; ROWS],
    at: usize,
) -> [__m512i; N] {
    let at = at.wrapping_sub(job.pad);
    // SAFETY: the caller's promises.
    unsafe {
        if at < job.columns {
            group::<COPIES, ROWS, false>(sources, at)
        } else {
            [_mm512_set1_epi8(i8::MIN); N]
        }
    }
}

/// Adds the products of a column.
///
/// # Safety
///
/// The CPU has AVX-512 VNNI; `N` registers of weights are there.
#[inline(always)]
unsafe fn add(mut sums: [__m512i; N], column: &[__m512i; N], weights: *const u8) -> [__m512i; N] {
    for (n, sum) in sums.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        unsafe {
            let w = _mm512_loadu_si512(weights.add(n * BYTES).cast());
            *sum = _mm512_dpbusd_epi32(*sum, column[n], w);
        }
    }
    sums
}

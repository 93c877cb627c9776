//! The epilogue of sums that tiles have stored, some rows at a time.

use super::stage::Strip;
use crate::epilogue::x86_avx512::{Columns, LANES};
use crate::epilogue::{Common, Finish};
use core::arch::x86_64::*;
use core::marker::PhantomData;
use core::ops::Range;

/// What finishes rows of sums.
pub(super) trait Rest<'a> {
    /// For some outputs, at least one.
    ///
    /// # Safety
    ///
    /// The CPU has AVX-512 F, BW and VL.
    unsafe fn new(finish: &'a Finish<'a>, outputs: Range<usize>) -> Self;

    /// # Safety
    ///
    /// The CPU has AVX-512 F, BW and VL; the rows' sums begin `stride` after each
    /// other, and no other task has their outputs.
    unsafe fn rows(&self, rows: Range<usize>, sums: *const i32, stride: usize);
}

/// Any epilogue.
pub(super) struct Any<'a> {
    finish: &'a Finish<'a>,
    outputs: Range<usize>,
}

impl<'a> Rest<'a> for Any<'a> {
    unsafe fn new(finish: &'a Finish<'a>, outputs: Range<usize>) -> Self {
        Any { finish, outputs }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn rows(&self, rows: Range<usize>, sums: *const i32, stride: usize) {
        let outputs = self.outputs.clone();
        // SAFETY: the caller's promises.
        unsafe {
            self.finish
                .x86_avx512_rows::<true>(rows, outputs, sums, stride)
        };
    }
}

/// An epilogue known when compiling, for at most `N` registers of outputs.
pub(super) struct Known<'a, C, const N: usize>(Columns<'a, N>, PhantomData<C>);

impl<'a, C: Common, const N: usize> Rest<'a> for Known<'a, C, N> {
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    unsafe fn new(finish: &'a Finish<'a>, outputs: Range<usize>) -> Self {
        let columns = Columns::new(finish, outputs.start, outputs.len());
        Known(columns, PhantomData)
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    unsafe fn rows(&self, rows: Range<usize>, mut sums: *const i32, stride: usize) {
        for row in rows {
            let mut t = [_mm512_setzero_ps(); N];
            for (n, t) in t.iter_mut().enumerate() {
                // SAFETY: a row has sums for all blocks.
                let sums = unsafe { _mm512_load_si512(sums.add(n * LANES).cast()) };
                *t = _mm512_cvtepi32_ps(sums);
            }
            // SAFETY: the caller's promises.
            unsafe { self.0.common_row::<C>(row, t) };
            sums = sums.wrapping_add(stride);
        }
    }
}

/// Sums that wait for their epilogue: some rows of a strip.
#[derive(Clone, Copy)]
pub(super) struct Pending<'a> {
    strip: &'a Strip,
    sums: *const i32,
    /// From one row's sums to the next's.
    stride: usize,
    /// The next of the rows, and how many there are.
    at: usize,
    count: usize,
    /// Where in its line the next row is, and the next that is an output's.
    column: usize,
    row: usize,
}

impl<'a> Pending<'a> {
    /// None yet; the first will be the strip's.
    pub(super) fn none(strip: &'a Strip, stride: usize) -> Pending<'a> {
        Pending {
            strip,
            sums: core::ptr::null(),
            stride,
            at: 0,
            count: 0,
            column: 0,
            row: strip.first,
        }
    }

    /// Finishes the next `count` rows, or as many as are left.
    ///
    /// # Safety
    ///
    /// As for [`Rest::rows`].
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    pub(super) unsafe fn finish<R: Rest<'a>>(&mut self, rest: &R, count: usize) {
        let end = self.count.min(self.at + count);
        while self.at < end {
            let real = self.column < self.strip.real;
            let line_end = if real {
                self.strip.real
            } else {
                self.strip.width
            };
            let count = (line_end - self.column).min(end - self.at);
            if real {
                let sums = self.sums.wrapping_add(self.at * self.stride);
                // SAFETY: the caller's promises.
                unsafe { rest.rows(self.row..self.row + count, sums, self.stride) };
                self.row += count;
            }
            self.at += count;
            self.column += count;
            if self.column == self.strip.width {
                self.column = 0;
            }
        }
    }

    /// Takes the rows after these.
    pub(super) fn next(&mut self, sums: *const i32, count: usize) {
        (self.sums, self.at, self.count) = (sums, 0, count);
    }

    /// Leaves out rows, which someone else finishes.
    pub(super) fn skip(&mut self, count: usize) {
        let column = self.column + count;
        let width = self.strip.width;
        let real = |column: usize| {
            column / width * self.strip.real + (column % width).min(self.strip.real)
        };
        self.row += real(column) - real(self.column);
        self.column = column % width;
    }
}

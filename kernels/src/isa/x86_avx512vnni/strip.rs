//! Strips whose sums go from registers through the epilogue to the outputs.
//!
//! ```text
//! for each R rows of the strip, then for fewer of those that are left:
//!     sums[R][B blocks] = products
//!     epilogue: f32 a register at a time, bytes 64 at a time
//! ```
//!
//! What is inlined into a function that has the features has none itself.

use super::multiply::load;
use super::tile::{BLOCKS, BYTES, Outputs};
use crate::epilogue::x86_avx512::{Columns, SumRows};
use crate::layout::BLOCK;
use crate::product::tiled::{Chunk, Segments};
use core::arch::x86_64::*;
use core::ops::Range;

/// What adds the products of a strip.
pub(crate) trait Sums {
    /// What finishes rows of `B` blocks.
    type Rows<const B: usize>: SumRows<B>;

    /// The largest magnitude of a product of integers.
    const LARGEST: usize = 0;

    /// Whether [`sums`](Self::sums) leaves out what is beyond the input.
    const WITHIN: bool = false;

    /// The sums of the first `R` rows of `segments` with `B` blocks: i32, or the bits of
    /// f32. The first and the last so many activations of each segment may be left out for
    /// the first and the last row: they are zeros, and multiples of a step.
    ///
    /// # Safety
    ///
    /// The CPU has AVX-512 F, BW, VL and VNNI, and what the products need; everything in
    /// `chunk` is as it says, first and last of its product; there are as many pointers, and
    /// so many activations.
    unsafe fn sums<const R: usize, const B: usize>(
        chunk: &Chunk,
        segments: &Segments,
        beyond: [usize; 2],
    ) -> [[__m512i; B]; R];
}

/// Computes a strip, if this is its way; tells whether it is. `R1` to `R4` are rows whose
/// sums are in registers, for one to four blocks.
///
/// # Safety
///
/// As for [`strip`](crate::product::tiled::Tile::strip); the CPU has what [`Sums::sums`]
/// needs.
#[inline(always)]
pub(crate) unsafe fn strip<
    P: Sums,
    const R1: usize,
    const R2: usize,
    const R3: usize,
    const R4: usize,
>(
    chunk: &Chunk,
    columns: &Outputs<'_>,
    rows: Range<usize>,
) -> bool {
    // SAFETY: the caller's promises.
    unsafe {
        match (chunk.blocks, columns) {
            (1, Outputs::One(columns)) => tiles::<P, R1, 1, 1>(chunk, columns, rows),
            (2, Outputs::Two(columns)) => tiles::<P, R2, 2, 2>(chunk, columns, rows),
            (3, Outputs::Four(columns)) => tiles::<P, R3, 3, 4>(chunk, columns, rows),
            (4, Outputs::Four(columns)) => tiles::<P, R4, 4, 4>(chunk, columns, rows),
            _ => false,
        }
    }
}

/// Finishes rows of `BLOCKS` blocks of sums, i32 where `INTEGER`, otherwise f32, of at most
/// `k` products each.
///
/// # Safety
///
/// As for [`finish`](crate::product::tiled::Tile::finish); the CPU has AVX-512 F, BW and VL.
#[inline(always)]
pub(crate) unsafe fn finish<P: Sums, const INTEGER: bool>(
    columns: &Outputs<'_>,
    rows: Range<usize>,
    sums: *const i32,
    k: usize,
) {
    // SAFETY: the caller's promises.
    unsafe {
        let done = match columns {
            Outputs::One(columns) => ready::<P, 1, 1>(columns, &rows, sums, k),
            Outputs::Two(columns) => ready::<P, 2, 2>(columns, &rows, sums, k),
            Outputs::Four(columns) if columns.registers() == 3 => {
                ready::<P, 3, 4>(columns, &rows, sums, k)
            }
            Outputs::Four(columns) => ready::<P, 4, 4>(columns, &rows, sums, k),
        };
        if !done {
            columns.rows::<INTEGER>(rows, sums);
        }
    }
}

/// As [`finish`], for `B` blocks, if sums can go from registers to the outputs; tells
/// whether they can.
///
/// # Safety
///
/// As for [`finish`].
#[inline(always)]
unsafe fn ready<P: Sums, const B: usize, const N: usize>(
    columns: &Columns<'_, N>,
    rows: &Range<usize>,
    sums: *const i32,
    k: usize,
) -> bool {
    // SAFETY: the caller's promises.
    unsafe {
        let Some(finish) = P::Rows::<B>::new(columns, (k * P::LARGEST) as f32) else {
            return false;
        };
        for (i, row) in rows.clone().enumerate() {
            let sums = sums.add(i * BLOCKS * BLOCK);
            finish.any_rows(row, &[load(sums.cast(), BYTES)]);
        }
    }
    true
}

/// As [`strip`], for `B` blocks.
///
/// # Safety
///
/// As for [`strip`].
#[inline(always)]
unsafe fn tiles<P: Sums, const R: usize, const B: usize, const N: usize>(
    chunk: &Chunk,
    columns: &Columns<'_, N>,
    rows: Range<usize>,
) -> bool {
    let k = chunk.segments.count * chunk.segments.len;
    // SAFETY: the caller's promises.
    unsafe {
        match P::Rows::<B>::new(columns, (k * P::LARGEST) as f32) {
            Some(finish) if finish.has_residual() => {
                each::<P, R, B, true>(chunk, &finish, rows);
            }
            Some(finish) => each::<P, R, B, false>(chunk, &finish, rows),
            None => return false,
        }
    }
    true
}

/// All rows of a strip, `R` at a time; `RESIDUAL` where there is one.
///
/// # Safety
///
/// As for [`strip`].
#[inline(always)]
unsafe fn each<P: Sums, const R: usize, const B: usize, const RESIDUAL: bool>(
    chunk: &Chunk,
    finish: &P::Rows<B>,
    mut rows: Range<usize>,
) {
    let mut segments = chunk.segments;
    let border = &segments.border;
    if P::WITHIN && B == BLOCKS && border.segments == 1 && border.ends != [0; 2] {
        // SAFETY: the caller's promises.
        return unsafe { lines::<P, R, B, RESIDUAL>(chunk, finish, rows) };
    }
    // SAFETY: the caller's promises; pointers are there for every row of the strip.
    unsafe {
        while rows.len() >= R {
            tile::<P, R, B, RESIDUAL>(chunk, finish, &mut segments, &mut rows);
        }
        while rows.len() >= 4 {
            tile::<P, 4, B, RESIDUAL>(chunk, finish, &mut segments, &mut rows);
        }
        if rows.len() >= 2 {
            tile::<P, 2, B, RESIDUAL>(chunk, finish, &mut segments, &mut rows);
        }
        if !rows.is_empty() {
            tile::<P, 1, B, RESIDUAL>(chunk, finish, &mut segments, &mut rows);
        }
    }
}

/// As [`each`], with tiles that lie in one line each and leave out what is beyond the input.
///
/// # Safety
///
/// As for [`each`].
#[inline(always)]
unsafe fn lines<P: Sums, const R: usize, const B: usize, const RESIDUAL: bool>(
    chunk: &Chunk,
    finish: &P::Rows<B>,
    rows: Range<usize>,
) {
    let mut segments = chunk.segments;
    let border = segments.border;
    let (mut row, mut x) = (rows.start, border.first);
    while row < rows.end {
        let left = (border.width - x).min(rows.end - row);
        let count = if left < R { left.min(3) } else { R };
        let beyond = border.beyond(x, count);
        // SAFETY: the caller's promises; pointers are there for every row of the strip.
        unsafe {
            macro_rules! within {
                ($count:expr) => {{
                    let sums = P::sums::<{ $count }, B>(chunk, &segments, beyond);
                    finish.rows::<{ $count }, RESIDUAL>(row, &sums);
                }};
            }
            match count {
                1 => within!(1),
                2 => within!(2),
                3 => within!(3),
                _ if beyond == [0; 2] => {
                    let sums = P::sums::<R, B>(chunk, &segments, [0; 2]);
                    finish.rows::<R, RESIDUAL>(row, &sums);
                }
                _ => within!(R),
            }
        }
        segments.pointers = segments.pointers.wrapping_add(count);
        row += count;
        x = (x + count) % border.width;
    }
}

/// The first `R` rows, which are taken off the segments and the rows.
///
/// # Safety
///
/// As for [`each`]; there are `R` rows.
#[inline(always)]
unsafe fn tile<P: Sums, const R: usize, const B: usize, const RESIDUAL: bool>(
    chunk: &Chunk,
    finish: &P::Rows<B>,
    segments: &mut Segments,
    rows: &mut Range<usize>,
) {
    // SAFETY: the caller's promises.
    unsafe {
        let sums = P::sums::<R, B>(chunk, segments, [0; 2]);
        finish.rows::<R, RESIDUAL>(rows.start, &sums);
    }
    segments.pointers = segments.pointers.wrapping_add(R);
    rows.start += R;
}

//! Strips of f32 products that go from registers through the epilogue to the output.
//!
//! ```text
//! for each R rows of the strip, then for fewer of those that are left:
//!     sums[R][B blocks] = products
//!     epilogue, a register at a time
//! ```
//!
//! What is inlined into a function that has the features has none itself.

use super::tile::{F32, Outputs, multiply};
use crate::epilogue::x86_avx512::{Columns, FloatTile};
use crate::product::tiled::{Chunk, Segments};
use core::arch::x86_64::*;
use core::ops::Range;

/// Computes a strip, if its epilogue has a [`FloatTile`]; tells whether it has.
///
/// # Safety
///
/// As for [`strip`](crate::product::tiled::Tile::strip).
#[inline(always)]
pub(super) unsafe fn strip(chunk: &Chunk, columns: &Outputs<'_>, rows: Range<usize>) -> bool {
    // SAFETY: the caller's promises.
    unsafe {
        match (chunk.blocks, columns) {
            (1, Outputs::One(columns)) => tiles::<12, 1, 1>(chunk, columns, rows),
            (2, Outputs::Two(columns)) => tiles::<12, 2, 2>(chunk, columns, rows),
            (3, Outputs::Four(columns)) => tiles::<8, 3, 4>(chunk, columns, rows),
            (4, Outputs::Four(columns)) => tiles::<6, 4, 4>(chunk, columns, rows),
            _ => false,
        }
    }
}

/// As [`strip`], for `B` blocks and `R` rows at a time.
///
/// # Safety
///
/// As for [`strip`].
#[inline(always)]
unsafe fn tiles<const R: usize, const B: usize, const N: usize>(
    chunk: &Chunk,
    columns: &Columns<'_, N>,
    rows: Range<usize>,
) -> bool {
    // SAFETY: the caller's promises.
    unsafe {
        match columns.floats::<B>() {
            Some(finish) if finish.has_residual() => each::<R, B, true>(chunk, &finish, rows),
            Some(finish) => each::<R, B, false>(chunk, &finish, rows),
            None => return false,
        }
    }
    true
}

/// All rows of a strip; `RESIDUAL` where there is one.
///
/// # Safety
///
/// As for [`strip`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn each<const R: usize, const B: usize, const RESIDUAL: bool>(
    chunk: &Chunk,
    finish: &FloatTile<B>,
    mut rows: Range<usize>,
) {
    let mut segments = chunk.segments;
    // SAFETY: the caller's promises; pointers are there for every row of the strip.
    unsafe {
        while rows.len() >= R {
            tile::<R, B, RESIDUAL>(chunk, finish, &mut segments, &mut rows);
        }
        while rows.len() >= 4 {
            tile::<4, B, RESIDUAL>(chunk, finish, &mut segments, &mut rows);
        }
        if rows.len() >= 2 {
            tile::<2, B, RESIDUAL>(chunk, finish, &mut segments, &mut rows);
        }
        if !rows.is_empty() {
            tile::<1, B, RESIDUAL>(chunk, finish, &mut segments, &mut rows);
        }
    }
}

/// The first `R` rows, which are taken off the segments and the rows.
///
/// # Safety
///
/// As for [`each`]; there are `R` rows.
#[inline(always)]
unsafe fn tile<const R: usize, const B: usize, const RESIDUAL: bool>(
    chunk: &Chunk,
    finish: &FloatTile<B>,
    segments: &mut Segments,
    rows: &mut Range<usize>,
) {
    // SAFETY: the caller's promises.
    unsafe {
        let mut sums = [[_mm512_setzero_si512(); B]; R];
        multiply::<F32, R, B>(&mut sums, chunk, segments, 0);
        finish.rows::<R, RESIDUAL>(rows.start, &sums);
    }
    segments.pointers = segments.pointers.wrapping_add(R);
    rows.start += R;
}

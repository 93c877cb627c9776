//! i8 products, and strips of them that go from registers through the epilogue to
//! bytes.
//!
//! ```text
//! for each 6 rows of the strip, or 5 so that none are left:
//!     for every 32 groups of 4 k:
//!         narrow[6][16][2] = sum of codes[16][4] * x[6][4]    pairs, in i16
//!         wide[6][16] += pairs of narrow                      in i32
//!     sums = wide - the row's sum of x, as codes are trits plus one
//!     two rows at a time: epilogue, packed to bytes
//! ```
//!
//! A code is at most 3 and an activation at least -128: `|pair| <= 768`, and 32 of
//! them, at most 24576, fit i16.
//!
//! What is inlined into a function that has the features has none itself.

use super::tile::{FEWER, I8, ROWS};
use crate::epilogue::PackedRows;
use crate::layout::BLOCK;
use crate::product::tiled::{Chunk, Outputs, Segments, tile_rows};
use core::arch::x86_64::*;
use core::ops::Range;

/// Groups whose pairs are added in i16, and their k.
const NARROW: usize = 32;
const SHALLOW: usize = 4 * NARROW;
/// Outputs of a register.
const LANES: usize = 8;

/// Computes a strip, if this is its way; tells whether it is.
///
/// # Safety
///
/// As for [`strip`](crate::product::tiled::Tile::strip).
#[target_feature(enable = "avx2")]
pub(super) unsafe fn strip(chunk: &Chunk, columns: &Outputs<'_>, rows: Range<usize>) -> bool {
    let Outputs { finish, outputs } = columns;
    let k = chunk.segments.count * chunk.segments.len;
    if ![LANES, BLOCK].contains(&outputs.len()) {
        return false;
    }
    // What the weight of a code and an activation are at most.
    let largest = (k * 2 * 128) as f32;
    let Some(finish) = PackedRows::new(finish, outputs.start, largest) else {
        return false;
    };
    // SAFETY: the caller's promises; what is known when compiling is as it says.
    unsafe {
        match (outputs.len(), k > SHALLOW, finish.has_residual()) {
            (BLOCK, false, false) => tiles::<2, false, false>(chunk, &finish, rows),
            (BLOCK, true, false) => tiles::<2, true, false>(chunk, &finish, rows),
            (BLOCK, _, true) => tiles::<2, true, true>(chunk, &finish, rows),
            (_, _, false) => tiles::<1, true, false>(chunk, &finish, rows),
            _ => tiles::<1, true, true>(chunk, &finish, rows),
        }
    }
    true
}

/// The tiles of a strip, of `H` registers of outputs; `RESIDUAL` where there is one.
///
/// # Safety
///
/// As for [`strip`], which has checked the rest; `DEEP` as for [`add`].
#[target_feature(enable = "avx2")]
unsafe fn tiles<const H: usize, const DEEP: bool, const RESIDUAL: bool>(
    chunk: &Chunk,
    finish: &PackedRows<'_>,
    rows: Range<usize>,
) {
    let (mut segments, mut row_sums) = (chunk.segments, chunk.row_sums);
    let mut row = rows.start;
    while row < rows.end {
        // SAFETY: the caller's promises; pointers and row sums are there for every row
        // of the strip.
        let count = unsafe {
            let (x, w) = (&segments, chunk.panels);
            match tile_rows::<I8>(rows.end - row) {
                ROWS => tile::<ROWS, H, DEEP, RESIDUAL>(x, w, row_sums, finish, row),
                FEWER => tile::<FEWER, H, DEEP, RESIDUAL>(x, w, row_sums, finish, row),
                _ => tile::<1, H, DEEP, RESIDUAL>(x, w, row_sums, finish, row),
            }
        };
        row += count;
        row_sums = row_sums.wrapping_add(count);
        segments.pointers = segments.pointers.wrapping_add(count);
    }
}

/// `R` rows; tells how many that is.
///
/// # Safety
///
/// As for [`add`], with a row sum for each row, and for
/// [`PackedRows::two`].
#[inline(always)]
unsafe fn tile<const R: usize, const H: usize, const DEEP: bool, const RESIDUAL: bool>(
    segments: &Segments,
    panel: *const u8,
    row_sums: *const i32,
    finish: &PackedRows<'_>,
    row: usize,
) -> usize {
    // SAFETY: the caller's promises, to the end.
    unsafe {
        let wide = add::<R, H, DEEP>(segments, panel, [[_mm256_setzero_si256(); H]; R]);
        let mut sums = [[_mm256_setzero_ps(); 2]; R];
        for r in 0..R {
            let row_sum = _mm256_set1_epi32(row_sums.add(r).read());
            for h in 0..H {
                sums[r][h] = _mm256_cvtepi32_ps(_mm256_sub_epi32(wide[r][h], row_sum));
            }
        }
        let (pairs, last) = sums.as_chunks::<2>();
        for (i, [a, b]) in pairs.iter().enumerate() {
            finish.two::<H, RESIDUAL>(row + 2 * i, *a, *b);
        }
        if let [last] = last {
            finish.one::<H, RESIDUAL>(row + R - 1, *last);
        }
    }
    R
}

/// Adds the products of `R` rows with the first `H` registers of a panel to `wide`,
/// which is zero unless `DEEP`; not so where there are more k than [`SHALLOW`].
///
/// # Safety
///
/// The CPU has AVX2; segments and panel are as [`Chunk`] says.
#[inline(always)]
pub(super) unsafe fn add<const R: usize, const H: usize, const DEEP: bool>(
    segments: &Segments,
    panel: *const u8,
    mut wide: [[__m256i; H]; R],
) -> [[__m256i; H]; R] {
    // SAFETY: the caller's promises, to the end.
    unsafe {
        let zero = [[_mm256_setzero_si256(); H]; R];
        let ones = _mm256_set1_epi16(1);
        let mut narrow = zero;
        let mut room = NARROW;
        let mut weights = panel;
        for segment in 0..segments.count {
            let x = segments.get::<R>(segment);
            let groups = segments.len / 4;
            let mut group = 0;
            while group < groups {
                let end = if DEEP {
                    groups.min(group + room)
                } else {
                    groups
                };
                room = room.wrapping_sub(end - group);
                for group in group..end {
                    let mut w = [_mm256_setzero_si256(); H];
                    for (h, w) in w.iter_mut().enumerate() {
                        *w = _mm256_loadu_si256(weights.add(h * 32).cast());
                    }
                    weights = weights.add(64);
                    for r in 0..R {
                        // Four elements are there, as len is a multiple of four.
                        let x = x[r].cast::<i32>().add(group).read_unaligned();
                        let x = _mm256_set1_epi32(x);
                        for h in 0..H {
                            let pairs = _mm256_maddubs_epi16(w[h], x);
                            narrow[r][h] = _mm256_add_epi16(narrow[r][h], pairs);
                        }
                    }
                }
                group = end;
                if DEEP && room == 0 {
                    room = NARROW;
                    for r in 0..R {
                        for h in 0..H {
                            let pairs = _mm256_madd_epi16(narrow[r][h], ones);
                            wide[r][h] = _mm256_add_epi32(wide[r][h], pairs);
                        }
                    }
                    narrow = zero;
                }
            }
        }
        for r in 0..R {
            for h in 0..H {
                let pairs = _mm256_madd_epi16(narrow[r][h], ones);
                wide[r][h] = if DEEP {
                    _mm256_add_epi32(wide[r][h], pairs)
                } else {
                    pairs
                };
            }
        }
        wide
    }
}

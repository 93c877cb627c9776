//! Tiles that multiply: 6 output rows x one block, 12 registers of sums.
//!
//! Bounds on the way:
//! - f32: one fused multiply-add a product, k ascending;
//! - i16: `madd` adds two products, `|x * w| <= 32768 * 128`, exactly in i32;
//! - i8: `maddubs` adds two products of a code in 0..=3 and an i8 in i16,
//!   `|pair| <= 768`; 32 of them, at most 24576, are added in i16 before they
//!   are widened. As codes are trits plus one, the row's own sum is taken off at
//!   the end.
//!
//! i32 sums wrap, which [`max_k`](crate::max_k) excludes for valid weights.

use super::panel::{Panel, decode};
use crate::epilogue::Finish;
use crate::layout::BLOCK;
use crate::product::tiled::{Chunk, Part, Segments, Tile};
use crate::{Codec, Matrix};
use core::arch::x86_64::*;
use core::ops::Range;

/// Input rows of a tile.
const ROWS: usize = 6;

/// f32 activations.
pub(crate) enum F32 {}
/// i16 activations.
pub(crate) enum I16 {}
/// i8 activations and ternary weights.
pub(crate) enum I8 {}
/// i8 activations and i8 weights, multiplied as i16.
pub(crate) enum WideI8 {}

/// What every tile of this file has in common.
macro_rules! tile {
    ($name:ident, $x:ty, $row:ty, $panel:ty, $add:ident, { $($more:item)* }) => {
        impl Tile for $name {
            type X = $x;
            type Row = $row;
            const ROWS: usize = ROWS;
            const BLOCKS: usize = 1;
            const STEP: usize = <$panel as Panel>::STEP;
            const GROUP: usize = <$panel as Panel>::STEP * <$panel as Panel>::WEIGHT * BLOCK;
            const UNIT: usize = size_of::<$row>();
            $($more)*

            #[target_feature(enable = "avx2,f16c")]
            unsafe fn decode(
                codec: Codec,
                matrix: &Matrix,
                block: &[u8],
                part: &Part,
                panel: *mut u8,
            ) {
                // SAFETY: the caller's promises are the same.
                unsafe { decode::<$panel>(codec, matrix, block, part, panel) };
            }

            #[target_feature(enable = "avx2,fma")]
            unsafe fn add(chunk: &Chunk<'_>) {
                // SAFETY: the caller's promises are the same.
                unsafe {
                    match chunk.segments.rows {
                        1 => $add::<1>(chunk),
                        2 => $add::<2>(chunk),
                        3 => $add::<3>(chunk),
                        4 => $add::<4>(chunk),
                        5 => $add::<5>(chunk),
                        _ => $add::<ROWS>(chunk),
                    }
                }
            }

            unsafe fn finish(
                finish: &Finish<'_>,
                rows: Range<usize>,
                outputs: Range<usize>,
                sums: *mut f32,
            ) {
                // SAFETY: the caller's promises; a row of sums has one block.
                unsafe { finish.x86_avx2_rows(rows, outputs, sums, BLOCK) };
            }
        }
    };
}

tile!(F32, f32, f32, f32, add_f32, {
    fn in_place(codec: Codec) -> bool {
        codec == Codec::F32
    }

    fn gather(x: &[f32], row: &mut [f32]) {
        row.copy_from_slice(x);
    }
});

tile!(I16, i16, i16, i16, add_i16, {
    fn gather(x: &[i16], row: &mut [i16]) {
        row.copy_from_slice(x);
    }
});

tile!(WideI8, i8, i16, i16, add_i16, {
    const GATHER: bool = true;

    fn gather(x: &[i8], row: &mut [i16]) {
        for (row, x) in row.iter_mut().zip(x) {
            *row = i16::from(*x);
        }
    }
});

tile!(I8, i8, i8, i8, add_i8, {
    #[inline(always)]
    fn gather(x: &[i8], row: &mut [i8]) {
        // Some twenty bytes: a call of memcpy costs more.
        const LEN: usize = 8;
        let last = x.len().checked_sub(LEN);
        let (to, rest) = row.as_chunks_mut::<LEN>();
        let (from, x_rest) = x.as_chunks::<LEN>();
        to.copy_from_slice(from);
        if let Some(last) = last {
            row[last..].copy_from_slice(&x[last..]);
        } else {
            rest.iter_mut().zip(x_rest).for_each(|(to, x)| *to = *x);
        }
    }

    #[target_feature(enable = "avx2")]
    unsafe fn row_sums(segments: &Segments, sums: &mut [i32]) {
        let (ones, ones_16) = (_mm256_set1_epi8(1), _mm256_set1_epi16(1));
        for (r, sum) in sums.iter_mut().enumerate().take(segments.rows) {
            let mut wide = _mm256_setzero_si256();
            for segment in 0..segments.count {
                // SAFETY: the row's pointer was written; it has len elements.
                let x = unsafe {
                    let x = *segments.pointers.add(segment * ROWS + r);
                    core::slice::from_raw_parts(x.cast::<i8>(), segments.len)
                };
                let (vectors, rest) = x.as_chunks::<32>();
                for x in vectors {
                    // SAFETY: 32 bytes.
                    let x = unsafe { _mm256_loadu_si256(x.as_ptr().cast()) };
                    let pairs = _mm256_maddubs_epi16(ones, x);
                    wide = _mm256_add_epi32(wide, _mm256_madd_epi16(pairs, ones_16));
                }
                for x in rest {
                    *sum = sum.wrapping_add(i32::from(*x));
                }
            }
            let mut lanes = [0i32; 8];
            // SAFETY: 32 bytes.
            unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), wide) };
            *sum = lanes.iter().fold(*sum, |a, b| a.wrapping_add(*b));
        }
    }
});

/// The waiting sums of `R` rows, two registers each. Loops rather than `map`,
/// here and below: closures of this feature level would not be inlined there.
///
/// # Safety
///
/// They are there.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn load_sums<const R: usize>(chunk: &Chunk<'_>) -> [[__m256i; 2]; R] {
    let mut sums = [[_mm256_setzero_si256(); 2]; R];
    if !chunk.first {
        for (r, sums) in sums.iter_mut().enumerate() {
            // SAFETY: 64 bytes a row.
            *sums = unsafe { load_group(chunk.sums.add(r * 64)) };
        }
    }
    sums
}

/// Stores a row's sums.
///
/// # Safety
///
/// There is room for them.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn store_sums(chunk: &Chunk<'_>, r: usize, low: __m256i, high: __m256i) {
    // SAFETY: 64 bytes a row.
    unsafe {
        let at = chunk.sums.add(r * 64);
        _mm256_storeu_si256(at.cast(), low);
        _mm256_storeu_si256(at.add(32).cast(), high);
    }
}

/// Stores a row's i32 sums, as f32 after the last chunk.
///
/// # Safety
///
/// As for [`store_sums`].
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn store_i32(chunk: &Chunk<'_>, r: usize, [mut low, mut high]: [__m256i; 2]) {
    if chunk.last {
        low = _mm256_castps_si256(_mm256_cvtepi32_ps(low));
        high = _mm256_castps_si256(_mm256_cvtepi32_ps(high));
    }
    // SAFETY: the caller's promise.
    unsafe { store_sums(chunk, r, low, high) };
}

#[target_feature(enable = "avx2,fma")]
unsafe fn add_f32<const R: usize>(chunk: &Chunk<'_>) {
    // SAFETY: the caller promises room for R rows.
    let waiting = unsafe { load_sums::<R>(chunk) };
    let mut sum = [[_mm256_setzero_ps(); 2]; R];
    for r in 0..R {
        sum[r] = [
            _mm256_castsi256_ps(waiting[r][0]),
            _mm256_castsi256_ps(waiting[r][1]),
        ];
    }
    let mut weights = chunk.panels.cast::<f32>();
    for segment in 0..chunk.segments.count {
        // SAFETY: segment < count.
        let x = unsafe { chunk.segments.get::<R, ROWS>(segment) };
        for k in 0..chunk.segments.len {
            // SAFETY: the panel has a row of 16 for every k of every segment.
            let w = unsafe { [_mm256_loadu_ps(weights), _mm256_loadu_ps(weights.add(8))] };
            // SAFETY: stays within the panel, or one past its end.
            weights = unsafe { weights.add(BLOCK) };
            for r in 0..R {
                // SAFETY: every row has len elements.
                let x = unsafe { _mm256_set1_ps(*x[r].cast::<f32>().add(k)) };
                sum[r][0] = _mm256_fmadd_ps(x, w[0], sum[r][0]);
                sum[r][1] = _mm256_fmadd_ps(x, w[1], sum[r][1]);
            }
        }
    }
    for (r, [low, high]) in sum.into_iter().enumerate() {
        // SAFETY: as above.
        unsafe {
            store_sums(
                chunk,
                r,
                _mm256_castps_si256(low),
                _mm256_castps_si256(high),
            )
        };
    }
}

#[target_feature(enable = "avx2")]
unsafe fn add_i16<const R: usize>(chunk: &Chunk<'_>) {
    // SAFETY: the caller promises room for R rows.
    let mut sum = unsafe { load_sums::<R>(chunk) };
    let mut weights = chunk.panels;
    for segment in 0..chunk.segments.count {
        // SAFETY: segment < count.
        let x = unsafe { chunk.segments.get::<R, ROWS>(segment) };
        for pair in 0..chunk.segments.len / 2 {
            // SAFETY: the panel has 64 bytes for every two k of every segment.
            let w = unsafe { load_group(weights) };
            // SAFETY: stays within the panel, or one past its end.
            weights = unsafe { weights.add(64) };
            for r in 0..R {
                // SAFETY: len is even, so that two elements are there.
                let x = unsafe { x[r].cast::<i32>().add(pair).read_unaligned() };
                let x = _mm256_set1_epi32(x);
                sum[r][0] = _mm256_add_epi32(sum[r][0], _mm256_madd_epi16(x, w[0]));
                sum[r][1] = _mm256_add_epi32(sum[r][1], _mm256_madd_epi16(x, w[1]));
            }
        }
    }
    for (r, sum) in sum.into_iter().enumerate() {
        // SAFETY: as above.
        unsafe { store_i32(chunk, r, sum) };
    }
}

/// 64 bytes of an integer panel.
///
/// # Safety
///
/// They are there.
#[target_feature(enable = "avx2")]
unsafe fn load_group(weights: *const u8) -> [__m256i; 2] {
    // SAFETY: the caller promises 64 bytes.
    unsafe {
        [
            _mm256_loadu_si256(weights.cast()),
            _mm256_loadu_si256(weights.add(32).cast()),
        ]
    }
}

#[target_feature(enable = "avx2")]
unsafe fn add_i8<const R: usize>(chunk: &Chunk<'_>) {
    /// Pairs that are added in i16.
    const NARROW: usize = 32;

    let ones = _mm256_set1_epi16(1);
    // SAFETY: the caller promises room for R rows.
    let mut wide = unsafe { load_sums::<R>(chunk) };
    let mut narrow = [[_mm256_setzero_si256(); 2]; R];
    let mut pending = 0;
    let mut weights = chunk.panels;
    for segment in 0..chunk.segments.count {
        // SAFETY: segment < count.
        let x = unsafe { chunk.segments.get::<R, ROWS>(segment) };
        let groups = chunk.segments.len / 4;
        let mut group = 0;
        while group < groups {
            let end = groups.min(group + NARROW - pending);
            pending += end - group;
            for group in group..end {
                // SAFETY: the panel has 64 bytes for every four k of every segment.
                let w = unsafe { load_group(weights) };
                // SAFETY: stays within the panel, or one past its end.
                weights = unsafe { weights.add(64) };
                for r in 0..R {
                    // SAFETY: len is a multiple of four, so that four elements are there.
                    let x = unsafe { x[r].cast::<i32>().add(group).read_unaligned() };
                    let x = _mm256_set1_epi32(x);
                    narrow[r][0] = _mm256_add_epi16(narrow[r][0], _mm256_maddubs_epi16(w[0], x));
                    narrow[r][1] = _mm256_add_epi16(narrow[r][1], _mm256_maddubs_epi16(w[1], x));
                }
            }
            group = end;
            if pending == NARROW {
                pending = 0;
                for r in 0..R {
                    widen(&mut wide[r], &mut narrow[r], ones);
                }
            }
        }
    }
    for r in 0..R {
        widen(&mut wide[r], &mut narrow[r], ones);
        if chunk.last {
            let row_sum = _mm256_set1_epi32(chunk.row_sums[r]);
            for sum in &mut wide[r] {
                *sum = _mm256_sub_epi32(*sum, row_sum);
            }
        }
        // SAFETY: as above.
        unsafe { store_i32(chunk, r, wide[r]) };
    }
}

/// Moves i16 sums, two an output, to the i32 ones.
#[target_feature(enable = "avx2")]
fn widen(wide: &mut [__m256i; 2], narrow: &mut [__m256i; 2], ones: __m256i) {
    for half in 0..2 {
        let pairs = _mm256_madd_epi16(narrow[half], ones);
        wide[half] = _mm256_add_epi32(wide[half], pairs);
        narrow[half] = _mm256_setzero_si256();
    }
}

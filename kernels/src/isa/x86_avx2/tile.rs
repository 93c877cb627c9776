//! Tiles that multiply: 6 output rows x one block, 12 registers of sums.
//!
//! Bounds on the way:
//! - f32: one fused multiply-add a product, k ascending;
//! - i16: `madd` adds two products, `|x * w| <= 32768 * 128`, exactly in i32;
//! - i8: see [`bytes`](super::bytes).
//!
//! i32 sums wrap, which [`max_k`](crate::max_k) excludes for valid weights.

use super::bytes;
use super::panel::{Panel, decode};
use crate::epilogue::{Columns, Common, Finish, common};
use crate::layout::BLOCK;
use crate::product::tiled::{Chunk, Outputs, Part, Segments, Tile, tile_rows};
use crate::{Codec, Matrix};
use core::arch::x86_64::*;
use core::ops::Range;

/// Input rows of a tile, and of a smaller one.
pub(crate) const ROWS: usize = 6;
pub(crate) const FEWER: usize = 5;

/// f32 activations.
pub(crate) enum F32 {}
/// i16 activations.
pub(crate) enum I16 {}
/// i8 activations and ternary weights.
pub(crate) enum I8 {}
/// i8 activations and i8 weights, multiplied as i16.
pub(crate) enum WideI8 {}

/// [`Tile::strip`] of some strips.
pub(crate) type Strip = unsafe fn(&Chunk, &Outputs<'_>, Range<usize>) -> bool;

/// A tile, given the instruction sets, the function that adds its products, and
/// perhaps one that computes strips in a way of its own; what every tile of this form
/// has in common.
macro_rules! tile {
    ($name:ident, $x:ty, $row:ty, $panel:ty, $products:ident, $i8:literal, $features:literal, $short:expr, { $($more:item)* }) => {
        impl Tile for $name {
            type X = $x;
            type Columns<'a> = Outputs<'a>;
            const ROWS: usize = ROWS;
            const FEWER: usize = FEWER;
            const BLOCKS: usize = 1;
            // A step reads 64 bytes in the six cycles that its products take, which the
            // second-level cache gives as well: better than sums that wait.
            const PANELS: usize = 80 << 10;
            // Strips of all 14 by 14 positions of a layer, and as an image what 256 f32
            // channels are there under 3 by 3 taps: half of a second-level cache, and
            // panels are decoded once.
            const STRIP: usize = 198;
            const WAITING: usize = Self::STRIP;
            const IMAGE: usize = 272 << 10;
            const STEP: usize = <$panel as Panel>::STEP;
            const GROUP: usize = <$panel as Panel>::STEP * <$panel as Panel>::WEIGHT * BLOCK;
            const UNIT: usize = size_of::<$row>();
            const DIRECT: bool = size_of::<$row>() == size_of::<$x>();
            $($more)*

            #[target_feature(enable = "avx2")]
            unsafe fn prepare(x: &[$x], to: *mut u8) {
                let to = to.cast::<$row>();
                for (i, x) in x.iter().enumerate() {
                    // SAFETY: the caller's promise.
                    unsafe { to.add(i).write(<$row>::from(*x)) };
                }
            }

            #[target_feature(enable = "avx2,f16c")]
            unsafe fn decode(
                codec: Codec,
                matrix: &Matrix,
                block: &[u8],
                part: &Part,
                panel: *mut u8,
                _: &mut [i32; BLOCK],
            ) {
                // SAFETY: the caller's promises are the same.
                unsafe { decode::<$panel>(codec, matrix, block, part, panel) };
            }

            #[target_feature(enable = $features)]
            unsafe fn add(chunk: &Chunk) {
                /// With the number of rows known.
                #[target_feature(enable = $features)]
                #[inline]
                unsafe fn add<const R: usize>(chunk: &Chunk) {
                    // SAFETY: the caller promises room for R rows.
                    unsafe {
                        let waiting = load_sums::<R>(chunk);
                        let row_sums = match chunk.last {
                            true => Some(core::slice::from_raw_parts(chunk.row_sums, R)),
                            false => None,
                        };
                        let sums =
                            $products::<R>(&chunk.segments, chunk.panels, waiting, row_sums);
                        for (r, [low, high]) in sums.into_iter().enumerate() {
                            let at = chunk.sums.add(r * 64);
                            _mm256_storeu_si256(at.cast(), low);
                            _mm256_storeu_si256(at.add(32).cast(), high);
                        }
                    }
                }
                // SAFETY: the caller's promises are the same.
                unsafe {
                    match chunk.segments.rows {
                        1 => add::<1>(chunk),
                        2 => add::<2>(chunk),
                        3 => add::<3>(chunk),
                        4 => add::<4>(chunk),
                        5 => add::<5>(chunk),
                        _ => add::<ROWS>(chunk),
                    }
                }
            }

            #[target_feature(enable = $features)]
            unsafe fn strip(
                chunk: &Chunk,
                columns: &Outputs<'_>,
                rows: Range<usize>,
            ) -> bool {
                /// A tile of `R` rows; returns how many that is.
                #[target_feature(enable = $features)]
                #[inline]
                unsafe fn tile<C: Common, const R: usize>(
                    chunk: &Chunk,
                    columns: &Columns<'_, 2>,
                    row: usize,
                    segments: &Segments,
                    row_sums: *const i32,
                ) -> usize {
                    let zero = [[_mm256_setzero_si256(); 2]; R];
                    // SAFETY: the caller's promises.
                    unsafe {
                        let row_sums = core::slice::from_raw_parts(row_sums, R);
                        let sums =
                            $products::<R>(segments, chunk.panels, zero, Some(row_sums));
                        for r in 0..R {
                            let [low, high] = sums[r];
                            let sums = [_mm256_castsi256_ps(low), _mm256_castsi256_ps(high)];
                            columns.common_row::<C>(row + r, sums);
                        }
                    }
                    R
                }

                /// A strip with an epilogue known when compiling.
                #[target_feature(enable = $features)]
                unsafe fn strip<C: Common>(
                    chunk: &Chunk,
                    finish: &Finish<'_>,
                    rows: Range<usize>,
                    first: usize,
                ) {
                    let columns = Columns::<2>::new(finish, first);
                    let (mut segments, mut row_sums) = (chunk.segments, chunk.row_sums);
                    let mut row = rows.start;
                    while row < rows.end {
                        // SAFETY: the caller's promises.
                        let count = unsafe {
                            let (columns, segments) = (&columns, &segments);
                            match tile_rows::<$name>(rows.end - row) {
                                ROWS => tile::<C, ROWS>(chunk, columns, row, segments, row_sums),
                                FEWER => tile::<C, FEWER>(chunk, columns, row, segments, row_sums),
                                _ => tile::<C, 1>(chunk, columns, row, segments, row_sums),
                            }
                        };
                        row += count;
                        row_sums = row_sums.wrapping_add(count);
                        segments.pointers = segments.pointers.wrapping_add(count);
                    }
                }

                let short: Option<Strip> = $short;
                // SAFETY: the caller's promises are the same.
                if short.is_some_and(|short| unsafe { short(chunk, columns, rows.clone()) }) {
                    return true;
                }
                let Outputs { finish, outputs } = columns;
                if outputs.len() != BLOCK {
                    return false;
                }
                let Some(kind) = finish.common() else {
                    return false;
                };
                // SAFETY: the caller's promises.
                unsafe { common!(kind, $i8, C => strip::<C>(chunk, finish, rows, outputs.start)) }
            }

            unsafe fn columns<'a>(finish: &'a Finish<'a>, outputs: Range<usize>) -> Outputs<'a> {
                Outputs { finish, outputs }
            }

            #[target_feature(enable = "avx2")]
            unsafe fn finish(columns: &Outputs<'_>, rows: Range<usize>, sums: *mut f32, _: usize) {
                let outputs = columns.outputs.clone();
                // SAFETY: the caller's promises; a row of sums has one block.
                unsafe { columns.finish.x86_avx2_rows(rows, outputs, sums, BLOCK) };
            }
        }
    };
}
pub(crate) use tile;

tile!(F32, f32, f32, f32, products_f32, false, "avx2,fma", None, {
    fn in_place(codec: Codec) -> bool {
        codec == Codec::F32
    }
});

tile!(I16, i16, i16, i16, products_i16, false, "avx2,fma", None, {
});

tile!(
    WideI8,
    i8,
    i16,
    i16,
    products_i16,
    true,
    "avx2,fma",
    None,
    {}
);

tile!(
    I8,
    i8,
    i8,
    i8,
    products_i8,
    true,
    "avx2,fma",
    Some(bytes::strip),
    {
        #[target_feature(enable = "avx2")]
        unsafe fn row_sums(segments: &Segments, sums: &mut [i32]) {
            /// Rows whose sums are folded together.
            const TOGETHER: usize = 8;
            for (i, sums) in sums[..segments.rows].chunks_mut(TOGETHER).enumerate() {
                let mut wide = [_mm256_setzero_si256(); TOGETHER];
                for (r, wide) in wide.iter_mut().enumerate().take(sums.len()) {
                    for segment in 0..segments.count {
                        // SAFETY: the row's pointer was written; it has len elements.
                        let x = unsafe {
                            let x = segments.row(i * TOGETHER + r, segment);
                            core::slice::from_raw_parts(x.cast::<i8>(), segments.len)
                        };
                        *wide = add_bytes(*wide, x);
                    }
                }
                let lanes = fold(&wide);
                sums.copy_from_slice(&lanes[..sums.len()]);
            }
        }
    }
);

/// Adds bytes, of which there are a multiple of four, to i32 lanes.
#[target_feature(enable = "avx2")]
#[inline]
fn add_bytes(mut wide: __m256i, x: &[i8]) -> __m256i {
    let (ones, ones_16) = (_mm256_set1_epi8(1), _mm256_set1_epi16(1));
    let (vectors, rest) = x.as_chunks::<32>();
    for x in vectors {
        // SAFETY: 32 bytes.
        let x = unsafe { _mm256_loadu_si256(x.as_ptr().cast()) };
        let pairs = _mm256_maddubs_epi16(ones, x);
        wide = _mm256_add_epi32(wide, _mm256_madd_epi16(pairs, ones_16));
    }
    if !rest.is_empty() {
        let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        let there = _mm256_cmpgt_epi32(_mm256_set1_epi32(rest.len() as i32 / 4), lanes);
        // SAFETY: reads what is there.
        let x = unsafe { _mm256_maskload_epi32(rest.as_ptr().cast(), there) };
        let pairs = _mm256_maddubs_epi16(ones, x);
        wide = _mm256_add_epi32(wide, _mm256_madd_epi16(pairs, ones_16));
    }
    wide
}

/// The sum of the lanes of each.
#[target_feature(enable = "avx2")]
#[inline]
fn fold(wide: &[__m256i; 8]) -> [i32; 8] {
    let pair = |i: usize| _mm256_hadd_epi32(wide[2 * i], wide[2 * i + 1]);
    // In each half, what that half of four of them adds up to.
    let first = _mm256_hadd_epi32(pair(0), pair(1));
    let last = _mm256_hadd_epi32(pair(2), pair(3));
    let low = _mm256_permute2x128_si256(first, last, 0x20);
    let high = _mm256_permute2x128_si256(first, last, 0x31);
    let mut lanes = [0; 8];
    // SAFETY: 32 bytes.
    unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), _mm256_add_epi32(low, high)) };
    lanes
}

/// The waiting sums of `R` rows, two registers each. Loops rather than `map`,
/// here and below: closures of this feature level would not be inlined there.
///
/// # Safety
///
/// They are there.
#[target_feature(enable = "avx2")]
#[inline]
pub(crate) unsafe fn load_sums<const R: usize>(chunk: &Chunk) -> [[__m256i; 2]; R] {
    let mut sums = [[_mm256_setzero_si256(); 2]; R];
    if !chunk.first {
        for (r, sums) in sums.iter_mut().enumerate() {
            // SAFETY: 64 bytes a row.
            *sums = unsafe { load_group(chunk.sums.add(r * 64)) };
        }
    }
    sums
}

/// The products of `R` rows with a panel, added to the sums that wait; `Some` row
/// sums with the last chunk, after which sums are f32.
///
/// # Safety
///
/// The CPU has AVX2 and FMA; segments and panel are as [`Chunk`] says.
#[target_feature(enable = "avx2,fma")]
#[inline]
unsafe fn products_f32<const R: usize>(
    segments: &Segments,
    panels: *const u8,
    waiting: [[__m256i; 2]; R],
    _: Option<&[i32]>,
) -> [[__m256i; 2]; R] {
    let mut sum = [[_mm256_setzero_ps(); 2]; R];
    for r in 0..R {
        sum[r] = [
            _mm256_castsi256_ps(waiting[r][0]),
            _mm256_castsi256_ps(waiting[r][1]),
        ];
    }
    let mut weights = panels.cast::<f32>();
    for segment in 0..segments.count {
        // SAFETY: segment < count.
        let x = unsafe { segments.get::<R>(segment) };
        for k in 0..segments.len {
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
    let mut out = waiting;
    for r in 0..R {
        for half in 0..2 {
            out[r][half] = _mm256_castps_si256(sum[r][half]);
        }
    }
    out
}

/// As [`products_f32`].
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn products_i16<const R: usize>(
    segments: &Segments,
    panels: *const u8,
    waiting: [[__m256i; 2]; R],
    last: Option<&[i32]>,
) -> [[__m256i; 2]; R] {
    let mut sum = waiting;
    let mut weights = panels;
    for segment in 0..segments.count {
        // SAFETY: segment < count.
        let x = unsafe { segments.get::<R>(segment) };
        for pair in 0..segments.len / 2 {
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
    if last.is_some() {
        for sum in &mut sum {
            to_f32(sum);
        }
    }
    sum
}

/// The bits of i32 sums as f32.
#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn to_f32(sums: &mut [__m256i; 2]) {
    for sum in sums {
        *sum = _mm256_castps_si256(_mm256_cvtepi32_ps(*sum));
    }
}

/// 64 bytes of an integer panel.
///
/// # Safety
///
/// They are there.
#[target_feature(enable = "avx2")]
#[inline]
pub(crate) unsafe fn load_group(weights: *const u8) -> [__m256i; 2] {
    // SAFETY: the caller promises 64 bytes.
    unsafe {
        [
            _mm256_loadu_si256(weights.cast()),
            _mm256_loadu_si256(weights.add(32).cast()),
        ]
    }
}

/// As [`products_f32`].
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn products_i8<const R: usize>(
    segments: &Segments,
    panels: *const u8,
    waiting: [[__m256i; 2]; R],
    row_sums: Option<&[i32]>,
) -> [[__m256i; 2]; R] {
    // SAFETY: the caller's promises are the same.
    let mut sums = unsafe { bytes::add::<R, 2, true>(segments, panels, waiting) };
    if let Some(row_sums) = row_sums {
        for r in 0..R {
            let row_sum = _mm256_set1_epi32(row_sums[r]);
            for sum in &mut sums[r] {
                *sum = _mm256_sub_epi32(*sum, row_sum);
            }
            to_f32(&mut sums[r]);
        }
    }
    sums
}

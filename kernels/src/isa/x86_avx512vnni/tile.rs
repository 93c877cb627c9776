//! Tiles that multiply: 12 output rows x 2 blocks, 24 registers of sums.
//!
//! ```text
//! f32    sums[0..16] += weights[0..16] * x             fused, k ascending
//! i16    sums[0..16] += weights[0..16][2] * x[2]       signed, in i32
//! i8     sums[0..16] += codes[0..16][4] * x[4]         unsigned times signed, in i32
//! ```
//!
//! i32 sums wrap, which [`max_k`](crate::max_k) excludes for valid weights.
//!
//! A tile of fewer rows is computed as one of 1, 2, 4 or 8 of which the last are
//! the last row again; nobody reads those sums.

use super::panel::{Codes, Floats, Words, decode};
use crate::epilogue::Finish;
use crate::isa::x86_avx2::tile as avx2;
use crate::layout::BLOCK;
use crate::product::tiled::{Chunk, Part, Segments, Tile};
use crate::{Codec, Matrix};
use core::arch::x86_64::*;
use core::ops::Range;

/// Output rows of a tile.
const ROWS: usize = 12;
/// Blocks of a tile.
const BLOCKS: usize = 2;
/// Bytes of a register.
const BYTES: usize = 64;

/// f32 activations.
pub(crate) enum F32 {}
/// i16 activations.
pub(crate) enum I16 {}
/// i8 activations and ternary weights.
pub(crate) enum I8 {}
/// i8 activations and i8 weights, multiplied as i16.
pub(crate) enum WideI8 {}

/// A tile over the panels of AVX2's tile of that name.
macro_rules! tile {
    ($name:ident, $form:ident, $products:ident, $integer:literal, { $($more:item)* }) => {
        impl Tile for $name {
            type X = <avx2::$name as Tile>::X;
            const ROWS: usize = ROWS;
            const BLOCKS: usize = BLOCKS;
            const STEP: usize = avx2::$name::STEP;
            const GROUP: usize = avx2::$name::GROUP;
            const UNIT: usize = avx2::$name::UNIT;
            const DIRECT: bool = avx2::$name::DIRECT;
            const PANELS: usize = 144 << 10;
            const STRIP: usize = 512;
            const WAITING: usize = Self::STRIP;
            const IMAGE: usize = 256 << 10;
            $($more)*

            fn in_place(codec: Codec) -> bool {
                avx2::$name::in_place(codec)
            }

            unsafe fn prepare(x: &[Self::X], to: *mut u8) {
                // SAFETY: the caller's promises are the same.
                unsafe { avx2::$name::prepare(x, to) };
            }

            #[target_feature(enable = "avx512f,avx512bw")]
            unsafe fn decode(
                codec: Codec,
                matrix: &Matrix,
                block: &[u8],
                part: &Part,
                panel: *mut u8,
            ) {
                // SAFETY: the caller's promises are the same.
                unsafe { decode::<$form>(codec, matrix, block, part, panel) };
            }

            #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
            unsafe fn add(chunk: &Chunk) {
                // SAFETY: the caller's promises are the same; a tile of fewer rows
                // has room for ROWS all the same.
                unsafe {
                    match (chunk.blocks, chunk.segments.rows) {
                        (1, 1) => $products::<1, 1>(chunk),
                        (1, 2) => $products::<2, 1>(chunk),
                        (1, 3..=4) => $products::<4, 1>(chunk),
                        (1, 5..=8) => $products::<8, 1>(chunk),
                        (1, _) => $products::<ROWS, 1>(chunk),
                        (_, 1) => $products::<1, BLOCKS>(chunk),
                        (_, 2) => $products::<2, BLOCKS>(chunk),
                        (_, 3..=4) => $products::<4, BLOCKS>(chunk),
                        (_, 5..=8) => $products::<8, BLOCKS>(chunk),
                        _ => $products::<ROWS, BLOCKS>(chunk),
                    }
                }
            }

            unsafe fn finish(
                finish: &Finish<'_>,
                rows: Range<usize>,
                outputs: Range<usize>,
                sums: *mut f32,
            ) {
                // SAFETY: the caller's promises; a row of sums has BLOCKS blocks.
                unsafe {
                    finish.x86_avx512_rows::<$integer>(
                        rows,
                        outputs,
                        sums.cast(),
                        BLOCKS * BLOCK,
                    );
                }
            }
        }
    };
}

tile!(F32, Floats, add_f32, false, {});

tile!(I16, Words, add_i16, true, {});

tile!(WideI8, Words, add_i16, true, {});

tile!(I8, Codes, add_i8, true, {
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn row_sums(segments: &Segments, sums: &mut [i32]) {
        let ones = _mm512_set1_epi8(1);
        let whole = segments.len / BYTES * BYTES;
        let rest: __mmask64 = (1 << (segments.len - whole)) - 1;
        for (r, sum) in sums.iter_mut().enumerate().take(segments.rows) {
            let mut wide = _mm512_setzero_si512();
            for segment in 0..segments.count {
                // SAFETY: segment < count, and the row's pointer was written.
                let x = unsafe { segments.row(r, segment) };
                for at in (0..whole).step_by(BYTES) {
                    // SAFETY: a row has len elements of a byte.
                    let x = unsafe { _mm512_loadu_si512(x.add(at).cast()) };
                    wide = _mm512_dpbusd_epi32(wide, ones, x);
                }
                if rest != 0 {
                    // SAFETY: the mask has as many bits as elements are left.
                    let x = unsafe { _mm512_maskz_loadu_epi8(rest, x.add(whole).cast()) };
                    wide = _mm512_dpbusd_epi32(wide, ones, x);
                }
            }
            *sum = _mm512_reduce_add_epi32(wide);
        }
    }
});

/// The sums that wait, a register for a row and block.
///
/// # Safety
///
/// They are there, unless this is the first chunk.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn load_sums<const R: usize, const B: usize>(chunk: &Chunk) -> [[__m512i; B]; R] {
    let mut sums = [[_mm512_setzero_si512(); B]; R];
    if !chunk.first {
        for (r, sums) in sums.iter_mut().enumerate() {
            for (b, sum) in sums.iter_mut().enumerate() {
                let at = (r * BLOCKS + b) * BYTES;
                // SAFETY: the caller's promise.
                *sum = unsafe { _mm512_loadu_si512(chunk.sums.add(at).cast()) };
            }
        }
    }
    sums
}

/// Stores the sum of a row and block.
///
/// # Safety
///
/// There is room for it.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn store_sum(chunk: &Chunk, r: usize, b: usize, sum: __m512i) {
    // SAFETY: the caller's promise.
    unsafe { _mm512_storeu_si512(chunk.sums.add((r * BLOCKS + b) * BYTES).cast(), sum) };
}

/// A group of each block.
///
/// # Safety
///
/// They are there: `weights` is the first block's, the next one's is `stride`
/// bytes further on.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn load_groups<const B: usize>(weights: *const u8, stride: usize) -> [__m512i; B] {
    let mut groups = [_mm512_setzero_si512(); B];
    for (b, group) in groups.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        *group = unsafe { _mm512_loadu_si512(weights.add(b * stride).cast()) };
    }
    groups
}

/// # Safety
///
/// As for [`Tile::add`], with room for `R` rows and with `B` blocks.
#[target_feature(enable = "avx512f")]
unsafe fn add_f32<const R: usize, const B: usize>(chunk: &Chunk) {
    // SAFETY: the caller's promise.
    let waiting = unsafe { load_sums::<R, B>(chunk) };
    let mut sum = [[_mm512_setzero_ps(); B]; R];
    for r in 0..R {
        for b in 0..B {
            sum[r][b] = _mm512_castsi512_ps(waiting[r][b]);
        }
    }
    let mut weights = chunk.panels;
    for segment in 0..chunk.segments.count {
        // SAFETY: segment < count.
        let x = unsafe { chunk.segments.get::<R>(segment) };
        for k in 0..chunk.segments.len {
            // SAFETY: a panel has a row of 16 for every k of every segment.
            let w = unsafe { load_groups::<B>(weights, chunk.stride) };
            weights = weights.wrapping_add(BYTES);
            for r in 0..R {
                // SAFETY: every row has len elements.
                let x = unsafe { _mm512_set1_ps(*x[r].cast::<f32>().add(k)) };
                for b in 0..B {
                    sum[r][b] = _mm512_fmadd_ps(x, _mm512_castsi512_ps(w[b]), sum[r][b]);
                }
            }
        }
    }
    for (r, sum) in sum.into_iter().enumerate() {
        for (b, sum) in sum.into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { store_sum(chunk, r, b, _mm512_castps_si512(sum)) };
        }
    }
}

/// # Safety
///
/// As for [`add_f32`].
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn add_i16<const R: usize, const B: usize>(chunk: &Chunk) {
    // SAFETY: the caller's promise.
    let mut sum = unsafe { load_sums::<R, B>(chunk) };
    let mut weights = chunk.panels;
    for segment in 0..chunk.segments.count {
        // SAFETY: segment < count.
        let x = unsafe { chunk.segments.get::<R>(segment) };
        for pair in 0..chunk.segments.len / 2 {
            // SAFETY: a panel has 64 bytes for every two k of every segment.
            let w = unsafe { load_groups::<B>(weights, chunk.stride) };
            weights = weights.wrapping_add(BYTES);
            for r in 0..R {
                // SAFETY: len is even, so that two elements are there.
                let x = unsafe { x[r].cast::<i32>().add(pair).read_unaligned() };
                let x = _mm512_set1_epi32(x);
                for b in 0..B {
                    sum[r][b] = _mm512_dpwssd_epi32(sum[r][b], w[b], x);
                }
            }
        }
    }
    for (r, sum) in sum.into_iter().enumerate() {
        for (b, sum) in sum.into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { store_sum(chunk, r, b, sum) };
        }
    }
}

/// As codes are trits plus one, the row's own sum is taken off at the end.
///
/// # Safety
///
/// As for [`add_f32`].
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn add_i8<const R: usize, const B: usize>(chunk: &Chunk) {
    // SAFETY: the caller's promise.
    let mut sum = unsafe { load_sums::<R, B>(chunk) };
    let mut weights = chunk.panels;
    for segment in 0..chunk.segments.count {
        // SAFETY: segment < count.
        let x = unsafe { chunk.segments.get::<R>(segment) };
        for group in 0..chunk.segments.len / 4 {
            // SAFETY: a panel has 64 bytes for every four k of every segment.
            let w = unsafe { load_groups::<B>(weights, chunk.stride) };
            weights = weights.wrapping_add(BYTES);
            for r in 0..R {
                // SAFETY: len is a multiple of four, so that four elements are there.
                let x = unsafe { x[r].cast::<i32>().add(group).read_unaligned() };
                let x = _mm512_set1_epi32(x);
                for b in 0..B {
                    sum[r][b] = _mm512_dpbusd_epi32(sum[r][b], w[b], x);
                }
            }
        }
    }
    for (r, sum) in sum.into_iter().enumerate() {
        for (b, mut sum) in sum.into_iter().enumerate() {
            if chunk.last {
                // SAFETY: ROWS of them.
                let row_sum = unsafe { *chunk.row_sums.add(r) };
                sum = _mm512_sub_epi32(sum, _mm512_set1_epi32(row_sum));
            }
            // SAFETY: the caller's promise.
            unsafe { store_sum(chunk, r, b, sum) };
        }
    }
}

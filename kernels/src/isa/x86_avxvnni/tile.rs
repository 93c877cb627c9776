//! Tiles that multiply: 6 output rows x one block, 12 registers of sums.
//!
//! ```text
//! i8     sums[0..16] += codes[0..16][4] * x[4]      unsigned times signed, in i32
//! i16    sums[0..16] += weights[0..16][2] * x[2]    signed, in i32
//! ```
//!
//! i32 sums wrap, which [`max_k`](crate::max_k) excludes for valid weights.

use crate::epilogue::{Columns, Common, Finish, common};
use crate::isa::x86_avx2::panel::{Panel, decode};
use crate::isa::x86_avx2::tile as avx2;
use crate::isa::x86_avx2::tile::{FEWER, ROWS, Strip, load_group, load_sums, tile, to_f32};
use crate::layout::BLOCK;
use crate::product::tiled::{Chunk, Outputs, Part, Segments, Tile, tile_rows};
use crate::{Codec, Matrix};
use core::arch::x86_64::*;
use core::ops::Range;

/// i16 activations.
pub(crate) enum I16 {}
/// i8 activations and ternary weights.
pub(crate) enum I8 {}
/// i8 activations and i8 weights, multiplied as i16.
pub(crate) enum WideI8 {}

tile!(
    I16,
    i16,
    i16,
    i16,
    products_i16,
    false,
    "avx2,fma,avxvnni",
    None,
    {}
);

tile!(
    WideI8,
    i8,
    i16,
    i16,
    products_i16,
    true,
    "avx2,fma,avxvnni",
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
    "avx2,fma,avxvnni",
    None,
    {
        unsafe fn row_sums(segments: &Segments, sums: &mut [i32]) {
            // SAFETY: the caller's promises are the same, and so are the rows.
            unsafe { avx2::I8::row_sums(segments, sums) };
        }
    }
);

/// The products of `R` rows with a panel, added to the sums that wait; `Some` row
/// sums with the last chunk, after which sums are f32.
///
/// # Safety
///
/// The CPU has AVX-VNNI; segments and panel are as [`Chunk`] says.
#[target_feature(enable = "avx2,avxvnni")]
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
            weights = weights.wrapping_add(64);
            for r in 0..R {
                // SAFETY: len is even, so that two elements are there.
                let x = unsafe { x[r].cast::<i32>().add(pair).read_unaligned() };
                let x = _mm256_set1_epi32(x);
                sum[r][0] = _mm256_dpwssd_avx_epi32(sum[r][0], w[0], x);
                sum[r][1] = _mm256_dpwssd_avx_epi32(sum[r][1], w[1], x);
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

/// As [`products_i16`]. As codes are trits plus one, the row's own sum is taken
/// off at the end.
#[target_feature(enable = "avx2,avxvnni")]
#[inline]
unsafe fn products_i8<const R: usize>(
    segments: &Segments,
    panels: *const u8,
    waiting: [[__m256i; 2]; R],
    row_sums: Option<&[i32]>,
) -> [[__m256i; 2]; R] {
    let mut sum = waiting;
    let mut weights = panels;
    for segment in 0..segments.count {
        // SAFETY: segment < count.
        let x = unsafe { segments.get::<R>(segment) };
        for group in 0..segments.len / 4 {
            // SAFETY: the panel has 64 bytes for every four k of every segment.
            let w = unsafe { load_group(weights) };
            weights = weights.wrapping_add(64);
            for r in 0..R {
                // SAFETY: len is a multiple of four, so that four elements are there.
                let x = unsafe { x[r].cast::<i32>().add(group).read_unaligned() };
                let x = _mm256_set1_epi32(x);
                sum[r][0] = _mm256_dpbusd_avx_epi32(sum[r][0], w[0], x);
                sum[r][1] = _mm256_dpbusd_avx_epi32(sum[r][1], w[1], x);
            }
        }
    }
    if let Some(row_sums) = row_sums {
        for (sum, row_sum) in sum.iter_mut().zip(row_sums) {
            let row_sum = _mm256_set1_epi32(*row_sum);
            for half in &mut *sum {
                *half = _mm256_sub_epi32(*half, row_sum);
            }
            to_f32(sum);
        }
    }
    sum
}

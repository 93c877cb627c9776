//! AArch64 with matrix products of bytes: `smmla` multiplies eight k of two rows
//! with those of two outputs, twice what `sdot` does. Everything but bytes is
//! NEON's.
//!
//! ```text
//! for each step of eight k, each two outputs o, each two rows r:
//!     sums[r][o] (2 x 2 i32) += x[r] (2 x 8) * panel[step][o] (2 x 8), transposed
//! ```

use super::aarch64_neon::{F32, FloatPairs, I16, Neon, WordPairs};
use super::product::Tiles;
use super::v128::pairs::{SIGNED, line_pairs};
use super::v128::panel::Eights;
use super::v128::tile::{settle, tile};
use crate::layout::BLOCK;
use crate::product::tiled::Chunk;
use core::arch::aarch64::*;
use core::arch::asm;

/// Rows of a tile: 24 registers of sums.
const ROWS: usize = 6;
/// Pairs of outputs.
const PAIRS: usize = BLOCK / 2;
/// k of a step.
const STEP: usize = 8;

/// `vmmlaq_s32`, which is not stable yet.
///
/// # Safety
///
/// The CPU has matrix products of bytes.
#[inline(always)]
unsafe fn smmla(sum: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    let mut out = sum;
    // SAFETY: the caller's promise; the instruction changes one register.
    unsafe {
        asm!(
            "smmla {sum:v}.4s, {a:v}.16b, {b:v}.16b",
            sum = inout(vreg) out,
            a = in(vreg) a,
            b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    out
}

/// Adds a chunk's products.
///
/// # Safety
///
/// As for [`Tile::add`](crate::product::tiled::Tile::add).
#[inline(always)]
unsafe fn add(chunk: &Chunk) {
    // SAFETY: the caller's promises; the segments have that many rows.
    unsafe {
        match chunk.segments.rows {
            1 => add_rows::<1, 1>(chunk),
            2 => add_rows::<2, 1>(chunk),
            3 => add_rows::<3, 2>(chunk),
            4 => add_rows::<4, 2>(chunk),
            5 => add_rows::<5, 3>(chunk),
            _ => add_rows::<6, 3>(chunk),
        }
    }
}

/// # Safety
///
/// As for [`add`], with `R` rows in `P` pairs; the last row may be without another.
#[inline(always)]
unsafe fn add_rows<const R: usize, const P: usize>(chunk: &Chunk) {
    // SAFETY: the caller's promises, to the end of the function.
    unsafe {
        let mut sums = [[vdupq_n_s32(0); PAIRS]; P];
        let mut weights = chunk.panels.cast::<i8>();
        for segment in 0..chunk.segments.count {
            let x = chunk.segments.get::<R>(segment);
            for step in 0..chunk.segments.len / STEP {
                let mut rows = [vdupq_n_s8(0); P];
                for (p, rows) in rows.iter_mut().enumerate() {
                    // len is a multiple of eight.
                    let at = |r: usize| vld1_s8(x[r].cast::<i8>().add(step * STEP));
                    *rows = vcombine_s8(at(2 * p), at((2 * p + 1).min(R - 1)));
                }
                for o in 0..PAIRS {
                    // The panel has 128 bytes for every step of every segment.
                    let w = vld1q_s8(weights.add(16 * o));
                    for p in 0..P {
                        sums[p][o] = smmla(sums[p][o], rows[p], w);
                    }
                }
                weights = weights.add(16 * PAIRS);
            }
        }
        // Of a copy, so that the sums stay in registers.
        let done = sums;
        for r in 0..R {
            let mut wide = [0; BLOCK];
            for (sum, to) in done[r / 2].iter().zip(wide.as_chunks_mut::<2>().0) {
                let row = if r % 2 == 0 {
                    vget_low_s32(*sum)
                } else {
                    vget_high_s32(*sum)
                };
                vst1_s32(to.as_mut_ptr(), row);
            }
            settle(chunk, r, chunk.first, chunk.last.then_some(0), wide);
        }
    }
}

/// i8 activations and all integer weights.
pub(crate) enum I8 {}

tile!("neon,i8mm", Neon, I8: i8 => i8, ROWS, Eights, add, {});

line_pairs!("neon,i8mm", Neon, BytePairs, I8, Eights, SIGNED);

/// The tiles that need no more than this.
pub(crate) enum Matrices {}

impl Tiles for Matrices {
    type Floats = F32;
    type Words = I16;
    type Bytes = I8;
    type NonNegative = I8;
    type DenseBytes = I8;
    type LookUp = I8;
    type FloatPairs = FloatPairs;
    type WordPairs = WordPairs;
    type BytePairs = BytePairs;
    type ByteRows = crate::product::matvec::Nothing<i8>;
}

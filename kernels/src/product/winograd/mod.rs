//! 3x3 convolutions with ternary weights, of f32 or of integers that are not negative, with
//! two lines of output at a time from four products rather than six (Winograd's F(2, 3),
//! down the image).
//!
//! For lines `d[0..4]` of the input, weights `g[0..3]` of a column of the kernel, and two
//! lines of output:
//!
//! ```text
//! v = [d0 - d2, d1 + d2, d2 - d1, d3 - d1]
//! u = [2 g0, g0 + g1 + g2, g0 - g1 + g2, 2 g2]
//! m = v * u                                     products as of any other line, in i32 or f32
//! 2 y = [m1 + m2 + m0, m1 - m2 + m3]
//! ```
//!
//! Integers: all of it is exact. Trits make weights of at most 3 (6 from codes that no
//! writer writes); activations of 0 to 127 make sums of two that fit a byte, and those of 0
//! to 32767 make sums that fit 16 bits. Weights of 8 bits would need 10, and activations
//! with a sign a bit more.
//!
//! What instructions multiply has a sign or has none, so they are given more: for bytes
//! `e0..e3` of 128 with v0, v2 and v3, or of -128 with v1; for 16 bits -32768 with v1. That
//! makes `2 y` larger by `[e1 u1 + e2 u2 + e0 u0, e1 u1 - e2 u2 + e3 u3]`, known with the
//! weights: sums start with
//!
//! ```text
//! m1: -(e1 u1 + (e0 u0 + e3 u3) / 2)
//! m2: -(e2 u2 + (e0 u0 - e3 u3) / 2)            u0 and u3 are even
//! ```
//!
//! f32: weights are exact, and everything else is rounded as sums and products are. An
//! output's error is relative to the largest activations under its kernel, also those whose
//! weights are 0. For an infinity in the lines that both outputs see it may be NaN, which
//! plain sums are for a weight of 0 alone.
//!
//! ```text
//! for each strip of pairs of output lines:
//!     transform its input: [pair][4][places across][channels]
//!     for each BLOCKS blocks of outputs, and each chunk of channels:
//!         transform their weights: [block][m1, m2, m0, m3][column][channel][16]
//!         for each ROWS places of the strip: both lines' sums; after the last chunk these
//!             are halved, and the epilogue follows
//! ```

use self::plan::Plan;
use self::task::Task;
#[cfg(target_arch = "x86_64")]
use super::tiled::Part;
use super::tiled::Tile;
use super::{Problem, Rows, Size};
use crate::layout::BLOCK;
use crate::par::each_piece;
use crate::task_scratch::TaskScratch;
use crate::{Codec, Ctx, Invalid, Matrix};
use core::ops::Range;

pub(crate) mod by_tile;
mod plan;
mod task;

/// Lines of transformed input for a pair of lines of output.
pub(crate) const LINES: usize = 4;
/// Places of any variant's tile at most.
pub(crate) const ROWS: usize = 12;
/// Bytes of a quad, four weights of 16 outputs.
#[cfg(target_arch = "x86_64")]
pub(crate) const QUAD: usize = 4 * BLOCK;

/// What an instruction set does for these products.
pub(crate) trait Pairs {
    /// What finishes sums; transformed lines consist of its activations.
    type Tile: Tile;
    /// Bytes of a strip's transformed lines at most.
    const IMAGE: usize = Self::Tile::IMAGE;
    /// Places of a tile.
    const ROWS: usize;
    /// Whether sums can wait, so that panels need not have all channels at once: as much
    /// of them is decoded as the tile likes.
    const CHUNKS: bool = false;
    /// Whether activations may be negative.
    const NEGATIVE: bool = false;
    /// Fewer blocks of outputs leave registers unused, and another way is better.
    const MIN_BLOCKS: usize = 1;
    /// With fewer channels, what comes around the products takes what these spare.
    const MIN_CHANNELS: usize = 16;

    /// Transforms `len` elements of four lines to as many of the tile's activations; lines
    /// that are `None` are zeros.
    ///
    /// # Safety
    ///
    /// The CPU has what the variant needs; `len` is a multiple of 16, the lines have that
    /// many elements, and there is room for as many activations.
    unsafe fn transform(lines: [Option<&[X<Self>]>; LINES], len: usize, to: [*mut u8; LINES]);

    /// Decodes and transforms the weights of a block, and tells what the sums of `m1` and
    /// `m2` start with on account of them. `quads` is memory that [`decode_quads`] needs.
    ///
    /// # Safety
    ///
    /// The CPU has what the variant needs; channels begin and end at multiples of 16, and
    /// there is room.
    unsafe fn decode(kernels: &Kernels<'_>, quads: *mut u8, panel: *mut u8, starts: &mut Starts);

    /// Adds to the sums of both lines at some places, `[ROWS][BLOCKS * 16]` each, which are
    /// after the last channels as the tile's `finish` takes them.
    ///
    /// # Safety
    ///
    /// The CPU has what the variant needs; everything in `tile` is as it says; there is
    /// room for all `ROWS`, whether the tile has them or not, aligned to 64 bytes.
    unsafe fn sums(tile: &PairTile, sums: [*mut f32; 2]);
}

/// The activations of a variant.
pub(crate) type X<P> = <<P as Pairs>::Tile as Tile>::X;

/// What a tile adds up.
pub(crate) struct PairTile {
    /// Where the first of four lines begins at each place, and the bytes from one line
    /// to the next; places beyond `rows` are the last one again.
    pub(crate) places: [*const u8; ROWS],
    pub(crate) line: usize,
    /// Places.
    pub(crate) rows: usize,
    /// Bytes from one column of the kernel to the next.
    pub(crate) column: usize,
    /// Activations of a line at a place: either all columns' together, or each one's
    /// with others in between. Together without [`Pairs::CHUNKS`].
    pub(crate) segments: usize,
    pub(crate) len: usize,
    /// Whether these are the first channels, without sums that wait, and the last.
    pub(crate) first: bool,
    pub(crate) last: bool,
    /// Room for sums unless these are the first channels.
    pub(crate) spare: [*mut f32; 2],
    /// The first block's panel, and the bytes from one block's to the next's.
    pub(crate) panels: *const u8,
    pub(crate) stride: usize,
    /// Blocks, at most the tile's `BLOCKS`.
    pub(crate) blocks: usize,
    /// What `m1` and `m2` start with, for each block.
    pub(crate) starts: *const Starts,
}

/// Some channels of the 3x3 kernels of a block; all without [`Pairs::CHUNKS`].
pub(crate) struct Kernels<'a> {
    pub(crate) codec: Codec,
    pub(crate) matrix: &'a Matrix,
    pub(crate) block: &'a [u8],
    pub(crate) channels: Range<usize>,
    /// Bytes of each of a panel's four parts.
    pub(crate) part: usize,
}

/// What the sums of `m1` and `m2` start with.
pub(crate) type Starts = [[i32; BLOCK]; 2];

/// Channels of a panel of quads.
const CHANNELS: usize = 64;

/// The channels whose taps are decoded to quads one after the other.
#[cfg(target_arch = "x86_64")]
pub(crate) fn steps(channels: &Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let Range { start, end } = *channels;
    (start..end)
        .step_by(CHANNELS)
        .map(move |first| first..end.min(first + CHANNELS))
}

/// Decodes all taps of some channels, one of the [`steps`], with the panels of a tile that
/// are quads, tap by tap.
///
/// # Safety
///
/// As for [`Pairs::decode`].
#[cfg(target_arch = "x86_64")]
pub(crate) unsafe fn decode_quads<T: Tile>(
    kernels: &Kernels<'_>,
    channels: Range<usize>,
    quads: *mut u8,
) {
    let Kernels {
        codec,
        matrix,
        block,
        ..
    } = *kernels;
    let part = Part {
        taps: 0..9,
        channels,
    };
    // SAFETY: the caller's promises; what sums start with is not asked here.
    unsafe { T::decode(codec, matrix, block, &part, quads, &mut [0; BLOCK]) };
}

/// What sums start with, by the sums of the weights of each of the kernel's lines.
#[inline(always)]
pub(crate) fn starts([g0, g1, g2]: [[i32; BLOCK]; 3], excess: [i32; LINES]) -> Starts {
    let mut starts = [[0; BLOCK]; 2];
    for o in 0..BLOCK {
        let outer = g0[o] + g2[o];
        // What the excess of each line adds to the sums of both lines of output; sums wrap
        // like any others.
        let [e0, e1, e2, e3] = excess;
        let (e0, e3) = (e0.wrapping_mul(g0[o]), e3.wrapping_mul(g2[o]));
        let e1 = e1.wrapping_mul(outer + g1[o]);
        let e2 = e2.wrapping_mul(outer - g1[o]);
        starts[0][o] = (e1.wrapping_add(e0).wrapping_add(e3)).wrapping_neg();
        starts[1][o] = (e2.wrapping_add(e0).wrapping_sub(e3)).wrapping_neg();
    }
    starts
}

/// Scratch bytes for this many threads; 0 where this is not the way.
pub(crate) fn scratch<P: Pairs, R: Rows>(size: &Size, rows: &R, threads: usize) -> usize {
    match Plan::new::<P, R>(size, rows, threads) {
        Some(plan) => plan.task.saturating_mul(plan.split.tasks),
        None => 0,
    }
}

/// Computes the product if this is the way; tells whether it is.
///
/// # Safety
///
/// The CPU has what `P` needs.
pub(crate) unsafe fn run<P: Pairs, R: Rows>(
    ctx: &mut Ctx<'_>,
    problem: &Problem<'_, R>,
    x: &[X<P>],
) -> Result<bool, Invalid> {
    if !P::NEGATIVE && !problem.x_non_negative {
        return Ok(false);
    }
    let threads = ctx.threads();
    let Some(plan) = Plan::new::<P, R>(&problem.size, &problem.rows, threads) else {
        return Ok(false);
    };
    let scratch = TaskScratch::new(&mut *ctx.scratch, threads, plan.split.tasks, plan.task)?;
    each_piece(
        ctx.par,
        plan.split.tasks,
        &|i| plan.pieces(i),
        &|i, pieces| {
            // SAFETY: every task has a range of its own, and `each_piece` runs a task
            // no more than once.
            let Some(scratch) = (unsafe { scratch.part(i) }) else {
                return;
            };
            let task: Task<'_, P, R> = Task::new(problem, &plan, x, scratch);
            // SAFETY: the caller's promise.
            unsafe { task.run(pieces) };
        },
    );
    Ok(true)
}

#[cfg(test)]
mod tests;

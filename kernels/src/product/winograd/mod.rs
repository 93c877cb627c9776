//! 3x3 convolutions of bytes that are not negative, with two lines of output at a time
//! from four products rather than six (Winograd's F(2, 3), down the image).
//!
//! For lines `d[0..4]` of the input, weights `g[0..3]` of a column of the kernel, and two
//! lines of output:
//!
//! ```text
//! v = [d0 - d2, d1 + d2, d2 - d1, d3 - d1]              u8, with 128 more but for v1
//! u = [2 g0, g0 + g1 + g2, g0 - g1 + g2, 2 g2]          i8
//! m = v * u                                             products as of any other line, i32
//! 2 y = [m1 + m2 + m0, m1 - m2 + m3]
//! ```
//!
//! All of it is exact: trits make weights of at most 3 (6 from codes that no writer
//! writes), and activations of 0 to 127 make sums of two that fit a byte. Weights of 8 bits
//! would need 10, and activations with a sign 9.
//!
//! ```text
//! for each strip of pairs of output lines:
//!     transform its input: [pair][4][places across][channels]
//!     for each BLOCKS blocks of outputs:
//!         transform their weights: [block][m1, m2, m0, m3][column][k / 4][16][4]
//!         for each ROWS places of the strip: both lines' sums, halved, and the epilogue
//! ```

use self::plan::Plan;
use self::task::Task;
use super::tiled::Tile;
use super::{Problem, Rows, Size};
use crate::layout::BLOCK;
use crate::par::each_piece;
use crate::task_scratch::TaskScratch;
use crate::{Codec, Ctx, Invalid};

mod plan;
mod task;

/// Lines of transformed input for a pair of lines of output.
pub(crate) const LINES: usize = 4;
/// Places of a tile at most.
pub(crate) const ROWS: usize = 6;
/// Bytes of four weights of 16 outputs.
pub(crate) const QUAD: usize = 4 * BLOCK;

/// What an instruction set does for these products; [`Never`] where it has nothing.
pub(crate) trait Pairs {
    /// What decodes weights to quads, which [`weights`](Self::weights) takes, and finishes
    /// sums.
    type Tile: Tile<X = i8>;
    /// Whether there is anything.
    const ANY: bool = true;
    /// Fewer blocks of outputs leave registers unused, and another way is better.
    const MIN_BLOCKS: usize = 1;

    /// Transforms `len` bytes of four lines, of which those that are `None` are zeros.
    ///
    /// # Safety
    ///
    /// The CPU has what the variant needs; the lines have that many bytes, and so have
    /// the places they go to.
    unsafe fn transform(lines: [Option<&[i8]>; LINES], len: usize, to: [*mut u8; LINES]);

    /// Decodes and transforms the weights of a block, if there is a shorter way than by
    /// quads; tells whether there is. `panel` and `starts` as for
    /// [`weights`](Self::weights).
    ///
    /// # Safety
    ///
    /// The CPU has what the variant needs; `block` is a block of such an array of 3x3
    /// kernels, with channels that are a multiple of 16, and there is room.
    unsafe fn decode(
        _codec: Codec,
        _channels: usize,
        _block: &[u8],
        _panel: *mut u8,
        _starts: &mut [[i32; BLOCK]; 2],
    ) -> bool {
        false
    }

    /// Transforms `count` quads of each of the kernel's nine taps, which are in `from` tap
    /// by tap. Those of column `x` go to `to + x * column` in each of the four parts of a
    /// panel, which are `part` bytes long. Adds to `starts` what the sums of `m1` and `m2`
    /// are to start with.
    ///
    /// # Safety
    ///
    /// The CPU has what the variant needs, and there is room.
    unsafe fn weights(
        from: *const u8,
        count: usize,
        to: *mut u8,
        part: usize,
        column: usize,
        starts: &mut [[i32; BLOCK]; 2],
    );

    /// The sums of both lines at some places, `[ROWS][BLOCKS * 16]` each, as the tile's
    /// `finish` takes them.
    ///
    /// # Safety
    ///
    /// The CPU has what the variant needs; everything in `tile` is as it says.
    unsafe fn sums(tile: &PairTile, sums: [*mut f32; 2]);
}

/// What a tile adds up.
pub(crate) struct PairTile {
    /// Where the first of four lines begins at each place, and the bytes from one line
    /// to the next; places beyond `rows` are the last one again.
    pub(crate) places: [*const u8; ROWS],
    pub(crate) line: usize,
    /// Places.
    pub(crate) rows: usize,
    /// Activations of a line at a place.
    pub(crate) len: usize,
    /// The first block's panel, and the bytes from one block's to the next's.
    pub(crate) panels: *const u8,
    pub(crate) stride: usize,
    /// Blocks, at most the tile's `BLOCKS`.
    pub(crate) blocks: usize,
    /// What `m1` and `m2` start with, for each block.
    pub(crate) starts: *const [[i32; BLOCK]; 2],
}

/// An instruction set without a way of its own.
pub(crate) struct Never<T>(core::marker::PhantomData<T>);

impl<T: Tile<X = i8>> Pairs for Never<T> {
    type Tile = T;
    const ANY: bool = false;

    unsafe fn transform(_: [Option<&[i8]>; LINES], _: usize, _: [*mut u8; LINES]) {}

    unsafe fn weights(
        _: *const u8,
        _: usize,
        _: *mut u8,
        _: usize,
        _: usize,
        _: &mut [[i32; BLOCK]; 2],
    ) {
    }

    unsafe fn sums(_: &PairTile, _: [*mut f32; 2]) {}
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
    x: &[i8],
) -> Result<bool, Invalid> {
    if !problem.x_non_negative {
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

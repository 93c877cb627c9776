//! Products of few rows, which read every weight once: packed weights are
//! multiplied as they come from memory, without panels. What differs between
//! instruction sets is a [`Vector`]; this is the loop around it.

use super::{Problem, Rows, Size};
use crate::epilogue::Finish;
use crate::layout::BLOCK;
use crate::par::{PIECES, SCRATCH_ALIGN, check_scratch, each_piece, share, tasks_for};
use crate::{Codec, Ctx, Invalid};
use core::ops::Range;

/// Rows at most.
pub(crate) const ROWS: usize = 1;
/// Blocks of a strip at most.
const BLOCKS: usize = 4;
/// Floats from the sums of one row to those of the next.
pub(crate) const STRIDE: usize = BLOCKS * BLOCK;

/// What one instruction set does with one kind of activations.
pub(crate) trait Vector {
    /// Elements of the input.
    type X: Copy + Sync;

    /// Bytes of a row's prepared activations; `None` where that overflows, or
    /// for weights of a codec that it does not take.
    fn prepared(codec: Codec, k: usize) -> Option<usize>;

    /// Whether activations of this bound (0 where none is known) may meet weights
    /// of a codec.
    fn takes(codec: Codec, qmax: i32) -> bool;

    /// Brings a row's activations into the form in which they meet the weights.
    ///
    /// # Safety
    ///
    /// The CPU has what the variant needs; `to` has the bytes that
    /// [`prepared`](Self::prepared) says.
    unsafe fn prepare(codec: Codec, x: &[Self::X], to: &mut [u8]);

    /// Stores the sums of a strip: rows [`STRIDE`] apart, blocks after each other.
    ///
    /// # Safety
    ///
    /// The CPU has what the variant needs; the strip holds what it says, prepared
    /// for its codec; `sums` has room for [`STRIDE`] floats of every row.
    unsafe fn add(strip: &Strip<'_>, sums: &mut [f32]);

    /// The epilogue of `rows` x `outputs`; `sums` as [`add`](Self::add) stored
    /// them.
    ///
    /// # Safety
    ///
    /// The CPU has what the variant needs; no other task has these elements.
    unsafe fn finish(
        finish: &Finish<'_>,
        rows: Range<usize>,
        outputs: Range<usize>,
        sums: &mut [f32],
    );
}

/// Takes nothing.
pub(crate) struct Nothing<X>(core::marker::PhantomData<X>);

impl<X: Copy + Sync> Vector for Nothing<X> {
    type X = X;

    fn prepared(_: Codec, _: usize) -> Option<usize> {
        None
    }

    fn takes(_: Codec, _: i32) -> bool {
        false
    }

    unsafe fn prepare(_: Codec, _: &[X], _: &mut [u8]) {}
    unsafe fn add(_: &Strip<'_>, _: &mut [f32]) {}
    unsafe fn finish(_: &Finish<'_>, _: Range<usize>, _: Range<usize>, _: &mut [f32]) {}
}

/// Blocks of weights and all rows of activations.
pub(crate) struct Strip<'a> {
    /// How weights are stored.
    pub(crate) codec: Codec,
    /// The packed weights of all blocks.
    pub(crate) weights: &'a [u8],
    /// Bytes of a block.
    pub(crate) block_len: usize,
    /// Blocks, at least one and at most [`BLOCKS`].
    pub(crate) blocks: usize,
    /// Prepared activations of all rows.
    pub(crate) x: &'a [u8],
    /// Bytes from one row's to the next's, a multiple of 64.
    pub(crate) row_len: usize,
    /// Rows, at least one and at most [`ROWS`].
    pub(crate) rows: usize,
}

/// Whether a product has few enough rows, and a single tap and group.
fn fits(size: &Size) -> bool {
    (1..=ROWS).contains(&size.rows) && size.matrix.taps == 1 && size.matrix.groups == 1
}

/// Bytes of a row's part of scratch.
fn row_len<V: Vector>(size: &Size) -> Option<usize> {
    V::prepared(size.codec, size.matrix.channels)?.checked_next_multiple_of(SCRATCH_ALIGN)
}

/// What [`run`] needs.
pub(crate) enum Needs {
    /// Nothing: the product is left to others, whatever the bound of its
    /// activations.
    Nothing,
    /// Scratch bytes if the bound is right; otherwise the product is left to others.
    Perhaps(usize),
    /// Scratch bytes.
    Scratch(usize),
}

/// What a product needs.
pub(crate) fn needs<V: Vector>(size: &Size) -> Needs {
    let len = row_len::<V>(size).and_then(|len| len.checked_mul(size.rows));
    match len.filter(|_| fits(size)) {
        Some(len) if V::takes(size.codec, 0) => Needs::Scratch(len),
        Some(len) => Needs::Perhaps(len),
        None => Needs::Nothing,
    }
}

/// Computes a product; false if it is left to others, `Invalid` where scratch is too
/// short or not aligned.
///
/// # Safety
///
/// The CPU has what `V` needs.
pub(crate) unsafe fn run<V: Vector, R: Rows>(
    ctx: &mut Ctx<'_>,
    problem: &Problem<'_, R>,
    x: &[V::X],
) -> Result<bool, Invalid> {
    let size = &problem.size;
    if !fits(size) || !V::takes(size.codec, problem.x_qmax) {
        return Ok(false);
    }
    let Some(row_len) = row_len::<V>(size) else {
        return Ok(false);
    };
    let len = row_len.checked_mul(size.rows).ok_or(Invalid)?;
    check_scratch(ctx.scratch, len)?;
    let prepared = &mut ctx.scratch[..len];
    for (row, prepared) in prepared.chunks_exact_mut(row_len).enumerate() {
        let position = problem.rows.position(row);
        let at = problem
            .rows
            .line(position, 0)
            .and_then(|line| problem.rows.source(line, position, 0));
        // A row outside of the input consists of zeros.
        let x = at.and_then(|at| x.get(at..)?.get(..size.matrix.channels));
        // SAFETY: the caller's promise; `row_len` is no less than prepared.
        unsafe { V::prepare(size.codec, x.unwrap_or(&[]), prepared) };
    }
    let x = &*prepared;
    let blocks = size.matrix.blocks();
    let tasks = tasks_for(ctx.par.threads(), blocks);
    // As many strips as a piece is to have.
    let strips = blocks.div_ceil(BLOCKS).div_ceil(tasks).div_ceil(PIECES);
    let mine = |task: usize| share(blocks, tasks, task);
    let count = |task: usize| mine(task).len().div_ceil(strips * BLOCKS);
    let piece = |(task, piece): (usize, usize)| {
        let mine = mine(task);
        let first = mine.start + piece * strips * BLOCKS;
        first..mine.end.min(first + strips * BLOCKS)
    };
    each_piece(ctx.par, tasks, &count, &|_, pieces| {
        let strips = pieces.map(piece).flat_map(|blocks| {
            let end = blocks.end;
            blocks
                .step_by(BLOCKS)
                .map(move |first| first..end.min(first + BLOCKS))
        });
        for blocks in strips {
            let strip = Strip {
                codec: size.codec,
                weights: problem.blocks(blocks.clone()),
                block_len: problem.block_len,
                blocks: blocks.len(),
                x,
                row_len,
                rows: size.rows,
            };
            let outputs = blocks.start * BLOCK..size.matrix.outputs.min(blocks.end * BLOCK);
            let mut sums = [0.0; ROWS * STRIDE];
            // SAFETY: the caller's promise; strips have disjoint blocks.
            unsafe {
                V::add(&strip, &mut sums);
                V::finish(&problem.finish, 0..size.rows, outputs, &mut sums);
            }
        }
    });
    Ok(true)
}

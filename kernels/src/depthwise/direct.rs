//! f32: a register of channels at once, straight from the input.
//!
//! ```text
//! for each output line, each part of the channels:
//!     for each 4 positions whose taps all lie inside, each other position:
//!         for each LANES channels of the part:
//!             sums[4][LANES] = x[4][LANES] * w[LANES], tap by tap    // two roundings
//!             epilogue
//! ```
//!
//! What is read thus follows each other in memory, and what the next positions read
//! again is in the first-level cache. Taps outside of the input are left out, as in the
//! reference. Other kernels and epilogues are [`lines`]'s.
//!
//! What is inlined into a function that has the features has none itself.

use super::Problem;
use super::lines::{self, Lanes};
use crate::conv2d::Conv2dShape;
use crate::epilogue::{Finish, FloatRows};
use crate::layout::{BLOCK, Block};
use crate::par::{SCRATCH_ALIGN, each_piece, share, tasks_for};
use crate::product::Size;
use crate::product::scalar::Element;
use crate::task_scratch::TaskScratch;
use crate::{Ctx, Invalid};
use core::iter::once;
use core::ops::Range;

/// Channels of a part, times the width of the kernel, at most: what some positions
/// read is some 20 KiB.
const PART: usize = 576;
/// How many positions are computed together.
const COUNTS: [usize; 3] = [4, 2, 1];

/// What one instruction set does.
pub(super) trait Vector: Sized {
    /// A register of floats.
    type Register: Copy;
    /// What computes all else.
    type Lines: Lanes<X = f32>;

    /// Channels of a register.
    const LANES: usize;

    /// All 0.
    ///
    /// # Safety
    ///
    /// The CPU has what the variant needs.
    unsafe fn zero() -> Self::Register;

    /// `LANES` floats.
    ///
    /// # Safety
    ///
    /// The CPU has what the variant needs; the floats are there.
    unsafe fn load(from: *const f32) -> Self::Register;

    /// `sum + x * w`, each rounded.
    ///
    /// # Safety
    ///
    /// The CPU has what the variant needs.
    unsafe fn add(sum: Self::Register, x: Self::Register, w: Self::Register) -> Self::Register;

    /// Writes the scales of outputs `first..first + LANES`, then their biases.
    ///
    /// # Safety
    ///
    /// The CPU has what the variant needs; the outputs are there.
    unsafe fn columns(finish: &Finish<'_>, first: usize, to: &mut [f32]);

    /// Finishes `LANES` sums.
    ///
    /// # Safety
    ///
    /// The CPU has what the variant needs; `columns` is what [`columns`](Self::columns)
    /// wrote, the outputs begin at `to`, and no other task has them.
    unsafe fn put(out: &FloatRows<'_>, columns: *const f32, sums: Self::Register, to: *mut f32);

    /// [`Job::line`] with the features that this needs.
    ///
    /// # Safety
    ///
    /// As for [`Job::line`].
    unsafe fn line<const W: usize, const S: usize>(job: &Job<'_>, number: usize);
}

/// Scratch bytes for this many threads; `usize::MAX` where that overflows.
pub(super) fn scratch<V: Vector>(size: &Size, shape: &Conv2dShape, threads: usize) -> usize {
    let own = if is_common::<V>(shape) {
        weights_len::<V>(size)
            .and_then(|len| len.checked_mul(tasks(shape, threads)))
            .unwrap_or(usize::MAX)
    } else {
        0
    };
    lines::scratch::<V::Lines>(size, shape, threads).max(own)
}

/// Lines of output over all images; that of a shape that was checked does not overflow.
fn output_lines(shape: &Conv2dShape) -> usize {
    shape.batch * shape.output[0]
}

/// Tasks, each with the weights in its part of scratch.
fn tasks(shape: &Conv2dShape, threads: usize) -> usize {
    tasks_for(threads, output_lines(shape))
}

/// Whether there is code for this kernel.
fn is_common<V: Vector>(shape: &Conv2dShape) -> bool {
    let [height, width] = shape.kernel;
    height == width
        && [3, 5].contains(&width)
        && [1, 2].contains(&shape.stride[1])
        && shape.dilation == [1, 1]
        && shape.out_channels.is_multiple_of(V::LANES)
}

/// Floats of a register's channels: scales, biases and the weights of every tap.
const fn group_len<V: Vector>(taps: usize) -> usize {
    (2 + taps) * V::LANES
}

/// Bytes of a task's scratch, all channels' groups in whole blocks.
fn weights_len<V: Vector>(size: &Size) -> Option<usize> {
    let groups = size.matrix.blocks().checked_mul(BLOCK / V::LANES)?;
    let values = groups.checked_mul(group_len::<V>(size.matrix.channels))?;
    values
        .checked_mul(size_of::<f32>())?
        .checked_next_multiple_of(SCRATCH_ALIGN)
}

/// Computes; `Invalid` where scratch is too short or not aligned.
///
/// # Safety
///
/// The CPU has what `V` needs.
pub(super) unsafe fn run<V: Vector>(
    ctx: &mut Ctx<'_>,
    problem: &Problem<'_>,
    x: &[f32],
) -> Result<(), Invalid> {
    let shape = problem.rows.shape();
    let (true, Some(out)) = (is_common::<V>(shape), FloatRows::new(&problem.finish)) else {
        // SAFETY: the caller's promise.
        return unsafe { lines::run::<V::Lines>(ctx, problem, x) };
    };
    let len = weights_len::<V>(&problem.size).ok_or(Invalid)?;
    let threads = ctx.threads();
    let tasks = tasks(shape, threads);
    let scratch = TaskScratch::new(&mut *ctx.scratch, threads, tasks, len)?;
    let of = |task: usize| share(output_lines(shape), tasks, task);
    each_piece(ctx.par, tasks, &|task| of(task).len(), &|task, pieces| {
        // SAFETY: every task has a range of its own, and `each_piece` runs a task
        // no more than once.
        let Some(scratch) = (unsafe { scratch.part(task) }) else {
            return;
        };
        // A task that begins late may find nothing left.
        let Some(first) = pieces.next() else {
            return;
        };
        // SAFETY: aligned, and a float may have any bits.
        let (_, weights, _) = unsafe { scratch.align_to_mut::<f32>() };
        // Every task makes its own: reading another one's takes longer.
        // SAFETY: the caller's promise.
        unsafe { expand::<V>(problem, weights) };
        let job = Job {
            shape,
            x,
            weights,
            out,
        };
        for (task, piece) in once(first).chain(pieces) {
            let line = of(task).start + piece;
            // SAFETY: the caller's promise; kernel and stride are common ones, and the
            // lines of pieces different ones.
            unsafe {
                match (shape.kernel[1], shape.stride[1]) {
                    (3, 1) => V::line::<3, 1>(&job, line),
                    (3, _) => V::line::<3, 2>(&job, line),
                    (_, 1) => V::line::<5, 1>(&job, line),
                    _ => V::line::<5, 2>(&job, line),
                }
            }
        }
    });
    Ok(())
}

/// Writes the groups of all channels.
///
/// # Safety
///
/// The CPU has what `V` needs.
unsafe fn expand<V: Vector>(problem: &Problem<'_>, weights: &mut [f32]) {
    let matrix = &problem.size.matrix;
    let len = group_len::<V>(matrix.channels);
    for (b, groups) in weights.chunks_exact_mut(BLOCK / V::LANES * len).enumerate() {
        let block = Block::new(problem.size.codec, matrix, problem.block(b));
        for (part, group) in groups.chunks_exact_mut(len).enumerate() {
            let first = b * BLOCK + part * V::LANES;
            if first < matrix.outputs {
                // SAFETY: the caller's promise; outputs are a multiple of LANES.
                unsafe { V::columns(&problem.finish, first, &mut group[..2 * V::LANES]) };
            }
        }
        for tap in 0..matrix.channels {
            let row = f32::weights(&block, 0, tap);
            for (part, row) in row.chunks_exact(V::LANES).enumerate() {
                groups[part * len + (2 + tap) * V::LANES..][..V::LANES].copy_from_slice(row);
            }
        }
    }
}

/// A convolution.
pub(super) struct Job<'a> {
    shape: &'a Conv2dShape,
    x: &'a [f32],
    weights: &'a [f32],
    out: FloatRows<'a>,
}

/// Some positions of a line, all channels of a part.
struct Place {
    /// What the first tap that lies inside reads of the part's first channel.
    x: *const f32,
    /// Elements from a column to the next one, and from a line to the next one.
    column: usize,
    line: usize,
    /// The first channels' group, and the number of that tap.
    weights: *const f32,
    tap: usize,
    /// Where the first position's outputs go.
    y: *mut f32,
    groups: usize,
}

impl Place {
    /// So many columns and positions further on.
    fn after(&self, columns: usize, positions: usize) -> Place {
        Place {
            x: self.x.wrapping_add(columns * self.column),
            y: self.y.wrapping_add(positions * self.column),
            ..*self
        }
    }
}

impl Job<'_> {
    /// A line of output, counted over all images.
    ///
    /// # Safety
    ///
    /// The CPU has what `V` needs; the kernel is `W` wide and high, the stride across `S`, and no
    /// other task has the line.
    #[inline(always)]
    pub(super) unsafe fn line<V: Vector, const W: usize, const S: usize>(&self, number: usize) {
        let shape = self.shape;
        let (channels, [height, width]) = (shape.out_channels, shape.input);
        let (image, y) = (number / shape.output[0], number % shape.output[0]);
        let (rows, from) = inside::<W>(y * shape.stride[0], shape.pad[0], height);
        let line = width * channels;
        let x = (image * height + from) * line;
        let groups = channels / V::LANES;
        let parts = groups.div_ceil(PART / W / V::LANES);
        for part in 0..parts {
            let part = groups * part / parts..groups * (part + 1) / parts;
            let channel = part.start * V::LANES;
            let mut position = 0;
            while position < shape.output[1] {
                let (columns, from) = inside::<W>(position * S, shape.pad[1], width);
                // As many positions as lie inside in the same way.
                let count = COUNTS.into_iter().find(|count| {
                    let last = (position + count - 1) * S + W;
                    position + count <= shape.output[1] && last <= width + shape.pad[1]
                });
                let count = count.filter(|_| columns.len() == W).unwrap_or(1);
                let row = number * shape.output[1] + position;
                let place = Place {
                    x: self.x.as_ptr().wrapping_add(x + from * channels + channel),
                    column: channels,
                    line,
                    weights: (self.weights.as_ptr())
                        .wrapping_add(part.start * group_len::<V>(W * W)),
                    tap: rows.start * W + columns.start,
                    y: self.out.at(row, channel),
                    groups: part.len(),
                };
                /// Calls `groups` for the kernel's width with the lines, columns and
                /// positions that are listed.
                macro_rules! groups {
                    ($($width:literal: $([$h:literal $w:literal $p:literal])*;)*) => {
                        match (rows.len(), columns.len(), count) {
                            $($(
                                ($h, $w, $p) if W == $width => {
                                    self.groups::<V, $h, $w, W, S, $p>(&place);
                                }
                            )*)*
                            (h, w, _) => {
                                for p in 0..count {
                                    self.others::<V, W>(&place.after(p * S, p), h, w);
                                }
                            }
                        }
                    };
                }
                // SAFETY: the caller's promises: these lines and columns lie inside.
                unsafe {
                    groups! {
                        3: [2 2 1] [2 3 1] [2 3 2] [2 3 4] [3 2 1] [3 3 1] [3 3 2] [3 3 4];
                        5: [3 3 1] [3 4 1] [3 5 1] [3 5 2] [3 5 4]
                            [4 3 1] [4 4 1] [4 5 1] [4 5 2] [4 5 4]
                            [5 3 1] [5 4 1] [5 5 1] [5 5 2] [5 5 4];
                    }
                }
                position += count;
            }
        }
    }

    /// `P` positions, under `H` lines and `C` columns of a kernel `W` wide.
    ///
    /// # Safety
    ///
    /// The CPU has what `V` needs; what is read and written is there.
    #[inline(always)]
    unsafe fn groups<
        V: Vector,
        const H: usize,
        const C: usize,
        const W: usize,
        const S: usize,
        const P: usize,
    >(
        &self,
        place: &Place,
    ) {
        let Place { column, line, .. } = *place;
        let (mut x, mut weights, mut y) = (place.x, place.weights, place.y);
        // SAFETY: the caller's promises.
        unsafe {
            for _ in 0..place.groups {
                let w = weights.add((2 + place.tap) * V::LANES);
                let mut sums = [V::zero(); P];
                for l in 0..H {
                    for k in 0..C {
                        let w = V::load(w.add((l * W + k) * V::LANES));
                        for (p, sum) in sums.iter_mut().enumerate() {
                            let x = V::load(x.add(l * line + (p * S + k) * column));
                            *sum = V::add(*sum, x, w);
                        }
                    }
                }
                for (p, sum) in sums.into_iter().enumerate() {
                    V::put(&self.out, weights, sum, y.add(p * column));
                }
                x = x.wrapping_add(V::LANES);
                y = y.wrapping_add(V::LANES);
                weights = weights.wrapping_add(group_len::<V>(W * W));
            }
        }
    }

    /// One position, under any lines and columns of a kernel.
    ///
    /// # Safety
    ///
    /// As for [`groups`](Self::groups).
    #[inline(always)]
    unsafe fn others<V: Vector, const W: usize>(
        &self,
        place: &Place,
        lines: usize,
        columns: usize,
    ) {
        for group in 0..place.groups {
            // SAFETY: the caller's promises.
            unsafe {
                let x = place.x.wrapping_add(group * V::LANES);
                let weights = place.weights.add(group * group_len::<V>(W * W));
                let w = weights.add((2 + place.tap) * V::LANES);
                let mut sum = V::zero();
                for l in 0..lines {
                    for k in 0..columns {
                        let w = V::load(w.add((l * W + k) * V::LANES));
                        let x = V::load(x.add(l * place.line + k * place.column));
                        sum = V::add(sum, x, w);
                    }
                }
                V::put(&self.out, weights, sum, place.y.add(group * V::LANES));
            }
        }
    }
}

/// Which taps of `W` lie inside of an axis of `len`, where the first is at `at` counted
/// from the padding's first; and where the first of these is, 0 where there is none.
fn inside<const W: usize>(at: usize, pad: usize, len: usize) -> (Range<usize>, usize) {
    let first = pad.saturating_sub(at).min(W);
    let end = (len + pad).saturating_sub(at).clamp(first, W);
    let from = if first < end { at + first - pad } else { 0 };
    (first..end, from)
}

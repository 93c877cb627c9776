//! The walk along output lines that SIMD variants share. What differs between
//! instruction sets is a [`Lanes`]; this is the loop around it.
//!
//! ```text
//! for each strip of output lines, each part of the channels:
//!     expand the part's weights, if the task has not yet
//!     for each band of the strip, as many at once as fit a register side by side:
//!         for each run of positions along the lines:
//!             for each column of the input that comes under the kernel:
//!                 made[column] = its taps, interleaved in groups of TAPS lines
//!             for each position, each line of the band:
//!                 sums = start + products of the kernel's columns
//!                 epilogue
//! ```
//!
//! A *part* is [`CHANNELS`](Lanes::CHANNELS) channels, or half or a quarter of them,
//! of which the register then holds two or four output lines: `copies`. A part that
//! would end behind the last channel begins further in front, and skips in the
//! output what the part before it has.
//!
//! A *band* is one output line, or two where the groups of lines that the first one
//! multiplies hold the second one's input as well: three lines of a kernel with
//! stride 1 leave room for a fourth one in a group of four.
//!
//! Nothing reads outside of the input: a line there is a block of zeros that is
//! read again and again, a column there is one of zeros. f32 adds zeros that the
//! reference leaves out. They change no sum, as a sum that begins with 0.0 is never
//! -0.0, unless a weight is infinite or no number: such weights are the
//! reference's.

use super::{Problem, scalar};
use crate::conv2d::Conv2dShape;
use crate::epilogue::Finish;
use crate::layout::{BLOCK, Block};
use crate::par::each_piece;
use crate::product::scalar::Element;
use crate::product::{Rows, Size};
use crate::task_scratch::TaskScratch;
use crate::{Ctx, DType, Invalid};
use core::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
use core::ops::Range;

mod entry;
mod plan;
mod walk;

pub(super) use walk::{Place, Source, Walk, make, walk};

use entry::Entry;
use plan::{Part, Plan};

/// Lines that a register has side by side at most, and blocks of 16 channels.
pub(super) const COPIES: usize = 4;
/// Lines of a band at most.
pub(super) const LINES: usize = 2;

/// What one instruction set does with one type of activations.
pub(super) trait Lanes {
    /// Elements of the input.
    type X: Element;
    /// Sums of `CHANNELS` channels.
    type Sums: Copy;
    /// The epilogue of a part.
    type Columns<'a>;
    /// Where a line's outputs go.
    type Line: Copy;

    /// Channels that are computed at once: 16, 32 or 64.
    const CHANNELS: usize;
    /// Lines of a group.
    const TAPS: usize;
    /// Whether the sums of all lines and positions at hand are in registers at the
    /// same time, so that they share what is read.
    const TOGETHER: bool = true;
    /// Bytes of a group: of a column in the ring, and of a column of weights.
    const GROUP: usize = Self::CHANNELS * Self::TAPS * size_of::<Self::X>();

    /// Whether [`weights`](Self::weights) takes all.
    const ANY_WEIGHTS: bool = true;

    /// Weights as what interleaves like the input; `None` where the reference must
    /// multiply with them.
    fn weights(row: [<Self::X as Element>::Weight; BLOCK]) -> Option<[Self::X; BLOCK]>;

    /// The epilogue of outputs `first..first + CHANNELS / copies` of as many rows
    /// as `copies` says.
    ///
    /// # Safety
    ///
    /// The CPU has what the variant needs, here and below. The outputs are there.
    unsafe fn columns<'a>(finish: &'a Finish<'a>, first: usize, copies: usize)
    -> Self::Columns<'a>;

    /// Writes the groups of at most `TAPS` lines of some columns, `step` bytes after
    /// each other; of the input, or of weights.
    ///
    /// # Safety
    ///
    /// `CHANNELS / copies` elements are there in every line and column of each
    /// copy, and there is room for the groups.
    unsafe fn groups<const WEIGHTS: bool>(
        lines: &[Source<Self::X>],
        copies: usize,
        columns: Range<usize>,
        to: *mut u8,
        step: usize,
    );

    /// Writes a group of a column of zeros.
    ///
    /// # Safety
    ///
    /// There is room for the group.
    unsafe fn outside(to: *mut u8);

    /// Writes where sums begin, [`START`] bytes, for weights of this many groups.
    ///
    /// # Safety
    ///
    /// The weights are there, and there is room.
    unsafe fn start(weights: *const u8, groups: usize, to: *mut u8);

    /// Reads what [`start`](Self::start) wrote.
    ///
    /// # Safety
    ///
    /// It is there.
    unsafe fn begin(start: *const u8) -> Self::Sums;

    /// Adds the products of a group.
    ///
    /// # Safety
    ///
    /// Both groups are there.
    unsafe fn add(sums: Self::Sums, column: *const u8, weights: *const u8) -> Self::Sums;

    /// A line whose outputs begin at this place.
    fn line(columns: &Self::Columns<'_>, place: &Place) -> Self::Line;

    /// Writes a position's outputs.
    ///
    /// # Safety
    ///
    /// Where the place's mask says so, its outputs `offset` elements further on lie
    /// in the output, and no other task has them. `WAY` is one that these columns
    /// have, `WHOLE` false unless the place is the whole of a row.
    unsafe fn finish<const WAY: u8, const WHOLE: bool>(
        columns: &Self::Columns<'_>,
        line: &Self::Line,
        offset: usize,
        sums: Self::Sums,
    );

    /// Calls [`make`] from a function that has the instruction set's features.
    ///
    /// # Safety
    ///
    /// As for [`make`].
    unsafe fn make<const WEIGHTS: bool>(
        lines: &[Source<Self::X>],
        copies: usize,
        inside: Range<usize>,
        columns: Range<usize>,
        to: *mut u8,
    );

    /// Calls [`walk`] from a function that has the instruction set's features, with
    /// the size of the kernel known when compiling if it is a common one.
    ///
    /// # Safety
    ///
    /// As for [`walk`].
    unsafe fn walk(walk: &Walk<Self::X>, columns: &Self::Columns<'_>);

    /// Does what [`walk`] does another way, where there is one for this kernel; tells
    /// whether it did.
    ///
    /// # Safety
    ///
    /// As for [`walk`].
    unsafe fn slide(_: &Walk<Self::X>, _: &Self::Columns<'_>) -> bool {
        false
    }
}

/// Bytes of [`Lanes::start`]: i32 or f32.
const fn start_len<L: Lanes>() -> usize {
    4 * L::CHANNELS
}

/// Scratch bytes for this many threads; `usize::MAX` where that overflows.
pub(super) fn scratch<L: Lanes>(size: &Size, shape: &Conv2dShape, threads: usize) -> usize {
    if size.matrix.outputs < BLOCK {
        return 0;
    }
    Plan::new::<L>(size, shape, threads)
        .and_then(|plan| plan.task.checked_mul(plan.tasks))
        .unwrap_or(usize::MAX)
}

/// Computes; `Invalid` where scratch is too short or not aligned.
///
/// # Safety
///
/// The CPU has what `L` needs.
pub(super) unsafe fn run<L: Lanes>(
    ctx: &mut Ctx<'_>,
    problem: &Problem<'_>,
    x: &[L::X],
) -> Result<(), Invalid> {
    if problem.size.matrix.outputs < BLOCK {
        return scalar::run(ctx, problem);
    }
    let threads = ctx.threads();
    let plan = Plan::new::<L>(&problem.size, problem.rows.shape(), threads).ok_or(Invalid)?;
    if !L::ANY_WEIGHTS && !takes_weights::<L>(problem) {
        return scalar::run(ctx, problem);
    }
    let scratch = TaskScratch::new(&mut *ctx.scratch, threads, plan.tasks, plan.task)?;
    each_piece(ctx.par, plan.tasks, &|i| plan.strips(i), &|i, pieces| {
        // SAFETY: every task has a range of its own, and `each_piece` runs a task
        // no more than once.
        let Some(scratch) = (unsafe { scratch.part(i) }) else {
            return;
        };
        let task: Task<'_, L> = Task {
            problem,
            plan: &plan,
            x,
            scratch: scratch.as_mut_ptr(),
        };
        // SAFETY: the caller's promise; pieces are different strips or parts.
        unsafe { task.run(pieces) };
    });
    Ok(())
}

/// Whether all weights are such that lanes can multiply with them.
fn takes_weights<L: Lanes>(problem: &Problem<'_>) -> bool {
    let matrix = &problem.size.matrix;
    (0..matrix.blocks()).all(|b| {
        let block = Block::new(problem.size.codec, matrix, problem.block(b));
        (0..matrix.channels).all(|tap| L::weights(L::X::weights(&block, 0, tap)).is_some())
    })
}

/// The largest magnitude of an integer sum, whatever the codes of the weights are.
/// For f32 nobody asks.
fn largest(size: &Size) -> f32 {
    let x = match size.x {
        DType::I8 => 128.0,
        DType::I16 => 32768.0,
        _ => return f32::INFINITY,
    };
    let w = size.codec.largest().unwrap_or(usize::MAX) as f32;
    // Rounding errors are far below the half of the range that users keep free.
    size.matrix.channels as f32 * w * x
}

/// One task, with its scratch laid out as the plan says.
struct Task<'a, L: Lanes> {
    problem: &'a Problem<'a>,
    plan: &'a Plan,
    x: &'a [L::X],
    scratch: *mut u8,
}

impl<L: Lanes> Task<'_, L> {
    /// Some strips, numbered as those of a task's share.
    ///
    /// # Safety
    ///
    /// The CPU has what `L` needs; no other task has these strips.
    unsafe fn run(&self, strips: impl Iterator<Item = (usize, usize)>) {
        // SAFETY: the plan has room for CHANNELS zeros, and for a flag of each part.
        unsafe {
            self.zeros().write_bytes(0, L::CHANNELS);
            self.done().write_bytes(0, self.plan.parts.count());
        }
        for (task, strip) in strips {
            let (lines, parts) = self.plan.strip(task, strip);
            let bands = self.point(lines);
            for part in parts {
                // SAFETY: the caller's promises.
                unsafe { self.part(bands, part) };
            }
        }
    }

    /// Elements that are zero.
    fn zeros(&self) -> *mut L::X {
        self.scratch.wrapping_add(self.plan.zeros).cast()
    }

    /// Of each part, whether its weights are expanded.
    fn done(&self) -> *mut bool {
        self.scratch.wrapping_add(self.plan.done).cast()
    }

    /// Where a part's sums begin, followed by its weights, as [`walk`] takes them. Every
    /// task makes its own: reading another one's takes longer.
    ///
    /// # Safety
    ///
    /// The CPU has what `L` needs; zeros and flags were written.
    unsafe fn weights(&self, p: usize) -> *const u8 {
        let (plan, problem) = (self.plan, self.problem);
        let begin = self.scratch.wrapping_add(plan.expanded + p * plan.weights);
        // SAFETY: there is a flag of each part.
        if unsafe { self.done().add(p).replace(true) } {
            return begin;
        }
        let part = plan.parts.get(p);
        let [height, width] = problem.kernel;
        // A register has CHANNELS / 16 rows side by side, of one copy after another.
        let copies = L::CHANNELS / BLOCK;
        let (rows, tap_step) = self.rows(&part);
        let weights = begin.wrapping_add(start_len::<L>());
        let stride = problem.rows.shape().stride[0];
        let slot = plan.groups * L::GROUP;
        for line in 0..plan.lines {
            // As an input: a line for each of the kernel's, a column for each tap of it.
            let sources: *mut Source<L::X> = self.scratch.wrapping_add(plan.sources).cast();
            for i in 0..plan.groups * L::TAPS {
                let y = i.wrapping_sub(line * stride);
                let source = if y < height {
                    Source {
                        at: rows.map(|row| row.wrapping_add(y * width * tap_step)),
                        step: [tap_step; COPIES],
                    }
                } else {
                    Source::constant(self.zeros().cast_const())
                };
                // SAFETY: the plan has room for whole groups of sources.
                unsafe { sources.add(i).write(source) };
            }
            let to = weights.wrapping_add(line * width * slot);
            // SAFETY: the sources were just written; the part's channels lie in the rows,
            // and the plan has room for the groups.
            unsafe {
                let sources = core::slice::from_raw_parts(sources, plan.groups * L::TAPS);
                L::make::<true>(sources, copies, 0..width, 0..width, to);
            }
        }
        // SAFETY: the weights were just written; the plan has room in front of them.
        unsafe { L::start(weights, width * plan.groups, begin) };
        begin
    }

    /// Where the first tap's weights of each 16 channels of a register are, and how many
    /// elements it is to the next tap's: in the file, if they lie there as the input
    /// does, or where this puts them.
    fn rows(&self, part: &Part) -> ([*const L::X; COPIES], usize) {
        let (plan, problem) = (self.plan, self.problem);
        let matrix = &problem.size.matrix;
        let (first, blocks) = (part.first / BLOCK, part.width / BLOCK);
        let block = |b: usize| Block::new(problem.size.codec, matrix, problem.block(b));
        let aligned = part.first.is_multiple_of(BLOCK);
        if aligned && L::X::rows(&block(first)).is_some() {
            let row = |copy: usize| {
                let rows = L::X::rows(&block(first + copy % blocks)).unwrap_or(&[]);
                rows.as_ptr().cast()
            };
            return (core::array::from_fn(row), BLOCK);
        }
        let values: *mut L::X = self.scratch.wrapping_add(plan.values).cast();
        for b in first..part.end().div_ceil(BLOCK) {
            let block = block(b);
            for tap in 0..matrix.channels {
                let to = values.wrapping_add(tap * plan.row + (b - first) * BLOCK);
                let row = L::weights(L::X::weights(&block, 0, tap));
                // SAFETY: a row has room for the blocks of a part. `run` has looked that
                // there are weights.
                unsafe {
                    to.cast::<[L::X; BLOCK]>()
                        .write(row.unwrap_or([L::X::default(); BLOCK]))
                };
            }
        }
        let row = |copy: usize| {
            let at = part.first % BLOCK + copy % blocks * BLOCK;
            values.wrapping_add(at).cast_const()
        };
        (core::array::from_fn(row), plan.row)
    }

    /// What is known of a band of the strip.
    fn entry(&self, band: usize) -> Entry {
        let table: *mut usize = self.scratch.wrapping_add(self.plan.table).cast();
        Entry(table.wrapping_add(band * (Entry::HEAD + self.plan.rows)))
    }

    /// Looks up where the lines of a strip's bands are; tells how many bands there are.
    fn point(&self, strip: Range<usize>) -> usize {
        let (plan, rows) = (self.plan, &self.problem.rows);
        let shape = rows.shape();
        let [height, width] = shape.output;
        let (mut line, mut count) = (strip.start, 0);
        // Bands side by side are read together, those that are not there too.
        for band in 0.. {
            let there = line < strip.end;
            if !there && band % COPIES == 0 {
                break;
            }
            count += usize::from(there);
            let (image, y) = (line / height, line % height);
            let lines = plan.lines.min(strip.end - line).min(height - y);
            let entry = self.entry(band);
            // SAFETY: the plan has room for the entries of a strip.
            unsafe { entry.put(lines, line * width * plan.parts.channels) };
            for row in 0..plan.rows {
                let from = rows.line([image, y, 0], row).filter(|from| {
                    let end = from + shape.input[1] * shape.in_channels;
                    there && end <= self.x.len()
                });
                // SAFETY: as above.
                unsafe { entry.put_input(row, from) };
                // Lines that are not under the strip are often in another core's cache,
                // and parts of them are read one after another, each time from there.
                let (at, pad) = (row * shape.dilation[0], shape.pad[0]);
                let above = line == strip.start && at < pad;
                let under = (lines - usize::from(there)) * shape.stride[0];
                let reach = under + self.problem.kernel[0];
                let below = line + lines == strip.end && at >= pad + under + shape.stride[0];
                let read = plan.tasks > 1 && row < reach && (above || below);
                if let Some(from) = from.filter(|_| read) {
                    fetch(&self.x[from..][..shape.input[1] * shape.in_channels]);
                }
            }
            line += lines;
        }
        count
    }

    /// A part of a strip.
    ///
    /// # Safety
    ///
    /// As for [`run`](Self::run), with so many bands looked up.
    unsafe fn part(&self, bands: usize, p: usize) {
        let (plan, shape) = (self.plan, self.problem.rows.shape());
        let part = plan.parts.get(p);
        let copies = L::CHANNELS / part.width;
        // SAFETY: the caller's promise; the part's channels are there.
        let columns = unsafe { L::columns(&self.problem.finish, part.first, copies) };
        // SAFETY: the caller's promise; `run` wrote zeros and flags.
        let start = unsafe { self.weights(p) };
        let sources: *mut Source<L::X> = self.scratch.wrapping_add(plan.sources).cast();
        let mut walk = Walk {
            sources,
            rows: plan.rows,
            copies,
            places: [Place::default(); LINES],
            lines: plan.lines,
            channels: plan.parts.channels,
            largest: largest(&self.problem.size),
            positions: shape.output[1],
            run: plan.run,
            width: shape.kernel[1],
            groups: plan.groups,
            stride: shape.stride[1],
            dilation: shape.dilation[1],
            pad: shape.pad[1],
            columns: shape.input[1],
            made: self.scratch,
            start,
            weights: start.wrapping_add(start_len::<L>()),
        };
        for first in (0..bands).step_by(copies) {
            walk.places = self.places(first, copies, &part);
            // Where no band has its last line.
            walk.lines = plan.lines;
            while walk.lines > 1 && walk.places[walk.lines - 1].mask == 0 {
                walk.lines -= 1;
            }
            // The groups are as many.
            walk.rows = plan.rows - (plan.lines - walk.lines) * shape.stride[0];
            for row in 0..walk.rows {
                let source = self.source(first, copies, row, &part);
                // SAFETY: the plan has room for the rows' sources.
                unsafe { sources.wrapping_add(row).write(source) };
            }
            // SAFETY: the caller's promises; the sources were just written, of
            // lines that have all columns, and the output has the places.
            unsafe { L::walk(&walk, &columns) };
        }
    }

    /// Where the lines of some bands of the strip go.
    fn places(&self, first: usize, copies: usize, part: &Part) -> [Place; LINES] {
        let channels = self.plan.parts.channels;
        let line_len = self.problem.rows.shape().output[1] * channels;
        let outputs = (u64::MAX >> (64 - part.width)) & (u64::MAX << part.skip);
        let blocks = part.width / BLOCK;
        let mut places = [Place::default(); LINES];
        for copy in 0..copies {
            // SAFETY: the strip's entries were written.
            let (lines, to) = unsafe { self.entry(first + copy).get() };
            for (line, place) in places.iter_mut().enumerate().take(lines) {
                for n in 0..blocks {
                    let at = to + line * line_len + part.first + n * BLOCK;
                    place.at[copy * blocks + n] = at;
                }
                place.mask |= outputs << (copy * part.width);
            }
        }
        places
    }

    /// An input line of some bands of the strip.
    fn source(&self, first: usize, copies: usize, row: usize, part: &Part) -> Source<L::X> {
        let mut source = Source::constant(self.zeros().cast_const());
        for copy in 0..copies {
            // SAFETY: the strip's entries were written.
            if let Some(from) = unsafe { self.entry(first + copy).input(row) } {
                source.at[copy] = self.x.as_ptr().wrapping_add(from + part.first);
                source.step[copy] = self.plan.parts.channels;
            }
        }
        source
    }
}

/// Begins to bring what is read soon into the second-level cache.
fn fetch<X>(x: &[X]) {
    const LINE: usize = 64;
    let bytes: *const i8 = x.as_ptr().cast();
    for at in (0..size_of_val(x)).step_by(LINE) {
        // SAFETY: the address is that of a byte of `x`; prefetching reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(bytes.add(at)) };
    }
}

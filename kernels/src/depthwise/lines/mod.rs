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
use crate::par::{SCRATCH_ALIGN, Shared, each_piece, share};
use crate::product::scalar::Element;
use crate::product::{Rows, Size};
use crate::{Ctx, DType};
use core::ops::Range;

mod plan;
mod walk;

pub(super) use walk::{Place, Source, Walk, make, walk};

use plan::{Part, Plan};

/// Lines that a register has side by side at most, and blocks of 16 channels.
pub(super) const COPIES: usize = 4;
/// Lines of a band at most.
pub(super) const LINES: usize = 2;
/// In place of an offset: a line outside of the input.
const OUTSIDE: usize = usize::MAX;

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

/// Computes.
///
/// # Safety
///
/// The CPU has what `L` needs.
pub(super) unsafe fn run<L: Lanes>(ctx: &mut Ctx<'_>, problem: &Problem<'_>, x: &[L::X]) {
    if problem.size.matrix.outputs < BLOCK {
        return scalar::run(ctx, problem);
    }
    let Some(plan) = Plan::new::<L>(&problem.size, problem.rows.shape(), ctx.threads()) else {
        return;
    };
    if !L::ANY_WEIGHTS && !takes_weights::<L>(problem) {
        return scalar::run(ctx, problem);
    }
    let tasks = Shared::new(&mut *ctx.scratch);
    let items = |i: usize| share(plan.strips * plan.parts.count(), plan.tasks, i);
    each_piece(ctx.par, plan.tasks, &|i| items(i).len(), &|i, pieces| {
        // SAFETY: every task has a range of its own, and `each_piece` runs a task
        // no more than once.
        let scratch = unsafe { tasks.part(i * plan.task..(i + 1) * plan.task) };
        if scratch.len() < plan.task || !scratch.as_ptr().addr().is_multiple_of(SCRATCH_ALIGN) {
            return;
        }
        let task: Task<'_, L> = Task {
            problem,
            plan: &plan,
            x,
            scratch: scratch.as_mut_ptr(),
        };
        // SAFETY: the caller's promise; pieces are different items.
        unsafe { task.run(pieces.map(|(i, piece)| items(i).start + piece)) };
    });
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
    /// Some parts of some strips: item `strip * parts + part`.
    ///
    /// # Safety
    ///
    /// The CPU has what `L` needs; no other task has these items.
    unsafe fn run(&self, items: impl Iterator<Item = usize>) {
        let parts = self.plan.parts.count();
        // SAFETY: the plan has room for CHANNELS zeros, and for a flag of each part.
        unsafe {
            self.zeros().write_bytes(0, L::CHANNELS);
            self.done().write_bytes(0, parts);
        }
        let mut pointed = None;
        for item in items {
            let (strip, part) = (item / parts, item % parts);
            if pointed != Some(strip) {
                self.point(strip);
                pointed = Some(strip);
            }
            // SAFETY: the caller's promises.
            unsafe { self.part(strip, part) };
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
        let (part, matrix) = (plan.parts.get(p), &problem.size.matrix);
        let [height, width] = problem.kernel;
        let values: *mut L::X = self.scratch.wrapping_add(plan.values).cast();
        let first = part.first / BLOCK;
        for b in first..part.end().div_ceil(BLOCK) {
            let block = Block::new(problem.size.codec, matrix, problem.block(b));
            for tap in 0..height * width {
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
        let weights = begin.wrapping_add(start_len::<L>());
        let mut to = weights;
        let stride = problem.rows.shape().stride[0];
        for line in 0..plan.lines {
            for k in 0..width {
                for g in 0..plan.groups {
                    let mut sources = [Source::constant(self.zeros().cast_const()); COPIES];
                    for (i, source) in sources.iter_mut().enumerate().take(L::TAPS) {
                        let y = (g * L::TAPS + i).wrapping_sub(line * stride);
                        if y < height {
                            let at = (y * width + k) * plan.row + part.first % BLOCK;
                            *source = Source::constant(values.wrapping_add(at));
                        }
                    }
                    // SAFETY: the part's channels lie in the row; the plan has room for
                    // its groups.
                    unsafe {
                        let copies = L::CHANNELS / part.width;
                        L::make::<true>(&sources[..L::TAPS], copies, 0..1, 0..1, to);
                    }
                    to = to.wrapping_add(L::GROUP);
                }
            }
        }
        // SAFETY: the weights were just written; the plan has room in front of them.
        unsafe { L::start(weights, width * plan.groups, begin) };
        begin
    }

    /// What is known of a band of the strip.
    fn entry(&self, band: usize) -> Entry {
        let table: *mut usize = self.scratch.wrapping_add(self.plan.table).cast();
        Entry(table.wrapping_add(band * (Entry::HEAD + self.plan.rows)))
    }

    /// Looks up where the strip's lines are.
    fn point(&self, strip: usize) {
        let (plan, rows) = (self.plan, &self.problem.rows);
        let shape = rows.shape();
        let [height, width] = shape.output;
        for i in 0..plan.strip {
            let band = strip * plan.strip + i;
            let (image, y) = (band / plan.bands, band % plan.bands * plan.lines);
            let there = image < shape.batch;
            // SAFETY, to the end: the plan has room for the entries of a strip.
            let entry = self.entry(i);
            let lines = if there { plan.lines.min(height - y) } else { 0 };
            let to = (image * height + y) * width * plan.parts.channels;
            unsafe { entry.put(lines, if there { to } else { 0 }) };
            for row in 0..plan.rows {
                let from = rows.line([image, y, 0], row).filter(|from| {
                    let end = from + shape.input[1] * shape.in_channels;
                    there && end <= self.x.len()
                });
                unsafe { entry.put_input(row, from) };
            }
        }
    }

    /// A part of a strip.
    ///
    /// # Safety
    ///
    /// As for [`run`](Self::run), with the strip's lines looked up.
    unsafe fn part(&self, strip: usize, p: usize) {
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
            most: plan.lines,
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
        let bands = (plan.strips * plan.strip).min(plan.bands * shape.batch);
        let bands = plan.strip.min(bands - strip * plan.strip);
        for first in (0..bands).step_by(copies) {
            walk.places = self.places(first, copies, &part);
            // Where no band has its last line.
            walk.lines = plan.lines;
            while walk.lines > 1 && walk.places[walk.lines - 1].mask == 0 {
                walk.lines -= 1;
            }
            for row in 0..plan.rows {
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

/// What is known of a band: how many output lines it has, where the first one
/// begins, and where each input line begins.
struct Entry(*mut usize);

impl Entry {
    /// Words in front of the input lines.
    const HEAD: usize = 2;

    /// # Safety
    ///
    /// There is such an entry, here and below, and it was written.
    unsafe fn get(&self) -> (usize, usize) {
        // SAFETY: the caller's promise, here and below.
        unsafe { (self.0.read(), self.0.wrapping_add(1).read()) }
    }

    /// # Safety
    ///
    /// As for [`get`](Self::get).
    unsafe fn input(&self, row: usize) -> Option<usize> {
        // SAFETY: as above.
        let from = unsafe { self.0.wrapping_add(Self::HEAD + row).read() };
        (from != OUTSIDE).then_some(from)
    }

    /// # Safety
    ///
    /// There is room for the entry, here and below.
    unsafe fn put(&self, lines: usize, to: usize) {
        // SAFETY: as above.
        unsafe {
            self.0.write(lines);
            self.0.wrapping_add(1).write(to);
        }
    }

    /// # Safety
    ///
    /// As for [`put`](Self::put).
    unsafe fn put_input(&self, row: usize, from: Option<usize>) {
        // SAFETY: as above.
        unsafe {
            self.0
                .wrapping_add(Self::HEAD + row)
                .write(from.unwrap_or(OUTSIDE));
        }
    }
}

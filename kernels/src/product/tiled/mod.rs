//! The product of every SIMD variant: decoded panels, and a tile of a few output
//! rows by a few blocks of outputs. What differs between instruction sets is a
//! [`Tile`]; this is the loop around it.
//!
//! ```text
//! for each strip of output rows:
//!     make the image of the input that it reads    // unless tiles read the input itself
//!     for each BLOCKS blocks of a group:
//!         decode their panels, if all stay in a cache together and these are missing
//!         for each chunk of k:
//!             decode the chunk's panels            // unless they are, or the first tile
//!                                                  // does so while it multiplies
//!             for each tile of ROWS rows: add the chunk's products
//!         epilogue
//! ```
//!
//! What a tile reads are *segments*: activations of a line of the kernel, or of
//! one tap, that follow each other. An output row begins at an address of its own;
//! how far its segments are from there is the same for all rows. That takes an
//! [`image`] of the input with zeros around it, unless the kernel never reaches
//! beyond the input. Copying it costs little beside the products, and brings the
//! activations into the form that a tile multiplies, or looks sums up in.
//!
//! A *piece* is what tasks take at a time: a strip, or some of the blocks of one
//! where a task's share has few strips. Its tiles are the same whoever takes it.
//!
//! A segment that is no multiple of a tile's `STEP` is read to the next multiple;
//! the weights there are 0.
//!
//! Zeros around the input are left out where that is simple: of a line of outputs the
//! segments that are beyond the input above or below, and by tiles that go row by row, or
//! whose [`strip`](Tile::strip) does so, the taps of a line's ends that are beyond it. Of a
//! 3x3 kernel that is 18% of the products of 7x7 outputs, and 5% of those of 28x28.

use self::plan::{Cursor, Plan};
use super::{Problem, Rows, Size, Split};
use crate::layout::BLOCK;
use crate::par::{Pieces, each_piece};
use crate::task_scratch::TaskScratch;
use crate::{Ctx, Invalid};
use core::ops::Range;

pub(crate) use tile::{Border, Chunk, Outputs, Part, Segments, Tile};

mod image;
mod plan;
mod tile;

/// Scratch bytes for this many threads; `usize::MAX` where that overflows.
pub(crate) fn scratch<T: Tile, R: Rows>(size: &Size, rows: &R, threads: usize) -> usize {
    Plan::new::<T, R>(size, rows, threads)
        .and_then(|plan| plan.task.checked_mul(plan.split.tasks))
        .unwrap_or(usize::MAX)
}

/// Computes the product; `Invalid` where scratch is too short or not aligned.
///
/// # Safety
///
/// The CPU has what `T` needs.
pub(crate) unsafe fn run<T: Tile, R: Rows>(
    ctx: &mut Ctx<'_>,
    problem: &Problem<'_, R>,
    x: &[T::X],
) -> Result<(), Invalid> {
    let threads = ctx.threads();
    let plan = Plan::new::<T, R>(&problem.size, &problem.rows, threads).ok_or(Invalid)?;
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
            let task: Task<'_, T, R> = Task {
                problem,
                plan: &plan,
                x,
                scratch: scratch.as_mut_ptr(),
            };
            // SAFETY: the caller's promise.
            unsafe { task.run(pieces) };
        },
    );
    Ok(())
}

/// The rows of the next tile of a strip of which so many are left. There are never
/// more tiles than with `ROWS` each.
#[inline(always)]
pub(crate) fn tile_rows<T: Tile>(left: usize) -> usize {
    if left.is_multiple_of(T::ROWS) || left < T::FEWER {
        left.min(T::ROWS)
    } else {
        T::FEWER.min(left)
    }
}

/// One task, with its scratch laid out as the plan says.
struct Task<'a, T: Tile, R> {
    problem: &'a Problem<'a, R>,
    plan: &'a Plan,
    x: &'a [T::X],
    scratch: *mut u8,
}

impl<T: Tile, R: Rows> Task<'_, T, R> {
    /// A part of scratch.
    fn part<P>(&self, at: usize) -> *mut P {
        // SAFETY: the plan's parts lie within scratch, at multiples of ALIGN.
        unsafe { self.scratch.add(at).cast() }
    }

    /// # Safety
    ///
    /// The CPU has what `T` needs.
    unsafe fn run(&self, pieces: &mut Pieces<'_>) {
        let plan = self.plan;
        for segment in 0..plan.segments {
            let offset = plan.offset(segment * plan.taps) * T::UNIT;
            // SAFETY: the part has room for every segment.
            unsafe { self.part::<usize>(plan.offsets).add(segment).write(offset) };
        }
        let mut cursor = Cursor::default();
        // The group whose panels are kept, and the strip that is there.
        let (mut kept, mut strip) = (None, None);
        for (share, piece) in pieces {
            cursor.go_to(plan, share, piece);
            let (units, rows) = (cursor.units.clone(), cursor.rows.clone());
            let (group, _) = self.problem.locate(units.start);
            if plan.kept && kept != Some(group) {
                // SAFETY: the part has room for every block of a group.
                unsafe { self.part::<bool>(plan.decoded).write_bytes(0, plan.blocks) };
                kept = Some(group);
            }
            if strip != Some((group, rows.clone())) {
                strip = None;
                // SAFETY: the caller's promise; the strip is one of the plan's.
                if !unsafe { self.strip(rows.clone(), group) } {
                    continue;
                }
                strip = Some((group, rows.clone()));
            }
            for tile in cursor.tiles.clone() {
                // SAFETY: the caller's promise; at most BLOCKS units of one group,
                // and the strip is there.
                unsafe { self.blocks(plan.tile(&units, tile), rows.clone()) };
            }
        }
    }

    /// Makes the pointers and sums of a strip of output rows for a group, and its
    /// image; false where the input is too short.
    ///
    /// # Safety
    ///
    /// As for [`run`](Self::run); the strip is one of the plan's.
    unsafe fn strip(&self, rows: Range<usize>, group: usize) -> bool {
        let plan = self.plan;
        // SAFETY: the caller's promise.
        let there = unsafe {
            if plan.direct {
                self.point(rows.clone(), group)
            } else {
                self.prepare(rows.clone(), group);
                true
            }
        };
        if !there {
            return false;
        }
        // SAFETY: these parts have room for a strip's rows, and as many more as a tile
        // has; the pointers were just written.
        unsafe {
            let last = self.pointer(rows.len() - 1).read();
            for row in rows.len()..rows.len() + T::ROWS {
                self.pointer(row).write(last);
            }
            let sums = self.part::<i32>(plan.row_sums);
            sums.write_bytes(0, rows.len());
            let sums = core::slice::from_raw_parts_mut(sums, rows.len());
            T::row_sums(&self.segments(rows, 0), sums);
        }
        true
    }

    /// The tiles of a strip; the first one has `first` rows at most, unless that is 0.
    fn tiles(&self, rows: Range<usize>, first: usize) -> impl Iterator<Item = Range<usize>> {
        let mut left = rows;
        let mut first = first.min(left.len());
        core::iter::from_fn(move || {
            let start = left.start;
            left.start += match core::mem::take(&mut first) {
                0 => tile_rows::<T>(left.len()),
                first => first,
            };
            (start < left.end).then_some(start..left.start)
        })
    }

    /// A strip of output rows for at most `BLOCKS` units, in chunks of k.
    ///
    /// # Safety
    ///
    /// As for [`run`](Self::run); the strip's pointers are there.
    unsafe fn blocks(&self, units: Range<usize>, rows: Range<usize>) {
        let (plan, size) = (self.plan, &self.problem.size);
        // Where kept panels are: each block's at its number in the group.
        let (_, block) = self.problem.locate(units.start);
        let kept = if plan.kept { block } else { 0 };
        if plan.kept {
            for (i, unit) in (kept..).zip(units.clone()) {
                // SAFETY: the caller's promise; there is a panel, and a byte that
                // `run` wrote, for each block of a group.
                unsafe {
                    let decoded = self.part::<bool>(plan.decoded).add(i);
                    if !decoded.replace(true) {
                        self.decode(unit, 0..plan.segments, 0, plan.len, i);
                    }
                }
            }
        }
        let [chunk_segments, chunk_len] = plan.chunk;
        let single = plan.chunk == [plan.segments, plan.len];
        // Segments that tap by tap are whole panels of packed weights.
        let panel_k = size.codec.panel().0;
        let whole = [size.matrix.channels, chunk_len].map(|len| len.is_multiple_of(panel_k));
        let decoding = match T::decodes(size.codec, units.len()) {
            Some(rows) if whole == [true; 2] && !plan.kept => rows,
            _ => 0,
        };
        let (first_output, _) = self.problem.outputs(units.start);
        let (last_output, outputs) = self.problem.outputs(units.end - 1);
        let outputs = first_output..last_output + outputs;
        // SAFETY: the caller's promise.
        let columns = unsafe { T::columns(&self.problem.finish, outputs) };
        for segment in (0..plan.segments).step_by(chunk_segments) {
            for from in (0..plan.len).step_by(chunk_len) {
                let count = chunk_segments.min(plan.segments - segment);
                let len = chunk_len.min(plan.len - from);
                let block = self.problem.block(units.start);
                let k = segment * plan.len + from;
                let (mut packed, packed_stride) = (core::ptr::null(), block.len());
                let (panels, stride) = if T::in_place(size.codec) {
                    let at = k / T::STEP * T::GROUP;
                    (block[at..].as_ptr().cast_mut(), block.len())
                } else {
                    if decoding > 0 {
                        packed = block[k / panel_k * size.codec.panel().1..].as_ptr();
                    } else if !plan.kept {
                        for (i, unit) in units.clone().enumerate() {
                            // SAFETY: the caller's promise; at most BLOCKS units.
                            unsafe { self.decode(unit, segment..segment + count, from, len, i) };
                        }
                    }
                    (self.part::<u8>(kept * plan.panel), plan.panel)
                };
                // Some rows' products with some of the chunk's segments.
                let chunk = |tile: &Range<usize>, of: Range<usize>, packed: *const u8| {
                    let row = tile.start - rows.start;
                    let mut segments = self.segments(tile.clone(), row);
                    segments.offsets = segments.offsets.wrapping_add(segment + of.start);
                    segments.border.segment = (segment + of.start) % segments.border.segments;
                    (segments.count, segments.len) = (of.len(), len);
                    segments.offset = from * T::UNIT;
                    let waiting = if single { 0 } else { row };
                    Chunk {
                        segments,
                        panels: panels.wrapping_add(of.start * len / T::STEP * T::GROUP),
                        stride,
                        packed,
                        packed_stride,
                        blocks: units.len(),
                        starts: self
                            .part::<[i32; BLOCK]>(plan.starts)
                            .wrapping_add(kept)
                            .cast(),
                        row_sums: self.part::<i32>(plan.row_sums).wrapping_add(row),
                        sums: self.part(plan.sums + waiting * T::BLOCKS * plan::SUMS),
                        first: segment == 0 && from == 0,
                        last: segment + count == plan.segments && from + len == plan.len,
                    }
                };
                // The first tile decodes, if one does.
                let mut decoding = decoding;
                for (band, of) in plan.bands(&rows) {
                    let of = if single || T::ROW_BY_ROW && len == plan.len {
                        let at = |bound: usize| bound.clamp(segment, segment + count) - segment;
                        at(of.start)..at(of.end)
                    } else {
                        0..count
                    };
                    for tile in self.tiles(band.clone(), core::mem::take(&mut decoding)) {
                        let packed = core::mem::replace(&mut packed, core::ptr::null());
                        let of = if packed.is_null() { &of } else { &(0..count) };
                        let chunk = chunk(&tile, of.clone(), packed);
                        // SAFETY: panels and segments were just made, or are to be; the
                        // promises of the caller.
                        unsafe {
                            let left = tile.start..band.end;
                            if single && packed.is_null() && T::strip(&chunk, &columns, left) {
                                break;
                            }
                            T::add(&chunk);
                            if chunk.last {
                                let k = plan.segments * plan.len;
                                T::finish(&columns, tile, chunk.sums.cast(), k);
                            }
                        }
                    }
                }
            }
        }
    }

    /// Decodes elements `from..from + len` of some segments of a unit to panel
    /// `panel`.
    ///
    /// # Safety
    ///
    /// As for [`run`](Self::run); there are that many panels.
    unsafe fn decode(
        &self,
        unit: usize,
        segments: Range<usize>,
        from: usize,
        len: usize,
        panel: usize,
    ) {
        let (plan, size) = (self.plan, &self.problem.size);
        let block = self.problem.block(unit);
        // Part of a segment is part of the channels of one tap.
        let end = size.matrix.channels.min(from + len);
        let channels = if len == plan.len {
            0..size.matrix.channels
        } else {
            from..end
        };
        let whole = plan.taps * size.matrix.channels == plan.len;
        // Segments that nothing fills up follow each other without gaps.
        let together = if whole { segments.len() } else { 1 };
        // SAFETY: the part has 16 for each panel, which nobody else has.
        let starts = unsafe { &mut *self.part::<[i32; BLOCK]>(plan.starts).add(panel) };
        *starts = [0; BLOCK];
        for first in segments.clone().step_by(together) {
            let part = Part {
                taps: first * plan.taps..(first + together) * plan.taps,
                channels: channels.clone(),
            };
            let at = panel * plan.panel + (first - segments.start) * len / T::STEP * T::GROUP;
            // SAFETY: the caller's promise.
            unsafe {
                T::decode(
                    size.codec,
                    &size.matrix,
                    block,
                    &part,
                    self.part(at),
                    starts,
                )
            };
        }
    }

    /// The whole segments of some rows, the first of which is row `row` of the strip that
    /// is there.
    fn segments(&self, rows: Range<usize>, row: usize) -> Segments {
        let width = self.plan.source.axes[1].outputs;
        Segments {
            pointers: self.pointer(row).cast_const(),
            offsets: self.part::<usize>(self.plan.offsets).cast_const(),
            count: self.plan.segments,
            offset: 0,
            len: self.plan.len,
            rows: rows.len(),
            border: Border {
                width,
                first: rows.start % width,
                ends: self.plan.ends,
                segments: self.plan.segments / self.plan.source.axes[0].kernel,
                segment: 0,
            },
        }
    }

    /// Points rows `row..row + count` of the strip to places of one line, from `first`
    /// on.
    ///
    /// # Safety
    ///
    /// The strip has these rows.
    unsafe fn point_at(&self, row: usize, count: usize, first: *const u8) {
        let [_, across] = self.plan.source.axes;
        let step = across.step * self.plan.steps[0] * T::UNIT;
        let pointers = self.pointer(row);
        for i in 0..count {
            // SAFETY: the part has room for every row of a strip.
            unsafe { pointers.add(i).write(first.wrapping_add(i * step)) };
        }
    }

    /// Where the pointer of a row of the strip lies.
    fn pointer(&self, row: usize) -> *mut *const u8 {
        self.part::<*const u8>(self.plan.pointers).wrapping_add(row)
    }

    /// Points into the input; tells whether all of it is there.
    ///
    /// # Safety
    ///
    /// As for [`run`](Self::run), with a plan that reads the input itself; the rows
    /// are a strip's.
    unsafe fn point(&self, rows: Range<usize>, group: usize) -> bool {
        let (plan, source) = (self.plan, &self.plan.source);
        let [down, across] = source.axes;
        let reach = plan.offset(self.problem.size.matrix.taps - 1) + source.channels;
        let start = self.x.as_ptr().cast::<u8>();
        let mut row = 0;
        for line in self.lines(rows) {
            let first = source.input_start(line.image, group)
                + line.number * down.step * plan.steps[1]
                + line.outputs.start * across.step * plan.steps[0];
            let last = first + (line.outputs.len() - 1) * across.step * plan.steps[0];
            if last.checked_add(reach).is_none_or(|end| end > self.x.len()) {
                return false;
            }
            let first = start.wrapping_add(first * T::UNIT);
            // SAFETY: these rows are the strip's.
            unsafe { self.point_at(row, line.outputs.len(), first) };
            row += line.outputs.len();
        }
        true
    }

    /// Makes the image of a strip and points into it.
    ///
    /// # Safety
    ///
    /// As for [`run`](Self::run), with a plan that needs an image; the rows are a
    /// strip's.
    unsafe fn prepare(&self, rows: Range<usize>, group: usize) {
        let (plan, source) = (self.plan, &self.plan.source);
        let [down, across] = source.axes;
        let start = self.part::<u8>(plan.image);
        // Of the image that lines are of: its number, how many lines are there, and
        // the place down that the next one is.
        let (mut image, mut done, mut next) = (usize::MAX, 0, 0);
        let mut row = 0;
        for line in self.lines(rows) {
            let top = line.number * down.step;
            if line.image != image {
                (image, next) = (line.image, top);
            }
            // Places that no output reads have room too.
            let left = line.outputs.start * across.step;
            let places = (line.outputs.len() - 1) * across.step + across.reach();
            (done, next) = (done + top.saturating_sub(next), next.max(top));
            while next < top + down.reach() {
                let mut at = done * plan.steps[1];
                source.line(
                    self.x,
                    [image, group],
                    next,
                    left..left + places,
                    |x, len| {
                        if (at + len) * T::UNIT <= plan.image_len {
                            // SAFETY: that lies within the image.
                            unsafe {
                                let to = start.add(at * T::UNIT);
                                match x {
                                    Some(x) => T::prepare(x, to),
                                    None => to.write_bytes(T::ZERO, len * T::UNIT),
                                }
                            }
                        }
                        at += len;
                    },
                );
                // What the last tap's tiles read beyond it meets weights of zero,
                // but is to have been written.
                if (at + T::STEP) * T::UNIT <= plan.image_len {
                    // SAFETY: that lies within the image.
                    unsafe {
                        start
                            .add(at * T::UNIT)
                            .write_bytes(T::ZERO, T::STEP * T::UNIT);
                    }
                }
                (done, next) = (done + 1, next + 1);
            }
            let first = (done - down.reach()) * plan.steps[1];
            let first = start.wrapping_add(first * T::UNIT);
            // SAFETY: these rows are the strip's.
            unsafe { self.point_at(row, line.outputs.len(), first) };
            row += line.outputs.len();
        }
    }

    /// The lines of output that some rows are of.
    fn lines(&self, rows: Range<usize>) -> impl Iterator<Item = Line> {
        let [height, width] = self.plan.source.axes.map(|axis| axis.outputs);
        let mut left = rows;
        core::iter::from_fn(move || {
            if left.is_empty() {
                return None;
            }
            let (line, x) = (left.start / width, left.start % width);
            let end = width.min(x + left.len());
            left.start += end - x;
            Some(Line {
                image: line / height,
                number: line % height,
                outputs: x..end,
            })
        })
    }
}

/// Some of the outputs of a line.
struct Line {
    image: usize,
    /// Of the line in its image.
    number: usize,
    outputs: Range<usize>,
}

//! The product of every SIMD variant: decoded panels, and a tile of a few output
//! rows by a few blocks of outputs. What differs between instruction sets is a
//! [`Tile`]; this is the loop around it.
//!
//! ```text
//! for each strip of output rows:
//!     find the input of every tap and row      // or gather it, or make tables of it
//!     for each BLOCKS blocks of a group:
//!         for each chunk of k:                 // so that panels stay in the first-level cache
//!             decode the chunk's panels
//!             for each tile of ROWS rows: add the chunk's products
//!         epilogue
//! ```
//!
//! What a tile reads are *segments*: for every row a pointer to `len` activations
//! of one tap, or, where rows are gathered, to all of them. Rows are gathered
//! where channels are no multiple of a tile's `STEP`, or so few that a tap is not
//! worth a loop, or where a tile multiplies another type than the input's. A tap
//! outside of the input points to zeros.
//!
//! A tile that looks sums up instead of multiplying ([`Tile::TABLES`]) gets
//! tables of the input's activations, `UNIT` bytes for each, made once a strip.

use super::{Problem, Rows, Size, Split};
use crate::epilogue::Finish;
use crate::layout::BLOCK;
use crate::par::{SCRATCH_ALIGN, Shared, each_once};
use crate::{Codec, Ctx, Matrix};
use core::ops::Range;

/// Panels of a chunk stay below this, so that they and the rows they meet fit a
/// small first-level cache.
const PANEL_BUDGET: usize = 18 << 10;
/// Rows of a strip, and gathered rows' and tables' bytes, at most; one tile is
/// always possible. Panels of gathered rows take long to decode and serve more.
const STRIP_ROWS: usize = 192;
const GATHERED_ROWS: usize = 1024;
const GATHER_BUDGET: usize = 128 << 10;
const TABLE_BUDGET: usize = 128 << 10;
/// Rows of a strip whose sums wait for further chunks.
const WAITING_ROWS: usize = 48;
/// Fewer channels than this are gathered where there is more than one tap.
const MIN_SEGMENT: usize = 16;
/// Bytes that a tile keeps of the sums of a row and a block.
const SUMS: usize = 4 * BLOCK;
/// Every part of scratch starts at a multiple of this.
const ALIGN: usize = SCRATCH_ALIGN;

/// What one instruction set does with one kind of activations and weights.
pub(crate) trait Tile {
    /// Elements of the input.
    type X: Copy + Sync;
    /// Elements of gathered rows.
    type Row: Copy + Default;

    /// Output rows of a tile.
    const ROWS: usize;
    /// Blocks of 16 outputs of a tile.
    const BLOCKS: usize;
    /// k values of a group.
    const STEP: usize;
    /// Bytes of a group of 16 outputs in a panel.
    const GROUP: usize;
    /// Bytes of an activation in what segments point to.
    const UNIT: usize;
    /// Whether segments point to tables that [`tables`](Self::tables) makes.
    const TABLES: bool = false;
    /// Whether rows are gathered whatever the channels are.
    const GATHER: bool = false;
    /// The byte of which zeros consist.
    const ZERO: u8 = 0;

    /// Whether blocks of this codec are panels already.
    fn in_place(_: Codec) -> bool {
        false
    }

    /// Converts a run of the input; both have the same length.
    fn gather(x: &[Self::X], row: &mut [Self::Row]);

    /// Makes the tables of `x`, `UNIT` bytes for each element.
    ///
    /// # Safety
    ///
    /// The CPU has what the variant needs; `x` is as long as a multiple of
    /// `STEP` and `tables` has room.
    unsafe fn tables(_x: &[Self::X], _tables: *mut u8) {}

    /// Decodes some taps and some channels of a block to a panel: `taps *
    /// channels` values of k without filler between taps, rounded up to `STEP`.
    /// What lies in the rounding is undefined where activations are zero there.
    ///
    /// # Safety
    ///
    /// The CPU has what the variant needs; `block` is a block of the array,
    /// `part` lies in it, its channels begin at a multiple of 16, and `panel`
    /// has room.
    unsafe fn decode(codec: Codec, matrix: &Matrix, block: &[u8], part: &Part, panel: *mut u8);

    /// What [`add`](Self::add) needs to know of each row's activations, for a
    /// whole segment list.
    ///
    /// # Safety
    ///
    /// The CPU has what the variant needs; `segments` hold what they say.
    unsafe fn row_sums(_segments: &Segments, _sums: &mut [i32]) {}

    /// Adds a chunk's products to the sums of a tile.
    ///
    /// # Safety
    ///
    /// The CPU has what the variant needs; everything in `chunk` is as it says.
    unsafe fn add(chunk: &Chunk<'_>);

    /// Computes all rows of a strip at once, epilogue included, where the tile has
    /// a faster way than [`add`](Self::add) and [`finish`](Self::finish) one after
    /// the other; otherwise does nothing and returns false. `chunk` is that of the
    /// strip's first tile, first and last of its product; the segments of the
    /// next tile follow `segments * ROWS` pointers further on, its row sums
    /// `ROWS` further on.
    ///
    /// # Safety
    ///
    /// As for [`add`](Self::add) and [`finish`](Self::finish).
    unsafe fn strip(
        _chunk: &Chunk<'_>,
        _finish: &Finish<'_>,
        _rows: Range<usize>,
        _outputs: Range<usize>,
    ) -> bool {
        false
    }

    /// The epilogue of `rows` x `outputs`; `sums` has rows of `BLOCKS * 16` of
    /// what [`add`](Self::add) leaves after the last chunk.
    ///
    /// # Safety
    ///
    /// The CPU has what the variant needs; no other task has these elements.
    unsafe fn finish(
        finish: &Finish<'_>,
        rows: Range<usize>,
        outputs: Range<usize>,
        sums: *mut f32,
    );
}

/// Some of a block's weights.
pub(crate) struct Part {
    pub(crate) taps: Range<usize>,
    pub(crate) channels: Range<usize>,
}

/// The activations of a tile's rows.
#[derive(Clone, Copy)]
pub(crate) struct Segments {
    /// `[segment][ROWS]`, of which the first `rows` are used.
    pub(crate) pointers: *const *const u8,
    /// How many segments.
    pub(crate) count: usize,
    /// Where in each segment to begin, in bytes.
    pub(crate) offset: usize,
    /// Activations of each from there, a multiple of `STEP`.
    pub(crate) len: usize,
    /// Rows.
    pub(crate) rows: usize,
}

impl Segments {
    /// The rows of one segment.
    ///
    /// # Safety
    ///
    /// `segment` is below `count`, `R` at most `ROWS`, and the pointers of `R`
    /// rows were written.
    #[inline(always)]
    pub(crate) unsafe fn get<const R: usize, const ROWS: usize>(
        &self,
        segment: usize,
    ) -> [*const u8; R] {
        // SAFETY: ROWS pointers a segment.
        core::array::from_fn(|r| unsafe {
            (*self.pointers.add(segment * ROWS + r)).wrapping_add(self.offset)
        })
    }
}

/// What a tile adds up in one call.
pub(crate) struct Chunk<'a> {
    pub(crate) segments: Segments,
    /// The first block's panel, and the bytes from one block's to the next's.
    pub(crate) panels: *const u8,
    pub(crate) stride: usize,
    /// Blocks, at most `BLOCKS`.
    pub(crate) blocks: usize,
    /// Of each row.
    pub(crate) row_sums: &'a [i32],
    /// `ROWS * BLOCKS` times 64 bytes: what a tile likes between chunks, and
    /// after the last one `[rows][BLOCKS * 16]` sums as its `finish` takes them.
    pub(crate) sums: *mut u8,
    /// Whether this is the first chunk: `sums` are undefined.
    pub(crate) first: bool,
    /// Whether this is the last chunk.
    pub(crate) last: bool,
}

/// How a product runs, and where the parts of a task's scratch begin.
#[derive(Clone, Copy, Debug)]
struct Plan {
    split: Split,
    gather: bool,
    segments: usize,
    /// Elements of a segment, a multiple of `STEP`.
    len: usize,
    /// Segments of a chunk, and elements of each: either all segments' lengths
    /// or a single segment's part.
    chunk: [usize; 2],
    /// Rows of a strip, a multiple of `ROWS`.
    strip: usize,
    /// Bytes of a block's decoded panel of a chunk.
    panel: usize,
    sums: usize,
    pointers: usize,
    row_sums: usize,
    offsets: usize,
    rows: usize,
    tables: usize,
    /// Elements that the tables have room for.
    table_elements: usize,
    /// Bytes of a task's scratch.
    task: usize,
}

/// Appends a part of `count * each` bytes to scratch; tells where it begins.
fn part(end: &mut usize, count: usize, each: usize) -> Option<usize> {
    let start = *end;
    *end = count
        .checked_mul(each)?
        .checked_add(start)?
        .checked_next_multiple_of(ALIGN)?;
    Some(start)
}

impl Plan {
    /// `None` where the scratch's size overflows.
    fn new<T: Tile, R: Rows>(size: &Size, rows: &R, threads: usize) -> Option<Plan> {
        let Matrix { taps, channels, .. } = size.matrix;
        let split = Split::new(size, threads, T::ROWS);
        let gather = T::GATHER
            || !channels.is_multiple_of(T::STEP)
            || !T::TABLES && taps > 1 && channels < MIN_SEGMENT;
        let (segments, len) = if gather {
            let len = taps.checked_mul(channels)?;
            (1, len.checked_next_multiple_of(T::STEP)?)
        } else {
            (taps, channels)
        };
        let blocks = T::BLOCKS.min(size.matrix.blocks());
        // Elements of k whose panels fit the budget, in whole steps of 16.
        let fitting = PANEL_BUDGET * T::STEP / (T::GROUP * blocks);
        let chunk = match fitting / len {
            _ if gather => [1, len],
            0 => [1, len.min((fitting / BLOCK).max(1) * BLOCK)],
            whole => {
                // As many chunks as that takes, but of like size.
                let chunks = segments.div_ceil(whole);
                [segments.div_ceil(chunks), len]
            }
        };
        let single = chunk == [segments, len];
        let row = len.checked_mul(size_of::<T::Row>())?;
        let mut strip = if single { STRIP_ROWS } else { WAITING_ROWS };
        if gather {
            strip = GATHERED_ROWS.min(GATHER_BUDGET / row.max(1));
        }
        if T::TABLES {
            let fits = |strip| rows.span(strip).saturating_mul(T::UNIT) <= TABLE_BUDGET;
            while strip > T::ROWS && !fits(strip) {
                strip /= 2;
            }
        }
        strip = (strip / T::ROWS).max(1) * T::ROWS;
        let panel = (chunk[0].checked_mul(chunk[1])? / T::STEP).checked_mul(T::GROUP)?;
        let panels = if T::in_place(size.codec) { 0 } else { panel };

        let mut end = 0;
        part(&mut end, panels, blocks)?;
        let waiting = if single { T::ROWS } else { strip };
        let sums = part(&mut end, waiting, T::BLOCKS * SUMS)?;
        let pointers = part(
            &mut end,
            segments.checked_mul(strip)?,
            size_of::<*const u8>(),
        )?;
        let row_sums = part(&mut end, strip, size_of::<i32>())?;
        let offsets = part(&mut end, segments, size_of::<usize>())?;
        let gathered = if gather { row.checked_mul(strip)? } else { 0 };
        let zeros = if gather { 0 } else { len };
        let rows_at = part(&mut end, gathered.max(zeros.checked_mul(T::UNIT)?), 1)?;
        let table_elements = if T::TABLES { rows.span(strip) } else { 0 };
        let tables = part(&mut end, table_elements, T::UNIT)?;
        Some(Plan {
            split,
            gather,
            segments,
            len,
            chunk,
            strip,
            panel,
            sums,
            pointers,
            row_sums,
            offsets,
            rows: rows_at,
            tables,
            table_elements,
            task: end,
        })
    }
}

/// Scratch bytes for this many threads; `usize::MAX` where that overflows.
pub(crate) fn scratch<T: Tile, R: Rows>(size: &Size, rows: &R, threads: usize) -> usize {
    Plan::new::<T, R>(size, rows, threads)
        .and_then(|plan| plan.task.checked_mul(plan.split.tasks))
        .unwrap_or(usize::MAX)
}

/// Computes the product.
///
/// # Safety
///
/// The CPU has what `T` needs.
pub(crate) unsafe fn run<T: Tile, R: Rows>(
    ctx: &mut Ctx<'_>,
    problem: &Problem<'_, R>,
    x: &[T::X],
) {
    let Some(plan) = Plan::new::<T, R>(&problem.size, &problem.rows, ctx.threads()) else {
        return;
    };
    let scratch = Shared::new(&mut *ctx.scratch);
    each_once(ctx.par, plan.split.tasks, &|i| {
        // SAFETY: every task has a range of its own, and `each_once` runs a task
        // no more than once.
        let scratch = unsafe { scratch.part(i * plan.task..(i + 1) * plan.task) };
        if scratch.len() < plan.task || !scratch.as_ptr().addr().is_multiple_of(ALIGN) {
            return;
        }
        let task: Task<'_, T, R> = Task {
            problem,
            plan: &plan,
            x,
            scratch: scratch.as_mut_ptr(),
        };
        let (units, rows) = plan.split.share(i);
        // SAFETY: the caller's promise.
        unsafe { task.run(units, rows) };
    });
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
    unsafe fn run(&self, units: Range<usize>, rows: Range<usize>) {
        let blocks = self.problem.size.matrix.blocks();
        if !self.plan.gather {
            // SAFETY: the part has room for a segment of zeros.
            unsafe {
                self.part::<u8>(self.plan.rows)
                    .write_bytes(T::ZERO, self.plan.len * T::UNIT);
            }
        }
        let mut first = units.start;
        while first < units.end {
            let end = ((first / blocks + 1) * blocks).min(units.end);
            for from in rows.clone().step_by(self.plan.strip) {
                let strip = from..rows.end.min(from + self.plan.strip);
                // SAFETY: the caller's promise; the units are of one group and
                // the strip is no longer than the plan's.
                unsafe { self.strip(first..end, strip) };
            }
            first = end;
        }
    }

    /// A strip of output rows for units of one group.
    ///
    /// # Safety
    ///
    /// As for [`run`](Self::run).
    unsafe fn strip(&self, units: Range<usize>, rows: Range<usize>) {
        let (plan, size) = (self.plan, &self.problem.size);
        let (group, _) = self.problem.locate(units.start);
        let channel = group * size.matrix.channels;
        if plan.gather {
            self.gather(rows.clone(), channel);
        } else {
            // SAFETY: the caller's promise.
            unsafe { self.point(rows.clone(), channel) };
        }
        for (i, first) in rows.clone().step_by(T::ROWS).enumerate() {
            let segments = self.segments(i, T::ROWS.min(rows.end - first));
            // SAFETY: the part has `strip` sums, of which these are the tile's;
            // the pointers were just written.
            unsafe {
                let sums = self.part::<i32>(plan.row_sums).add(i * T::ROWS);
                sums.write_bytes(0, T::ROWS);
                T::row_sums(&segments, core::slice::from_raw_parts_mut(sums, T::ROWS));
            }
        }
        // As many tiles of blocks as that takes, but of like size.
        let groups = units.len().div_ceil(T::BLOCKS);
        for g in 0..groups {
            let at = |g: usize| units.start + units.len() * g / groups;
            // SAFETY: the caller's promise; at most BLOCKS units.
            unsafe { self.blocks(at(g)..at(g + 1), rows.clone()) };
        }
    }

    /// A strip of output rows for at most `BLOCKS` units, in chunks of k.
    ///
    /// # Safety
    ///
    /// As for [`run`](Self::run); the strip's segments are there.
    unsafe fn blocks(&self, units: Range<usize>, rows: Range<usize>) {
        let (plan, size) = (self.plan, &self.problem.size);
        let [chunk_segments, chunk_len] = plan.chunk;
        let single = plan.chunk == [plan.segments, plan.len];
        let (first_output, _) = self.problem.outputs(units.start);
        let (last_output, outputs) = self.problem.outputs(units.end - 1);
        let outputs = first_output..last_output + outputs;
        for segment in (0..plan.segments).step_by(chunk_segments) {
            for from in (0..plan.len).step_by(chunk_len) {
                let count = chunk_segments.min(plan.segments - segment);
                let len = chunk_len.min(plan.len - from);
                let (panels, stride) = if T::in_place(size.codec) {
                    let at = (segment * plan.len + from) / T::STEP * T::GROUP;
                    let block = self.problem.block(units.start);
                    (block[at..].as_ptr(), block.len())
                } else {
                    let part = if plan.gather {
                        Part {
                            taps: 0..size.matrix.taps,
                            channels: 0..size.matrix.channels,
                        }
                    } else {
                        Part {
                            taps: segment..segment + count,
                            channels: from..from + len,
                        }
                    };
                    for (i, unit) in units.clone().enumerate() {
                        let block = self.problem.block(unit);
                        // SAFETY: the part has room for BLOCKS panels.
                        unsafe {
                            let panel = self.part::<u8>(0).add(i * plan.panel);
                            T::decode(size.codec, &size.matrix, block, &part, panel);
                        }
                    }
                    (self.part::<u8>(0).cast_const(), plan.panel)
                };
                let last = segment + count == plan.segments && from + len == plan.len;
                if single {
                    // SAFETY: panels and segments were just made.
                    let done = unsafe {
                        let row_sums = self.part::<i32>(plan.row_sums);
                        let all = rows.len().next_multiple_of(T::ROWS);
                        let chunk = Chunk {
                            segments: self.segments(0, T::ROWS.min(rows.len())),
                            panels,
                            stride,
                            blocks: units.len(),
                            row_sums: core::slice::from_raw_parts(row_sums, all),
                            sums: self.part(plan.sums),
                            first: true,
                            last: true,
                        };
                        let finish = &self.problem.finish;
                        T::strip(&chunk, finish, rows.clone(), outputs.clone())
                    };
                    if done {
                        continue;
                    }
                }
                for (i, first) in rows.clone().step_by(T::ROWS).enumerate() {
                    let tile_rows = T::ROWS.min(rows.end - first);
                    let waiting = if single { 0 } else { i };
                    let sums = plan.sums + waiting * T::ROWS * T::BLOCKS * SUMS;
                    let mut segments = self.segments(i, tile_rows);
                    // SAFETY: the segment is below the plan's.
                    segments.pointers = unsafe { segments.pointers.add(segment * T::ROWS) };
                    (segments.count, segments.len) = (count, len);
                    segments.offset = from * T::UNIT;
                    // SAFETY: panels and segments were just made; sums have room
                    // for every tile that waits.
                    unsafe {
                        let row_sums = self.part::<i32>(plan.row_sums).add(i * T::ROWS);
                        T::add(&Chunk {
                            segments,
                            panels,
                            stride,
                            blocks: units.len(),
                            row_sums: core::slice::from_raw_parts(row_sums, T::ROWS),
                            sums: self.part(sums),
                            first: segment == 0 && from == 0,
                            last,
                        });
                        if last {
                            let rows = first..first + tile_rows;
                            let finish = &self.problem.finish;
                            T::finish(finish, rows, outputs.clone(), self.part(sums));
                        }
                    }
                }
            }
        }
    }

    /// The whole segments of tile `i` of a strip.
    fn segments(&self, i: usize, rows: usize) -> Segments {
        let pointers = self.part::<*const u8>(self.plan.pointers).cast_const();
        Segments {
            pointers: pointers.wrapping_add(i * self.plan.segments * T::ROWS),
            count: self.plan.segments,
            offset: 0,
            len: self.plan.len,
            rows,
        }
    }

    /// Where the pointer of a row of the strip lies.
    fn pointer(&self, row: usize, segment: usize) -> *mut *const u8 {
        let tile = row / T::ROWS * self.plan.segments + segment;
        self.part::<*const u8>(self.plan.pointers)
            .wrapping_add(tile * T::ROWS + row % T::ROWS)
    }

    /// Points at the taps of a strip's rows, in the input or in tables of it.
    ///
    /// # Safety
    ///
    /// As for [`run`](Self::run), not gathering; at most `strip` rows.
    unsafe fn point(&self, rows: Range<usize>, channel: usize) {
        let (plan, count) = (self.plan, rows.len());
        let source = &self.problem.rows;
        let [height, width] = source.kernel();
        let taps = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
        let reach = source.offset(height - 1, width - 1) + plan.len;
        // Where a tap that may lie outside reads.
        let tap = |position: [usize; 3], (y, x): (usize, usize)| {
            let line = source.line(position, y)?;
            Some(source.source(line, position, x)? + channel)
        };
        let zeros = self.part::<u8>(plan.rows).cast_const();
        let (mut base, mut inside) = (self.x.as_ptr().cast::<u8>(), 0..self.x.len());
        if T::TABLES {
            let (mut low, mut high) = (usize::MAX, 0);
            let mut position = source.position(rows.start);
            for _ in 0..count {
                if let Some(first) = source.interior(position) {
                    low = low.min(first + channel);
                    high = high.max(first + channel + reach);
                } else {
                    for at in taps.clone().filter_map(|t| tap(position, t)) {
                        (low, high) = (low.min(at), high.max(at + plan.len));
                    }
                }
                position = source.after(position);
            }
            let end = high.min(low.saturating_add(plan.table_elements));
            let x = self.x.get(low..end).unwrap_or(&[]);
            // Whole steps: segments are, and what lies between them does not matter.
            let x = &x[..x.len() / T::STEP * T::STEP];
            let tables = self.part::<u8>(plan.tables);
            // SAFETY: the caller's promise; x is no longer than the part's room.
            unsafe { T::tables(x, tables) };
            (base, inside) = (tables.cast_const(), low..low.saturating_add(x.len()));
        }
        let offsets = self.part::<usize>(plan.offsets);
        for (i, (y, x)) in taps.clone().enumerate() {
            // SAFETY: the part has room for every tap.
            unsafe { offsets.add(i).write(source.offset(y, x) * T::UNIT) };
        }
        let mut position = source.position(rows.start);
        for row in 0..count {
            let mut place = self.pointer(row, 0);
            let first = source.interior(position).map(|first| first + channel);
            match first.filter(|at| *at >= inside.start && at + reach <= inside.end) {
                Some(first) => {
                    let first = base.wrapping_add((first - inside.start) * T::UNIT);
                    for segment in 0..plan.segments {
                        // SAFETY: the offsets were just written, and the part has
                        // room for every row of a strip.
                        unsafe { place.write(first.wrapping_add(*offsets.add(segment))) };
                        place = place.wrapping_add(T::ROWS);
                    }
                }
                None => {
                    for at in taps.clone().map(|t| tap(position, t)) {
                        let at = at.filter(|at| {
                            *at >= inside.start && at.saturating_add(plan.len) <= inside.end
                        });
                        let pointer =
                            at.map_or(zeros, |at| base.wrapping_add((at - inside.start) * T::UNIT));
                        // SAFETY: as above.
                        unsafe { place.write(pointer) };
                        place = place.wrapping_add(T::ROWS);
                    }
                }
            }
            position = source.after(position);
        }
    }

    /// Copies the input of a strip's rows, and stores their pointers.
    fn gather(&self, rows: Range<usize>, channel: usize) {
        let (plan, channels) = (self.plan, self.problem.size.matrix.channels);
        let source = &self.problem.rows;
        let [height, width] = source.kernel();
        // Elements of a kernel line that follow each other in the input.
        let together = width == 1 || source.offset(0, 1) == channels;
        let mut position = source.position(rows.start);
        for row in 0..rows.len() {
            let start = self.part::<T::Row>(plan.rows).wrapping_add(row * plan.len);
            // SAFETY: the part has room for a strip's rows, and nobody else has
            // scratch; zeros are elements.
            let gathered = unsafe {
                start.write_bytes(0, plan.len);
                core::slice::from_raw_parts_mut(start, plan.len)
            };
            // SAFETY: the part has room for every row of a strip.
            unsafe { self.pointer(row, 0).write(start.cast_const().cast()) };
            let interior = source.interior(position).filter(|_| together);
            for y in 0..height {
                let to = y * width * channels;
                if let Some(first) = interior {
                    let from = first + channel + source.offset(y, 0);
                    copy::<T>(self.x, from, gathered, to, width * channels);
                } else if let Some(line) = source.line(position, y) {
                    for x in 0..width {
                        if let Some(from) = source.source(line, position, x) {
                            let to = to + x * channels;
                            copy::<T>(self.x, from + channel, gathered, to, channels);
                        }
                    }
                }
            }
            position = source.after(position);
        }
    }
}

/// Gathers `x[from..from + len]` to `row[to..]`; nothing where that leaves either.
#[inline(always)]
fn copy<T: Tile>(x: &[T::X], from: usize, row: &mut [T::Row], to: usize, len: usize) {
    let x = x.get(from..).and_then(|x| x.get(..len));
    let row = row.get_mut(to..).and_then(|row| row.get_mut(..len));
    if let (Some(x), Some(row)) = (x, row) {
        T::gather(x, row);
    }
}

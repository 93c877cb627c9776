//! gemm and conv2d on AVX2.
//!
//! ```text
//! for each span of blocks whose panels fit PANEL_BUDGET:
//!     decode the span's blocks into scratch            // f32 weights are used in place
//!     for each tile of 6 output rows:
//!         point at the input of every tap and row      // or gather it
//!         for each block of the span:
//!             6 x 16 sums, epilogue
//! ```
//!
//! Scratch of a task: the span's panels, the pointers, and either a row of
//! zeros that stands for taps outside of the input, or the tile's gathered rows.
//! Rows are gathered, all taps one after the other, where channels are no
//! multiple of the panel's `STEP`, or so few that a tap is not worth a loop.

use super::panel::{decode, form};
use super::tile::{Segments, Sums, TILE, Tile};
use crate::layout::BLOCK;
use crate::par::{SCRATCH_ALIGN, Shared, each_once};
use crate::product::{Problem, Rows, Size, Split};
use crate::{Codec, Ctx, View};
use core::ops::Range;

/// Decoded panels of a task stay below this, one block excepted: half of a
/// small second-level cache.
const PANEL_BUDGET: usize = 128 << 10;
/// Fewer channels than this are gathered where there is more than one tap.
const MIN_SEGMENT: usize = 16;
/// Every part of scratch starts at a multiple of this.
const ALIGN: usize = SCRATCH_ALIGN;

/// How a product runs, and where the parts of a task's scratch begin.
#[derive(Clone, Copy, Debug)]
struct Plan {
    split: Split,
    gather: bool,
    segments: usize,
    /// Elements of a segment, a multiple of the panel's `STEP`.
    len: usize,
    /// Bytes of a decoded panel; 0 for weights that are used in place.
    panel: usize,
    /// Blocks that are decoded together.
    span: usize,
    pointers: usize,
    rows: usize,
    /// Bytes of a task's scratch.
    task: usize,
}

impl Plan {
    /// `None` where the scratch's size overflows.
    fn new(size: &Size, threads: usize) -> Option<Plan> {
        let (step, weight) = form(size.x);
        let (taps, channels) = (size.matrix.taps, size.matrix.channels);
        let split = Split::new(size, threads, TILE);
        let gather = !channels.is_multiple_of(step) || taps > 1 && channels < MIN_SEGMENT;
        let (segments, len) = if gather {
            (1, (taps * channels).checked_next_multiple_of(step)?)
        } else {
            (taps, channels)
        };
        let panel = match size.codec {
            Codec::F32 => 0,
            _ => segments.checked_mul(len)?.checked_mul(BLOCK * weight)?,
        };
        let fitting = PANEL_BUDGET.checked_div(panel).unwrap_or(usize::MAX);
        let span = fitting
            .min(size.matrix.blocks())
            .min(split.units_per_task())
            .max(1);
        let pointers = panel.checked_mul(span)?.checked_next_multiple_of(ALIGN)?;
        let pointers_len = segments.checked_mul(TILE * size_of::<*const u8>())?;
        let rows = pointers
            .checked_add(pointers_len)?
            .checked_next_multiple_of(ALIGN)?;
        let row = len.checked_mul(size.x.size())?;
        let rows_len = if gather { row.checked_mul(TILE)? } else { row };
        let task = rows
            .checked_add(rows_len)?
            .checked_next_multiple_of(ALIGN)?;
        Some(Plan {
            split,
            gather,
            segments,
            len,
            panel,
            span,
            pointers,
            rows,
            task,
        })
    }
}

/// Scratch bytes for this many threads; `usize::MAX` where that overflows.
pub(crate) fn scratch(size: &Size, threads: usize) -> usize {
    Plan::new(size, threads)
        .and_then(|plan| plan.task.checked_mul(plan.split.tasks))
        .unwrap_or(usize::MAX)
}

/// Computes the product.
///
/// # Safety
///
/// The CPU has [`Caps::AVX2`](crate::Caps::AVX2).
pub(crate) unsafe fn run<R: Rows>(ctx: &mut Ctx<'_>, problem: &Problem<'_, R>) {
    if problem.size.codec == Codec::I8 {
        return crate::product::scalar::run(ctx, problem);
    }
    // SAFETY: the caller's promise.
    unsafe {
        match problem.x {
            View::F32(x) => run_typed(ctx, problem, x),
            View::I16(x) => run_typed(ctx, problem, x),
            View::I8(x) => run_typed(ctx, problem, x),
            _ => {}
        }
    }
}

/// # Safety
///
/// As for [`run`].
unsafe fn run_typed<T: Tile + Default, R: Rows>(
    ctx: &mut Ctx<'_>,
    problem: &Problem<'_, R>,
    x: &[T],
) {
    let Some(plan) = Plan::new(&problem.size, ctx.threads()) else {
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
        let task = Task {
            problem,
            plan: &plan,
            x,
            panels: scratch.as_mut_ptr(),
            // SAFETY: the parts lie within a task's scratch, at multiples of
            // ALIGN, which is enough for pointers and elements.
            pointers: unsafe { scratch.as_mut_ptr().add(plan.pointers).cast() },
            // SAFETY: as above.
            rows: unsafe { scratch.as_mut_ptr().add(plan.rows).cast() },
        };
        let (units, rows) = plan.split.share(i);
        // SAFETY: the caller's promise.
        unsafe { task.run(units, rows) };
    });
}

/// One task; the pointers are the parts of its scratch.
struct Task<'a, T, R> {
    problem: &'a Problem<'a, R>,
    plan: &'a Plan,
    x: &'a [T],
    /// `[span]` panels.
    panels: *mut u8,
    /// `[segments][TILE]`.
    pointers: *mut *const T,
    /// `[TILE][len]` when gathering, otherwise `[len]` zeros.
    rows: *mut T,
}

impl<T: Tile + Default, R: Rows> Task<'_, T, R> {
    /// # Safety
    ///
    /// The CPU has AVX2, FMA and F16C.
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn run(&self, units: Range<usize>, rows: Range<usize>) {
        let blocks = self.problem.size.matrix.blocks();
        if !self.plan.gather {
            for i in 0..self.plan.len {
                // SAFETY: `rows` has len elements.
                unsafe { self.rows.add(i).write(T::default()) };
            }
        }
        let mut first = units.start;
        while first < units.end {
            let end_of_group = (first / blocks + 1) * blocks;
            let end = (first + self.plan.span).min(end_of_group).min(units.end);
            // SAFETY: the caller's promise; the span is at most plan.span units
            // of one group.
            unsafe { self.span(first..end, rows.clone()) };
            first = end;
        }
    }

    /// All output rows for a span of units.
    ///
    /// # Safety
    ///
    /// As for [`run`](Self::run); at most `span` units of one group.
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn span(&self, units: Range<usize>, rows: Range<usize>) {
        let size = &self.problem.size;
        let panel = |unit: usize| {
            // SAFETY: the span's panels lie in scratch.
            unsafe { self.panels.add((unit - units.start) * self.plan.panel) }
        };
        for unit in units.clone() {
            let block = self.problem.block(unit);
            // SAFETY: a panel has room for segments * len k.
            unsafe { decode::<T>(size.codec, &size.matrix, block, panel(unit)) };
        }
        let (group, _) = self.problem.locate(units.start);
        for first in rows.clone().step_by(TILE) {
            let count = TILE.min(rows.end - first);
            // SAFETY: the pointers' part has room; sources are checked there.
            let segments = unsafe { self.point(first, count, group * size.matrix.channels) };
            // SAFETY: `point` made the rows.
            let row_sums = unsafe { T::row_sums(&segments, count) };
            for unit in units.clone() {
                let panel: *const u8 = match size.codec {
                    Codec::F32 => self.problem.block(unit).as_ptr(),
                    _ => panel(unit),
                };
                let mut sums: Sums = [[0.0; BLOCK]; TILE];
                // SAFETY: the panel was decoded, `point` made the rows.
                unsafe { T::tile_of(count, &segments, panel, &row_sums, &mut sums) };
                let (first_output, outputs) = self.problem.outputs(unit);
                for (r, sums) in sums.iter_mut().enumerate().take(count) {
                    let sums = &mut sums[..outputs];
                    // SAFETY: tasks have disjoint units or disjoint rows.
                    unsafe { self.problem.finish.x86_avx2(first + r, first_output, sums) };
                }
            }
        }
    }

    /// The input of `count` output rows from `first` on, with `channel` the
    /// group's first.
    ///
    /// # Safety
    ///
    /// `count` is at most [`TILE`]; the parts of scratch are as [`Plan`] says.
    #[inline(always)]
    unsafe fn point(&self, first: usize, count: usize, channel: usize) -> Segments<T> {
        for r in 0..count {
            // SAFETY: the caller's promises.
            unsafe {
                if self.plan.gather {
                    self.gather(first + r, r, channel);
                } else {
                    self.point_at_taps(first + r, r, channel);
                }
            }
        }
        Segments {
            rows: self.pointers,
            segments: self.plan.segments,
            len: self.plan.len,
        }
    }

    /// Stores the pointers of tile row `r`.
    ///
    /// # Safety
    ///
    /// As for [`point`](Self::point), not gathering; `r` is below [`TILE`].
    #[inline(always)]
    unsafe fn point_at_taps(&self, row: usize, r: usize, channel: usize) {
        let (rows, channels) = (&self.problem.rows, self.plan.len);
        let [height, width] = rows.kernel();
        let position = rows.position(row);
        let mut pointer = self.pointers.wrapping_add(r);
        for y in 0..height {
            let line = rows.line(position, y);
            for x in 0..width {
                let source = line
                    .and_then(|line| rows.source(line, position, x))
                    .and_then(|at| self.x.get(at + channel..)?.get(..channels));
                let source = source.map_or(self.rows.cast_const(), <[T]>::as_ptr);
                // SAFETY: a segment for each tap has TILE pointers.
                unsafe { pointer.write(source) };
                pointer = pointer.wrapping_add(TILE);
            }
        }
    }

    /// Copies the input of tile row `r`, and stores its one pointer. Taps whose
    /// input follows that of the tap before are copied with it.
    ///
    /// # Safety
    ///
    /// As for [`point`](Self::point), gathering; `r` is below [`TILE`].
    #[inline(always)]
    unsafe fn gather(&self, row: usize, r: usize, channel: usize) {
        let (rows, channels) = (&self.problem.rows, self.problem.size.matrix.channels);
        let [height, width] = rows.kernel();
        let position = rows.position(row);
        // SAFETY: there are TILE gathered rows.
        let start = unsafe { self.rows.add(r * self.plan.len) };
        // SAFETY: a gathered row has len elements, and nobody else has scratch.
        let gathered = unsafe {
            fill(start, self.plan.len);
            core::slice::from_raw_parts_mut(start, self.plan.len)
        };
        // SAFETY: segment 0 has TILE pointers.
        unsafe { self.pointers.add(r).write(start) };
        for y in 0..height {
            let Some(line) = rows.line(position, y) else {
                continue;
            };
            let (mut to, mut from, mut len) = (0, 0, 0);
            for x in 0..width {
                let Some(at) = rows.source(line, position, x) else {
                    continue;
                };
                let next = (y * width + x) * channels;
                if len > 0 && (to + len, from + len) == (next, at + channel) {
                    len += channels;
                    continue;
                }
                copy(self.x, from, gathered, to, len);
                (to, from, len) = (next, at + channel, channels);
            }
            copy(self.x, from, gathered, to, len);
        }
    }
}

/// Copies `x[from..from + len]` to `y[to..]`; nothing where that leaves either.
#[inline(always)]
fn copy<T: Copy>(x: &[T], from: usize, y: &mut [T], to: usize, len: usize) {
    let x = x.get(from..).and_then(|x| x.get(..len));
    let y = y.get_mut(to..).and_then(|y| y.get_mut(..len));
    if let (Some(x), Some(y)) = (x, y) {
        // Short runs; a call of memcpy would cost more.
        for (y, x) in y.iter_mut().zip(x) {
            *y = *x;
        }
    }
}

/// Writes zeros.
///
/// # Safety
///
/// `to` has room for `len` elements.
#[inline(always)]
unsafe fn fill<T: Default>(to: *mut T, len: usize) {
    for i in 0..len {
        // SAFETY: the caller's promise.
        unsafe { to.add(i).write(T::default()) };
    }
}

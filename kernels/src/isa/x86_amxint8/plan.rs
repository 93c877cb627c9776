//! How a product is cut into strips and tasks, and where a task's scratch lies.

use super::panel::{self, Runs};
use super::stage::{self, Form, Input};
use super::{decoded, stream, tile};
use crate::conv2d::Conv2dShape;
use crate::layout::BLOCK;
use crate::par::{SCRATCH_ALIGN, each_piece, share, tasks_for};
use crate::product::{Problem, Rows, Size};
use crate::task_scratch::TaskScratch;
use crate::{Codec, Ctx, Invalid};
use core::ops::Range;

/// Bytes of k that a tile takes.
pub(super) const CHUNK: usize = 64;
/// Output rows of a tile, and of the two that are multiplied together.
const TILE: usize = 16;
pub(super) const ROWS: usize = 2 * TILE;
/// Blocks that share staged rows and an epilogue, at most.
pub(super) const BLOCKS: usize = 4;
/// Bytes of a tile.
pub(super) const TILE_BYTES: usize = 1024;
/// Bytes of the sums of `ROWS` rows.
const SUMS: usize = ROWS * BLOCKS * BLOCK * 4;
/// Output rows that a block's weights meet where they are decoded as they are
/// used, and how many chunks of them there are at a time.
pub(super) const STREAM_ROWS: usize = 4 * TILE;
pub(super) const STREAM_SLOTS: usize = 4;
/// Panels of [`BLOCKS`] blocks of at most this many bytes each, and what meets
/// them, fit the first-level cache; of larger ones half as many do.
const PANEL_SMALL: usize = 4 << 10;
/// Panels above this, or where few rows share them above the other, are decoded
/// as they are used.
const PANEL_LARGE: usize = 12 << 10;
/// A strip's staged input stays below this where one line of output does: part
/// of a second-level cache.
const STAGE_BUDGET: usize = 256 << 10;
/// Where one line takes more, for its padding or dilation, tiles do not serve.
const STAGE_MOST: usize = 4 << 20;

/// A checked plan; see the [module](super).
pub(super) struct Plan {
    /// The convolution, of one group of `shape.groups`.
    pub(super) shape: Conv2dShape,
    pub(super) form: Form,
    pub(super) runs: Runs,
    /// Whether weights are decoded as they are used.
    stream: bool,
    /// Blocks that are decoded at a time.
    blocks: usize,
    /// Lines of a strip, as `form` counts them.
    strip: usize,
    /// Lines over the whole batch, and in an image.
    lines: usize,
    image_lines: usize,
    units: usize,
    by_units: bool,
    tasks: usize,
    /// Where the parts of a task's scratch begin, and its bytes.
    panels: usize,
    sums: usize,
    offsets: usize,
    task: usize,
}

impl Plan {
    /// `None` where the convolution is transposed, or a strip takes too much.
    pub(super) fn new<R: Rows>(size: &Size, rows: &R, threads: usize) -> Option<Plan> {
        let shape = Some(rows.shape(size.rows)).filter(|s| !s.transposed)?;
        let form = Form::of(&shape, &size.matrix);
        let runs = form.runs(&shape, &size.matrix);
        let (image_lines, lines) = match form {
            Form::Lines | Form::Windows => {
                (shape.output[0], shape.batch.checked_mul(shape.output[0])?)
            }
            // A line is a row.
            Form::Direct | Form::Rows => (size.rows, size.rows),
        };
        let panel = runs.bytes()?;
        let most = if panel <= PANEL_SMALL {
            BLOCKS
        } else {
            BLOCKS / 2
        };
        let blocks = most.min(size.matrix.blocks());
        let decoded = panel.checked_mul(blocks)?;
        // Few rows would share what is decoded.
        let few = size.rows <= 4 * STREAM_ROWS;
        let budget = if few { PANEL_SMALL } else { PANEL_LARGE };
        let stream = matches!(size.codec, Codec::T2 | Codec::N12)
            && size.matrix.channels.is_multiple_of(CHUNK)
            && panel > budget;
        let units = size.matrix.groups * size.matrix.blocks();
        let (tasks, by_units) = Self::split(size, &shape, form, &runs, threads, lines)?;
        // As many strips as that takes, but of like size, of whole tiles where rows are
        // lines.
        let unit = match form {
            Form::Lines | Form::Windows => 1,
            Form::Direct | Form::Rows => ROWS,
        };
        let most = if by_units {
            image_lines
        } else {
            lines.div_ceil(tasks).min(image_lines)
        };
        let most = most.div_ceil(unit);
        let lines_of = |strips: usize| most.div_ceil(strips).checked_mul(unit);
        let staged = |strips: usize| form.bytes(&shape, &runs, lines_of(strips)?);
        let mut strips = 1;
        // Of what is read directly the same is staged for any strip.
        while form != Form::Direct && strips < most && staged(strips)? > STAGE_BUDGET {
            strips += 1;
        }
        let strip = lines_of(strips)?;

        let mut end = staged(strips).filter(|len| *len <= STAGE_MOST)?;
        let mut part = |len: usize| {
            let start = end.checked_next_multiple_of(SCRATCH_ALIGN)?;
            end = start.checked_add(len)?;
            Some(start)
        };
        let ring = STREAM_SLOTS * TILE_BYTES;
        let panels = part(if stream { ring } else { decoded })?;
        let sums = part(2 * SUMS)?;
        let offsets = part(runs.chunks().checked_mul(size_of::<usize>())?)?;
        let task = end.checked_next_multiple_of(SCRATCH_ALIGN)?;
        Some(Plan {
            shape,
            form,
            runs,
            stream,
            blocks,
            strip,
            lines,
            image_lines,
            units,
            by_units,
            tasks,
            panels,
            sums,
            offsets,
            task,
        })
    }

    /// Scratch bytes; `None` where that overflows.
    pub(super) fn scratch(&self) -> Option<usize> {
        self.task.checked_mul(self.tasks)
    }

    /// Number of tasks, and whether they differ in units rather than in lines: what
    /// takes the slowest task less, by these costs, in halves of a tile's product as it
    /// runs.
    ///
    /// - Whoever has some of the lines decodes all weights, a tile of them in the time
    ///   of two products.
    /// - Whoever has some of the units stages all of the input, and shares the lines of
    ///   the caches of input and output with other cores: a kilobyte that another core
    ///   has takes as long as a dozen products.
    fn split(
        size: &Size,
        shape: &Conv2dShape,
        form: Form,
        runs: &Runs,
        threads: usize,
        lines: usize,
    ) -> Option<(usize, bool)> {
        const PRODUCT: u128 = 2;
        const DECODE: u128 = 4;
        const STAGE: u128 = 4;
        const TRAVEL: u128 = 24;
        let units = size.matrix.groups * size.matrix.blocks();
        let by_units = tasks_for(threads, units.div_ceil(2));
        let by_lines = tasks_for(threads, lines);
        let input = (shape.input_len()? / TILE_BYTES) as u128;
        let output = (size.rows * size.outputs() / TILE_BYTES) as u128;
        let cost = |units: usize, of: usize| {
            let share = lines.div_ceil(of);
            let tiles = form.rows(shape, share)?.div_ceil(TILE) as u128;
            let weights = units as u128 * runs.chunks() as u128;
            let staged = input * share as u128 / lines as u128;
            Some(weights * (PRODUCT * tiles + DECODE) + STAGE * staged)
        };
        let units_cost = cost(units.div_ceil(2).div_ceil(by_units) * 2, 1)?;
        let travel = if by_units > 1 {
            TRAVEL * (input + output)
        } else {
            0
        };
        let lines_cost = cost(units, by_lines)?;
        Some(if units_cost + travel < lines_cost {
            (by_units, true)
        } else {
            (by_lines, false)
        })
    }

    /// Units and lines of a task.
    fn share(&self, task: usize) -> (Range<usize>, Range<usize>) {
        if self.by_units {
            let pairs = share(self.units.div_ceil(2), self.tasks, task);
            (
                2 * pairs.start..(2 * pairs.end).min(self.units),
                0..self.lines,
            )
        } else {
            (0..self.units, share(self.lines, self.tasks, task))
        }
    }
}

/// Computes the product; `Invalid` where scratch is too short or not aligned.
///
/// # Safety
///
/// The CPU has AMX with bytes and AVX-512 VBMI; the plan is the problem's.
pub(super) unsafe fn run<R: Rows>(
    ctx: &mut Ctx<'_>,
    problem: &Problem<'_, R>,
    plan: &Plan,
    x: &[i8],
) -> Result<(), Invalid> {
    let threads = ctx.threads();
    let scratch = TaskScratch::new(&mut *ctx.scratch, threads, plan.tasks, plan.task)?;
    // Shares are not cut into pieces: tiles are configured once for all of one.
    each_piece(ctx.par, plan.tasks, &|_| 0, &|i, _| {
        // SAFETY: every task has a range of its own, and `each_piece` runs a task
        // no more than once.
        let Some(scratch) = (unsafe { scratch.part(i) }) else {
            return;
        };
        // SAFETY: the caller's promise; scratch is the plan's.
        unsafe { task(problem, plan, x, scratch, i) };
    });
    Ok(())
}

/// One task.
///
/// # Safety
///
/// As for [`run`]; scratch is as long as the plan says and aligned.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
unsafe fn task<R: Rows>(
    problem: &Problem<'_, R>,
    plan: &Plan,
    x: &[i8],
    scratch: &mut [u8],
    task: usize,
) {
    let size = &problem.size;
    let (staged, rest) = scratch.split_at_mut(plan.panels);
    let (panels, rest) = rest.split_at_mut(plan.sums - plan.panels);
    let (sums, offsets) = rest.split_at_mut(plan.offsets - plan.sums);
    // SAFETY: numbers can be any bytes.
    let (_, offsets, _) = unsafe { offsets.align_to_mut::<usize>() };
    plan.form
        .offsets(&plan.shape, &plan.runs, plan.strip, offsets);
    let (units, lines) = plan.share(task);
    let blocks = size.matrix.blocks();
    // SAFETY: the caller's promise; tiles are released below.
    let _tiles = unsafe { tile::Configured::new(plan.runs.chunk_k()) };
    let mut decoded = None;
    let mut unit = units.start;
    while unit < units.end {
        let (group, _) = problem.locate(unit);
        let group_end = ((group + 1) * blocks).min(units.end);
        let mut line = lines.start;
        while line < lines.end {
            let image = line / plan.image_lines;
            let end = (line + plan.strip)
                .min((image + 1) * plan.image_lines)
                .min(lines.end);
            let input = Input {
                x,
                shape: &plan.shape,
                channel: group * size.matrix.channels,
                channels: size.matrix.channels,
                image,
                lines: line - image * plan.image_lines..end - image * plan.image_lines,
            };
            let strip = stage::stage(plan.form, &plan.runs, &input, plan.strip, staged);
            if plan.stream {
                let last = group_end - 1;
                let ((first_output, _), (last_output, outputs)) =
                    (problem.outputs(unit), problem.outputs(last));
                let job = stream::Job {
                    strip: &strip,
                    offsets: &offsets[..plan.runs.chunks()],
                    packed: problem.blocks(unit..group_end),
                    ring: panels.as_mut_ptr(),
                    sums: sums.as_mut_ptr().cast(),
                    finish: &problem.finish,
                    outputs: first_output..last_output + outputs,
                };
                // SAFETY: the caller's promise; tiles are configured, and the job
                // is what was just staged.
                unsafe {
                    match size.codec {
                        Codec::N12 => job.run::<panel::N12>(),
                        _ => job.run::<panel::T2>(),
                    }
                }
                line = end;
                continue;
            }
            for first in (unit..group_end).step_by(plan.blocks) {
                let count = plan.blocks.min(group_end - first);
                // Often there are no others than those of the strip before.
                let missing = if decoded == Some(first) { 0 } else { count };
                decoded = Some(first);
                for (i, panel) in panels
                    .chunks_exact_mut(plan.runs.len())
                    .take(missing)
                    .enumerate()
                {
                    let block = problem.block(first + i);
                    panel::decode(size.codec, &size.matrix, block, &plan.runs, panel);
                }
                let (first_output, _) = problem.outputs(first);
                let last = first + count - 1;
                let (last_output, outputs) = problem.outputs(last);
                let job = decoded::Job {
                    strip: &strip,
                    offsets: &offsets[..plan.runs.chunks()],
                    panels,
                    stride: plan.runs.len(),
                    next: problem.blocks(last + 1..units.end.min(last + 1 + plan.blocks)),
                    sums: sums.as_mut_ptr().cast(),
                    finish: &problem.finish,
                    outputs: first_output..last_output + outputs,
                };
                // SAFETY: the caller's promise; tiles are configured, and the job
                // is what was just staged and decoded.
                unsafe { job.run() };
            }
            line = end;
        }
        unit = group_end;
    }
}

//! How a convolution is cut up, and where the parts of scratch begin.

use super::{COPIES, Entry, LINES, Lanes, Source, start_len};
use crate::conv2d::Conv2dShape;
use crate::layout::BLOCK;
use crate::par::{SCRATCH_ALIGN, share, tasks_for};
use crate::product::Size;
use core::ops::Range;

/// Positions of a strip, roughly: what the epilogue's preparations serve.
const STRIP: usize = 256;
/// Bytes of the columns of a run of positions, so that they stay in the first-level
/// cache, and positions of a run at least, if there are as many.
const COLUMNS_BUDGET: usize = 12 << 10;
const RUN: usize = 8;
/// Some of the channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) first: usize,
    pub(super) width: usize,
    /// Channels at the front that the part before it has.
    pub(super) skip: usize,
}

impl Part {
    /// The part that has channel `from` of `channels`, 16 or more, and the channels
    /// after it up to at most `most`.
    fn new(from: usize, channels: usize, most: usize) -> Part {
        let left = channels - from;
        let mut width = most;
        while width > BLOCK && (width / 2 >= left || width > channels) {
            width /= 2;
        }
        let first = from.min(channels - width);
        Part {
            first,
            width,
            skip: from - first,
        }
    }

    pub(super) fn end(&self) -> usize {
        self.first + self.width
    }
}

/// Which parts there are: whole ones, then what is left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    pub(super) channels: usize,
    most: usize,
}

impl Parts {
    pub(super) fn get(&self, index: usize) -> Part {
        let whole = self.channels / self.most;
        let mut part = Part::new(index.min(whole) * self.most, self.channels, self.most);
        for _ in whole..index {
            part = Part::new(part.end(), self.channels, self.most);
        }
        part
    }

    pub(super) fn count(&self) -> usize {
        let (whole, mut end) = (
            self.channels / self.most,
            self.channels / self.most * self.most,
        );
        let mut more = 0;
        while end < self.channels {
            end = Part::new(end, self.channels, self.most).end();
            more += 1;
        }
        whole + more
    }
}

/// How a convolution runs, and where the parts of scratch begin.
pub(super) struct Plan {
    pub(super) parts: Parts,
    /// Output lines of a band, of a strip, and of all images together.
    pub(super) lines: usize,
    strip: usize,
    all: usize,
    /// Input lines under a band, and their groups.
    pub(super) rows: usize,
    pub(super) groups: usize,
    /// Positions that are computed together.
    pub(super) run: usize,
    /// Bytes of a part's start and expanded weights, a multiple of 64.
    pub(super) weights: usize,
    /// Elements of a tap's row of a part's packed weights' values, before they are
    /// expanded.
    pub(super) row: usize,
    /// Where in a task's scratch these begin, the zeros, all parts' expanded weights,
    /// whether these are there, the strip's bands, and one's sources.
    pub(super) values: usize,
    pub(super) zeros: usize,
    pub(super) expanded: usize,
    pub(super) done: usize,
    pub(super) table: usize,
    pub(super) sources: usize,
    pub(super) task: usize,
    /// Tasks, and how many of them share the same lines.
    pub(super) tasks: usize,
    by_parts: usize,
}

/// Into how many shares the lines are split, and the parts: those whose largest share
/// takes least, by these costs, in fifths of a position of a part.
///
/// - A part's weights are expanded in every task that has it, in the time of 40 positions.
/// - Whoever has but some of the parts often reads input from other cores' caches, as
///   others have written the lines: a place of it in the time of two fifths of a position.
fn cut(threads: usize, lines: usize, parts: usize, shape: &Conv2dShape) -> (usize, usize) {
    let threads = tasks_for(threads, usize::MAX);
    let places = shape.stride[0].saturating_mul(shape.stride[1]);
    let cost = |by_lines: usize, by_parts: usize| {
        let [lines, parts] = [lines.div_ceil(by_lines), parts.div_ceil(by_parts)];
        let read = if by_parts > 1 { 2 } else { 0 };
        let position = places.saturating_mul(read).saturating_add(5);
        let positions = lines.saturating_mul(shape.output[1]);
        let positions = positions.saturating_mul(position);
        parts.saturating_mul(positions.saturating_add(5 * 40))
    };
    let cuts = (1..=tasks_for(threads, parts)).map(|by_parts| {
        let by_lines = tasks_for(threads / by_parts, lines);
        (by_lines, by_parts)
    });
    cuts.min_by_key(|&(by_lines, by_parts)| cost(by_lines, by_parts))
        .unwrap_or((1, 1))
}

/// Appends a part of `count * each` bytes to scratch; tells where it begins.
fn part(end: &mut usize, count: usize, each: usize) -> Option<usize> {
    let start = *end;
    *end = count
        .checked_mul(each)?
        .checked_add(start)?
        .checked_next_multiple_of(SCRATCH_ALIGN)?;
    Some(start)
}

impl Plan {
    /// `None` where the size overflows.
    pub(super) fn new<L: Lanes>(size: &Size, shape: &Conv2dShape, threads: usize) -> Option<Plan> {
        let channels = size.matrix.outputs;
        let [height, width] = shape.kernel;
        let parts = Parts {
            channels,
            most: L::CHANNELS,
        };
        let spare = height.next_multiple_of(L::TAPS) - height;
        let two = shape.dilation[0] == 1 && shape.stride[0] <= spare;
        let lines = if two { LINES } else { 1 };
        let rows = height + (lines - 1) * shape.stride[0];
        let groups = rows.div_ceil(L::TAPS);
        let window = (width - 1).checked_mul(shape.dilation[1])?.checked_add(1)?;
        let all = shape.output[0].checked_mul(shape.batch)?;
        let positions = lines.saturating_mul(shape.output[1]);
        let bands = (STRIP / positions.max(1)).next_multiple_of(COPIES);
        let strip = bands.max(COPIES) * lines;
        let (by_lines, by_parts) = cut(threads, all, parts.count(), shape);
        let column = groups.checked_mul(L::GROUP)?;
        // As many as the budget allows, of like size for all runs of a line.
        let fitting = (COLUMNS_BUDGET / column).saturating_sub(window) / shape.stride[1] + 1;
        let runs = shape.output[1].div_ceil(fitting.max(RUN)).max(1);
        let run = shape.output[1].div_ceil(runs);
        let columns = (run.max(1) - 1).checked_mul(shape.stride[1])?;
        let columns = columns.checked_add(window)?;
        let weights = lines.checked_mul(width)?.checked_mul(column)?;
        let weights = weights.checked_add(start_len::<L>())?;
        let weights = weights.checked_next_multiple_of(SCRATCH_ALIGN)?;
        // A part's channels, and those in front of them in their block.
        let row = L::CHANNELS + BLOCK;
        let mut task = 0;
        part(&mut task, columns, column)?;
        let values = part(
            &mut task,
            height.checked_mul(width)?,
            row * size_of::<L::X>(),
        )?;
        let zeros = part(&mut task, L::CHANNELS, size_of::<L::X>())?;
        let expanded = part(&mut task, parts.count(), weights)?;
        let done = part(&mut task, parts.count(), size_of::<bool>())?;
        let entry = rows.checked_add(Entry::HEAD)?;
        // A band has one line at least.
        let bands = strip.min(all).checked_next_multiple_of(COPIES)?;
        let table = part(&mut task, bands, entry.checked_mul(size_of::<usize>())?)?;
        let sources = part(
            &mut task,
            groups.checked_mul(L::TAPS)?,
            size_of::<Source<L::X>>(),
        )?;
        Some(Plan {
            parts,
            lines,
            strip,
            all,
            rows,
            groups,
            run,
            weights,
            row,
            values,
            zeros,
            expanded,
            done,
            table,
            sources,
            task,
            by_parts,
            tasks: by_lines * by_parts,
        })
    }

    /// The output lines of a task's share, counted over all images, and its parts.
    fn share(&self, task: usize) -> (Range<usize>, Range<usize>) {
        let by_lines = self.tasks / self.by_parts;
        (
            share(self.all, by_lines, task / self.by_parts),
            share(self.parts.count(), self.by_parts, task % self.by_parts),
        )
    }

    /// How many strips the share of a task has.
    pub(super) fn strips(&self, task: usize) -> usize {
        self.share(task).0.len().div_ceil(self.strip)
    }

    /// The lines of a strip of a task's share, and the share's parts.
    pub(super) fn strip(&self, task: usize, strip: usize) -> (Range<usize>, Range<usize>) {
        let (lines, parts) = self.share(task);
        let start = lines.start + strip * self.strip;
        (start..lines.end.min(start + self.strip), parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines are split where there are enough, and never into more tasks than threads.
    #[test]
    fn few_lines_are_split_over_channels() {
        let shape = |size: usize, stride: usize| Conv2dShape {
            batch: 1,
            input: [size; 2],
            output: [size / stride; 2],
            in_channels: 960,
            out_channels: 960,
            groups: 960,
            kernel: [3; 2],
            stride: [stride; 2],
            dilation: [1; 2],
            pad: [1; 2],
            transposed: false,
        };
        let parts = 960 / 64;
        for (size, stride, by) in [(7, 1, (1, 2)), (14, 1, (2, 1)), (14, 2, (2, 1))] {
            assert_eq!(cut(2, size / stride, parts, &shape(size, stride)), by);
        }
        for threads in 1..200 {
            for lines in [1, 3, 7, 112] {
                let (by_lines, by_parts) = cut(threads, lines, parts, &shape(7, 1));
                let most = tasks_for(threads, usize::MAX);
                assert!((1..=most).contains(&(by_lines * by_parts)));
                assert!(by_lines <= lines && by_parts <= parts);
            }
        }
    }

    /// Every channel is computed once, by parts that lie inside.
    #[test]
    fn parts_cover_all_channels() {
        for most in [16, 32, 64] {
            for channels in 16..400 {
                let parts = Parts { channels, most };
                let mut next = 0;
                for p in 0..parts.count() {
                    let part = parts.get(p);
                    assert!([16, 32, 64].contains(&part.width) && part.width <= most);
                    assert!(part.end() <= channels && part.skip < part.width);
                    assert_eq!(part.first + part.skip, next, "{channels} {part:?}");
                    next = part.end();
                }
                assert_eq!(next, channels);
            }
        }
    }
}

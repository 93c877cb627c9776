//! Along the output lines of a band.

use super::{COPIES, LINES, Lanes};
use core::ops::Range;

/// An input line under a kernel, for each copy: where the part's channels of column
/// 0 are, and how far it is to the next column's, 0 in a line of zeros.
pub(crate) struct Source<X> {
    pub(super) at: [*const X; COPIES],
    pub(super) step: [usize; COPIES],
}

impl<X> Clone for Source<X> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<X> Copy for Source<X> {}

impl<X> Source<X> {
    /// Where a copy's channels of a column are.
    #[inline(always)]
    pub(crate) fn at(&self, copy: usize, column: usize) -> *const X {
        self.at[copy].wrapping_add(column * self.step[copy])
    }

    /// The same channels in every column and copy.
    pub(super) fn constant(at: *const X) -> Self {
        Source {
            at: [at; COPIES],
            step: [0; COPIES],
        }
    }
}

/// Where the outputs of a line's position 0 go.
#[derive(Clone, Copy, Default)]
pub(crate) struct Place {
    /// Index in the output of the first of each 16 of the register's channels.
    pub(crate) at: [usize; COPIES],
    /// The register's channels that are written.
    pub(crate) mask: u64,
}

/// The output lines of a band, or of several side by side.
pub(crate) struct Walk<X> {
    /// Input lines.
    pub(crate) sources: *const Source<X>,
    pub(crate) rows: usize,
    pub(crate) copies: usize,
    /// Of each line of the band, and how many there are.
    pub(crate) places: [Place; LINES],
    pub(crate) lines: usize,
    /// Elements from a position's outputs to the next one's.
    pub(crate) channels: usize,
    /// No integer sum is larger in magnitude.
    pub(crate) largest: f32,
    /// Positions of a line, and how many are computed together.
    pub(crate) positions: usize,
    pub(crate) run: usize,
    /// Width of the kernel, and groups of a column.
    pub(crate) width: usize,
    pub(crate) groups: usize,
    pub(crate) stride: usize,
    pub(crate) dilation: usize,
    pub(crate) pad: usize,
    /// Columns of the input.
    pub(crate) columns: usize,
    /// Columns under the kernel, in groups.
    pub(crate) made: *mut u8,
    pub(crate) start: *const u8,
    /// `[lines][width][groups of a column]` groups.
    pub(crate) weights: *const u8,
}

/// Writes some columns of all lines, in groups; column numbers may lie beyond
/// `inside`, where zeros are.
///
/// # Safety
///
/// As for [`Lanes::groups`], for those columns that lie inside, counted from there.
#[inline(always)]
pub(crate) unsafe fn make<L: Lanes, const WEIGHTS: bool>(
    lines: &[Source<L::X>],
    copies: usize,
    inside: Range<usize>,
    columns: Range<usize>,
    to: *mut u8,
) {
    let slot = lines.len().div_ceil(L::TAPS) * L::GROUP;
    let bound = |column: usize| column.clamp(columns.start, columns.end);
    let (from, end) = (bound(inside.start), bound(inside.end));
    let at = |column: usize| to.wrapping_add((column - columns.start) * slot);
    for (g, lines) in lines.chunks(L::TAPS).enumerate() {
        let group = g * L::GROUP;
        // SAFETY: the caller's promises.
        unsafe {
            for column in (columns.start..from).chain(end..columns.end) {
                L::outside(at(column).wrapping_add(group));
            }
            if from < end {
                let columns = from - inside.start..end - inside.start;
                L::groups::<WEIGHTS>(lines, copies, columns, at(from).wrapping_add(group), slot);
            }
        }
    }
}

/// Walks along the lines of a band, `N` of them, `P` positions at a time. `W` and
/// `G` are the width of a kernel without dilation and the groups of its lines, or 0
/// where they are not known when compiling. `WAY` and `WHOLE` are
/// [`Lanes::finish`]'s.
///
/// # Safety
///
/// As for [`Lanes`]; everything in `walk` is as it says, and no other task has
/// these outputs.
#[inline(always)]
pub(crate) unsafe fn walk<
    L: Lanes,
    const W: usize,
    const G: usize,
    const N: usize,
    const P: usize,
    const WAY: u8,
    const WHOLE: bool,
>(
    walk: &Walk<L::X>,
    columns: &L::Columns<'_>,
) {
    let slot = walk.groups * L::GROUP;
    let window = (walk.width - 1) * walk.dilation + 1;
    // SAFETY: there are as many.
    let sources = unsafe { core::slice::from_raw_parts(walk.sources, walk.rows) };
    let inside = walk.pad..walk.pad + walk.columns;
    let lines = core::array::from_fn(|line| L::line(columns, &walk.places[line]));
    let (mut position, mut kept) = (0, 0);
    while position < walk.positions {
        let count = walk.run.min(walk.positions - position);
        let first = position * walk.stride;
        let end = (count - 1) * walk.stride + window;
        let (some, made) = (
            first + kept..first + end,
            walk.made.wrapping_add(kept * slot),
        );
        // What is under the next run's first position as well moves to the front.
        let next = walk.made.wrapping_add(count * walk.stride * slot);
        kept = end.saturating_sub(count * walk.stride);
        // SAFETY: the caller's promises; there is room for the columns of a run.
        unsafe {
            L::make::<false>(sources, walk.copies, inside.clone(), some, made);
            let pairs = count / P * P;
            positions::<L, W, G, N, P, WAY, WHOLE>(walk, columns, &lines, position, 0..pairs);
            if P > 1 {
                positions::<L, W, G, N, 1, WAY, WHOLE>(
                    walk,
                    columns,
                    &lines,
                    position,
                    pairs..count,
                );
            }
            position += count;
            if position < walk.positions {
                next.copy_to(walk.made, kept * slot);
            }
        }
    }
}

/// Some positions of a run that begins at `first`, `P` at a time.
///
/// # Safety
///
/// As for [`walk()`]; the columns were made, and the positions are a multiple of `P`.
#[inline(always)]
unsafe fn positions<
    L: Lanes,
    const W: usize,
    const G: usize,
    const N: usize,
    const P: usize,
    const WAY: u8,
    const WHOLE: bool,
>(
    walk: &Walk<L::X>,
    columns: &L::Columns<'_>,
    lines: &[L::Line; N],
    first: usize,
    positions: Range<usize>,
) {
    let (width, groups, dilation) = if W == 0 {
        (walk.width, walk.groups, walk.dilation)
    } else {
        (W, G, 1)
    };
    let slot = groups * L::GROUP;
    let (start, weights, channels) = (walk.start, walk.weights, walk.channels);
    let step = walk.stride * slot;
    let mut column = walk.made.cast_const().wrapping_add(positions.start * step);
    let mut offset = (first + positions.start) * channels;
    for _ in 0..positions.len() / P {
        // SAFETY: the caller's promises.
        unsafe {
            if L::TOGETHER {
                let mut sums = [[L::begin(start); P]; N];
                for g in 0..groups {
                    for k in 0..width {
                        let column = column.wrapping_add(k * dilation * slot + g * L::GROUP);
                        for (line, sums) in sums.iter_mut().enumerate() {
                            let group = (line * width + k) * groups + g;
                            let weights = weights.wrapping_add(group * L::GROUP);
                            for (p, sums) in sums.iter_mut().enumerate() {
                                *sums = L::add(*sums, column.wrapping_add(p * step), weights);
                            }
                        }
                    }
                }
                for (line, sums) in lines.iter().zip(sums) {
                    for (p, sums) in sums.into_iter().enumerate() {
                        L::finish::<WAY, WHOLE>(columns, line, offset + p * channels, sums);
                    }
                }
            } else {
                for (i, line) in lines.iter().enumerate() {
                    for p in 0..P {
                        let mut sums = L::begin(start);
                        for g in 0..groups {
                            for k in 0..width {
                                let at = k * dilation * slot + p * step + g * L::GROUP;
                                let column = column.wrapping_add(at);
                                let group = (i * width + k) * groups + g;
                                let weights = weights.wrapping_add(group * L::GROUP);
                                sums = L::add(sums, column, weights);
                            }
                        }
                        L::finish::<WAY, WHOLE>(columns, line, offset + p * channels, sums);
                    }
                }
            }
        }
        column = column.wrapping_add(P * step);
        offset += P * channels;
    }
}

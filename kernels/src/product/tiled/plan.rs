//! How a product is cut into strips and chunks, and where the parts of a task's
//! scratch begin.

use super::image::Source;
use super::{Split, Tile};
use crate::Matrix;
use crate::layout::BLOCK;
use crate::par::{PIECES, SCRATCH_ALIGN as ALIGN, share};
use crate::product::{Rows, Size};
use core::ops::Range;

/// Bytes that a tile keeps of the sums of a row and a block.
pub(super) const SUMS: usize = 4 * BLOCK;

/// Fewer products than this are not worth a piece.
const PRODUCTS: usize = 128 << 10;

/// A plan; lengths and distances are counted in elements where not said otherwise.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) split: Split,
    pub(super) source: Source,
    /// Whether tiles read the input itself rather than an image of it.
    pub(super) direct: bool,
    /// From a place to the next one, across and down.
    pub(super) steps: [usize; 2],
    /// How many segments, the taps of each, and its length with what fills it up
    /// to a multiple of `STEP`.
    pub(super) segments: usize,
    pub(super) taps: usize,
    pub(super) len: usize,
    /// Lines of output of which all segments are computed; of others only those that are
    /// not all beyond the input.
    pub(super) whole: Range<usize>,
    /// See [`Border::ends`](super::Border::ends).
    pub(super) ends: [usize; 2],
    /// Segments of a chunk, and elements of each: either all segments' lengths
    /// or a single segment's part.
    pub(super) chunk: [usize; 2],
    /// Rows of a strip at most, what they are a multiple of, and whether a strip
    /// lies in one output line.
    strip: usize,
    unit: usize,
    within_line: bool,
    /// Bytes of a block's decoded panel of a chunk.
    pub(super) panel: usize,
    /// Whether all panels of a group are kept once they are decoded.
    pub(super) kept: bool,
    /// Blocks of a group, and of a tile at most.
    pub(super) blocks: usize,
    tile: usize,
    /// Into how many pieces a strip's blocks are cut.
    cuts: usize,
    /// Where these begin in scratch.
    pub(super) starts: usize,
    pub(super) decoded: usize,
    pub(super) sums: usize,
    pub(super) pointers: usize,
    pub(super) row_sums: usize,
    pub(super) offsets: usize,
    pub(super) image: usize,
    /// Bytes of the image, and of a task's scratch.
    pub(super) image_len: usize,
    pub(super) task: usize,
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
    pub(super) fn new<T: Tile, R: Rows>(size: &Size, rows: &R, threads: usize) -> Option<Plan> {
        let shape = rows.shape(size.rows);
        let source = Source::new(&shape, &size.matrix);
        let Matrix { taps, channels, .. } = size.matrix;
        let blocks = T::BLOCKS.min(size.matrix.blocks());
        // Elements of k whose panels fit the budget.
        let fitting = T::PANELS * T::STEP / (T::GROUP * blocks);

        // A line of the kernel is one segment where it lies together and its
        // panels fit.
        let [down, across] = source.axes;
        let line = across.kernel.checked_mul(channels)?;
        let together = |alone: bool| {
            let adjacent = alone && across.dilation == 1 && !across.backwards;
            let fits = line.checked_next_multiple_of(T::STEP);
            (across.kernel == 1 || adjacent) && fits.is_some_and(|len| len <= fitting)
        };
        let cut = |together: bool| {
            let taps = if together { across.kernel } else { 1 };
            (taps, taps * channels)
        };
        let (segment_taps, len) = cut(together(size.matrix.groups == 1));
        let direct = T::DIRECT && source.is_input() && len.is_multiple_of(T::STEP);
        let (segment_taps, len) = if direct {
            (segment_taps, len)
        } else {
            cut(together(true))
        };
        let segments = taps / segment_taps;
        let len = len.checked_next_multiple_of(T::STEP)?;
        let chunk = match fitting / len {
            0 => [1, len.min((fitting / BLOCK).max(1) * BLOCK)],
            whole => {
                // As many chunks as that takes, but of like size.
                let chunks = segments.div_ceil(whole);
                [segments.div_ceil(chunks), len]
            }
        };
        let single = chunk == [segments, len];
        let most = if single { T::STRIP } else { T::WAITING }.next_multiple_of(T::ROWS);

        // What fills segments up is not zeros.
        let zeros = !direct && !T::STARTS && len == segment_taps * channels;
        let (mut whole, mut ends) = (0..down.outputs, [0; 2]);
        if zeros && (single || T::ROW_BY_ROW && chunk[1] == len) {
            whole = down.whole();
            if channels.is_multiple_of(T::STEP) && !across.backwards {
                let whole = across.whole();
                let beyond = [whole.start > 0, whole.end < across.outputs];
                ends = beyond.map(|beyond| if beyond { channels } else { 0 });
            }
        }

        let mut plan = Plan {
            split: Split::new(size, threads, T::ROWS),
            source,
            direct,
            steps: source.input_steps(),
            segments,
            taps: segment_taps,
            len,
            whole,
            ends,
            chunk,
            strip: most.min(size.rows.checked_next_multiple_of(T::ROWS)?),
            unit: T::ROWS,
            within_line: false,
            panel: (chunk[0].checked_mul(chunk[1])? / T::STEP).checked_mul(T::GROUP)?,
            kept: false,
            blocks: size.matrix.blocks(),
            tile: T::BLOCKS,
            cuts: 1,
            starts: 0,
            decoded: 0,
            sums: 0,
            pointers: 0,
            row_sums: 0,
            offsets: 0,
            image: 0,
            image_len: 0,
            task: 0,
        };
        if !direct {
            plan.cut_image::<T>(size, threads, shape.batch)?;
        }

        let in_place = T::in_place(size.codec);
        let panels = if in_place { 0 } else { plan.panel };
        plan.kept = single && !in_place && plan.blocks.checked_mul(plan.panel)? <= T::KEPT;
        let decoded = if plan.kept { plan.blocks } else { 0 };
        let blocks = if plan.kept { plan.blocks } else { blocks };
        plan.cut_blocks(size);
        let strip_tiles = plan.strip.div_ceil(T::ROWS);
        let strip_rows = strip_tiles * T::ROWS;
        // A tile may compute more rows than it has, up to `ROWS`.
        let beyond = strip_rows + T::ROWS;
        let waiting = if single { T::ROWS } else { beyond };
        let end = &mut plan.task;
        part(end, panels, blocks)?;
        plan.starts = part(end, blocks, size_of::<[i32; BLOCK]>())?;
        plan.decoded = part(end, decoded, size_of::<bool>())?;
        plan.sums = part(end, waiting, T::BLOCKS * SUMS)?;
        plan.pointers = part(end, beyond, size_of::<*const u8>())?;
        plan.row_sums = part(end, beyond, size_of::<i32>())?;
        plan.offsets = part(end, segments, size_of::<usize>())?;
        plan.image = part(end, plan.image_len, 1)?;
        Some(plan)
    }

    /// Chooses strips whose image stays small: some lines of output, or a part of
    /// one.
    fn cut_image<T: Tile>(&mut self, size: &Size, threads: usize, batch: usize) -> Option<()> {
        let [down, across] = self.source.axes;
        let pixel = self.source.channels;
        // Tiles read up to STEP elements at once, behind the last row too.
        let bytes = |lines: usize, width: usize| {
            let width = width.checked_mul(pixel)?;
            let len = lines.checked_mul(width)?.checked_add(T::STEP)?;
            len.checked_mul(T::UNIT)
        };
        // The lines under some lines of output, for every image that they are of.
        let lines = |outputs: usize| {
            let images = batch.min((outputs - 1) / down.outputs + 2);
            let more = down.reach().saturating_sub(down.step);
            let steps = outputs.checked_mul(down.step)?;
            steps.checked_add(images.checked_mul(more)?)
        };
        let all_lines = batch.checked_mul(down.outputs)?;
        let width = across.places(across.outputs)?;
        let mut count = (self.strip / across.outputs).min(all_lines);
        while count > 1 && bytes(lines(count)?, width)? > T::IMAGE {
            count -= 1;
        }
        let fits = |count: usize| Some(bytes(lines(count)?, width)? <= T::IMAGE);
        if count > 0 && all_lines > 1 && (count > 1 || fits(count)?) {
            self.unit = across.outputs;
            self.strip = count * across.outputs;
            self.split = Split::new(size, threads, self.unit);
            self.image_len = bytes(lines(count)?, width)?;
            self.steps = [pixel, width.checked_mul(pixel)?];
            return Some(());
        }
        self.within_line = true;
        let wide = |strip: usize| bytes(down.reach(), across.places(strip.min(across.outputs))?);
        while self.strip > T::ROWS && wide(self.strip)? > T::IMAGE {
            self.strip = (self.strip / 2).next_multiple_of(T::ROWS);
        }
        let width = across.places(self.strip.min(across.outputs))?;
        self.image_len = wide(self.strip)?;
        self.steps = [pixel, width.checked_mul(pixel)?];
        Some(())
    }

    /// Cuts strips' blocks into pieces where tasks have too few strips to share.
    fn cut_blocks(&mut self, size: &Size) {
        if self.split.tasks <= 1 {
            return;
        }
        let (units, rows) = self.split.share(0);
        let strips = self.groups(&units).len() * self.strips(rows.clone()).count();
        let products = units.len().min(self.blocks) * BLOCK * size.matrix.taps;
        let products = (products * size.matrix.channels).saturating_mul(rows.len());
        let wanted = (products / PRODUCTS)
            .clamp(1, PIECES)
            .div_ceil(strips.max(1));
        let tiles = units.len().min(self.blocks).div_ceil(self.tile);
        self.cuts = wanted.clamp(1, tiles.max(1));
    }

    /// The groups that some units are of.
    fn groups(&self, units: &Range<usize>) -> Range<usize> {
        units.start / self.blocks..units.end.div_ceil(self.blocks)
    }

    /// The strips of some rows.
    fn strips(&self, rows: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let mut left = rows;
        core::iter::from_fn(move || {
            (!left.is_empty()).then(|| {
                let strip = self.strip(&left);
                left.start = strip.end;
                strip
            })
        })
    }

    /// How many pieces the share of a task has.
    pub(super) fn pieces(&self, share: usize) -> usize {
        let (units, rows) = self.split.share(share);
        self.groups(&units).len() * self.strips(rows).count() * self.cuts
    }

    /// The units of a tile of those of a group: as many tiles as that takes, but of
    /// like size.
    pub(super) fn tile(&self, units: &Range<usize>, tile: usize) -> Range<usize> {
        let tiles = units.len().div_ceil(self.tile);
        let at = |tile: usize| units.start + units.len() * tile / tiles;
        at(tile)..at(tile + 1)
    }

    /// The strip at the start of these rows: as few strips as possible, of like
    /// size.
    pub(super) fn strip(&self, rows: &Range<usize>) -> Range<usize> {
        let mut left = rows.len();
        if self.within_line {
            let [_, across] = self.source.axes;
            left = left.min(across.outputs - rows.start % across.outputs);
        }
        let strips = left.div_ceil(self.strip);
        let alike = left.div_ceil(strips).next_multiple_of(self.unit);
        rows.start..rows.start + alike.min(self.strip).min(left)
    }

    /// The rows of a strip in bands of which the same segments are to be computed, and
    /// these: first the bands with all of them.
    pub(super) fn bands(
        &self,
        rows: &Range<usize>,
    ) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        let some = |all: bool| {
            let mut left = rows.clone();
            let bands =
                core::iter::from_fn(move || (!left.is_empty()).then(|| self.band(&mut left)));
            bands.filter(move |(_, of)| (of.len() == self.segments) == all)
        };
        some(true).chain(some(false))
    }

    /// Takes the first band off some rows, at least one.
    fn band(&self, rows: &mut Range<usize>) -> (Range<usize>, Range<usize>) {
        let [down, across] = &self.source.axes;
        let all = 0..self.segments;
        if self.whole == (0..down.outputs) {
            return (core::mem::replace(rows, rows.end..rows.end), all);
        }
        let line = rows.start / across.outputs;
        let number = line % down.outputs;
        let (lines, of) = if self.whole.contains(&number) {
            (self.whole.end - number, all)
        } else {
            let of_line = self.segments / down.kernel;
            let taps = down.inputs(number);
            (1, taps.start * of_line..taps.end * of_line)
        };
        let start = rows.start;
        rows.start = rows.end.min((line + lines) * across.outputs);
        (start..rows.start, of)
    }

    /// How far tap `tap` lies from the first place of an output.
    pub(super) fn offset(&self, tap: usize) -> usize {
        let [down, across] = self.source.axes;
        let (y, x) = (tap / across.kernel, tap % across.kernel);
        down.tap(y) * self.steps[1] + across.tap(x) * self.steps[0]
    }
}

/// What a piece is of. Strips are of like size, but for the last ones of a share, so
/// their beginnings are found one after another.
#[derive(Default)]
pub(super) struct Cursor {
    /// The share, and what it has.
    share: Option<usize>,
    all: (Range<usize>, Range<usize>),
    /// Strips of each group; without end where there is one group.
    strips: usize,
    /// The piece's units, all that the share has of their group.
    pub(super) units: Range<usize>,
    /// Those of its tiles that are the piece's.
    pub(super) tiles: Range<usize>,
    /// Its strip.
    pub(super) rows: Range<usize>,
    /// The rows that follow the strip, and the number of the strip there.
    left: Range<usize>,
    next: usize,
}

impl Cursor {
    /// Goes to a piece of a share.
    pub(super) fn go_to(&mut self, plan: &Plan, task: usize, piece: usize) {
        let begins = self.share != Some(task);
        if begins {
            self.share = Some(task);
            self.all = plan.split.share(task);
            self.strips = match plan.groups(&self.all.0).len() {
                1 => usize::MAX,
                _ => plan.strips(self.all.1.clone()).count(),
            };
        }
        let (units, rows) = &self.all;
        let (strip, cut) = (piece / plan.cuts, piece % plan.cuts);
        let (group, strip) = (strip / self.strips, strip % self.strips);
        if begins || strip + 1 < self.next {
            (self.left, self.next) = (rows.clone(), 0);
        }
        while self.next <= strip {
            self.rows = plan.strip(&self.left);
            self.left.start = self.rows.end;
            self.next += 1;
        }
        let group = units.start / plan.blocks + group;
        let first = units.start.max(group * plan.blocks);
        self.units = first..units.end.min((group + 1) * plan.blocks);
        let tiles = self.units.len().div_ceil(plan.tile);
        self.tiles = share(tiles, plan.cuts, cut);
    }
}

//! What an instruction set has for products, and what it is told of them.

use crate::epilogue::Finish;
use crate::layout::BLOCK;
use crate::{Codec, Matrix};
use core::ops::Range;

/// What one instruction set does with one kind of activations and weights.
pub(crate) trait Tile {
    /// Elements of the input.
    type X: Copy + Sync;
    /// The epilogue of some outputs, with all that is the same for every row.
    type Columns<'a>;

    /// Output rows of a tile.
    const ROWS: usize;
    /// Rows of a smaller tile that is as fast row by row, if there is one: a strip that
    /// is no multiple of `ROWS` then has some of these rather than one of few rows.
    const FEWER: usize = Self::ROWS;
    /// Blocks of 16 outputs of a tile.
    const BLOCKS: usize;
    /// k values of a group.
    const STEP: usize;
    /// Bytes of a group of 16 outputs in a panel.
    const GROUP: usize;
    /// Bytes of an activation in what segments point to.
    const UNIT: usize;
    /// Whether segments may point to the input itself.
    const DIRECT: bool;
    /// Whether [`finish`](Self::finish) takes i32.
    const INTEGERS: bool = false;
    /// Whether activations become tables in which sums are looked up.
    const TABLES: bool = false;
    /// Whether [`add`](Self::add) computes one row after the other, none that a tile has not.
    const ROW_BY_ROW: bool = false;
    /// Whether sums start with something on account of the weights, so that none of these
    /// can be left out.
    const STARTS: bool = false;
    /// The byte of which an image's zeros consist.
    const ZERO: u8 = 0;
    /// Bytes of a chunk's panels at most, so that they and the rows they meet stay
    /// in a cache.
    const PANELS: usize = 18 << 10;
    /// Bytes of the panels of a group of channels at most that are decoded once and
    /// kept.
    const KEPT: usize = 64 << 10;
    /// Rows of a strip at most: more of them decode panels less often. One tile is
    /// always possible.
    const STRIP: usize = 192;
    /// The same where sums wait for further chunks.
    const WAITING: usize = 192;
    /// Bytes of an image at most.
    const IMAGE: usize = 128 << 10;

    /// Whether blocks of this codec are panels already.
    fn in_place(_: Codec) -> bool {
        false
    }

    /// If `add` can decode blocks of this codec while it multiplies a strip's first rows,
    /// which hides most of it: how many rows, with so many blocks of a tile.
    fn decodes(_: Codec, _blocks: usize) -> Option<usize> {
        None
    }

    /// Brings a run of the input into the form in which segments have it.
    ///
    /// # Safety
    ///
    /// The CPU has what the variant needs; `to` has room for `UNIT` bytes for each
    /// element, and begins at a multiple of `UNIT`.
    unsafe fn prepare(x: &[Self::X], to: *mut u8);

    /// Decodes some taps and some channels of a block to a panel: `taps *
    /// channels` values of k without filler between taps, then weights of 0 up to
    /// a multiple of `STEP`. Adds to `starts` what the sums of each output are to
    /// start with on account of these weights, if that is not 0.
    ///
    /// # Safety
    ///
    /// The CPU has what the variant needs; `block` is a block of the array,
    /// `part` lies in it, its channels begin at a multiple of 16, and `panel`
    /// has room.
    unsafe fn decode(
        codec: Codec,
        matrix: &Matrix,
        block: &[u8],
        part: &Part,
        panel: *mut u8,
        starts: &mut [i32; BLOCK],
    );

    /// What [`add`](Self::add) needs to know of each row's activations, for all
    /// segments of a strip's rows.
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
    unsafe fn add(chunk: &Chunk);

    /// The epilogue of these outputs.
    ///
    /// # Safety
    ///
    /// The CPU has what the variant needs.
    unsafe fn columns<'a>(finish: &'a Finish<'a>, outputs: Range<usize>) -> Self::Columns<'a>;

    /// Finishes some rows; `sums` has rows of `BLOCKS * 16` of what
    /// [`add`](Self::add) leaves after the last chunk, of at most `k` products each.
    ///
    /// # Safety
    ///
    /// The CPU has what the variant needs; no other task has these elements.
    unsafe fn finish(columns: &Self::Columns<'_>, rows: Range<usize>, sums: *mut f32, k: usize);

    /// Computes all rows of a strip at once, epilogue included, where the tile has
    /// a faster way than [`add`](Self::add) and [`finish`](Self::finish) one after
    /// the other; otherwise does nothing and returns false. `chunk` is that of the
    /// strip's first tile, first and last of its product; the other rows' pointers and
    /// sums follow those.
    ///
    /// # Safety
    ///
    /// As for [`add`](Self::add) and [`finish`](Self::finish).
    unsafe fn strip(_chunk: &Chunk, _columns: &Self::Columns<'_>, _rows: Range<usize>) -> bool {
        false
    }
}

/// The epilogue of some outputs, without preparations.
pub(crate) struct Outputs<'a> {
    pub(crate) finish: &'a Finish<'a>,
    pub(crate) outputs: Range<usize>,
}

/// Some of a block's weights.
pub(crate) struct Part {
    pub(crate) taps: Range<usize>,
    pub(crate) channels: Range<usize>,
}

/// The activations of a tile's rows.
#[derive(Clone, Copy)]
pub(crate) struct Segments {
    /// Where each of `ROWS` rows begins; those beyond the tile's are the last one
    /// again.
    pub(crate) pointers: *const *const u8,
    /// How many bytes each segment is further on.
    pub(crate) offsets: *const usize,
    /// How many segments.
    pub(crate) count: usize,
    /// Where in each segment to begin, in bytes.
    pub(crate) offset: usize,
    /// Activations of each from there, a multiple of `STEP`.
    pub(crate) len: usize,
    /// Rows.
    pub(crate) rows: usize,
    pub(crate) border: Border,
}

/// Where a strip's rows are in their lines of outputs, and what those at a line's ends need
/// not read because it lies beyond the input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Border {
    /// Outputs of a line.
    pub(crate) width: usize,
    /// Place of the first row in its line.
    pub(crate) first: usize,
    /// Activations of a line of the kernel that the first output of a line need not read,
    /// at the start, and at the end those that the last one need not: zeros of one tap,
    /// multiples of `STEP`.
    pub(crate) ends: [usize; 2],
    /// Of how many segments a line of the kernel consists, and which of them is the first
    /// at hand.
    pub(crate) segments: usize,
    pub(crate) segment: usize,
}

impl Border {
    /// Rows that read everything.
    pub(crate) const NONE: Border = Border {
        width: usize::MAX,
        first: 0,
        ends: [0; 2],
        segments: 1,
        segment: 0,
    };

    /// What the first and the last of `count` rows from place `x` of a line on need not
    /// read.
    #[inline(always)]
    pub(crate) fn beyond(&self, x: usize, count: usize) -> [usize; 2] {
        let [left, right] = self.ends;
        [
            if x == 0 { left } else { 0 },
            if x + count == self.width { right } else { 0 },
        ]
    }
}

impl Segments {
    /// The activations that a row need not read at the start and at the end of a line of the
    /// kernel.
    #[inline(always)]
    pub(crate) fn beyond(&self, row: usize) -> [usize; 2] {
        let mut x = self.border.first + row;
        while x >= self.border.width {
            x -= self.border.width;
        }
        self.border.beyond(x, 1)
    }

    /// Of these, those in one segment.
    #[inline(always)]
    pub(crate) fn beyond_in(&self, [left, right]: [usize; 2], segment: usize) -> [usize; 2] {
        let segments = self.border.segments;
        if segments == 1 || left + right == 0 {
            return [left, right];
        }
        let at = (self.border.segment + segment) % segments;
        [
            if at == 0 { left } else { 0 },
            if at + 1 == segments { right } else { 0 },
        ]
    }

    /// The first `R` rows of one segment.
    ///
    /// # Safety
    ///
    /// `segment` is below `count`, `R` at most `ROWS`.
    #[inline(always)]
    pub(crate) unsafe fn get<const R: usize>(&self, segment: usize) -> [*const u8; R] {
        // SAFETY: the caller's promise.
        core::array::from_fn(|r| unsafe { self.row(r, segment) })
    }

    /// A row of one segment.
    ///
    /// # Safety
    ///
    /// `segment` is below `count`, `row` below `ROWS`.
    #[inline(always)]
    pub(crate) unsafe fn row(&self, row: usize, segment: usize) -> *const u8 {
        // SAFETY: ROWS pointers and `count` offsets.
        unsafe { (*self.pointers.add(row)).wrapping_add(*self.offsets.add(segment) + self.offset) }
    }
}

/// What a tile adds up in one call.
#[derive(Clone, Copy)]
pub(crate) struct Chunk {
    pub(crate) segments: Segments,
    /// The first block's panel, and the bytes from one block's to the next's.
    pub(crate) panels: *mut u8,
    pub(crate) stride: usize,
    /// Where the first block's packed weights of the chunk begin, without filler
    /// between taps, and the bytes from one block's to the next's: if not null, panels
    /// and `starts` are not there yet, and the first rows make them.
    pub(crate) packed: *const u8,
    pub(crate) packed_stride: usize,
    /// Blocks, at most `BLOCKS`.
    pub(crate) blocks: usize,
    /// What the sums of every row start with on account of this chunk, 16 for each
    /// block.
    pub(crate) starts: *mut i32,
    /// Of each of `ROWS` rows; not read before the last chunk.
    pub(crate) row_sums: *const i32,
    /// `ROWS * BLOCKS` times 64 bytes: what a tile likes between chunks, and
    /// after the last one `[rows][BLOCKS * 16]` sums as its `finish` takes them.
    pub(crate) sums: *mut u8,
    /// Whether this is the first chunk: `sums` are undefined.
    pub(crate) first: bool,
    /// Whether this is the last chunk.
    pub(crate) last: bool,
}

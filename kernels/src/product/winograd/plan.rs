//! How a convolution is cut into strips and pieces, and where the parts of a task's scratch
//! begin.

use super::{CHANNELS, LINES, Pairs, Starts};
use crate::Matrix;
use crate::conv2d::Conv2dShape;
use crate::layout::BLOCK;
use crate::par::SCRATCH_ALIGN as ALIGN;
use crate::product::tiled::Tile;
use crate::product::{Rows, Size, Split, max_k};
use core::ops::Range;

/// Fewer places, over all images, are not worth the weights' transformation.
const PLACES: usize = 16;
/// About as many strips has the share of one task of several, if it has but one tile of
/// blocks: others can take some of them.
const STRIPS: usize = 4;

/// A plan. Rows of its split are places: of every pair of lines, as many as a line has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) shape: Conv2dShape,
    pub(super) split: Split,
    /// Pairs of lines of an image, and of a strip at most.
    pub(super) image_pairs: usize,
    strip: usize,
    /// Blocks of a tile at most.
    blocks: usize,
    /// Bytes of a transformed line, and of a place of one.
    pub(super) line: usize,
    pub(super) place: usize,
    /// Channels of a chunk at most, and bytes of a block's panel of one.
    pub(super) chunk: usize,
    pub(super) panel: usize,
    /// Where these begin in scratch, behind the panels.
    pub(super) starts: usize,
    pub(super) quads: usize,
    pub(super) sums: usize,
    pub(super) image: usize,
    /// Bytes of both lines' sums of a tile.
    pub(super) tile_sums: usize,
    /// Bytes of a task's scratch.
    pub(super) task: usize,
}

/// What a piece is of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Piece {
    /// At most a tile's blocks.
    pub(super) units: Range<usize>,
    /// A strip, counted over all images.
    pub(super) pairs: Range<usize>,
}

impl Plan {
    /// `None` where this is not the way, or its scratch's size overflows.
    pub(super) fn new<P: Pairs, R: Rows>(size: &Size, rows: &R, threads: usize) -> Option<Plan> {
        let shape = rows.shape(size.rows);
        let Matrix { taps, channels, .. } = size.matrix;
        let blocks = size.matrix.blocks();
        let fits = size.codec.is_ternary()
            && shape.kernel == [3, 3]
            && shape.stride == [1, 1]
            && shape.dilation == [1, 1]
            && shape.groups == 1
            && !shape.transposed
            && channels.is_multiple_of(BLOCK)
            && channels >= P::MIN_CHANNELS
            && blocks >= P::MIN_BLOCKS
            // Twice a sum fits as well.
            && taps * channels <= max_k(size.x, size.codec) / 2;
        if !fits {
            return None;
        }
        let [height, width] = shape.output;
        let image_pairs = height.div_ceil(2);
        let places = shape.batch.checked_mul(image_pairs)?.checked_mul(width)?;
        let place = channels.checked_mul(P::Tile::UNIT)?;
        let line = width.checked_add(2)?.checked_mul(place)?;
        let most = P::IMAGE / line.checked_mul(LINES)?;
        if places < PLACES || most == 0 {
            return None;
        }
        let places = Size {
            rows: places,
            ..*size
        };
        let split = Split::new(&places, threads, width);
        let (units, share) = split.share(0);
        let mut strip = most.min(share.len() / width).max(1);
        if split.tasks > 1 && units.len() <= P::Tile::BLOCKS {
            strip = strip.min((share.len() / width).div_ceil(STRIPS));
        }

        // Bytes of a channel in a panel.
        let of_channel = LINES * 3 * P::Tile::GROUP / P::Tile::STEP;
        let blocks = blocks.min(P::Tile::BLOCKS);
        let chunk = if P::CHUNKS {
            let fitting = P::Tile::PANELS / (of_channel * blocks) / BLOCK * BLOCK;
            // As many chunks as that takes, but of like size.
            let chunks = channels.div_ceil(fitting.max(BLOCK));
            channels.div_ceil(chunks).next_multiple_of(BLOCK)
        } else {
            channels
        };
        let tile_sums = 2 * P::ROWS * P::Tile::BLOCKS * BLOCK * size_of::<f32>();
        // Those of a whole strip wait for the next chunk, and there are some to spare.
        let waiting = if chunk < channels {
            1 + (strip * width).div_ceil(P::ROWS)
        } else {
            1
        };

        let mut plan = Plan {
            shape,
            split,
            image_pairs,
            strip,
            blocks: P::Tile::BLOCKS,
            line,
            place,
            chunk,
            panel: chunk.checked_mul(of_channel)?,
            starts: 0,
            quads: 0,
            sums: 0,
            image: 0,
            tile_sums,
            task: 0,
        };
        let mut part = |bytes: usize| {
            let start = plan.task;
            let end = start.checked_add(bytes)?;
            plan.task = end.checked_next_multiple_of(ALIGN)?;
            Some(start)
        };
        part(blocks.checked_mul(plan.panel)?)?;
        plan.starts = part(blocks * size_of::<Starts>())?;
        plan.quads = part(9 * CHANNELS * BLOCK)?;
        plan.sums = part(tile_sums.checked_mul(waiting)?)?;
        plan.image = part(strip * LINES * line)?;
        Some(plan)
    }

    /// The units of a share, and its pairs.
    fn share(&self, share: usize) -> (Range<usize>, Range<usize>) {
        let (units, places) = self.split.share(share);
        let width = self.shape.output[1];
        (units, places.start / width..places.end / width)
    }

    /// How many pieces the share of a task has.
    pub(super) fn pieces(&self, share: usize) -> usize {
        let (units, pairs) = self.share(share);
        units.len().div_ceil(self.blocks) * pairs.len().div_ceil(self.strip)
    }

    /// A piece of a share: one strip after the other, and of each all tiles of blocks.
    /// Strips are of like size, and so are tiles.
    pub(super) fn piece(&self, share: usize, piece: usize) -> Piece {
        let part = |all: &Range<usize>, most: usize, i: usize| {
            let count = all.len().div_ceil(most);
            let at = |i: usize| all.start + all.len() * i / count;
            at(i)..at(i + 1)
        };
        let (units, pairs) = self.share(share);
        let tiles = units.len().div_ceil(self.blocks);
        Piece {
            units: part(&units, self.blocks, piece % tiles),
            pairs: part(&pairs, self.strip, piece / tiles),
        }
    }
}

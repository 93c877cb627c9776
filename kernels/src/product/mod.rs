//! What gemm and conv2d have in common: a product of rows of the input with
//! packed weights.
//!
//! ```text
//! for each group g, block b of 16 outputs, output row p:
//!     for each tap, channel c:                        // k ascending
//!         sums[0..16] += x[source(p, tap) + g * channels + c] * w[g][b][tap][c][0..16]
//!     y[p][outputs of b] = epilogue(sums)
//! ```
//!
//! A family says through [`Rows`] where the input of an output row lies; a
//! matrix product has one tap and rows that follow each other. A *unit* is one
//! block of one group. Work is split over units or over rows, never over k, so
//! that the number of threads does not change results.
//!
//! Integer sums are exact for at most [`max_k`] products. Beyond that a call is
//! refused; sums of valid weights then cannot overflow, and those of invalid
//! ones wrap alike in every variant.

use crate::conv2d::Conv2dShape;
use crate::epilogue::{Epilogue, Finish};
use crate::layout::{BLOCK, Matrix, Weights};
use crate::par::{share, tasks_for};
use crate::{Caps, Codec, Ctx, DType, Invalid, Variant, View, ViewMut};
use core::ops::Range;

#[cfg(any(
    target_arch = "aarch64",
    target_arch = "x86_64",
    all(target_arch = "wasm32", target_feature = "simd128")
))]
pub(crate) mod matvec;
pub(crate) mod scalar;
#[cfg(any(
    target_arch = "aarch64",
    target_arch = "x86_64",
    all(target_arch = "wasm32", target_feature = "simd128")
))]
pub(crate) mod tiled;
#[cfg(any(
    target_arch = "aarch64",
    target_arch = "x86_64",
    all(target_arch = "wasm32", target_feature = "simd128")
))]
pub(crate) mod winograd;

/// The largest number of products that a sum may have with activations of this
/// dtype and weights of this codec: `max|w| * max|x| * k` fits an i32, where
/// `max|x|` is 128 or 32768 and `max|w|` the codec's
/// [`largest`](Codec::largest) (2 for `t2`, the largest trit code). No limit for
/// f32; 0 for a pair that no product takes.
pub const fn max_k(x: DType, codec: Codec) -> usize {
    let x = match x {
        DType::F32 => return usize::MAX,
        DType::I8 => 128,
        DType::I16 => 32768,
        _ => return 0,
    };
    match codec.largest() {
        Some(w) => i32::MAX as usize / (w * x),
        None => 0,
    }
}

/// Where the input of an output row lies.
#[allow(dead_code, reason = "the scalar variant needs less")]
pub(crate) trait Rows: Copy + Sync {
    /// The convolution that this is, with so many output rows; its output
    /// channels are not known here.
    fn shape(&self, rows: usize) -> Conv2dShape;
    /// Height and width of the kernel, whose taps are counted row by row.
    fn kernel(&self) -> [usize; 2];
    /// Splits an output row's number into image, height and width.
    fn position(&self, row: usize) -> [usize; 3];
    /// The position of the row after that of `position`.
    fn after(&self, position: [usize; 3]) -> [usize; 3];
    /// Index in `x` of channel 0 of group 0 that the kernel's first tap reads,
    /// where all taps of the position lie inside of the input; the others are
    /// then [`offset`](Self::offset) away.
    fn interior(&self, position: [usize; 3]) -> Option<usize>;
    /// How far the tap in line `y` and column `x` of the kernel is from the first.
    fn offset(&self, y: usize, x: usize) -> usize;
    /// Where the input line begins that line `y` of the kernel reads, for
    /// [`source`](Self::source); `None` for zeros.
    fn line(&self, position: [usize; 3], y: usize) -> Option<usize>;
    /// Index in `x` of channel 0 of group 0 that column `x` of the kernel reads
    /// in a line; `None` for zeros.
    fn source(&self, line: usize, position: [usize; 3], x: usize) -> Option<usize>;
}

/// Sizes of a product; what scratch depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Shape of the weights; nothing in it is 0 and its bytes fit `usize`.
    pub(crate) matrix: Matrix,
    /// Output rows.
    pub(crate) rows: usize,
    /// Element type of the input.
    pub(crate) x: DType,
    /// How the weights are stored.
    pub(crate) codec: Codec,
}

impl Size {
    /// Checks what does not depend on buffers.
    pub(crate) fn new(
        matrix: Matrix,
        rows: usize,
        x: DType,
        codec: Codec,
    ) -> Result<Size, Invalid> {
        let Matrix { taps, channels, .. } = matrix;
        let k = taps.checked_mul(channels).ok_or(Invalid)?;
        let outputs = matrix.groups.checked_mul(matrix.outputs).ok_or(Invalid)?;
        let fits = matrix.len().is_some_and(|len| len > 0)
            && codec.packed_len(&matrix).is_some()
            && outputs.checked_mul(rows).is_some()
            && k <= max_k(x, codec);
        if fits {
            Ok(Size {
                matrix,
                rows,
                x,
                codec,
            })
        } else {
            Err(Invalid)
        }
    }

    /// Outputs over all groups.
    pub(crate) fn outputs(&self) -> usize {
        self.matrix.groups * self.matrix.outputs
    }
}

/// A checked product.
pub(crate) struct Problem<'a, R> {
    pub(crate) size: Size,
    pub(crate) rows: R,
    pub(crate) x: View<'a>,
    weights: &'a [u8],
    block_len: usize,
    /// The bound of integer activations; 0 where none is known.
    #[allow(dead_code, reason = "as above")]
    pub(crate) x_qmax: i32,
    /// Whether no activation is negative.
    #[allow(dead_code, reason = "as above")]
    pub(crate) x_non_negative: bool,
    pub(crate) finish: Finish<'a>,
}

impl<'a, R: Rows> Problem<'a, R> {
    /// Checks the weights, the epilogue and the output. Reads of `x` are checked
    /// by the variants, so `rows` is not trusted.
    pub(crate) fn new(
        size: Size,
        rows: R,
        x: View<'a>,
        w: &Weights<'a>,
        epilogue: &Epilogue<'a>,
        y: ViewMut<'a>,
    ) -> Result<Self, Invalid> {
        if x.dtype() != size.x || w.codec != size.codec || !w.fits(&size.matrix) {
            return Err(Invalid);
        }
        let finish = Finish::new(epilogue, w.scale, size.x, size.rows, size.outputs(), y)?;
        Ok(Problem {
            size,
            rows,
            x,
            weights: w.bytes,
            block_len: size.codec.block_len(&size.matrix).ok_or(Invalid)?,
            x_qmax: epilogue.x_qmax,
            x_non_negative: epilogue.x_non_negative,
            finish,
        })
    }

    /// The packed weights of a unit.
    pub(crate) fn block(&self, unit: usize) -> &'a [u8] {
        &self.weights[unit * self.block_len..][..self.block_len]
    }

    /// The packed weights of consecutive units.
    #[cfg(any(
        target_arch = "aarch64",
        target_arch = "x86_64",
        all(target_arch = "wasm32", target_feature = "simd128")
    ))]
    pub(crate) fn blocks(&self, units: Range<usize>) -> &'a [u8] {
        self.weights
            .get(units.start * self.block_len..units.end * self.block_len)
            .unwrap_or(&[])
    }

    /// A unit's group and its block in it.
    pub(crate) fn locate(&self, unit: usize) -> (usize, usize) {
        let blocks = self.size.matrix.blocks();
        (unit / blocks, unit % blocks)
    }

    /// First output of a unit over all groups, and how many it has.
    pub(crate) fn outputs(&self, unit: usize) -> (usize, usize) {
        let (group, block) = self.locate(unit);
        let in_group = block * BLOCK;
        (
            group * self.size.matrix.outputs + in_group,
            BLOCK.min(self.size.matrix.outputs - in_group),
        )
    }
}

/// What one variant of a family is.
pub(crate) struct Kernel<R: 'static> {
    /// Scratch bytes for this many threads; there are rows, as for `run`.
    pub(crate) scratch: fn(&Size, &R, usize) -> usize,
    /// Computes; `Invalid` where scratch is too short or not aligned. Unsafe to call
    /// without what the variant needs.
    pub(crate) run: unsafe fn(&mut Ctx<'_>, &Problem<'_, R>) -> Result<(), Invalid>,
}

/// Scratch bytes of the variant that `caps` choose.
pub(crate) fn scratch<R>(
    variants: &'static [Variant<Kernel<R>>],
    caps: Caps,
    threads: usize,
    size: &Size,
    rows: &R,
) -> usize {
    match Variant::select(variants, caps) {
        Some(variant) if size.rows > 0 => (variant.run.scratch)(size, rows, threads.max(1)),
        _ => 0,
    }
}

/// Runs the variant that `ctx.caps` choose.
pub(crate) fn run<R>(
    variants: &'static [Variant<Kernel<R>>],
    ctx: &mut Ctx<'_>,
    problem: &Problem<'_, R>,
) -> Result<(), Invalid> {
    let variant = Variant::select(variants, ctx.caps).ok_or(Invalid)?;
    if problem.size.rows == 0 {
        return Ok(());
    }
    // SAFETY: `select` chose what this CPU has.
    unsafe { (variant.run.run)(ctx, problem) }
}

/// How a product is cut into tasks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Split {
    units: usize,
    rows: usize,
    tile: usize,
    by_units: bool,
    /// Number of tasks, at least 1.
    pub(crate) tasks: usize,
}

impl Split {
    /// For a variant whose tiles have `tile` rows: the split whose longest task
    /// takes less, by these costs, in quarters of the products of a row and a unit.
    ///
    /// - Whoever splits over rows decodes all weights in every task, a unit's in
    ///   the time of half a tile.
    /// - Whoever splits over units reads all input in every task, a part of it from
    ///   another core's cache, and writes lines that others write as well. A row
    ///   takes as long as a tap of eight units, and finding it a little more.
    pub(crate) fn new(size: &Size, threads: usize, tile: usize) -> Split {
        let units = size.matrix.groups * size.matrix.blocks();
        let taps = size.matrix.taps;
        let split = |by_units: bool| {
            let items = if by_units {
                units
            } else {
                size.rows.div_ceil(tile)
            };
            Split {
                units,
                rows: size.rows,
                tile,
                by_units,
                tasks: tasks_for(threads, items),
            }
        };
        let cost = |split: &Split| {
            let costs = (0..split.tasks).map(|task| {
                let (units, rows) = split.share(task);
                let row = rows.len().saturating_mul(4).saturating_add(2 * tile);
                let products = taps.saturating_mul(units.len()).saturating_mul(row);
                let reads = taps.saturating_add(32).saturating_mul(rows.len());
                products.saturating_add(reads)
            });
            costs.max()
        };
        let by_rows = split(false);
        if threads <= 1 {
            return by_rows;
        }
        let by_units = split(true);
        if cost(&by_units) < cost(&by_rows) {
            by_units
        } else {
            by_rows
        }
    }

    /// The units and output rows of one task.
    pub(crate) fn share(&self, task: usize) -> (Range<usize>, Range<usize>) {
        if self.by_units {
            return (share(self.units, self.tasks, task), 0..self.rows);
        }
        let tiles = share(self.rows.div_ceil(self.tile), self.tasks, task);
        let rows = tiles.start * self.tile..(tiles.end * self.tile).min(self.rows);
        (0..self.units, rows)
    }
}

//! The reference, for every product and codec. Needs no scratch: a tile of
//! output rows shares each row of 16 decoded weights.
//!
//! f32: k ascending, each product rounded before it is added. A tap outside of
//! the input adds nothing.

use super::{Problem, Rows, Size, Split};
use crate::layout::{BLOCK, Block};
use crate::par::each_piece;
use crate::{Ctx, Invalid, View};
use core::ops::Range;

/// Output rows that share decoded weights.
pub(crate) const TILE: usize = 16;

/// An activation's type.
pub(crate) trait Element: Copy + Default + Sync {
    /// What it is multiplied with.
    type Weight: Copy;
    /// What the products are added to.
    type Sum: Copy + Default;

    /// The weights of 16 outputs at one k.
    fn weights(block: &Block<'_>, tap: usize, channel: usize) -> [Self::Weight; BLOCK];
    /// The weights of 16 outputs at every k, where the block has them as elements of
    /// this type, one after another.
    #[allow(dead_code, reason = "not every target has a variant that asks")]
    fn rows<'a>(_: &Block<'a>) -> Option<&'a [[Self; BLOCK]]> {
        None
    }
    /// `sum + self * w`.
    fn multiply_add(self, w: Self::Weight, sum: Self::Sum) -> Self::Sum;
    /// The sum as the epilogue takes it.
    fn finish(sum: Self::Sum) -> f32;
}

impl Element for f32 {
    type Weight = f32;
    type Sum = f32;

    #[inline(always)]
    fn weights(block: &Block<'_>, tap: usize, channel: usize) -> [f32; BLOCK] {
        block.values(tap, channel)
    }

    #[inline(always)]
    fn multiply_add(self, w: f32, sum: f32) -> f32 {
        sum + self * w
    }

    #[inline(always)]
    fn finish(sum: f32) -> f32 {
        sum
    }
}

macro_rules! integer {
    ($t:ty $(, $rows:ident)?) => {
        impl Element for $t {
            type Weight = i16;
            type Sum = i32;

            #[inline(always)]
            fn weights(block: &Block<'_>, tap: usize, channel: usize) -> [i16; BLOCK] {
                block.integers(tap, channel)
            }

            $(fn rows<'a>(block: &Block<'a>) -> Option<&'a [[$t; BLOCK]]> {
                block.$rows()
            })?

            #[inline(always)]
            fn multiply_add(self, w: i16, sum: i32) -> i32 {
                // |self * w| <= 32768 * 128.
                sum.wrapping_add(i32::from(self) * i32::from(w))
            }

            #[inline(always)]
            fn finish(sum: i32) -> f32 {
                sum as f32
            }
        }
    };
}
integer!(i16);
integer!(i8, bytes);

/// No scratch.
pub(crate) fn scratch<R>(_: &Size, _: &R, _: usize) -> usize {
    0
}

/// Computes the product.
pub(crate) fn run<R: Rows>(ctx: &mut Ctx<'_>, problem: &Problem<'_, R>) -> Result<(), Invalid> {
    match problem.x {
        View::F32(x) => run_typed(ctx, problem, x),
        View::I16(x) => run_typed(ctx, problem, x),
        View::I8(x) => run_typed(ctx, problem, x),
        _ => return Err(Invalid),
    }
    Ok(())
}

fn run_typed<T: Element, R: Rows>(ctx: &mut Ctx<'_>, problem: &Problem<'_, R>, x: &[T]) {
    let split = Split::new(&problem.size, ctx.threads(), TILE);
    let units = |task: usize| split.share(task).0.len();
    each_piece(ctx.par, split.tasks, &units, &|_, pieces| {
        for (task, piece) in pieces {
            let (units, rows) = split.share(task);
            for first in rows.clone().step_by(TILE) {
                let rows = first..rows.end.min(first + TILE);
                tile(problem, x, units.start + piece, rows);
            }
        }
    });
}

/// The outputs of one unit in at most [`TILE`] rows.
fn tile<T: Element, R: Rows>(problem: &Problem<'_, R>, x: &[T], unit: usize, rows: Range<usize>) {
    let matrix = &problem.size.matrix;
    let block = Block::new(problem.size.codec, matrix, problem.block(unit));
    let (group, _) = problem.locate(unit);
    let [height, width] = problem.rows.kernel();
    let mut positions = [[0; 3]; TILE];
    for (position, row) in positions.iter_mut().zip(rows.clone()) {
        *position = problem.rows.position(row);
    }
    let mut sums = [[T::Sum::default(); BLOCK]; TILE];
    for tap in 0..height * width {
        let mut sources: [&[T]; TILE] = [&[]; TILE];
        for (source, position) in sources.iter_mut().zip(&positions[..rows.len()]) {
            *source = problem
                .rows
                .line(*position, tap / width)
                .and_then(|line| problem.rows.source(line, *position, tap % width))
                .and_then(|at| {
                    x.get(at + group * matrix.channels..)?
                        .get(..matrix.channels)
                })
                .unwrap_or(&[]);
        }
        for channel in 0..matrix.channels {
            let weights = T::weights(&block, tap, channel);
            for (sums, source) in sums.iter_mut().zip(&sources) {
                if let Some(x) = source.get(channel) {
                    for (sum, w) in sums.iter_mut().zip(weights) {
                        *sum = x.multiply_add(w, *sum);
                    }
                }
            }
        }
    }
    let (first, count) = problem.outputs(unit);
    for (row, sums) in rows.zip(&sums) {
        let mut sums = sums.map(T::finish);
        // SAFETY: pieces have disjoint units or disjoint rows.
        unsafe { problem.finish.scalar(row, first, &mut sums[..count]) };
    }
}

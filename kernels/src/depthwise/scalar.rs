//! The reference. Needs no scratch: a tile of output positions shares each row
//! of 16 decoded weights.

use super::{Kernel, Problem};
use crate::layout::{BLOCK, Block};
use crate::par::each_piece;
use crate::product::scalar::Element;
use crate::product::{Rows, Split};
use crate::{Caps, Ctx, Invalid, Variant, View};
use core::ops::Range;

/// Row of the family's table.
pub(super) const VARIANT: Variant<Kernel> = Variant {
    name: "scalar",
    needs: Caps::SCALAR,
    run: Kernel {
        scratch: |_, _, _| 0,
        run,
    },
};

/// Output positions that share decoded weights.
const TILE: usize = 16;

pub(super) fn run(ctx: &mut Ctx<'_>, problem: &Problem<'_>) -> Result<(), Invalid> {
    match problem.x {
        View::F32(x) => run_typed(ctx, problem, x),
        View::I16(x) => run_typed(ctx, problem, x),
        View::I8(x) => run_typed(ctx, problem, x),
        _ => return Err(Invalid),
    }
    Ok(())
}

fn run_typed<T: Element>(ctx: &mut Ctx<'_>, problem: &Problem<'_>, x: &[T]) {
    let split = Split::new(&problem.size, ctx.threads(), TILE);
    let blocks = |task: usize| split.share(task).0.len();
    each_piece(ctx.par, split.tasks, &blocks, &|_, pieces| {
        for (task, piece) in pieces {
            let (blocks, rows) = split.share(task);
            for first in rows.clone().step_by(TILE) {
                let rows = first..rows.end.min(first + TILE);
                tile(problem, x, blocks.start + piece, rows);
            }
        }
    });
}

/// Sixteen channels, or the last ones, of at most [`TILE`] output positions.
fn tile<T: Element>(problem: &Problem<'_>, x: &[T], block: usize, rows: Range<usize>) {
    let weights = Block::new(
        problem.size.codec,
        &problem.size.matrix,
        problem.block(block),
    );
    let first = block * BLOCK;
    let count = BLOCK.min(problem.size.matrix.outputs - first);
    let [height, width] = problem.kernel;
    let mut sums = [[T::Sum::default(); BLOCK]; TILE];
    for tap in 0..height * width {
        let weights = T::weights(&weights, 0, tap);
        for (sums, row) in sums.iter_mut().zip(rows.clone()) {
            let position = problem.rows.position(row);
            let x = problem
                .rows
                .line(position, tap / width)
                .and_then(|line| problem.rows.source(line, position, tap % width))
                .and_then(|at| x.get(at + first..)?.get(..count));
            for ((sum, w), x) in sums.iter_mut().zip(weights).zip(x.unwrap_or(&[])) {
                *sum = x.multiply_add(w, *sum);
            }
        }
    }
    for (row, sums) in rows.zip(&sums) {
        let mut sums = sums.map(T::finish);
        // SAFETY: pieces have disjoint blocks or disjoint rows.
        unsafe { problem.finish.scalar(row, first, &mut sums[..count]) };
    }
}

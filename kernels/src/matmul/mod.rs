//! Batched product of two f32 matrices that are both computed at run time.

use crate::par::{Shared, each_piece, share, tasks_for};
use crate::{Ctx, Invalid, Variant};
use core::ops::Range;

mod scalar;
#[cfg(target_arch = "x86_64")]
mod x86_avx2;

#[cfg(test)]
mod tests;

/// Every implementation, best first.
static VARIANTS: &[Variant<Kernel>] = &[
    #[cfg(target_arch = "x86_64")]
    x86_avx2::VARIANT,
    scalar::VARIANT,
];

/// Computes a tile of one product. Unsafe to call without what the variant needs.
type Kernel = unsafe fn(&Product<'_>, &mut Tile<'_>);

/// Shape of a batched product, `a[b, m, k] * b[b, k, n]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatMulShape {
    /// Number of products.
    pub batch: usize,
    /// Rows of `a` and `y`.
    pub m: usize,
    /// Columns of `a`, rows of `b`.
    pub k: usize,
    /// Columns of `b` and `y`.
    pub n: usize,
    /// Whether `a` has one matrix for all of the batch.
    pub broadcast_a: bool,
    /// Whether `b` has one matrix for all of the batch.
    pub broadcast_b: bool,
    /// Whether each `a` is stored `[k, m]`.
    pub transpose_a: bool,
    /// Whether each `b` is stored `[n, k]`.
    pub transpose_b: bool,
}

impl MatMulShape {
    /// Elements of `a`, `b` and `y`; `None` where one overflows.
    fn lens(&self) -> Option<[usize; 3]> {
        let matrices = |broadcast| if broadcast { 1 } else { self.batch };
        let a = self.m.checked_mul(self.k)?;
        let b = self.k.checked_mul(self.n)?;
        let y = self.m.checked_mul(self.n)?;
        Some([
            a.checked_mul(matrices(self.broadcast_a))?,
            b.checked_mul(matrices(self.broadcast_b))?,
            y.checked_mul(self.batch)?,
        ])
    }
}

/// One product of the batch. `a[m, k]` and `b[k, n]` are read through strides:
/// `a[i * a_steps[0] + k * a_steps[1]]` and `b[k * b_steps[0] + j * b_steps[1]]`.
struct Product<'a> {
    a: &'a [f32],
    a_steps: [usize; 2],
    b: &'a [f32],
    b_steps: [usize; 2],
    k: usize,
}

/// Part of one product's `y`, to which its task alone writes.
struct Tile<'a> {
    rows: Range<usize>,
    columns: Range<usize>,
    /// The product's `y`.
    y: Shared<'a, f32>,
    /// Columns of `y`.
    n: usize,
}

impl Tile<'_> {
    /// `len` columns from `column` on of a row, or fewer at the tile's end.
    fn row(&mut self, row: usize, column: usize, len: usize) -> &mut [f32] {
        let len = len.min(self.columns.end - column);
        let start = row * self.n + column;
        // SAFETY: `run` gives every tile to one task only, tiles do not overlap,
        // and the result borrows the tile.
        unsafe { self.y.part(start..start + len) }
    }
}

/// Columns of the tiles that tasks are made of.
const TILE_COLUMNS: usize = 64;

/// Computes `y[batch, m, n]`. Each sum runs over ascending k; without any it
/// is 0.
pub fn run(
    ctx: &mut Ctx<'_>,
    shape: &MatMulShape,
    a: &[f32],
    b: &[f32],
    y: &mut [f32],
) -> Result<(), Invalid> {
    if shape.lens() != Some([a.len(), b.len(), y.len()]) {
        return Err(Invalid);
    }
    let variant = Variant::select(VARIANTS, ctx.caps).ok_or(Invalid)?;
    if y.is_empty() {
        return Ok(());
    }
    let MatMulShape { batch, m, k, n, .. } = *shape;
    let threads = ctx.threads();
    let columns = n.div_ceil(TILE_COLUMNS);
    // Rows are cut only where there are too few products and columns.
    let rows = tasks_for(threads.div_ceil(batch * columns), m);
    let tiles = batch * columns * rows;
    let tasks = tasks_for(threads, tiles);
    let y = Shared::new(y);
    let mine = |task: usize| share(tiles, tasks, task);
    each_piece(ctx.par, tasks, &|t| mine(t).len(), &|_, pieces| {
        for (task, piece) in pieces {
            let tile = mine(task).start + piece;
            let (rest, column) = (tile / columns, tile % columns);
            let (index, row) = (rest / rows, rest % rows);
            let a_index = if shape.broadcast_a { 0 } else { index };
            let b_index = if shape.broadcast_b { 0 } else { index };
            let product = Product {
                a: &a[a_index * m * k..][..m * k],
                a_steps: if shape.transpose_a { [1, m] } else { [k, 1] },
                b: &b[b_index * k * n..][..k * n],
                b_steps: if shape.transpose_b { [1, k] } else { [n, 1] },
                k,
            };
            let first = column * TILE_COLUMNS;
            let mut tile = Tile {
                rows: share(m, rows, row),
                columns: first..n.min(first + TILE_COLUMNS),
                y: y.narrow(index * m * n..(index + 1) * m * n),
                n,
            };
            // SAFETY: `select` chose what this CPU has.
            unsafe { (variant.run)(&product, &mut tile) };
        }
    });
    Ok(())
}

//! Tiles that multiply: a few output rows x one block.
//!
//! Bounds on the way are those of each [`Integers`]. i32 sums wrap, which
//! [`max_k`](crate::max_k) excludes for valid weights. f32: one multiply-add a
//! product, k ascending.

use super::panel::Form;
use super::{Integers, QUARTERS, Registers};
use crate::layout::BLOCK;
use crate::product::tiled::Chunk;

/// Makes a tile: `tile!(FEATURES, REGISTERS, NAME: X => ROW, ROWS, PANEL, ADD, { ITEMS })`.
/// `ADD` is the [`Tile::add`] to inline; the items go into the `impl`.
///
/// [`Tile::add`]: crate::product::tiled::Tile::add
macro_rules! tile {
    (
        $features:literal, $registers:ty, $name:ident: $x:ty => $row:ty, $rows:expr,
        $panel:ty, $add:path,
        { $($more:item)* }
    ) => {
        impl $crate::product::tiled::Tile for $name {
            type X = $x;
            type Columns<'a> = $crate::product::tiled::Outputs<'a>;
            const ROWS: usize = $rows;
            const BLOCKS: usize = 1;
            const STEP: usize = <$panel as $crate::isa::v128::panel::Form>::STEP;
            const GROUP: usize = <$panel as $crate::isa::v128::panel::Form>::GROUP;
            const UNIT: usize = size_of::<$row>();
            const DIRECT: bool = size_of::<$x>() == size_of::<$row>();

            #[target_feature(enable = $features)]
            unsafe fn prepare(x: &[$x], to: *mut u8) {
                let to = to.cast::<$row>();
                for (i, x) in x.iter().enumerate() {
                    // SAFETY: the caller's promise.
                    unsafe { to.add(i).write(<$row>::from(*x)) };
                }
            }

            #[target_feature(enable = $features)]
            unsafe fn decode(
                codec: $crate::Codec,
                matrix: &$crate::Matrix,
                block: &[u8],
                part: &$crate::product::tiled::Part,
                panel: *mut u8,
                _: &mut [i32; $crate::layout::BLOCK],
            ) {
                // SAFETY: the caller's promises are the same.
                unsafe {
                    $crate::isa::v128::panel::decode::<$registers, $panel>(codec, matrix, block, part, panel)
                };
            }

            #[target_feature(enable = $features)]
            unsafe fn add(chunk: &$crate::product::tiled::Chunk) {
                // SAFETY: the caller's promises are the same.
                unsafe { $add(chunk) };
            }

            unsafe fn columns<'a>(
                finish: &'a $crate::epilogue::Finish<'a>,
                outputs: core::ops::Range<usize>,
            ) -> $crate::product::tiled::Outputs<'a> {
                $crate::product::tiled::Outputs { finish, outputs }
            }

            #[target_feature(enable = $features)]
            unsafe fn finish(
                columns: &$crate::product::tiled::Outputs<'_>,
                rows: core::ops::Range<usize>,
                sums: *mut f32,
                _: usize,
            ) {
                const STRIDE: usize = $crate::layout::BLOCK;
                let outputs = columns.outputs.clone();
                // SAFETY: the caller's promises; a row of sums has all blocks.
                unsafe { columns.finish.v128::<$registers>(rows, outputs, sums, STRIDE) };
            }

            $($more)*
        }
    };
}
pub(crate) use tile;

/// Adds a chunk's products of f32.
///
/// # Safety
///
/// As for [`Tile::add`](crate::product::tiled::Tile::add), with `ROWS` as there,
/// at most 6.
#[inline(always)]
pub(crate) unsafe fn add_floats<V: Registers, const ROWS: usize>(chunk: &Chunk) {
    // SAFETY: the caller's promises; the segments have that many rows.
    unsafe {
        match chunk.segments.rows {
            1 => floats::<V, 1, ROWS>(chunk),
            2 => floats::<V, 2, ROWS>(chunk),
            3 => floats::<V, 3, ROWS>(chunk),
            4 => floats::<V, 4, ROWS>(chunk),
            5 => floats::<V, 5, ROWS>(chunk),
            _ => floats::<V, 6, ROWS>(chunk),
        }
    }
}

/// Adds a chunk's products of integers; `EXCESS` where the panel's weights are
/// one more than the weights.
///
/// # Safety
///
/// As for [`add_floats`].
#[inline(always)]
pub(crate) unsafe fn add_integers<
    V: Registers,
    N: Integers<V>,
    const ROWS: usize,
    const EXCESS: bool,
>(
    chunk: &Chunk,
) {
    // SAFETY: the caller's promises; the segments have that many rows.
    unsafe {
        match chunk.segments.rows {
            1 => integers::<V, N, 1, ROWS, EXCESS>(chunk),
            2 => integers::<V, N, 2, ROWS, EXCESS>(chunk),
            3 => integers::<V, N, 3, ROWS, EXCESS>(chunk),
            4 => integers::<V, N, 4, ROWS, EXCESS>(chunk),
            5 => integers::<V, N, 5, ROWS, EXCESS>(chunk),
            _ => integers::<V, N, 6, ROWS, EXCESS>(chunk),
        }
    }
}

/// # Safety
///
/// As for [`add_floats`], with `R` rows; nothing if these are more than `ROWS`.
#[inline(always)]
unsafe fn floats<V: Registers, const R: usize, const ROWS: usize>(chunk: &Chunk) {
    if R > ROWS {
        return;
    }
    let waiting = chunk.sums.cast::<f32>();
    let zeros = [0.0; 4];
    // SAFETY: the caller promises room for R rows.
    let mut sums: [[V::F; QUARTERS]; R] = core::array::from_fn(|r| {
        core::array::from_fn(|q| unsafe {
            V::load_f32(if chunk.first {
                zeros.as_ptr()
            } else {
                waiting.add(r * BLOCK + 4 * q)
            })
        })
    });
    let mut weights = chunk.panels.cast::<f32>();
    for segment in 0..chunk.segments.count {
        // SAFETY: segment < count.
        let x = unsafe { chunk.segments.get::<R>(segment) };
        for k in 0..chunk.segments.len {
            // SAFETY: the panel has a row of 16 for every k of every segment, and
            // every row of x has len elements.
            unsafe {
                let w: [V::F; QUARTERS] = core::array::from_fn(|q| V::load_f32(weights.add(4 * q)));
                weights = weights.add(BLOCK);
                for (x, sums) in x.iter().zip(&mut sums) {
                    let x = *x.cast::<f32>().add(k);
                    for (sum, w) in sums.iter_mut().zip(w) {
                        *sum = V::multiply_add(*sum, w, x);
                    }
                }
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        for (q, sum) in sums.iter().enumerate() {
            // SAFETY: as above.
            unsafe { V::store_f32(waiting.add(r * BLOCK + 4 * q), *sum) };
        }
    }
}

/// # Safety
///
/// As for [`add_integers`], with `R` rows; nothing if these are more than `ROWS`.
#[inline(always)]
unsafe fn integers<
    V: Registers,
    N: Integers<V>,
    const R: usize,
    const ROWS: usize,
    const EXCESS: bool,
>(
    chunk: &Chunk,
) {
    /// Bytes of a group of a panel, and of its activations.
    const GROUP: usize = 16 * QUARTERS;
    const ACTIVATIONS: usize = 4;

    if R > ROWS {
        return;
    }
    // SAFETY: the caller's promises, to the end of the function.
    unsafe {
        let mut sums = [[N::zero(); R]; QUARTERS];
        let mut first = chunk.first;
        let mut pending = 0;
        let mut weights = chunk.panels;
        let groups = chunk.segments.len / <N::Panel as Form>::STEP;
        for segment in 0..chunk.segments.count {
            let x = chunk.segments.get::<R>(segment);
            let mut group = 0;
            while group < groups {
                let end = groups.min(group.saturating_add(N::NARROW - pending));
                pending += end - group;
                for group in group..end {
                    // len is a multiple of a group's k.
                    let x: [V::I; R] =
                        core::array::from_fn(|r| V::splat(x[r].add(group * ACTIVATIONS)));
                    for (q, sums) in sums.iter_mut().enumerate() {
                        // The panel has 64 bytes for every group of every segment.
                        let w = V::load(weights.add(16 * q));
                        for (sum, x) in sums.iter_mut().zip(x) {
                            *sum = N::add(*sum, w, x);
                        }
                    }
                    weights = weights.add(GROUP);
                }
                group = end;
                if pending == N::NARROW {
                    // Of a copy, so that the sums stay in registers.
                    let done = sums;
                    for r in 0..R {
                        settle(chunk, r, first, None, widened::<V, N, R>(&done, r));
                    }
                    sums = [[N::zero(); R]; QUARTERS];
                    (pending, first) = (0, false);
                }
            }
        }
        let done = sums;
        for r in 0..R {
            let excess = if EXCESS { *chunk.row_sums.add(r) } else { 0 };
            let last = chunk.last.then_some(excess);
            settle(chunk, r, first, last, widened::<V, N, R>(&done, r));
        }
    }
}

/// The sums of row `r`.
///
/// # Safety
///
/// As for [`Registers`].
#[inline(always)]
unsafe fn widened<V: Registers, N: Integers<V>, const R: usize>(
    sums: &[[N::Sum; R]; QUARTERS],
    r: usize,
) -> [i32; BLOCK] {
    let mut wide = [0; BLOCK];
    for (sums, to) in sums.iter().zip(wide.as_chunks_mut::<4>().0) {
        // SAFETY: 16 bytes; the caller's promise.
        unsafe { V::store(to.as_mut_ptr().cast(), N::widen(sums[r])) };
    }
    wide
}

/// Adds to the sums of a row that wait, or makes them if they are the `first`.
/// With `Some` excess these are the last: it is taken off, and f32 are stored.
///
/// # Safety
///
/// The chunk has room for the row's sums.
#[inline(always)]
pub(crate) unsafe fn settle(
    chunk: &Chunk,
    r: usize,
    first: bool,
    last: Option<i32>,
    mut sums: [i32; BLOCK],
) {
    let row = chunk.sums.cast::<[i32; BLOCK]>();
    // SAFETY: the caller's promise.
    unsafe {
        if !first {
            for (sum, waiting) in sums.iter_mut().zip(row.add(r).read()) {
                *sum = sum.wrapping_add(waiting);
            }
        }
        match last {
            Some(excess) => {
                let floats = sums.map(|sum| sum.wrapping_sub(excess) as f32);
                row.add(r).cast::<[f32; BLOCK]>().write(floats);
            }
            None => row.add(r).write(sums),
        }
    }
}

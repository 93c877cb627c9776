//! Two lines of a 3x3 convolution at a time by the products of a [`Tile`] whose waiting
//! sums are `[ROWS][BLOCKS * 16]` i32 or f32, to which products are added and nothing else:
//! neither a chunk's `starts` nor its `row_sums` are read.
//!
//! What transforms is to be inlined into functions that have the instruction set's
//! features; the tile's products have them anyway.

use super::{LINES, PairTile};
use crate::layout::BLOCK;
use crate::product::tiled::{Border, Chunk, Segments, Tile};

/// Elements that are transformed at a time, of which channels are a multiple.
const STEP: usize = 16;

/// Activations that are transformed to their own type.
pub(crate) trait Element: Copy + Default {
    /// What products add up to.
    type Sum: Sum;
    /// What is added to transformed lines so that they fit, if activations cannot be
    /// negative.
    const EXCESS: [i32; LINES];
    /// Whether activations may be negative.
    const NEGATIVE: bool;

    /// Transforms a column of input.
    fn transform(d: [Self; LINES]) -> [Self; LINES];
}

impl Element for i16 {
    type Sum = i32;
    const EXCESS: [i32; LINES] = [0, i16::MIN as i32, 0, 0];
    const NEGATIVE: bool = false;

    #[inline(always)]
    fn transform(d: [i16; LINES]) -> [i16; LINES] {
        [
            d[0].wrapping_sub(d[2]),
            d[1].wrapping_add(d[2]).wrapping_add(i16::MIN),
            d[2].wrapping_sub(d[1]),
            d[3].wrapping_sub(d[1]),
        ]
    }
}

impl Element for f32 {
    type Sum = f32;
    const EXCESS: [i32; LINES] = [0; LINES];
    const NEGATIVE: bool = true;

    #[inline(always)]
    fn transform(d: [f32; LINES]) -> [f32; LINES] {
        [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[3] - d[1]]
    }
}

/// Sums of products, which wrap if they are integers.
pub(crate) trait Sum: Copy {
    /// Of bits that are an i32.
    fn of(start: i32) -> Self;
    /// `self + other`.
    fn plus(self, other: Self) -> Self;
    /// `self - other`.
    fn minus(self, other: Self) -> Self;
    /// The bits of half of it, which is an integer if this is: an i32 if `INTEGER`,
    /// else an f32.
    fn half<const INTEGER: bool>(self) -> u32;
}

impl Sum for i32 {
    #[inline(always)]
    fn of(start: i32) -> i32 {
        start
    }

    #[inline(always)]
    fn plus(self, other: i32) -> i32 {
        self.wrapping_add(other)
    }

    #[inline(always)]
    fn minus(self, other: i32) -> i32 {
        self.wrapping_sub(other)
    }

    #[inline(always)]
    fn half<const INTEGER: bool>(self) -> u32 {
        if INTEGER {
            (self >> 1) as u32
        } else {
            ((self >> 1) as f32).to_bits()
        }
    }
}

impl Sum for f32 {
    #[inline(always)]
    fn of(start: i32) -> f32 {
        start as f32
    }

    #[inline(always)]
    fn plus(self, other: f32) -> f32 {
        self + other
    }

    #[inline(always)]
    fn minus(self, other: f32) -> f32 {
        self - other
    }

    #[inline(always)]
    fn half<const INTEGER: bool>(self) -> u32 {
        (self * 0.5).to_bits()
    }
}

/// Makes [`Pairs`](super::Pairs): `by_tile!(FEATURES, NAME, TILE, ELEMENT, DECODE)`, of that
/// tile's products, and with a function that decodes weights for an excess.
macro_rules! by_tile {
    ($features:literal, $name:ident, $tile:ty, $element:ty, $decode:path) => {
        /// Two lines of a 3x3 convolution at a time.
        pub(crate) enum $name {}

        impl $crate::product::winograd::Pairs for $name {
            type Tile = $tile;
            const ROWS: usize = <$tile as $crate::product::tiled::Tile>::ROWS;
            // A chunk's channels are a part of it.
            const IMAGE: usize = 2 * <$tile as $crate::product::tiled::Tile>::IMAGE;
            const CHUNKS: bool = true;
            const NEGATIVE: bool =
                <$element as $crate::product::winograd::by_tile::Element>::NEGATIVE;

            #[target_feature(enable = $features)]
            unsafe fn transform(
                lines: [Option<&[$element]>; $crate::product::winograd::LINES],
                len: usize,
                to: [*mut u8; $crate::product::winograd::LINES],
            ) {
                use $crate::product::winograd::by_tile::{Element, transform};
                // SAFETY: the caller's promises are the same.
                unsafe { transform(lines, len, to, <$element>::transform) };
            }

            #[target_feature(enable = $features)]
            unsafe fn decode(
                kernels: &$crate::product::winograd::Kernels<'_>,
                quads: *mut u8,
                panel: *mut u8,
                starts: &mut $crate::product::winograd::Starts,
            ) {
                use $crate::product::winograd::by_tile::Element;
                // SAFETY: the caller's promises are the same.
                unsafe { $decode(kernels, quads, panel, starts, <$element>::EXCESS) };
            }

            #[target_feature(enable = $features)]
            unsafe fn sums(tile: &$crate::product::winograd::PairTile, sums: [*mut f32; 2]) {
                use $crate::product::winograd::by_tile::{Element, sums as add};
                // SAFETY: the caller's promises are the same.
                unsafe { add::<$tile, <$element as Element>::Sum>(tile, sums) };
            }
        }
    };
}
pub(crate) use by_tile;

/// [`Pairs::transform`](super::Pairs::transform), with what transforms a column.
///
/// # Safety
///
/// As for that; what `column` makes is as large as the tile's activations.
#[inline(always)]
pub(crate) unsafe fn transform<X: Copy + Default, V: Copy + Default>(
    lines: [Option<&[X]>; LINES],
    len: usize,
    to: [*mut u8; LINES],
    column: impl Fn([X; LINES]) -> [V; LINES],
) {
    for at in (0..len).step_by(STEP) {
        let mut d = [[X::default(); STEP]; LINES];
        for (d, line) in d.iter_mut().zip(lines) {
            if let Some(line) = line.and_then(|line| line.get(at..)?.first_chunk()) {
                *d = *line;
            }
        }
        let mut v = [[V::default(); STEP]; LINES];
        for i in 0..STEP {
            let column = column([d[0][i], d[1][i], d[2][i], d[3][i]]);
            for (v, column) in v.iter_mut().zip(column) {
                v[i] = column;
            }
        }
        for (to, v) in to.into_iter().zip(v) {
            // SAFETY: the caller's promise.
            unsafe {
                to.cast::<V>()
                    .add(at)
                    .cast::<[V; STEP]>()
                    .write_unaligned(v)
            };
        }
    }
}

/// [`Pairs::sums`](super::Pairs::sums).
///
/// # Safety
///
/// As for that; the tile's sums are such.
#[inline(always)]
pub(crate) unsafe fn sums<T: Tile, S: Sum>(tile: &PairTile, [upper, lower]: [*mut f32; 2]) {
    let add = |line: usize, part: usize, sums: *mut [S; BLOCK]| {
        let offsets = [0, 1, 2].map(|x| line * tile.line + x * tile.column);
        let panels = tile.panels.wrapping_add(part * (tile.stride / LINES));
        // SAFETY: the caller's promises; sums wait there.
        unsafe {
            T::add(&Chunk {
                segments: Segments {
                    pointers: tile.places.as_ptr(),
                    offsets: offsets.as_ptr(),
                    count: tile.segments,
                    offset: 0,
                    len: tile.len,
                    rows: tile.rows,
                    border: Border::NONE,
                },
                panels: panels.cast_mut(),
                stride: tile.stride,
                blocks: tile.blocks,
                sums: sums.cast(),
                packed: core::ptr::null(),
                packed_stride: 0,
                starts: core::ptr::null_mut(),
                row_sums: core::ptr::null(),
                first: false,
                last: false,
            });
        }
    };
    let [upper, lower] = [upper, lower].map(|sums| sums.cast::<[S; BLOCK]>());
    // The first sums need not wait for others.
    let [m2, m1] = if tile.first {
        [upper, lower]
    } else {
        tile.spare.map(|sums| sums.cast::<[S; BLOCK]>())
    };
    // Rows that the tile has not are computed as well.
    let places =
        |rows: usize| (0..rows).flat_map(|r| (0..tile.blocks).map(move |b| (r * T::BLOCKS + b, b)));
    // SAFETY: the caller's promises: room for each row's sums, to the end.
    unsafe {
        for (i, b) in places(T::ROWS) {
            let [start1, start2] = *tile.starts.add(b);
            m1.add(i).write(start1.map(S::of));
            m2.add(i).write(start2.map(S::of));
        }
        add(1, 0, m1);
        add(2, 1, m2);
        for (i, _) in places(T::ROWS) {
            let (one, two) = (m1.add(i).read(), m2.add(i).read());
            let (mut plus, mut minus) = (one, one);
            for o in 0..BLOCK {
                plus[o] = one[o].plus(two[o]);
                minus[o] = one[o].minus(two[o]);
            }
            if !tile.first {
                let (above, below) = (upper.add(i).read(), lower.add(i).read());
                for o in 0..BLOCK {
                    plus[o] = plus[o].plus(above[o]);
                    minus[o] = minus[o].plus(below[o]);
                }
            }
            upper.add(i).write(plus);
            lower.add(i).write(minus);
        }
        add(0, 2, upper);
        add(3, 3, lower);
        if tile.last {
            for sums in [upper, lower] {
                for (i, _) in places(tile.rows) {
                    let row = sums.add(i);
                    let halves = row.read().map(|sum| {
                        if T::INTEGERS {
                            sum.half::<true>()
                        } else {
                            sum.half::<false>()
                        }
                    });
                    row.cast::<[u32; BLOCK]>().write(halves);
                }
            }
        }
    }
}

//! Two lines of a 3x3 convolution at a time by the products of a tile: see
//! [`product::winograd`](crate::product::winograd).
//!
//! What is inlined into a function that has the features has none itself.

use super::codes::Quads;
use super::panel::Form;
use super::{Integers, QUARTERS, Registers, fours};
use crate::layout::BLOCK;
use crate::product::tiled::Tile;
use crate::product::winograd::{self, Kernels, LINES, Starts, by_tile};
use core::marker::PhantomData;
use core::ops::Range;

/// What is added to transformed lines so that they are signed bytes.
#[allow(dead_code, reason = "not every instruction set multiplies these")]
pub(crate) const SIGNED: [i16; LINES] = [0, -128, 0, 0];
/// The same for unsigned bytes.
#[allow(dead_code, reason = "not every instruction set multiplies these")]
pub(crate) const UNSIGNED: [i16; LINES] = [128, 0, 128, 128];

/// As `N`, with room for the products of other weights.
#[allow(dead_code, reason = "not every tile needs it")]
pub(crate) struct Room<N, const NARROW: usize>(PhantomData<N>);

impl<V: Registers, N: Integers<V>, const NARROW: usize> Integers<V> for Room<N, NARROW> {
    type Sum = N::Sum;
    type Panel = N::Panel;
    const NARROW: usize = NARROW;

    super::operations! {
        fn zero() -> N::Sum { N::zero() }
        fn add(sum: N::Sum, w: V::I, x: V::I) -> N::Sum { N::add(sum, w, x) }
        fn widen(sum: N::Sum) -> V::I { N::widen(sum) }
    }
}

/// Makes [`Pairs`](crate::product::winograd::Pairs): `line_pairs!(FEATURES, REGISTERS, NAME,
/// TILE, PANEL, EXCESS)`, with products of that tile, which have room for weights of at
/// most 6, and what is added to transformed lines.
macro_rules! line_pairs {
    ($features:literal, $registers:ty, $name:ident, $tile:ty, $panel:ty, $excess:expr) => {
        /// Two lines of a 3x3 convolution at a time.
        pub(crate) enum $name {}

        impl $crate::product::winograd::Pairs for $name {
            type Tile = $tile;
            const ROWS: usize = <$tile as $crate::product::tiled::Tile>::ROWS;
            const MIN_CHANNELS: usize = 32;

            #[target_feature(enable = $features)]
            unsafe fn transform(
                lines: [Option<&[i8]>; $crate::product::winograd::LINES],
                len: usize,
                to: [*mut u8; $crate::product::winograd::LINES],
            ) {
                // SAFETY: the caller's promises are the same.
                unsafe { $crate::isa::v128::pairs::transform::<$tile>(lines, len, to, $excess) };
            }

            #[target_feature(enable = $features)]
            unsafe fn decode(
                kernels: &$crate::product::winograd::Kernels<'_>,
                quads: *mut u8,
                panel: *mut u8,
                starts: &mut $crate::product::winograd::Starts,
            ) {
                // SAFETY: the caller's promises are the same.
                unsafe {
                    $crate::isa::v128::pairs::decode::<$registers, $panel>(
                        kernels,
                        quads,
                        panel,
                        starts,
                        $excess.map(i32::from),
                    )
                };
            }

            unsafe fn sums(tile: &$crate::product::winograd::PairTile, sums: [*mut f32; 2]) {
                // SAFETY: the caller's promises are the same.
                unsafe { $crate::product::winograd::by_tile::sums::<$tile, i32>(tile, sums) };
            }
        }
    };
}
pub(crate) use line_pairs;

/// [`Pairs::transform`](crate::product::winograd::Pairs::transform).
///
/// # Safety
///
/// As for that.
#[inline(always)]
pub(crate) unsafe fn transform<T: Tile>(
    lines: [Option<&[i8]>; LINES],
    len: usize,
    to: [*mut u8; LINES],
    excess: [i16; LINES],
) {
    let column = |d: [i8; LINES]| {
        let d = d.map(i16::from);
        [
            d[0] - d[2] + excess[0],
            d[1] + d[2] + excess[1],
            d[2] - d[1] + excess[2],
            d[3] - d[1] + excess[3],
        ]
    };
    // SAFETY: the caller's promises; the tile has bytes or words.
    unsafe {
        if T::UNIT == 1 {
            by_tile::transform(lines, len, to, |d| column(d).map(|v| v as u8));
        } else {
            by_tile::transform(lines, len, to, column);
        }
    }
}

/// [`Pairs::decode`](crate::product::winograd::Pairs::decode).
///
/// # Safety
///
/// As for that.
#[inline(always)]
pub(crate) unsafe fn decode<V: Registers, P: Form>(
    kernels: &Kernels<'_>,
    _: *mut u8,
    panel: *mut u8,
    starts: &mut Starts,
    excess: [i32; LINES],
) {
    /// How much more the codes of transformed weights are, which are at least -4.
    const MORE: u8 = 4;
    /// Codes of at most 3 that bytes have room for.
    const ROOM: usize = 64;
    let Kernels {
        codec, block, part, ..
    } = *kernels;
    let Range { start, end } = kernels.channels;
    let mut of_lines = [[0; BLOCK]; 3];
    // SAFETY: the caller's promises, to the end.
    unsafe {
        let [one, two, three] = [1, 2, 3].map(|n| fours::<V>([n; 4]));
        let mut quads = [(); 3].map(|_| Quads::<V>::new(codec, block));
        for x in 0..3 {
            for from in (start..end).step_by(4 * ROOM) {
                let mut codes = [[fours::<V>([0; 4]); QUARTERS]; 3];
                for channel in (from..end.min(from + 4 * ROOM)).step_by(4) {
                    let mut c = [[one; QUARTERS]; 3];
                    for y in 0..3 {
                        let tap = (3 * y + x) * kernels.matrix.channels;
                        c[y] = quads[y].get((tap + channel) / 4);
                        for (sum, c) in codes[y].iter_mut().zip(c[y]) {
                            *sum = V::add_8(*sum, c);
                        }
                    }
                    let mut u = [[one; QUARTERS]; LINES];
                    for q in 0..QUARTERS {
                        let (c0, c1, c2) = (c[0][q], c[1][q], c[2][q]);
                        let outer = V::add_8(c0, c2);
                        u[0][q] = V::add_8(V::add_8(outer, c1), one);
                        u[1][q] = V::add_8(V::sub_8(outer, c1), three);
                        u[2][q] = V::add_8(V::add_8(c0, c0), two);
                        u[3][q] = V::add_8(V::add_8(c2, c2), two);
                    }
                    for (p, u) in u.into_iter().enumerate() {
                        let to = panel.add(p * part).cast();
                        P::store::<V>(to, x * (end - start) + channel - start, u, MORE);
                    }
                }
                for (sums, codes) in of_lines.iter_mut().zip(codes) {
                    let mut bytes = [[0u8; 4]; BLOCK];
                    for (q, codes) in codes.into_iter().enumerate() {
                        V::store(bytes[4 * q..].as_mut_ptr().cast(), codes);
                    }
                    for (sum, bytes) in sums.iter_mut().zip(bytes) {
                        *sum += bytes.map(i32::from).iter().sum::<i32>();
                    }
                }
            }
        }
    }
    // Codes are trits plus one.
    let count = 3 * (end - start) as i32;
    let of_lines = of_lines.map(|sums| sums.map(|sum| sum - count));
    *starts = winograd::starts(of_lines, excess);
}

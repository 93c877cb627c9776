//! Two lines of a 3x3 convolution at a time by the products of a tile: see
//! [`product::winograd`](crate::product::winograd).
//!
//! What is inlined into a function that has the features has none itself.

use super::codes::Quads;
use super::panel::Form;
use super::{Integers, QUARTERS, Registers, fours};
use crate::layout::BLOCK;
use crate::product::tiled::{Chunk, Segments, Tile};
use crate::product::winograd::{Kernels, LINES, PairTile, ROWS, Starts};
use core::marker::PhantomData;

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
                _: *mut u8,
                panel: *mut u8,
                starts: &mut $crate::product::winograd::Starts,
            ) {
                // SAFETY: the caller's promises are the same.
                unsafe {
                    $crate::isa::v128::pairs::decode::<$registers, $panel>(
                        kernels, panel, starts, $excess,
                    )
                };
            }

            unsafe fn sums(tile: &$crate::product::winograd::PairTile, sums: [*mut f32; 2]) {
                // SAFETY: the caller's promises are the same.
                unsafe { $crate::isa::v128::pairs::sums::<$tile>(tile, sums) };
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
    /// Bytes at a time, of which channels are a multiple.
    const STEP: usize = 16;
    for at in (0..len).step_by(STEP) {
        let d = lines.map(|line| {
            let bytes = line.and_then(|line| line.get(at..)?.first_chunk::<STEP>());
            bytes.map_or([0; STEP], |bytes| bytes.map(i16::from))
        });
        let mut v = [[0; STEP]; LINES];
        for i in 0..STEP {
            v[0][i] = d[0][i] - d[2][i] + excess[0];
            v[1][i] = d[1][i] + d[2][i] + excess[1];
            v[2][i] = d[2][i] - d[1][i] + excess[2];
            v[3][i] = d[3][i] - d[1][i] + excess[3];
        }
        for (to, v) in to.into_iter().zip(v) {
            // SAFETY: the caller's promise.
            unsafe {
                let to = to.add(at * T::UNIT);
                if T::UNIT == 1 {
                    to.cast::<[u8; STEP]>().write(v.map(|v| v as u8));
                } else {
                    to.cast::<[i16; STEP]>().write_unaligned(v);
                }
            }
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
    panel: *mut u8,
    starts: &mut Starts,
    excess: [i16; LINES],
) {
    /// How much more the codes of transformed weights are, which are at least -4.
    const MORE: u8 = 4;
    /// Codes of at most 3 that bytes have room for.
    const ROOM: usize = 64;
    let Kernels { codec, block, .. } = *kernels;
    let channels = kernels.matrix.channels;
    let part = 3 * channels * BLOCK * size_of::<P::Weight>();
    let mut of_lines = [[0; BLOCK]; 3];
    // SAFETY: the caller's promises, to the end.
    unsafe {
        let [one, two, three] = [1, 2, 3].map(|n| fours::<V>([n; 4]));
        let mut quads = [(); 3].map(|_| Quads::<V>::new(codec, block));
        for x in 0..3 {
            for from in (0..channels).step_by(4 * ROOM) {
                let mut codes = [[fours::<V>([0; 4]); QUARTERS]; 3];
                for channel in (from..channels.min(from + 4 * ROOM)).step_by(4) {
                    let mut c = [[one; QUARTERS]; 3];
                    for y in 0..3 {
                        c[y] = quads[y].get(((3 * y + x) * channels + channel) / 4);
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
                        P::store::<V>(to, x * channels + channel, u, MORE);
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
    let count = 3 * channels as i32;
    let excess = excess.map(i32::from);
    for o in 0..BLOCK {
        let [g0, g1, g2] = of_lines.map(|sums| sums[o] - count);
        // What the excess of each line adds to the sums of both lines of output.
        let (e0, e3) = (excess[0] * g0, excess[3] * g2);
        let e1 = excess[1] * (g0 + g1 + g2);
        let e2 = excess[2] * (g0 - g1 + g2);
        starts[0][o] = -(e1 + e0 + e3);
        starts[1][o] = -(e2 + e0 - e3);
    }
}

/// [`Pairs::sums`](crate::product::winograd::Pairs::sums).
///
/// # Safety
///
/// As for that.
#[inline(always)]
pub(crate) unsafe fn sums<T: Tile>(tile: &PairTile, [upper, lower]: [*mut f32; 2]) {
    /// Rows of any tile at most.
    const MOST: usize = 6;
    const { assert!(T::BLOCKS == 1 && T::ROWS <= MOST && ROWS <= MOST) };
    for from in (0..tile.rows).step_by(T::ROWS) {
        let rows = T::ROWS.min(tile.rows - from);
        let places: [_; MOST] = core::array::from_fn(|r| tile.places[from + r.min(rows - 1)]);
        let add = |line: usize, part: usize, sums: *mut [i32; BLOCK]| {
            let offset = line * tile.line;
            let chunk = Chunk {
                segments: Segments {
                    pointers: places.as_ptr(),
                    offsets: &offset,
                    count: 1,
                    offset: 0,
                    len: tile.len,
                    rows,
                },
                panels: tile
                    .panels
                    .wrapping_add(part * tile.stride / LINES)
                    .cast_mut(),
                stride: tile.stride,
                packed: core::ptr::null(),
                packed_stride: 0,
                blocks: 1,
                starts: core::ptr::null_mut(),
                row_sums: core::ptr::null(),
                sums: sums.cast(),
                first: false,
                last: false,
            };
            // SAFETY: the caller's promises; sums wait there.
            unsafe { T::add(&chunk) };
        };
        // SAFETY: the caller's promises: room for each row's sums, to the end.
        unsafe {
            let [upper, lower] = [upper, lower].map(|s| s.cast::<[i32; BLOCK]>().add(from));
            let [m1, m2] = *tile.starts;
            for r in 0..rows {
                lower.add(r).write(m1);
                upper.add(r).write(m2);
            }
            add(1, 0, lower);
            add(2, 1, upper);
            for r in 0..rows {
                let (upper, lower) = (&mut *upper.add(r), &mut *lower.add(r));
                for (upper, lower) in upper.iter_mut().zip(lower) {
                    let (m1, m2) = (*lower, *upper);
                    (*upper, *lower) = (m1.wrapping_add(m2), m1.wrapping_sub(m2));
                }
            }
            add(0, 2, upper);
            add(3, 3, lower);
            for sums in [upper, lower] {
                for r in 0..rows {
                    let row = sums.add(r);
                    let halves = row.read().map(|sum| (sum >> 1) as f32);
                    row.cast::<[f32; BLOCK]>().write(halves);
                }
            }
        }
    }
}

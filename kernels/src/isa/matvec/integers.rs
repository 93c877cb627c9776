//! Integer activations.
//!
//! - t2 and t5: each 2-bit field or digit of a panel's 64 bytes is a *quad*, four
//!   consecutive k of 16 outputs, which is multiplied with four activations. As
//!   codes are trits plus one, the sum of the activations is taken off at the end.
//! - n34: the same with the nibbles of a panel's first 64 bytes as quads.
//! - n12: the four bytes of an output each hold one pair of every field, so a
//!   16-byte table has the four values of four pairs, and a look-up replaces a
//!   pair by its weighted activation.
//!
//! i32 sums wrap, which [`max_k`](crate::max_k) excludes for valid weights.
#![allow(clippy::needless_range_loop, reason = "arrays share their indices")]

use super::{Kernel, Lanes, Tile, ahead, all, fours};
use crate::Codec;
use crate::layout::{BLOCK, PANEL_BYTES, n12, n34, t2};
use crate::product::matvec::{STRIDE, Strip};
use core::marker::PhantomData;

/// How activations of one type are multiplied.
///
/// Safety of all functions: as for [`Lanes`].
pub(crate) trait Multiply<V: Lanes> {
    /// Elements of the input.
    type X: Copy + Sync + Default + Into<i32>;
    /// Sums of the outputs of a register.
    type Sum: Copy;
    /// Bytes of four activations.
    const UNIT: usize;
    /// Bytes of an activation in tables, each of which has tables of its own.
    const PLANES: usize = size_of::<Self::X>();
    /// Products with quads, or looked up quads, that a sum has room for.
    const NARROW: usize;

    /// Four activations as [`add`](Self::add) takes them, in `UNIT` bytes.
    fn pack(x: [Self::X; 4], to: &mut [u8]);
    /// An empty sum.
    unsafe fn zero() -> Self::Sum;
    /// Adds the products of four activations with codes.
    unsafe fn add(sum: Self::Sum, codes: V::I, x: *const u8) -> Self::Sum;
    /// Adds four looked up activations: of each of [`PLANES`](Self::PLANES)
    /// tables of 16 bytes, the lowest byte of all entries first, the same.
    unsafe fn look_up(sum: Self::Sum, tables: *const u8, index: V::I) -> Self::Sum;
    /// The sums as i32.
    unsafe fn widen(sum: Self::Sum) -> V::I;
}

/// Bytes before the activations: the i32 that their products are too large by, and room.
pub(crate) const HEAD: usize = 64;
/// Tables of an n12 panel.
const FIELDS: usize = 4;
/// Bytes of a table of one plane.
const TABLE: usize = 16;

/// All codecs of integers.
pub(crate) struct Integers<V, M>(PhantomData<(V, M)>);

impl<V: Lanes, M: Multiply<V>> Kernel for Integers<V, M> {
    type X = M::X;

    fn prepared(codec: Codec, k: usize) -> Option<usize> {
        let taps = k.checked_next_multiple_of(t2::TAP_UNIT)?;
        let len = match codec {
            Codec::T2 | Codec::T5 | Codec::N34 => {
                let filled = taps.checked_next_multiple_of(codec.panel().0)?;
                (filled / 4).checked_mul(M::UNIT)?
            }
            Codec::N12 => (taps.checked_next_multiple_of(n12::PANEL_K)? / n12::PANEL_K)
                .checked_mul(FIELDS * M::PLANES * TABLE)?,
            _ => return None,
        };
        len.checked_add(HEAD)
    }

    fn takes(codec: Codec, qmax: i32) -> bool {
        let symmetric = (1..1 << (8 * M::PLANES - 1)).contains(&qmax);
        codec != Codec::N12 || symmetric
    }

    #[inline(always)]
    unsafe fn prepare(codec: Codec, x: &[M::X], to: &mut [u8]) {
        let (head, rest) = to.split_at_mut(HEAD);
        let excess = if codec == Codec::N12 {
            tables::<V, M>(x, rest);
            0
        } else {
            quads::<V, M>(x, rest);
            x.iter().fold(0i32, |sum, x| sum.wrapping_add((*x).into()))
        };
        head[..4].copy_from_slice(&excess.to_ne_bytes());
    }

    #[inline(always)]
    unsafe fn add(strip: &Strip<'_>, sums: &mut [f32]) {
        // SAFETY: the caller's promise.
        unsafe {
            match strip.codec {
                Codec::T2 => all::<V, Panels<M, Codes<4>>>(strip, sums),
                Codec::T5 => all::<V, Panels<M, Codes<5>>>(strip, sums),
                Codec::N12 => all::<V, Panels<M, Pairs>>(strip, sums),
                Codec::N34 => all::<V, Panels<M, Fours>>(strip, sums),
                _ => {}
            }
        }
    }
}

/// Packs activations, and zeros behind them.
#[inline(always)]
fn quads<V: Lanes, M: Multiply<V>>(x: &[M::X], to: &mut [u8]) {
    let (whole, rest) = x.as_chunks::<4>();
    let mut last = [M::X::default(); 4];
    last[..rest.len()].copy_from_slice(rest);
    let mut to = to.chunks_exact_mut(M::UNIT);
    for (x, to) in whole.iter().zip(&mut to) {
        M::pack(*x, to);
    }
    for to in to {
        M::pack(last, to);
        last = [M::X::default(); 4];
    }
}

/// Where byte `j` of an output finds its four entries in a table. After a shift
/// by four bits a byte's upper half is the lower half of its neighbour; the
/// uppermost bit, which an index must not have, stays clear because odd bytes
/// have the lower places.
const PLACES: [u8; 4] = [2, 0, 3, 1];

/// Makes the tables of n12, of zeros behind the activations.
#[inline(always)]
fn tables<V: Lanes, M: Multiply<V>>(x: &[M::X], to: &mut [u8]) {
    let mut x = x.chunks(n12::PANEL_K);
    for to in to.chunks_exact_mut(FIELDS * M::PLANES * TABLE) {
        let mut filled = [M::X::default(); n12::PANEL_K];
        let x = x.next().unwrap_or(&[]);
        filled[..x.len()].copy_from_slice(x);
        let filled: [i32; n12::PANEL_K] = filled.map(Into::into);
        for plane in 0..M::PLANES {
            let byte = |x: i32| (x >> (8 * plane)) as u8;
            let (plus, minus) = (filled.map(byte), filled.map(|x| byte(-x)));
            let tables = to.as_chunks_mut::<TABLE>().0;
            for (q, table) in tables.iter_mut().skip(plane).step_by(M::PLANES).enumerate() {
                for (j, place) in PLACES.into_iter().enumerate() {
                    let pair = 8 * j + 2 * q;
                    let entries = [plus[pair], plus[pair + 1], minus[pair], minus[pair + 1]];
                    table[4 * usize::from(place)..][..4].copy_from_slice(&entries);
                }
            }
        }
    }
}

/// What one panel's weights are to a register's outputs.
///
/// Safety of all functions: as for [`Lanes`].
trait Panel<V: Lanes, M: Multiply<V>> {
    /// Bytes of the panel, the first 64 of which are four of every output.
    const BYTES: usize = PANEL_BYTES;
    /// Bytes of a row's activations.
    const X: usize;
    /// Quads that it adds to a sum.
    const QUADS: usize;
    /// What is the same for every row.
    type Decoded: Copy;

    /// Decodes register `part` of the panel.
    unsafe fn decode(panel: *const u8, part: usize) -> Self::Decoded;
    /// Adds the products with a row's activations.
    unsafe fn add(sum: M::Sum, weights: Self::Decoded, x: *const u8) -> M::Sum;
}

/// Codes of `N` quads: t2 has four, t5 five.
enum Codes<const N: usize> {}

impl<V: Lanes, M: Multiply<V>, const N: usize> Panel<V, M> for Codes<N> {
    const X: usize = N * M::UNIT;
    const QUADS: usize = N;
    type Decoded = [V::I; N];

    #[inline(always)]
    unsafe fn decode(panel: *const u8, part: usize) -> [V::I; N] {
        // SAFETY: the caller's promise.
        unsafe {
            let bytes = load::<V>(panel, part);
            let mut quads = [bytes; N];
            if N == 4 {
                put(&mut quads, fields::<V>(bytes));
            } else {
                put(&mut quads, digits::<V>(bytes));
            }
            quads
        }
    }

    #[inline(always)]
    unsafe fn add(sum: M::Sum, quads: [V::I; N], x: *const u8) -> M::Sum {
        // SAFETY: the caller's promise.
        unsafe { multiply::<V, M, N>(sum, quads, x) }
    }
}

/// Adds the products of quads with a row's activations, of which there are as many.
///
/// # Safety
///
/// As for [`Lanes`].
#[inline(always)]
unsafe fn multiply<V: Lanes, M: Multiply<V>, const N: usize>(
    mut sum: M::Sum,
    quads: [V::I; N],
    x: *const u8,
) -> M::Sum {
    for (i, codes) in quads.into_iter().enumerate() {
        // SAFETY: the caller's promise.
        sum = unsafe { M::add(sum, codes, x.add(i * M::UNIT)) };
    }
    sum
}

/// Register `part` of the first 64 bytes of a panel.
///
/// # Safety
///
/// As for [`Lanes`].
#[inline(always)]
unsafe fn load<V: Lanes>(panel: *const u8, part: usize) -> V::I {
    // SAFETY: the caller's promise.
    unsafe { V::load(panel.add(part * PANEL_BYTES / V::PARTS)) }
}

#[inline(always)]
fn put<T: Copy>(to: &mut [T], from: impl IntoIterator<Item = T>) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = from);
}

/// The 2-bit fields of a register of a t2 panel.
///
/// # Safety
///
/// As for [`Lanes`].
#[inline(always)]
unsafe fn fields<V: Lanes>(bytes: V::I) -> [V::I; 4] {
    // SAFETY: the caller's promise.
    unsafe {
        let mask = fours::<V>([3; 4]);
        [
            V::and(bytes, mask),
            V::and(V::right_16::<2>(bytes), mask),
            V::and(V::right_16::<4>(bytes), mask),
            V::and(V::right_16::<6>(bytes), mask),
        ]
    }
}

/// The digits of a register of a t5 panel: `byte / 3^i`, modulo 3 except for the
/// last. Two digits at a time come out of a table.
///
/// # Safety
///
/// As for [`Lanes`].
#[inline(always)]
unsafe fn digits<V: Lanes>(bytes: V::I) -> [V::I; 5] {
    const LOWER: [u8; 16] = [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0];
    const UPPER: [u8; 16] = [0, 0, 0, 1, 1, 1, 2, 2, 2, 0, 0, 0, 0, 0, 0, 0];
    // SAFETY: the caller's promise; 16 bytes each.
    unsafe {
        let [lower, upper] = [LOWER, UPPER].map(|table| V::table(table.as_ptr()));
        // At most 28, so that eight times as much stays in its byte.
        let ninth = V::ninth_8(bytes);
        let last = V::ninth_8(ninth);
        let first = V::sub_8(bytes, V::add_8(ninth, V::left_16::<3>(ninth)));
        let second = V::sub_8(ninth, V::add_8(last, V::left_16::<3>(last)));
        [
            V::look_up(lower, first),
            V::look_up(upper, first),
            V::look_up(lower, second),
            V::look_up(upper, second),
            last,
        ]
    }
}

/// The pairs of n12.
enum Pairs {}

impl<V: Lanes, M: Multiply<V>> Panel<V, M> for Pairs {
    const X: usize = FIELDS * M::PLANES * TABLE;
    const QUADS: usize = FIELDS;
    type Decoded = [V::I; FIELDS];

    #[inline(always)]
    unsafe fn decode(panel: *const u8, part: usize) -> [V::I; FIELDS] {
        // SAFETY: the caller's promise.
        unsafe {
            let bytes = load::<V>(panel, part);
            let pairs = fours::<V>([0x33; 4]);
            let lower = fours::<V>([0x0f; 4]);
            // A place in both halves of each byte.
            let places = fours::<V>(PLACES.map(|p| p << 2 | p << 6));
            let even = V::or(V::and(bytes, pairs), places);
            let odd = V::or(V::and(V::right_16::<2>(bytes), pairs), places);
            [
                V::and(even, lower),
                V::and(odd, lower),
                V::right_16::<4>(even),
                V::right_16::<4>(odd),
            ]
        }
    }

    #[inline(always)]
    unsafe fn add(mut sum: M::Sum, index: [V::I; FIELDS], x: *const u8) -> M::Sum {
        for (i, index) in index.into_iter().enumerate() {
            // SAFETY: the caller's promise; x has the tables of as many fields.
            sum = unsafe { M::look_up(sum, x.add(i * M::PLANES * TABLE), index) };
        }
        sum
    }
}

/// The nibbles of n34: four weights of an output each, and a third sign.
enum Fours {}

/// Quads of an n34 panel.
const NIBBLES: usize = n34::PANEL_K / 4;

impl<V: Lanes, M: Multiply<V>> Panel<V, M> for Fours {
    const BYTES: usize = n34::PANEL_BYTES;
    const X: usize = NIBBLES * M::UNIT;
    const QUADS: usize = NIBBLES;
    type Decoded = [V::I; NIBBLES];

    #[inline(always)]
    unsafe fn decode(panel: *const u8, part: usize) -> [V::I; NIBBLES] {
        /// Of every output the last of its four bytes, in its 16 bytes; four times.
        const LAST: [u8; 16] = [3, 3, 3, 3, 7, 7, 7, 7, 11, 11, 11, 11, 15, 15, 15, 15];
        /// The output of each byte.
        const OUTPUT: [u8; PANEL_BYTES] = {
            let (mut output, mut i) = ([0; PANEL_BYTES], 0);
            while i < PANEL_BYTES {
                output[i] = (i / (PANEL_BYTES / BLOCK)) as u8;
                i += 1;
            }
            output
        };
        // SAFETY: the caller's promise; 16 bytes each, and 64.
        unsafe {
            let bytes = load::<V>(panel, part);
            let codes = V::table(n34::CODES.as_ptr());
            let third = V::table(n34::THIRD.as_ptr());
            let nibble = fours::<V>([15; 4]);
            let upper = fours::<V>([0x80; 4]);
            let turns = fours::<V>(n34::TURNS.map(|turn| 4 * turn));
            // The uppermost bit of each byte is the sign of the nibble in turn, from the
            // last on; a look-up gives 0 where it is set.
            let plane = V::table(panel.add(n34::SIGNS));
            let mut signs = V::look_up(plane, load::<V>(OUTPUT.as_ptr(), part));
            let mut select = V::table(LAST.as_ptr());
            let mut quads = [bytes; NIBBLES];
            for two in quads.as_chunks_mut::<2>().0.iter_mut().rev() {
                let byte = V::look_up(bytes, select);
                for (quad, index) in two.iter_mut().zip([byte, V::right_16::<4>(byte)]).rev() {
                    let index = V::and(V::add_8(index, turns), nibble);
                    let signed = V::or(index, V::and(signs, upper));
                    *quad = V::or(V::look_up(codes, index), V::look_up(third, signed));
                    signs = V::add_8(signs, signs);
                }
                select = V::sub_8(select, fours::<V>([1; 4]));
            }
            quads
        }
    }

    #[inline(always)]
    unsafe fn add(sum: M::Sum, quads: [V::I; NIBBLES], x: *const u8) -> M::Sum {
        // SAFETY: the caller's promise.
        unsafe { multiply::<V, M, NIBBLES>(sum, quads, x) }
    }
}

/// Sums of panels.
struct Panels<M, P>(PhantomData<(M, P)>);

impl<V: Lanes, M: Multiply<V>, P: Panel<V, M>> Tile<V> for Panels<M, P> {
    #[inline(always)]
    unsafe fn add<const R: usize, const B: usize>(
        strip: &Strip<'_>,
        row: usize,
        block: usize,
        sums: *mut f32,
    ) {
        let chunk = (M::NARROW / P::QUADS).max(1);
        let panels = strip.block_len / P::BYTES;
        let weights = strip.weights.as_ptr().wrapping_add(block * strip.block_len);
        let x = strip.x.as_ptr().wrapping_add(row * strip.row_len);
        let mut done = 0;
        // SAFETY: the caller's promises: a block has panels, a row activations for
        // each, to the end of the function.
        unsafe {
            let mut wide = [[V::parts(fours::<V>([0; 4])); R]; B];
            while done < panels {
                let end = panels.min(done.saturating_add(chunk));
                let mut sum = [[V::parts(M::zero()); R]; B];
                for panel in done..end {
                    let at = panel * P::BYTES;
                    let ahead = ahead(strip.block_len, at, B);
                    for b in 0..B {
                        let from = weights.wrapping_add(b * strip.block_len);
                        V::fetch(from.wrapping_add(ahead));
                        for part in 0..V::PARTS {
                            let decoded = P::decode(from.add(at), part);
                            for r in 0..R {
                                let x = x.add(r * strip.row_len + HEAD + panel * P::X);
                                sum[b][r][part] = P::add(sum[b][r][part], decoded, x);
                            }
                        }
                    }
                }
                for b in 0..B {
                    for r in 0..R {
                        for part in 0..V::PARTS {
                            let narrow = M::widen(sum[b][r][part]);
                            wide[b][r][part] = V::add_32(wide[b][r][part], narrow);
                        }
                    }
                }
                done = end;
            }
            for r in 0..R {
                let excess = x.add(r * strip.row_len).cast::<i32>().read();
                for b in 0..B {
                    let mut totals = [0i32; BLOCK];
                    for part in 0..V::PARTS {
                        let to = totals.as_mut_ptr().add(part * BLOCK / V::PARTS);
                        V::store(to.cast(), wide[b][r][part]);
                    }
                    let sums = sums.add(r * STRIDE + b * BLOCK);
                    for (i, total) in totals.into_iter().enumerate() {
                        sums.add(i).write(total.wrapping_sub(excess) as f32);
                    }
                }
            }
        }
    }
}

//! The tile that looks sums up: n12 weights and i7 activations.
//!
//! Four activations and two pairs of n12 weights have 16 possible sums; a nibble
//! of the packed weights is the index. For every four activations the 16 sums
//! are made once, each plus 128 so that it is an unsigned byte (`|sum| <= 126`),
//! and one instruction then looks up 16 outputs:
//!
//! ```text
//! table   [4 activations]  [16]       u8
//! panel   [k / 8]          [2][16]    u8   index of outputs 0..16 for k..k+4 and k+4..k+8
//! ```
//!
//! Sums are added in 16-bit lanes: once as they are, `even + 256 * odd`, and once
//! shifted, `odd`. At the end the even ones come out by subtraction. A lane has
//! room for [`NARROW`] steps.

use super::{QUARTERS, Registers, codes, fours, tile};
use crate::Matrix;
use crate::layout::{BLOCK, n12, t2};
use crate::product::tiled::{Chunk, Part};

/// k values of a step, which looks up twice.
pub(crate) const STEP: usize = 8;
/// What a table's bytes have above their sums.
pub(crate) const BIAS: u8 = 128;
/// Steps that are added in 16 bits: `254 * 2 * 128 <= 65535`, and without the
/// bias `126 * 2 * 128 <= 32767`.
const NARROW: usize = 128;
/// Bytes of a step's tables and of a panel's step.
const BYTES: usize = 2 * BLOCK;

/// Makes the tile: `look_up!(FEATURES, NAME, REGISTERS, ROWS, BLOCKS)`.
macro_rules! look_up {
    ($features:literal, $name:ident, $registers:ty, $rows:literal, $blocks:literal) => {
        impl $crate::product::tiled::Tile for $name {
            type X = i8;
            type Columns<'a> = $crate::product::tiled::Outputs<'a>;
            const ROWS: usize = $rows;
            const BLOCKS: usize = $blocks;
            const STEP: usize = $crate::isa::v128::lookup::STEP;
            const GROUP: usize = 2 * $crate::layout::BLOCK;
            const UNIT: usize = 4;
            const DIRECT: bool = false;
            const TABLES: bool = true;
            const ROW_BY_ROW: bool = true;
            const ZERO: u8 = $crate::isa::v128::lookup::BIAS;

            #[target_feature(enable = $features)]
            unsafe fn prepare(x: &[i8], tables: *mut u8) {
                // SAFETY: the caller's promises are the same.
                unsafe { $crate::isa::v128::lookup::tables::<$registers>(x, tables) };
            }

            #[target_feature(enable = $features)]
            unsafe fn decode(
                _: $crate::Codec,
                matrix: &$crate::Matrix,
                block: &[u8],
                part: &$crate::product::tiled::Part,
                panel: *mut u8,
                _: &mut [i32; $crate::layout::BLOCK],
            ) {
                // SAFETY: the caller's promises are the same.
                unsafe {
                    $crate::isa::v128::lookup::decode::<$registers>(matrix, block, part, panel)
                };
            }

            #[target_feature(enable = $features)]
            unsafe fn add(chunk: &$crate::product::tiled::Chunk) {
                // SAFETY: the caller's promises are the same.
                unsafe { $crate::isa::v128::lookup::add::<$registers, $blocks>(chunk) };
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
                const STRIDE: usize = $blocks * $crate::layout::BLOCK;
                let outputs = columns.outputs.clone();
                // SAFETY: the caller's promises; a row of sums has all blocks.
                unsafe {
                    columns
                        .finish
                        .v128::<$registers>(rows, outputs, sums, STRIDE)
                };
            }
        }
    };
}
pub(crate) use look_up;

/// Makes the tables of `x`.
///
/// # Safety
///
/// As for [`Tile::prepare`](crate::product::tiled::Tile::prepare).
#[inline(always)]
pub(crate) unsafe fn tables<V: Registers>(x: &[i8], tables: *mut u8) {
    // Bits of the index: side and sign of the first pair, of the second.
    const FIRST: [u8; 16] = [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1];
    const SECOND: [u8; 16] = [2, 2, 2, 2, 3, 3, 3, 3, 2, 2, 2, 2, 3, 3, 3, 3];
    // -v = !v + 1: all bits, and one, where the sign's bit is set.
    const FIRST_SIGN: [u8; 16] = sign(2);
    const SECOND_SIGN: [u8; 16] = sign(8);
    const fn sign(bit: usize) -> [u8; 16] {
        let (mut mask, mut i) = ([0; 16], 0);
        while i < 16 {
            mask[i] = if i & bit == 0 { 0 } else { 0xff };
            i += 1;
        }
        mask
    }
    /// One for each mask that is set, and the bias.
    const REST: [u8; 16] = {
        let (mut rest, mut i) = ([BIAS; 16], 0);
        while i < 16 {
            rest[i] += (i as u8 >> 1 & 1) + (i as u8 >> 3);
            i += 1;
        }
        rest
    };
    // SAFETY: 16 bytes each; the caller promises four bytes for each element.
    unsafe {
        let [first, second] = [V::load(FIRST.as_ptr()), V::load(SECOND.as_ptr())];
        let signs = [V::load(FIRST_SIGN.as_ptr()), V::load(SECOND_SIGN.as_ptr())];
        let rest = V::load(REST.as_ptr());
        for (i, four) in x.as_chunks::<4>().0.iter().enumerate() {
            let four = V::splat(four.as_ptr().cast());
            let first = V::xor(V::look_up(four, first), signs[0]);
            let second = V::xor(V::look_up(four, second), signs[1]);
            let sums = V::add_8(V::add_8(first, second), rest);
            V::store(tables.add(i * BLOCK), sums);
        }
    }
}

/// Decodes some of a block's weights to indices.
///
/// # Safety
///
/// As for [`Tile::decode`](crate::product::tiled::Tile::decode).
#[inline(always)]
pub(crate) unsafe fn decode<V: Registers>(
    matrix: &Matrix,
    block: &[u8],
    part: &Part,
    panel: *mut u8,
) {
    /// Where byte 0 of four outputs goes, for each quarter of 16; nothing else.
    const GATHER: [[u8; 16]; QUARTERS] = {
        let (mut all, mut i) = ([[0x80; 16]; QUARTERS], 0);
        while i < BLOCK {
            all[i / 4][i] = i as u8 % 4 * 4;
            i += 1;
        }
        all
    };
    let mut to = panel;
    let stride = matrix.channels.next_multiple_of(t2::TAP_UNIT);
    for tap in part.taps.clone() {
        let first = tap * stride + part.channels.start;
        let end = tap * stride + part.channels.end;
        for k in (first..end).step_by(STEP) {
            // SAFETY: the caller's promises; 32 bytes for every step of the part.
            unsafe {
                let byte = (k % n12::PANEL_K / STEP) as u8;
                let quarters = codes::load::<V>(block, k / n12::PANEL_K);
                let mut bytes = fours::<V>([0; 4]);
                for (quarter, gather) in quarters.into_iter().zip(&GATHER) {
                    let select = V::add_8(V::load(gather.as_ptr()), fours::<V>([byte; 4]));
                    bytes = V::xor(bytes, V::look_up(quarter, select));
                }
                let nibble = fours::<V>([15; 4]);
                V::store(to, V::and(bytes, nibble));
                V::store(to.add(BLOCK), V::and(V::shift_16::<4>(bytes), nibble));
                to = to.add(2 * BLOCK);
            }
        }
    }
}

/// Adds a chunk's sums.
///
/// # Safety
///
/// As for [`Tile::add`](crate::product::tiled::Tile::add), with `BLOCKS`
/// as there, at most 6.
#[inline(always)]
pub(crate) unsafe fn add<V: Registers, const BLOCKS: usize>(chunk: &Chunk) {
    // SAFETY: the caller's promises are the same.
    unsafe {
        for row in 0..chunk.segments.rows {
            match chunk.blocks {
                1 => add_row::<V, 1, BLOCKS>(chunk, row),
                2 => add_row::<V, 2, BLOCKS>(chunk, row),
                3 => add_row::<V, 3, BLOCKS>(chunk, row),
                4 => add_row::<V, 4, BLOCKS>(chunk, row),
                5 => add_row::<V, 5, BLOCKS>(chunk, row),
                _ => add_row::<V, 6, BLOCKS>(chunk, row),
            }
        }
    }
}

/// # Safety
///
/// As for [`add`], with `Q` blocks, nothing if these are more than `BLOCKS`;
/// `row` is one of the tile's.
#[inline(always)]
unsafe fn add_row<V: Registers, const Q: usize, const BLOCKS: usize>(chunk: &Chunk, row: usize) {
    if Q > BLOCKS {
        return;
    }
    // SAFETY: the caller's promises, to the end of the function.
    unsafe {
        let zero = V::load([0; BLOCK].as_ptr());
        let mut both = [zero; Q];
        let mut odd = [zero; Q];
        let mut first = chunk.first;
        let mut pending = 0;
        let mut panels = chunk.panels;
        let steps = chunk.segments.len / STEP;
        let beyond = chunk.segments.beyond(row);
        for segment in 0..chunk.segments.count {
            let beyond = chunk.segments.beyond_in(beyond, segment);
            let [left, right] = beyond.map(|beyond| beyond / STEP);
            let table = chunk
                .segments
                .row(row, segment)
                .wrapping_add(left * 2 * BLOCK);
            panels = panels.wrapping_add(left * 2 * BLOCK);
            let steps = steps - left - right;
            let mut step = 0;
            while step < steps {
                let end = steps.min(step + NARROW - pending);
                pending += end - step;
                // A segment has 32 bytes of tables for every step, and a panel
                // 32 bytes for every step of every segment.
                for half in 2 * step..2 * end {
                    let table = V::load(table.add(half * BLOCK));
                    for q in 0..Q {
                        let index = V::load(panels.add(q * chunk.stride));
                        let sum = V::look_up(table, index);
                        both[q] = V::add_16(both[q], sum);
                        odd[q] = V::add_16(odd[q], V::shift_16::<8>(sum));
                    }
                    panels = panels.add(BLOCK);
                }
                step = end;
                if pending == NARROW {
                    // Of copies, so that the sums stay in registers.
                    settle_row::<V, Q, BLOCKS>(chunk, row, first, None, [both, odd], pending);
                    (both, odd) = ([zero; Q], [zero; Q]);
                    (pending, first) = (0, false);
                }
            }
            panels = panels.wrapping_add(right * 2 * BLOCK);
        }
        let last = chunk.last.then_some(0);
        settle_row::<V, Q, BLOCKS>(chunk, row, first, last, [both, odd], pending);
    }
}

/// Moves the sums of a row's blocks to those that wait.
///
/// # Safety
///
/// As for [`add_row`].
#[inline(always)]
unsafe fn settle_row<V: Registers, const Q: usize, const BLOCKS: usize>(
    chunk: &Chunk,
    row: usize,
    first: bool,
    last: Option<i32>,
    [both, odd]: [[V::I; Q]; 2],
    steps: usize,
) {
    for (q, (both, odd)) in both.into_iter().zip(odd).enumerate() {
        // SAFETY: the caller's promises.
        unsafe {
            let sums = widened::<V>(both, odd, steps);
            tile::settle(chunk, row * BLOCKS + q, first, last, sums);
        }
    }
}

/// The 16 sums after some steps.
///
/// # Safety
///
/// As for [`Registers`].
#[inline(always)]
unsafe fn widened<V: Registers>(both: V::I, odd: V::I, steps: usize) -> [i32; BLOCK] {
    let bias = (usize::from(BIAS) * BYTES / BLOCK * steps) as u16;
    let (mut both_lanes, mut odd_lanes) = ([0u16; 8], [0u16; 8]);
    // SAFETY: 16 bytes each.
    unsafe {
        V::store(both_lanes.as_mut_ptr().cast(), both);
        V::store(odd_lanes.as_mut_ptr().cast(), odd);
    }
    let mut sums = [0; BLOCK];
    for i in 0..BLOCK / 2 {
        let even = both_lanes[i].wrapping_sub(odd_lanes[i] << 8);
        sums[2 * i] = i32::from(even.wrapping_sub(bias) as i16);
        sums[2 * i + 1] = i32::from(odd_lanes[i].wrapping_sub(bias) as i16);
    }
    sums
}

//! Decoded panels: a block of 16 outputs in the form that a tile multiplies
//! with. `k = tap * channels + channel` without filler between taps; groups of
//! `STEP` consecutive k lie together:
//!
//! ```text
//! Floats    STEP 1   [k]    [16 outputs]          f32
//! Words     STEP 2   [k / 2][4][2][4 outputs]     i16, the even k first
//! Pairs     STEP 2   [k / 2][16 outputs][2]       i16
//! Bytes     STEP 4   [k / 4][16 outputs][4]       i8
//! Codes     STEP 4   [k / 4][16 outputs][4]       u8, trits plus one
//! Eights    STEP 8   [k / 8][16 outputs][8]       i8
//! ```
//!
//! Where `k` is no multiple of `STEP`, the last group's other weights are 0.
#![allow(dead_code, reason = "no instruction set multiplies with every form")]

use super::codes::{Quad, Quads};
use super::{Registers, fours};
use crate::layout::{BLOCK, Block, t2};
use crate::product::tiled::Part;
use crate::{Codec, Matrix};

/// A form of panel.
pub(crate) trait Form {
    /// What it consists of.
    type Weight: Copy;
    /// k values of a group.
    const STEP: usize;
    /// Bytes of a group.
    const GROUP: usize = Self::STEP * BLOCK * size_of::<Self::Weight>();

    /// Where output `o` at `k` lies, counted in weights.
    fn index(k: usize, o: usize) -> usize;
    /// A trit plus one.
    fn ternary(code: u8) -> Self::Weight;
    /// The weights of a dense codec at one k.
    fn dense(block: &Block<'_>, tap: usize, channel: usize) -> [Self::Weight; BLOCK];

    /// Stores four k, the first of which is a multiple of four, less `excess`.
    ///
    /// # Safety
    ///
    /// As for [`Registers`]; `panel` has room for `k + 4` rounded up to `STEP`.
    unsafe fn store<V: Registers>(panel: *mut Self::Weight, k: usize, quad: Quad<V>, excess: u8);
}

/// Decodes some of a block's weights into `panel`.
///
/// # Safety
///
/// As for [`Registers`]; `block` is a block of the array, `part` lies in it, its channels begin at a
/// multiple of 16, and `panel` has room for the part's taps and channels, rounded
/// up to `STEP`.
#[inline(always)]
pub(crate) unsafe fn decode<V: Registers, P: Form>(
    codec: Codec,
    matrix: &Matrix,
    block: &[u8],
    part: &Part,
    panel: *mut u8,
) {
    let panel = panel.cast::<P::Weight>();
    let channels = part.channels.len();
    let put = |k: usize, o: usize, weight: P::Weight| {
        // SAFETY: k is within the part.
        unsafe { panel.add(P::index(k, o)).write_unaligned(weight) };
    };
    let k = part.taps.len() * channels;
    for (k, o) in (k..k.next_multiple_of(P::STEP)).flat_map(|k| (0..BLOCK).map(move |o| (k, o))) {
        put(k, o, P::ternary(1));
    }
    if !codec.is_ternary() {
        let block = Block::new(codec, matrix, block);
        for (i, tap) in part.taps.clone().enumerate() {
            for channel in 0..channels {
                let weights = P::dense(&block, tap, part.channels.start + channel);
                for (o, weight) in weights.into_iter().enumerate() {
                    put(i * channels + channel, o, weight);
                }
            }
        }
        return;
    }
    // SAFETY: the caller's promise, here and below.
    let mut quads = unsafe { Quads::<V>::new(codec, block) };
    let stride = matrix.channels.next_multiple_of(t2::TAP_UNIT) / 4;
    for (i, tap) in part.taps.clone().enumerate() {
        for channel in (0..channels).step_by(4) {
            let at = tap * stride + (part.channels.start + channel) / 4;
            let quad = unsafe { quads.get(at) };
            let (k, count) = (i * channels + channel, 4.min(channels - channel));
            if k.is_multiple_of(4) && count == 4 {
                // SAFETY: k + 4 is within the part.
                unsafe { P::store::<V>(panel, k, quad, 1) };
                continue;
            }
            let mut codes = [[0; 4]; BLOCK];
            for (quarter, codes) in quad.into_iter().zip(codes.as_chunks_mut::<4>().0) {
                // SAFETY: 16 bytes.
                unsafe { V::store(codes.as_mut_ptr().cast(), quarter) };
            }
            for j in 0..count {
                for (o, codes) in codes.iter().enumerate() {
                    put(k + j, o, P::ternary(codes[j]));
                }
            }
        }
    }
}

/// Index to look up two k of four outputs in a quarter of a quad, from the
/// `first` on and widened to 16 bits: the k of an output side by side, or four
/// outputs after each other.
const fn two(first: u8, side_by_side: bool) -> [u8; 16] {
    let (mut index, mut i) = ([0x80; 16], 0);
    while i < 8 {
        let (o, j) = if side_by_side {
            (i / 2, i % 2)
        } else {
            (i % 4, i / 4)
        };
        index[2 * i as usize] = 4 * o + first + j;
        i += 1;
    }
    index
}

/// Stores four k of 16-bit weights, two by two.
///
/// # Safety
///
/// As for [`Form::store`].
#[inline(always)]
unsafe fn store_16<V: Registers>(
    panel: *mut i16,
    k: usize,
    quad: Quad<V>,
    excess: u8,
    index: &[[u8; 16]; 2],
) {
    // SAFETY: the caller's promises; 16 bytes.
    unsafe {
        let [low, high] = (-i16::from(excess)).to_le_bytes();
        let less = fours::<V>([low, high, low, high]);
        for (pair, index) in index.iter().enumerate() {
            let index = V::load(index.as_ptr());
            for (quarter, codes) in quad.into_iter().enumerate() {
                let weights = V::add_16(V::look_up(codes, index), less);
                let at = (k + 2 * pair) * BLOCK + quarter * 8;
                V::store(panel.add(at).cast(), weights);
            }
        }
    }
}

/// Stores four k of bytes side by side.
///
/// # Safety
///
/// As for [`Form::store`].
#[inline(always)]
unsafe fn store_8<V: Registers>(panel: *mut u8, k: usize, quad: Quad<V>, excess: u8) {
    // SAFETY: the caller's promises.
    unsafe {
        let excess = fours::<V>([excess; 4]);
        for (quarter, codes) in quad.into_iter().enumerate() {
            V::store(panel.add(k * BLOCK + 16 * quarter), V::sub_8(codes, excess));
        }
    }
}

/// One row after the other, as floats.
pub(crate) enum Floats {}

impl Form for Floats {
    type Weight = f32;
    const STEP: usize = 1;

    #[inline(always)]
    fn index(k: usize, o: usize) -> usize {
        k * BLOCK + o
    }

    #[inline(always)]
    fn ternary(code: u8) -> f32 {
        f32::from(code) - 1.0
    }

    #[inline(always)]
    fn dense(block: &Block<'_>, tap: usize, channel: usize) -> [f32; BLOCK] {
        block.values(tap, channel)
    }

    #[inline(always)]
    unsafe fn store<V: Registers>(panel: *mut f32, k: usize, quad: Quad<V>, excess: u8) {
        // SAFETY: the caller's promises; 16 bytes.
        unsafe {
            let less = V::splat_f32(-f32::from(excess));
            for j in 0..4 {
                let mut index = [0x80; 16];
                for o in 0..4 {
                    index[4 * o] = (4 * o + j) as u8;
                }
                let index = V::load(index.as_ptr());
                for (quarter, codes) in quad.into_iter().enumerate() {
                    let codes = V::from_i32(V::look_up(codes, index));
                    let at = panel.add((k + j) * BLOCK + 4 * quarter);
                    V::store_f32(at, V::add_f32(codes, less));
                }
            }
        }
    }
}

/// 16-bit integers, two k of four outputs after each other.
pub(crate) enum Words {}

impl Form for Words {
    type Weight = i16;
    const STEP: usize = 2;

    #[inline(always)]
    fn index(k: usize, o: usize) -> usize {
        k / 2 * 2 * BLOCK + o / 4 * 8 + k % 2 * 4 + o % 4
    }

    #[inline(always)]
    fn ternary(code: u8) -> i16 {
        i16::from(code) - 1
    }

    #[inline(always)]
    fn dense(block: &Block<'_>, tap: usize, channel: usize) -> [i16; BLOCK] {
        block.integers(tap, channel)
    }

    #[inline(always)]
    unsafe fn store<V: Registers>(panel: *mut i16, k: usize, quad: Quad<V>, excess: u8) {
        // SAFETY: the caller's promises.
        unsafe {
            store_16::<V>(
                panel,
                k,
                quad,
                excess,
                &const { [two(0, false), two(2, false)] },
            )
        };
    }
}

/// 16-bit integers, two k of every output side by side.
pub(crate) enum Pairs {}

impl Form for Pairs {
    type Weight = i16;
    const STEP: usize = 2;

    #[inline(always)]
    fn index(k: usize, o: usize) -> usize {
        k / 2 * 2 * BLOCK + 2 * o + k % 2
    }

    #[inline(always)]
    fn ternary(code: u8) -> i16 {
        i16::from(code) - 1
    }

    #[inline(always)]
    fn dense(block: &Block<'_>, tap: usize, channel: usize) -> [i16; BLOCK] {
        block.integers(tap, channel)
    }

    #[inline(always)]
    unsafe fn store<V: Registers>(panel: *mut i16, k: usize, quad: Quad<V>, excess: u8) {
        // SAFETY: the caller's promises.
        unsafe {
            store_16::<V>(
                panel,
                k,
                quad,
                excess,
                &const { [two(0, true), two(2, true)] },
            )
        };
    }
}

/// One row of a block with 8-bit weights.
#[inline(always)]
fn dense_bytes(block: &Block<'_>, tap: usize, channel: usize) -> [i8; BLOCK] {
    block.integers(tap, channel).map(|w| w as i8)
}

/// Bytes, four k of every output side by side.
pub(crate) enum Bytes {}

impl Form for Bytes {
    type Weight = i8;
    const STEP: usize = 4;

    #[inline(always)]
    fn index(k: usize, o: usize) -> usize {
        k / 4 * 4 * BLOCK + 4 * o + k % 4
    }

    #[inline(always)]
    fn ternary(code: u8) -> i8 {
        code as i8 - 1
    }

    #[inline(always)]
    fn dense(block: &Block<'_>, tap: usize, channel: usize) -> [i8; BLOCK] {
        dense_bytes(block, tap, channel)
    }

    #[inline(always)]
    unsafe fn store<V: Registers>(panel: *mut i8, k: usize, quad: Quad<V>, excess: u8) {
        // SAFETY: the caller's promises.
        unsafe { store_8::<V>(panel.cast(), k, quad, excess) };
    }
}

/// As [`Bytes`], trits plus one. Holds no dense weights.
pub(crate) enum Codes {}

impl Form for Codes {
    type Weight = u8;
    const STEP: usize = 4;

    #[inline(always)]
    fn index(k: usize, o: usize) -> usize {
        Bytes::index(k, o)
    }

    #[inline(always)]
    fn ternary(code: u8) -> u8 {
        code
    }

    #[inline(always)]
    fn dense(_: &Block<'_>, _: usize, _: usize) -> [u8; BLOCK] {
        [1; BLOCK]
    }

    #[inline(always)]
    unsafe fn store<V: Registers>(panel: *mut u8, k: usize, quad: Quad<V>, excess: u8) {
        // SAFETY: the caller's promises.
        unsafe { store_8::<V>(panel, k, quad, excess - 1) };
    }
}

/// Bytes, eight k of every output side by side.
pub(crate) enum Eights {}

impl Form for Eights {
    type Weight = i8;
    const STEP: usize = 8;

    #[inline(always)]
    fn index(k: usize, o: usize) -> usize {
        k / 8 * 8 * BLOCK + 8 * o + k % 8
    }

    #[inline(always)]
    fn ternary(code: u8) -> i8 {
        code as i8 - 1
    }

    #[inline(always)]
    fn dense(block: &Block<'_>, tap: usize, channel: usize) -> [i8; BLOCK] {
        dense_bytes(block, tap, channel)
    }

    #[inline(always)]
    unsafe fn store<V: Registers>(panel: *mut i8, k: usize, quad: Quad<V>, excess: u8) {
        let mut words = [0; BLOCK];
        // SAFETY: the caller's promises; the words are 64 bytes.
        unsafe {
            store_8::<V>(words.as_mut_ptr().cast(), 0, quad, excess);
            for (o, word) in words.into_iter().enumerate() {
                let to = panel.add(Self::index(k, o)).cast::<u32>();
                to.write_unaligned(word);
            }
        }
    }
}

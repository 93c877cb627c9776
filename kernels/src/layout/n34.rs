//! `n34`: ternary weights of which exactly one in each four is zero, 1.25 bits a
//! weight.
//!
//! Groups, blocks and the k axis are those of [`t2`](super::t2), every tap
//! filled up to a multiple of 16 channels; then the whole axis is filled up to
//! a multiple of 32. The channels of a group are a multiple of four, so that no
//! four `(k, k + 1, k + 2, k + 3)`, `k` a multiple of 4, lie partly in the
//! filler. A panel is 16 outputs x 32 consecutive k in 80 bytes, so a block has
//! `ceil32(taps * ceil16(channels)) / 32 * 80` bytes.
//!
//! Five bits say what four weights are: the place `p` of the zero, and three
//! signs, each 0 for +1 and 1 for -1. Sign `d`, 1 to 3, is that of the weight at
//! `(p + d) mod 4`. A nibble has the place and two of the signs; the third lies
//! in a plane behind the nibbles:
//!
//! ```text
//! bits  3 2  1       0
//!       p    sign 2  sign 1
//! ```
//!
//! The four that begin at `k = 4 * g` for `g` in 0..8 (counted from the panel's
//! first k) of output `o` of the block have their nibble in byte `4 * o + g / 2`
//! of the panel, in its lower half where `g` is even and in its upper half where
//! it is odd, and sign 3 in bit `g` of byte `64 + o`.
//!
//! Every byte is valid. Filler is code 0, `(0, +1, +1, +1)`: three of its weights
//! are not zero, so kernels take the activations there as zero.

use super::{BLOCK, ceil, t2};

/// k values of a panel.
pub(crate) const PANEL_K: usize = 32;
/// Bytes of a panel.
pub(crate) const PANEL_BYTES: usize = SIGNS + BLOCK;
/// Where the plane of third signs begins in a panel.
pub(crate) const SIGNS: usize = 64;

/// By (code + 4 * [`TURNS`]`[j]`) mod 16 of a nibble, trit plus one of the weight at
/// `j`, but 0 where the third sign tells.
pub(crate) const CODES: [u8; 16] = [1, 1, 1, 1, 0, 0, 0, 0, 2, 2, 0, 0, 2, 0, 2, 0];
/// By the same, what a third sign of +1 adds to that.
pub(crate) const THIRD: [u8; 16] = [0, 0, 0, 0, 2, 2, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0];
/// Of each of four weights, how far the zero's place is turned: to `(p - j) mod 4`.
pub(crate) const TURNS: [u8; 4] = [0, 3, 2, 1];

/// Bytes of a block of 16 outputs; `None` too where the channels are no multiple
/// of four.
pub(super) fn block_len(taps: usize, channels: usize) -> Option<usize> {
    if !channels.is_multiple_of(4) {
        return None;
    }
    let k = ceil(channels, t2::TAP_UNIT)?.checked_mul(taps)?;
    (ceil(k, PANEL_K)? / PANEL_K).checked_mul(PANEL_BYTES)
}

/// Where four weights lie in a block.
#[derive(Clone, Copy)]
struct Position {
    /// The nibble's byte.
    nibble: usize,
    /// Bits below the nibble in its byte.
    shift: u32,
    /// The third sign's byte.
    sign: usize,
    /// The third sign's bit.
    bit: u32,
}

#[inline(always)]
fn position(k: usize, output: usize) -> Position {
    let (panel, g) = (k / PANEL_K * PANEL_BYTES, k % PANEL_K / 4);
    Position {
        nibble: panel + output * (SIGNS / BLOCK) + g / 2,
        shift: (g % 2 * 4) as u32,
        sign: panel + SIGNS + output,
        bit: g as u32,
    }
}

/// Which sign the weight at `k` has when the zero is at `place`; 0 if it is the
/// zero.
#[inline(always)]
fn number(k: usize, place: u8) -> u8 {
    (k as u8).wrapping_sub(place) & 3
}

/// Trit plus one at position `k` of the filled k axis.
#[inline(always)]
pub(super) fn code(block: &[u8], k: usize, output: usize) -> u8 {
    let at = position(k, output);
    let nibble = block[at.nibble] >> at.shift & 15;
    let negative = match number(k, nibble >> 2) {
        0 => return 1,
        1 => nibble & 1,
        2 => nibble >> 1 & 1,
        _ => block[at.sign] >> at.bit & 1,
    };
    2 - 2 * negative
}

/// Trits plus one of all 16 outputs at `k`.
#[inline(always)]
pub(super) fn row(block: &[u8], k: usize) -> [u8; BLOCK] {
    let panel = &block[k / PANEL_K * PANEL_BYTES..][..PANEL_BYTES];
    core::array::from_fn(|o| code(panel, k % PANEL_K, o))
}

/// Writes a trit plus one. Signs count from the zero of their four, which must be
/// there before them.
pub(super) fn set_code(block: &mut [u8], k: usize, output: usize, code: u8) {
    let at = position(k, output);
    let place = block[at.nibble] >> at.shift >> 2 & 3;
    let mut set = |byte: usize, mask: u8, bits: u8| block[byte] = block[byte] & !mask | bits;
    let negative = u8::from(code == 0);
    match (code, number(k, place)) {
        (1, _) => set(at.nibble, 12 << at.shift, (k as u8 & 3) << 2 << at.shift),
        (_, 1) => set(at.nibble, 1 << at.shift, negative << at.shift),
        (_, 2) => set(at.nibble, 2 << at.shift, negative << 1 << at.shift),
        (_, 3) => set(at.sign, 1 << at.bit, negative << at.bit),
        // No four of an array that the codec holds.
        _ => {}
    }
}

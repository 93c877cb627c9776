//! `t5`: ternary weights, five to a byte.
//!
//! Groups, blocks and the k axis are those of [`t2`](super::t2), every tap
//! filled up to a multiple of 16 channels; then the whole axis is filled up
//! with weights of 0 to a multiple of 20. A panel is 16 outputs x 20
//! consecutive k in 64 bytes, so a block has
//! `ceil20(taps * ceil16(channels)) / 20 * 64` bytes.
//!
//! Byte `4 * o + j` of a panel (`o` in 0..16, `j` in 0..4) belongs to output
//! `o` of the block and holds the weights `k = j, 4 + j, 8 + j, 12 + j, 16 + j`
//! (counted from the panel's first k) as the digits of its value in base 3, the
//! least significant first:
//!
//! ```text
//! byte = d[j] + 3 * d[4 + j] + 9 * d[8 + j] + 27 * d[12 + j] + 81 * d[16 + j]
//! ```
//!
//! A digit is the trit plus one: 0 for -1, 1 for 0, 2 for +1. Filler is trit 0,
//! so a byte of nothing but filler is 121. Bytes above 242 are not valid and a
//! writer never writes them; kernels, which do not check, take digit `i` below 4
//! as `byte / 3^i mod 3` and digit 4 as `byte / 81` (which is 3, a weight of 2,
//! for the invalid bytes).

use super::{BLOCK, PANEL_BYTES, ceil, t2};

/// k values of a panel.
pub(crate) const PANEL_K: usize = 20;
/// A byte of five zero trits.
pub(super) const ZEROS: u8 = 1 + 3 + 9 + 27 + 81;
/// Values of the digits.
const POWERS: [u8; 5] = [1, 3, 9, 27, 81];

/// Bytes of a block of 16 outputs.
pub(super) fn block_len(taps: usize, channels: usize) -> Option<usize> {
    let k = ceil(channels, t2::TAP_UNIT)?.checked_mul(taps)?;
    (ceil(k, PANEL_K)? / PANEL_K).checked_mul(PANEL_BYTES)
}

/// Index of the byte in the block, and the digit in it.
#[inline(always)]
fn position(k: usize, output: usize) -> (usize, usize) {
    let (panel, k) = (k / PANEL_K, k % PANEL_K);
    let byte = panel * PANEL_BYTES + output * (PANEL_BYTES / BLOCK) + k % 4;
    (byte, k / 4)
}

/// Trit plus one at position `k` of the filled k axis; 3 is possible in the
/// last digit of an invalid byte.
#[inline(always)]
pub(super) fn code(block: &[u8], k: usize, output: usize) -> u8 {
    let (byte, digit) = position(k, output);
    let rest = block[byte] / POWERS[digit];
    if digit == 4 { rest } else { rest % 3 }
}

/// Trits plus one of all 16 outputs at `k`.
#[inline(always)]
pub(super) fn row(block: &[u8], k: usize) -> [u8; BLOCK] {
    let panel = &block[k / PANEL_K * PANEL_BYTES..][..PANEL_BYTES];
    let byte = |o: usize| panel[o * (PANEL_BYTES / BLOCK) + k % 4];
    // Spelt out so that every division is by a constant.
    match k % PANEL_K / 4 {
        0 => core::array::from_fn(|o| byte(o) % 3),
        1 => core::array::from_fn(|o| byte(o) / 3 % 3),
        2 => core::array::from_fn(|o| byte(o) / 9 % 3),
        3 => core::array::from_fn(|o| byte(o) / 27 % 3),
        _ => core::array::from_fn(|o| byte(o) / 81),
    }
}

/// Writes a trit plus one over a zero trit.
pub(super) fn set_code(block: &mut [u8], k: usize, output: usize, code: u8) {
    let (byte, digit) = position(k, output);
    block[byte] = block[byte] - POWERS[digit] + code * POWERS[digit];
}

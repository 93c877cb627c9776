//! `n12`: ternary weights of which exactly one in each pair is not zero, one
//! bit a weight.
//!
//! Groups, blocks and the k axis are those of [`t2`](super::t2), every tap
//! filled up to a multiple of 16 channels; then the whole axis is filled up to
//! a multiple of 32. A group has an even number of channels, so that no pair
//! `(k, k + 1)`, `k` even, lies partly in the filler. A panel is 16 outputs x
//! 32 consecutive k in 64 bytes, so a block has
//! `ceil32(taps * ceil16(channels)) / 32 * 64` bytes.
//!
//! Byte `4 * o + j` of a panel (`o` in 0..16, `j` in 0..4) belongs to output
//! `o` of the block and holds the four pairs that begin at `k = 8 * j + 2 * q`
//! for `q` in 0..4 (counted from the panel's first k), two bits each, from the
//! lowest bits up:
//!
//! ```text
//! bits  7 6       5 4       3 2       1 0
//! pair  8j + 6    8j + 4    8j + 2    8j
//!
//! code  0 (+1, 0)    1 (0, +1)    2 (-1, 0)    3 (0, -1)
//! ```
//!
//! The lower bit says which weight of the pair is not zero, the upper one that
//! it is negative. Every byte is valid. Filler pairs are code 0: their weights
//! are not zero, so kernels take the activations there as zero.

use super::{BLOCK, PANEL_BYTES, ceil, t2};

/// k values of a panel.
pub(crate) const PANEL_K: usize = 32;

/// Bytes of a block of 16 outputs; `None` for an odd number of channels too.
pub(super) fn block_len(taps: usize, channels: usize) -> Option<usize> {
    if !channels.is_multiple_of(2) {
        return None;
    }
    let k = ceil(channels, t2::TAP_UNIT)?.checked_mul(taps)?;
    (ceil(k, PANEL_K)? / PANEL_K).checked_mul(PANEL_BYTES)
}

/// Index of the byte in the block, and the shift of the pair in it.
#[inline(always)]
fn position(k: usize, output: usize) -> (usize, u32) {
    let (panel, k) = (k / PANEL_K, k % PANEL_K);
    let byte = panel * PANEL_BYTES + output * (PANEL_BYTES / BLOCK) + k / 8;
    (byte, (k % 8 / 2 * 2) as u32)
}

/// Trit plus one of one side of a pair.
#[inline(always)]
fn side(pair: u8, k: usize) -> u8 {
    let here = pair & 1 == (k & 1) as u8;
    if here { 2 - (pair & 2) } else { 1 }
}

/// Trit plus one at position `k` of the filled k axis.
#[inline(always)]
pub(super) fn code(block: &[u8], k: usize, output: usize) -> u8 {
    let (byte, shift) = position(k, output);
    side(block[byte] >> shift & 3, k)
}

/// Trits plus one of all 16 outputs at `k`.
#[inline(always)]
pub(super) fn row(block: &[u8], k: usize) -> [u8; BLOCK] {
    let panel = &block[k / PANEL_K * PANEL_BYTES..][..PANEL_BYTES];
    let (byte, shift) = position(k % PANEL_K, 0);
    core::array::from_fn(|o| side(panel[o * (PANEL_BYTES / BLOCK) + byte] >> shift & 3, k))
}

/// Writes a trit plus one that is not the zero trit, over filler.
pub(super) fn set_code(block: &mut [u8], k: usize, output: usize, code: u8) {
    if code != 1 {
        let (byte, shift) = position(k, output);
        let pair = (k & 1) as u8 | (2 - code);
        block[byte] = block[byte] & !(3 << shift) | pair << shift;
    }
}

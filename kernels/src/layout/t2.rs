//! `t2`: ternary weights, two bits each.
//!
//! The weights of one group are cut into blocks of 16 outputs; the last block
//! is filled up with outputs whose weights are all 0. Blocks follow each other
//! in output order, groups in group order, without gaps.
//!
//! Within a block the k axis runs over the kernel's taps and, within a tap,
//! over the group's input channels, filled up with weights of 0 to a multiple
//! of 16: `k = tap * ceil16(channels) + channel`. A *panel* is 16 outputs x 16
//! consecutive k in 64 bytes; a block is its panels in k order, so a block has
//! `taps * ceil16(channels) * 4` bytes.
//!
//! Byte `4 * o + j` of a panel (`o` in 0..16, `j` in 0..4) belongs to output
//! `o` of the block and holds the weights `k = j, 4 + j, 8 + j, 12 + j` (counted
//! from the panel's first k) in its 2-bit fields, from the lowest bits up:
//!
//! ```text
//! bits  7 6     5 4     3 2    1 0
//! k     12 + j  8 + j   4 + j  j
//! ```
//!
//! A field is the trit plus one: 0 for -1, 1 for 0, 2 for +1. Filler is trit 0,
//! so a byte of nothing but filler is `0x55`. 3 is not a trit and a writer never
//! writes it; kernels, which do not check, compute with `field - 1`, which is 2.

use super::{BLOCK, PANEL_BYTES, ceil};

/// k values of a panel.
pub(crate) const PANEL_K: usize = 16;
/// Taps are filled up to a multiple of this many channels.
pub(crate) const TAP_UNIT: usize = 16;
/// A byte of four zero trits.
pub(super) const ZEROS: u8 = 0x55;

/// Bytes of a block of 16 outputs.
pub(super) fn block_len(taps: usize, channels: usize) -> Option<usize> {
    let k = ceil(channels, TAP_UNIT)?.checked_mul(taps)?;
    (k / PANEL_K).checked_mul(PANEL_BYTES)
}

/// Index of the byte in the block, and the field in it.
#[inline(always)]
fn position(k: usize, output: usize) -> (usize, u32) {
    let (panel, k) = (k / PANEL_K, k % PANEL_K);
    let byte = panel * PANEL_BYTES + output * (PANEL_BYTES / BLOCK) + k % 4;
    (byte, (k / 4) as u32)
}

/// Trit plus one at position `k` of the filled k axis; 3 for what is no trit.
#[inline(always)]
pub(super) fn code(block: &[u8], k: usize, output: usize) -> u8 {
    let (byte, field) = position(k, output);
    block[byte] >> (2 * field) & 3
}

/// Trits plus one of all 16 outputs at `k`.
#[inline(always)]
pub(super) fn row(block: &[u8], k: usize) -> [u8; BLOCK] {
    let panel = &block[k / PANEL_K * PANEL_BYTES..][..PANEL_BYTES];
    let shift = 8 * (k % 4) + 2 * (k % PANEL_K / 4);
    // An output's four bytes at once: of this the compiler makes vectors.
    let mut row = [0; BLOCK];
    for (code, bytes) in row.iter_mut().zip(panel.as_chunks().0) {
        *code = (u32::from_le_bytes(*bytes) >> shift & 3) as u8;
    }
    row
}

/// Writes a trit plus one.
pub(super) fn set_code(block: &mut [u8], k: usize, output: usize, code: u8) {
    let (byte, field) = position(k, output);
    block[byte] = block[byte] & !(3 << (2 * field)) | code << (2 * field);
}

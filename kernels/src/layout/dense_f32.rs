//! `f32`: dense weights in panels.
//!
//! The weights of one group are cut into blocks of 16 outputs; the last block
//! is filled up with outputs whose weights are all 0. Blocks follow each other
//! in output order, groups in group order, without gaps.
//!
//! A block is `taps * channels` rows, `k = tap * channels + channel`, without
//! filler along k. Row `k` is the 16 outputs' weights at `k` in output order,
//! each an IEEE 754 binary32, little-endian: byte `(k * 16 + o) * 4` of the
//! block is the lowest byte of output `o`.

use super::BLOCK;

/// Bytes of a block of 16 outputs.
pub(super) fn block_len(taps: usize, channels: usize) -> Option<usize> {
    taps.checked_mul(channels)?.checked_mul(BLOCK * 4)
}

/// Row `k`.
#[inline(always)]
pub(crate) fn row(block: &[u8], k: usize) -> [f32; BLOCK] {
    let (row, _) = block[k * BLOCK * 4..][..BLOCK * 4].as_chunks();
    core::array::from_fn(|o| f32::from_le_bytes(row[o]))
}

/// Writes one weight of row `k`.
pub(super) fn set_value(block: &mut [u8], k: usize, output: usize, value: f32) {
    let at = (k * BLOCK + output) * 4;
    block[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

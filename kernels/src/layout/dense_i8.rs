//! `i8`: dense weights in panels, one byte each, times one scale per output.
//!
//! As `f32` ([`dense_f32`](super::dense_f32)), with two's complement bytes: byte
//! `k * 16 + o` of a block is output `o`'s weight at `k`, in -127..=127. A writer
//! never writes -128; kernels, which do not check, compute with it.

use super::BLOCK;

/// Bytes of a block of 16 outputs.
pub(super) fn block_len(taps: usize, channels: usize) -> Option<usize> {
    taps.checked_mul(channels)?.checked_mul(BLOCK)
}

/// All rows.
#[inline(always)]
pub(crate) fn rows(block: &[u8]) -> &[[i8; BLOCK]] {
    let (rows, _) = block.as_chunks::<BLOCK>();
    // SAFETY: an i8 has the size and alignment of a u8, and may have any bits.
    unsafe { core::slice::from_raw_parts(rows.as_ptr().cast(), rows.len()) }
}

/// Row `k`.
#[inline(always)]
pub(crate) fn row(block: &[u8], k: usize) -> [i8; BLOCK] {
    rows(block)[k]
}

/// Writes one weight of row `k`.
pub(super) fn set_value(block: &mut [u8], k: usize, output: usize, value: i8) {
    block[k * BLOCK + output] = value as u8;
}

//! `f16`: dense weights in panels, half the size.
//!
//! As `f32` ([`dense_f32`](super::dense_f32)), with IEEE 754 binary16: byte `(k * 16 + o) * 2` of a
//! block is the lower byte of output `o`'s weight at `k`. Values were rounded to
//! nearest, ties to even.

use super::BLOCK;
use crate::math::{f16_to_f32, f32_to_f16};

/// Bytes of a block of 16 outputs.
pub(super) fn block_len(taps: usize, channels: usize) -> Option<usize> {
    taps.checked_mul(channels)?.checked_mul(BLOCK * 2)
}

/// Row `k`.
#[inline(always)]
pub(crate) fn row(block: &[u8], k: usize) -> [f32; BLOCK] {
    let (row, _) = block[k * BLOCK * 2..][..BLOCK * 2].as_chunks();
    core::array::from_fn(|o| f16_to_f32(u16::from_le_bytes(row[o])))
}

/// Writes one weight of row `k`.
pub(super) fn set_value(block: &mut [u8], k: usize, output: usize, value: f32) {
    let at = (k * BLOCK + output) * 2;
    block[at..at + 2].copy_from_slice(&f32_to_f16(value).to_le_bytes());
}

/// Whether rounding turns a finite value into an infinite one.
pub(super) fn overflows(value: f32) -> bool {
    value.is_finite() && f32_to_f16(value) & 0x7fff == 0x7c00
}

//! Decoded panels: a block of 16 outputs in the form that a tile multiplies
//! with. `k = tap * channels + channel` without filler between taps; groups of
//! `STEP` consecutive k lie together:
//!
//! ```text
//! f32   STEP 1   [k]    [16 outputs]       f32 weights
//! i16   STEP 2   [k / 2][16 outputs][2]    i16 weights
//! i8    STEP 4   [k / 4][16 outputs][4]    u8 weights plus one
//! ```
//!
//! Where `k` is no multiple of `STEP`, the last group's other weights are 0.

use super::codes::{Quad, Quads, fields};
use super::tile::load_group;
use crate::layout::{BLOCK, PANEL_BYTES, dense_i8, t2};
use crate::product::tiled::Part;
use crate::{Codec, Matrix};
use core::arch::x86_64::*;

/// The form of panel for one activation dtype.
pub(crate) trait Panel: Copy + Sync {
    /// k values of a group.
    const STEP: usize;
    /// Bytes of a weight.
    const WEIGHT: usize;
    /// The bytes of a weight of 0.
    const ZERO: u8;

    /// Stores the 16 k of a t2 panel at `k`, a multiple of `STEP`.
    ///
    /// # Safety
    ///
    /// The CPU has AVX2; `panel` has room for `k + 16`.
    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn store_t2(panel: *mut u8, k: usize, bytes: &[u8; PANEL_BYTES]) {
        for (i, quad) in quads(bytes).into_iter().enumerate() {
            // SAFETY: the caller promises room.
            unsafe { Self::store(panel, k + 4 * i, 4, quad) };
        }
    }

    /// Stores the first `count` k of a quad at `k`.
    ///
    /// # Safety
    ///
    /// The CPU has AVX2; `panel` has room for `k + count` rounded up to `STEP`.
    unsafe fn store(panel: *mut u8, k: usize, count: usize, quad: Quad);

    /// Stores row `row` of a block of a dense codec at `k`; nothing where such a
    /// panel does not hold the codec's weights.
    ///
    /// # Safety
    ///
    /// The CPU has AVX2 and F16C; `panel` has room for `k + 1` rounded up to
    /// `STEP`.
    unsafe fn store_dense(panel: *mut u8, k: usize, codec: Codec, block: &[u8], row: usize);
}

/// Decodes some of a block's weights into `panel`. [`Codec::F32`] has this form
/// already.
///
/// # Safety
///
/// The CPU has AVX2 and F16C; `block` is a block of the array, `part` lies in it,
/// its channels begin at a multiple of 16, and `panel` has room for the part's
/// taps and channels, rounded up to `STEP`, times `16 * WEIGHT` bytes.
#[target_feature(enable = "avx2,f16c")]
pub(crate) unsafe fn decode<P: Panel>(
    codec: Codec,
    matrix: &Matrix,
    block: &[u8],
    part: &Part,
    panel: *mut u8,
) {
    let channels = part.channels.len();
    let k = part.taps.len() * channels;
    if !k.is_multiple_of(P::STEP) {
        let group = P::STEP * P::WEIGHT * BLOCK;
        // SAFETY: there is room for the last group.
        unsafe { panel.add(k / P::STEP * group).write_bytes(P::ZERO, group) };
    }
    match codec {
        // Whole panels, which begin at every multiple of 16 channels.
        Codec::T2 if channels.is_multiple_of(t2::TAP_UNIT) => {
            let stride = matrix.channels.div_ceil(t2::TAP_UNIT);
            let mut k = 0;
            for tap in part.taps.clone() {
                let first = tap * stride + part.channels.start / t2::TAP_UNIT;
                let panels = &block[first * PANEL_BYTES..];
                let panels = panels.as_chunks::<PANEL_BYTES>().0.iter();
                for bytes in panels.take(channels / t2::TAP_UNIT) {
                    // SAFETY: 16 k are within the part.
                    unsafe { P::store_t2(panel, k, bytes) };
                    k += t2::TAP_UNIT;
                }
            }
        }
        Codec::T2 | Codec::T5 | Codec::N12 | Codec::N34 => {
            let mut quads = Quads::new(codec, block);
            let stride = matrix.channels.next_multiple_of(t2::TAP_UNIT) / 4;
            for (i, tap) in part.taps.clone().enumerate() {
                for channel in (0..channels).step_by(4) {
                    let at = tap * stride + (part.channels.start + channel) / 4;
                    let (k, count) = (i * channels + channel, 4.min(channels - channel));
                    // SAFETY: k + count is within the part.
                    unsafe { P::store(panel, k, count, quads.get(at)) };
                }
            }
        }
        Codec::F16 | Codec::I8 => {
            for (i, tap) in part.taps.clone().enumerate() {
                for channel in 0..channels {
                    let row = tap * matrix.channels + part.channels.start + channel;
                    // SAFETY: k is within the part.
                    unsafe { P::store_dense(panel, i * channels + channel, codec, block, row) };
                }
            }
        }
        Codec::Plain | Codec::F32 => {}
    }
}

/// The quads of a t2 panel.
#[target_feature(enable = "avx2")]
#[inline]
fn quads(bytes: &[u8; PANEL_BYTES]) -> [Quad; 4] {
    // SAFETY: 64 bytes.
    let [low, high] = unsafe { load_group(bytes.as_ptr()) };
    let (low, high) = (fields(low), fields(high));
    let mut quads = [[low[0]; 2]; 4];
    for (i, quad) in quads.iter_mut().enumerate() {
        *quad = [low[i], high[i]];
    }
    quads
}

/// The codes of a quad as bytes.
#[target_feature(enable = "avx2")]
fn bytes(quad: Quad) -> [u8; 64] {
    let mut out = [0; 64];
    let start = out.as_mut_ptr();
    // SAFETY: 64 bytes.
    unsafe {
        _mm256_storeu_si256(start.cast(), quad[0]);
        _mm256_storeu_si256(start.add(32).cast(), quad[1]);
    }
    out
}

impl Panel for f32 {
    const STEP: usize = 1;
    const WEIGHT: usize = 4;
    const ZERO: u8 = 0;

    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn store_t2(panel: *mut u8, k: usize, bytes: &[u8; PANEL_BYTES]) {
        // Lanes of codes select from this by their two lowest bits.
        let trits = _mm256_setr_ps(-1.0, 0.0, 1.0, 2.0, -1.0, 0.0, 1.0, 2.0);
        // SAFETY: 64 bytes.
        let halves = unsafe { load_group(bytes.as_ptr()) };
        for (half, mut codes) in halves.into_iter().enumerate() {
            // Byte j of a lane has k = j, 4 + j, 8 + j and 12 + j.
            for i in 0..t2::TAP_UNIT {
                let (j, field) = (i / 4, i % 4);
                let weights = _mm256_permutevar_ps(trits, codes);
                codes = _mm256_srli_epi32::<2>(codes);
                let at = ((k + 4 * field + j) * BLOCK + half * 8) * Self::WEIGHT;
                // SAFETY: the row has room.
                unsafe { _mm256_storeu_ps(panel.add(at).cast(), weights) };
            }
        }
    }

    #[target_feature(enable = "avx2")]
    unsafe fn store(panel: *mut u8, k: usize, count: usize, quad: Quad) {
        let (mask, one) = (_mm256_set1_epi32(0xff), _mm256_set1_epi32(1));
        for j in 0..count {
            let shift = _mm_cvtsi32_si128(8 * j as i32);
            for (half, codes) in quad.iter().enumerate() {
                let code = _mm256_and_si256(_mm256_srl_epi32(*codes, shift), mask);
                let weights = _mm256_cvtepi32_ps(_mm256_sub_epi32(code, one));
                let at = ((k + j) * BLOCK + half * 8) * Self::WEIGHT;
                // SAFETY: row k + j has room.
                unsafe { _mm256_storeu_ps(panel.add(at).cast(), weights) };
            }
        }
    }

    #[target_feature(enable = "avx2,f16c")]
    unsafe fn store_dense(panel: *mut u8, k: usize, codec: Codec, block: &[u8], row: usize) {
        for half in 0..2 {
            let weights = if codec == Codec::F16 {
                let halves = &block[row * BLOCK * 2 + half * 16..][..16];
                // SAFETY: 16 bytes.
                _mm256_cvtph_ps(unsafe { _mm_loadu_si128(halves.as_ptr().cast()) })
            } else {
                let bytes = &block[row * BLOCK + half * 8..][..8];
                // SAFETY: 8 bytes.
                let bytes = unsafe { _mm_loadl_epi64(bytes.as_ptr().cast()) };
                _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes))
            };
            let at = (k * BLOCK + half * 8) * Self::WEIGHT;
            // SAFETY: row k has room.
            unsafe { _mm256_storeu_ps(panel.add(at).cast(), weights) };
        }
    }
}

impl Panel for i16 {
    const STEP: usize = 2;
    const WEIGHT: usize = 2;
    const ZERO: u8 = 0;

    #[target_feature(enable = "avx2")]
    unsafe fn store(panel: *mut u8, k: usize, count: usize, quad: Quad) {
        const GROUP: usize = BLOCK * 2 * 2;
        if k.is_multiple_of(2) && count.is_multiple_of(2) {
            let one = _mm256_set1_epi16(1);
            for pair in 0..count / 2 {
                // Bytes 2 * pair and 2 * pair + 1 of every four, zero-extended.
                let first =
                    _mm256_set1_epi32(0x80_01_80_00_u32 as i32 + 0x00_02_00_02 * pair as i32);
                let base = _mm256_setr_epi32(
                    0,
                    0x0004_0004,
                    0x0008_0008,
                    0x000c_000c,
                    0,
                    0x0004_0004,
                    0x0008_0008,
                    0x000c_000c,
                );
                let select = _mm256_add_epi32(first, base);
                for (half, codes) in quad.iter().enumerate() {
                    let weights = _mm256_sub_epi16(_mm256_shuffle_epi8(*codes, select), one);
                    let at = (k / 2 + pair) * GROUP + half * 32;
                    // SAFETY: both k of the group are below k + count.
                    unsafe { _mm256_storeu_si256(panel.add(at).cast(), weights) };
                }
            }
            return;
        }
        let codes = bytes(quad);
        for (j, o) in (0..count).flat_map(|j| (0..BLOCK).map(move |o| (j, o))) {
            let weight = i16::from(codes[4 * o + j]) - 1;
            let at = (k + j) / 2 * GROUP + (2 * o + (k + j) % 2) * Self::WEIGHT;
            // SAFETY: the group of k + j has room.
            unsafe { panel.add(at).cast::<i16>().write_unaligned(weight) };
        }
    }

    #[target_feature(enable = "avx2")]
    unsafe fn store_dense(panel: *mut u8, k: usize, codec: Codec, block: &[u8], row: usize) {
        if codec != Codec::I8 {
            return;
        }
        // The even k of a group overwrites the odd one, which comes next.
        let weights = dense_i8::row(block, row);
        // SAFETY: 16 bytes.
        let weights = unsafe { _mm_loadu_si128(weights.as_ptr().cast()) };
        let words = _mm256_cvtepi8_epi16(weights);
        let halves = [
            _mm256_castsi256_si128(words),
            _mm256_extracti128_si256(words, 1),
        ];
        for (half, words) in halves.into_iter().enumerate() {
            // SAFETY: the group of k has room.
            unsafe {
                let at = panel.add(k / 2 * BLOCK * 4 + half * 32).cast::<__m256i>();
                let pairs = if k.is_multiple_of(2) {
                    _mm256_cvtepu16_epi32(words)
                } else {
                    let odd = _mm256_slli_epi32(_mm256_cvtepu16_epi32(words), 16);
                    _mm256_or_si256(_mm256_loadu_si256(at), odd)
                };
                _mm256_storeu_si256(at, pairs);
            }
        }
    }
}

impl Panel for i8 {
    const STEP: usize = 4;
    const WEIGHT: usize = 1;
    const ZERO: u8 = 1;

    #[target_feature(enable = "avx2")]
    unsafe fn store(panel: *mut u8, k: usize, count: usize, quad: Quad) {
        const GROUP: usize = BLOCK * 4;
        if k.is_multiple_of(4) && count == 4 {
            // SAFETY: the group at k has room for its 64 bytes.
            unsafe {
                let at = panel.add(k / 4 * GROUP);
                _mm256_storeu_si256(at.cast(), quad[0]);
                _mm256_storeu_si256(at.add(32).cast(), quad[1]);
            }
            return;
        }
        let codes = bytes(quad);
        for (j, o) in (0..count).flat_map(|j| (0..BLOCK).map(move |o| (j, o))) {
            let at = (k + j) / 4 * GROUP + 4 * o + (k + j) % 4;
            // SAFETY: the group of k + j has room.
            unsafe { panel.add(at).write(codes[4 * o + j]) };
        }
    }

    unsafe fn store_dense(_: *mut u8, _: usize, _: Codec, _: &[u8], _: usize) {}
}

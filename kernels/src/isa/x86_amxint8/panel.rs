//! Decoded panels: the weights of a block of 16 outputs as tiles of B, signed
//! bytes `[chunk][16][16 outputs][4]`, four consecutive k lying together.
//!
//! A chunk is 64 k of a *run*, some taps whose channels follow each other without
//! filler. A run's last chunk is filled up with weights of zero.

use super::plan::{CHUNK, TILE_BYTES};
use crate::isa::x86_avx2::codes::Quads;
use crate::layout::{BLOCK, Block, PANEL_BYTES, dense_i8, t2};
use crate::{Codec, Matrix};
use core::arch::x86_64::*;

/// k values that lie together for one output.
pub(super) const STEP: usize = 4;
/// Bytes of a step of 16 outputs.
const GROUP: usize = STEP * BLOCK;

/// How the k axis is cut.
#[derive(Clone, Copy)]
pub(super) struct Runs {
    /// Runs.
    pub(super) count: usize,
    /// Taps of a run.
    pub(super) taps: usize,
    /// Channels of a tap.
    pub(super) channels: usize,
}

impl Runs {
    /// k values of a run.
    fn len_k(&self) -> usize {
        self.taps * self.channels
    }

    /// k values that tiles of a chunk have: fewer where no run fills one.
    pub(super) fn chunk_k(&self) -> usize {
        self.len_k().next_multiple_of(STEP).min(CHUNK)
    }

    /// Chunks of a run.
    pub(super) fn run_chunks(&self) -> usize {
        self.len_k().div_ceil(CHUNK)
    }

    /// Chunks of all runs.
    pub(super) fn chunks(&self) -> usize {
        self.run_chunks() * self.count
    }

    /// k values of a run, filler included; `None` where that overflows.
    pub(super) fn len_padded(&self) -> Option<usize> {
        self.run_chunks().checked_mul(CHUNK)
    }

    /// Bytes of a block's panel; `None` where that overflows.
    pub(super) fn bytes(&self) -> Option<usize> {
        self.run_chunks()
            .checked_mul(self.count)?
            .checked_mul(TILE_BYTES)
    }

    /// As [`bytes`](Self::bytes), of a plan that fits.
    pub(super) fn len(&self) -> usize {
        self.chunks() * TILE_BYTES
    }

    /// Where the group with this k of a run begins in the panel.
    #[inline(always)]
    fn at(&self, run: usize, k: usize) -> usize {
        run * self.run_chunks() * TILE_BYTES + k / STEP * GROUP
    }
}

/// Decodes a block, which is of the array; `panel` is as long as
/// [`Runs::len`] says.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
pub(super) fn decode(codec: Codec, matrix: &Matrix, block: &[u8], runs: &Runs, panel: &mut [u8]) {
    if !runs.len_k().is_multiple_of(CHUNK) {
        panel.fill(0);
    }
    let Matrix { taps, channels, .. } = *matrix;
    match codec {
        Codec::T2 if channels.is_multiple_of(t2::TAP_UNIT) => t2(block, runs, panel),
        Codec::N12 if channels.is_multiple_of(t2::TAP_UNIT) => n12(block, runs, panel),
        Codec::T2 | Codec::T5 | Codec::N12 if channels.is_multiple_of(STEP) => {
            quads(codec, block, runs, panel);
        }
        Codec::I8 if channels.is_multiple_of(STEP) => dense(block, runs, panel),
        _ => {
            let block = Block::new(codec, matrix, block);
            for (tap, channel) in (0..taps).flat_map(|t| (0..channels).map(move |c| (t, c))) {
                let k = tap % runs.taps * channels + channel;
                let at = runs.at(tap / runs.taps, k) + k % STEP;
                let weights = block.integers(tap, channel);
                for (to, w) in panel[at..].iter_mut().step_by(STEP).zip(weights) {
                    *to = w as u8;
                }
            }
        }
    }
}

/// `t2` with whole panels a tap: field i of a panel is group i.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn t2(block: &[u8], runs: &Runs, panel: &mut [u8]) {
    // By the lowest two bits; the others can be anything.
    let trits = _mm512_set1_epi32(0x02_01_00_ff);
    each_sixteen(runs, panel, |unit, to| {
        let Some(from) = block[unit * PANEL_BYTES..].first_chunk::<PANEL_BYTES>() else {
            return;
        };
        // SAFETY: 64 bytes.
        let codes = unsafe { _mm512_loadu_si512(from.as_ptr().cast()) };
        let fields = [
            codes,
            _mm512_srli_epi16(codes, 2),
            _mm512_srli_epi16(codes, 4),
            _mm512_srli_epi16(codes, 6),
        ];
        for (to, field) in to.iter_mut().zip(fields) {
            let weights = _mm512_permutexvar_epi8(field, trits);
            // SAFETY: 64 bytes.
            unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), weights) };
        }
    });
}

/// `n12` with whole sixteens a tap: nibble i of an output is its part of group i,
/// two pairs of k.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn n12(block: &[u8], runs: &Runs, panel: &mut [u8]) {
    // Entry 16 * j + nibble: the weight of k number j of the group. The lower
    // pair of bits is k 0 and 1; its lower bit tells which, its upper the sign.
    const TABLE: [i8; 64] = {
        let mut table = [0; 64];
        let mut i = 0;
        while i < 64 {
            let (j, nibble) = (i / 16, i % 16);
            let pair = nibble >> (j / 2 * 2) & 3;
            if pair & 1 == j & 1 {
                table[i] = if pair & 2 == 0 { 1 } else { -1 };
            }
            i += 1;
        }
        table
    };
    // SAFETY: 64 bytes.
    let table = unsafe { _mm512_loadu_si512(TABLE.as_ptr().cast()) };
    // Bits 4 * i .. of an output's four bytes, for each of its bytes.
    let bits = _mm512_set1_epi64(0x20202020_00000000);
    let low = _mm512_set1_epi8(15);
    let place = _mm512_set1_epi32(0x30_20_10_00);
    each_sixteen(runs, panel, |unit, to| {
        let Some(from) = block[unit / 2 * PANEL_BYTES..].first_chunk::<PANEL_BYTES>() else {
            return;
        };
        // SAFETY: 64 bytes.
        let pairs = unsafe { _mm512_loadu_si512(from.as_ptr().cast()) };
        for (i, to) in to.iter_mut().enumerate() {
            let first = _mm512_set1_epi8((unit % 2 * 16 + 4 * i) as i8);
            let nibble = _mm512_multishift_epi64_epi8(_mm512_add_epi8(bits, first), pairs);
            // (nibble and 15) or place
            let index = _mm512_ternarylogic_epi32::<0xf8>(place, nibble, low);
            let weights = _mm512_permutexvar_epi8(index, table);
            // SAFETY: 64 bytes.
            unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), weights) };
        }
    });
}

/// Calls `decode` for every sixteen k of the block's axis, the number of which
/// it is given, with their four groups.
#[inline(always)]
fn each_sixteen(
    runs: &Runs,
    panel: &mut [u8],
    mut decode: impl FnMut(usize, &mut [[u8; GROUP]; 4]),
) {
    let units = runs.len_k() / t2::TAP_UNIT;
    let runs_of = panel.chunks_exact_mut(runs.run_chunks() * TILE_BYTES);
    for (run, panel) in runs_of.enumerate() {
        let (groups, _) = panel.as_chunks_mut::<GROUP>();
        let (fours, _) = groups.as_chunks_mut::<4>();
        for (i, four) in fours.iter_mut().take(units).enumerate() {
            decode(run * units + i, four);
        }
    }
}

/// Ternary codecs with whole groups a tap.
#[target_feature(enable = "avx2")]
fn quads(codec: Codec, block: &[u8], runs: &Runs, panel: &mut [u8]) {
    let mut quads = Quads::new(codec, block);
    let stride = runs.channels.next_multiple_of(t2::TAP_UNIT) / STEP;
    let one = _mm256_set1_epi8(1);
    for tap in 0..runs.count * runs.taps {
        let first = tap % runs.taps * runs.channels;
        for channel in (0..runs.channels).step_by(STEP) {
            let quad = quads.get(tap * stride + channel / STEP);
            let at = runs.at(tap / runs.taps, first + channel);
            for (half, to) in quad
                .into_iter()
                .zip(panel[at..][..GROUP].as_chunks_mut::<32>().0)
            {
                let weights = _mm256_sub_epi8(half, one);
                // SAFETY: 32 bytes.
                unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), weights) };
            }
        }
    }
}

/// Dense bytes with whole groups a tap: four rows of 16 outputs are a group.
#[target_feature(enable = "avx2")]
fn dense(block: &[u8], runs: &Runs, panel: &mut [u8]) {
    for tap in 0..runs.count * runs.taps {
        let first = tap % runs.taps * runs.channels;
        for channel in (0..runs.channels).step_by(STEP) {
            let mut rows = [_mm_setzero_si128(); STEP];
            for (i, row) in rows.iter_mut().enumerate() {
                let bytes = dense_i8::row(block, tap * runs.channels + channel + i);
                // SAFETY: 16 bytes.
                *row = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
            }
            let pairs = [
                [
                    _mm_unpacklo_epi8(rows[0], rows[1]),
                    _mm_unpacklo_epi8(rows[2], rows[3]),
                ],
                [
                    _mm_unpackhi_epi8(rows[0], rows[1]),
                    _mm_unpackhi_epi8(rows[2], rows[3]),
                ],
            ];
            let at = runs.at(tap / runs.taps, first + channel);
            let (to, _) = panel[at..][..GROUP].as_chunks_mut::<32>();
            for ([low, high], to) in pairs.into_iter().zip(to) {
                // SAFETY: 32 bytes.
                unsafe {
                    let to = to.as_mut_ptr().cast::<__m128i>();
                    _mm_storeu_si128(to, _mm_unpacklo_epi16(low, high));
                    _mm_storeu_si128(to.add(1), _mm_unpackhi_epi16(low, high));
                }
            }
        }
    }
}

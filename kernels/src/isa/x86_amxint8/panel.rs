//! Decoded panels: the weights of a block of 16 outputs as tiles of B, signed
//! bytes `[chunk][16][16 outputs][4]`, four consecutive k lying together.
//!
//! A chunk is 64 k of a *run*, some taps that are staged together. A run's last chunk is filled up with weights of zero.

use super::plan::{CHUNK, TILE_BYTES};
use crate::isa::x86_avx2::codes::Quads;
use crate::layout::{BLOCK, Block, PANEL_BYTES, dense_i8, n12, t2};
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
    /// Taps of a run, and channels of a tap.
    pub(super) taps: usize,
    pub(super) channels: usize,
    /// So many of the taps follow each other without filler; those after them
    /// begin `line_len` k further on.
    pub(super) line_taps: usize,
    pub(super) line_len: usize,
}

impl Runs {
    /// k values of a run.
    fn len_k(&self) -> usize {
        self.taps / self.line_taps * self.line_len
    }

    /// Whether k follow each other as the matrix's, without filler between lines and taps
    /// that it has not.
    fn are_whole(&self, matrix: &Matrix) -> bool {
        self.line_len == self.line_taps * self.channels && self.taps * self.count == matrix.taps
    }

    /// Whether every k of every chunk is a weight of the matrix.
    fn are_full(&self, matrix: &Matrix) -> bool {
        self.are_whole(matrix) && self.len_k().is_multiple_of(CHUNK)
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

    /// Where output 0's weight of a tap and channel lies in the panel.
    #[inline(always)]
    fn at(&self, tap: usize, channel: usize) -> usize {
        let (run, tap) = (tap / self.taps, tap % self.taps);
        let (line, tap) = (tap / self.line_taps, tap % self.line_taps);
        let k = line * self.line_len + tap * self.channels + channel;
        run * self.run_chunks() * TILE_BYTES + k / STEP * GROUP + k % STEP
    }
}

/// Decodes a block, which is of the array; `panel` is as long as
/// [`Runs::len`] says.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
pub(super) fn decode(codec: Codec, matrix: &Matrix, block: &[u8], runs: &Runs, panel: &mut [u8]) {
    if !runs.are_full(matrix) {
        panel.fill(0);
    }
    let Matrix { taps, channels, .. } = *matrix;
    let whole = channels.is_multiple_of(t2::TAP_UNIT) && runs.are_whole(matrix);
    match codec {
        Codec::T2 if whole => sixteens::<T2>(block, runs, panel),
        Codec::N12 if whole => sixteens::<N12>(block, runs, panel),
        Codec::T2 | Codec::T5 | Codec::N12 | Codec::N34 if channels.is_multiple_of(STEP) => {
            quads(codec, block, taps, runs, panel);
        }
        Codec::I8 if channels.is_multiple_of(STEP) => dense(block, taps, runs, panel),
        _ => {
            let block = Block::new(codec, matrix, block);
            for (tap, channel) in (0..taps).flat_map(|t| (0..channels).map(move |c| (t, c))) {
                let at = runs.at(tap, channel);
                let weights = block.integers(tap, channel);
                for (to, w) in panel[at..].iter_mut().step_by(STEP).zip(weights) {
                    *to = w as u8;
                }
            }
        }
    }
}

/// A ternary codec of which whole chunks are decoded, one behind another.
pub(super) trait Chunks {
    /// Bytes of a chunk of 16 outputs.
    const BYTES: usize;

    /// With what decoding needs in registers.
    ///
    /// # Safety
    ///
    /// The CPU has AVX-512 VBMI.
    unsafe fn new() -> Self;

    /// The groups of sixteen k, the first of `from` or, where it has more, those
    /// number `part`.
    ///
    /// # Safety
    ///
    /// The CPU has AVX-512 VBMI; `from` has a panel.
    unsafe fn sixteen(&self, from: *const u8, part: usize) -> [__m512i; 4];

    /// Decodes a chunk to a tile.
    ///
    /// # Safety
    ///
    /// The CPU has AVX-512 VBMI; `from` has a chunk, and `to` room for a tile.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    #[inline]
    unsafe fn decode(&self, from: *const u8, to: *mut u8) {
        let parts = CHUNK * PANEL_BYTES / t2::TAP_UNIT / Self::BYTES;
        for i in 0..CHUNK / t2::TAP_UNIT {
            // SAFETY: a chunk has these panels, a tile these groups.
            unsafe {
                let groups = self.sixteen(from.add(i / parts * PANEL_BYTES), i % parts);
                for (j, group) in groups.into_iter().enumerate() {
                    _mm512_store_si512(to.add((4 * i + j) * GROUP).cast(), group);
                }
            }
        }
    }
}

/// `t2`: field i of a panel is group i.
pub(super) struct T2 {
    /// By the lowest two bits; the others can be anything.
    trits: __m512i,
}

impl Chunks for T2 {
    const BYTES: usize = CHUNK / t2::PANEL_K * PANEL_BYTES;

    #[target_feature(enable = "avx512f")]
    #[inline]
    unsafe fn new() -> T2 {
        T2 {
            trits: _mm512_set1_epi32(0x02_01_00_ff),
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    #[inline]
    unsafe fn sixteen(&self, from: *const u8, _: usize) -> [__m512i; 4] {
        // SAFETY: the caller's promise.
        let codes = unsafe { _mm512_loadu_si512(from.cast()) };
        [
            _mm512_permutexvar_epi8(codes, self.trits),
            _mm512_permutexvar_epi8(_mm512_srli_epi16(codes, 2), self.trits),
            _mm512_permutexvar_epi8(_mm512_srli_epi16(codes, 4), self.trits),
            _mm512_permutexvar_epi8(_mm512_srli_epi16(codes, 6), self.trits),
        ]
    }
}

/// `n12`: nibble i of an output is its part of group i, two pairs of k.
pub(super) struct N12 {
    /// Entry `16 * j + nibble` is the weight of k number j of the group.
    table: __m512i,
    /// Byte 0 of every output, four times.
    first: __m512i,
    low: __m512i,
    place: __m512i,
}

/// The lower pair of a nibble's bits is k 0 and 1, the upper one k 2 and 3; of a
/// pair the lower bit tells which is not zero, the upper its sign.
const N12_TABLE: [i8; 64] = {
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

impl Chunks for N12 {
    const BYTES: usize = CHUNK / n12::PANEL_K * PANEL_BYTES;

    #[target_feature(enable = "avx512f")]
    #[inline]
    unsafe fn new() -> N12 {
        N12 {
            // SAFETY: 64 bytes.
            table: unsafe { _mm512_loadu_si512(N12_TABLE.as_ptr().cast()) },
            first: _mm512_set4_epi32(0x0c0c_0c0c, 0x0808_0808, 0x0404_0404, 0),
            low: _mm512_set1_epi8(15),
            place: _mm512_set1_epi32(0x30_20_10_00),
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    #[inline]
    unsafe fn sixteen(&self, from: *const u8, part: usize) -> [__m512i; 4] {
        // SAFETY: the caller's promise.
        let pairs = unsafe { _mm512_loadu_si512(from.cast()) };
        let byte = _mm512_add_epi8(self.first, _mm512_set1_epi8((2 * part) as i8));
        let bytes = [
            _mm512_shuffle_epi8(pairs, byte),
            _mm512_shuffle_epi8(pairs, _mm512_add_epi8(byte, _mm512_set1_epi8(1))),
        ];
        let mut groups = [pairs; 4];
        for (i, group) in groups.iter_mut().enumerate() {
            let mut nibble = bytes[i / 2];
            if i % 2 == 1 {
                nibble = _mm512_srli_epi16(nibble, 4);
            }
            // place or (nibble and 15)
            let index = _mm512_ternarylogic_epi32::<0xf8>(self.place, nibble, self.low);
            *group = _mm512_permutexvar_epi8(index, self.table);
        }
        groups
    }
}

/// A codec with whole sixteens a tap, of runs that are whole.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn sixteens<C: Chunks>(block: &[u8], runs: &Runs, panel: &mut [u8]) {
    let parts = CHUNK * PANEL_BYTES / t2::TAP_UNIT / C::BYTES;
    // SAFETY: the CPU has these instructions.
    let codec = unsafe { C::new() };
    each_sixteen(runs, panel, |unit, to| {
        if let Some(from) = block[unit / parts * PANEL_BYTES..].first_chunk::<PANEL_BYTES>() {
            // SAFETY: as above; there is a panel.
            let groups = unsafe { codec.sixteen(from.as_ptr(), unit % parts) };
            for (to, group) in to.iter_mut().zip(groups) {
                // SAFETY: 64 bytes.
                unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), group) };
            }
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
fn quads(codec: Codec, block: &[u8], taps: usize, runs: &Runs, panel: &mut [u8]) {
    let mut quads = Quads::new(codec, block);
    let stride = runs.channels.next_multiple_of(t2::TAP_UNIT) / STEP;
    let one = _mm256_set1_epi8(1);
    for tap in 0..taps {
        for channel in (0..runs.channels).step_by(STEP) {
            let quad = quads.get(tap * stride + channel / STEP);
            let at = runs.at(tap, channel);
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
fn dense(block: &[u8], taps: usize, runs: &Runs, panel: &mut [u8]) {
    for tap in 0..taps {
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
            let at = runs.at(tap, channel);
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

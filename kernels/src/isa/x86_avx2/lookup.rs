//! The tile that looks sums up: n12 weights and i7 activations.
//!
//! Four activations and two pairs of n12 weights have 16 possible sums; a nibble
//! of the packed weights is the index. For every four activations the 16 sums
//! are made once, each plus 128 so that it is an unsigned byte (`|sum| <= 126`),
//! and `pshufb` then looks up 16 outputs in each half of a register:
//!
//! ```text
//! table   [4 activations]  [16]       u8
//! panel   [k / 8]          [2][16]    u8   index of outputs 0..16 for k..k+4 and k+4..k+8
//! ```
//!
//! Sums are added in 16-bit lanes: once as they are, `even + 256 * odd`, and once
//! shifted, `odd`. At the end the even ones come out by subtraction. A lane has
//! room for [`NARROW`] steps; with their bias taken off, both halves of a register
//! together stay within i16.

use crate::epilogue::Finish;
use crate::layout::{BLOCK, PANEL_BYTES, n12, t2};
use crate::product::tiled::{Chunk, Outputs, Part, Tile};
use crate::{Codec, Matrix};
use core::arch::x86_64::*;
use core::ops::Range;

/// Rows of a tile, one after the other; they share the epilogue's preparations.
const ROWS: usize = 8;
/// Blocks of a tile: 12 registers of sums.
const BLOCKS: usize = 6;
/// k values that one register looks up.
const STEP: usize = 8;
/// Steps that are added in 16 bits: `2 * 126 * 128 <= 32767`, and
/// `254 * 128 <= 65535`.
const NARROW: usize = 128;
/// What a table's bytes have above their sums.
const BIAS: u8 = 128;

/// i7 activations and n12 weights.
pub(crate) enum N12 {}

/// The steps of a panel of packed weights, 32 bytes each.
///
/// # Safety
///
/// The CPU has AVX2; the panel is there, and room for four steps.
#[inline(always)]
unsafe fn steps_of(panel: *const u8, to: *mut u8) {
    // SAFETY: the caller's promises.
    unsafe {
        for (half, [low, high]) in indices(panel).into_iter().enumerate() {
            let to = to.add(half * PANEL_BYTES);
            _mm_storeu_si128(to.cast(), _mm256_castsi256_si128(low));
            _mm_storeu_si128(to.add(16).cast(), _mm256_castsi256_si128(high));
            _mm_storeu_si128(to.add(32).cast(), _mm256_extracti128_si256::<1>(low));
            _mm_storeu_si128(to.add(48).cast(), _mm256_extracti128_si256::<1>(high));
        }
    }
}

/// The nibbles of an n12 panel, each a byte: of bytes 0 and 1 of all outputs the lower
/// ones, then the upper ones; then the same of bytes 2 and 3.
///
/// # Safety
///
/// The CPU has AVX2; the panel is there.
#[inline(always)]
unsafe fn indices(panel: *const u8) -> [[__m256i; 2]; 2] {
    // SAFETY: the caller's promises.
    unsafe {
        let order = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        let order = _mm256_broadcastsi128_si256(order);
        // Of four outputs each: the first and the third 16 bytes, the second and the last.
        let quarters = panel.cast::<__m128i>();
        let first = _mm256_loadu2_m128i(quarters.add(2), quarters);
        let first = _mm256_shuffle_epi8(first, order);
        let second = _mm256_loadu2_m128i(quarters.add(3), quarters.add(1));
        let second = _mm256_shuffle_epi8(second, order);
        let low = _mm256_unpacklo_epi32(first, second);
        let low = _mm256_permute4x64_epi64::<0b11_01_10_00>(low);
        let high = _mm256_unpackhi_epi32(first, second);
        let high = _mm256_permute4x64_epi64::<0b11_01_10_00>(high);
        let mask = _mm256_set1_epi8(15);
        [
            [
                _mm256_and_si256(low, mask),
                _mm256_and_si256(_mm256_srli_epi16::<4>(low), mask),
            ],
            [
                _mm256_and_si256(high, mask),
                _mm256_and_si256(_mm256_srli_epi16::<4>(high), mask),
            ],
        ]
    }
}

impl Tile for N12 {
    type X = i8;
    type Columns<'a> = Outputs<'a>;
    const ROWS: usize = ROWS;
    const BLOCKS: usize = BLOCKS;
    const STEP: usize = STEP;
    const GROUP: usize = 2 * BLOCK;
    const UNIT: usize = 4;
    const DIRECT: bool = false;
    const TABLES: bool = true;
    const ROW_BY_ROW: bool = true;
    const ZERO: u8 = BIAS;

    #[target_feature(enable = "avx2")]
    unsafe fn prepare(x: &[i8], tables: *mut u8) {
        let lanes = |low: [i8; 16]| {
            // SAFETY: 16 bytes.
            let low = unsafe { _mm_loadu_si128(low.as_ptr().cast()) };
            let high = _mm_add_epi8(low, _mm_set1_epi8(4));
            _mm256_set_m128i(high, low)
        };
        let both = |lane: [i8; 16]| {
            // SAFETY: 16 bytes.
            unsafe { _mm256_broadcastsi128_si256(_mm_loadu_si128(lane.as_ptr().cast())) }
        };
        // Bits of the index: side and sign of the first pair, of the second.
        let first = lanes([0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
        let second = lanes([2, 2, 2, 2, 3, 3, 3, 3, 2, 2, 2, 2, 3, 3, 3, 3]);
        let first_sign = both([1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1]);
        let second_sign = both([1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1, -1]);
        let bias = _mm256_set1_epi8(BIAS as i8);
        for (i, x) in x.as_chunks::<STEP>().0.iter().enumerate() {
            let x = _mm256_set1_epi64x(i64::from_le_bytes(x.map(|x| x as u8)));
            let first = _mm256_sign_epi8(_mm256_shuffle_epi8(x, first), first_sign);
            let second = _mm256_sign_epi8(_mm256_shuffle_epi8(x, second), second_sign);
            let sums = _mm256_xor_si256(_mm256_add_epi8(first, second), bias);
            // SAFETY: the caller promises four bytes for each element.
            unsafe { _mm256_storeu_si256(tables.add(i * 32).cast(), sums) };
        }
    }

    #[target_feature(enable = "avx2")]
    unsafe fn decode(
        _: Codec,
        matrix: &Matrix,
        block: &[u8],
        part: &Part,
        panel: *mut u8,
        _: &mut [i32; BLOCK],
    ) {
        let stride = matrix.channels.next_multiple_of(t2::TAP_UNIT);
        let mut to = panel;
        for tap in part.taps.clone() {
            let (first, end) = (
                tap * stride + part.channels.start,
                tap * stride + part.channels.end,
            );
            let mut k = first;
            while k < end {
                let bytes = &block[k / n12::PANEL_K * PANEL_BYTES..][..PANEL_BYTES];
                let from = k % n12::PANEL_K / STEP;
                let until = (from + (end - k) / STEP).min(n12::PANEL_K / STEP);
                let steps = until - from;
                // SAFETY: 64 bytes; 32 bytes for every step of the part.
                unsafe {
                    if steps == n12::PANEL_K / STEP {
                        steps_of(bytes.as_ptr(), to);
                    } else {
                        let mut all = [0u8; 2 * PANEL_BYTES];
                        steps_of(bytes.as_ptr(), all.as_mut_ptr());
                        to.copy_from_nonoverlapping(all[32 * from..].as_ptr(), 32 * steps);
                    }
                    to = to.add(32 * steps);
                }
                k += steps.max(1) * STEP;
            }
        }
    }

    #[target_feature(enable = "avx2")]
    unsafe fn add(chunk: &Chunk) {
        // SAFETY: the caller's promises are the same.
        unsafe {
            for row in 0..chunk.segments.rows {
                match chunk.blocks {
                    1 => add::<1>(chunk, row),
                    2 => add::<2>(chunk, row),
                    3 => add::<3>(chunk, row),
                    4 => add::<4>(chunk, row),
                    5 => add::<5>(chunk, row),
                    _ => add::<BLOCKS>(chunk, row),
                }
            }
        }
    }

    unsafe fn columns<'a>(finish: &'a Finish<'a>, outputs: Range<usize>) -> Outputs<'a> {
        Outputs { finish, outputs }
    }

    #[target_feature(enable = "avx2")]
    unsafe fn finish(columns: &Outputs<'_>, rows: Range<usize>, sums: *mut f32, _: usize) {
        let outputs = columns.outputs.clone();
        // SAFETY: the caller's promises; a row of sums has BLOCKS blocks.
        unsafe {
            columns
                .finish
                .x86_avx2_rows(rows, outputs, sums, BLOCKS * BLOCK)
        };
    }
}

/// # Safety
///
/// As for [`Tile::add`], with `Q` blocks; `row` is one of the tile's.
#[target_feature(enable = "avx2")]
unsafe fn add<const Q: usize>(chunk: &Chunk, row: usize) {
    // SAFETY: the caller promises room for every row.
    let sums = unsafe { chunk.sums.cast::<i32>().add(row * BLOCKS * BLOCK) };
    let mut first = chunk.first;
    let mut both = [_mm256_setzero_si256(); Q];
    let mut odd = [_mm256_setzero_si256(); Q];
    let mut panels = chunk.panels;
    let mut pending = 0;
    let steps = chunk.segments.len / STEP;
    let beyond = chunk.segments.beyond(row);
    for segment in 0..chunk.segments.count {
        let beyond = chunk.segments.beyond_in(beyond, segment);
        let [left, right] = beyond.map(|beyond| beyond / STEP);
        // SAFETY: segment < count, and the row's pointer was written.
        let table = unsafe { chunk.segments.row(row, segment) };
        let table = table.wrapping_add(left * 32);
        panels = panels.wrapping_add(left * 32);
        let steps = steps - left - right;
        let mut step = 0;
        while step < steps {
            let end = steps.min(step + NARROW - pending);
            pending += end - step;
            for at in (step * 32..end * 32).step_by(32) {
                // SAFETY: a segment has 32 bytes of tables for every step.
                let table = unsafe { _mm256_loadu_si256(table.add(at).cast()) };
                for q in 0..Q {
                    // SAFETY: a panel has 32 bytes for every step of every segment.
                    let index = unsafe { _mm256_loadu_si256(panels.add(q * chunk.stride).cast()) };
                    let sum = _mm256_shuffle_epi8(table, index);
                    both[q] = _mm256_add_epi16(both[q], sum);
                    odd[q] = _mm256_add_epi16(odd[q], _mm256_srli_epi16(sum, 8));
                }
                // SAFETY: stays within the panel, or one past its end.
                panels = unsafe { panels.add(32) };
            }
            step = end;
            if pending == NARROW {
                // SAFETY: the caller promises room for Q blocks.
                unsafe { widen(sums, first, pending, &mut both, &mut odd) };
                (pending, first) = (0, false);
            }
        }
        panels = panels.wrapping_add(right * 32);
    }
    // SAFETY: as above.
    unsafe { widen(sums, first, pending, &mut both, &mut odd) };
    if chunk.last {
        for eight in 0..2 * Q {
            // SAFETY: as above.
            unsafe {
                let at = sums.add(8 * eight);
                let sum = _mm256_cvtepi32_ps(_mm256_loadu_si256(at.cast()));
                _mm256_storeu_ps(at.cast(), sum);
            }
        }
    }
}

/// Moves what `steps` steps summed to the i32 sums; writes them if they are the
/// first.
///
/// # Safety
///
/// There is room for `Q` blocks of sums.
#[target_feature(enable = "avx2")]
unsafe fn widen<const Q: usize>(
    sums: *mut i32,
    first: bool,
    steps: usize,
    both: &mut [__m256i; Q],
    odd: &mut [__m256i; Q],
) {
    let bias = _mm256_set1_epi16((usize::from(BIAS) * steps) as i16);
    for q in 0..Q {
        let even = _mm256_sub_epi16(both[q], _mm256_slli_epi16(odd[q], 8));
        let (even, odd_sums) = (_mm256_sub_epi16(even, bias), _mm256_sub_epi16(odd[q], bias));
        let (even, odd_sums) = (halves(even), halves(odd_sums));
        let eights = [
            _mm_unpacklo_epi16(even, odd_sums),
            _mm_unpackhi_epi16(even, odd_sums),
        ];
        for (i, eight) in eights.into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe {
                let at = sums.add(q * BLOCK + 8 * i).cast();
                let mut sum = _mm256_cvtepi16_epi32(eight);
                if !first {
                    sum = _mm256_add_epi32(sum, _mm256_loadu_si256(at));
                }
                _mm256_storeu_si256(at, sum);
            }
        }
        both[q] = _mm256_setzero_si256();
        odd[q] = _mm256_setzero_si256();
    }
}

/// Adds both halves, which are sums of the same outputs.
#[target_feature(enable = "avx2")]
#[inline]
fn halves(sums: __m256i) -> __m128i {
    _mm_add_epi16(
        _mm256_castsi256_si128(sums),
        _mm256_extracti128_si256(sums, 1),
    )
}

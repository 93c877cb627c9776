//! The tile that looks sums up: n12 weights and i7 activations.
//!
//! Four activations and two pairs of n12 weights, a nibble, have 16 possible
//! sums, `|sum| <= 126`. Those of four times four activations fill a register,
//! which `vpermb` reads at 64 places at once:
//!
//! ```text
//! table   [16 activations]  [4][16]          i8   sums of four activations, by nibble
//! panel   [k / 16]          [16 outputs][4]  u8   index into the table: 16 * j + nibble
//!
//! sums[0..16] += sum over j of table[panel[0..16][j]]     vpermb, vpdpbusd with ones
//! ```
//!
//! i32 sums are exact for as many products as [`max_k`](crate::max_k) allows.

use crate::epilogue::Finish;
use crate::epilogue::x86_avx512::IntegerTile;
use crate::isa::x86_avx512vnni::{BLOCKS, Outputs, Sums, finish, load, strip, wait, waiting};
use crate::layout::{BLOCK, PANEL_BYTES, n12, t2};
use crate::product::tiled::{Chunk, Part, Segments, Tile};
use crate::{Codec, Matrix};
use core::arch::x86_64::*;
use core::ops::Range;

/// Output rows of a tile, [`AT_ONCE`] of them at a time; they share the
/// epilogue's preparations.
const ROWS: usize = 8;
/// Rows whose sums are in registers, at most 16 with all blocks of a tile.
const AT_ONCE: usize = 4;
/// k values that one register looks up.
const STEP: usize = 16;
/// Bytes of a register.
const BYTES: usize = 64;

/// i7 activations and n12 weights.
pub(crate) enum N12 {}

impl Tile for N12 {
    type X = i8;
    type Columns<'a> = Outputs<'a>;
    const ROWS: usize = ROWS;
    const BLOCKS: usize = BLOCKS;
    const STEP: usize = STEP;
    const GROUP: usize = BYTES;
    const UNIT: usize = BYTES / STEP;
    const DIRECT: bool = false;
    const TABLES: bool = true;
    const PANELS: usize = 72 << 10;

    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn prepare(x: &[i8], tables: *mut u8) {
        // Bits of the index: side and sign of the first pair, of the second.
        // Byte n of quarter j takes activation 4 * j + side.
        let quarters = _mm512_setr_epi32(
            0,
            0,
            0,
            0,
            0x0404_0404,
            0x0404_0404,
            0x0404_0404,
            0x0404_0404,
            0x0808_0808,
            0x0808_0808,
            0x0808_0808,
            0x0808_0808,
            0x0c0c_0c0c,
            0x0c0c_0c0c,
            0x0c0c_0c0c,
            0x0c0c_0c0c,
        );
        let first = _mm512_add_epi8(quarters, _mm512_set1_epi32(0x0100_0100));
        let second = _mm512_set4_epi32(0x0303_0303, 0x0202_0202, 0x0303_0303, 0x0202_0202);
        let second = _mm512_add_epi8(quarters, second);
        const FIRST_NEGATIVE: __mmask64 = 0xcccc_cccc_cccc_cccc;
        const SECOND_NEGATIVE: __mmask64 = 0xff00_ff00_ff00_ff00;
        let zero = _mm512_setzero_si512();
        for (i, x) in x.as_chunks::<STEP>().0.iter().enumerate() {
            // SAFETY: 16 bytes.
            let x = unsafe { _mm_loadu_si128(x.as_ptr().cast()) };
            let x = _mm512_broadcast_i32x4(x);
            let a = _mm512_shuffle_epi8(x, first);
            let b = _mm512_shuffle_epi8(x, second);
            let a = _mm512_mask_sub_epi8(a, FIRST_NEGATIVE, zero, a);
            let sums = _mm512_add_epi8(a, b);
            let sums = _mm512_mask_sub_epi8(sums, SECOND_NEGATIVE, a, b);
            // SAFETY: the caller promises four bytes for each element.
            unsafe { _mm512_storeu_si512(tables.add(i * BYTES).cast(), sums) };
        }
    }

    #[target_feature(enable = "avx512f,avx512bw")]
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
            let start = tap * stride + part.channels.start;
            for k in (start..start + part.channels.len()).step_by(STEP) {
                let bytes = &block[k / n12::PANEL_K * PANEL_BYTES..][..PANEL_BYTES];
                // SAFETY: 64 bytes; 64 bytes for every step of the part.
                unsafe {
                    let bytes = _mm512_loadu_si512(bytes.as_ptr().cast());
                    let index = indices(bytes, k % n12::PANEL_K / STEP);
                    _mm512_storeu_si512(to.cast(), index);
                }
                to = to.wrapping_add(BYTES);
            }
        }
    }

    fn decodes(codec: Codec, _: usize) -> Option<usize> {
        (codec == Codec::N12).then_some(AT_ONCE)
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx512vbmi")]
    unsafe fn add(chunk: &Chunk) {
        // SAFETY: the caller's promises are the same; the tile has room for ROWS rows
        // even if it has fewer.
        unsafe {
            if !chunk.packed.is_null() {
                return match chunk.blocks {
                    1 => decode_and_look_up::<AT_ONCE, 1>(chunk),
                    2 => decode_and_look_up::<AT_ONCE, 2>(chunk),
                    3 => decode_and_look_up::<AT_ONCE, 3>(chunk),
                    _ => decode_and_look_up::<AT_ONCE, BLOCKS>(chunk),
                };
            }
            for from in (0..chunk.segments.rows).step_by(AT_ONCE) {
                match (chunk.blocks, chunk.segments.rows - from) {
                    (1, 1) => add::<1, 1>(chunk, from),
                    (1, _) => add::<AT_ONCE, 1>(chunk, from),
                    (2, 1) => add::<1, 2>(chunk, from),
                    (2, _) => add::<AT_ONCE, 2>(chunk, from),
                    (3, 1) => add::<1, 3>(chunk, from),
                    (3, _) => add::<AT_ONCE, 3>(chunk, from),
                    (_, 1) => add::<1, BLOCKS>(chunk, from),
                    _ => add::<AT_ONCE, BLOCKS>(chunk, from),
                }
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
    unsafe fn strip(chunk: &Chunk, columns: &Outputs<'_>, rows: Range<usize>) -> bool {
        // SAFETY: the caller's promises are the same.
        unsafe { strip::<N12, 8, 8, 8, 6>(chunk, columns, rows) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn columns<'a>(finish: &'a Finish<'a>, outputs: Range<usize>) -> Outputs<'a> {
        Outputs::new(finish, outputs)
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn finish(columns: &Outputs<'_>, rows: Range<usize>, sums: *mut f32, k: usize) {
        // SAFETY: the caller's promises; a row of sums has BLOCKS blocks.
        unsafe { finish::<N12, true>(columns, rows, sums.cast(), k) };
    }
}

impl Sums for N12 {
    type Rows<const B: usize> = IntegerTile<B>;

    // Of a trit and an activation.
    const LARGEST: usize = 128;

    #[inline(always)]
    unsafe fn sums<const R: usize, const B: usize>(
        chunk: &Chunk,
        segments: &Segments,
    ) -> [[__m512i; B]; R] {
        // SAFETY: the caller's promises.
        unsafe {
            let mut sum = [[_mm512_setzero_si512(); B]; R];
            look_up(&mut sum, chunk, segments, 0);
            sum
        }
    }
}

/// The indices of 16 k of an n12 panel, the first or the second 16.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn indices(panel: __m512i, half: usize) -> __m512i {
    // The bytes of the first 16 k of every output, each twice.
    let twice = _mm512_set4_epi32(0x0d0d_0c0c, 0x0909_0808, 0x0505_0404, 0x0101_0000);
    let low = _mm512_set1_epi32(0x000f_000f);
    let high = _mm512_set1_epi32(0x0f00_0f00);
    let tables = _mm512_set1_epi32(0x3020_1000);
    // The other 16 k of a panel are two bytes further on.
    let select = _mm512_add_epi8(twice, _mm512_set1_epi8(2 * half as i8));
    let bytes = _mm512_shuffle_epi8(panel, select);
    let even = _mm512_and_si512(bytes, low);
    let odd = _mm512_and_si512(_mm512_srli_epi16::<4>(bytes), high);
    _mm512_or_si512(_mm512_or_si512(even, odd), tables)
}

/// Rows `from..from + R` of a tile; those that the tile does not have are the
/// last row again, and nobody reads their sums.
///
/// # Safety
///
/// As for [`Tile::add`], with `B` blocks; `from` is below the number of rows, and
/// `from + R` at most `ROWS`.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx512vbmi")]
unsafe fn add<const R: usize, const B: usize>(chunk: &Chunk, from: usize) {
    // SAFETY: the caller's promises.
    unsafe {
        let mut sum = waiting::<R, B>(chunk, from);
        look_up(&mut sum, chunk, &chunk.segments, from);
        wait(chunk, from, &sum);
    }
}

/// As [`add`] for the first rows where the panels are not there yet: decodes them for
/// the rows that follow.
///
/// # Safety
///
/// As for [`add`], from row 0 on.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx512vbmi")]
unsafe fn decode_and_look_up<const R: usize, const B: usize>(chunk: &Chunk) {
    let segments = &chunk.segments;
    let stride = chunk.packed_stride;
    let (mut packed, mut panels) = (chunk.packed, chunk.panels);
    // SAFETY: the caller's promises. A block has 64 bytes for every 32 k of every
    // segment, a panel 64 bytes for every step and a row 64 bytes of tables.
    unsafe {
        let mut sum = waiting::<R, B>(chunk, 0);
        for segment in 0..segments.count {
            let tables: [_; R] = core::array::from_fn(|r| segments.row(r, segment));
            for step in (0..segments.len / STEP).step_by(2) {
                for half in 0..2 {
                    let index = load::<B>(packed, stride).map(|panel| indices(panel, half));
                    for (b, index) in index.iter().enumerate() {
                        let to = panels.add(b * chunk.stride);
                        _mm512_storeu_si512(to.cast(), *index);
                    }
                    panels = panels.add(BYTES);
                    step_of(&mut sum, index, &tables, step + half);
                }
                for b in 0..B {
                    // What the next tile decodes comes from afar while this one adds.
                    let next = packed.wrapping_add((B + b) * stride);
                    _mm_prefetch::<_MM_HINT_T1>(next.cast());
                }
                packed = packed.add(BYTES);
            }
        }
        wait(chunk, 0, &sum);
    }
}

/// Adds the sums of `R` rows of `segments`, from row `from` on.
///
/// # Safety
///
/// As for [`add`], for these segments.
#[inline(always)]
unsafe fn look_up<const R: usize, const B: usize>(
    sum: &mut [[__m512i; B]; R],
    chunk: &Chunk,
    segments: &Segments,
    from: usize,
) {
    // SAFETY: the caller's promises. A panel has 64 bytes for every step of every
    // segment, a segment 64 bytes of tables.
    unsafe {
        let mut panels = chunk.panels.cast_const();
        for segment in 0..segments.count {
            let tables: [_; R] = core::array::from_fn(|r| segments.row(from + r, segment));
            for step in 0..segments.len / STEP {
                step_of(sum, load(panels, chunk.stride), &tables, step);
                panels = panels.add(BYTES);
            }
        }
    }
}

/// Adds the sums of a step of every block.
///
/// # Safety
///
/// As for [`add`]; the rows' tables of this step are there.
#[inline(always)]
unsafe fn step_of<const R: usize, const B: usize>(
    sum: &mut [[__m512i; B]; R],
    index: [__m512i; B],
    tables: &[*const u8; R],
    step: usize,
) {
    // SAFETY: the caller's promises.
    unsafe {
        let ones = _mm512_set1_epi8(1);
        for r in 0..R {
            let table = _mm512_loadu_si512(tables[r].add(step * BYTES).cast());
            for b in 0..B {
                let sums = _mm512_permutexvar_epi8(index[b], table);
                sum[r][b] = _mm512_dpbusd_epi32(sum[r][b], ones, sums);
            }
        }
    }
}

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
    const INTEGERS: bool = true;
    const TABLES: bool = true;
    const PANELS: usize = 72 << 10;
    const STRIP: usize = 512;
    const IMAGE: usize = 256 << 10;

    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    unsafe fn prepare(x: &[i8], tables: *mut u8) {
        let [first, second] = choices();
        let further = _mm512_set1_epi8(STEP as i8);
        let next = [
            _mm512_add_epi8(first, further),
            _mm512_add_epi8(second, further),
        ];
        let (pairs, last) = x.as_chunks::<{ 2 * STEP }>();
        let mut to = tables;
        // SAFETY: 32 bytes, and at last 16; the caller promises four for each element.
        unsafe {
            for x in pairs {
                let x = _mm256_loadu_si256(x.as_ptr().cast());
                let x = negated_half(_mm512_broadcast_i64x4(x));
                _mm512_storeu_si512(to.cast(), sums_of(x, [first, second]));
                _mm512_storeu_si512(to.add(BYTES).cast(), sums_of(x, next));
                to = to.add(2 * BYTES);
            }
            if let Some(x) = last.first_chunk::<STEP>() {
                let x = _mm_loadu_si128(x.as_ptr().cast());
                let x = negated_half(_mm512_broadcast_i32x4(x));
                _mm512_storeu_si512(to.cast(), sums_of(x, [first, second]));
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512vbmi")]
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
        unsafe { strip::<N12, 8, 8, 6, AT_ONCE>(chunk, columns, rows) }
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
    const WITHIN: bool = true;

    #[inline(always)]
    unsafe fn sums<const R: usize, const B: usize>(
        chunk: &Chunk,
        segments: &Segments,
        beyond: [usize; 2],
    ) -> [[__m512i; B]; R] {
        // SAFETY: the caller's promises.
        unsafe {
            let mut sum = [[_mm512_setzero_si512(); B]; R];
            look_up(&mut sum, chunk, segments, 0, beyond);
            sum
        }
    }
}

/// For each sum of a table, which two of 16 activations it is of; 32 more where the
/// activation is negated.
#[target_feature(enable = "avx512f")]
#[inline]
fn choices() -> [__m512i; 2] {
    const CHOICES: [[u8; BYTES]; 2] = {
        let mut choices = [[0; BYTES]; 2];
        let mut at = 0;
        while at < BYTES {
            // Bits of a nibble: side and sign of the first pair, of the second.
            let quarter = at / 16 * 4;
            let mut pair = 0;
            while pair < 2 {
                let bits = at >> (2 * pair);
                choices[pair][at] = (quarter + 2 * pair + (bits & 1) + 16 * (bits & 2)) as u8;
                pair += 1;
            }
            at += 1;
        }
        choices
    };
    // SAFETY: 64 bytes each, one after the other.
    unsafe { load(CHOICES.as_flattened().as_ptr(), BYTES) }
}

/// Negates the last 32 of 64.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn negated_half(x: __m512i) -> __m512i {
    _mm512_mask_sub_epi8(x, 0xffff_ffff_0000_0000, _mm512_setzero_si512(), x)
}

/// A table, of what [`choices`] choose from 64.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
#[inline]
fn sums_of(x: __m512i, [first, second]: [__m512i; 2]) -> __m512i {
    _mm512_add_epi8(
        _mm512_permutexvar_epi8(first, x),
        _mm512_permutexvar_epi8(second, x),
    )
}

/// The indices of 16 k of an n12 panel, the first or the second 16.
#[target_feature(enable = "avx512f,avx512vbmi")]
#[inline]
fn indices(panel: __m512i, half: usize) -> __m512i {
    // Where the nibbles of two outputs begin in 64 bits, if these are the first 16 k; the
    // others are two bytes further on.
    let nibbles = _mm512_set1_epi64(0x2c28_2420_0c08_0400);
    let nibbles = _mm512_or_si512(nibbles, _mm512_set1_epi8(16 * half as i8));
    let bits = _mm512_multishift_epi64_epi8(nibbles, panel);
    // The nibble and the table.
    let low = _mm512_set1_epi8(0x0f);
    let tables = _mm512_set1_epi32(0x3020_1000);
    const LOW_OR_TABLE: i32 = (0xf0 & 0xcc) | 0xaa;
    _mm512_ternarylogic_epi32::<LOW_OR_TABLE>(bits, low, tables)
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
        look_up(&mut sum, chunk, &chunk.segments, from, [0; 2]);
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
                    let mut index = load::<B>(packed, stride);
                    for (b, index) in index.iter_mut().enumerate() {
                        *index = indices(*index, half);
                        let to = panels.add(b * chunk.stride);
                        _mm512_storeu_si512(to.cast(), *index);
                    }
                    panels = panels.add(BYTES);
                    // There are no registers for what is to be added later.
                    for (sum, tables) in sum.iter_mut().zip(tables) {
                        let table = table(tables, step + half);
                        for (sum, index) in sum.iter_mut().zip(index) {
                            *sum = add_up(*sum, _mm512_permutexvar_epi8(index, table));
                        }
                    }
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

/// Adds the sums of `R` rows of `segments`, from row `from` on, without the first and the
/// last so many activations of each segment for the first and the last row.
///
/// # Safety
///
/// As for [`add`], for these segments; what is left out are multiples of a step.
#[inline(always)]
unsafe fn look_up<const R: usize, const B: usize>(
    sum: &mut [[__m512i; B]; R],
    chunk: &Chunk,
    segments: &Segments,
    from: usize,
    beyond: [usize; 2],
) {
    let [left, right] = beyond.map(|beyond| beyond / STEP);
    let between = segments.len / STEP - left - right;
    let mut panels = chunk.panels.cast_const();
    // SAFETY: the caller's promises. A panel has 64 bytes for every step of every
    // segment, a segment 64 bytes of tables.
    unsafe {
        let mut sums = LateSums::<R, B>::new(*sum);
        for segment in 0..segments.count {
            let mut tables = core::array::from_fn(|r| segments.row(from + r, segment));
            if R > 1 {
                sums.look_up::<1, 0>(panels, chunk.stride, &tables, left);
            }
            (panels, tables) = further(panels, tables, left);
            sums.look_up::<0, 0>(panels, chunk.stride, &tables, between);
            (panels, tables) = further(panels, tables, between);
            if R > 1 && right > 0 {
                sums.leave_last();
                sums.look_up::<0, 1>(panels, chunk.stride, &tables, right);
                sums.meet_last();
            }
            (panels, _) = further(panels, tables, right);
        }
        *sum = sums.all();
    }
}

/// Sums of `R` rows and `B` blocks to which what is looked up is added [`LATE`](Self::LATE)
/// rows later.
///
/// Intel's CPUs look up with one of the two units that add, and decide early which of
/// them adds. Additions that need not wait for their look-up take the look-ups' unit less
/// often: 0.97 look-ups a cycle rather than 0.92 (family 6, model 207).
struct LateSums<const R: usize, const B: usize> {
    sum: [[__m512i; B]; R],
    /// Of row `r` in place `r % LATE`.
    found: [[__m512i; B]; R],
}

impl<const R: usize, const B: usize> LateSums<R, B> {
    /// As many as eight registers have, or all rows.
    const LATE: usize = if 8 / B < R { 8 / B } else { R };

    /// What was looked up before is in `sum`.
    ///
    /// # Safety
    ///
    /// The CPU has AVX-512 F.
    #[inline(always)]
    unsafe fn new(sum: [[__m512i; B]; R]) -> Self {
        // SAFETY: the caller's promise.
        let found = unsafe { [[_mm512_setzero_si512(); B]; R] };
        LateSums { sum, found }
    }

    /// Looks up `steps` steps, for all rows but so many at the beginning and at the end.
    ///
    /// # Safety
    ///
    /// As for [`add`]; the steps' indices and tables are there, a block's `stride` bytes
    /// from the one before.
    #[inline(always)]
    unsafe fn look_up<const BEFORE: usize, const AFTER: usize>(
        &mut self,
        panels: *const u8,
        stride: usize,
        tables: &[*const u8; R],
        steps: usize,
    ) {
        for step in 0..steps {
            // SAFETY: the caller's promises.
            unsafe {
                let index = load::<B>(panels.add(step * BYTES), stride);
                for (row, &tables) in tables.iter().enumerate().take(R - AFTER).skip(BEFORE) {
                    // The row before that was found in this place.
                    let before = if row >= BEFORE + Self::LATE {
                        row - Self::LATE
                    } else {
                        row + (R - AFTER - 1 - row) / Self::LATE * Self::LATE
                    };
                    let (sum, found) = (&mut self.sum[before], &mut self.found[row % Self::LATE]);
                    let table = table(tables, step);
                    for b in 0..B {
                        sum[b] = add_up(sum[b], found[b]);
                        found[b] = _mm512_permutexvar_epi8(index[b], table);
                    }
                }
            }
        }
    }

    /// Before the last row is left out.
    ///
    /// # Safety
    ///
    /// As for [`add`].
    #[inline(always)]
    unsafe fn leave_last(&mut self) {
        if R > Self::LATE {
            // SAFETY: the caller's promise.
            unsafe { self.add(R - 1) };
        }
    }

    /// After the last row was left out.
    ///
    /// # Safety
    ///
    /// As for [`add`].
    #[inline(always)]
    unsafe fn meet_last(&mut self) {
        if R > Self::LATE {
            // SAFETY: the caller's promise.
            unsafe { self.add(R - 1 - Self::LATE) };
        }
    }

    /// Adds what was found of a row.
    ///
    /// # Safety
    ///
    /// As for [`add`]; it is the row that was found last in its place.
    #[inline(always)]
    unsafe fn add(&mut self, row: usize) {
        let found = &mut self.found[row % Self::LATE];
        for (sum, found) in self.sum[row].iter_mut().zip(found) {
            // SAFETY: the caller's promise.
            unsafe {
                *sum = add_up(*sum, *found);
                *found = _mm512_setzero_si512();
            }
        }
    }

    /// All sums.
    ///
    /// # Safety
    ///
    /// As for [`add`].
    #[inline(always)]
    unsafe fn all(mut self) -> [[__m512i; B]; R] {
        for row in R - Self::LATE..R {
            // SAFETY: the caller's promise.
            unsafe { self.add(row) };
        }
        self.sum
    }
}

/// Panels and tables so many steps further on.
#[inline(always)]
fn further<const R: usize>(
    panels: *const u8,
    tables: [*const u8; R],
    steps: usize,
) -> (*const u8, [*const u8; R]) {
    let on = |at: *const u8| at.wrapping_add(steps * BYTES);
    (on(panels), tables.map(on))
}

/// A table of a row.
///
/// # Safety
///
/// It is there.
#[inline(always)]
unsafe fn table(tables: *const u8, step: usize) -> __m512i {
    // SAFETY: the caller's promise.
    unsafe { _mm512_loadu_si512(tables.add(step * BYTES).cast()) }
}

/// Adds four sums that were looked up to each of 16.
///
/// # Safety
///
/// The CPU has AVX-512 F and VNNI.
#[inline(always)]
unsafe fn add_up(sum: __m512i, found: __m512i) -> __m512i {
    // SAFETY: the caller's promise.
    unsafe { _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(1), found) }
}

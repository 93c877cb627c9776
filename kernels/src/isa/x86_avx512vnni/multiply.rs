//! The products of a tile with the panels of a chunk, which its first rows may decode.
//!
//! What is inlined into a function that has the features has none itself.

use super::panel::{Form, start, tally_t2};
use super::tile::{BLOCKS, BYTES, ROWS};
use crate::layout::{BLOCK, t2};
use crate::product::tiled::{Chunk, Segments, Tile};
use core::arch::x86_64::*;
use core::ops::Range;

/// Bytes of the activations that meet a register of weights.
const ACTIVATIONS: usize = 4;

/// One instruction that multiplies.
pub(super) trait Multiply: Tile {
    /// What panels hold. Sums begin with the chunk's `starts` if it has sums of weights,
    /// otherwise with 0.
    type Panel: Form;

    /// Adds the products of a group of 16 outputs with the activations of a row,
    /// which are in every lane.
    ///
    /// # Safety
    ///
    /// The CPU has AVX-512 F and VNNI.
    unsafe fn multiply(sum: __m512i, weights: __m512i, x: __m512i) -> __m512i;
}

/// Rows at a time of so many blocks while panels are decoded: 4 or 8.
pub(super) const fn decoding_rows(blocks: usize) -> usize {
    if blocks <= 2 { 8 } else { 4 }
}

/// A tile, of as many rows at a time as registers allow. Where fewer are left they
/// are computed as the next larger number; nobody reads those sums.
///
/// # Safety
///
/// As for [`Tile::add`].
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
#[inline]
pub(super) unsafe fn add<M: Multiply>(chunk: &Chunk) {
    // SAFETY: the caller's promises are the same.
    unsafe {
        match chunk.blocks {
            1 => rows::<M, 1, ROWS>(chunk),
            2 => rows::<M, 2, ROWS>(chunk),
            3 => rows::<M, 3, 6>(chunk),
            _ => rows::<M, BLOCKS, 6>(chunk),
        }
    }
}

/// The rows of a tile of `B` blocks, at most `R` of them at a time.
///
/// # Safety
///
/// As for [`Tile::add`].
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
#[inline]
unsafe fn rows<M: Multiply, const B: usize, const R: usize>(chunk: &Chunk) {
    let rows = chunk.segments.rows;
    let mut from = 0;
    // SAFETY: the caller's promises; ROWS is more than all of them together.
    unsafe {
        if !chunk.packed.is_null() {
            from = match rows {
                1 => decode_and_multiply::<M, 1, B>(chunk),
                5.. if decoding_rows(B) > 4 => decode_and_multiply::<M, 8, B>(chunk),
                _ => decode_and_multiply::<M, 4, B>(chunk),
            };
        }
        while from < rows {
            from += match rows - from {
                1 => products::<M, 1, B>(chunk, from),
                2 => products::<M, 2, B>(chunk, from),
                3..=4 => products::<M, 4, B>(chunk, from),
                5..=8 if R > 8 => products::<M, 8, B>(chunk, from),
                // Twice 4 rather than 6 and 2.
                7..=8 => products::<M, 4, B>(chunk, from),
                _ => products::<M, R, B>(chunk, from),
            };
        }
    }
}

/// Adds the products of `R` rows from row `from` on with `B` blocks; tells how many
/// rows that were.
///
/// # Safety
///
/// As for [`Tile::add`]; there is room for `from + R` rows, and as many pointers.
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn products<M: Multiply, const R: usize, const B: usize>(
    chunk: &Chunk,
    from: usize,
) -> usize {
    // SAFETY: the caller's promises; 16 starts for each block.
    unsafe {
        let mut sum = waiting::<R, B>(chunk, from);
        if M::Panel::SUMS {
            add_to_rows(&mut sum, load(chunk.starts.cast(), BYTES));
        }
        multiply::<M, R, B>(&mut sum, chunk, &chunk.segments, from, [0; 2]);
        wait(chunk, from, &sum);
    }
    R
}

/// Adds a register of every block to the sums of all rows.
///
/// # Safety
///
/// The CPU has AVX-512 F.
#[inline(always)]
unsafe fn add_to_rows<const R: usize, const B: usize>(
    sum: &mut [[__m512i; B]; R],
    more: [__m512i; B],
) {
    for sum in sum {
        for (sum, more) in sum.iter_mut().zip(more) {
            // SAFETY: the caller's promise.
            *sum = unsafe { _mm512_add_epi32(*sum, more) };
        }
    }
}

/// Where a row's and block's sums wait.
fn place(chunk: &Chunk, row: usize, block: usize) -> *mut __m512i {
    let register = row * BLOCKS + block;
    chunk.sums.wrapping_add(register * BYTES).cast()
}

/// The sums that wait; zeros before the first chunk.
///
/// # Safety
///
/// The CPU has AVX-512 F; there are sums of `from + R` rows.
#[inline(always)]
pub(crate) unsafe fn waiting<const R: usize, const B: usize>(
    chunk: &Chunk,
    from: usize,
) -> [[__m512i; B]; R] {
    // SAFETY: the caller's promises.
    unsafe {
        let mut sum = [[_mm512_setzero_si512(); B]; R];
        if !chunk.first {
            for (r, sum) in sum.iter_mut().enumerate() {
                *sum = load(place(chunk, from + r, 0).cast(), BYTES);
            }
        }
        sum
    }
}

/// Makes sums wait.
///
/// # Safety
///
/// The CPU has AVX-512 F; there is room for `from + R` rows.
#[inline(always)]
pub(crate) unsafe fn wait<const R: usize, const B: usize>(
    chunk: &Chunk,
    from: usize,
    sum: &[[__m512i; B]; R],
) {
    for (r, sum) in sum.iter().enumerate() {
        for (b, sum) in sum.iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { _mm512_storeu_si512(place(chunk, from + r, b), *sum) };
        }
    }
}

/// Adds the products of `R` rows of `segments`, from row `from` on, with the chunk's
/// panels; without the first and the last so many activations of each segment for the first
/// and the last row.
///
/// # Safety
///
/// The CPU has AVX-512 F and VNNI; everything in `chunk` is as it says, and so are the
/// segments, with as many pointers; what is left out are multiples of a group.
#[inline(always)]
pub(super) unsafe fn multiply<M: Multiply, const R: usize, const B: usize>(
    sum: &mut [[__m512i; B]; R],
    chunk: &Chunk,
    segments: &Segments,
    from: usize,
    beyond: [usize; 2],
) {
    let groups = segments.len / M::STEP;
    let [left, right] = beyond.map(|beyond| beyond / M::STEP);
    let mut panels = chunk.panels.cast_const();
    for segment in 0..segments.count {
        // SAFETY: segment < count; a panel has 64 bytes for every group of every segment,
        // and every row the four bytes that meet one.
        unsafe {
            let x = core::array::from_fn(|r| segments.row(from + r, segment));
            steps::<M, R, B, 1, 0>(sum, panels, chunk.stride, &x, 0..left);
            steps::<M, R, B, 0, 0>(sum, panels, chunk.stride, &x, left..groups - right);
            steps::<M, R, B, 0, 1>(sum, panels, chunk.stride, &x, groups - right..groups);
        }
        panels = panels.wrapping_add(groups * BYTES);
    }
}

/// Adds the products of some groups of a segment, two at a time, for all rows but so many at
/// the beginning and at the end.
///
/// # Safety
///
/// As for [`multiply`]; panels and activations are those of the segment.
#[inline(always)]
unsafe fn steps<
    M: Multiply,
    const R: usize,
    const B: usize,
    const BEFORE: usize,
    const AFTER: usize,
>(
    sum: &mut [[__m512i; B]; R],
    panels: *const u8,
    stride: usize,
    x: &[*const u8; R],
    groups: Range<usize>,
) {
    let mut panels = panels.wrapping_add(groups.start * BYTES);
    let mut at = groups.start;
    // SAFETY: the caller's promises.
    unsafe {
        while at + 2 <= groups.end {
            step::<M, R, B, BEFORE, AFTER>(sum, load(panels, stride), x, at);
            step::<M, R, B, BEFORE, AFTER>(sum, load(panels.add(BYTES), stride), x, at + 1);
            panels = panels.add(2 * BYTES);
            at += 2;
        }
        if at < groups.end {
            step::<M, R, B, BEFORE, AFTER>(sum, load(panels, stride), x, at);
        }
    }
}

/// As [`products`] for the first rows where the panels are not there yet: decodes them
/// from t2, for the rows that follow, and makes the starts. Products hide that well.
///
/// # Safety
///
/// As for [`products`].
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn decode_and_multiply<M: Multiply, const R: usize, const B: usize>(chunk: &Chunk) -> usize {
    // SAFETY: the caller's promise.
    let mut sum = unsafe { waiting::<R, B>(chunk, 0) };
    let segments = &chunk.segments;
    let stride = chunk.packed_stride;
    let (mut packed, mut panels) = (chunk.packed, chunk.panels);
    let registers = t2::PANEL_K / M::STEP;
    let mut of_weights = [_mm512_setzero_si512(); B];
    for segment in 0..segments.count {
        // SAFETY: segment < count.
        let x: [*const u8; R] = core::array::from_fn(|r| unsafe { segments.row(r, segment) });
        for at in (0..segments.len / M::STEP).step_by(registers) {
            // SAFETY: a block has 64 bytes for every 16 k of every segment, a panel for
            // every group, and a row the four bytes that meet one; fetching reads nothing.
            unsafe {
                macro_rules! registers {
                    ($($i:literal)*) => {$(
                        if $i < registers {
                            let mut w = load::<B>(packed, stride);
                            for (b, w) in w.iter_mut().enumerate() {
                                *w = M::Panel::of_t2(*w, $i);
                                let to = panels.add(b * chunk.stride + $i * BYTES);
                                _mm512_storeu_si512(to.cast(), *w);
                            }
                            step::<M, R, B, 0, 0>(&mut sum, w, &x, at + $i);
                        }
                    )*};
                }
                // Not a loop, so that each register has its own instructions.
                registers!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
                panels = panels.add(registers * BYTES);
                for (b, of_weights) in of_weights.iter_mut().enumerate() {
                    let block = packed.add(b * stride);
                    if M::Panel::SUMS {
                        *of_weights = tally_t2(*of_weights, _mm512_loadu_si512(block.cast()));
                    }
                    // What the next tile decodes comes from afar while this one multiplies.
                    _mm_prefetch::<_MM_HINT_T1>(block.wrapping_add(B * stride).cast());
                }
                packed = packed.add(BYTES);
            }
        }
    }
    if M::Panel::SUMS {
        let starts = of_weights.map(|sums| start(sums));
        for (b, start) in starts.into_iter().enumerate() {
            // SAFETY: 16 starts for each block.
            unsafe { _mm512_storeu_si512(chunk.starts.add(b * BLOCK).cast(), start) };
        }
        // SAFETY: the caller's promise.
        unsafe { add_to_rows(&mut sum, starts) };
    }
    // SAFETY: the caller's promise.
    unsafe { wait(chunk, 0, &sum) };
    R
}

/// A register of every block.
///
/// # Safety
///
/// The registers are there, `stride` bytes from one to the next.
#[inline(always)]
pub(crate) unsafe fn load<const B: usize>(first: *const u8, stride: usize) -> [__m512i; B] {
    // SAFETY: the caller's promise. Not `from_fn`, which may call rather than load.
    unsafe {
        let mut all = [_mm512_setzero_si512(); B];
        for (b, register) in all.iter_mut().enumerate() {
            *register = _mm512_loadu_si512(first.add(b * stride).cast());
        }
        all
    }
}

/// Adds the products of a group of every block, for all rows but so many at the beginning
/// and at the end.
///
/// # Safety
///
/// The CPU has AVX-512 F and VNNI; the rows' activations of group `at` are there.
#[inline(always)]
unsafe fn step<
    M: Multiply,
    const R: usize,
    const B: usize,
    const BEFORE: usize,
    const AFTER: usize,
>(
    sum: &mut [[__m512i; B]; R],
    weights: [__m512i; B],
    x: &[*const u8; R],
    at: usize,
) {
    // SAFETY: the caller's promises.
    unsafe {
        for r in BEFORE..R - AFTER {
            let x = x[r].add(at * ACTIVATIONS).cast::<i32>().read_unaligned();
            let x = _mm512_set1_epi32(x);
            for b in 0..B {
                sum[r][b] = M::multiply(sum[r][b], weights[b], x);
            }
        }
    }
}

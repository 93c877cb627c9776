//! A row of i7 activations and n12 weights: the two pairs of a nibble are looked up
//! together, as the sum of their two activations.
//!
//! The four bytes of an output have different activations, and a look-up has the same
//! table for 16 bytes. So the bytes of two panels change places first, `[output][j]` to
//! `[j][output]`, those of one in the lower half of registers and those of the other in
//! the upper half. That takes 10 instructions a panel, of 32 in all; a look-up of every
//! pair alone takes 42. Values are unsigned, 128 more than they are, and are added up as
//! i16 of two outputs each: those of odd outputs once more by themselves, to be taken off.
//!
//! Activations beyond i7, of which a sum of two is no byte, are left to [`Integers`].

use super::matvec::Ymm;
use crate::Codec;
use crate::isa::matvec::{HEAD, Integers, Kernel, Multiply, Tile, ahead, all};
use crate::layout::{BLOCK, PANEL_BYTES, n12};
use crate::product::matvec::{ROWS, STRIDE, Strip};
use core::arch::x86_64::*;
use core::marker::PhantomData;

/// Bytes of a register.
const BYTES: usize = 32;
/// Bytes of two panels' tables: of both nibbles of four bytes each.
const TABLES: usize = 2 * 8 * 16;
/// Twos of panels whose values, eight of every byte, u16 have room for.
const TWOS: usize = u16::MAX as usize / (8 * 255);
/// What values have too much, in an output's sixteen of two panels.
const EXCESS: i32 = 16 * 128;
/// Behind the excess: whether there are tables of nibbles.
const FLAG: usize = 4;

/// i8 activations of few rows; what is no nibbles is multiplied by `M`.
pub(crate) struct Rows<M>(PhantomData<M>);

impl<M: Multiply<Ymm, X = i8>> Kernel for Rows<M> {
    type X = i8;

    fn prepared(codec: Codec, k: usize) -> Option<usize> {
        let others = Integers::<Ymm, M>::prepared(codec, k)?;
        if codec != Codec::N12 {
            return Some(others);
        }
        // Tables of nibbles are twice as many, of two panels each.
        let tables = (others - HEAD).checked_mul(2)?;
        tables.checked_next_multiple_of(TABLES)?.checked_add(HEAD)
    }

    fn takes(codec: Codec, qmax: i32) -> bool {
        Integers::<Ymm, M>::takes(codec, qmax)
    }

    #[inline(always)]
    unsafe fn prepare(codec: Codec, x: &[i8], to: &mut [u8]) {
        // SAFETY: the caller's promise.
        unsafe {
            if codec != Codec::N12 {
                return Integers::<Ymm, M>::prepare(codec, x, to);
            }
            let i7 = x.iter().all(|x| (-63..=63).contains(x));
            if i7 {
                tables(x, to);
            } else {
                let len = Integers::<Ymm, M>::prepared(codec, x.len()).unwrap_or(0);
                Integers::<Ymm, M>::prepare(codec, x, &mut to[..len]);
            }
            to[FLAG] = i7.into();
        }
    }

    #[inline(always)]
    unsafe fn add(strip: &Strip<'_>, sums: &mut [f32]) {
        const { assert!(ROWS == 1, "rows may differ in their tables") };
        // SAFETY: the caller's promise.
        unsafe {
            if strip.codec == Codec::N12 && strip.x[FLAG] != 0 {
                all::<Ymm, Nibbles>(strip, sums);
            } else {
                Integers::<Ymm, M>::add(strip, sums);
            }
        }
    }
}

/// Makes the tables, of zeros behind the activations: of each two panels those of their
/// first bytes' lower nibbles, those of the upper ones, and the same of the other bytes.
///
/// # Safety
///
/// The CPU has AVX2.
#[inline(always)]
unsafe fn tables(x: &[i8], to: &mut [u8]) {
    let (head, rest) = to.split_at_mut(HEAD);
    let all = rest.as_chunks_mut::<TABLES>().0;
    let excess = EXCESS.wrapping_mul(all.len() as i32);
    head[..4].copy_from_slice(&excess.to_ne_bytes());
    let mut x = x.chunks(2 * n12::PANEL_K);
    for to in all {
        let mut filled = [0i8; 2 * n12::PANEL_K];
        let x = x.next().unwrap_or(&[]);
        filled[..x.len()].copy_from_slice(x);
        for (n, four) in filled.as_chunks::<4>().0.iter().enumerate() {
            let (panel, nibble) = (n / 8, n % 8);
            let at = (2 * nibble + panel) * 16;
            // SAFETY: the caller's promise; a table of 16 bytes lies in `to`.
            unsafe {
                let x = _mm_set1_epi32(i32::from_ne_bytes(four.map(|x| x as u8)));
                let both = _mm_unpacklo_epi32(x, _mm_sub_epi8(_mm_setzero_si128(), x));
                // The four values of either pair.
                let first = _mm_setr_epi8(0, 1, 4, 5, 0, 1, 4, 5, 0, 1, 4, 5, 0, 1, 4, 5);
                let second = _mm_setr_epi8(2, 2, 2, 2, 3, 3, 3, 3, 6, 6, 6, 6, 7, 7, 7, 7);
                let sum = _mm_add_epi8(
                    _mm_shuffle_epi8(both, first),
                    _mm_shuffle_epi8(both, second),
                );
                let table = _mm_add_epi8(sum, _mm_set1_epi8(i8::MIN));
                _mm_storeu_si128(to[at..].as_mut_ptr().cast(), table);
            }
        }
    }
}

/// Sums of panels.
enum Nibbles {}

impl Tile<Ymm> for Nibbles {
    #[inline(always)]
    unsafe fn add<const R: usize, const B: usize>(
        strip: &Strip<'_>,
        row: usize,
        block: usize,
        sums: *mut f32,
    ) {
        for r in 0..R {
            // SAFETY: the caller's promises, for one of the rows.
            unsafe { add::<B>(strip, row + r, block, sums.add(r * STRIDE)) };
        }
    }
}

/// [`Tile::add`] of one row.
///
/// # Safety
///
/// As there.
#[inline(always)]
unsafe fn add<const B: usize>(strip: &Strip<'_>, row: usize, block: usize, sums: *mut f32) {
    let panels = strip.block_len / PANEL_BYTES;
    let weights = strip.weights.as_ptr().wrapping_add(block * strip.block_len);
    let x = strip.x.as_ptr().wrapping_add(row * strip.row_len);
    // SAFETY: the caller's promises: a block has panels, a row tables for each, to the end
    // of the function.
    unsafe {
        let zero = _mm256_setzero_si256();
        let mut wide = [[zero; 2]; B];
        let twos = panels.div_ceil(2);
        let mut done = 0;
        while done < twos {
            let end = twos.min(done + TWOS);
            let (mut even, mut odd) = ([zero; B], [zero; B]);
            for two in done..end {
                let tables = x.add(HEAD + two * TABLES);
                let at = 2 * two * PANEL_BYTES;
                let ahead = ahead(strip.block_len, at, B);
                // The last one again if there is no second one, with tables of zeros.
                let second = at + (2 * two + 1 < panels) as usize * PANEL_BYTES;
                for b in 0..B {
                    let from = weights.wrapping_add(b * strip.block_len);
                    _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(ahead).cast());
                    _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(ahead + PANEL_BYTES).cast());
                    let bytes = bytes(from.add(at), from.add(second));
                    for (j, bytes) in bytes.into_iter().enumerate() {
                        for (n, index) in nibbles(bytes).into_iter().enumerate() {
                            let table = tables.add((2 * j + n) * BYTES);
                            let table = _mm256_loadu_si256(table.cast());
                            let values = _mm256_shuffle_epi8(table, index);
                            let upper = _mm256_maddubs_epi16(values, _mm256_set1_epi16(0x100));
                            even[b] = _mm256_add_epi16(even[b], values);
                            odd[b] = _mm256_add_epi16(odd[b], upper);
                        }
                    }
                }
            }
            for b in 0..B {
                even[b] = _mm256_sub_epi16(even[b], _mm256_slli_epi16::<8>(odd[b]));
                for (wide, sum) in wide[b].iter_mut().zip([even[b], odd[b]]) {
                    let low = _mm256_cvtepu16_epi32(_mm256_castsi256_si128(sum));
                    let high = _mm256_cvtepu16_epi32(_mm256_extracti128_si256::<1>(sum));
                    *wide = _mm256_add_epi32(*wide, _mm256_add_epi32(low, high));
                }
            }
            done = end;
        }
        let excess = x.cast::<i32>().read_unaligned();
        for (b, wide) in wide.into_iter().enumerate() {
            for (odd, wide) in wide.into_iter().enumerate() {
                let mut totals = [0i32; BLOCK / 2];
                _mm256_storeu_si256(totals.as_mut_ptr().cast(), wide);
                for (i, total) in totals.into_iter().enumerate() {
                    sums.add(b * BLOCK + 2 * i + odd)
                        .write(total.wrapping_sub(excess) as f32);
                }
            }
        }
    }
}

/// Bytes 0 of all outputs of two panels, bytes 1, 2 and 3.
///
/// # Safety
///
/// The CPU has AVX2; the panels are there.
#[inline(always)]
unsafe fn bytes(first: *const u8, second: *const u8) -> [__m256i; 4] {
    // SAFETY: the caller's promises.
    unsafe {
        let order = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        let order = _mm256_broadcastsi128_si256(order);
        // Of four outputs each.
        let mut quarters = [order; 4];
        for (i, quarter) in quarters.iter_mut().enumerate() {
            let [first, second] = [first, second].map(|panel| panel.cast::<__m128i>().add(i));
            *quarter = _mm256_shuffle_epi8(_mm256_loadu2_m128i(second, first), order);
        }
        let [a, b, c, d] = quarters;
        let (ab, cd) = (_mm256_unpacklo_epi32(a, b), _mm256_unpacklo_epi32(c, d));
        let (ef, gh) = (_mm256_unpackhi_epi32(a, b), _mm256_unpackhi_epi32(c, d));
        [
            _mm256_unpacklo_epi64(ab, cd),
            _mm256_unpackhi_epi64(ab, cd),
            _mm256_unpacklo_epi64(ef, gh),
            _mm256_unpackhi_epi64(ef, gh),
        ]
    }
}

/// The lower and the upper nibbles of bytes.
///
/// # Safety
///
/// The CPU has AVX2.
#[inline(always)]
unsafe fn nibbles(bytes: __m256i) -> [__m256i; 2] {
    // SAFETY: the caller's promise.
    unsafe {
        let mask = _mm256_set1_epi8(15);
        let upper = _mm256_srli_epi16::<4>(bytes);
        [_mm256_and_si256(bytes, mask), _mm256_and_si256(upper, mask)]
    }
}

//! A single row of i8 activations: weights go from memory through registers.
//!
//! - t2 and t5: each 2-bit field or digit of a panel's 64 bytes is four
//!   consecutive k of 16 outputs, which `maddubs` multiplies with four
//!   activations; pairs of products (`|pair| <= 768`) are added in i16,
//!   [`PANELS`] panels at most. As codes are trits plus one, the sum of the
//!   activations is taken off at the end.
//! - n12: the four bytes of an output each hold one pair of every field, so a
//!   16-byte table has the four values of four pairs, and `pshufb` replaces a
//!   pair by its weighted activation. `|pair of values| <= 254`, added in i16.

use super::codes::{digits, fields};
use crate::epilogue::Finish;
use crate::layout::{BLOCK, PANEL_BYTES, n12, t2};
use crate::product::matvec::Vector;
use core::arch::x86_64::*;

/// Panels whose sums are added in i16: `5 * 8 * 768` and `4 * 8 * 254` fit.
const PANELS: usize = 8;
/// How far ahead weights are fetched, in bytes.
const AHEAD: usize = 2048;

/// Weights of `QUADS` fields a panel: t2 has four, t5 five.
pub(crate) enum Codes<const QUADS: usize> {}
/// n12 weights and activations in -127..=127.
pub(crate) enum N12 {}

/// Bytes before the activations: the i32 sum of all.
const HEAD: usize = 64;

impl<const QUADS: usize> Vector for Codes<QUADS> {
    type X = i8;

    fn prepared(k: usize) -> Option<usize> {
        let taps = k.checked_next_multiple_of(t2::TAP_UNIT)?;
        taps.checked_next_multiple_of(4 * QUADS)?.checked_add(HEAD)
    }

    unsafe fn prepare(x: &[i8], to: &mut [u8]) {
        let sum = x.iter().fold(0i32, |sum, x| sum.wrapping_add((*x).into()));
        let (head, rest) = to.split_at_mut(HEAD);
        head[..4].copy_from_slice(&sum.to_ne_bytes());
        let (from, filler) = rest.split_at_mut(x.len());
        from.iter_mut().zip(x).for_each(|(to, x)| *to = *x as u8);
        filler.fill(0);
    }

    #[target_feature(enable = "avx2")]
    unsafe fn block(block: &[u8], x: &[u8], sums: &mut [f32; BLOCK]) {
        let (head, x) = x.split_at(HEAD);
        let all = head.first_chunk().map_or(0, |b| i32::from_ne_bytes(*b));
        let mut wide = [_mm256_setzero_si256(); 2];
        for (panels, x) in block
            .chunks(PANELS * PANEL_BYTES)
            .zip(x.chunks(PANELS * 4 * QUADS))
        {
            let mut narrow = [_mm256_setzero_si256(); 2];
            let panels = panels.as_chunks::<PANEL_BYTES>().0;
            for (panel, x) in panels.iter().zip(x.chunks_exact(4 * QUADS)) {
                fetch(panel.as_ptr().wrapping_add(AHEAD));
                let x = x.as_chunks::<4>().0;
                for (half, narrow) in narrow.iter_mut().enumerate() {
                    // SAFETY: 64 bytes.
                    let bytes = unsafe { load(panel.as_ptr().add(32 * half)) };
                    *narrow = if QUADS == 4 {
                        add(*narrow, fields(bytes), x)
                    } else {
                        add(*narrow, digits(bytes), x)
                    };
                }
            }
            widen(&mut wide, narrow);
        }
        store(wide, all, sums);
    }

    unsafe fn finish(finish: &Finish<'_>, first: usize, sums: &mut [f32]) {
        // SAFETY: the caller's promises.
        unsafe { finish.x86_avx2(0, first, sums) };
    }
}

/// Adds each quad's products with four activations.
#[target_feature(enable = "avx2")]
#[inline]
fn add<const N: usize>(mut sum: __m256i, quads: [__m256i; N], x: &[[u8; 4]]) -> __m256i {
    for (codes, x) in quads.into_iter().zip(x) {
        let x = _mm256_set1_epi32(i32::from_ne_bytes(*x));
        sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(codes, x));
    }
    sum
}

/// Bytes of a panel's four tables.
const TABLES: usize = 64;
/// Where byte `j` of an output finds its four entries in a table. After a shift
/// by four bits a byte's upper half is the lower half of its neighbour; the
/// uppermost bit, which would make `pshufb` write zero, stays clear because odd
/// bytes have the lower places.
const PLACES: [u8; 4] = [2, 0, 3, 1];

impl Vector for N12 {
    type X = i8;

    fn prepared(k: usize) -> Option<usize> {
        (k.checked_next_multiple_of(n12::PANEL_K)? / n12::PANEL_K).checked_mul(TABLES)
    }

    #[target_feature(enable = "avx2")]
    unsafe fn prepare(x: &[i8], to: &mut [u8]) {
        // Which activation an entry has, of the lower and of the upper 16. The
        // other half's index stays negative, which makes a zero.
        let mut from = [[-16i8; 16]; 2];
        let mut sign = [1i8; 16];
        for (j, place) in PLACES.into_iter().enumerate() {
            for code in 0..4 {
                let at = 4 * usize::from(place) + code;
                from[j / 2][at] = (8 * (j % 2) + code % 2) as i8;
                sign[at] = if code < 2 { 1 } else { -1 };
            }
        }
        let [low, high, sign] = [from[0], from[1], sign].map(|bytes| {
            // SAFETY: 16 bytes.
            unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
        });
        for (tables, x) in to
            .as_chunks_mut::<TABLES>()
            .0
            .iter_mut()
            .zip(x.chunks(n12::PANEL_K))
        {
            let mut filled = [0i8; n12::PANEL_K];
            filled[..x.len()].copy_from_slice(x);
            for (q, table) in tables.as_chunks_mut::<16>().0.iter_mut().enumerate() {
                let next = _mm_set1_epi8(2 * q as i8);
                // SAFETY: 32 bytes are read, 16 written.
                unsafe {
                    let a = _mm_loadu_si128(filled.as_ptr().cast());
                    let b = _mm_loadu_si128(filled.as_ptr().add(16).cast());
                    let a = _mm_shuffle_epi8(a, _mm_add_epi8(low, next));
                    let b = _mm_shuffle_epi8(b, _mm_add_epi8(high, next));
                    let entries = _mm_sign_epi8(_mm_or_si128(a, b), sign);
                    _mm_storeu_si128(table.as_mut_ptr().cast(), entries);
                }
            }
        }
    }

    #[target_feature(enable = "avx2")]
    unsafe fn block(block: &[u8], x: &[u8], sums: &mut [f32; BLOCK]) {
        let ones = _mm256_set1_epi8(1);
        let pairs = _mm256_set1_epi8(0x33);
        let lower = _mm256_set1_epi8(0x0f);
        // A place in both halves of each byte.
        let places = _mm256_set1_epi32(i32::from_le_bytes(PLACES.map(|p| p << 2 | p << 6)));
        let mut wide = [_mm256_setzero_si256(); 2];
        for (panels, x) in block
            .chunks(PANELS * PANEL_BYTES)
            .zip(x.chunks(PANELS * TABLES))
        {
            let mut narrow = [_mm256_setzero_si256(); 2];
            let panels = panels.as_chunks::<PANEL_BYTES>().0;
            for (panel, x) in panels.iter().zip(x.as_chunks::<TABLES>().0) {
                fetch(panel.as_ptr().wrapping_add(AHEAD));
                let mut tables = [_mm256_setzero_si256(); 4];
                for (table, x) in tables.iter_mut().zip(x.as_chunks::<16>().0) {
                    // SAFETY: 16 bytes.
                    let x = unsafe { _mm_loadu_si128(x.as_ptr().cast()) };
                    *table = _mm256_broadcastsi128_si256(x);
                }
                for (half, narrow) in narrow.iter_mut().enumerate() {
                    // SAFETY: 64 bytes.
                    let bytes = unsafe { load(panel.as_ptr().add(32 * half)) };
                    let even = _mm256_or_si256(_mm256_and_si256(bytes, pairs), places);
                    let odd = _mm256_and_si256(_mm256_srli_epi16(bytes, 2), pairs);
                    let odd = _mm256_or_si256(odd, places);
                    let index = [
                        _mm256_and_si256(even, lower),
                        _mm256_and_si256(odd, lower),
                        _mm256_srli_epi16(even, 4),
                        _mm256_srli_epi16(odd, 4),
                    ];
                    for (index, table) in index.into_iter().zip(tables) {
                        let values = _mm256_shuffle_epi8(table, index);
                        let pairs = _mm256_maddubs_epi16(ones, values);
                        *narrow = _mm256_add_epi16(*narrow, pairs);
                    }
                }
            }
            widen(&mut wide, narrow);
        }
        store(wide, 0, sums);
    }

    unsafe fn finish(finish: &Finish<'_>, first: usize, sums: &mut [f32]) {
        // SAFETY: the caller's promises.
        unsafe { finish.x86_avx2(0, first, sums) };
    }
}

/// 32 bytes.
///
/// # Safety
///
/// They are there.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn load(bytes: *const u8) -> __m256i {
    // SAFETY: the caller's promise.
    unsafe { _mm256_loadu_si256(bytes.cast()) }
}

/// Asks for the line at an address, which may lie anywhere: a hint, which does
/// not fault.
#[target_feature(enable = "avx2")]
#[inline]
fn fetch(at: *const u8) {
    _mm_prefetch::<_MM_HINT_T0>(at.cast());
}

/// Adds i16 sums, two an output, to the i32 ones.
#[target_feature(enable = "avx2")]
#[inline]
fn widen(wide: &mut [__m256i; 2], narrow: [__m256i; 2]) {
    let ones = _mm256_set1_epi16(1);
    for half in 0..2 {
        let pairs = _mm256_madd_epi16(narrow[half], ones);
        wide[half] = _mm256_add_epi32(wide[half], pairs);
    }
}

/// The sums less `bias`, as floats.
#[target_feature(enable = "avx2")]
#[inline]
fn store(wide: [__m256i; 2], bias: i32, sums: &mut [f32; BLOCK]) {
    for (half, wide) in wide.into_iter().enumerate() {
        let sum = _mm256_cvtepi32_ps(_mm256_sub_epi32(wide, _mm256_set1_epi32(bias)));
        // SAFETY: eight of 16 floats.
        unsafe { _mm256_storeu_ps(sums.as_mut_ptr().add(8 * half), sum) };
    }
}

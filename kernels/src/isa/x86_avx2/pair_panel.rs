//! Panels for two lines of a 3x3 convolution at a time: weights are transformed as signed
//! bytes, a quad of 8 outputs at a time, and stored in the form that a tile multiplies.
//! See [`product::winograd`](crate::product::winograd).
//!
//! What is inlined into a function that has the features has none itself.

use super::tile::I8;
use crate::Codec;
use crate::layout::{BLOCK, PANEL_BYTES, t2};
use crate::product::winograd::{self, Kernels, LINES, QUAD, Starts, decode_quads, steps};
use core::arch::x86_64::*;

/// Bytes of a register: a quad of 8 outputs.
const BYTES: usize = 32;

/// A form of panel.
pub(crate) trait Form {
    /// Bytes of a weight.
    const WEIGHT: usize;

    /// Stores the four k of 8 outputs, the other 8 of which come 32 bytes after them.
    ///
    /// # Safety
    ///
    /// The CPU has AVX2; there is room.
    unsafe fn store(to: *mut u8, quad: __m256i);
}

/// i8, `[k / 4][16 outputs][4]`.
pub(crate) enum Bytes {}
/// i16, `[k / 2][16 outputs][2]`.
pub(crate) enum Words {}
/// f32, `[k][16 outputs]`.
pub(crate) enum Floats {}

impl Form for Bytes {
    const WEIGHT: usize = 1;

    #[inline(always)]
    unsafe fn store(to: *mut u8, quad: __m256i) {
        // SAFETY: the caller's promises.
        unsafe { _mm256_storeu_si256(to.cast(), quad) };
    }
}

impl Form for Words {
    const WEIGHT: usize = 2;

    #[inline(always)]
    unsafe fn store(to: *mut u8, quad: __m256i) {
        // SAFETY: the caller's promises.
        unsafe {
            // The two bytes of each pair as the upper halves of words.
            let lower = _mm256_slli_epi16::<8>(quad);
            let upper = _mm256_srai_epi16::<8>(quad);
            let even = _mm256_srai_epi16::<8>(lower);
            // Words 0 and 1 of a lane are k 0 and 2 in `even`, 1 and 3 in `upper`.
            let first = _mm256_blend_epi16::<0xaa>(even, _mm256_slli_epi32::<16>(upper));
            let second = _mm256_blend_epi16::<0xaa>(_mm256_srli_epi32::<16>(even), upper);
            _mm256_storeu_si256(to.cast(), first);
            _mm256_storeu_si256(to.add(2 * BYTES).cast(), second);
        }
    }
}

impl Form for Floats {
    const WEIGHT: usize = 4;

    #[inline(always)]
    unsafe fn store(to: *mut u8, quad: __m256i) {
        // SAFETY: the caller's promises.
        unsafe {
            let all = [
                _mm256_slli_epi32::<24>(quad),
                _mm256_slli_epi32::<16>(quad),
                _mm256_slli_epi32::<8>(quad),
                quad,
            ];
            for (k, weights) in all.into_iter().enumerate() {
                let weights = _mm256_cvtepi32_ps(_mm256_srai_epi32::<24>(weights));
                _mm256_storeu_ps(to.add(2 * BYTES * k).cast(), weights);
            }
        }
    }
}

/// [`Pairs::decode`](crate::product::winograd::Pairs::decode), for an excess of transformed
/// lines.
///
/// # Safety
///
/// As for that.
#[inline(always)]
pub(crate) unsafe fn decode<F: Form>(
    kernels: &Kernels<'_>,
    quads: *mut u8,
    panel: *mut u8,
    starts: &mut Starts,
    excess: [i32; LINES],
) {
    // Of the weights of each of the kernel's lines, in both halves of a block.
    let mut sums = [[0; BLOCK]; 3];
    // SAFETY: the caller's promises.
    unsafe {
        if kernels.codec == Codec::T2 {
            packed::<F>(kernels, panel, &mut sums);
        } else {
            for channels in steps(&kernels.channels) {
                let first = channels.start - kernels.channels.start;
                let to = panel.wrapping_add(first / 4 * QUAD * F::WEIGHT);
                let count = channels.len() / 4;
                decode_quads::<I8>(kernels, channels, quads);
                unpacked::<F>(kernels, quads, count, to, &mut sums);
            }
        }
    }
    *starts = winograd::starts(sums, excess);
}

/// Transforms t2 weights.
///
/// # Safety
///
/// As for [`decode`].
#[inline(always)]
unsafe fn packed<F: Form>(kernels: &Kernels<'_>, panel: *mut u8, sums: &mut [[i32; BLOCK]; 3]) {
    let Kernels { block, part, .. } = *kernels;
    let tap = kernels.matrix.channels / t2::PANEL_K * PANEL_BYTES;
    let from = kernels.channels.start / t2::PANEL_K * PANEL_BYTES;
    let len = kernels.channels.len() / t2::PANEL_K * PANEL_BYTES;
    // SAFETY: the caller's promises.
    unsafe {
        let nibble = _mm256_set1_epi8(15);
        // Of the lower and the upper field of a nibble.
        let lower = _mm256_set1_epi32(i32::from_le_bytes([-1i8 as u8, 0, 1, 2]));
        let upper = _mm256_setr_epi32(
            -1,
            0,
            0x0101_0101,
            0x0202_0202,
            -1,
            0,
            0x0101_0101,
            0x0202_0202,
        );
        for half in 0..2 {
            let mut wide = [_mm256_setzero_si256(); 3];
            let mut to = panel.wrapping_add(half * BYTES);
            for x in 0..3 {
                let taps = [0, 1, 2].map(|y| block[(3 * y + x) * tap + from..][..len].as_ptr());
                for at in (half * BYTES..len).step_by(PANEL_BYTES) {
                    let mut nibbles = [[nibble; 3]; 2];
                    for y in 0..3 {
                        let bytes = _mm256_loadu_si256(taps[y].add(at).cast());
                        nibbles[0][y] = _mm256_and_si256(bytes, nibble);
                        let bytes = _mm256_srli_epi16::<4>(bytes);
                        nibbles[1][y] = _mm256_and_si256(bytes, nibble);
                    }
                    let mut bytes = [_mm256_setzero_si256(); 3];
                    for i in 0..4 {
                        let table = if i % 2 == 0 { lower } else { upper };
                        let mut g = nibbles[i / 2];
                        for (g, sum) in g.iter_mut().zip(&mut bytes) {
                            *g = _mm256_shuffle_epi8(table, *g);
                            *sum = _mm256_add_epi8(*sum, *g);
                        }
                        store::<F>(to, part, g);
                        to = to.wrapping_add(QUAD * F::WEIGHT);
                    }
                    add_bytes(&mut wide, bytes);
                }
            }
            add_half(sums, half, wide);
        }
    }
}

/// Transforms `count` quads of each of the kernel's nine taps, which are in `from` tap by
/// tap, to those at `to` and the same distance into each column and part.
///
/// # Safety
///
/// As for [`decode`].
#[inline(always)]
unsafe fn unpacked<F: Form>(
    kernels: &Kernels<'_>,
    from: *const u8,
    count: usize,
    to: *mut u8,
    sums: &mut [[i32; BLOCK]; 3],
) {
    let column = kernels.channels.len() / 4 * QUAD * F::WEIGHT;
    // SAFETY: the caller's promises.
    unsafe {
        let one = _mm256_set1_epi8(1);
        for half in 0..2 {
            let mut wide = [_mm256_setzero_si256(); 3];
            for x in 0..3 {
                for i in 0..count {
                    let mut g = [one; 3];
                    for (y, g) in g.iter_mut().enumerate() {
                        let quad = from.add(((3 * y + x) * count + i) * QUAD + half * BYTES);
                        *g = _mm256_sub_epi8(_mm256_loadu_si256(quad.cast()), one);
                    }
                    let to = to.add(x * column + i * QUAD * F::WEIGHT + half * BYTES);
                    store::<F>(to, kernels.part, g);
                    add_bytes(&mut wide, g);
                }
            }
            add_half(sums, half, wide);
        }
    }
}

/// Transforms a column of three weights, and stores the four that it makes `part` bytes
/// apart.
///
/// # Safety
///
/// The CPU has AVX2; there is room.
#[inline(always)]
unsafe fn store<F: Form>(to: *mut u8, part: usize, [g0, g1, g2]: [__m256i; 3]) {
    // SAFETY: the caller's promises.
    unsafe {
        let outer = _mm256_add_epi8(g0, g2);
        let u = [
            _mm256_add_epi8(outer, g1),
            _mm256_sub_epi8(outer, g1),
            _mm256_add_epi8(g0, g0),
            _mm256_add_epi8(g2, g2),
        ];
        for (p, u) in u.into_iter().enumerate() {
            F::store(to.add(p * part), u);
        }
    }
}

/// Adds the four bytes of each lane to its sum.
///
/// # Safety
///
/// The CPU has AVX2.
#[inline(always)]
unsafe fn add_bytes(sums: &mut [__m256i; 3], bytes: [__m256i; 3]) {
    for (sum, bytes) in sums.iter_mut().zip(bytes) {
        // SAFETY: the caller's promise.
        unsafe {
            let pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), bytes);
            let lanes = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
            *sum = _mm256_add_epi32(*sum, lanes);
        }
    }
}

/// Adds the sums of half a block.
///
/// # Safety
///
/// The CPU has AVX2.
#[inline(always)]
unsafe fn add_half(sums: &mut [[i32; BLOCK]; 3], half: usize, wide: [__m256i; 3]) {
    for (sums, wide) in sums.iter_mut().zip(wide) {
        let sums = sums[half * BLOCK / 2..].as_mut_ptr().cast();
        // SAFETY: 8 of 16.
        unsafe {
            let sum = _mm256_add_epi32(_mm256_loadu_si256(sums), wide);
            _mm256_storeu_si256(sums, sum);
        }
    }
}

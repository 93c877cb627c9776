//! Ternary codes out of packed panels, 64 at a time.
//!
//! A *quad* is four consecutive k of 16 outputs: the same field (t2) or digit
//! (t5) of the 64 bytes of a panel, or one nibble (n12, n34) of 16 of them. Byte
//! `4 * o + j` is trit plus one of output `o` at the quad's k number `j`.

use crate::Codec;
use crate::layout::n34;
use core::arch::x86_64::*;

/// Outputs 0..8 and outputs 8..16.
pub(crate) type Quad = [__m256i; 2];

/// The most quads that a panel has.
const MOST: usize = 8;

/// A block's quads, decoded a panel at a time.
pub(crate) struct Quads<'a> {
    codec: Codec,
    block: &'a [u8],
    /// Quads of a panel.
    count: usize,
    /// The panel that was decoded last; none at first.
    panel: usize,
    quads: [Quad; MOST],
}

impl<'a> Quads<'a> {
    /// Those of a block of a ternary codec; all zero trits for another one.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(crate) fn new(codec: Codec, block: &'a [u8]) -> Quads<'a> {
        Quads {
            codec,
            block,
            count: codec.panel().0 / 4,
            panel: usize::MAX,
            quads: [[_mm256_set1_epi8(1); 2]; MOST],
        }
    }

    /// Number `index` of the block's filled k axis, counted from the block's
    /// start.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(crate) fn get(&mut self, index: usize) -> Quad {
        let (panel, i) = (index / self.count, index % self.count);
        if panel != self.panel {
            self.panel = panel;
            let (_, len) = self.codec.panel();
            let from = &self.block[panel * len..][..len];
            for half in 0..2 {
                // SAFETY: a panel has 64 bytes or more.
                let bytes = unsafe { _mm256_loadu_si256(from.as_ptr().add(32 * half).cast()) };
                match self.codec {
                    Codec::T2 => self.put(half, fields(bytes)),
                    Codec::T5 => self.put(half, digits(bytes)),
                    Codec::N12 => self.put(half, pairs(bytes)),
                    Codec::N34 => {
                        let signs = from[n34::SIGNS + 8 * half..].first_chunk();
                        self.put(half, fours(bytes, signs.unwrap_or(&[0; 8])));
                    }
                    _ => {}
                }
            }
        }
        self.quads[i]
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn put<const N: usize>(&mut self, half: usize, codes: [__m256i; N]) {
        for (quad, codes) in self.quads.iter_mut().zip(codes) {
            quad[half] = codes;
        }
    }
}

/// The 2-bit fields of half a t2 panel.
#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn fields(bytes: __m256i) -> [__m256i; 4] {
    let mask = _mm256_set1_epi8(3);
    [
        _mm256_and_si256(bytes, mask),
        _mm256_and_si256(_mm256_srli_epi16(bytes, 2), mask),
        _mm256_and_si256(_mm256_srli_epi16(bytes, 4), mask),
        _mm256_and_si256(_mm256_srli_epi16(bytes, 6), mask),
    ]
}

/// The digits of half a t5 panel: `byte / 3^i`, modulo 3 except for the last.
#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn digits(bytes: __m256i) -> [__m256i; 5] {
    // x / 3 = x * 21846 >> 16 for every byte; the test tries them all.
    let third = _mm256_set1_epi16(21846);
    let mut low = _mm256_and_si256(bytes, _mm256_set1_epi16(0xff));
    let mut high = _mm256_srli_epi16(bytes, 8);
    let mut quotient = bytes;
    let mut digits = [bytes; 5];
    for digit in &mut digits[..4] {
        low = _mm256_mulhi_epu16(low, third);
        high = _mm256_mulhi_epu16(high, third);
        let next = _mm256_or_si256(low, _mm256_slli_epi16(high, 8));
        let three_times = _mm256_add_epi8(next, _mm256_add_epi8(next, next));
        *digit = _mm256_sub_epi8(quotient, three_times);
        quotient = next;
    }
    digits[4] = quotient;
    digits
}

/// The nibbles of half an n12 panel, in k order: two pairs of every output each.
#[target_feature(enable = "avx2")]
#[inline]
fn pairs(bytes: __m256i) -> [__m256i; MOST] {
    // Byte 0 of every output, four times.
    let lane = _mm_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12);
    let first = _mm256_broadcastsi128_si256(lane);
    // Of the four, the first two show the lower pair and the last two the upper
    // one; of each two, the first is the even k.
    let lower = _mm256_set1_epi32(0x0000_0303);
    let upper = _mm256_set1_epi32(0x0303_0000);
    let odd = _mm256_set1_epi32(0x0400_0400);
    let codes = _mm256_broadcastsi128_si256(_mm_setr_epi8(
        2, 1, 0, 1, 1, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ));
    let mut nibbles = [bytes; MOST];
    for (i, nibble) in nibbles.iter_mut().enumerate() {
        let byte = _mm256_add_epi8(first, _mm256_set1_epi8((i / 2) as i8));
        let mut four = _mm256_shuffle_epi8(bytes, byte);
        if i % 2 == 1 {
            four = _mm256_srli_epi16(four, 4);
        }
        let lower = _mm256_and_si256(four, lower);
        let upper = _mm256_and_si256(_mm256_srli_epi16(four, 2), upper);
        let index = _mm256_or_si256(_mm256_or_si256(lower, upper), odd);
        *nibble = _mm256_shuffle_epi8(codes, index);
    }
    nibbles
}

/// The nibbles of half an n34 panel, in k order: four weights of every output each,
/// with the outputs' third signs.
#[target_feature(enable = "avx2")]
#[inline]
fn fours(bytes: __m256i, signs: &[u8; 8]) -> [__m256i; MOST] {
    // Of 32 bits, four times the lowest byte.
    let lane = _mm_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12);
    let first = _mm256_broadcastsi128_si256(lane);
    let nibble = _mm256_set1_epi8(15);
    let upper = _mm256_set1_epi8(-128);
    let turns = _mm256_set1_epi32(i32::from_le_bytes(n34::TURNS.map(|turn| 4 * turn)));
    // SAFETY: 16 bytes each, and eight.
    let (codes, third, signs) = unsafe {
        (
            _mm_loadu_si128(n34::CODES.as_ptr().cast()),
            _mm_loadu_si128(n34::THIRD.as_ptr().cast()),
            _mm_loadl_epi64(signs.as_ptr().cast()),
        )
    };
    let codes = _mm256_broadcastsi128_si256(codes);
    let third = _mm256_broadcastsi128_si256(third);
    // The uppermost bit of each byte is the sign of the nibble in turn, from the last
    // on; a look-up gives 0 where it is set.
    let mut signs = _mm256_shuffle_epi8(_mm256_cvtepu8_epi32(signs), first);
    let mut nibbles = [bytes; MOST];
    for (i, four) in nibbles.iter_mut().enumerate().rev() {
        let byte = _mm256_add_epi8(first, _mm256_set1_epi8((i / 2) as i8));
        let mut index = _mm256_shuffle_epi8(bytes, byte);
        if i % 2 == 1 {
            index = _mm256_srli_epi16(index, 4);
        }
        let index = _mm256_and_si256(_mm256_add_epi8(index, turns), nibble);
        let signed = _mm256_or_si256(index, _mm256_and_si256(signs, upper));
        let plus = _mm256_shuffle_epi8(third, signed);
        *four = _mm256_or_si256(_mm256_shuffle_epi8(codes, index), plus);
        signs = _mm256_add_epi8(signs, signs);
    }
    nibbles
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Caps, testing};
    use std::println;

    #[test]
    fn every_byte_decodes_as_the_layouts_say() {
        if !Caps::detect().has(Caps::AVX2) {
            return println!("skipped: this CPU has no AVX2");
        }
        testing::quads_are_as_the_layouts_say(|codec, bytes, count| {
            // SAFETY: AVX2 was just found.
            let mut quads = unsafe { Quads::new(codec, bytes) };
            // SAFETY: as above; a quad is 64 bytes.
            let quad = |i| unsafe { core::mem::transmute(quads.get(i)) };
            (0..count).map(quad).collect()
        });
    }
}

//! Ternary codes out of packed panels, 64 at a time.
//!
//! A *quad* is four consecutive k of 16 outputs: the same field (t2) or digit
//! (t5) of the 64 bytes of a panel, or one nibble (n12) of 16 of them. Byte `4 * o + j` is trit plus one of output
//! `o` at the quad's k number `j`.

use crate::Codec;
use crate::layout::{PANEL_BYTES, n12, t2, t5};
use core::arch::x86_64::*;

/// Outputs 0..8 and outputs 8..16.
pub(crate) type Quad = [__m256i; 2];

/// Quad number `index` of a block's filled k axis, counted from the block's
/// start. For a codec that is not ternary all zero trits.
#[target_feature(enable = "avx2")]
pub(crate) fn quad(codec: Codec, block: &[u8], index: usize) -> Quad {
    const T2_QUADS: usize = t2::PANEL_K / 4;
    const T5_QUADS: usize = t5::PANEL_K / 4;
    const N12_QUADS: usize = n12::PANEL_K / 4;
    match codec {
        Codec::T2 => field(panel(block, index / T2_QUADS), index % T2_QUADS),
        Codec::T5 => digit(panel(block, index / T5_QUADS), index % T5_QUADS),
        Codec::N12 => pairs(panel(block, index / N12_QUADS), index % N12_QUADS),
        _ => [_mm256_set1_epi8(1); 2],
    }
}

#[target_feature(enable = "avx2")]
fn panel(block: &[u8], index: usize) -> Quad {
    let bytes = &block[index * PANEL_BYTES..][..PANEL_BYTES];
    let start = bytes.as_ptr();
    // SAFETY: `bytes` has 64 bytes.
    unsafe {
        [
            _mm256_loadu_si256(start.cast()),
            _mm256_loadu_si256(start.add(32).cast()),
        ]
    }
}

/// 2-bit field `i` of every byte.
#[target_feature(enable = "avx2")]
fn field(panel: Quad, i: usize) -> Quad {
    let shift = _mm_cvtsi32_si128(2 * i as i32);
    let mask = _mm256_set1_epi8(3);
    panel.map(|bytes| _mm256_and_si256(_mm256_srl_epi16(bytes, shift), mask))
}

/// `byte / 3^i`, modulo 3 except for the last.
#[target_feature(enable = "avx2")]
fn digit(panel: Quad, i: usize) -> Quad {
    // byte / 3^i = byte * factor >> 14 for every byte; the test tries them all.
    const FACTORS: [i16; 5] = [1 << 14, 5462, 1821, 607, 203];
    let Some(factor) = FACTORS.get(i) else {
        return panel;
    };
    panel.map(|bytes| {
        let quotient = if i == 0 {
            bytes
        } else {
            scaled(bytes, *factor)
        };
        if i == 4 {
            return quotient;
        }
        let third = scaled(quotient, FACTORS[1]);
        let three_thirds = _mm256_add_epi8(third, _mm256_add_epi8(third, third));
        _mm256_sub_epi8(quotient, three_thirds)
    })
}

/// The two pairs of nibble `i` of every output, nibbles counted in k order.
#[target_feature(enable = "avx2")]
fn pairs(panel: Quad, i: usize) -> Quad {
    // Byte i / 2 of every output, four times.
    let first = _mm256_set1_epi8((i / 2) as i8);
    let lane = _mm_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12);
    let select = _mm256_add_epi8(_mm256_broadcastsi128_si256(lane), first);
    let shift = _mm_cvtsi32_si128(4 * (i % 2) as i32);
    // Of the four, the first two show the lower pair and the last two the upper
    // one; of each two, the first is the even k.
    let lower = _mm256_set1_epi32(0x0000_0303);
    let upper = _mm256_set1_epi32(0x0303_0000);
    let odd = _mm256_set1_epi32(0x0400_0400);
    let codes = _mm256_broadcastsi128_si256(_mm_setr_epi8(
        2, 1, 0, 1, 1, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ));
    panel.map(|bytes| {
        let nibble = _mm256_srl_epi16(_mm256_shuffle_epi8(bytes, select), shift);
        let lower = _mm256_and_si256(nibble, lower);
        let upper = _mm256_and_si256(_mm256_srli_epi16(nibble, 2), upper);
        let index = _mm256_or_si256(_mm256_or_si256(lower, upper), odd);
        _mm256_shuffle_epi8(codes, index)
    })
}

/// `byte * factor >> 14` of every byte, for results below 256.
#[target_feature(enable = "avx2")]
fn scaled(bytes: __m256i, factor: i16) -> __m256i {
    // A byte times four in the 16-bit lane makes the high half of the product
    // the one shifted by 14.
    let factor = _mm256_set1_epi16(factor);
    let low = _mm256_and_si256(bytes, _mm256_set1_epi16(0xff));
    let high = _mm256_srli_epi16(bytes, 8);
    let low = _mm256_mulhi_epu16(_mm256_slli_epi16(low, 2), factor);
    let high = _mm256_mulhi_epu16(_mm256_slli_epi16(high, 2), factor);
    _mm256_or_si256(low, _mm256_slli_epi16(high, 8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Caps;
    use std::println;
    use std::vec::Vec;

    #[test]
    fn every_byte_decodes_as_the_layouts_say() {
        if !Caps::detect().has(Caps::AVX2) {
            return println!("skipped: this CPU has no AVX2");
        }
        let bytes: Vec<u8> = (0..=255).collect();
        for (codec, quads) in [(Codec::T2, 4), (Codec::T5, 5), (Codec::N12, 8)] {
            for index in 0..4 * quads {
                // SAFETY: AVX2 was just found.
                let found = unsafe { quad(codec, &bytes, index) };
                // SAFETY: both are 64 bytes.
                let found: [u8; 64] = unsafe { core::mem::transmute(found) };
                for (at, found) in found.into_iter().enumerate() {
                    let (panel, i) = (&bytes[index / quads * 64..][..64], (index % quads) as u32);
                    let expected = match codec {
                        Codec::T2 => panel[at] >> (2 * i) & 3,
                        Codec::T5 if i == 4 => panel[at] / 81,
                        Codec::T5 => panel[at] / 3u8.pow(i) % 3,
                        _ => {
                            let k = 4 * i as usize + at % 4;
                            let pair = panel[at / 4 * 4 + k / 8] >> (k % 8 / 2 * 2) & 3;
                            match (usize::from(pair & 1) == k % 2, pair & 2) {
                                (false, _) => 1,
                                (true, 0) => 2,
                                (true, _) => 0,
                            }
                        }
                    };
                    assert_eq!(found, expected, "{codec:?} index {index} at {at}");
                }
            }
        }
    }
}

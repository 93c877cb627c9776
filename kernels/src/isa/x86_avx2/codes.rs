//! Ternary codes out of packed panels, 64 at a time.
//!
//! A *quad* is four consecutive k of 16 outputs: the same field (t2) or digit
//! (t5) of the 64 bytes of a panel. Byte `4 * o + j` is trit plus one of output
//! `o` at the quad's k number `j`.

use crate::Codec;
use crate::layout::{PANEL_BYTES, t2, t5};
use core::arch::x86_64::*;

/// Outputs 0..8 and outputs 8..16.
pub(crate) type Quad = [__m256i; 2];

/// Quad number `index` of a block's filled k axis, counted from the block's
/// start. For a codec that is not ternary all zero trits.
#[target_feature(enable = "avx2")]
pub(crate) fn quad(codec: Codec, block: &[u8], index: usize) -> Quad {
    const T2_QUADS: usize = t2::PANEL_K / 4;
    const T5_QUADS: usize = t5::PANEL_K / 4;
    match codec {
        Codec::T2 => field(panel(block, index / T2_QUADS), index % T2_QUADS),
        Codec::T5 => digit(panel(block, index / T5_QUADS), index % T5_QUADS),
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
        for (codec, quads) in [(Codec::T2, 4), (Codec::T5, 5)] {
            for index in 0..4 * quads {
                // SAFETY: AVX2 was just found.
                let found = unsafe { quad(codec, &bytes, index) };
                // SAFETY: both are 64 bytes.
                let found: [u8; 64] = unsafe { core::mem::transmute(found) };
                for (at, found) in found.into_iter().enumerate() {
                    let byte = bytes[index / quads * 64 + at];
                    let i = (index % quads) as u32;
                    let expected = match codec {
                        Codec::T2 => byte >> (2 * i) & 3,
                        _ if i == 4 => byte / 81,
                        _ => byte / 3u8.pow(i) % 3,
                    };
                    assert_eq!(found, expected, "{codec:?} byte {byte} position {i}");
                }
            }
        }
    }
}

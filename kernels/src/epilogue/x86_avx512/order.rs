//! The order of outputs in registers.

use core::arch::x86_64::*;

/// From the output's order to the unpacked one of `U` registers.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn unpack<const N: usize, const U: usize>(t: &mut [__m512; N]) {
    if U == 2 {
        for [a, b] in t.as_chunks_mut().0 {
            (*a, *b) = (
                _mm512_shuffle_f32x4::<0b10_00_10_00>(*a, *b),
                _mm512_shuffle_f32x4::<0b11_01_11_01>(*a, *b),
            );
        }
    } else if U == 4 {
        transpose(t);
    }
}

/// The inverse of [`unpack`].
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn pack<const N: usize, const U: usize>(t: &mut [__m512; N]) {
    if U == 2 {
        for [a, b] in t.as_chunks_mut().0 {
            let low = _mm512_shuffle_f32x4::<0b01_00_01_00>(*a, *b);
            let high = _mm512_shuffle_f32x4::<0b11_10_11_10>(*a, *b);
            *a = _mm512_shuffle_f32x4::<0b11_01_10_00>(low, low);
            *b = _mm512_shuffle_f32x4::<0b11_01_10_00>(high, high);
        }
    } else if U == 4 {
        transpose(t);
    }
}

/// Lane l of register n to lane n of register l, of each four.
#[target_feature(enable = "avx512f")]
#[inline]
fn transpose(t: &mut [__m512]) {
    for [a, b, c, d] in t.as_chunks_mut().0 {
        // Lanes 0 and 1, 2 and 3 of a and b; of c and d.
        let ab = [
            _mm512_shuffle_f32x4::<0b01_00_01_00>(*a, *b),
            _mm512_shuffle_f32x4::<0b11_10_11_10>(*a, *b),
        ];
        let cd = [
            _mm512_shuffle_f32x4::<0b01_00_01_00>(*c, *d),
            _mm512_shuffle_f32x4::<0b11_10_11_10>(*c, *d),
        ];
        *a = _mm512_shuffle_f32x4::<0b10_00_10_00>(ab[0], cd[0]);
        *b = _mm512_shuffle_f32x4::<0b11_01_11_01>(ab[0], cd[0]);
        *c = _mm512_shuffle_f32x4::<0b10_00_10_00>(ab[1], cd[1]);
        *d = _mm512_shuffle_f32x4::<0b11_01_11_01>(ab[1], cd[1]);
    }
}

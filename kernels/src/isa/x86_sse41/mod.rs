//! SSE4.1 and SSSE3.
//!
//! Bounds on the way: `maddubs` adds two products of a code in 0..=3 and an i8 in
//! i16, `|pair| <= 768`, of which a lane holds 42. As codes are trits plus one,
//! the row's own sum is taken off at the end.

use super::product::Tiles;
use super::v128::pairs::{UNSIGNED, decode, line_pairs};
use super::v128::panel::{Bytes, Codes, Floats, Pairs};
use super::v128::tile::{add_floats, add_integers, tile};
use super::v128::{Integers, Registers, lookup::look_up, operations};
use crate::Codec;
use crate::product::tiled::Segments;
use crate::product::winograd::by_tile::by_tile;
use core::arch::x86_64::*;

/// Rows of a tile: the sums of two take 8 of 16 registers. With three, something
/// goes through memory and back in every step, which takes longer.
const ROWS: usize = 2;

/// The instructions.
pub(crate) enum Sse41 {}

impl Registers for Sse41 {
    type F = __m128;
    type I = __m128i;

    operations! {
        fn load_f32(from: *const f32) -> __m128 { _mm_loadu_ps(from) }
        fn store_f32(to: *mut f32, values: __m128) { _mm_storeu_ps(to, values) }
        fn splat_f32(value: f32) -> __m128 { _mm_set1_ps(value) }
        fn multiply_add(sum: __m128, w: __m128, x: f32) -> __m128 {
            _mm_add_ps(sum, _mm_mul_ps(w, _mm_set1_ps(x)))
        }
        fn mul_f32(a: __m128, b: __m128) -> __m128 { _mm_mul_ps(a, b) }
        fn add_f32(a: __m128, b: __m128) -> __m128 { _mm_add_ps(a, b) }
        fn max_f32(a: __m128, b: __m128) -> __m128 { _mm_max_ps(a, b) }
        fn min_f32(a: __m128, b: __m128) -> __m128 { _mm_min_ps(a, b) }
        fn from_i32(values: __m128i) -> __m128 { _mm_cvtepi32_ps(values) }
        fn from_i8(from: *const i8) -> __m128 {
            let bytes = _mm_cvtsi32_si128(from.cast::<i32>().read_unaligned());
            _mm_cvtepi32_ps(_mm_cvtepi8_epi32(bytes))
        }
        fn from_i16(from: *const i16) -> __m128 {
            _mm_cvtepi32_ps(_mm_cvtepi16_epi32(_mm_loadl_epi64(from.cast())))
        }
        fn round(values: __m128) -> __m128i { _mm_cvtps_epi32(values) }
        fn load(from: *const u8) -> __m128i { _mm_loadu_si128(from.cast()) }
        fn store(to: *mut u8, bytes: __m128i) { _mm_storeu_si128(to.cast(), bytes) }
        fn splat(from: *const u8) -> __m128i { _mm_set1_epi32(from.cast::<i32>().read_unaligned()) }
        fn look_up(table: __m128i, index: __m128i) -> __m128i { _mm_shuffle_epi8(table, index) }
        fn and(a: __m128i, b: __m128i) -> __m128i { _mm_and_si128(a, b) }
        fn xor(a: __m128i, b: __m128i) -> __m128i { _mm_xor_si128(a, b) }
        fn add_8(a: __m128i, b: __m128i) -> __m128i { _mm_add_epi8(a, b) }
        fn sub_8(a: __m128i, b: __m128i) -> __m128i { _mm_sub_epi8(a, b) }
        fn add_16(a: __m128i, b: __m128i) -> __m128i { _mm_add_epi16(a, b) }
        fn mul_16(a: __m128i, b: __m128i) -> __m128i { _mm_mullo_epi16(a, b) }
        fn shift_16<const BITS: i32>(a: __m128i) -> __m128i { _mm_srli_epi16::<BITS>(a) }
        fn narrow_32(a: __m128i, b: __m128i) -> __m128i { _mm_packs_epi32(a, b) }
        fn narrow_16(a: __m128i, b: __m128i) -> __m128i { _mm_packs_epi16(a, b) }
    }
}

/// i8 activations and trits: a sum is eight lanes, two pairs of each output.
pub(crate) enum Narrow {}

impl Integers<Sse41> for Narrow {
    type Sum = __m128i;
    type Panel = Codes;
    const NARROW: usize = 42;

    operations! {
        fn zero() -> __m128i { _mm_setzero_si128() }
        fn add(sum: __m128i, w: __m128i, x: __m128i) -> __m128i {
            _mm_add_epi16(sum, _mm_maddubs_epi16(w, x))
        }
        fn widen(sum: __m128i) -> __m128i { _mm_madd_epi16(sum, _mm_set1_epi16(1)) }
    }
}

/// i16 activations and weights, `|pair| <= 2 * 32768 * 128`.
pub(crate) enum Wide {}

impl Integers<Sse41> for Wide {
    type Sum = __m128i;
    type Panel = Pairs;
    const NARROW: usize = usize::MAX;

    operations! {
        fn zero() -> __m128i { _mm_setzero_si128() }
        fn add(sum: __m128i, w: __m128i, x: __m128i) -> __m128i {
            _mm_add_epi32(sum, _mm_madd_epi16(w, x))
        }
        fn widen(sum: __m128i) -> __m128i { sum }
    }
}

/// f32 activations.
pub(crate) enum F32 {}
/// i16 activations.
pub(crate) enum I16 {}
/// i8 activations and ternary weights.
pub(crate) enum I8 {}
/// i8 activations and i8 weights, multiplied as i16.
pub(crate) enum WideI8 {}
/// i7 activations and n12 weights.
pub(crate) enum N12 {}

tile!("sse4.1,ssse3", Sse41, F32: f32 => f32, ROWS, Floats, add_floats::<Sse41, ROWS>, {
    fn in_place(codec: Codec) -> bool {
        codec == Codec::F32
    }
});
tile!("sse4.1,ssse3", Sse41, I16: i16 => i16, ROWS, Pairs, add_integers::<Sse41, Wide, ROWS, false>, {});
tile!("sse4.1,ssse3", Sse41, WideI8: i8 => i16, ROWS, Pairs, add_integers::<Sse41, Wide, ROWS, false>, {});
tile!("sse4.1,ssse3", Sse41, I8: i8 => i8, ROWS, Codes, add_integers::<Sse41, Narrow, ROWS, true>, {
    #[target_feature(enable = "sse4.1,ssse3")]
    unsafe fn row_sums(segments: &Segments, sums: &mut [i32]) {
        for (r, sum) in sums.iter_mut().enumerate().take(segments.rows) {
            for segment in 0..segments.count {
                // SAFETY: the row's pointer was written; it has len elements.
                let x = unsafe {
                    let x = segments.row(r, segment);
                    core::slice::from_raw_parts(x.cast::<i8>(), segments.len)
                };
                *sum += x.iter().map(|x| i32::from(*x)).sum::<i32>();
            }
        }
    }
});
look_up!("sse4.1,ssse3", N12, Sse41, 8, 4);

/// Activations of a transformed line, which are unsigned, and weights of at most 6: pairs
/// of 3060, of which a lane holds ten.
pub(crate) enum NarrowPairs {}

impl Integers<Sse41> for NarrowPairs {
    type Sum = __m128i;
    type Panel = Bytes;
    const NARROW: usize = 10;

    operations! {
        fn zero() -> __m128i { _mm_setzero_si128() }
        fn add(sum: __m128i, w: __m128i, x: __m128i) -> __m128i {
            _mm_add_epi16(sum, _mm_maddubs_epi16(x, w))
        }
        fn widen(sum: __m128i) -> __m128i { _mm_madd_epi16(sum, _mm_set1_epi16(1)) }
    }
}

/// Activations of a transformed line.
pub(crate) enum PairBytes {}

tile!("sse4.1,ssse3", Sse41, PairBytes: i8 => i8, ROWS, Bytes, add_integers::<Sse41, NarrowPairs, ROWS, false>, {});
line_pairs!("sse4.1,ssse3", Sse41, BytePairs, PairBytes, Bytes, UNSIGNED);
by_tile!(
    "sse4.1,ssse3",
    FloatPairs,
    F32,
    f32,
    decode::<Sse41, Floats>
);
by_tile!("sse4.1,ssse3", WordPairs, I16, i16, decode::<Sse41, Pairs>);

/// The tiles.
pub(crate) enum All {}

impl Tiles for All {
    type Floats = F32;
    type Words = I16;
    type Bytes = I8;
    type NonNegative = I8;
    type DenseBytes = WideI8;
    type LookUp = N12;
    type FloatPairs = FloatPairs;
    type WordPairs = WordPairs;
    type BytePairs = BytePairs;
    type ByteRows = crate::product::matvec::Nothing<i8>;
}

//! WebAssembly's fixed-width SIMD, without the relaxed instructions.
//!
//! Activations of i8 are widened to i16 when rows are gathered: engines multiply
//! 16-bit lanes with one instruction on every CPU, and add with another (or the
//! same), but bytes only with several. A product with a trit code is at most `2 *
//! 128` (2 for a code that is no trit), of which a 16-bit lane holds 127.

use super::product::Tiles;
use super::v128::pairs::{Room, SIGNED, decode, line_pairs};
use super::v128::panel::{Floats, Pairs};
use super::v128::tile::{add_floats, add_integers, tile};
use super::v128::{Integers, Registers, lookup::look_up, operations};
use crate::Codec;
use crate::product::winograd::by_tile::by_tile;
use core::arch::wasm32::*;

/// Rows of a tile: on x86-64 engines have 16 registers, of which these sums take
/// eight. With three rows a product took a fifth longer in Node.
const ROWS: usize = 2;

/// The instructions.
pub(crate) enum Simd128 {}

impl Registers for Simd128 {
    type F = v128;
    type I = v128;

    operations! {
        fn load_f32(from: *const f32) -> v128 { v128_load(from.cast()) }
        fn store_f32(to: *mut f32, values: v128) { v128_store(to.cast(), values) }
        fn splat_f32(value: f32) -> v128 { f32x4_splat(value) }
        fn multiply_add(sum: v128, w: v128, x: f32) -> v128 {
            f32x4_add(sum, f32x4_mul(w, f32x4_splat(x)))
        }
        fn mul_f32(a: v128, b: v128) -> v128 { f32x4_mul(a, b) }
        fn add_f32(a: v128, b: v128) -> v128 { f32x4_add(a, b) }
        // pmax(a, b) is b where a < b, else a; pmin(a, b) is b where b < a, else a.
        fn max_f32(a: v128, b: v128) -> v128 { f32x4_pmax(b, a) }
        fn min_f32(a: v128, b: v128) -> v128 { f32x4_pmin(b, a) }
        fn from_i32(values: v128) -> v128 { f32x4_convert_i32x4(values) }
        fn from_i8(from: *const i8) -> v128 {
            let words = i16x8_extend_low_i8x16(v128_load32_zero(from.cast()));
            f32x4_convert_i32x4(i32x4_extend_low_i16x8(words))
        }
        fn from_i16(from: *const i16) -> v128 {
            f32x4_convert_i32x4(i32x4_extend_low_i16x8(v128_load64_zero(from.cast())))
        }
        fn round(values: v128) -> v128 { i32x4_trunc_sat_f32x4(f32x4_nearest(values)) }
        fn load(from: *const u8) -> v128 { v128_load(from.cast()) }
        fn store(to: *mut u8, bytes: v128) { v128_store(to.cast(), bytes) }
        fn splat(from: *const u8) -> v128 { v128_load32_splat(from.cast()) }
        fn look_up(table: v128, index: v128) -> v128 { i8x16_swizzle(table, index) }
        fn and(a: v128, b: v128) -> v128 { v128_and(a, b) }
        fn xor(a: v128, b: v128) -> v128 { v128_xor(a, b) }
        fn add_8(a: v128, b: v128) -> v128 { i8x16_add(a, b) }
        fn sub_8(a: v128, b: v128) -> v128 { i8x16_sub(a, b) }
        fn add_16(a: v128, b: v128) -> v128 { i16x8_add(a, b) }
        fn mul_16(a: v128, b: v128) -> v128 { i16x8_mul(a, b) }
        fn shift_16<const BITS: i32>(a: v128) -> v128 { u16x8_shr(a, BITS as u32) }
        fn narrow_32(a: v128, b: v128) -> v128 { i16x8_narrow_i32x4(a, b) }
        fn narrow_16(a: v128, b: v128) -> v128 { i8x16_narrow_i16x8(a, b) }
    }
}

/// i8 activations and trits: a sum is eight lanes, two k of each output.
pub(crate) enum Narrow {}

impl Integers<Simd128> for Narrow {
    type Sum = v128;
    type Panel = Pairs;
    const NARROW: usize = 127;

    operations! {
        fn zero() -> v128 { i16x8_splat(0) }
        fn add(sum: v128, w: v128, x: v128) -> v128 { i16x8_add(sum, i16x8_mul(w, x)) }
        fn widen(sum: v128) -> v128 { i32x4_extadd_pairwise_i16x8(sum) }
    }
}

/// i16 activations and weights, `|pair| <= 2 * 32768 * 128`.
pub(crate) enum Wide {}

impl Integers<Simd128> for Wide {
    type Sum = v128;
    type Panel = Pairs;
    const NARROW: usize = usize::MAX;

    operations! {
        fn zero() -> v128 { i32x4_splat(0) }
        fn add(sum: v128, w: v128, x: v128) -> v128 { i32x4_add(sum, i32x4_dot_i16x8(w, x)) }
        fn widen(sum: v128) -> v128 { sum }
    }
}

/// f32 activations.
pub(crate) enum F32 {}
/// i16 activations.
pub(crate) enum I16 {}
/// i8 activations and ternary weights, multiplied as i16.
pub(crate) enum I8 {}
/// i8 activations and i8 weights, multiplied as i16.
pub(crate) enum WideI8 {}
/// i7 activations and n12 weights.
pub(crate) enum N12 {}

tile!("simd128", Simd128, F32: f32 => f32, ROWS, Floats, add_floats::<Simd128, ROWS>, {
    fn in_place(codec: Codec) -> bool {
        codec == Codec::F32
    }
});
tile!(
    "simd128", Simd128, I16: i16 => i16, ROWS,
    Pairs, add_integers::<Simd128, Wide, ROWS, false>, {}
);
tile!(
    "simd128", Simd128, I8: i8 => i16, ROWS,
    Pairs, add_integers::<Simd128, Narrow, ROWS, false>, {}
);
tile!(
    "simd128", Simd128, WideI8: i8 => i16, ROWS,
    Pairs, add_integers::<Simd128, Wide, ROWS, false>, {}
);
look_up!("simd128", N12, Simd128, 8, 4);

/// i8 activations and weights of at most 6: products of 768, of which a lane holds 42.
pub(crate) enum SmallI8 {}

tile!(
    "simd128", Simd128, SmallI8: i8 => i16, ROWS,
    Pairs, add_integers::<Simd128, Room<Narrow, 42>, ROWS, false>, {}
);
line_pairs!("simd128", Simd128, BytePairs, SmallI8, Pairs, SIGNED);
by_tile!("simd128", FloatPairs, F32, f32, decode::<Simd128, Floats>);
by_tile!("simd128", WordPairs, I16, i16, decode::<Simd128, Pairs>);

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

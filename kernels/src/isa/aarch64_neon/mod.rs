//! AArch64 Advanced SIMD, which every such CPU has.
//!
//! Bounds on the way: i8 products with trit codes are at most `2 * 128` (2 for a
//! code that is no trit), of which a 16-bit lane holds 127; everything else is
//! added in 32 bits.

use super::product::Tiles;
use super::v128::pairs::{Room, SIGNED, decode, line_pairs};
use super::v128::panel::{Bytes, Floats, Words};
use super::v128::tile::{add_floats, add_integers, tile};
use super::v128::{Integers, Registers, lookup::look_up, operations};
use crate::Codec;
use crate::product::winograd::by_tile::by_tile;
use core::arch::aarch64::*;

/// The instructions.
pub(crate) enum Neon {}

impl Registers for Neon {
    type F = float32x4_t;
    type I = uint8x16_t;

    operations! {
        fn load_f32(from: *const f32) -> float32x4_t { vld1q_f32(from) }
        fn store_f32(to: *mut f32, values: float32x4_t) { vst1q_f32(to, values) }
        fn splat_f32(value: f32) -> float32x4_t { vdupq_n_f32(value) }
        fn multiply_add(sum: float32x4_t, w: float32x4_t, x: f32) -> float32x4_t {
            vfmaq_n_f32(sum, w, x)
        }
        fn mul_f32(a: float32x4_t, b: float32x4_t) -> float32x4_t { vmulq_f32(a, b) }
        fn add_f32(a: float32x4_t, b: float32x4_t) -> float32x4_t { vaddq_f32(a, b) }
        fn max_f32(a: float32x4_t, b: float32x4_t) -> float32x4_t {
            vbslq_f32(vcgtq_f32(a, b), a, b)
        }
        fn min_f32(a: float32x4_t, b: float32x4_t) -> float32x4_t {
            vbslq_f32(vcltq_f32(a, b), a, b)
        }
        fn from_i32(values: uint8x16_t) -> float32x4_t {
            vcvtq_f32_s32(vreinterpretq_s32_u8(values))
        }
        fn from_i8(from: *const i8) -> float32x4_t {
            let bytes = vcreate_s8(u64::from(from.cast::<u32>().read_unaligned()));
            vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(bytes))))
        }
        fn from_i16(from: *const i16) -> float32x4_t { vcvtq_f32_s32(vmovl_s16(vld1_s16(from))) }
        fn round(values: float32x4_t) -> uint8x16_t {
            vreinterpretq_u8_s32(vcvtnq_s32_f32(values))
        }
        fn load(from: *const u8) -> uint8x16_t { vld1q_u8(from) }
        fn store(to: *mut u8, bytes: uint8x16_t) { vst1q_u8(to, bytes) }
        fn splat(from: *const u8) -> uint8x16_t {
            vreinterpretq_u8_u32(vdupq_n_u32(from.cast::<u32>().read_unaligned()))
        }
        fn look_up(table: uint8x16_t, index: uint8x16_t) -> uint8x16_t { vqtbl1q_u8(table, index) }
        fn and(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t { vandq_u8(a, b) }
        fn xor(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t { veorq_u8(a, b) }
        fn add_8(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t { vaddq_u8(a, b) }
        fn sub_8(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t { vsubq_u8(a, b) }
        fn add_16(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
            vreinterpretq_u8_u16(vaddq_u16(vreinterpretq_u16_u8(a), vreinterpretq_u16_u8(b)))
        }
        fn mul_16(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
            vreinterpretq_u8_u16(vmulq_u16(vreinterpretq_u16_u8(a), vreinterpretq_u16_u8(b)))
        }
        fn shift_16<const BITS: i32>(a: uint8x16_t) -> uint8x16_t {
            vreinterpretq_u8_u16(vshrq_n_u16::<BITS>(vreinterpretq_u16_u8(a)))
        }
        fn narrow_32(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
            vreinterpretq_u8_u16(vuzp1q_u16(vreinterpretq_u16_u8(a), vreinterpretq_u16_u8(b)))
        }
        fn narrow_16(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t { vuzp1q_u8(a, b) }
    }
}

/// i8 activations and trits: a sum is 16 lanes, four k of each output.
pub(crate) enum Narrow {}

impl Integers<Neon> for Narrow {
    type Sum = [int16x8_t; 2];
    type Panel = Bytes;
    const NARROW: usize = 127;

    operations! {
        fn zero() -> [int16x8_t; 2] { [vdupq_n_s16(0); 2] }
        fn add(sum: [int16x8_t; 2], w: uint8x16_t, x: uint8x16_t) -> [int16x8_t; 2] {
            let (w, x) = (vreinterpretq_s8_u8(w), vreinterpretq_s8_u8(x));
            [
                vmlal_s8(sum[0], vget_low_s8(w), vget_low_s8(x)),
                vmlal_high_s8(sum[1], w, x),
            ]
        }
        fn widen(sum: [int16x8_t; 2]) -> uint8x16_t {
            vreinterpretq_u8_s32(vpaddq_s32(vpaddlq_s16(sum[0]), vpaddlq_s16(sum[1])))
        }
    }
}

/// i16 activations and weights.
pub(crate) enum Wide {}

impl Integers<Neon> for Wide {
    type Sum = int32x4_t;
    type Panel = Words;
    const NARROW: usize = usize::MAX;

    operations! {
        fn zero() -> int32x4_t { vdupq_n_s32(0) }
        fn add(sum: int32x4_t, w: uint8x16_t, x: uint8x16_t) -> int32x4_t {
            let (w, x) = (vreinterpretq_s16_u8(w), vreinterpretq_s16_u8(x));
            let sum = vmlal_lane_s16::<0>(sum, vget_low_s16(w), vget_low_s16(x));
            vmlal_high_lane_s16::<1>(sum, w, vget_low_s16(x))
        }
        fn widen(sum: int32x4_t) -> uint8x16_t { vreinterpretq_u8_s32(sum) }
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

// Rows: sums take 20 to 24 of 32 registers; six rows of i16 did not stay there.
tile!("neon", Neon, F32: f32 => f32, 6, Floats, add_floats::<Neon, 6>, {
    fn in_place(codec: Codec) -> bool {
        codec == Codec::F32
    }
});
tile!("neon", Neon, I16: i16 => i16, 5, Words, add_integers::<Neon, Wide, 5, false>, {});
tile!("neon", Neon, I8: i8 => i8, 3, Bytes, add_integers::<Neon, Narrow, 3, false>, {});
tile!("neon", Neon, WideI8: i8 => i16, 5, Words, add_integers::<Neon, Wide, 5, false>, {});
look_up!("neon", N12, Neon, 8, 6);

/// i8 activations and weights of at most 6: products of 768, of which a lane holds 42.
pub(crate) enum SmallI8 {}

tile!("neon", Neon, SmallI8: i8 => i8, 3, Bytes, add_integers::<Neon, Room<Narrow, 42>, 3, false>, {});
line_pairs!("neon", Neon, BytePairs, SmallI8, Bytes, SIGNED);
by_tile!("neon", FloatPairs, F32, f32, decode::<Neon, Floats>);
by_tile!("neon", WordPairs, I16, i16, decode::<Neon, Words>);

/// The tiles that need no more than this.
pub(crate) enum Baseline {}

impl Tiles for Baseline {
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

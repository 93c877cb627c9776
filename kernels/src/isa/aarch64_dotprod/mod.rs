//! AArch64 with dot products: `sdot` adds four products of bytes to each of four
//! i32, which is as fast as looking 16 sums up. Everything but bytes is NEON's.

use super::aarch64_neon::{F32, FloatPairs, I16, Neon, WordPairs};
use super::product::Tiles;
use super::v128::pairs::{SIGNED, line_pairs};
use super::v128::panel::Bytes;
use super::v128::tile::{add_integers, tile};
use super::v128::{Integers, operations};
use core::arch::aarch64::*;
use core::arch::asm;

/// i8 activations and weights.
pub(crate) enum Dot {}

impl Integers<Neon> for Dot {
    type Sum = int32x4_t;
    type Panel = Bytes;
    const NARROW: usize = usize::MAX;

    operations! {
        fn zero() -> int32x4_t { vdupq_n_s32(0) }
        fn add(sum: int32x4_t, w: uint8x16_t, x: uint8x16_t) -> int32x4_t { sdot(sum, w, x) }
        fn widen(sum: int32x4_t) -> uint8x16_t { vreinterpretq_u8_s32(sum) }
    }
}

/// `vdotq_s32`, which is not stable yet.
///
/// # Safety
///
/// The CPU has dot products.
#[inline(always)]
unsafe fn sdot(sum: int32x4_t, a: uint8x16_t, b: uint8x16_t) -> int32x4_t {
    let mut out = sum;
    // SAFETY: the caller's promise; the instruction changes one register.
    unsafe {
        asm!(
            "sdot {sum:v}.4s, {a:v}.16b, {b:v}.16b",
            sum = inout(vreg) out,
            a = in(vreg) a,
            b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    out
}

/// i8 activations and all integer weights.
pub(crate) enum I8 {}

tile!("neon,dotprod", Neon, I8: i8 => i8, 6, Bytes, add_integers::<Neon, Dot, 6, false>, {});

line_pairs!("neon,dotprod", Neon, BytePairs, I8, Bytes, SIGNED);

/// The tiles that need no more than this.
pub(crate) enum DotProducts {}

impl Tiles for DotProducts {
    type Floats = F32;
    type Words = I16;
    type Bytes = I8;
    type NonNegative = I8;
    type DenseBytes = I8;
    type LookUp = I8;
    type FloatPairs = FloatPairs;
    type WordPairs = WordPairs;
    type BytePairs = BytePairs;
    type ByteRows = crate::product::matvec::Nothing<i8>;
}

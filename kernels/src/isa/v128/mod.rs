//! Products in registers of 128 bits: what NEON, WebAssembly's simd128 and SSE4.1
//! have in common. An instruction set is a [`Registers`] and, for each pair of
//! activations and weights, an [`Integers`]; [`tile!`] makes the tiles of them
//! and [`Tiles`](super::product::Tiles) says which one computes what.
//!
//! ```text
//! for each row of at most R, each register q of 4 outputs:
//!     for each step of k:                     // 16 bytes of weights, 4 bytes of x
//!         sum[row][q] += panel[step][q] * x[row][step] in every output
//!         every NARROW steps: add sum to the i32 sums in memory
//! ```
//!
//! Everything is inlined into functions that have the instruction set's features.

use crate::layout::BLOCK;

pub(crate) mod codes;
pub(crate) mod lookup;
pub(crate) mod pairs;
pub(crate) mod panel;
pub(crate) mod tile;

/// Registers of 16 outputs that hold four.
pub(crate) const QUARTERS: usize = BLOCK / 4;

/// The instructions that tiles are made of.
///
/// Safety of all of them: the CPU has the instruction set, and what a pointer
/// points to is as long as its comment says.
pub(crate) trait Registers {
    /// Four f32.
    type F: Copy;
    /// 16 bytes.
    type I: Copy;

    /// Reads four floats.
    unsafe fn load_f32(from: *const f32) -> Self::F;
    /// Writes four floats.
    unsafe fn store_f32(to: *mut f32, values: Self::F);
    /// A float, four times.
    unsafe fn splat_f32(value: f32) -> Self::F;
    /// `sum + w * x`, fused or not.
    unsafe fn multiply_add(sum: Self::F, w: Self::F, x: f32) -> Self::F;
    /// `a * b`.
    unsafe fn mul_f32(a: Self::F, b: Self::F) -> Self::F;
    /// `a + b`.
    unsafe fn add_f32(a: Self::F, b: Self::F) -> Self::F;
    /// `a` where `a > b`, else `b`, also for NaN.
    unsafe fn max_f32(a: Self::F, b: Self::F) -> Self::F;
    /// `a` where `a < b`, else `b`, also for NaN.
    unsafe fn min_f32(a: Self::F, b: Self::F) -> Self::F;
    /// Four i32 as floats.
    unsafe fn from_i32(values: Self::I) -> Self::F;
    /// Four bytes as floats.
    unsafe fn from_i8(from: *const i8) -> Self::F;
    /// Four 16-bit integers as floats.
    unsafe fn from_i16(from: *const i16) -> Self::F;
    /// Four i32, rounded half to even, from floats that fit.
    unsafe fn round(values: Self::F) -> Self::I;

    /// Reads 16 bytes.
    unsafe fn load(from: *const u8) -> Self::I;
    /// Writes 16 bytes.
    unsafe fn store(to: *mut u8, bytes: Self::I);
    /// Four bytes, four times.
    unsafe fn splat(from: *const u8) -> Self::I;
    /// `table[index]` for every byte of an index below 16, 0 from 128 on.
    unsafe fn look_up(table: Self::I, index: Self::I) -> Self::I;
    /// `a & b`.
    unsafe fn and(a: Self::I, b: Self::I) -> Self::I;
    /// `a ^ b`.
    unsafe fn xor(a: Self::I, b: Self::I) -> Self::I;
    /// `a + b` in every byte.
    unsafe fn add_8(a: Self::I, b: Self::I) -> Self::I;
    /// `a - b` in every byte.
    unsafe fn sub_8(a: Self::I, b: Self::I) -> Self::I;
    /// `a + b` in every 16 bits.
    unsafe fn add_16(a: Self::I, b: Self::I) -> Self::I;
    /// `a * b` in every 16 bits.
    unsafe fn mul_16(a: Self::I, b: Self::I) -> Self::I;
    /// `a >> BITS` in every 16 bits, unsigned.
    unsafe fn shift_16<const BITS: i32>(a: Self::I) -> Self::I;
    /// Eight 16-bit integers of twice four 32-bit ones that fit.
    unsafe fn narrow_32(a: Self::I, b: Self::I) -> Self::I;
    /// 16 bytes of twice eight 16-bit integers that fit.
    unsafe fn narrow_16(a: Self::I, b: Self::I) -> Self::I;
}

/// Functions of a [`Registers`] or [`Integers`], each one an expression.
macro_rules! operations {
    ($(
        fn $name:ident $(<const $bits:ident: i32>)? ($($a:tt: $t:ty),*) $(-> $r:ty)? $e:block
    )*) => { $(
        #[inline(always)]
        #[allow(unused_unsafe, reason = "where the instructions are always there")]
        unsafe fn $name $(<const $bits: i32>)? ($($a: $t),*) $(-> $r)? {
            // SAFETY: the caller's promise.
            unsafe { $e }
        }
    )* };
}
pub(crate) use operations;

/// The register with the same four bytes four times.
///
/// # Safety
///
/// As for [`Registers`].
#[inline(always)]
unsafe fn fours<V: Registers>(bytes: [u8; 4]) -> V::I {
    // SAFETY: four bytes.
    unsafe { V::splat(bytes.as_ptr()) }
}

/// How integers of one kind are multiplied: a step is [`Form::STEP`] k of 16
/// outputs in 64 bytes.
///
/// [`Form::STEP`]: panel::Form::STEP
pub(crate) trait Integers<V: Registers> {
    /// Sums of four outputs.
    type Sum: Copy;
    /// The panel that it multiplies with.
    type Panel: panel::Form;
    /// Steps that a sum has room for.
    const NARROW: usize;

    /// No products. Safety as for [`Registers`], here and below.
    unsafe fn zero() -> Self::Sum;
    /// Adds the products of a step: a quarter of the panel's 64 bytes, and the
    /// row's four bytes, four times.
    unsafe fn add(sum: Self::Sum, w: V::I, x: V::I) -> Self::Sum;
    /// The sums of the four outputs as i32.
    unsafe fn widen(sum: Self::Sum) -> V::I;
}

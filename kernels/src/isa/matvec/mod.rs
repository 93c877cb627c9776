//! Products of few rows, which read every weight once: packed weights are
//! multiplied as they come from memory, without panels. The algorithms are here,
//! written once for registers of 16, 32 and 64 bytes; an instruction set is a
//! [`Lanes`] and, for integers, a [`Multiply`]; [`vector!`] makes of them what
//! [`product::matvec`](crate::product::matvec) runs.
//!
//! ```text
//! for each ROWS rows, each BLOCKS blocks of 16 outputs:    // sums stay in registers
//!     for each panel of k:
//!         for each block: read a panel of weights, add their products with each row
//! ```
//!
//! Blocks lie far from each other, so that memory sees as many streams as there
//! are blocks side by side; it serves several better than one.
//!
//! Everything is inlined into functions that have the instruction set's features.

use crate::Codec;
use crate::layout::BLOCK;
use crate::product::matvec::{STRIDE, Strip};
use core::ops::IndexMut;

mod integers;

pub(crate) use integers::{HEAD, Integers, Multiply};

/// Registers and what they do, apart from multiplying integers. 64 bytes, four of
/// each of 16 outputs, are [`PARTS`](Self::PARTS) registers.
///
/// Safety of all functions: the CPU has the instruction set, and what a pointer
/// points to is as long as the comment says.
pub(crate) trait Lanes {
    /// Bytes, or integers.
    type I: Copy;
    /// Something of every register of 64 bytes.
    type Parts<T: Copy>: Copy + IndexMut<usize, Output = T>;
    /// How many registers 64 bytes are.
    const PARTS: usize;
    /// Registers that sums may take.
    const SUMS: usize;

    /// The same for every register.
    fn parts<T: Copy>(value: T) -> Self::Parts<T>;
    /// Asks for the line at an address, which may lie anywhere: a hint, which
    /// does not fault.
    #[inline(always)]
    unsafe fn fetch(_at: *const u8) {}

    /// Reads a register.
    unsafe fn load(from: *const u8) -> Self::I;
    /// Writes a register.
    unsafe fn store(to: *mut u8, bytes: Self::I);
    /// Four bytes, again and again.
    unsafe fn splat(from: *const u8) -> Self::I;
    /// 16 bytes, again and again.
    unsafe fn table(from: *const u8) -> Self::I;
    /// `table[index]` for every byte of an index below 16, of the 16 bytes in
    /// which it is; 0 from 128 on.
    unsafe fn look_up(table: Self::I, index: Self::I) -> Self::I;
    /// `a & b`.
    unsafe fn and(a: Self::I, b: Self::I) -> Self::I;
    /// `a | b`.
    unsafe fn or(a: Self::I, b: Self::I) -> Self::I;
    /// `a + b` in every byte.
    unsafe fn add_8(a: Self::I, b: Self::I) -> Self::I;
    /// `a - b` in every byte.
    unsafe fn sub_8(a: Self::I, b: Self::I) -> Self::I;
    /// `a + b` in every 32 bits.
    unsafe fn add_32(a: Self::I, b: Self::I) -> Self::I;
    /// `a >> BITS` in every 16 bits, unsigned.
    unsafe fn right_16<const BITS: i32>(a: Self::I) -> Self::I;
    /// `a << BITS` in every 16 bits.
    unsafe fn left_16<const BITS: i32>(a: Self::I) -> Self::I;
    /// `a / 9` in every byte, unsigned.
    unsafe fn ninth_8(a: Self::I) -> Self::I;
}

/// The same four bytes, again and again.
///
/// # Safety
///
/// As for [`Lanes`].
#[inline(always)]
unsafe fn fours<V: Lanes>(bytes: [u8; 4]) -> V::I {
    // SAFETY: four bytes.
    unsafe { V::splat(bytes.as_ptr()) }
}

/// What [`vector!`] makes a [`Vector`](crate::product::matvec::Vector) of: the
/// same, to be inlined. Safety of all functions as there.
pub(crate) trait Kernel {
    /// Elements of the input.
    type X: Copy + Sync;

    /// As [`Vector::prepared`](crate::product::matvec::Vector::prepared).
    fn prepared(codec: Codec, k: usize) -> Option<usize>;
    /// As [`Vector::takes`](crate::product::matvec::Vector::takes).
    fn takes(codec: Codec, qmax: i32) -> bool;
    /// As [`Vector::prepare`](crate::product::matvec::Vector::prepare).
    unsafe fn prepare(codec: Codec, x: &[Self::X], to: &mut [u8]);
    /// As [`Vector::add`](crate::product::matvec::Vector::add).
    unsafe fn add(strip: &Strip<'_>, sums: &mut [f32]);
}

/// Makes a vector: `vector!(FEATURES, NAME, KERNEL, FINISH)`. `FINISH` is a method
/// of [`Finish`](crate::epilogue::Finish).
macro_rules! vector {
    ($features:literal, $name:ident, $kernel:ty, $($finish:tt)*) => {
        impl $crate::product::matvec::Vector for $name {
            type X = <$kernel as $crate::isa::matvec::Kernel>::X;

            fn prepared(codec: $crate::Codec, k: usize) -> Option<usize> {
                <$kernel as $crate::isa::matvec::Kernel>::prepared(codec, k)
            }

            fn takes(codec: $crate::Codec, qmax: i32) -> bool {
                <$kernel as $crate::isa::matvec::Kernel>::takes(codec, qmax)
            }

            #[target_feature(enable = $features)]
            unsafe fn prepare(codec: $crate::Codec, x: &[Self::X], to: &mut [u8]) {
                // SAFETY: the caller's promises are the same.
                unsafe { <$kernel as $crate::isa::matvec::Kernel>::prepare(codec, x, to) };
            }

            #[target_feature(enable = $features)]
            unsafe fn add(strip: &$crate::product::matvec::Strip<'_>, sums: &mut [f32]) {
                // SAFETY: the caller's promises are the same.
                unsafe { <$kernel as $crate::isa::matvec::Kernel>::add(strip, sums) };
            }

            #[target_feature(enable = $features)]
            unsafe fn finish(
                finish: &$crate::epilogue::Finish<'_>,
                rows: core::ops::Range<usize>,
                outputs: core::ops::Range<usize>,
                sums: &mut [f32],
            ) {
                let (sums, stride) = (sums.as_mut_ptr(), $crate::product::matvec::STRIDE);
                // SAFETY: the caller's promises; rows of sums are STRIDE apart.
                unsafe { finish.$($finish)*(rows, outputs, sums, stride) };
            }
        }
    };
}
pub(crate) use vector;

/// Where weights are fetched that are to be read some time after those at `at` of a
/// block of so many bytes, of `blocks` side by side.
#[inline(always)]
pub(crate) fn ahead(block_len: usize, at: usize, blocks: usize) -> usize {
    const AHEAD: usize = 2048;
    // At a block's end, go on with the block that comes next in the same stream.
    if at + AHEAD < block_len {
        at + AHEAD
    } else {
        at + AHEAD + (blocks - 1) * block_len
    }
}

/// Some rows of some blocks, the sums of which fit the registers.
pub(crate) trait Tile<V: Lanes> {
    /// Stores the sums of `R` rows from `row` on and `B` blocks from `block` on,
    /// the first of which is `sums[0]`.
    ///
    /// # Safety
    ///
    /// As for [`Lanes`]; the strip has these rows and blocks, and what was
    /// prepared for its codec. `sums` has room for them.
    unsafe fn add<const R: usize, const B: usize>(
        strip: &Strip<'_>,
        row: usize,
        block: usize,
        sums: *mut f32,
    );
}

/// All rows and blocks of a strip.
///
/// # Safety
///
/// As for [`Tile::add`].
#[inline(always)]
pub(crate) unsafe fn all<V: Lanes, T: Tile<V>>(strip: &Strip<'_>, sums: &mut [f32]) {
    let mut row = 0;
    while row < strip.rows {
        let left = strip.rows - row;
        // SAFETY: the caller's promise.
        unsafe {
            row += if left >= 4 && V::SUMS >= 4 * V::PARTS {
                row_of_tiles::<V, T, 4>(strip, row, sums);
                4
            } else if left >= 2 {
                row_of_tiles::<V, T, 2>(strip, row, sums);
                2
            } else {
                row_of_tiles::<V, T, 1>(strip, row, sums);
                1
            };
        }
    }
}

/// `R` rows and all blocks of a strip.
///
/// # Safety
///
/// As for [`Tile::add`].
#[inline(always)]
unsafe fn row_of_tiles<V: Lanes, T: Tile<V>, const R: usize>(
    strip: &Strip<'_>,
    row: usize,
    sums: &mut [f32],
) {
    let most = V::SUMS / (R * V::PARTS);
    let mut block = 0;
    while block < strip.blocks {
        let left = strip.blocks - block;
        let sums = sums[row * STRIDE + block * BLOCK..].as_mut_ptr();
        // SAFETY: the caller's promise; sums has rows of STRIDE.
        unsafe {
            block += if left >= 4 && most >= 4 {
                T::add::<R, 4>(strip, row, block, sums);
                4
            } else if left >= 2 && most >= 2 {
                T::add::<R, 2>(strip, row, block, sums);
                2
            } else {
                T::add::<R, 1>(strip, row, block, sums);
                1
            };
        }
    }
}

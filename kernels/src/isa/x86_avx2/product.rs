//! gemm and conv2d on AVX2 and what builds on it: which tile computes what.

use super::lookup::{MIN_K, N12};
use super::matvec as vector;
use super::tile::{F32, I8, I16, WideI8};
use crate::product::tiled::{self, Tile};
use crate::product::{Problem, Rows, Size, matvec};
use crate::{Codec, Ctx, DType, View};

/// The tiles of an instruction set that has at least AVX2.
pub(crate) trait Tiles {
    /// f32 activations.
    type F32: Tile<X = f32>;
    /// i16 activations.
    type I16: Tile<X = i16>;
    /// i8 activations and ternary weights.
    type I8: Tile<X = i8>;
    /// i8 activations and i8 weights.
    type WideI8: Tile<X = i8>;
    /// i7 activations and n12 weights.
    type N12: Tile<X = i8>;
}

/// AVX2 alone.
pub(crate) enum Avx2 {}

impl Tiles for Avx2 {
    type F32 = F32;
    type I16 = I16;
    type I8 = I8;
    type WideI8 = WideI8;
    type N12 = N12;
}

/// Whether sums are looked up where activations allow it: they must pay for
/// their tables, and pairs must not lie across a step.
fn looks_up<T: Tiles>(size: &Size) -> bool {
    size.codec == Codec::N12
        && size.x == DType::I8
        && size.matrix.taps * size.matrix.channels >= MIN_K
        && size.matrix.channels.is_multiple_of(T::N12::STEP)
}

/// Scratch bytes for this many threads; `usize::MAX` where that overflows.
pub(crate) fn scratch<T: Tiles, R: Rows>(size: &Size, rows: &R, threads: usize) -> usize {
    let multiplied = match (size.x, size.codec) {
        (DType::I8, Codec::I8) => tiled::scratch::<T::WideI8, R>(size, rows, threads),
        (DType::I8, _) => tiled::scratch::<T::I8, R>(size, rows, threads),
        (DType::I16, _) => tiled::scratch::<T::I16, R>(size, rows, threads),
        _ => tiled::scratch::<T::F32, R>(size, rows, threads),
    };
    let looked_up = if looks_up::<T>(size) {
        tiled::scratch::<T::N12, R>(size, rows, threads)
    } else {
        0
    };
    let alone = match (size.x, size.codec) {
        (DType::I8, Codec::T2) if matvec::fits(size) => matvec::scratch::<vector::Codes<4>>(size),
        (DType::I8, Codec::T5) if matvec::fits(size) => matvec::scratch::<vector::Codes<5>>(size),
        (DType::I8, Codec::N12) if matvec::fits(size) => matvec::scratch::<vector::N12>(size),
        _ => 0,
    };
    multiplied.max(looked_up).max(alone)
}

/// Computes the product.
///
/// # Safety
///
/// The CPU has [`Caps::AVX2`](crate::Caps::AVX2) and what `T` needs.
pub(crate) unsafe fn run<T: Tiles, R: Rows>(ctx: &mut Ctx<'_>, problem: &Problem<'_, R>) {
    let size = &problem.size;
    // SAFETY: the caller's promise.
    unsafe {
        match problem.x {
            View::F32(x) => tiled::run::<T::F32, R>(ctx, problem, x),
            View::I16(x) => tiled::run::<T::I16, R>(ctx, problem, x),
            View::I8(x) if size.codec == Codec::T2 && matvec::fits(size) => {
                matvec::run::<vector::Codes<4>, R>(ctx, problem, x);
            }
            View::I8(x) if size.codec == Codec::T5 && matvec::fits(size) => {
                matvec::run::<vector::Codes<5>, R>(ctx, problem, x);
            }
            View::I8(x)
                if size.codec == Codec::N12
                    && matvec::fits(size)
                    && (1..=127).contains(&problem.x_qmax) =>
            {
                matvec::run::<vector::N12, R>(ctx, problem, x);
            }
            View::I8(x) if size.codec == Codec::I8 => tiled::run::<T::WideI8, R>(ctx, problem, x),
            View::I8(x) if (1..=63).contains(&problem.x_qmax) && looks_up::<T>(size) => {
                tiled::run::<T::N12, R>(ctx, problem, x);
            }
            View::I8(x) => tiled::run::<T::I8, R>(ctx, problem, x),
            _ => {}
        }
    }
}

//! gemm and conv2d on AVX2 and what builds on it: single rows of i8 activations
//! have a way of their own, the rest is that of the tiles.

use super::lookup::N12;
use super::matvec as vector;
use super::tile::{F32, I8, I16, WideI8};
use crate::isa::product::{self, Tiles};
use crate::product::{Problem, Rows, Size, matvec};
use crate::{Codec, Ctx, DType, View};

/// AVX2 alone.
pub(crate) enum Avx2 {}

impl Tiles for Avx2 {
    type Floats = F32;
    type Words = I16;
    type Bytes = I8;
    type DenseBytes = WideI8;
    type LookUp = N12;
}

/// Scratch bytes for this many threads; `usize::MAX` where that overflows.
pub(crate) fn scratch<T: Tiles, R: Rows>(size: &Size, rows: &R, threads: usize) -> usize {
    let alone = match (size.x, size.codec) {
        (DType::I8, Codec::T2) if matvec::fits(size) => matvec::scratch::<vector::Codes<4>>(size),
        (DType::I8, Codec::T5) if matvec::fits(size) => matvec::scratch::<vector::Codes<5>>(size),
        (DType::I8, Codec::N12) if matvec::fits(size) => matvec::scratch::<vector::N12>(size),
        _ => 0,
    };
    product::scratch::<T, R>(size, rows, threads).max(alone)
}

/// Computes the product.
///
/// # Safety
///
/// The CPU has [`Caps::AVX2`](crate::Caps::AVX2) and what `T` needs.
pub(crate) unsafe fn run<T: Tiles, R: Rows>(ctx: &mut Ctx<'_>, problem: &Problem<'_, R>) {
    let size = &problem.size;
    let symmetric = (1..=127).contains(&problem.x_qmax);
    // SAFETY: the caller's promise.
    unsafe {
        match (problem.x, size.codec) {
            (View::I8(x), Codec::T2) if matvec::fits(size) => {
                matvec::run::<vector::Codes<4>, R>(ctx, problem, x);
            }
            (View::I8(x), Codec::T5) if matvec::fits(size) => {
                matvec::run::<vector::Codes<5>, R>(ctx, problem, x);
            }
            (View::I8(x), Codec::N12) if matvec::fits(size) && symmetric => {
                matvec::run::<vector::N12, R>(ctx, problem, x);
            }
            _ => product::run::<T, R>(ctx, problem),
        }
    }
}

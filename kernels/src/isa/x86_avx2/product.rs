//! gemm and conv2d on AVX2: which tile computes what.

use super::lookup::{MIN_K, N12};
use super::matvec as vector;
use super::tile::{F32, I8, I16, WideI8};
use crate::product::{Problem, Rows, Size, matvec, tiled};
use crate::{Codec, Ctx, DType, View};

/// Whether sums are looked up where activations allow it: they must pay for
/// their tables, and pairs must not lie across a step.
fn looks_up(size: &Size) -> bool {
    size.codec == Codec::N12
        && size.x == DType::I8
        && size.matrix.taps * size.matrix.channels >= MIN_K
        && size
            .matrix
            .channels
            .is_multiple_of(<N12 as tiled::Tile>::STEP)
}

/// Scratch bytes for this many threads; `usize::MAX` where that overflows.
pub(crate) fn scratch<R: Rows>(size: &Size, rows: &R, threads: usize) -> usize {
    let multiplied = match (size.x, size.codec) {
        (DType::I8, Codec::I8) => tiled::scratch::<WideI8, R>(size, rows, threads),
        (DType::I8, _) => tiled::scratch::<I8, R>(size, rows, threads),
        (DType::I16, _) => tiled::scratch::<I16, R>(size, rows, threads),
        _ => tiled::scratch::<F32, R>(size, rows, threads),
    };
    let looked_up = if looks_up(size) {
        tiled::scratch::<N12, R>(size, rows, threads)
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
/// The CPU has [`Caps::AVX2`](crate::Caps::AVX2).
pub(crate) unsafe fn run<R: Rows>(ctx: &mut Ctx<'_>, problem: &Problem<'_, R>) {
    let size = &problem.size;
    // SAFETY: the caller's promise.
    unsafe {
        match problem.x {
            View::F32(x) => tiled::run::<F32, R>(ctx, problem, x),
            View::I16(x) => tiled::run::<I16, R>(ctx, problem, x),
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
            View::I8(x) if size.codec == Codec::I8 => tiled::run::<WideI8, R>(ctx, problem, x),
            View::I8(x) if (1..=63).contains(&problem.x_qmax) && looks_up(size) => {
                tiled::run::<N12, R>(ctx, problem, x);
            }
            View::I8(x) => tiled::run::<I8, R>(ctx, problem, x),
            _ => {}
        }
    }
}

//! gemm and conv2d with the tiles of an instruction set, or with what it has for
//! few rows: which one computes what.

use crate::product::matvec::{self, Needs, Vector};
use crate::product::tiled::{self, Tile};
use crate::product::winograd::{self, Pairs, X};
use crate::product::{Problem, Rows, Size};
use crate::{Codec, Ctx, DType, Invalid, View};

/// Fewer k than this are not worth tables.
const MIN_K: usize = 64;

/// What an instruction set computes products with.
pub(crate) trait Tiles {
    /// f32 activations.
    type Floats: Tile<X = f32>;
    /// i16 activations.
    type Words: Tile<X = i16>;
    /// i8 activations and ternary weights.
    type Bytes: Tile<X = i8>;
    /// The same where activations are not negative; [`Bytes`](Self::Bytes) if that is no
    /// faster.
    type NonNegative: Tile<X = i8>;
    /// i8 activations and i8 weights.
    type DenseBytes: Tile<X = i8>;
    /// i7 activations and n12 weights; [`Bytes`](Self::Bytes) where multiplying
    /// is as fast as looking up.
    type LookUp: Tile<X = i8>;
    /// 3x3 convolutions with ternary weights: of f32 activations, and of i16 and i8 that
    /// are not negative.
    type FloatPairs: Pairs<Tile = Self::Floats>;
    type WordPairs: Pairs<Tile = Self::Words>;
    type BytePairs: Pairs<Tile: Tile<X = i8>>;
    /// Few rows of i8 activations.
    type ByteRows: Vector<X = i8>;
}

/// Whether sums are looked up where activations allow it: they must pay for
/// their tables, and pairs must not lie across a step.
fn looks_up<T: Tiles>(size: &Size) -> bool {
    T::LookUp::TABLES
        && size.codec == Codec::N12
        && size.x == DType::I8
        && size.matrix.taps * size.matrix.channels >= MIN_K
        && size.matrix.channels.is_multiple_of(T::LookUp::STEP)
}

/// Scratch bytes for this many threads; `usize::MAX` where that overflows.
pub(crate) fn scratch<T: Tiles, R: Rows>(size: &Size, rows: &R, threads: usize) -> usize {
    let few_rows = match size.x {
        DType::I8 => matvec::needs::<T::ByteRows>(size),
        _ => Needs::Nothing,
    };
    let few_rows = match few_rows {
        Needs::Scratch(len) => return len,
        Needs::Perhaps(len) => len,
        Needs::Nothing => 0,
    };
    let multiplied = match (size.x, size.codec) {
        (DType::I8, Codec::I8) => tiled::scratch::<T::DenseBytes, R>(size, rows, threads),
        (DType::I8, _) => {
            let bytes = tiled::scratch::<T::Bytes, R>(size, rows, threads);
            bytes.max(tiled::scratch::<T::NonNegative, R>(size, rows, threads))
        }
        (DType::I16, _) => tiled::scratch::<T::Words, R>(size, rows, threads),
        _ => tiled::scratch::<T::Floats, R>(size, rows, threads),
    };
    let looked_up = if looks_up::<T>(size) {
        tiled::scratch::<T::LookUp, R>(size, rows, threads)
    } else {
        0
    };
    let in_pairs = match size.x {
        DType::I8 => winograd::scratch::<T::BytePairs, R>(size, rows, threads),
        DType::I16 => winograd::scratch::<T::WordPairs, R>(size, rows, threads),
        _ => winograd::scratch::<T::FloatPairs, R>(size, rows, threads),
    };
    multiplied.max(looked_up).max(few_rows).max(in_pairs)
}

/// Computes the product; `Invalid` where scratch is too short or not aligned.
///
/// # Safety
///
/// The CPU has what the tiles need.
pub(crate) unsafe fn run<T: Tiles, R: Rows>(
    ctx: &mut Ctx<'_>,
    problem: &Problem<'_, R>,
) -> Result<(), Invalid> {
    let size = &problem.size;
    let is_i7 = (1..=63).contains(&problem.x_qmax);
    // SAFETY: the caller's promise.
    unsafe {
        match problem.x {
            View::F32(x) => multiply::<T::FloatPairs, T::Floats, R>(ctx, problem, x),
            View::I16(x) => multiply::<T::WordPairs, T::Words, R>(ctx, problem, x),
            View::I8(x) => {
                if matvec::run::<T::ByteRows, R>(ctx, problem, x)? {
                    Ok(())
                } else if size.codec == Codec::I8 {
                    tiled::run::<T::DenseBytes, R>(ctx, problem, x)
                } else if is_i7 && looks_up::<T>(size) {
                    tiled::run::<T::LookUp, R>(ctx, problem, x)
                } else if problem.x_non_negative {
                    multiply::<T::BytePairs, T::NonNegative, R>(ctx, problem, x)
                } else {
                    multiply::<T::BytePairs, T::Bytes, R>(ctx, problem, x)
                }
            }
            _ => Err(Invalid),
        }
    }
}

/// Multiplies, two lines of a convolution at a time where that is the way.
///
/// # Safety
///
/// The CPU has what both need.
unsafe fn multiply<P: Pairs, A: Tile<X = X<P>>, R: Rows>(
    ctx: &mut Ctx<'_>,
    problem: &Problem<'_, R>,
    x: &[X<P>],
) -> Result<(), Invalid> {
    // SAFETY: the caller's promise.
    unsafe {
        if winograd::run::<P, R>(ctx, problem, x)? {
            Ok(())
        } else {
            tiled::run::<A, R>(ctx, problem, x)
        }
    }
}

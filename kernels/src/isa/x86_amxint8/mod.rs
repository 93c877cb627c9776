//! AMX: products of bytes by tiles of 16 rows x 64 bytes, for gemm and conv2d
//! with i8 activations and integer weights. Everything else is AVX-512 VBMI's.
//!
//! ```text
//! C[16 rows][16 outputs] i32 += A[16 rows][64] i8 * B[16][16 outputs][4] i8    tdpbssd
//! ```
//!
//! A tile of A is 16 pieces of memory of 64 bytes with the same distance between
//! one and the next. So the input is brought into a form in which consecutive
//! output rows read at the same distance ([`stage`]); B is decoded from the
//! packed weights ([`panel`]); k beyond the weights' is a weight of zero, and what
//! a tile reads there does not matter.
//!
//! ```text
//! for each strip of output lines:                  // what fits the second-level cache
//!     stage its input
//!     for each four blocks of outputs:
//!         decode their panels
//!         for each 32 output rows:                 // two tiles of A
//!             for each two of the blocks:          // two tiles of B, four of C
//!                 for each 64 k: load, multiply    // and finish rows of the sums before
//!             store the sums
//! ```
//!
//! The multiplier has a pipe of its own, which a product of 32 rows by 32 outputs
//! by 64 k keeps busy for 64 cycles with few instructions. Meanwhile the epilogue
//! of the 32 rows before runs on the vector pipes ([`tile`]).
//!
//! i32 sums wrap, which [`max_k`](crate::max_k) excludes for valid weights.

use super::product;
use super::x86_avx512vbmi::Avx512Vbmi;
use crate::product::{Problem, Rows, Size};
use crate::{Codec, Ctx, DType, Invalid, View};
use plan::Plan;

mod decoded;
mod panel;
mod plan;
mod rest;
mod stage;
mod stream;
mod tile;

/// Whether tiles serve a product: with fewer rows most of a tile is empty.
fn fits(size: &Size) -> bool {
    const MIN_ROWS: usize = 8;
    size.x == DType::I8
        && size.rows >= MIN_ROWS
        && (size.codec.is_ternary() || size.codec == Codec::I8)
}

/// Scratch bytes for this many threads; `usize::MAX` where that overflows.
pub(crate) fn scratch<R: Rows>(size: &Size, rows: &R, threads: usize) -> usize {
    let tiles = fits(size)
        .then(|| Plan::new(size, rows, threads))
        .flatten()
        .and_then(|plan| plan.scratch());
    // A plan that does not fit is not used.
    tiles.unwrap_or_else(|| product::scratch::<Avx512Vbmi, R>(size, rows, threads))
}

/// Computes the product; `Invalid` where scratch is too short or not aligned.
///
/// # Safety
///
/// The CPU has [`Caps::AMXINT8`](crate::Caps::AMXINT8) and what it implies.
pub(crate) unsafe fn run<R: Rows>(
    ctx: &mut Ctx<'_>,
    problem: &Problem<'_, R>,
) -> Result<(), Invalid> {
    let size = &problem.size;
    let plan = fits(size)
        .then(|| Plan::new(size, &problem.rows, ctx.threads()))
        .flatten()
        .filter(|plan| plan.scratch().is_some());
    // SAFETY: the caller's promise.
    unsafe {
        match (problem.x, plan) {
            (View::I8(x), Some(plan)) => plan::run(ctx, problem, &plan, x),
            _ => product::run::<Avx512Vbmi, R>(ctx, problem),
        }
    }
}

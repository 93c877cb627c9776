//! Arithmetic of the tern runtime: packed weight layouts and the kernels that
//! compute with them.
//!
//! Nothing here knows the file format, allocates, or depends on `std`. Each
//! kernel family is a folder: `mod.rs` holds the contract, the safe entry point
//! and the `VARIANTS` table (best first, scalar last); `scalar.rs` is the
//! reference; every other file is the same algorithm for one instruction set.
//!
//! Conventions shared by all families:
//! - images are NHWC, matrices row-major, weights in the panel layouts of
//!   [`layout`];
//! - callers hand over [`Ctx`]: the instruction sets that may be used, the
//!   host's [`par::ParallelFor`] and a scratch buffer whose size the family's
//!   `scratch` function told;
//! - an entry point checks every length and returns [`Invalid`] instead of
//!   panicking; only then does it call a variant, which checks its scratch before it
//!   writes.
#![no_std]

#[cfg(test)]
extern crate std;

#[cfg(test)]
mod testing;

pub mod caps;
pub mod conv2d;
pub mod depthwise;
pub mod eltwise;
pub mod epilogue;
pub mod gemm;
pub mod isa;
pub mod layout;
pub mod math;
pub mod matmul;
pub mod movement;
pub mod par;
pub mod pool;
mod product;
pub mod quantize;
pub mod reduce;
pub mod softmax;
#[cfg(any(
    target_arch = "aarch64",
    target_arch = "x86_64",
    all(target_arch = "wasm32", target_feature = "simd128")
))]
mod task_scratch;
pub mod view;

pub use caps::Caps;
pub use epilogue::{Epilogue, Residual};
pub use layout::{Codec, Matrix, Weights};
pub use par::{Ctx, ParallelFor, Serial};
pub use product::max_k;
pub use view::{DType, View, ViewMut};

/// A call whose lengths, dtypes or geometry do not fit together, or whose
/// scratch buffer is too small: less than what the family's `scratch` function asks for.
/// Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

/// The largest tensor rank that kernels take.
pub const MAX_RANK: usize = 6;

/// One row of a family's table: an implementation and what it needs.
pub struct Variant<F: 'static> {
    /// Name as in the file name, for example `x86_avx2`.
    pub name: &'static str,
    /// Instruction sets without which `run` must not be called.
    pub needs: Caps,
    /// The implementation.
    pub run: F,
}

impl<F> Variant<F> {
    /// The first of `variants` that `caps` allow and this CPU can run.
    pub(crate) fn select(variants: &'static [Variant<F>], caps: Caps) -> Option<&'static Self> {
        let caps = caps.intersection(Caps::detect());
        variants.iter().find(|v| caps.has(v.needs))
    }
}

//! Runs `.tern` files: ternary neural networks, without a heap.
#![no_std]

#[cfg(feature = "std")]
extern crate std;

pub mod error;
pub mod format;
pub mod ops;

pub use error::Error;
pub use tern_kernels as kernels;
pub use tern_kernels::{Caps, Codec, DType};

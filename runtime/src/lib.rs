//! Runs `.tern` files: ternary neural networks, without a heap.
//!
//! The host hands over the file's bytes, as they lie in memory or flash, and one
//! buffer, the arena. Nothing is allocated or copied, and nothing that a file or
//! a caller can say makes this crate panic: every error has a number.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let file = std::fs::read("model.tern")?;
//! let model = ternrt::Model::new(&file)?;
//! let mut arena = vec![0; model.arena_len()];
//! let mut session = ternrt::Session::new(&model, &mut arena)?;
//! session.input_f32_mut(0)?.fill(0.5);
//! session.run(0)?;
//! println!("{:?}", session.output_f32(0)?);
//! # Ok(()) }
//! ```
#![no_std]

#[cfg(feature = "std")]
extern crate std;

mod arena;
#[cfg(feature = "std")]
pub mod host;
#[cfg(feature = "std")]
pub mod pool;

pub mod error;
pub mod format;
pub mod model;
pub mod ops;
pub mod session;
mod tensor_info;
pub mod trace;
mod verify;

#[cfg(feature = "std")]
pub use host::caps_from_env;
#[cfg(feature = "std")]
pub use pool::ThreadPool;

pub use error::Error;
pub use model::Model;
pub use session::{Options, Session};
pub use tensor_info::{Quant, TensorInfo};
pub use tern_kernels as kernels;
pub use tern_kernels::{Caps, Codec, DType, ParallelFor, Serial};

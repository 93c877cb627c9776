//! Runs `.tern` files: ternary neural networks, without a heap.
//!
//! The host hands over the file's bytes, as they lie in memory or flash, and one
//! buffer, the arena. Nothing is allocated or copied, and nothing that a file or
//! a caller can say makes this crate panic: every error has a number.
//!
//! ```
//! use ternrt::{Aligned, Model, Session};
//!
//! # fn main() -> Result<(), ternrt::Error> {
//! // `y = relu(w x)` with `w` in {-1, 0, 1}; a host with files maps or reads one.
//! static FILE: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(
//!     env!("CARGO_MANIFEST_DIR"),
//!     "/tests/data/gemm.tern"
//! )));
//! let model = Model::new(&FILE.0)?;
//! for input in model.inputs(0) {
//!     println!("{} {} {:?}", input.name, input.dtype.name(), input.dims());
//! }
//!
//! // `vec![0; model.arena_len()]` where there is a heap.
//! let mut arena = [0; 4096];
//! assert!(arena.len() >= model.arena_len());
//! let mut session = Session::new(&model, &mut arena)?;
//! session.input_f32_mut(0)?.copy_from_slice(&[1.0, 2.0, 5.0]);
//! session.run(0)?;
//! assert_eq!(session.output_f32(0)?, [3.0, 0.0]);
//! # Ok(()) }
//! ```
//!
//! Where is what:
//! - [`model`]: a checked file; [`session`]: running it; [`trace`]: looking on;
//! - [`format`](mod@format): the file format, bit by bit, and its records;
//! - [`ops`]: what the graph is made of; [`kernels`]: the arithmetic;
//! - with the feature `std`: `ThreadPool` and `caps_from_env`.
#![no_std]

#[cfg(any(feature = "std", test))]
extern crate std;

mod arena;
#[cfg(feature = "std")]
pub mod host;
#[cfg(feature = "std")]
pub mod pool;
#[cfg(feature = "std")]
mod steer;

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

/// Puts a value at an address that is a multiple of 64, as files and arenas in
/// static memory want it: `static FILE: &Aligned<[u8]> =
/// &Aligned(*include_bytes!("model.tern"));`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Aligned<T: ?Sized>(pub T);

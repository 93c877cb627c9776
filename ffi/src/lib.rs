//! `libternrt`: the runtime for C, C++ and whatever calls C.
//!
//! This crate only checks pointers, keeps what a handle refers to alive, and
//! stops panics; the work is `ternrt`'s. Every function's description is that
//! of the header, `include/ternrt.h`, which cbindgen writes from here.
//!
//! # Safety
//!
//! The same for every function, and stated once in the header: a pointer is
//! null, or valid for what the function does with it; a handle came from this
//! library, was not freed, and a session is in use by one thread at a time.

// One contract, above.
#![allow(clippy::missing_safety_doc)]

mod model;
mod pointer;
mod session;
mod status;
#[cfg(test)]
mod tests;

pub use model::{DType, MAX_RANK, Model, TensorInfo};
pub use session::Session;
pub use status::Status;

use std::ffi::{CStr, c_char};
use std::panic::{self, AssertUnwindSafe};

#[cfg(test)]
extern crate rt as ternrt;

/// Runs the body of a function that returns a status; a panic becomes `INTERNAL`.
fn guard(body: impl FnOnce() -> Result<(), Status>) -> Status {
    match panic::catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => Status::Ok,
        Ok(Err(status)) => status,
        Err(_) => Status::Internal,
    }
}

const VERSION: &CStr =
    match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => c"",
    };

/// The library's version, such as "0.1.0".
#[unsafe(no_mangle)]
pub extern "C" fn ternrt_version() -> *const c_char {
    VERSION.as_ptr()
}

/// One line of English for a status. Never null, and never to be freed.
#[unsafe(no_mangle)]
pub extern "C" fn ternrt_error_text(status: u32) -> *const c_char {
    status::text(status).as_ptr()
}

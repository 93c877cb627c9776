//! Models in other formats to the intermediate representation.
//!
//! ONNX enters in four steps, in this order ([`onnx::import`]):
//!
//! 1. `check` decodes the file and refuses what cannot be imported, so that
//!    errors speak of the file's own names: external data, operators and
//!    attributes outside of [`operators`], dynamic dimensions without a shape;
//! 2. tract infers types and shapes and expands ONNX's operators into its core
//!    ones. The typed model is taken as it is, before tract's own rewriting:
//!    that depends on the host's CPU, merges nodes whose names users know, and
//!    rounds differently (`x / c` becomes `x * (1 / c)`). `registry` replaces
//!    the expansions that lose the function's identity;
//! 3. `ops` turns each core operator into nodes of our graph; what only depends
//!    on constants is evaluated on the way;
//! 4. `recognise` finds functions that exporters spell out (`x * sigmoid(x)`).
//!
//! [`network`] takes an architecture of the zoo with its parameters instead.
//!
//! Images leave this module as ONNX has them, NCHW, with a transposition before
//! and after each operator that works on images; a pass cancels these. Half
//! precision is widened: inputs and outputs stay f16, what lies between is f32.

mod builder;
mod check;
mod external;
mod inputs;
pub mod network;
pub mod onnx;
pub mod operators;
mod ops;
mod prepare;
mod recognise;
mod registry;
mod shield;
mod tensors;

pub use onnx::{ImportOptions, import, import_bytes};

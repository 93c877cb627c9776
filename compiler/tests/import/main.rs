//! Import of ONNX: each operator and attribute against tract's own run, the
//! errors, malformed files. The graphs of real exporters are in the tests crate.

mod support;

mod conv;
mod elementwise;
mod errors;
mod half;
mod inputs;
mod malformed;
mod movement;
mod pool;
mod product;
mod recognise;
mod reduce;
mod resize;

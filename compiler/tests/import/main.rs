//! Import of ONNX: each operator and attribute against tract's own run, the
//! errors, malformed files, and the graphs of real exporters.

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
mod real;
mod recognise;
mod reduce;
mod resize;

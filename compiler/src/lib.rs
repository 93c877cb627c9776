//! The tern compiler: reads ONNX models, ternarises them and writes `.tern` files.
//!
//! [`pipeline`] is the whole flow, readable from top to bottom. The
//! intermediate representation is in [`ir`]; its ops are those of the runtime
//! ([`ternrt::ops::table`]), and [`ops`] gives each its shape inference and its
//! reference interpreter.

pub mod calibrate;
pub mod cli;
pub mod data;
pub mod emit;
pub mod evaluate;
pub mod golden;
pub mod host;
pub mod import;
pub mod ir;
pub mod nearest;
pub mod ops;
pub mod pack;
pub mod passes;
pub mod pipeline;
pub mod plan;
pub mod prune;
pub mod report;
pub mod sensitivity;
pub mod signs;
pub mod ternarise;
pub mod text_table;
pub mod training;
pub mod zoo;

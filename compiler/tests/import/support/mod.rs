//! Small ONNX models for tests, and the comparison of an import with tract's own run.

pub mod compare;
pub mod model;

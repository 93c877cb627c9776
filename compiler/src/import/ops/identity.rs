//! What changes nothing.

use crate::import::builder::{Builder, Operand};
use anyhow::Result;
use tract_onnx::tract_core::ops::identity::Identity;
use tract_onnx::tract_hir::internal::*;

pub(super) fn identity(b: &mut Builder<'_>, node: &TypedNode, _: &Identity) -> Result<Operand> {
    b.operand(node, 0)
}

//! Cast.

use crate::import::builder::{Builder, Operand};
use anyhow::Result;
use ternrt::ops::table::Cast;
use tract_onnx::tract_core::ops::cast::Cast as TractCast;
use tract_onnx::tract_hir::internal::*;

pub(super) fn cast(b: &mut Builder<'_>, node: &TypedNode, _: &TractCast) -> Result<Operand> {
    let result = b.result(node)?;
    let x = b.value(node, 0)?;
    // Between f32 and f16, which is widened, nothing is left to do.
    if b.ty(x).dtype == result.dtype {
        return Ok(x.into());
    }
    Ok(b.emit(Cast {}, &[x], result)?.into())
}

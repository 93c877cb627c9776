//! Pad.

use crate::import::builder::{Builder, Operand};
use anyhow::Result;
use ternrt::DType;
use ternrt::kernels::MAX_RANK;
use ternrt::kernels::movement::PadMode;
use ternrt::ops::table::Pad;
use tract_onnx::tract_core::ops::array::{Pad as TractPad, PadMode as TractPadMode};
use tract_onnx::tract_hir::internal::*;

pub(super) fn pad(b: &mut Builder<'_>, node: &TypedNode, op: &TractPad) -> Result<Operand> {
    let result = b.result(node)?;
    let x = b.value(node, 0)?;
    let shape = b.ty(x).shape.clone();
    if op.pads.iter().all(|&p| p == (0, 0)) {
        return Ok(x.into());
    }
    let (mode, value) = match &op.mode {
        TractPadMode::Reflect => (PadMode::Reflect, 0.0),
        TractPadMode::Edge => (PadMode::Edge, 0.0),
        TractPadMode::Constant(t) => (PadMode::Constant, value(b, t, result.dtype)?),
    };
    let mut before = [0; MAX_RANK];
    for (axis, (&(start, end), &size)) in op.pads.iter().zip(&shape).enumerate() {
        if mode == PadMode::Reflect && start.max(end) >= size {
            return Err(b.refuse(format!(
                "is not supported: it reflects {start} and {end} elements at the ends of a dimension of {size}"
            )));
        }
        let Some(slot) = before.get_mut(axis).filter(|_| start <= u32::MAX as usize) else {
            return Err(b.refuse(format!(
                "is not supported with {start} elements before dimension {axis}"
            )));
        };
        *slot = start as u32;
    }
    Ok(b.emit(
        Pad {
            before,
            mode,
            value,
        },
        &[x],
        result,
    )?
    .into())
}

/// The value as the op stores it, which must be exact.
fn value(b: &Builder<'_>, t: &Tensor, dtype: DType) -> Result<f32> {
    let exact = t
        .cast_to_scalar::<f64>()
        .map_err(|e| b.refuse(format!("has a bad value: {e}")))?;
    let value = exact as f32;
    if value.is_nan() || value as f64 == exact || dtype == DType::F32 {
        Ok(value)
    } else {
        Err(b.refuse(format!(
            "is not supported with the value {exact}: float32 cannot hold it"
        )))
    }
}

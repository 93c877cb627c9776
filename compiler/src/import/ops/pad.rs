//! Pad.

use super::slice::cut;
use crate::import::builder::{Builder, Operand};
use crate::ir::ValueId;
use anyhow::Result;
use ternrt::DType;
use ternrt::kernels::MAX_RANK;
use ternrt::kernels::movement::PadMode;
use ternrt::ops::table::Pad;
use tract_onnx::tract_core::ops::array::{Pad as TractPad, PadMode as TractPadMode};
use tract_onnx::tract_hir::internal::*;

pub(super) fn pad(b: &mut Builder<'_>, node: &TypedNode, op: &TractPad) -> Result<Operand> {
    let result = b.result(node)?;
    let mut x = b.value(node, 0)?;
    let (mode, value) = match &op.mode {
        TractPadMode::Reflect => (PadMode::Reflect, 0.0),
        TractPadMode::Edge => (PadMode::Edge, 0.0),
        TractPadMode::Constant(t) => (PadMode::Constant, value(b, t, result.dtype)?),
    };
    let mut before = [0; MAX_RANK];
    let mut any = false;
    for (axis, &(start, end)) in op.pads.iter().enumerate() {
        // tract holds negative counts as they are in two's complement.
        let (start, end) = (start as isize, end as isize);
        let size = b.ty(x).shape[axis];
        if start < 0 || end < 0 {
            x = crop(b, x, axis, start, end, mode)?;
        }
        let (start, end) = (start.max(0) as usize, end.max(0) as usize);
        any |= start > 0 || end > 0;
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
    if !any {
        return Ok(x.into());
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

/// Negative counts take elements away.
fn crop(
    b: &mut Builder<'_>,
    x: ValueId,
    axis: usize,
    start: isize,
    end: isize,
    mode: PadMode,
) -> Result<ValueId> {
    if mode != PadMode::Constant {
        return Err(b.refuse(format!(
            "is not supported with {start} and {end} elements: negative ones need mode constant"
        )));
    }
    let size = b.ty(x).shape[axis];
    let (first, less) = (start.min(0).unsigned_abs(), end.min(0).unsigned_abs());
    match first
        .checked_add(less)
        .and_then(|taken| size.checked_sub(taken))
    {
        None | Some(0) => Err(b.refuse(format!(
            "is not supported: it takes all {size} elements of dimension {axis} away"
        ))),
        Some(count) => cut(b, x, axis, first, count, 1),
    }
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

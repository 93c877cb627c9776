//! Gather. Constant indices at even distances become a slice.

use super::slice::cut;
use crate::import::builder::{Builder, Operand};
use anyhow::Result;
use ternrt::ops::table::Gather;
use tract_onnx::tract_core::ops::array::Gather as TractGather;
use tract_onnx::tract_hir::internal::*;

pub(super) fn gather(b: &mut Builder<'_>, node: &TypedNode, op: &TractGather) -> Result<Operand> {
    let result = b.result(node)?;
    let x = b.value(node, 0)?;
    let size = b.ty(x).shape[op.axis];
    if let Some(indices) = b.constant(node, 1) {
        let indices = positions(&indices, size).map_err(|bad| {
            b.refuse(format!(
                "is not supported: index {bad} of a dimension of {size}"
            ))
        })?;
        if let Some((start, step)) = even(&indices) {
            let y = cut(b, x, op.axis, start, indices.len(), step)?;
            return Ok(b.reshape(y, &result.shape)?.into());
        }
    }
    let indices = b.value(node, 1)?;
    Ok(b.emit(
        Gather {
            axis: op.axis as u8,
        },
        &[x, indices],
        result,
    )?
    .into())
}

/// The indices counted from 0, or one that is out of range.
fn positions(indices: &Tensor, size: usize) -> std::result::Result<Vec<usize>, String> {
    let indices = indices.cast_to::<i64>().map_err(|e| e.to_string())?;
    let plain = indices.try_as_plain_ram().map_err(|e| e.to_string())?;
    let values = plain.as_slice::<i64>().map_err(|e| e.to_string())?;
    let position = |&i: &i64| {
        let p = if i < 0 {
            i.saturating_add(size as i64)
        } else {
            i
        };
        usize::try_from(p)
            .ok()
            .filter(|&p| p < size)
            .ok_or(i.to_string())
    };
    values.iter().map(position).collect()
}

/// Start and step, if the indices have one step.
fn even(indices: &[usize]) -> Option<(usize, i32)> {
    let step = match indices {
        [] => return None,
        [_] => 1,
        [a, b, ..] => i32::try_from(*b as i64 - *a as i64)
            .ok()
            .filter(|&s| s != 0)?,
    };
    let even = indices
        .windows(2)
        .all(|w| w[1] as i64 - w[0] as i64 == step as i64);
    even.then_some((indices[0], step))
}

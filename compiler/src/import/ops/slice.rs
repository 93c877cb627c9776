//! Slice and Split; tract writes steps as a slice and a downsampling.

use super::known;
use crate::import::builder::{Builder, Operand};
use crate::ir::{Type, ValueId};
use anyhow::Result;
use ternrt::kernels::MAX_RANK;
use ternrt::ops::table::Slice;
use tract_onnx::tract_core::ops::Downsample;
use tract_onnx::tract_core::ops::array::Slice as TractSlice;
use tract_onnx::tract_hir::internal::*;

pub(super) fn slice(b: &mut Builder<'_>, node: &TypedNode, op: &TractSlice) -> Result<Operand> {
    let (start, end) = (known(b, &op.start)?, known(b, &op.end)?);
    let x = b.value(node, 0)?;
    let size = b.ty(x).shape[op.axis];
    if start >= end || end > size {
        return Err(b.refuse(format!(
            "is not supported: elements {start} to {end} of the {size} in dimension {}",
            op.axis
        )));
    }
    Ok(cut(b, x, op.axis, start, end - start, 1)?.into())
}

pub(super) fn downsample(
    b: &mut Builder<'_>,
    node: &TypedNode,
    op: &Downsample,
) -> Result<Operand> {
    let x = b.value(node, 0)?;
    let size = b.ty(x).shape[op.axis];
    let result = b.result(node)?;
    let step = i32::try_from(op.stride)
        .map_err(|_| b.refuse(format!("is not supported with step {}", op.stride)))?;
    // A negative step starts from the end.
    let start = if step > 0 {
        op.modulo
    } else {
        size.saturating_sub(1 + op.modulo)
    };
    Ok(cut(b, x, op.axis, start, result.shape[op.axis], step)?.into())
}

/// `count` elements of one dimension, from `start` in steps.
pub(super) fn cut(
    b: &mut Builder<'_>,
    x: ValueId,
    axis: usize,
    start: usize,
    count: usize,
    step: i32,
) -> Result<ValueId> {
    let mut ty = Type::new(b.ty(x).dtype, b.ty(x).shape.clone());
    if axis >= MAX_RANK {
        return Err(b.refuse(format!("is not supported on dimension {axis}")));
    }
    if (start, count, step) == (0, ty.shape[axis], 1) {
        return Ok(x);
    }
    ty.shape[axis] = count;
    let mut op = Slice {
        start: [0; MAX_RANK],
        step: [1; MAX_RANK],
    };
    op.start[axis] = start as u32;
    op.step[axis] = step;
    b.emit(op, &[x], ty)
}

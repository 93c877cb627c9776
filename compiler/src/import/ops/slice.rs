//! Slice and Split. tract has an operator for ranges with steps, one for
//! ranges without, and one for steps alone.

use super::known;
use crate::import::builder::{Builder, Operand};
use crate::ir::{Op, ValueId};
use anyhow::Result;
use ternrt::kernels::MAX_RANK;
use ternrt::ops::table::Slice;
use tract_onnx::tract_core::ops::Downsample;
use tract_onnx::tract_core::ops::array::{Slice as TractSlice, StridedSlice};
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

pub(super) fn strided_slice(
    b: &mut Builder<'_>,
    node: &TypedNode,
    op: &StridedSlice,
) -> Result<Operand> {
    let operand = |b: &Builder<'_>, i: usize, name: &str| {
        b.constant(node, i)
            .ok_or_else(|| b.refuse(format!("is not supported with {name} computed at run time")))
    };
    let (begin, end) = (operand(b, 1, "starts")?, operand(b, 2, "ends")?);
    let rank = b.input_shape(node, 0)?.len();
    let axes = match op.optional_axes_input {
        Some(i) => integers(b, &*operand(b, i, "axes")?)?,
        None => (0..begin.len() as i64).collect(),
    };
    let steps = match op.optional_steps_input {
        Some(i) => integers(b, &*operand(b, i, "steps")?)?,
        None => vec![1; axes.len()],
    };
    let fits = begin.len() == axes.len() && end.len() == axes.len() && steps.len() == axes.len();
    if !fits || op.shrink_axis_mask != 0 {
        return Err(b.refuse("has starts, ends, axes and steps of different lengths"));
    }
    let steps: Vec<i32> = steps
        .iter()
        .map(|&s| {
            i32::try_from(s)
                .ok()
                .filter(|&s| s != 0)
                .ok_or_else(|| b.refuse(format!("is not supported with step {s}")))
        })
        .collect::<Result<_>>()?;
    let mut x = b.value(node, 0)?;
    for (i, &axis) in axes.iter().enumerate() {
        let axis = if axis < 0 { axis + rank as i64 } else { axis };
        let axis = usize::try_from(axis)
            .ok()
            .filter(|&a| a < rank)
            .ok_or_else(|| b.refuse(format!("has axes {axes:?}")))?;
        let size = b.ty(x).shape[axis];
        let range = op
            .prepare_one_dim(i, &size.to_dim(), &begin, &end, &steps)
            .map_err(|e| b.refuse(format!("is not supported: {e}")))?;
        let bound = |d: &TDim| {
            d.to_i64()
                .map_err(|_| b.refuse("is not supported with ranges computed at run time"))
        };
        let (from, to) = (bound(&range.begin)?, bound(&range.end)?);
        let count = (to - from)
            .unsigned_abs()
            .div_ceil(steps[i].unsigned_abs() as u64) as usize;
        if count == 0 || (to - from).signum() != steps[i].signum() as i64 {
            return Err(b.refuse(format!(
                "is not supported: it takes none of the {size} elements of dimension {axis}"
            )));
        }
        x = cut(b, x, axis, from as usize, count, steps[i])?;
    }
    Ok(x.into())
}

fn integers(b: &Builder<'_>, t: &Tensor) -> Result<Vec<i64>> {
    let bad = |e| b.refuse(format!("has a bad operand: {e}"));
    let t = t.cast_to::<i64>().map_err(bad)?;
    Ok(t.try_as_plain_ram()
        .map_err(bad)?
        .as_slice::<i64>()
        .map_err(bad)?
        .to_vec())
}

/// `count` elements of one dimension, from `start` in steps. A slice of another
/// dimension of a slice becomes one with it.
pub(super) fn cut(
    b: &mut Builder<'_>,
    x: ValueId,
    axis: usize,
    start: usize,
    count: usize,
    step: i32,
) -> Result<ValueId> {
    if axis >= MAX_RANK {
        return Err(b.refuse(format!("is not supported on dimension {axis}")));
    }
    let mut ty = b.ty(x).clone();
    if (start, count, step) == (0, ty.shape[axis], 1) {
        return Ok(x);
    }
    ty.shape[axis] = count;
    let (mut x, mut op) = (
        x,
        Slice {
            start: [0; MAX_RANK],
            step: [1; MAX_RANK],
        },
    );
    if let Some((Op::Slice(first), before)) = b.producer(x)
        && b.ty(before).shape[axis] == b.ty(x).shape[axis]
        && (first.start[axis], first.step[axis]) == (0, 1)
    {
        (x, op) = (before, first);
    }
    op.start[axis] = start as u32;
    op.step[axis] = step;
    b.emit(op, &[x], ty)
}

//! MaxPool and AveragePool.

use super::image::{both, from_nhwc, spatial_rank, window_operand};
use crate::import::builder::{Builder, Operand};
use crate::ir::{Op, Type};
use anyhow::Result;
use ternrt::DType;
use ternrt::ops::table::{AveragePool, MaxPool};
use tract_onnx::tract_core::ops::cnn::{MaxPool as TractMaxPool, PoolSpec, SumPool};
use tract_onnx::tract_hir::internal::*;

pub(super) fn max_pool(
    b: &mut Builder<'_>,
    node: &TypedNode,
    op: &TractMaxPool,
) -> Result<Operand> {
    // A second result that somebody reads is refused where it is read.
    pool(b, node, &op.pool_spec, |kernel, stride, dilation, pads| {
        MaxPool {
            kernel,
            stride,
            dilation,
            pads,
        }
        .into()
    })
}

pub(super) fn sum_pool(b: &mut Builder<'_>, node: &TypedNode, op: &SumPool) -> Result<Operand> {
    if !op.normalize {
        return Err(b.refuse("is not supported without the division by the window's size"));
    }
    pool(b, node, &op.pool_spec, |kernel, stride, dilation, pads| {
        AveragePool {
            kernel,
            stride,
            dilation,
            pads,
            count_include_pad: op.count_include_pad,
        }
        .into()
    })
}

fn pool(
    b: &mut Builder<'_>,
    node: &TypedNode,
    spec: &PoolSpec,
    new: impl Fn([u16; 2], [u16; 2], [u16; 2], [u16; 4]) -> Op,
) -> Result<Operand> {
    let shape = b.input_shape(node, 0)?;
    let spatial = spatial_rank(b, spec.data_format, &shape)?;
    let padding = spec.computed_padding(&shape[2..]);
    let before: Vec<usize> = padding.iter().map(|p| p.pad_before).collect();
    let after: Vec<usize> = padding.iter().map(|p| p.pad_after).collect();
    let ([top, left], [bottom, right]) =
        (both(b, "pads", &before, 0)?, both(b, "pads", &after, 0)?);
    let op = new(
        both(b, "kernel_shape", &spec.kernel_shape, 1)?,
        both(b, "strides", &spec.strides(), 1)?,
        both(b, "dilations", &spec.dilations(), 1)?,
        [top, left, bottom, right],
    );
    let result = b.result(node)?;
    let (x, [h, w]) = window_operand(b, node, &result)?;
    // Ceil mode is in the result's size alone.
    let ty = Type::new(DType::F32, [result.shape[0], h, w, result.shape[1]]);
    let y = b.emit(op, &[x], ty)?;
    Ok(from_nhwc(b, y, spatial)?.into())
}

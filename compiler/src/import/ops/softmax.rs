//! Softmax and LogSoftmax.

use crate::import::builder::{Builder, Operand};
use crate::ir::Type;
use anyhow::Result;
use ternrt::DType;
use ternrt::ops::table::Softmax;
use tract_onnx::tract_core::ops::nn::{Softmax as TractSoftmax, SoftmaxKind};
use tract_onnx::tract_hir::internal::*;

pub(super) fn softmax(b: &mut Builder<'_>, node: &TypedNode, op: &TractSoftmax) -> Result<Operand> {
    let log = op.kind == SoftmaxKind::LogSoftmax;
    let result = b.result(node)?;
    let x = b.value(node, 0)?;
    if b.ty(x).dtype != DType::F32 || op.quant_output_dt.is_some() {
        return Err(b.refuse("is not supported on integers"));
    }
    let Some((&first, &last)) = op.axes.iter().min().zip(op.axes.iter().max()) else {
        return Err(b.refuse("is not supported without an axis"));
    };
    // Before operator set 13 the axes from one to the last are taken together.
    if last - first + 1 != op.axes.len() {
        return Err(b.refuse(format!("is not supported over the axes {:?}", op.axes)));
    }
    let mut shape = result.shape.clone();
    let merged: usize = shape[first..=last].iter().product();
    shape.splice(first..=last, [merged]);
    let x = b.reshape(x, &shape)?;
    let y = b.emit(
        Softmax {
            axis: first as u8,
            log,
        },
        &[x],
        Type::new(DType::F32, shape),
    )?;
    Ok(b.reshape(y, &result.shape)?.into())
}

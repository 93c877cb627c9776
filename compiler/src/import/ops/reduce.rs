//! Reductions. tract keeps the reduced dimensions as 1, and so do we.

use crate::import::builder::{Builder, Operand};
use crate::ir::Type;
use anyhow::Result;
use ternrt::DType;
use ternrt::kernels::eltwise::{Unary, UnaryKind};
use ternrt::kernels::reduce::ReduceKind;
use ternrt::ops::table::{Reduce, UnaryOp};
use tract_onnx::tract_core::ops::nn::{Reduce as TractReduce, Reducer};
use tract_onnx::tract_hir::internal::*;

pub(super) fn reduce(b: &mut Builder<'_>, node: &TypedNode, op: &TractReduce) -> Result<Operand> {
    let mut x = b.value(node, 0)?;
    let function = match op.reducer {
        Reducer::Sum => ReduceKind::Sum,
        Reducer::Max => ReduceKind::Max,
        Reducer::Min => ReduceKind::Min,
        Reducer::Prod => ReduceKind::Prod,
        Reducer::ArgMax(false) => ReduceKind::ArgMax,
        Reducer::ArgMin(false) => ReduceKind::ArgMin,
        Reducer::ArgMax(true) => ReduceKind::ArgMaxLast,
        Reducer::ArgMin(true) => ReduceKind::ArgMinLast,
        Reducer::MeanOfSquares => {
            let square = UnaryOp {
                function: Unary::new(UnaryKind::Square),
            };
            let ty = b.ty(x).clone();
            x = b.emit_aux("square", square, &[x], ty)?;
            ReduceKind::Mean
        }
        Reducer::All | Reducer::Any => return Err(b.refuse("is not supported on booleans")),
    };
    let result = b.result(node)?;
    if op.axes.is_empty() {
        return Ok(x.into());
    }
    let from = b.ty(x).clone();
    if !matches!(from.dtype, DType::F32 | DType::I32 | DType::I64) {
        return Err(b.refuse(format!(
            "is not supported on {}: float32, int32 and int64 are",
            from.dtype.name()
        )));
    }
    let axes = mask(b, &op.axes)?;
    Ok(b.emit(
        Reduce { function, axes },
        &[x],
        Type::new(result.dtype, result.shape),
    )?
    .into())
}

/// The axes as a bit mask.
pub(super) fn mask(b: &Builder<'_>, axes: &[usize]) -> Result<u8> {
    match axes.iter().find(|&&a| a >= 8) {
        Some(axis) => Err(b.refuse(format!("is not supported over dimension {axis}"))),
        None => Ok(axes.iter().fold(0, |m, &a| m | 1 << a)),
    }
}

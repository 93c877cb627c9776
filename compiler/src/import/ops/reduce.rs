//! Reductions. tract keeps the reduced dimensions as 1, and so do we.

use crate::import::builder::{Builder, Operand};
use crate::ir::{Op, Type, ValueId};
use anyhow::Result;
use ternrt::DType;
use ternrt::kernels::eltwise::{BinaryKind, Unary, UnaryKind};
use ternrt::kernels::reduce::ReduceKind;
use ternrt::ops::table::{BinaryOp, Reduce, UnaryOp};
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

/// `log(sum(exp(x)))`, which overflows as it stands, as
/// `m + log(sum(exp(x - m)))` with `m = max(x)`; `None` if `v` is no `sum(exp(x))`.
pub(super) fn log_sum_exp(b: &mut Builder<'_>, v: ValueId) -> Result<Option<ValueId>> {
    let Some((
        Op::Reduce(
            sum @ Reduce {
                function: ReduceKind::Sum,
                ..
            },
        ),
        powers,
    )) = b.producer(v)
    else {
        return Ok(None);
    };
    let Some((Op::UnaryOp(UnaryOp { function }), x)) = b.producer(powers) else {
        return Ok(None);
    };
    if function.kind != UnaryKind::Exp {
        return Ok(None);
    }
    let (whole, reduced) = (b.ty(x).clone(), b.ty(v).clone());
    let binary = |function| BinaryOp {
        function,
        activation: Unary::IDENTITY,
    };
    let unary = |kind| UnaryOp {
        function: Unary::new(kind),
    };
    let largest = b.emit_aux(
        "max",
        Reduce {
            function: ReduceKind::Max,
            ..sum
        },
        &[x],
        reduced.clone(),
    )?;
    // An infinite m would make inf - inf.
    let finite = Unary {
        kind: UnaryKind::Clip,
        alpha: f32::MIN,
        beta: f32::MAX,
    };
    let m = b.emit_aux(
        "finite",
        UnaryOp { function: finite },
        &[largest],
        reduced.clone(),
    )?;
    let shifted = b.emit_aux("shifted", binary(BinaryKind::Sub), &[x, m], whole.clone())?;
    let powers = b.emit_aux("exp", unary(UnaryKind::Exp), &[shifted], whole)?;
    let sums = b.emit_aux("sum", sum, &[powers], reduced.clone())?;
    let logs = b.emit_aux("log", unary(UnaryKind::Log), &[sums], reduced.clone())?;
    Ok(Some(b.emit(
        binary(BinaryKind::Add),
        &[logs, m],
        reduced,
    )?))
}

/// The axes as a bit mask.
pub(super) fn mask(b: &Builder<'_>, axes: &[usize]) -> Result<u8> {
    match axes.iter().find(|&&a| a >= 8) {
        Some(axis) => Err(b.refuse(format!("is not supported over dimension {axis}"))),
        None => Ok(axes.iter().fold(0, |m, &a| m | 1 << a)),
    }
}

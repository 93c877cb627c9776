//! Functions of one operand.

use super::reduce::log_sum_exp;
use crate::import::builder::{Builder, Operand};
use crate::import::registry::Function;
use crate::ir::{Data, Tensor as Dense, Type, ValueId};
use anyhow::Result;
use ternrt::DType;
use ternrt::kernels::eltwise::{BinaryKind, Unary, UnaryKind};
use ternrt::ops::table::{BinaryOp, UnaryOp};
use tract_onnx::tract_core::ops::element_wise::{ElementWiseMiniOp, ElementWiseOp};
use tract_onnx::tract_core::ops::logic::{BitNot, Not};
use tract_onnx::tract_core::ops::{math, nn};
use tract_onnx::tract_hir::internal::*;

/// Functions without parameters, by tract's type.
macro_rules! plain {
    ($op:expr, $($ty:ty => $kind:ident,)*) => {
        $(if $op.is::<$ty>() { return Some(Unary::new(UnaryKind::$kind)); })*
    };
}

fn find(op: &dyn ElementWiseMiniOp) -> Option<Unary> {
    plain! { op,
        math::Abs => Abs,
        math::Exp => Exp,
        math::Ln => Log,
        math::Square => Square,
        math::Sqrt => Sqrt,
        math::Rsqrt => Rsqrt,
        math::Recip => Reciprocal,
        math::Ceil => Ceil,
        math::Floor => Floor,
        math::RoundHalfToEven => Round,
        math::Cos => Cos,
        math::Sin => Sin,
        math::Tanh => Tanh,
        math::Erf => Erf,
        math::Neg => Neg,
        math::Sign => Sign,
        nn::Sigmoid => Sigmoid,
        nn::HardSwish => HardSwish,
        nn::Silu => Silu,
        nn::GeluExact => Gelu,
        Not => Not,
    }
    if let Some(function) = op.downcast_ref::<Function>() {
        return Some(function.unary());
    }
    let leaky = op.downcast_ref::<nn::LeakyRelu>()?;
    Some(Unary {
        kind: UnaryKind::LeakyRelu,
        alpha: leaky.alpha,
        beta: 0.0,
    })
}

pub(super) fn unary(b: &mut Builder<'_>, node: &TypedNode, op: &ElementWiseOp) -> Result<Operand> {
    let x = b.value(node, 0)?;
    let ty = b.ty(x).clone();
    let op = op.0.as_ref();
    if op.is::<math::Ln>()
        && let Some(y) = log_sum_exp(b, x)?
    {
        return Ok(y.into());
    }
    if let Some(function) = find(op) {
        let integers = matches!(
            function.kind,
            UnaryKind::Abs | UnaryKind::Neg | UnaryKind::Sign
        );
        let rounding = matches!(
            function.kind,
            UnaryKind::Ceil | UnaryKind::Floor | UnaryKind::Round
        );
        return match ty.dtype {
            DType::F32 if function.kind != UnaryKind::Not => emit(b, x, function, ty),
            DType::I32 | DType::I64 if integers => emit(b, x, function, ty),
            DType::I32 | DType::I64 if rounding => Ok(x.into()),
            DType::Bool if function.kind == UnaryKind::Not => emit(b, x, function, ty),
            other => Err(b.refuse(format!("is not supported on {}", other.name()))),
        };
    }
    if op.is::<BitNot>() && ty.dtype == DType::Bool {
        return emit(b, x, Unary::new(UnaryKind::Not), ty);
    }
    if ty.dtype != DType::F32 {
        return Err(b.refuse(format!("is not supported on {}", ty.dtype.name())));
    }
    if op.is::<math::Tan>() {
        let sin = b.emit_aux(
            "sin",
            UnaryOp {
                function: Unary::new(UnaryKind::Sin),
            },
            &[x],
            ty.clone(),
        )?;
        let cos = b.emit_aux(
            "cos",
            UnaryOp {
                function: Unary::new(UnaryKind::Cos),
            },
            &[x],
            ty.clone(),
        )?;
        return compare(b, BinaryKind::Div, sin, cos, ty);
    }
    // Only NaN differs from itself.
    if op.is::<math::IsNan>() {
        return compare(
            b,
            BinaryKind::NotEqual,
            x,
            x,
            Type::new(DType::Bool, ty.shape),
        );
    }
    if let Some(op) = op.downcast_ref::<math::IsInf>() {
        let (value, x) = match (op.detect_positive, op.detect_negative) {
            (true, false) => (f32::INFINITY, x),
            (false, true) => (f32::NEG_INFINITY, x),
            (true, true) => {
                let abs = UnaryOp {
                    function: Unary::new(UnaryKind::Abs),
                };
                (f32::INFINITY, b.emit_aux("abs", abs, &[x], ty.clone())?)
            }
            (false, false) => return Err(b.refuse("is not supported when it detects nothing")),
        };
        let value = b.add_constant("infinity", Dense::new(vec![], Data::F32(vec![value])));
        return compare(
            b,
            BinaryKind::Equal,
            x,
            value,
            Type::new(DType::Bool, ty.shape),
        );
    }
    Err(b.refuse(format!(
        "is not supported: there is no function for {}",
        op.name()
    )))
}

fn emit(b: &mut Builder<'_>, x: ValueId, function: Unary, ty: Type) -> Result<Operand> {
    Ok(b.emit(UnaryOp { function }, &[x], ty)?.into())
}

fn compare(
    b: &mut Builder<'_>,
    function: BinaryKind,
    x: ValueId,
    y: ValueId,
    ty: Type,
) -> Result<Operand> {
    Ok(b.emit(
        BinaryOp {
            function,
            activation: Unary::IDENTITY,
        },
        &[x, y],
        ty,
    )?
    .into())
}

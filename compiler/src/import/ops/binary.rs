//! Functions of two operands, and Where.

use crate::import::builder::{Builder, Operand};
use crate::import::registry::Modulo;
use crate::ir::ValueId;
use anyhow::Result;
use ternrt::DType;
use ternrt::kernels::eltwise::{BinaryKind, Unary};
use ternrt::ops::table::{BinaryOp, Where};
use tract_onnx::tract_core::ops::binary::{BinMiniOp, TypedBinOp};
use tract_onnx::tract_core::ops::logic::{self, Iff};
use tract_onnx::tract_core::ops::math;
use tract_onnx::tract_hir::internal::*;

macro_rules! kinds {
    ($op:expr, $($ty:ty => $kind:ident,)*) => { $(if $op.is::<$ty>() { return Some(BinaryKind::$kind); })* };
}

fn find(op: &dyn BinMiniOp) -> Option<BinaryKind> {
    kinds! { op,
        math::Add => Add,
        math::Sub => Sub,
        math::Mul => Mul,
        math::Div => Div,
        math::Pow => Pow,
        math::Min => Min,
        math::Max => Max,
        math::Rem => Fmod,
        Modulo => Mod,
        logic::CompEq => Equal,
        logic::CompNE => NotEqual,
        logic::CompLT => Less,
        logic::CompLTE => LessOrEqual,
        logic::CompGT => Greater,
        logic::CompGTE => GreaterOrEqual,
        logic::And => And,
        logic::Or => Or,
        logic::Xor => Xor,
        logic::BitAnd => And,
        logic::BitOr => Or,
        logic::BitXor => Xor,
    }
    None
}

pub(super) fn binary(b: &mut Builder<'_>, node: &TypedNode, op: &TypedBinOp) -> Result<Operand> {
    let result = b.result(node)?;
    let op = op.0.as_ref();
    let (mut left, mut right) = (0, 1);
    let kind = match find(op) {
        Some(kind) => kind,
        None if op.is::<math::SubF>() => {
            (left, right) = (1, 0);
            BinaryKind::Sub
        }
        None => {
            return Err(b.refuse(format!(
                "is not supported: there is no function for {}",
                op.name()
            )));
        }
    };
    if let Some(x) = neutral(b, node, kind)? {
        return Ok(x.into());
    }
    let (x, y) = (b.value(node, left)?, b.value(node, right)?);
    use BinaryKind::*;
    let dtype = b.ty(x).dtype;
    let fits = match dtype {
        DType::F32 => !matches!(kind, And | Or | Xor),
        DType::I32 | DType::I64 => !matches!(kind, And | Or | Xor | Pow),
        DType::Bool => matches!(kind, And | Or | Xor | Equal | NotEqual),
        _ => false,
    };
    if !fits || b.ty(y).dtype != dtype {
        return Err(b.refuse(format!(
            "is not supported on {} and {}",
            dtype.name(),
            b.ty(y).dtype.name()
        )));
    }
    Ok(b.emit(
        BinaryOp {
            function: kind,
            activation: Unary::IDENTITY,
        },
        &[x, y],
        result,
    )?
    .into())
}

/// The other operand, where one is a constant 1 of a product (Gemm's `beta`) and changes nothing.
fn neutral(b: &mut Builder<'_>, node: &TypedNode, kind: BinaryKind) -> Result<Option<ValueId>> {
    for (i, other) in [(0, 1), (1, 0)] {
        let Some(constant) = b.constant(node, i) else {
            continue;
        };
        let one = kind == BinaryKind::Mul
            && constant.len() == 1
            && constant.cast_to_scalar::<f64>().is_ok_and(|c| c == 1.0);
        if one && b.input_shape(node, other)? == b.result(node)?.shape {
            return Ok(Some(b.value(node, other)?));
        }
    }
    Ok(None)
}

pub(super) fn select(b: &mut Builder<'_>, node: &TypedNode, _: &Iff) -> Result<Operand> {
    let result = b.result(node)?;
    let operands = [b.value(node, 0)?, b.value(node, 1)?, b.value(node, 2)?];
    Ok(b.emit(Where {}, &operands, result)?.into())
}

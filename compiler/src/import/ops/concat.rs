//! Concat.

use crate::import::builder::{Builder, Operand};
use crate::ir::ValueId;
use anyhow::Result;
use ternrt::ops::MAX_INPUTS;
use ternrt::ops::table::Concat;
use tract_onnx::tract_core::ops::array::TypedConcat;
use tract_onnx::tract_hir::internal::*;

pub(super) fn concat(b: &mut Builder<'_>, node: &TypedNode, op: &TypedConcat) -> Result<Operand> {
    let result = b.result(node)?;
    let mut parts = (0..node.inputs.len())
        .map(|i| b.value(node, i))
        .collect::<Result<Vec<ValueId>>>()?;
    let axis = op.axis;
    let join = |b: &mut Builder<'_>, parts: &[ValueId], last: bool| {
        let mut ty = result.clone();
        ty.shape[axis] = parts.iter().map(|&p| b.ty(p).shape[axis]).sum();
        let op = Concat { axis: axis as u8 };
        if last {
            b.emit(op, parts, ty)
        } else {
            b.emit_aux("part", op, parts, ty)
        }
    };
    // More operands than an op takes are joined in groups.
    while parts.len() > MAX_INPUTS {
        parts = parts
            .chunks(MAX_INPUTS)
            .map(|group| {
                if let [one] = group {
                    Ok(*one)
                } else {
                    join(b, group, false)
                }
            })
            .collect::<Result<_>>()?;
    }
    match parts[..] {
        [one] => Ok(one.into()),
        _ => Ok(join(b, &parts, true)?.into()),
    }
}

//! Reshape, Transpose and their like; Expand and Tile.

use super::known;
use crate::import::builder::{Builder, Operand};
use crate::ir::Type;
use anyhow::Result;
use ternrt::ops::table::Broadcast;
use tract_onnx::tract_core::ops::array::{MultiBroadcastTo, Tile};
use tract_onnx::tract_core::ops::change_axes::AxisOp;
use tract_onnx::tract_hir::internal::*;

pub(super) fn axis_op(b: &mut Builder<'_>, node: &TypedNode, op: &AxisOp) -> Result<Operand> {
    let result = b.result(node)?;
    let x = b.value(node, 0)?;
    let y = match *op {
        AxisOp::Add(_) | AxisOp::Rm(_) | AxisOp::Reshape(..) => b.reshape(x, &result.shape)?,
        AxisOp::Move(from, to) => {
            let mut perm: Vec<usize> = (0..result.shape.len()).collect();
            let axis = perm.remove(from);
            perm.insert(to, axis);
            b.transpose(x, &perm, "transpose")?
        }
    };
    Ok(y.into())
}

pub(super) fn broadcast(
    b: &mut Builder<'_>,
    node: &TypedNode,
    _: &MultiBroadcastTo,
) -> Result<Operand> {
    let result = b.result(node)?;
    let x = b.value(node, 0)?;
    if b.ty(x).shape == result.shape {
        return Ok(x.into());
    }
    Ok(b.emit(Broadcast {}, &[x], result)?.into())
}

/// Repetition of a dimension of size 1 is a broadcast; of another size, a
/// broadcast of a dimension put before it.
pub(super) fn tile(b: &mut Builder<'_>, node: &TypedNode, op: &Tile) -> Result<Operand> {
    let result = b.result(node)?;
    let x = b.value(node, 0)?;
    let (mut before, mut after) = (vec![], vec![]);
    for (&size, times) in b.ty(x).shape.clone().iter().zip(&op.multipliers) {
        let times = known(b, times)?;
        if times > 1 && size > 1 {
            before.push(1);
            after.push(times);
        }
        before.push(size);
        after.push(if size == 1 { times } else { size });
    }
    let dtype = result.dtype;
    let mut y = b.reshape(x, &before)?;
    if before != after {
        y = b.emit(Broadcast {}, &[y], Type::new(dtype, after))?;
    }
    Ok(b.reshape(y, &result.shape)?.into())
}

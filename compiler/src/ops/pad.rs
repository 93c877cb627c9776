//! `pad`: elements added around.

use super::Signature;
use crate::ir::Type;
use anyhow::{Result, ensure};
use ternrt::kernels::movement::PadMode;
use ternrt::ops::table::Pad;

pub(super) fn infer(op: &Pad, io: &Signature<'_>) -> Result<Vec<Type>> {
    let x = io.input(0)?;
    io.entries("before", &op.before, x, 0)?;
    ensure!(
        x.quant.is_none() || op.mode != PadMode::Constant || op.value == 0.0,
        "value={:?}: the quantised {x} can be padded with 0 only",
        op.value
    );
    if let Some(wanted) = io.wanted {
        ensure!(
            wanted.shape.len() == x.shape.len(),
            "the result {wanted} must have the rank of {x}"
        );
    }
    let mut shape = Vec::with_capacity(x.shape.len());
    for (i, &size) in x.shape.iter().enumerate() {
        let before = op.before[i] as usize;
        let result = io.wanted.map_or(before + size, |w| w.shape[i]);
        ensure!(
            result >= before + size,
            "dimension {i} of the result, {result}, is less than before={before} and the {size} of {x}"
        );
        let added = before.max(result - before - size);
        let most = match op.mode {
            PadMode::Constant => usize::MAX,
            PadMode::Reflect => size - 1,
            PadMode::Edge => usize::MAX,
        };
        ensure!(
            added <= most,
            "mode {:?} cannot add {added} elements at one end of dimension {i} of {x}",
            op.mode
        );
        shape.push(result);
    }
    Ok(vec![x.with_shape(shape)])
}

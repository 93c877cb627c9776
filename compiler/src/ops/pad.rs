//! `pad`: elements added around.

use super::Signature;
use super::cast::convert;
use super::index::{coordinates, position};
use super::interpret::Io;
use crate::ir::{Data, Tensor, Type};
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

pub(super) fn interpret(op: &Pad, io: &Io<'_>) -> Result<Vec<Tensor>> {
    let (x, y) = (io.dense(0)?, io.result());
    // The added value stands behind the elements.
    let mut data = x.data.clone();
    let added = data.len();
    data.append(&convert(&Data::F32(vec![op.value]), y.dtype));
    let positions = coordinates(&y.shape).map(|mut at| {
        for (i, &size) in x.shape.iter().enumerate() {
            let (size, t) = (size as i64, at[i] as i64 - op.before[i] as i64);
            let inside = match op.mode {
                PadMode::Constant if t < 0 || t >= size => return added,
                PadMode::Constant => t,
                PadMode::Edge => t.clamp(0, size - 1),
                PadMode::Reflect if t < 0 => -t,
                PadMode::Reflect if t >= size => 2 * (size - 1) - t,
                PadMode::Reflect => t,
            };
            at[i] = inside as usize;
        }
        position(&x.shape, &at)
    });
    io.give(data.pick(positions))
}

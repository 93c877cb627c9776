//! `slice`: every so manyth element along each dimension.

use super::Signature;
use super::index::{coordinates, position};
use super::interpret::Io;
use crate::ir::{Tensor, Type};
use anyhow::{Result, ensure};
use ternrt::ops::table::Slice;

pub(super) fn infer(op: &Slice, io: &Signature<'_>) -> Result<Vec<Type>> {
    let x = io.input(0)?;
    io.entries("start", &op.start, x, 0)?;
    io.entries("step", &op.step, x, 1)?;
    if let Some(wanted) = io.wanted {
        ensure!(
            wanted.shape.len() == x.shape.len(),
            "the result {wanted} must have the rank of {x}"
        );
    }
    let mut shape = Vec::with_capacity(x.shape.len());
    for (i, &size) in x.shape.iter().enumerate() {
        let (start, step) = (op.start[i] as usize, op.step[i]);
        ensure!(step != 0, "step={:?} must not be 0", op.step);
        ensure!(
            start <= size,
            "start={:?} lies outside of {x} in dimension {i}",
            op.start
        );
        let apart = step.unsigned_abs() as usize;
        let most = if start == size {
            0
        } else if step > 0 {
            (size - start).div_ceil(apart)
        } else {
            start / apart + 1
        };
        let count = io.wanted.map_or(most, |w| w.shape[i]);
        ensure!(
            count <= most,
            "{count} elements of dimension {i} of {x} from start {start} with step {step}: there are {most}"
        );
        shape.push(count);
    }
    Ok(vec![x.with_shape(shape)])
}

pub(super) fn interpret(op: &Slice, io: &Io<'_>) -> Result<Vec<Tensor>> {
    let (x, y) = (io.dense(0)?, io.result());
    let positions = coordinates(&y.shape).map(|mut at| {
        for (i, at) in at.iter_mut().enumerate() {
            *at = (op.start[i] as i64 + *at as i64 * op.step[i] as i64) as usize;
        }
        position(&x.shape, &at)
    });
    io.give(x.data.pick(positions))
}

//! `concat`: operands one after the other along an axis.

use super::Signature;
use super::index::{coordinates, position};
use super::interpret::Io;
use crate::ir::{Data, Tensor, Type};
use anyhow::{Result, ensure};
use ternrt::ops::table::Concat;

pub(super) fn infer(op: &Concat, io: &Signature<'_>) -> Result<Vec<Type>> {
    let first = io.input(0)?;
    let axis = io.axis(op.axis, first)?;
    let mut shape = first.shape.clone();
    let count = io.inputs.iter().rposition(|x| x.is_some());
    for i in 1..=count.unwrap_or(0) {
        let x = io.input(i)?;
        ensure!(
            x.dtype == first.dtype && x.quant == first.quant,
            "operands {first} and {x} must have one dtype and scale"
        );
        let fits = x.shape.len() == shape.len()
            && (0..shape.len()).all(|d| d == axis || x.shape[d] == shape[d]);
        ensure!(
            fits,
            "axis={axis}: operands {first} and {x} differ in other dimensions"
        );
        shape[axis] += x.shape[axis];
    }
    Ok(vec![first.with_shape(shape)])
}

pub(super) fn interpret(op: &Concat, io: &Io<'_>) -> Result<Vec<Tensor>> {
    let (parts, y, axis) = (io.all_dense()?, io.result(), op.axis as usize);
    // All elements in a row, and where each operand starts.
    let mut data = Data::zeros(y.dtype, 0);
    let mut starts = Vec::new();
    for part in &parts {
        ensure!(part.dtype() == y.dtype, "operands differ in dtype");
        starts.push(data.len());
        data.append(&part.data);
    }
    let positions = coordinates(&y.shape).map(|mut at| {
        let mut i = 0;
        while at[axis] >= parts[i].shape[axis] {
            at[axis] -= parts[i].shape[axis];
            i += 1;
        }
        starts[i] + position(&parts[i].shape, &at)
    });
    io.give(data.pick(positions))
}

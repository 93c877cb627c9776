//! `softmax` and log-softmax over one axis.

use super::Signature;
use super::elementary;
use super::interpret::Io;
use crate::ir::{Data, Tensor, Type};
use anyhow::Result;
use ternrt::kernels::eltwise::{Unary, UnaryKind};
use ternrt::ops::table::Softmax;

pub(super) fn infer(op: &Softmax, io: &Signature<'_>) -> Result<Vec<Type>> {
    let x = io.f32(0)?;
    io.axis(op.axis, x)?;
    Ok(vec![x.clone()])
}

/// `exp(x - max) / sum(exp(x - max))`, or its logarithm `x - max - log(sum)`.
pub(super) fn interpret(op: &Softmax, io: &Io<'_>) -> Result<Vec<Tensor>> {
    let (x, shape) = (io.f32(0)?, &io.dense(0)?.shape);
    let axis = op.axis as usize;
    let inner: usize = shape[axis + 1..].iter().product();
    let size = shape[axis];
    let mut y = vec![0.0; x.len()];
    for first in (0..x.len()).filter(|i| (i / inner).is_multiple_of(size)) {
        let line = |t: usize| first + t * inner;
        let larger = |m, t| if x[line(t)] > m { x[line(t)] } else { m };
        let largest = (0..size).fold(f32::NEG_INFINITY, larger);
        let shifted: Vec<f32> = (0..size).map(|t| x[line(t)] - largest).collect();
        let exponentials = elementary::unary(&Unary::new(UnaryKind::Exp), &shifted)?;
        let sum = exponentials.iter().fold(0.0, |s, e| s + e);
        let log = elementary::unary(&Unary::new(UnaryKind::Log), &[sum])?[0];
        for t in 0..size {
            y[line(t)] = if op.log {
                shifted[t] - log
            } else {
                exponentials[t] / sum
            };
        }
    }
    io.give(Data::F32(y))
}

//! `gemm`: product of rows with a constant matrix.

use super::interpret::Io;
use super::{Signature, product};
use crate::ir::{Tensor, Type};
use anyhow::{Result, bail};
use ternrt::ops::table::Gemm;

pub(super) fn infer(op: &Gemm, io: &Signature<'_>) -> Result<Vec<Type>> {
    let (x, w) = (io.input(0)?, io.input(1)?);
    let Some((&k, leading)) = x.shape.split_last() else {
        bail!("operand \"x\" is {x}, must be [..,k]");
    };
    let [n, _] = w.shape[..] else {
        bail!("operand \"w\" is {w}, must be [n,k]");
    };
    let shape = leading.iter().copied().chain([n]).collect();
    Ok(vec![product::infer(io, &op.activation, shape, &[n, k], k)?])
}

pub(super) fn interpret(op: &Gemm, io: &Io<'_>) -> Result<Vec<Tensor>> {
    let (x, y) = (io.dense(0)?, io.result());
    let (k, n) = (x.shape[x.shape.len() - 1], y.shape[y.shape.len() - 1]);
    let walk = product::Walk {
        positions: x.data.len() / k,
        taps: 1,
        groups: 1,
        channels: k,
        outputs: n,
        source: |p, _| Some(p),
    };
    product::interpret(io, &walk, &op.activation)
}

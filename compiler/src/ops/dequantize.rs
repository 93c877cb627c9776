//! `dequantize`: quantised integers back to f32.

use super::Signature;
use super::interpret::Io;
use super::quantize::integers;
use crate::ir::{Data, Tensor, Type};
use anyhow::{Result, ensure};
use ternrt::DType;
use ternrt::ops::table::Dequantize;

pub(super) fn infer(_: &Dequantize, io: &Signature<'_>) -> Result<Vec<Type>> {
    let q = io.input(0)?;
    ensure!(
        q.quant.is_some(),
        "operand \"q\" is {q}, must be i8 or i16 with a scale"
    );
    Ok(vec![Type::new(DType::F32, q.shape.clone())])
}

pub(super) fn interpret(_: &Dequantize, io: &Io<'_>) -> Result<Vec<Tensor>> {
    let scale = io.arg(0)?.scale;
    let x = integers(io.dense(0)?)?
        .into_iter()
        .map(|q| q as f32 * scale)
        .collect();
    io.give(Data::F32(x))
}

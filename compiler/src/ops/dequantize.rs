//! `dequantize`: quantised integers back to f32.

use super::Signature;
use crate::ir::Type;
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

//! What products with constant weights share: bias, residual, integer bounds.

use super::Signature;
use crate::ir::Type;
use anyhow::{Result, bail, ensure};
use ternrt::DType;

/// Checks `x`, weights, bias and residual of a product whose result has this
/// shape and whose sums have `terms` terms; returns the result's type.
pub(crate) fn infer(
    io: &Signature<'_>,
    shape: Vec<usize>,
    weights: &[usize],
    terms: usize,
) -> Result<Type> {
    activation(io, 0)?;
    let x = io.input(0)?;
    if let Some(quant) = x.quant {
        // The i32 sum of `terms` products of an activation and a trit is exact.
        ensure!(
            terms as u128 * quant.qmax as u128 <= i32::MAX as u128,
            "sums of {terms} terms of operand \"x\" {x} can overflow 32 bits; at most {} are supported",
            i32::MAX / quant.qmax
        );
    }
    let w = io.f32(1)?;
    ensure!(
        w.shape == weights,
        "operand \"w\" is {w}, must be {weights:?} for x {x}"
    );
    if let Some(bias) = io.optional(2) {
        let outputs = shape.last().copied().unwrap_or(1);
        io.f32(2)?;
        ensure!(
            bias.shape == [outputs],
            "operand \"bias\" is {bias}, must be [{outputs}]"
        );
    }
    if let Some(residual) = io.optional(3) {
        activation(io, 3)?;
        ensure!(
            residual.shape == shape,
            "operand \"residual\" is {residual}, must have the result's shape {shape:?}"
        );
    }
    let mut result = Type::new(DType::F32, shape);
    if let Some(wanted) = io.wanted {
        match (wanted.dtype, wanted.quant) {
            (DType::F32, None) => {}
            (DType::I8, Some(q)) if (1..=i8::MAX as i32).contains(&q.qmax) => {}
            (DType::I16, Some(q)) if (1..=i16::MAX as i32).contains(&q.qmax) => {}
            _ => bail!("the result cannot be {wanted}: f32, or i8 or i16 with a scale"),
        }
        result.dtype = wanted.dtype;
        result.quant = wanted.quant;
    }
    Ok(result)
}

/// Operand `i` must be f32 or quantised.
fn activation(io: &Signature<'_>, i: usize) -> Result<()> {
    let ty = io.input(i)?;
    ensure!(
        ty.quant.is_some() || ty.dtype == DType::F32,
        "operand {:?} is {ty}, must be f32, or i8 or i16 with a scale",
        io.operand(i)
    );
    Ok(())
}

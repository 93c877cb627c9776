//! What products with constant weights share: bias, residual, integer bounds.

use super::Signature;
use super::unary::check_activation;
use crate::ir::{Quant, Scale, Type};
use anyhow::{Result, bail, ensure};
use ternrt::DType;
use ternrt::kernels::eltwise::Unary;

/// Checks activation function, `x`, weights, bias and residual of a product whose result has this
/// shape and whose sums have `terms` terms; returns the result's type.
pub(crate) fn infer(
    io: &Signature<'_>,
    function: &Unary,
    shape: Vec<usize>,
    weights: &[usize],
    terms: usize,
) -> Result<Type> {
    check_activation(function)?;
    real(io, 0)?;
    let x = io.input(0)?;
    if x.quant.is_some() {
        // Kernels hold trits as 0..=2, so a sum reaches 2 * max|x| * terms.
        let largest = if x.dtype == DType::I8 {
            1 << 7
        } else {
            1 << 15
        };
        let most = i32::MAX as usize / (2 * largest);
        ensure!(
            terms <= most,
            "sums of {terms} terms of operand \"x\" {x} can overflow 32 bits; at most {most} are supported"
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
        real(io, 3)?;
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
        if let Some(Quant {
            scale: Scale::Dynamic(_),
            ..
        }) = wanted.quant
        {
            bail!("the result cannot be {wanted}: its scale must be static");
        }
        result.dtype = wanted.dtype;
        result.quant = wanted.quant;
    }
    Ok(result)
}

/// Operand `i` must be f32 or quantised.
fn real(io: &Signature<'_>, i: usize) -> Result<()> {
    let ty = io.input(i)?;
    ensure!(
        ty.quant.is_some() || ty.dtype == DType::F32,
        "operand {:?} is {ty}, must be f32, or i8 or i16 with a scale",
        io.operand(i)
    );
    Ok(())
}

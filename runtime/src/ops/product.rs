//! What conv2d, depthwise_conv2d and gemm share: operands 0 `x`, 1 `w`,
//! 2 `bias`, 3 `residual`, result 0 `y`, and the steps after the sum.
//!
//! - `x`, `residual` and `y` are f32 or quantised, each on its own; integer
//!   `x` needs ternary weights, and the scale of an integer `y` is a constant;
//! - `w` is a constant in a panel codec, with one scale an output or none;
//! - `bias` is f32, one value an output.

use super::operand::{Arg, ensure, is_plain_f32};
use super::unary::works_on;
use super::{Exec, Operands};
use crate::Error;
use crate::format::tensor::{Place, Tensor};
use tern_kernels::eltwise::Unary;
use tern_kernels::{Codec, DType, Epilogue, Matrix, Residual, Weights, max_k};

/// Checks all that does not depend on the op's geometry: `matrix` is the shape
/// of the weight array and `w_dims` the one that the record must state.
pub(super) fn check(
    io: &Operands<'_>,
    activation: &Unary,
    matrix: &Matrix,
    w_dims: &[usize],
) -> Result<(), Error> {
    let (x, y) = (Arg::input(io, 0)?, Arg::output(io, 0)?);
    x.ensure_real()?;
    y.ensure_real()?;
    y.ensure_static()?;
    ensure(works_on(activation, DType::F32))?;

    let w = io.input(1)?;
    let (dims, rank) = w.shape();
    ensure(dims.get(..rank) == Some(w_dims))?;
    ensure(w.place == Place::Data && w.dtype == DType::F32 && w.qmax == 0)?;
    ensure(w.codec != Codec::Plain)?;
    ensure(
        w.codec
            .packed_len(matrix)
            .is_some_and(|len| len as u64 == w.len),
    )?;
    let outputs = matrix.groups * matrix.outputs;
    if let Some(scale) = io.input_scale(1) {
        ensure(scale.place == Place::Data && is_plain_f32(scale) && scale.elements() == outputs)?;
    }
    if x.quantised() {
        let k = matrix
            .taps
            .checked_mul(matrix.channels)
            .ok_or(Error::BadOp)?;
        ensure(k <= max_k(x.dtype(), w.codec))?;
    }

    if let Some(bias) = io.optional(2) {
        ensure(is_plain_f32(bias) && bias.elements() == outputs)?;
    }
    if let Some(residual) = Arg::optional(io, 3)? {
        residual.ensure_real()?;
        residual.ensure_dims(&y.dims)?;
    }
    Ok(())
}

/// Operand 1.
pub(super) fn weights<'a>(io: &Operands<'_>, exec: &Exec<'a>) -> Result<Weights<'a>, Error> {
    let w = io.input(1)?;
    let scale = io.input_scale(1).map(|s| exec.f32(s)).transpose()?;
    Ok(Weights {
        codec: w.codec,
        bytes: exec.data(w)?,
        scale,
    })
}

/// Operands 2 and 3, and all scales of activations.
pub(super) fn epilogue<'a>(
    io: &Operands<'_>,
    activation: &Unary,
    exec: &Exec<'a>,
) -> Result<Epilogue<'a>, Error> {
    let bias = io.optional(2).map(|b| exec.f32(b)).transpose()?;
    let residual = match io.optional(3) {
        Some(r) => Some(Residual {
            values: exec.view(r)?,
            scale: scale(io.input_scale(3), exec)?,
        }),
        None => None,
    };
    Ok(Epilogue {
        x_scale: scale(io.input_scale(0), exec)?,
        x_qmax: io.input(0)?.qmax as i32,
        x_non_negative: io.input(0)?.non_negative,
        bias,
        residual,
        activation: *activation,
        out_scale: scale(io.output_scale(0), exec)?,
        qmax: io.output(0)?.qmax as i32,
    })
}

/// The value of an activation's scale tensor; 1.0 where there is none.
pub(super) fn scale(tensor: Option<&Tensor>, exec: &Exec<'_>) -> Result<f32, Error> {
    match tensor {
        Some(t) => exec.f32(t)?.first().copied().ok_or(Error::BadOp),
        None => Ok(1.0),
    }
}

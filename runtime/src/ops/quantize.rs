//! `quantize`. Where result 1 is present it is the very scale tensor of result
//! 0, and the op computes it; where it is absent that tensor is a constant.

use super::operand::{Arg, ensure, same_bytes};
use super::table::Quantize;
use super::{Exec, Operands, product};
use crate::Error;
use crate::format::tensor::Place;
use tern_kernels::{Caps, DType, quantize};

pub(super) fn check(_: &Quantize, io: &Operands<'_>) -> Result<(), Error> {
    let (x, q) = (Arg::input(io, 0)?, Arg::output(io, 0)?);
    x.ensure_is(DType::F32)?;
    q.ensure_dims(&x.dims)?;
    let scale = q.scale.ok_or(Error::BadOp)?;
    if io.has_output(1) {
        let computed = Arg::output(io, 1)?;
        computed.ensure_is(DType::F32)?;
        ensure(scale.place == Place::Arena && same_bytes(scale, computed.tensor))
    } else {
        q.ensure_static()
    }
}

pub(super) fn scratch(_: &Quantize, _: &Operands<'_>, _: Caps, _: usize) -> usize {
    0
}

pub(super) fn run(_: &Quantize, io: &Operands<'_>, exec: &mut Exec<'_>) -> Result<(), Error> {
    let x = exec.f32(io.input(0)?)?;
    let qmax = io.output(0)?.qmax as i32;
    let scale = if io.has_output(1) {
        let scale = quantize::dynamic_scale(&mut exec.ctx(), x, qmax);
        *exec
            .f32_mut(io.output(1)?)?
            .first_mut()
            .ok_or(Error::BadOp)? = scale;
        scale
    } else {
        product::scale(io.output_scale(0), exec)?
    };
    let q = exec.view_mut(io.output(0)?)?;
    Ok(quantize::quantize(&mut exec.ctx(), x, scale, qmax, q)?)
}

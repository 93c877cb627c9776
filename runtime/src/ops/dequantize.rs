//! `dequantize`.

use super::operand::{Arg, ensure};
use super::table::Dequantize;
use super::{Exec, Operands, product};
use crate::Error;
use tern_kernels::{Caps, DType, quantize};

pub(super) fn check(_: &Dequantize, io: &Operands<'_>) -> Result<(), Error> {
    let (q, x) = (Arg::input(io, 0)?, Arg::output(io, 0)?);
    ensure(q.quantised())?;
    x.ensure_is(DType::F32)?;
    x.ensure_dims(&q.dims)
}

pub(super) fn scratch(_: &Dequantize, _: &Operands<'_>, _: Caps, _: usize) -> usize {
    0
}

pub(super) fn run(_: &Dequantize, io: &Operands<'_>, exec: &mut Exec<'_>) -> Result<(), Error> {
    let q = exec.view(io.input(0)?)?;
    let scale = product::scale(io.input_scale(0), exec)?;
    let x = exec.f32_mut(io.output(0)?)?;
    Ok(quantize::dequantize(&mut exec.ctx(), q, scale, x)?)
}

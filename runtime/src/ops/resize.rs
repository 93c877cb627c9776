//! `resize`.

use super::operand::{Arg, ensure};
use super::table::Resize;
use super::{Exec, Operands};
use crate::Error;
use tern_kernels::movement::{self, ResizeMode};
use tern_kernels::{Caps, DType};

pub(super) fn check(op: &Resize, io: &Operands<'_>) -> Result<(), Error> {
    let (x, y) = (Arg::input(io, 0)?, Arg::output(io, 0)?);
    y.ensure_same_type(&x)?;
    ensure(op.mode != ResizeMode::Linear || x.dtype() == DType::F32)?;
    ensure(op.scale.iter().all(|s| s.is_finite() && *s > 0.0))?;
    ensure(
        x.dims.len() == 4 && y.dims.len() == 4 && x.dims[0] == y.dims[0] && x.dims[3] == y.dims[3],
    )
}

pub(super) fn scratch(_: &Resize, _: &Operands<'_>, _: Caps, _: usize) -> usize {
    0
}

pub(super) fn run(op: &Resize, io: &Operands<'_>, exec: &mut Exec<'_>) -> Result<(), Error> {
    let (x_dims, y_dims) = (Arg::input(io, 0)?.dims, Arg::output(io, 0)?.dims);
    let (&[batch, in_height, in_width, channels], &[_, out_height, out_width, _]) =
        (&*x_dims, &*y_dims)
    else {
        return Err(Error::BadOp);
    };
    let (input, output) = ([in_height, in_width], [out_height, out_width]);
    let x = exec.view(io.input(0)?)?;
    let y = exec.view_mut(io.output(0)?)?;
    let ctx = &mut exec.ctx();
    Ok(movement::resize(
        ctx,
        batch,
        input,
        output,
        channels,
        op.scale,
        op.mode,
        op.coordinates,
        x,
        y,
    )?)
}

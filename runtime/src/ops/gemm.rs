//! `gemm`.

use super::operand::Arg;
use super::table::Gemm;
use super::{Exec, Operands, product};
use crate::Error;
use tern_kernels::gemm::{self, GemmShape};
use tern_kernels::{Caps, Matrix};

/// `x [.., k]` and `y [.., n]` with equal leading dimensions, which are the rows.
pub(super) fn shape(io: &Operands<'_>) -> Result<GemmShape, Error> {
    let (x, y) = (Arg::input(io, 0)?, Arg::output(io, 0)?);
    let (&k, rows) = x.dims.split_last().ok_or(Error::BadOp)?;
    let (&n, y_rows) = y.dims.split_last().ok_or(Error::BadOp)?;
    if rows != y_rows {
        return Err(Error::BadOp);
    }
    Ok(GemmShape {
        m: rows.iter().product(),
        n,
        k,
    })
}

pub(super) fn check(op: &Gemm, io: &Operands<'_>) -> Result<(), Error> {
    let GemmShape { n, k, .. } = shape(io)?;
    let matrix = Matrix {
        groups: 1,
        outputs: n,
        taps: 1,
        channels: k,
    };
    product::check(io, &op.activation, &matrix, &[n, k])
}

pub(super) fn scratch(_: &Gemm, io: &Operands<'_>, caps: Caps, threads: usize) -> usize {
    let (Ok(shape), Ok(x), Ok(w)) = (shape(io), io.input(0), io.input(1)) else {
        return 0;
    };
    gemm::scratch(caps, threads, &shape, x.dtype, w.codec)
}

pub(super) fn run(op: &Gemm, io: &Operands<'_>, exec: &mut Exec<'_>) -> Result<(), Error> {
    let shape = shape(io)?;
    let x = exec.view(io.input(0)?)?;
    let w = product::weights(io, exec)?;
    let epilogue = product::epilogue(io, &op.activation, exec)?;
    let y = exec.view_mut(io.output(0)?)?;
    Ok(gemm::run(&mut exec.ctx(), &shape, x, &w, &epilogue, y)?)
}

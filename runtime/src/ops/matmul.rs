//! `matmul`.

use super::operand::{Arg, ensure};
use super::table::MatMul;
use super::{Exec, Operands};
use crate::Error;
use tern_kernels::matmul::{self, MatMulShape};
use tern_kernels::{Caps, DType, MAX_RANK};

/// Dimensions before the last two, aligned at the right and filled up with 1.
fn leading(dims: &[usize]) -> Option<([usize; MAX_RANK], [usize; 2])> {
    let (leading, matrix) = dims.split_last_chunk::<2>()?;
    let mut aligned = [1; MAX_RANK];
    aligned[MAX_RANK - leading.len()..].copy_from_slice(leading);
    Some((aligned, *matrix))
}

pub(super) fn shape(op: &MatMul, io: &Operands<'_>) -> Result<MatMulShape, Error> {
    let (a, b, y) = (Arg::input(io, 0)?, Arg::input(io, 1)?, Arg::output(io, 0)?);
    let rank = a.dims.len().max(b.dims.len());
    let (a_leading, mut a) = leading(&a.dims).ok_or(Error::BadOp)?;
    let (b_leading, mut b) = leading(&b.dims).ok_or(Error::BadOp)?;
    let (y_leading, [y_rows, y_columns]) = leading(&y.dims).ok_or(Error::BadOp)?;
    if op.transpose_a {
        a.reverse();
    }
    if op.transpose_b {
        b.reverse();
    }
    let ([m, k], [b_rows, n]) = (a, b);
    ensure(k == b_rows && m == y_rows && n == y_columns && y.dims.len() == rank)?;

    let same = a_leading == b_leading;
    let (broadcast_a, broadcast_b) = (
        !same && a_leading == [1; MAX_RANK],
        !same && b_leading == [1; MAX_RANK],
    );
    ensure(same || broadcast_a || broadcast_b)?;
    ensure(y_leading == if broadcast_a { b_leading } else { a_leading })?;
    let (transpose_a, transpose_b) = (op.transpose_a, op.transpose_b);
    let batch = y_leading.iter().product();
    Ok(MatMulShape {
        batch,
        m,
        k,
        n,
        broadcast_a,
        broadcast_b,
        transpose_a,
        transpose_b,
    })
}

pub(super) fn check(op: &MatMul, io: &Operands<'_>) -> Result<(), Error> {
    Arg::input(io, 0)?.ensure_is(DType::F32)?;
    Arg::input(io, 1)?.ensure_is(DType::F32)?;
    Arg::output(io, 0)?.ensure_is(DType::F32)?;
    shape(op, io).map(|_| ())
}

pub(super) fn scratch(_: &MatMul, _: &Operands<'_>, _: Caps, _: usize) -> usize {
    0
}

pub(super) fn run(op: &MatMul, io: &Operands<'_>, exec: &mut Exec<'_>) -> Result<(), Error> {
    let shape = shape(op, io)?;
    let (a, b) = (exec.f32(io.input(0)?)?, exec.f32(io.input(1)?)?);
    let y = exec.f32_mut(io.output(0)?)?;
    Ok(matmul::run(&mut exec.ctx(), &shape, a, b, y)?)
}

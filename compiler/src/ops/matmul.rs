//! `matmul`: batched product of two computed matrices.

use super::index::{broadcast_position, coordinates};
use super::interpret::Io;
use super::{Signature, broadcast_shapes};
use crate::ir::{Data, Tensor, Type};
use anyhow::{Result, bail, ensure};
use ternrt::DType;
use ternrt::ops::table::MatMul;

pub(super) fn infer(op: &MatMul, io: &Signature<'_>) -> Result<Vec<Type>> {
    let (a, b) = (io.f32(0)?, io.f32(1)?);
    let ([batch_a @ .., a0, a1], [batch_b @ .., b0, b1]) = (&a.shape[..], &b.shape[..]) else {
        bail!("operands {a} and {b} must be matrices");
    };
    let (m, k) = if op.transpose_a { (a1, a0) } else { (a0, a1) };
    let (kb, n) = if op.transpose_b { (b1, b0) } else { (b0, b1) };
    ensure!(
        k == kb,
        "{a} (transpose_a={}) has {k} columns, {b} (transpose_b={}) has {kb} rows",
        op.transpose_a,
        op.transpose_b
    );
    let strip = |s: &[usize]| {
        s.iter()
            .copied()
            .skip_while(|&d| d == 1)
            .collect::<Vec<_>>()
    };
    let (inner_a, inner_b) = (strip(batch_a), strip(batch_b));
    ensure!(
        inner_a == inner_b || inner_a.is_empty() || inner_b.is_empty(),
        "leading dimensions of {a} and {b} must be equal, or all 1 on one side"
    );
    let Some(mut shape) = broadcast_shapes(&[batch_a, batch_b]) else {
        bail!("leading dimensions of {a} and {b} do not match");
    };
    shape.extend([m, n]);
    Ok(vec![Type::new(DType::F32, shape)])
}

pub(super) fn interpret(op: &MatMul, io: &Io<'_>) -> Result<Vec<Tensor>> {
    let (a, b) = (io.f32(0)?, io.f32(1)?);
    let (a_shape, b_shape) = (&io.dense(0)?.shape, &io.dense(1)?.shape);
    let y_shape = &io.result().shape;
    let split = |shape: &'_ [usize]| shape.len() - 2;
    let (leading, [m, n]) = (
        &y_shape[..split(y_shape)],
        [y_shape[split(y_shape)], y_shape[split(y_shape) + 1]],
    );
    let k = a_shape[split(a_shape) + if op.transpose_a { 0 } else { 1 }];
    let mut y = vec![0.0; io.result().elements()];
    for (matrix, at) in y.chunks_exact_mut(m * n).zip(coordinates(leading)) {
        let start = |shape: &[usize], size| {
            broadcast_position(&shape[..split(shape)], leading.len(), &at) * size
        };
        let (a, b) = (&a[start(a_shape, m * k)..], &b[start(b_shape, k * n)..]);
        for (i, row) in matrix.chunks_exact_mut(n).enumerate() {
            for t in 0..k {
                let a = a[if op.transpose_a { t * m + i } else { i * k + t }];
                for (j, sum) in row.iter_mut().enumerate() {
                    *sum += a * b[if op.transpose_b { j * k + t } else { t * n + j }];
                }
            }
        }
    }
    io.give(Data::F32(y))
}

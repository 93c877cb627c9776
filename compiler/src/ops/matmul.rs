//! `matmul`: batched product of two computed matrices.

use super::{Signature, broadcast_shapes};
use crate::ir::Type;
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

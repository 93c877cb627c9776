//! `reduce`: sums, extremes and the like over any set of axes.

use super::Signature;
use crate::ir::Type;
use anyhow::{Result, ensure};
use ternrt::DType;
use ternrt::kernels::reduce::ReduceKind;
use ternrt::ops::table::Reduce;

pub(super) fn infer(op: &Reduce, io: &Signature<'_>) -> Result<Vec<Type>> {
    use ReduceKind::*;
    let x = match op.function {
        Mean => io.f32(0)?,
        _ => io.of(0, &[DType::F32, DType::I32, DType::I64])?,
    };
    let rank = x.shape.len();
    ensure!(
        op.axes >> rank == 0,
        "axes={:#b} name dimensions that {x} does not have",
        op.axes
    );
    let arg = matches!(op.function, ArgMax | ArgMin | ArgMaxLast | ArgMinLast);
    ensure!(
        !arg || op.axes.count_ones() == 1,
        "axes={:#b}: exactly one axis is needed",
        op.axes
    );
    let reduced = |i: usize| op.axes >> i & 1 == 1;
    let dtype = if arg { DType::I64 } else { x.dtype };
    let kept: Vec<usize> = (0..rank)
        .map(|i| if reduced(i) { 1 } else { x.shape[i] })
        .collect();
    let removed: Vec<usize> = (0..rank)
        .filter(|&i| !reduced(i))
        .map(|i| x.shape[i])
        .collect();
    let shape = match io.wanted {
        Some(wanted) if wanted.shape == removed => removed,
        _ => kept,
    };
    Ok(vec![Type::new(dtype, shape)])
}

//! `reduce`: sums, extremes and the like over any set of axes.

use super::Signature;
use super::index::{broadcast_position, coordinates};
use super::interpret::Io;
use crate::ir::{Data, Tensor, Type};
use anyhow::{Result, bail, ensure};
use std::ops::{Add, Mul};
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

pub(super) fn interpret(op: &Reduce, io: &Io<'_>) -> Result<Vec<Tensor>> {
    let x = io.dense(0)?;
    let (kind, cells) = (op.function, Cells::new(&x.shape, op.axes));
    io.give(match &x.data {
        Data::F32(v) => match fold(kind, v, &cells) {
            Some(mut sums) if kind == ReduceKind::Mean => {
                let count = (v.len() / sums.len()) as f32;
                sums.iter_mut().for_each(|sum| *sum /= count);
                Data::F32(sums)
            }
            Some(results) => Data::F32(results),
            None => Data::I64(indices(kind, v, &cells)),
        },
        Data::I32(v) => match fold(kind, v, &cells) {
            Some(results) => Data::I32(results),
            None => Data::I64(indices(kind, v, &cells)),
        },
        Data::I64(v) => match fold(kind, v, &cells) {
            Some(results) => Data::I64(results),
            None => Data::I64(indices(kind, v, &cells)),
        },
        data => bail!("no reduction of {}", data.dtype().name()),
    })
}

/// The positions of the operand's elements that each result is made of, in
/// row-major order.
struct Cells(Vec<Vec<usize>>);

impl Cells {
    fn new(shape: &[usize], axes: u8) -> Cells {
        let kept: Vec<usize> = (0..shape.len())
            .map(|i| if axes >> i & 1 == 1 { 1 } else { shape[i] })
            .collect();
        let mut cells = vec![Vec::new(); kept.iter().product()];
        for (i, at) in coordinates(shape).enumerate() {
            cells[broadcast_position(&kept, shape.len(), &at)].push(i);
        }
        Cells(cells)
    }
}

/// Arithmetic of one dtype; integers wrap.
trait Number: Copy + PartialOrd {
    const ZERO: Self;
    const ONE: Self;
    const LOWEST: Self;
    const HIGHEST: Self;
    fn plus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
}

macro_rules! number {
    ($t:ty, $zero:expr, $one:expr, $lowest:expr, $highest:expr, $plus:expr, $times:expr) => {
        impl Number for $t {
            const ZERO: $t = $zero;
            const ONE: $t = $one;
            const LOWEST: $t = $lowest;
            const HIGHEST: $t = $highest;
            fn plus(self, other: $t) -> $t {
                $plus(self, other)
            }
            fn times(self, other: $t) -> $t {
                $times(self, other)
            }
        }
    };
}
number!(
    f32,
    0.0,
    1.0,
    f32::NEG_INFINITY,
    f32::INFINITY,
    f32::add,
    f32::mul
);
number!(
    i32,
    0,
    1,
    i32::MIN,
    i32::MAX,
    i32::wrapping_add,
    i32::wrapping_mul
);
number!(
    i64,
    0,
    1,
    i64::MIN,
    i64::MAX,
    i64::wrapping_add,
    i64::wrapping_mul
);

/// A reduction to elements of the same dtype; `None` for the others. NaN never
/// is the largest or smallest.
fn fold<T: Number>(kind: ReduceKind, v: &[T], cells: &Cells) -> Option<Vec<T>> {
    use ReduceKind::*;
    let (start, step): (T, fn(T, T) -> T) = match kind {
        Sum | Mean => (T::ZERO, T::plus),
        SumSquare => (T::ZERO, |sum, x| sum.plus(x.times(x))),
        Prod => (T::ONE, T::times),
        Max => (T::LOWEST, |best, x| if x > best { x } else { best }),
        Min => (T::HIGHEST, |best, x| if x < best { x } else { best }),
        ArgMax | ArgMin | ArgMaxLast | ArgMinLast => return None,
    };
    let cell = |cell: &Vec<usize>| cell.iter().fold(start, |a, &i| step(a, v[i]));
    Some(cells.0.iter().map(cell).collect())
}

/// Indices of the first or last extreme elements along the one reduced axis.
fn indices<T: Number>(kind: ReduceKind, v: &[T], cells: &Cells) -> Vec<i64> {
    use ReduceKind::*;
    let beats: fn(T, T) -> bool = match kind {
        ArgMax | ArgMaxLast => |a, b| a > b,
        _ => |a, b| a < b,
    };
    let last = matches!(kind, ArgMaxLast | ArgMinLast);
    let extreme = |cell: &Vec<usize>| {
        let mut best = 0;
        for i in 1..cell.len() {
            let (new, old) = (v[cell[i]], v[cell[best]]);
            if beats(new, old) || (last && !beats(old, new)) {
                best = i;
            }
        }
        best as i64
    };
    cells.0.iter().map(extreme).collect()
}

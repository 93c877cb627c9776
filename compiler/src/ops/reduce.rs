//! `reduce`: sums, extremes and the like over any set of axes.

use super::Signature;
use super::index::{broadcast_position, coordinates};
use super::interpret::Io;
use crate::ir::{Data, Tensor, Type};
use anyhow::{Result, bail, ensure};
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
    let cells = Cells::new(&x.shape, op.axes);
    io.give(match &x.data {
        Data::F32(v) => reduce_f32(op.function, v, &cells),
        Data::I32(v) => reduce_i32(op.function, v, &cells),
        Data::I64(v) => reduce_i64(op.function, v, &cells),
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

    fn map<T: Copy, R>(&self, v: &[T], f: impl Fn(&mut dyn Iterator<Item = T>) -> R) -> Vec<R> {
        let cell = |cell: &Vec<usize>| f(&mut cell.iter().map(|&i| v[i]));
        self.0.iter().map(cell).collect()
    }
}

/// Index of the element that all others lose against: the first such, or the last.
fn arg<T: Copy>(v: &mut dyn Iterator<Item = T>, beats: impl Fn(T, T) -> bool) -> i64 {
    let mut best: Option<(i64, T)> = None;
    for (i, x) in (0..).zip(v) {
        if best.is_none_or(|(_, b)| beats(x, b)) {
            best = Some((i, x));
        }
    }
    best.map_or(0, |(i, _)| i)
}

macro_rules! reduce {
    ($name:ident, $t:ty, $variant:ident, $zero:expr, $one:expr, $add:expr, $mul:expr, $mean:expr) => {
        fn $name(kind: ReduceKind, v: &[$t], cells: &Cells) -> Data {
            use ReduceKind::*;
            let (add, mul, mean): (fn($t, $t) -> $t, fn($t, $t) -> $t, fn($t, usize) -> $t) =
                ($add, $mul, $mean);
            let better = |best: fn($t, $t) -> bool| {
                Data::$variant(cells.map(v, |v| {
                    v.reduce(|a, b| if best(b, a) { b } else { a })
                        .unwrap_or($zero)
                }))
            };
            match kind {
                Sum => Data::$variant(cells.map(v, |v| v.fold($zero, add))),
                Mean => Data::$variant(cells.map(v, |v| {
                    let mut n = 0;
                    let sum = v.inspect(|_| n += 1).fold($zero, add);
                    mean(sum, n)
                })),
                Prod => Data::$variant(cells.map(v, |v| v.fold($one, mul))),
                SumSquare => {
                    Data::$variant(cells.map(v, |v| v.fold($zero, |s, x| add(s, mul(x, x)))))
                }
                Max => better(|b, a| b > a),
                Min => better(|b, a| b < a),
                ArgMax => Data::I64(cells.map(v, |v| arg(v, |x, best| x > best))),
                ArgMin => Data::I64(cells.map(v, |v| arg(v, |x, best| x < best))),
                ArgMaxLast => Data::I64(cells.map(v, |v| arg(v, |x, best| x >= best))),
                ArgMinLast => Data::I64(cells.map(v, |v| arg(v, |x, best| x <= best))),
            }
        }
    };
}
reduce!(
    reduce_f32,
    f32,
    F32,
    0.0,
    1.0,
    |a, b| a + b,
    |a, b| a * b,
    |s, n| s / n as f32
);
reduce!(
    reduce_i32,
    i32,
    I32,
    0,
    1,
    i32::wrapping_add,
    i32::wrapping_mul,
    |s, n| s / n as i32
);
reduce!(
    reduce_i64,
    i64,
    I64,
    0,
    1,
    i64::wrapping_add,
    i64::wrapping_mul,
    |s, n| s / n as i64
);

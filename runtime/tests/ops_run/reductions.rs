//! reduce and softmax against formulas in f64.

use crate::array::{Array, Random, filled, unflatten};
use crate::model::{Case, Operand};
use crate::pointwise::check;
use ternrt::DType;
use ternrt::kernels::reduce::ReduceKind;
use ternrt::ops::table::{Reduce, Softmax};

fn reduce(kind: ReduceKind, values: &[f64]) -> f64 {
    let best = |better: fn(f64, f64) -> bool, last: bool| {
        let first = |range: &mut dyn Iterator<Item = usize>| {
            range.reduce(|best, i| {
                if better(values[i], values[best]) {
                    i
                } else {
                    best
                }
            })
        };
        let n = values.len();
        if last {
            first(&mut (0..n).rev())
        } else {
            first(&mut (0..n))
        }
        .unwrap() as f64
    };
    match kind {
        ReduceKind::Sum => values.iter().sum(),
        ReduceKind::Mean => values.iter().sum::<f64>() / values.len() as f64,
        ReduceKind::Max => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        ReduceKind::Min => values.iter().copied().fold(f64::INFINITY, f64::min),
        ReduceKind::Prod => values.iter().product(),
        ReduceKind::SumSquare => values.iter().map(|v| v * v).sum(),
        ReduceKind::ArgMax => best(|a, b| a > b, false),
        ReduceKind::ArgMin => best(|a, b| a < b, false),
        ReduceKind::ArgMaxLast => best(|a, b| a > b, true),
        ReduceKind::ArgMinLast => best(|a, b| a < b, true),
    }
}

#[test]
fn reductions_equal_their_formulas() {
    for kind in ReduceKind::ALL.iter().copied() {
        let is_index = kind.is_index();
        for (dims, dtype) in [
            (&[2, 3, 4, 5][..], DType::F32),
            (&[3, 17], DType::I32),
            (&[7], DType::I64),
            (&[2, 2, 1, 3, 2, 2], DType::F32),
        ] {
            if kind == ReduceKind::Mean && dtype != DType::F32 {
                continue;
            }
            for axes in 0..1u8 << dims.len() {
                if is_index && axes.count_ones() != 1 {
                    continue;
                }
                let mut r = Random(u64::from(axes));
                // Few different values, so that there are ties.
                let x = Array::new(dtype, dims, |_| {
                    if kind == ReduceKind::Prod {
                        r.pick(&[1.0, -1.0, 2.0])
                    } else {
                        r.integer(6)
                    }
                });
                let reduced = |i: usize| axes >> i & 1 == 1;
                let kept: Vec<usize> = (0..dims.len())
                    .filter(|&i| !reduced(i))
                    .map(|i| dims[i])
                    .collect();
                let wanted = filled(if is_index { DType::I64 } else { dtype }, &kept, |at| {
                    let same = |from: &[usize]| {
                        (0..dims.len())
                            .filter(|&i| !reduced(i))
                            .map(|i| from[i])
                            .eq(at.iter().copied())
                    };
                    let values: Vec<f64> = (0..x.values.len())
                        .filter(|&f| same(&unflatten(f, dims)))
                        .map(|f| x.values[f])
                        .collect();
                    reduce(kind, &values)
                });
                let mut result = wanted.clone();
                if axes % 2 == 1 {
                    result.dims = (0..dims.len())
                        .map(|i| if reduced(i) { 1 } else { dims[i] })
                        .collect();
                }
                check(
                    Case::new(
                        Reduce {
                            function: kind,
                            axes,
                        },
                        [Some(Operand::of(x))],
                        [Operand::of(result)],
                    ),
                    &wanted,
                    1e-5,
                );
            }
        }
    }
}

#[test]
fn softmax_equals_its_formula() {
    for (dims, axis) in [
        (&[3, 7][..], 1),
        (&[3, 7], 0),
        (&[2, 5, 19], 1),
        (&[1], 0),
        (&[2, 1000], 1),
    ] {
        for log in [false, true] {
            let mut r = Random(8);
            let x = Array::f32(dims, |_| r.real() * 20.0);
            let wanted = filled(DType::F32, dims, |at| {
                let line = |i| {
                    let mut from = at.to_vec();
                    from[axis] = i;
                    x.at(&from)
                };
                let sum: f64 = (0..dims[axis]).map(|i| (line(i) - x.at(at)).exp()).sum();
                if log { -sum.ln() } else { 1.0 / sum }
            });
            let op = Softmax {
                axis: axis as u8,
                log,
            };
            check(
                Case::new(op, [Some(Operand::of(x))], [Operand::of(wanted.clone())]),
                &wanted,
                1e-5,
            );
        }
    }
}

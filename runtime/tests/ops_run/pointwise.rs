//! unary, binary, where, cast, quantize, dequantize, reduce and softmax
//! against formulas in f64.

use crate::array::{Array, Random, broadcast_index, filled, unflatten};
use crate::model::{Case, Operand, each_level};
use ternrt::DType;
use ternrt::kernels::eltwise::{BinaryKind, Unary, UnaryKind};
use ternrt::kernels::reduce::ReduceKind;
use ternrt::ops::table::{BinaryOp, Cast, Dequantize, Quantize, Reduce, Softmax, UnaryOp, Where};

/// Compares element by element; NaN equals NaN.
#[track_caller]
fn check(case: Case, wanted: &Array, tolerance: f64) {
    each_level(&case, |level, results| {
        for (i, (&got, &wanted)) in results[0].values.iter().zip(&wanted.values).enumerate() {
            let near = got == wanted || (got - wanted).abs() <= tolerance * wanted.abs().max(1.0);
            assert!(
                near || got.is_nan() && wanted.is_nan(),
                "{:?} on {level}: {got} for {wanted} at {i}",
                case.op
            );
        }
    });
}

/// The error function by its series, exact enough for |x| < 6.
fn erf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    (sum * 2.0 / std::f64::consts::PI.sqrt()).clamp(-1.0, 1.0)
}

fn unary(f: &Unary, x: f64) -> f64 {
    let (alpha, beta) = (f64::from(f.alpha), f64::from(f.beta));
    let sigmoid = 1.0 / (1.0 + (-x).exp());
    let softplus = x.exp().ln_1p();
    let elu = if x < 0.0 { alpha * x.exp_m1() } else { x };
    match f.kind {
        UnaryKind::Identity => x,
        UnaryKind::Relu => x.max(0.0),
        UnaryKind::Clip => x.max(alpha).min(beta),
        UnaryKind::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        UnaryKind::HardSigmoid => (alpha * x + beta).clamp(0.0, 1.0),
        UnaryKind::Silu => x * sigmoid,
        UnaryKind::Gelu => x * 0.5 * (1.0 + erf(x / 2f64.sqrt())),
        UnaryKind::GeluTanh => {
            0.5 * x
                * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
        }
        UnaryKind::Sigmoid => sigmoid,
        UnaryKind::Tanh => x.tanh(),
        UnaryKind::LeakyRelu => {
            if x < 0.0 {
                alpha * x
            } else {
                x
            }
        }
        UnaryKind::Elu => elu,
        UnaryKind::Softplus => softplus,
        UnaryKind::Mish => x * softplus.tanh(),
        UnaryKind::Softsign => x / (1.0 + x.abs()),
        UnaryKind::Abs => x.abs(),
        UnaryKind::Neg => -x,
        UnaryKind::Exp => x.exp(),
        UnaryKind::Log => x.ln(),
        UnaryKind::Sqrt => x.sqrt(),
        UnaryKind::Rsqrt => 1.0 / x.sqrt(),
        UnaryKind::Reciprocal => 1.0 / x,
        UnaryKind::Square => x * x,
        UnaryKind::Erf => erf(x),
        UnaryKind::Floor => x.floor(),
        UnaryKind::Ceil => x.ceil(),
        UnaryKind::Round => x.round_ties_even(),
        UnaryKind::Sign => {
            if x == 0.0 {
                0.0
            } else {
                x.signum()
            }
        }
        UnaryKind::Sin => x.sin(),
        UnaryKind::Cos => x.cos(),
        UnaryKind::Not => f64::from(x == 0.0),
        UnaryKind::ThresholdedRelu => {
            if x > alpha {
                x
            } else {
                0.0
            }
        }
        UnaryKind::Selu => beta * elu,
    }
}

#[test]
fn unary_functions_equal_their_formulas() {
    let mut done = 0;
    for kind in UnaryKind::ALL.iter().copied() {
        let (alpha, beta) = match kind {
            UnaryKind::Clip => (-0.5, 0.75),
            UnaryKind::HardSigmoid => (0.25, 0.5),
            UnaryKind::LeakyRelu | UnaryKind::Elu | UnaryKind::ThresholdedRelu => (0.5, 0.0),
            UnaryKind::Selu => (1.6732632, 1.050701),
            _ => (0.0, 0.0),
        };
        let function = Unary { kind, alpha, beta };
        let integers = matches!(
            kind,
            UnaryKind::Neg | UnaryKind::Abs | UnaryKind::Sign | UnaryKind::Identity
        );
        let dtypes: &[DType] = match kind {
            UnaryKind::Not => &[DType::Bool],
            _ if integers => &[DType::F32, DType::I32, DType::I64],
            _ => &[DType::F32],
        };
        for &dtype in dtypes {
            let mut r = Random(done);
            // Halves as well, for the rounding functions.
            let x = Array::new(dtype, &[3, 37], |i| match dtype {
                DType::Bool => f64::from(r.chance(50)),
                DType::F32 if i % 4 == 0 => r.integer(9) / 2.0,
                DType::F32 => r.real() * 5.0,
                _ => r.integer(1000),
            });
            let wanted = Array::new(dtype, &x.dims, |i| unary(&function, x.values[i]));
            let case = Case::new(
                UnaryOp { function },
                [Some(Operand::of(x))],
                [Operand::of(wanted.clone())],
            );
            check(case, &wanted, 4e-6);
            done += 1;
        }
    }
    assert!(done >= 33);
}

fn binary(kind: BinaryKind, a: f64, b: f64, integer: bool) -> f64 {
    let is = |truth: bool| f64::from(truth);
    match kind {
        BinaryKind::Add => a + b,
        BinaryKind::Sub => a - b,
        BinaryKind::Mul => a * b,
        BinaryKind::Div if integer => {
            if b == 0.0 {
                0.0
            } else {
                (a / b).trunc()
            }
        }
        BinaryKind::Div => a / b,
        BinaryKind::Pow => a.powf(b),
        BinaryKind::Min => a.min(b),
        BinaryKind::Max => a.max(b),
        BinaryKind::Mod if b == 0.0 => 0.0,
        BinaryKind::Mod => a - (a / b).floor() * b,
        BinaryKind::Fmod if b == 0.0 => {
            if integer {
                0.0
            } else {
                f64::NAN
            }
        }
        BinaryKind::Fmod => a % b,
        BinaryKind::Equal => is(a == b),
        BinaryKind::Less => is(a < b),
        BinaryKind::LessOrEqual => is(a <= b),
        BinaryKind::Greater => is(a > b),
        BinaryKind::GreaterOrEqual => is(a >= b),
        BinaryKind::And => is(a != 0.0 && b != 0.0),
        BinaryKind::Or => is(a != 0.0 || b != 0.0),
        BinaryKind::Xor => is((a != 0.0) != (b != 0.0)),
        BinaryKind::NotEqual => is(a != b),
    }
}

#[test]
fn binary_functions_equal_their_formulas() {
    let shapes: [(&[usize], &[usize], &[usize]); 6] = [
        (&[3, 5], &[3, 5], &[3, 5]),
        (&[2, 1, 19], &[4, 1], &[2, 4, 19]),
        (&[], &[7], &[7]),
        (&[2, 3, 4, 5], &[5], &[2, 3, 4, 5]),
        (&[1, 3, 1, 1], &[2, 3, 4, 5], &[2, 3, 4, 5]),
        (&[2, 1, 3, 1, 2, 1], &[2, 1, 2, 1, 3], &[2, 2, 3, 2, 2, 3]),
    ];
    let mut done = 0;
    for kind in BinaryKind::ALL.iter().copied() {
        let dtypes: &[DType] = match kind {
            BinaryKind::Pow => &[DType::F32],
            BinaryKind::And | BinaryKind::Or | BinaryKind::Xor => &[DType::Bool],
            BinaryKind::Equal | BinaryKind::NotEqual => {
                &[DType::F32, DType::I32, DType::I64, DType::Bool]
            }
            _ => &[DType::F32, DType::I32, DType::I64],
        };
        for &dtype in dtypes {
            for (a_dims, b_dims, y_dims) in shapes {
                let mut r = Random(done);
                done += 1;
                let mut draw = |dims: &[usize]| {
                    Array::new(dtype, dims, |_| match dtype {
                        DType::Bool => f64::from(r.chance(50)),
                        DType::F32 if kind == BinaryKind::Pow => (r.real() + 1.5) * 1.5,
                        // Multiples of 1/8: sums, products, remainders and comparisons are exact.
                        DType::F32 => r.integer(40) / 8.0,
                        _ => r.integer(12),
                    })
                };
                let (a, b) = (draw(a_dims), draw(b_dims));
                let integer = dtype != DType::F32;
                let at = |x: &Array, index: &[usize]| x.at(&broadcast_index(index, &x.dims));
                let result = if kind.is_comparison() {
                    DType::Bool
                } else {
                    dtype
                };
                let wanted = filled(result, y_dims, |i| {
                    binary(kind, at(&a, i), at(&b, i), integer)
                });
                let op = BinaryOp {
                    function: kind,
                    activation: Unary::IDENTITY,
                };
                let operands = [a.clone(), b.clone()].map(|x| Some(Operand::of(x)));
                let exact = !matches!(kind, BinaryKind::Pow | BinaryKind::Div);
                check(
                    Case::new(op, operands.clone(), [Operand::of(wanted.clone())]),
                    &wanted,
                    if exact { 0.0 } else { 1e-5 },
                );
                if result == DType::F32 && !matches!(kind, BinaryKind::Fmod) {
                    let op = BinaryOp {
                        function: kind,
                        activation: Unary::new(UnaryKind::Relu),
                    };
                    let wanted = Array::f32(y_dims, |i| wanted.values[i].max(0.0));
                    check(
                        Case::new(op, operands, [Operand::of(wanted.clone())]),
                        &wanted,
                        if exact { 0.0 } else { 1e-5 },
                    );
                }
            }
        }
    }
}

#[test]
fn where_selects_for_every_dtype() {
    for dtype in DType::ALL {
        let mut r = Random(5);
        let mut draw = |dtype, dims: &[usize]| {
            Array::new(dtype, dims, |_| {
                r.within(0, if dtype == DType::Bool { 1 } else { 100 }) as f64
            })
        };
        let (condition, a, b) = (
            draw(DType::Bool, &[3, 1]),
            draw(dtype, &[2, 1, 5]),
            draw(dtype, &[]),
        );
        let at = |x: &Array, index: &[usize]| x.at(&broadcast_index(index, &x.dims));
        let wanted = filled(dtype, &[2, 3, 5], |i| {
            if at(&condition, i) != 0.0 {
                at(&a, i)
            } else {
                at(&b, i)
            }
        });
        check(
            Case::new(
                Where {},
                [condition, a, b].map(|x| Some(Operand::of(x))),
                [Operand::of(wanted.clone())],
            ),
            &wanted,
            0.0,
        );
    }
}

#[test]
fn cast_converts_between_all_dtypes() {
    let range = |dtype| match dtype {
        DType::I8 => Some((-128.0, 127.0)),
        DType::U8 => Some((0.0, 255.0)),
        DType::I16 => Some((-32768.0, 32767.0)),
        DType::I32 => Some((-2147483648.0, 2147483647.0)),
        DType::I64 => Some((-9223372036854775808.0, 9223372036854775807.0)),
        _ => None,
    };
    for from in DType::ALL {
        // All are exact in f16, and 100 at most in magnitude where the operand is an integer.
        let values: &[f64] = match from {
            DType::F32 | DType::F16 => &[
                0.0,
                -0.0,
                0.25,
                1.5,
                -1.5,
                2.5,
                99.75,
                300.0,
                -300.0,
                40000.0,
                -40000.0,
                f64::INFINITY,
                f64::NEG_INFINITY,
            ],
            DType::Bool => &[0.0, 1.0],
            DType::U8 => &[0.0, 1.0, 100.0],
            _ => &[0.0, 1.0, -1.0, 100.0, -100.0],
        };
        for to in DType::ALL {
            let x = Array::new(from, &[values.len()], |i| values[i]);
            let float = matches!(from, DType::F32 | DType::F16);
            let wanted = Array::new(to, &x.dims, |i| match range(to) {
                _ if to == DType::Bool => f64::from(values[i] != 0.0),
                Some((low, high)) if float => values[i].trunc().clamp(low, high),
                // Integers wrap among themselves, as in NumPy.
                Some((low, high)) if values[i] < low => values[i] + (high - low + 1.0),
                _ => values[i],
            });
            check(
                Case::new(
                    Cast {},
                    [Some(Operand::of(x))],
                    [Operand::of(wanted.clone())],
                ),
                &wanted,
                0.0,
            );
        }
    }
    let nan = Array::f32(&[1], |_| f64::NAN);
    for to in [DType::I8, DType::U8, DType::I16, DType::I32, DType::I64] {
        let wanted = Array::new(to, &[1], |_| 0.0);
        check(
            Case::new(
                Cast {},
                [Some(Operand::of(nan.clone()))],
                [Operand::of(wanted.clone())],
            ),
            &wanted,
            0.0,
        );
    }
}

#[test]
fn quantize_rounds_half_to_even_and_saturates() {
    let values = [
        0.0,
        0.5,
        1.5,
        -0.5,
        -2.5,
        3.2,
        62.7,
        63.5,
        126.9,
        127.5,
        1e9,
        -1e9,
        40000.0,
        f64::NAN,
    ];
    for (dtype, qmax) in [(DType::I8, 63.0), (DType::I8, 127.0), (DType::I16, 32767.0)] {
        let x = Array::f32(&[values.len()], |i| values[i] / 4.0);
        let wanted = Array::new(dtype, &x.dims, |i| {
            let v = values[i].clamp(-qmax, qmax).round_ties_even();
            if v.is_nan() { -qmax } else { v }
        });
        let q = Operand::of(wanted.clone()).quantised(0.25, qmax as u32, true);
        check(
            Case::new(Quantize {}, [Some(Operand::of(x))], [q]),
            &wanted,
            0.0,
        );
    }
}

#[test]
fn quantize_computes_its_scale_and_dequantize_takes_it() {
    for (dtype, qmax) in [(DType::I8, 63u32), (DType::I8, 127), (DType::I16, 32767)] {
        let mut r = Random(3);
        let x = Array::f32(&[5, 41], |_| r.real() * 3.0);
        let largest = x.values.iter().fold(0f32, |m, &v| m.max((v as f32).abs()));
        let scale = largest / qmax as f32;
        let wanted = Array::new(dtype, &x.dims, |i| {
            (x.values[i] as f32 * (1.0 / scale))
                .round_ties_even()
                .into()
        });
        let q = Operand::of(wanted.clone()).quantised(scale, qmax, false);
        let case = Case::new(
            Quantize {},
            [Some(Operand::of(x.clone()))],
            [q.clone(), Operand::of(Array::f32(&[1], |_| 0.0))],
        );
        each_level(&case, |level, results| {
            assert_eq!(results[0], wanted, "{level:?}");
            assert_eq!(results[1].values, [f64::from(scale)], "{level:?}");
        });
        let back = Array::f32(&x.dims, |i| (wanted.values[i] as f32 * scale).into());
        check(
            Case::new(Dequantize {}, [Some(q)], [Operand::of(back.clone())]),
            &back,
            0.0,
        );
    }
    // Of zeros the scale is 1.
    let zeros = Array::f32(&[3], |_| 0.0);
    let q = Operand::of(Array::new(DType::I8, &[3], |_| 0.0)).quantised(9.0, 127, false);
    let case = Case::new(
        Quantize {},
        [Some(Operand::of(zeros))],
        [q, Operand::of(Array::f32(&[1], |_| 0.0))],
    );
    each_level(&case, |_, results| {
        assert_eq!(
            (&results[0].values[..], &results[1].values[..]),
            (&[0.0; 3][..], &[1.0][..])
        )
    });
}

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

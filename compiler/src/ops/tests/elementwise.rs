//! `unary`, `binary` and `softmax`.

use super::*;
use crate::ir::Scale;
use ternrt::kernels::eltwise::{BinaryKind, Unary, UnaryKind};
use ternrt::ops::table::{BinaryOp, Gemm, Softmax, UnaryOp};

fn unary(kind: UnaryKind) -> UnaryOp {
    UnaryOp {
        function: Unary::new(kind),
    }
}

fn binary(function: BinaryKind) -> BinaryOp {
    BinaryOp {
        function,
        activation: Unary::IDENTITY,
    }
}

/// erf by its Taylor series, in f64; good to 1e-12 for |x| < 4.
fn erf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= -x * x / n as f64;
        sum += term / (2 * n + 1) as f64;
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

/// Every function against its formula in f64.
#[test]
fn functions_follow_their_formulas() {
    use UnaryKind::*;
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let softplus = |x: f64| x.exp().ln_1p();
    let (alpha, beta) = (0.75f32, 1.25f32);
    let (a, b) = (alpha as f64, beta as f64);
    let x: Vec<f32> = (-30..=30).map(|i| i as f32 * 0.1 + 0.003).collect();
    for kind in (0..=u8::MAX).filter_map(UnaryKind::from_code) {
        let f = |x: f64| match kind {
            Identity => x,
            Relu => x.max(0.0),
            Clip => x.max(a).min(b),
            HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            HardSigmoid => (a * x + b).clamp(0.0, 1.0),
            Silu => x * sigmoid(x),
            Gelu => x * 0.5 * (1.0 + erf(x / std::f64::consts::SQRT_2)),
            GeluTanh => {
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
                0.5 * x * (1.0 + inner.tanh())
            }
            Sigmoid => sigmoid(x),
            Tanh => x.tanh(),
            LeakyRelu if x < 0.0 => a * x,
            LeakyRelu => x,
            Elu if x < 0.0 => a * (x.exp() - 1.0),
            Elu => x,
            Softplus => softplus(x),
            Mish => x * softplus(x).tanh(),
            Softsign => x / (1.0 + x.abs()),
            Abs => x.abs(),
            Neg => -x,
            Exp => x.exp(),
            Log => x.ln(),
            Sqrt => x.sqrt(),
            Rsqrt => 1.0 / x.sqrt(),
            Reciprocal => 1.0 / x,
            Square => x * x,
            Erf => erf(x),
            Floor => x.floor(),
            Ceil => x.ceil(),
            Round => x.round_ties_even(),
            Sign => x.signum(),
            Sin => x.sin(),
            Cos => x.cos(),
            Not => f64::NAN,
            ThresholdedRelu if x > a => x,
            ThresholdedRelu => 0.0,
            Selu if x < 0.0 => b * a * (x.exp() - 1.0),
            Selu => b * x,
        };
        if kind == Not {
            continue;
        }
        let positive_only = matches!(kind, Log | Sqrt | Rsqrt);
        let x: Vec<f32> = (x.iter().copied())
            .filter(|x| !positive_only || *x > 0.0)
            .collect();
        let op = UnaryOp {
            function: Unary { kind, alpha, beta },
        };
        let y = compute(op, &[&Tensor::f32(vec![x.len()], x.clone())], None);
        for (&x, &y) in x.iter().zip(values(&y)) {
            let expected = f(x as f64);
            let error = (y as f64 - expected).abs() / expected.abs().max(0.1);
            assert!(error < 2e-6, "{kind:?}({x}) is {y}, not {expected}");
        }
    }
}

#[test]
fn integers_and_booleans() {
    let x = Tensor::new(vec![3], Data::I32(vec![-5, 0, i32::MIN]));
    let abs = compute(unary(UnaryKind::Abs), &[&x], None);
    assert_eq!(abs.data, Data::I32(vec![5, 0, i32::MIN]));
    let sign = compute(unary(UnaryKind::Sign), &[&x], None);
    assert_eq!(sign.data, Data::I32(vec![-1, 0, -1]));
    let x = Tensor::new(vec![2], Data::I64(vec![-5, 7]));
    let neg = compute(unary(UnaryKind::Neg), &[&x], None);
    assert_eq!(neg.data, Data::I64(vec![5, -7]));
    let x = Tensor::new(vec![2], Data::Bool(vec![0, 1]));
    let not = compute(unary(UnaryKind::Not), &[&x], None);
    assert_eq!(not.data, Data::Bool(vec![1, 0]));
    let message = refusal(unary(UnaryKind::Exp), &[&Type::new(DType::I32, [1])], None);
    assert!(message.contains("is i32[1], must be f32"), "{message}");
    let quantised = Type::quantised([2], 127, Scale::Static(1.0));
    assert!(refusal(unary(UnaryKind::Neg), &[&quantised], None).contains("must be"));
    let op = unary(UnaryKind::Identity).into();
    assert_eq!(infer(&op, &[Some(&quantised)], None).unwrap(), [quantised]);
    let function = Unary {
        kind: UnaryKind::Clip,
        alpha: f32::NAN,
        beta: 1.0,
    };
    assert!(refusal(UnaryOp { function }, &[&f32s(&[1])], None).contains("must be numbers"));
}

#[test]
fn arithmetic_broadcasts() {
    let a = Tensor::f32(vec![2, 1], vec![1., 2.]);
    let b = Tensor::f32(vec![3], vec![10., 20., 30.]);
    let run = |kind| values(&compute(binary(kind), &[&a, &b], None)).to_vec();
    use BinaryKind::*;
    assert_eq!(run(Add), [11., 21., 31., 12., 22., 32.]);
    assert_eq!(run(Sub), [-9., -19., -29., -8., -18., -28.]);
    assert_eq!(run(Mul), [10., 20., 30., 20., 40., 60.]);
    assert_eq!(run(Div), [0.1, 0.05, 1. / 30., 0.2, 0.1, 2. / 30.]);
    assert_eq!(run(Min), [1., 1., 1., 2., 2., 2.]);
    assert_eq!(run(Max), [10., 20., 30., 10., 20., 30.]);
    let square = BinaryOp {
        activation: Unary::new(UnaryKind::Square),
        ..binary(Sub)
    };
    let y = compute(square, &[&a, &b], None);
    assert_eq!(values(&y), [81., 361., 841., 64., 324., 784.]);
    let power = compute(binary(Pow), &[&b, &a], None);
    for (y, e) in values(&power).iter().zip([10., 20., 30., 100., 400., 900.]) {
        assert!((y - e).abs() < 1e-5 * e, "{y} {e}");
    }
    let message = refusal(binary(Add), &[&f32s(&[2]), &f32s(&[3])], None);
    assert!(
        message.contains("f32[2] and f32[3] do not broadcast"),
        "{message}"
    );
}

#[test]
fn integer_division_and_remainders() {
    use BinaryKind::*;
    let a = Tensor::new(vec![6], Data::I32(vec![7, -7, 7, -7, 5, i32::MIN]));
    let b = Tensor::new(vec![6], Data::I32(vec![3, 3, -3, -3, 0, -1]));
    let run = |kind| compute(binary(kind), &[&a, &b], None).data;
    assert_eq!(run(Div), Data::I32(vec![2, -2, -2, 2, 0, i32::MIN]));
    assert_eq!(run(Mod), Data::I32(vec![1, 2, -2, -1, 0, 0]));
    assert_eq!(run(Fmod), Data::I32(vec![1, -1, 1, -1, 0, 0]));
    assert_eq!(run(Less), Data::Bool(vec![0, 1, 0, 1, 0, 1]));
    let a = Tensor::f32(vec![4], vec![7., -7., 7., -7.5]);
    let b = Tensor::f32(vec![4], vec![3., 3., -3., -3.]);
    let run = |kind| values(&compute(binary(kind), &[&a, &b], None)).to_vec();
    assert_eq!(run(Mod), [1., 2., -2., -1.5]);
    assert_eq!(run(Fmod), [1., -1., 1., -1.5]);
    let a = Tensor::new(vec![2], Data::I64(vec![i64::MAX, 3]));
    let b = Tensor::new(vec![1], Data::I64(vec![1]));
    let sum = compute(binary(Add), &[&a, &b], None);
    assert_eq!(sum.data, Data::I64(vec![i64::MIN, 4]));
}

#[test]
fn comparisons_and_logic() {
    use BinaryKind::*;
    let a = Tensor::f32(vec![3], vec![1., 2., f32::NAN]);
    let b = Tensor::f32(vec![1], vec![2.]);
    let run = |kind| compute(binary(kind), &[&a, &b], None).data;
    assert_eq!(run(Equal), Data::Bool(vec![0, 1, 0]));
    assert_eq!(run(NotEqual), Data::Bool(vec![1, 0, 1]));
    assert_eq!(run(LessOrEqual), Data::Bool(vec![1, 1, 0]));
    assert_eq!(run(Greater), Data::Bool(vec![0, 0, 0]));
    assert_eq!(run(GreaterOrEqual), Data::Bool(vec![0, 1, 0]));
    let a = Tensor::new(vec![4], Data::Bool(vec![0, 0, 1, 1]));
    let b = Tensor::new(vec![4], Data::Bool(vec![0, 1, 0, 1]));
    let run = |kind| compute(binary(kind), &[&a, &b], None).data;
    assert_eq!(run(And), Data::Bool(vec![0, 0, 0, 1]));
    assert_eq!(run(Or), Data::Bool(vec![0, 1, 1, 1]));
    assert_eq!(run(Xor), Data::Bool(vec![0, 1, 1, 0]));
    assert_eq!(run(Equal), Data::Bool(vec![1, 0, 0, 1]));
    let activated = BinaryOp {
        activation: Unary::new(UnaryKind::Relu),
        ..binary(Less)
    };
    let message = refusal(activated, &[&f32s(&[1]), &f32s(&[1])], None);
    assert!(
        message.contains("needs an f32 result, this is bool"),
        "{message}"
    );
    let bools = Type::new(DType::Bool, [1]);
    assert!(refusal(binary(Add), &[&bools, &bools], None).contains("must be f32"));
}

#[test]
fn products_apply_their_activation_last() {
    let x = Tensor::f32(vec![1, 1], vec![2.]);
    let w = Tensor::f32(vec![2, 1], vec![1., -1.]);
    let bias = Tensor::f32(vec![2], vec![0.5, 0.5]);
    let residual = Tensor::f32(vec![1, 2], vec![10., 1.]);
    let op = Gemm {
        activation: Unary {
            kind: UnaryKind::Clip,
            alpha: -0.25,
            beta: 6.0,
        },
    };
    let y = compute(op, &[&x, &w, &bias, &residual], None);
    assert_eq!(values(&y), [6.0, -0.25]);
}

#[test]
fn softmax_sums_to_one_along_its_axis() {
    let x = Tensor::f32(vec![2, 2], vec![0., 1., 2., 1.]);
    let close = |y: &Tensor, expected: &[f64]| {
        for (y, e) in values(y).iter().zip(expected) {
            assert!((*y as f64 - e).abs() < 1e-6, "{y} {e}");
        }
    };
    let e = std::f64::consts::E;
    let by_row = [1. / (1. + e), e / (1. + e), e / (1. + e), 1. / (1. + e)];
    close(
        &compute(
            Softmax {
                axis: 1,
                log: false,
            },
            &[&x],
            None,
        ),
        &by_row,
    );
    let low = 1. / (1. + e * e);
    let by_column = [low, 0.5, 1. - low, 0.5];
    close(
        &compute(
            Softmax {
                axis: 0,
                log: false,
            },
            &[&x],
            None,
        ),
        &by_column,
    );
    let logs = by_row.map(f64::ln);
    close(&compute(Softmax { axis: 1, log: true }, &[&x], None), &logs);
    // Large values do not overflow.
    let x = Tensor::f32(vec![2], vec![1000., 1000.]);
    close(
        &compute(
            Softmax {
                axis: 0,
                log: false,
            },
            &[&x],
            None,
        ),
        &[0.5, 0.5],
    );
    assert!(
        refusal(
            Softmax {
                axis: 1,
                log: false
            },
            &[&f32s(&[2])],
            None
        )
        .contains("axis=1")
    );
}

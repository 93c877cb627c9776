use super::*;
use crate::Serial;
use std::vec;
use std::vec::Vec;

fn ctx(caps: Caps) -> Ctx<'static> {
    Ctx {
        caps,
        par: &Serial,
        scratch: &mut [],
    }
}

/// Ordinary values and every edge.
fn values() -> Vec<f32> {
    let mut v: Vec<f32> = (-400..400).map(|i| i as f32 * 0.37).collect();
    v.extend([
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        0.0,
        -0.0,
        1e-40,
        -1e-40,
        88.7,
        88.8,
        -103.9,
        -104.1,
        1e30,
        -1e30,
    ]);
    v
}

fn same(a: &[f32], b: &[f32]) -> bool {
    a.iter()
        .zip(b)
        .all(|(a, b)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan())
}

#[test]
fn unary_variants_equal_scalar() {
    let x = values();
    for variant in VARIANTS {
        if !Caps::detect().has(variant.needs) {
            std::println!("skipped: {} is not on this CPU", variant.name);
            continue;
        }
        for &kind in UnaryKind::ALL {
            let f = Unary {
                kind,
                alpha: 0.3,
                beta: 1.7,
            };
            for len in [0, 1, 7, 8, 9, 17, x.len()] {
                let x = &x[x.len() - len..];
                let expected: Vec<f32> = x.iter().map(|&x| scalar::apply(&f, x)).collect();
                let mut y = vec![0f32; len];
                (variant.run.unary)(&f, x, &mut y);
                assert!(same(&y, &expected), "{} {kind:?} {len}", variant.name);
            }
        }
    }
}

/// The functions against their definitions in f64.
#[test]
fn functions_equal_their_definitions() {
    let exact = |kind: UnaryKind, x: f64| -> Option<f64> {
        let (a, b) = (0.3f32 as f64, 1.7f32 as f64);
        let sigmoid = 1.0 / (1.0 + (-x).exp());
        Some(match kind {
            UnaryKind::Identity => x,
            UnaryKind::Relu => x.max(0.0),
            UnaryKind::Clip => x.clamp(a, b),
            UnaryKind::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            UnaryKind::HardSigmoid => (a * x + b).clamp(0.0, 1.0),
            UnaryKind::Silu => x * sigmoid,
            UnaryKind::GeluTanh => {
                0.5 * x
                    * (1.0
                        + ((2.0 / core::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3)))
                            .tanh())
            }
            UnaryKind::Sigmoid => sigmoid,
            UnaryKind::Tanh => x.tanh(),
            UnaryKind::LeakyRelu => {
                if x < 0.0 {
                    a * x
                } else {
                    x
                }
            }
            UnaryKind::Elu => {
                if x < 0.0 {
                    a * x.exp_m1()
                } else {
                    x
                }
            }
            UnaryKind::Softplus => x.exp().ln_1p(),
            UnaryKind::Mish => x * x.exp().ln_1p().tanh(),
            UnaryKind::Softsign => x / (1.0 + x.abs()),
            UnaryKind::Abs => x.abs(),
            UnaryKind::Neg => -x,
            UnaryKind::Exp => x.exp(),
            UnaryKind::Log => x.ln(),
            UnaryKind::Sqrt => x.sqrt(),
            UnaryKind::Rsqrt => 1.0 / x.sqrt(),
            UnaryKind::Reciprocal => 1.0 / x,
            UnaryKind::Square => x * x,
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
            UnaryKind::ThresholdedRelu => {
                if x > a {
                    x
                } else {
                    0.0
                }
            }
            UnaryKind::Selu => b * if x < 0.0 { a * x.exp_m1() } else { x },
            // Checked in `math`, on which they rest; Not is of Bool.
            UnaryKind::Erf | UnaryKind::Gelu | UnaryKind::Not => return None,
        })
    };
    for &kind in UnaryKind::ALL {
        for i in -1000..1000 {
            let x = i as f32 * 0.0123;
            let Some(expected) = exact(kind, x as f64) else {
                continue;
            };
            let y = scalar::apply(
                &Unary {
                    kind,
                    alpha: 0.3,
                    beta: 1.7,
                },
                x,
            ) as f64;
            let fine = y == expected
                || y.is_nan() && expected.is_nan()
                || (y - expected).abs() <= 2e-6 * expected.abs().max(0.3);
            assert!(fine, "{kind:?}({x}) = {y}, not {expected}");
        }
    }
    // Known values of the exact GELU: x * Phi(x).
    let gelu = |x| scalar::apply(&Unary::new(UnaryKind::Gelu), x);
    assert!((gelu(1.0) - 0.841_344_7).abs() < 1e-6 && (gelu(-2.0) + 0.045_500_26).abs() < 1e-6);
}

#[test]
fn names_and_codes_are_distinct() {
    for (i, k) in UnaryKind::ALL.iter().enumerate() {
        assert_eq!((*k as usize, UnaryKind::from_code(i as u8)), (i, Some(*k)));
        assert_eq!(
            UnaryKind::ALL
                .iter()
                .filter(|o| o.name() == k.name())
                .count(),
            1
        );
    }
    for (i, k) in BinaryKind::ALL.iter().enumerate() {
        assert_eq!((*k as usize, BinaryKind::from_code(i as u8)), (i, Some(*k)));
        assert_eq!(
            BinaryKind::ALL
                .iter()
                .filter(|o| o.name() == k.name())
                .count(),
            1
        );
    }
    assert_eq!(UnaryKind::from_code(200), None);
}

/// The element of an operand that output element `n` reads, by NumPy's rules.
fn source(out: &[usize], dims: &[usize], mut n: usize) -> usize {
    let (mut at, mut step) = (0, 1);
    for i in (0..out.len()).rev() {
        let c = n % out[i];
        n /= out[i];
        if let Some(j) = (i + dims.len()).checked_sub(out.len()) {
            at += if dims[j] == 1 { 0 } else { c * step };
            step *= dims[j];
        }
    }
    at
}

#[test]
fn broadcasting_follows_numpy() {
    let cases: &[(&[usize], &[usize], &[usize])] = &[
        (&[7], &[7], &[7]),
        (&[3, 5], &[3, 5], &[]),
        (&[3, 5], &[1], &[3, 5]),
        (&[2, 4, 4, 9], &[2, 4, 4, 9], &[9]),
        (&[2, 4, 4, 9], &[2, 1, 1, 9], &[4, 4, 1]),
        (&[2, 3, 4], &[2, 1, 4], &[3, 1]),
        (&[4, 1, 5, 1, 2, 3], &[4, 1, 5, 1, 2, 3], &[5, 1, 1, 3]),
        (&[2, 2], &[2, 1], &[1, 2]),
        (&[3, 0], &[3, 0], &[1]),
        (&[], &[], &[]),
    ];
    for (out, da, db) in cases {
        let shape = Broadcast::new(out, [da, db]).unwrap();
        let fill = |dims: &[usize], k: usize| -> Vec<f32> {
            (0..dims.iter().product())
                .map(|i: usize| ((i * k + 3) % 23) as f32 - 11.0)
                .collect()
        };
        let (a, b) = (fill(da, 7), fill(db, 5));
        let len: usize = out.iter().product();
        for caps in Caps::detect().levels() {
            for &kind in BinaryKind::ALL {
                if kind.is_comparison() {
                    let mut y = vec![9u8; len];
                    binary(
                        &mut ctx(caps),
                        kind,
                        &Unary::IDENTITY,
                        &shape,
                        View::F32(&a),
                        View::F32(&b),
                        ViewMut::Bool(&mut y),
                    )
                    .unwrap();
                    for (n, &v) in y.iter().enumerate() {
                        let (p, q) = (a[source(out, da, n)], b[source(out, db, n)]);
                        let expected = match kind {
                            BinaryKind::Equal => p == q,
                            BinaryKind::NotEqual => p != q,
                            BinaryKind::Less => p < q,
                            BinaryKind::LessOrEqual => p <= q,
                            BinaryKind::Greater => p > q,
                            _ => p >= q,
                        };
                        assert_eq!(v, expected as u8, "{kind:?} {out:?}");
                    }
                } else if !matches!(kind, BinaryKind::And | BinaryKind::Or | BinaryKind::Xor) {
                    let relu = Unary::new(UnaryKind::Relu);
                    let mut y = vec![0f32; len];
                    binary(
                        &mut ctx(caps),
                        kind,
                        &relu,
                        &shape,
                        View::F32(&a),
                        View::F32(&b),
                        ViewMut::F32(&mut y),
                    )
                    .unwrap();
                    let expected: Vec<f32> = (0..len)
                        .map(|n| {
                            let (p, q) = (a[source(out, da, n)], b[source(out, db, n)]);
                            let t = match kind {
                                BinaryKind::Add => p + q,
                                BinaryKind::Sub => p - q,
                                BinaryKind::Mul => p * q,
                                BinaryKind::Div => p / q,
                                BinaryKind::Pow => p.powf(q),
                                BinaryKind::Min => p.min(q),
                                BinaryKind::Max => p.max(q),
                                BinaryKind::Mod => {
                                    let r = p % q;
                                    if r != 0.0 && (r < 0.0) != (q < 0.0) {
                                        r + q
                                    } else {
                                        r
                                    }
                                }
                                _ => p % q,
                            };
                            if t > 0.0 { t } else { 0.0 }
                        })
                        .collect();
                    for (y, e) in y.iter().zip(&expected) {
                        assert!(
                            (y - e).abs() <= 1e-6 * e.abs() || y == e,
                            "{kind:?} {out:?}: {y} {e}"
                        );
                    }
                }
            }
            let (ai, bi): (Vec<i64>, Vec<i64>) = (
                a.iter().map(|&v| v as i64).collect(),
                b.iter().map(|&v| v as i64).collect(),
            );
            let mut y = vec![0i64; len];
            binary(
                &mut ctx(caps),
                BinaryKind::Mod,
                &Unary::IDENTITY,
                &shape,
                View::I64(&ai),
                View::I64(&bi),
                ViewMut::I64(&mut y),
            )
            .unwrap();
            for (n, &v) in y.iter().enumerate() {
                let (p, q) = (ai[source(out, da, n)], bi[source(out, db, n)]);
                assert_eq!(v, if q == 0 { 0 } else { ((p % q) + q) % q });
            }
            let condition: Vec<u8> = (0..len).map(|i| (i % 3 == 0) as u8).collect();
            let three = Broadcast::new(out, [out, da, db]).unwrap();
            let mut y = vec![0f32; len];
            select(
                &mut ctx(caps),
                &three,
                &condition,
                View::F32(&a),
                View::F32(&b),
                ViewMut::F32(&mut y),
            )
            .unwrap();
            for (n, &v) in y.iter().enumerate() {
                assert_eq!(
                    v,
                    if condition[n] != 0 {
                        a[source(out, da, n)]
                    } else {
                        b[source(out, db, n)]
                    }
                );
            }
        }
    }
    assert_eq!(Broadcast::new(&[2, 3], [&[2], &[3]]), None);
    assert_eq!(Broadcast::new(&[3], [&[2, 3], &[3]]), None);
    assert_eq!(Broadcast::new(&[1; 7], [&[1], &[1]]), None);
    assert_eq!(Broadcast::new(&[usize::MAX, 2], [&[1], &[1]]), None);
}

#[test]
fn casts_follow_numpy_and_saturate() {
    let mut c = ctx(Caps::SCALAR);
    let x = [
        1.9f32,
        -1.9,
        300.0,
        -300.0,
        f32::NAN,
        f32::INFINITY,
        0.0,
        1e20,
    ];
    let mut i8s = [0i8; 8];
    cast(&mut c, View::F32(&x), ViewMut::I8(&mut i8s)).unwrap();
    assert_eq!(i8s, [1, -1, 127, -128, 0, 127, 0, 127]);
    let mut u8s = [0u8; 8];
    cast(&mut c, View::F32(&x), ViewMut::U8(&mut u8s)).unwrap();
    assert_eq!(u8s, [1, 0, 255, 0, 0, 255, 0, 255]);
    let mut bools = [0u8; 8];
    cast(&mut c, View::F32(&x), ViewMut::Bool(&mut bools)).unwrap();
    assert_eq!(bools, [1, 1, 1, 1, 1, 1, 0, 1]);
    let mut wide = [0i64; 2];
    cast(&mut c, View::I32(&[-7, i32::MAX]), ViewMut::I64(&mut wide)).unwrap();
    assert_eq!(wide, [-7, i32::MAX as i64]);
    let mut narrow = [0i8; 2];
    cast(&mut c, View::I64(&[257, -1]), ViewMut::I8(&mut narrow)).unwrap();
    assert_eq!(narrow, [1, -1], "integers wrap");
    let mut half = [0u16; 2];
    cast(&mut c, View::F32(&[1.0, 65520.0]), ViewMut::F16(&mut half)).unwrap();
    assert_eq!(half, [0x3c00, 0x7c00]);
    let mut back = [0f32; 2];
    cast(&mut c, View::F16(&half), ViewMut::F32(&mut back)).unwrap();
    assert_eq!(back, [1.0, f32::INFINITY]);
    assert_eq!(
        cast(&mut c, View::F32(&[1.0]), ViewMut::F32(&mut [])),
        Err(Invalid)
    );
}

#[test]
fn wrong_calls_are_refused() {
    let mut c = ctx(Caps::SCALAR);
    let relu = Unary::new(UnaryKind::Relu);
    assert_eq!(
        unary(&mut c, &relu, View::F32(&[1.0]), ViewMut::F32(&mut [])),
        Err(Invalid)
    );
    assert_eq!(
        unary(&mut c, &relu, View::I32(&[1]), ViewMut::I32(&mut [0])),
        Err(Invalid)
    );
    assert_eq!(
        unary(
            &mut c,
            &Unary::new(UnaryKind::Not),
            View::F32(&[1.0]),
            ViewMut::F32(&mut [0.0])
        ),
        Err(Invalid)
    );
    let shape = Broadcast::new(&[4], [&[4], &[4]]).unwrap();
    let mut y = [0f32; 4];
    let short = binary(
        &mut c,
        BinaryKind::Add,
        &relu,
        &shape,
        View::F32(&[0.0; 3]),
        View::F32(&[0.0; 4]),
        ViewMut::F32(&mut y),
    );
    assert_eq!(short, Err(Invalid));
    let logical = binary(
        &mut c,
        BinaryKind::And,
        &Unary::IDENTITY,
        &shape,
        View::F32(&[0.0; 4]),
        View::F32(&[0.0; 4]),
        ViewMut::F32(&mut y),
    );
    assert_eq!(logical, Err(Invalid));
    let mut i = [0i32; 4];
    let activated = binary(
        &mut c,
        BinaryKind::Add,
        &relu,
        &shape,
        View::I32(&[0; 4]),
        View::I32(&[0; 4]),
        ViewMut::I32(&mut i),
    );
    assert_eq!(activated, Err(Invalid));
    let lying = Broadcast {
        rank: 1,
        dims: [4, 1, 1, 1, 1, 1],
        strides: [[usize::MAX, 0, 0, 0, 0, 0]; 2],
    };
    let result = binary(
        &mut c,
        BinaryKind::Add,
        &relu,
        &lying,
        View::F32(&[0.0; 4]),
        View::F32(&[0.0; 4]),
        ViewMut::F32(&mut y),
    );
    assert_eq!(result, Err(Invalid));
}

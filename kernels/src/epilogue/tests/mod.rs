use super::*;
use crate::eltwise::UnaryKind;
use crate::testing::{Buffer, Case, Family, Rng, product_shape};
use crate::{Codec, Serial};
use std::vec;
use std::vec::Vec;

#[cfg(target_arch = "x86_64")]
mod x86;

const OUTPUTS: usize = 17;

/// A product with one k and weights of 1, so that the sums are the inputs.
fn identity(x: Buffer, y: DType) -> Case {
    let rows = x.view().len();
    let shape = product_shape(rows, OUTPUTS, 1);
    let dtype = x.view().dtype();
    let mut case = Case::random(Family::Gemm, shape, dtype, Codec::T2, y, &mut Rng::new(50));
    let trits = vec![1; OUTPUTS];
    let matrix = case.family.matrix(&case.shape);
    Codec::T2.pack_i8(&matrix, &trits, &mut case.bytes).unwrap();
    case.weights.fill(1.0);
    (case.x, case.x_scale) = (x, 1.0);
    (case.w_scale, case.bias, case.residual) = (None, None, None);
    case.activation = Unary::IDENTITY;
    case.out_scale = 1.0;
    case
}

fn run(case: &Case) -> Buffer {
    let scalar = case.run(crate::Caps::SCALAR, &Serial);
    for caps in case.family.caps() {
        let found = case.run(caps, &Serial);
        let same = match (&found, &scalar) {
            (Buffer::F32(a), Buffer::F32(b)) => a
                .iter()
                .zip(b)
                .all(|(a, b)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()),
            (a, b) => a == b,
        };
        assert!(same, "{caps} {:?}: {found:?} {scalar:?}", case.activation);
    }
    scalar
}

/// The first output of each row.
fn column(y: &Buffer) -> Vec<f64> {
    (0..y.view().len())
        .step_by(OUTPUTS)
        .map(|i| y.get(i))
        .collect()
}

#[test]
fn integers_round_half_to_even_and_saturate() {
    let x = vec![
        0.5,
        1.5,
        2.5,
        -0.5,
        -1.5,
        -2.5,
        62.5,
        63.5,
        126.5,
        127.4,
        1e30,
        -1e30,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        -0.0,
        0.49999997,
    ];
    let mut case = identity(Buffer::F32(x.clone()), DType::I8);
    case.qmax = 127;
    let expected = [
        0, 2, 2, 0, -2, -2, 62, 64, 126, 127, 127, -127, 127, -127, -127, 0, 0,
    ];
    assert_eq!(column(&run(&case)), expected.map(f64::from));
    case.qmax = 63;
    let expected = [
        0, 2, 2, 0, -2, -2, 62, 63, 63, 63, 63, -63, 63, -63, -63, 0, 0,
    ];
    assert_eq!(column(&run(&case)), expected.map(f64::from));
    let mut case = identity(Buffer::F32(x), DType::I16);
    (case.qmax, case.out_scale) = (32767, 1e-3);
    let y = column(&run(&case));
    assert_eq!(&y[..4], [500.0, 1500.0, 2500.0, -500.0]);
    assert_eq!(&y[10..15], [32767.0, -32767.0, 32767.0, -32767.0, -32767.0]);
}

#[test]
fn strange_scales_do_not_break_integers() {
    let x = Buffer::F32(vec![0.0, 1.0, -1.0, f32::NAN]);
    for (scale, expected) in [
        (0.0, [-127, 127, -127, -127]),
        (-0.0, [-127, -127, 127, -127]),
        (f32::NAN, [-127; 4]),
        (f32::INFINITY, [0, 0, 0, -127]),
        (1e-45, [-127, 127, -127, -127]),
        (-0.5, [0, -2, 2, -127]),
    ] {
        let mut case = identity(x.clone(), DType::I8);
        (case.qmax, case.out_scale) = (127, scale);
        assert_eq!(column(&run(&case)), expected.map(f64::from), "{scale}");
        case.bias = Some(vec![0.5; OUTPUTS]);
        case.residual = Some((Buffer::F32(vec![0.25; 4 * OUTPUTS]), 1.0));
        for kind in [UnaryKind::Identity, UnaryKind::Relu, UnaryKind::Clip] {
            for (alpha, beta) in [(-0.75, 1.25), (1.25, -0.75), (f32::NAN, 1.0)] {
                case.activation = Unary { kind, alpha, beta };
                run(&case);
            }
        }
    }
}

#[test]
fn every_activation_gives_the_same_bits_on_every_variant() {
    let mut rng = Rng::new(51);
    let mut x = vec![
        0.0,
        -0.0,
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        1e-40,
        -1e-40,
        1e30,
        -1e30,
    ];
    x.extend((0..200).map(|_| rng.f32() * 8.0));
    for code in 0..=32 {
        let kind = UnaryKind::from_code(code).unwrap();
        for y in [DType::F32, DType::I16] {
            let mut case = identity(Buffer::F32(x.clone()), y);
            (case.qmax, case.out_scale) = (32767, 0.001);
            case.activation = Unary {
                kind,
                alpha: -0.75,
                beta: 1.25,
            };
            run(&case);
        }
    }
}

/// The steps one by one, on numbers that show each rounding.
#[test]
fn steps_happen_in_the_stated_order() {
    let mut case = identity(Buffer::I16(vec![3, -7, 32767, -32768]), DType::F32);
    case.x_scale = 0.1;
    case.w_scale = Some(vec![0.3; OUTPUTS]);
    case.bias = Some(vec![0.7; OUTPUTS]);
    case.residual = Some((Buffer::I8(vec![-128; 4 * OUTPUTS]), 0.01));
    case.activation = Unary {
        kind: UnaryKind::Clip,
        alpha: -1.5,
        beta: 900.0,
    };
    let scale = 0.1f32 * 0.3f32;
    let residual = -128.0f32 * 0.01f32;
    let expected = [3.0f32, -7.0, 32767.0, -32768.0].map(|acc| {
        let t = acc * scale;
        let t = t + 0.7;
        let t = t + residual;
        f64::from(t.clamp(-1.5, 900.0))
    });
    assert_eq!(column(&run(&case)), expected);

    // An output of integers is scaled first, unless the activation is a function.
    let inverse = 1.0 / 0.07f32;
    (case.y, case.qmax, case.out_scale) = (DType::I16, 32767, 0.07);
    let scale = (0.1 * inverse) * 0.3f32;
    let residual = -128.0 * (0.01 * inverse);
    let expected = [3.0f32, -7.0, 32767.0, -32768.0].map(|acc| {
        let t = acc * scale;
        let t = t + 0.7 * inverse;
        let t = t + residual;
        let t = t.clamp(-1.5 * inverse, 900.0 * inverse);
        f64::from(t.round_ties_even())
    });
    assert_eq!(column(&run(&case)), expected);
    case.activation = Unary {
        kind: UnaryKind::LeakyRelu,
        alpha: 0.5,
        beta: 0.0,
    };
    let expected = [3.0f32, -7.0, 32767.0, -32768.0].map(|acc| {
        let t = acc * (0.1f32 * 0.3f32);
        let t = t + 0.7;
        let t = t + -128.0 * 0.01f32;
        let t = if t < 0.0 { t * 0.5 } else { t };
        f64::from((t * inverse).round_ties_even())
    });
    assert_eq!(column(&run(&case)), expected);
}

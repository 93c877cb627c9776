//! `quantize`, `dequantize` and `cast`.

use super::*;
use crate::ir::{Scale, ValueId};
use ternrt::ops::table::{Cast, Dequantize, Quantize};

fn quantise(x: &[f32], qmax: i32, scale: Scale) -> Vec<Tensor> {
    let wanted = Type::quantised([x.len()], qmax, scale);
    let op = Quantize {}.into();
    let results = infer(&op, &[Some(&f32s(&[x.len()]))], Some(&wanted)).unwrap();
    let x = Tensor::f32(vec![x.len()], x.to_vec());
    interpret(&op, &[Some(Arg::dense(&x))], &results).unwrap()
}

#[test]
fn quantize_rounds_half_to_even_and_clamps() {
    let x = [
        0.25,
        0.75,
        -0.25,
        -0.75,
        1.25,
        40.,
        -40.,
        f32::NAN,
        f32::INFINITY,
    ];
    let q = quantise(&x, 63, Scale::Static(0.5));
    assert_eq!(q.len(), 1);
    assert_eq!(q[0].data, Data::I8(vec![0, 2, 0, -2, 2, 63, -63, -63, 63]));
    let q = quantise(&[1e9, -1.0], 32767, Scale::Static(0.5));
    assert_eq!(q[0].data, Data::I16(vec![32767, -2]));
}

#[test]
fn dynamic_scales() {
    let dynamic = Scale::Dynamic(ValueId(0));
    let q = quantise(&[-254., 1., f32::NAN, 3.], 127, dynamic);
    assert_eq!(q[1], Tensor::f32(vec![1], vec![2.0]));
    assert_eq!(q[0].data, Data::I8(vec![-127, 0, -127, 2]));
    // Nothing to scale by: 1.
    for x in [
        [0.0, -0.0],
        [f32::INFINITY, 1.0],
        [1e-45, 0.0],
        [f32::NAN, 0.0],
    ] {
        assert_eq!(values(&quantise(&x, 127, dynamic)[1]), [1.0], "{x:?}");
    }
}

#[test]
fn dequantize_multiplies() {
    let x = Tensor::new(vec![3], Data::I16(vec![-32767, 0, 5]));
    let op = Dequantize {}.into();
    let y = interpret(&op, &[Some(Arg::quantised(&x, 0.1))], &[f32s(&[3])]).unwrap();
    assert_eq!(values(&y[0]), [-32767.0 * 0.1, 0.0, 0.5]);
    let plain = Type::new(DType::I16, [3]);
    assert!(refusal(Dequantize {}, &[&plain], None).contains("with a scale"));
}

#[test]
fn quantize_needs_a_sensible_scale() {
    let x = f32s(&[3]);
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let wanted = Type::quantised([3], 127, Scale::Static(scale));
        let message = refusal(Quantize {}, &[&x], Some(&wanted));
        assert!(message.contains("must be positive, finite"), "{message}");
    }
    assert!(refusal(Quantize {}, &[&x], None).contains("must be given"));
    let message = refusal(Quantize {}, &[&x], Some(&Type::new(DType::I8, [3])));
    assert!(message.contains("needs a scale"), "{message}");
    let mut wanted = Type::quantised([3], 32767, Scale::Static(1.0));
    wanted.dtype = DType::I8;
    assert!(refusal(Quantize {}, &[&x], Some(&wanted)).contains("1..=127"));
}

#[test]
fn casts_follow_numpy_and_saturate() {
    let cast = |data: Data, dtype| {
        let n = data.len();
        let x = Tensor::new(vec![n], data);
        compute(Cast {}, &[&x], Some(Type::new(dtype, [n]))).data
    };
    let x = || Data::F32(vec![-1.9, 300.0, f32::NAN, 0.0, f32::INFINITY]);
    assert_eq!(cast(x(), DType::I8), Data::I8(vec![-1, 127, 0, 0, 127]));
    assert_eq!(cast(x(), DType::U8), Data::U8(vec![0, 255, 0, 0, 255]));
    assert_eq!(cast(x(), DType::Bool), Data::Bool(vec![1, 1, 1, 0, 1]));
    let far = cast(x(), DType::I64);
    assert_eq!(far, Data::I64(vec![-1, 300, 0, 0, i64::MAX]));
    // Integers wrap.
    let x = || Data::I32(vec![-1, 300, 40000]);
    assert_eq!(cast(x(), DType::U8), Data::U8(vec![255, 44, 64]));
    assert_eq!(cast(x(), DType::I16), Data::I16(vec![-1, 300, -25536]));
    assert_eq!(cast(x(), DType::F32), Data::F32(vec![-1., 300., 40000.]));
    // Half to even: 2049 lies between 2048 and 2050.
    let half = cast(Data::F32(vec![1.0, 2049.0, 70000.0]), DType::F16);
    assert_eq!(half, Data::F16(vec![0x3c00, 0x6800, 0x7c00]));
    let back = cast(half, DType::F32);
    assert_eq!(back, Data::F32(vec![1.0, 2048.0, f32::INFINITY]));
    assert_eq!(
        cast(Data::Bool(vec![1, 0]), DType::F32),
        Data::F32(vec![1., 0.])
    );
    let quantised = Type::quantised([1], 127, Scale::Static(1.0));
    assert!(refusal(Cast {}, &[&quantised], Some(&f32s(&[1]))).contains("dequantize"));
}

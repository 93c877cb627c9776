//! Ops that move elements.

use super::*;
use crate::ir::Scale;
use ternrt::kernels::movement::PadMode;
use ternrt::ops::table::{Broadcast, Concat, Gather, Pad, Reshape, Slice, Transpose, Where};

#[test]
fn transpose_by_hand() {
    let op = Transpose {
        perm: [1, 0, 0, 0, 0, 0],
    };
    let y = compute(op, &[&counting(&[2, 3])], None);
    assert_eq!(y.shape, [3, 2]);
    assert_eq!(values(&y), [1., 4., 2., 5., 3., 6.]);
    let op = Transpose {
        perm: [2, 0, 1, 0, 0, 0],
    };
    let y = compute(op, &[&counting(&[1, 2, 3])], None);
    assert_eq!(y.shape, [3, 1, 2]);
    assert_eq!(values(&y), [1., 4., 2., 5., 3., 6.]);
    let message = refusal(op, &[&f32s(&[2, 3])], None);
    assert!(message.contains("beyond the rank"), "{message}");
}

#[test]
fn concat_by_hand() {
    let (a, b) = (
        counting(&[2, 1]),
        Tensor::f32(vec![2, 2], vec![10., 20., 30., 40.]),
    );
    let y = compute(Concat { axis: 1 }, &[&a, &b, &a], None);
    assert_eq!(y.shape, [2, 4]);
    assert_eq!(values(&y), [1., 10., 20., 1., 2., 30., 40., 2.]);
    let y = compute(Concat { axis: 0 }, &[&b, &b], None);
    assert_eq!(y.shape, [4, 2]);
    let message = refusal(Concat { axis: 0 }, &[&f32s(&[2, 1]), &f32s(&[2, 2])], None);
    assert!(message.contains("axis=0"), "{message}");
    let quantised = |scale| Type::quantised([2, 2], 127, Scale::Static(scale));
    let message = refusal(
        Concat { axis: 0 },
        &[&quantised(0.5), &quantised(0.25)],
        None,
    );
    assert!(message.contains("one dtype and scale"), "{message}");
    // Absent operands at the end are none; between others they are missing.
    let ty = f32s(&[1, 2]);
    let op = Concat { axis: 0 }.into();
    let y = infer(&op, &[Some(&ty), Some(&ty), None], None).unwrap();
    assert_eq!(y, [f32s(&[2, 2])]);
    assert!(infer(&op, &[Some(&ty), None, Some(&ty)], None).is_err());
}

#[test]
fn slice_by_hand() {
    let x = counting(&[3, 4]);
    let op = Slice {
        start: [1, 3, 0, 0, 0, 0],
        step: [1, -2, 1, 1, 1, 1],
    };
    let y = compute(op, &[&x], None);
    assert_eq!(y.shape, [2, 2]);
    assert_eq!(values(&y), [8., 6., 12., 10.]);
    let y = compute(op, &[&x], Some(f32s(&[1, 1])));
    assert_eq!(values(&y), [8.]);
    let message = refusal(op, &[&f32s(&[3, 4])], Some(&f32s(&[3, 1])));
    assert!(message.contains("there are 2"), "{message}");
    let op = Slice {
        start: [3, 0, 0, 0, 0, 0],
        step: [1; 6],
    };
    assert!(refusal(op, &[&f32s(&[3, 4])], None).contains("no elements"));
    let op = Slice {
        start: [0; 6],
        step: [1, 0, 1, 1, 1, 1],
    };
    assert!(refusal(op, &[&f32s(&[3, 4])], None).contains("must not be 0"));
}

#[test]
fn pad_by_hand() {
    let x = counting(&[3]);
    let pad = |mode, before, size| {
        let op = Pad {
            before: [before, 0, 0, 0, 0, 0],
            mode,
            value: 9.5,
        };
        values(&compute(op, &[&x], Some(f32s(&[size])))).to_vec()
    };
    assert_eq!(pad(PadMode::Constant, 1, 6), [9.5, 1., 2., 3., 9.5, 9.5]);
    assert_eq!(pad(PadMode::Reflect, 2, 7), [3., 2., 1., 2., 3., 2., 1.]);
    assert_eq!(pad(PadMode::Edge, 2, 6), [1., 1., 1., 2., 3., 3.]);
    // The value is cast to the dtype, two dimensions at once.
    let x = Tensor::new(vec![1, 2], Data::I32(vec![1, 2]));
    let op = Pad {
        before: [1, 0, 0, 0, 0, 0],
        mode: PadMode::Constant,
        value: -3.9,
    };
    let y = compute(op, &[&x], Some(Type::new(DType::I32, [2, 3])));
    assert_eq!(y.data, Data::I32(vec![-3, -3, -3, 1, 2, -3]));
    let quantised = Type::quantised([1, 2], 127, Scale::Static(0.5));
    let message = refusal(op, &[&quantised], None);
    assert!(message.contains("padded with 0 only"), "{message}");
    let op = Pad {
        before: [3, 0, 0, 0, 0, 0],
        mode: PadMode::Reflect,
        value: 0.0,
    };
    assert!(refusal(op, &[&f32s(&[3])], None).contains("cannot add 3"));
}

#[test]
fn gather_by_hand() {
    let x = counting(&[2, 3]);
    let indices = Tensor::new(vec![2, 1], Data::I64(vec![-1, 0]));
    let y = compute(Gather { axis: 1 }, &[&x, &indices], None);
    assert_eq!(y.shape, [2, 2, 1]);
    assert_eq!(values(&y), [3., 1., 6., 4.]);
    let one = Tensor::new(vec![], Data::I32(vec![1]));
    let y = compute(Gather { axis: 0 }, &[&x, &one], None);
    assert_eq!(y.shape, [3]);
    assert_eq!(values(&y), [4., 5., 6.]);
    let far = Tensor::new(vec![1], Data::I64(vec![2]));
    let args = [Some(Arg::dense(&x)), Some(Arg::dense(&far))];
    let message = interpret(&Gather { axis: 0 }.into(), &args, &[f32s(&[1, 3])])
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("gather: index 2 is out of range"),
        "{message}"
    );
}

#[test]
fn broadcast_reshape_and_where() {
    let x = Tensor::f32(vec![2, 1], vec![1., 2.]);
    let y = compute(Broadcast {}, &[&x], Some(f32s(&[2, 2, 3])));
    assert_eq!(values(&y), [1., 1., 1., 2., 2., 2., 1., 1., 1., 2., 2., 2.]);
    let message = refusal(Broadcast {}, &[&f32s(&[2, 2])], Some(&f32s(&[2, 1])));
    assert!(message.contains("does not broadcast"), "{message}");

    let y = compute(Reshape {}, &[&counting(&[2, 3])], Some(f32s(&[3, 1, 2])));
    assert_eq!(y, counting(&[3, 1, 2]));
    let message = refusal(Reshape {}, &[&f32s(&[2, 3])], Some(&f32s(&[4])));
    assert!(message.contains("6 elements"), "{message}");
    assert!(refusal(Reshape {}, &[&f32s(&[2])], None).contains("must be given"));

    let condition = Tensor::new(vec![2, 1], Data::Bool(vec![1, 0]));
    let y = compute(
        Where {},
        &[&condition, &counting(&[3]), &counting(&[1])],
        None,
    );
    assert_eq!(y.shape, [2, 3]);
    assert_eq!(values(&y), [1., 2., 3., 1., 1., 1.]);
    let message = refusal(Where {}, &[&f32s(&[2]), &f32s(&[2]), &f32s(&[2])], None);
    assert!(
        message.contains("\"condition\" is f32[2], must be bool"),
        "{message}"
    );
}

#[test]
fn sizes_and_operands_are_bounded() {
    let deep = f32s(&[1; 7]);
    assert!(refusal(Reshape {}, &[&deep], Some(&f32s(&[1]))).contains("rank 7"));
    let huge = f32s(&[1 << 31, 1 << 31]);
    assert!(refusal(Reshape {}, &[&huge], Some(&huge)).contains("too large"));
    let empty = f32s(&[2, 0]);
    assert!(refusal(Reshape {}, &[&empty], Some(&empty)).contains("no elements"));
    let x = f32s(&[1 << 16, 1 << 16]);
    let op = Gather { axis: 0 };
    let indices = Type::new(DType::I64, [1 << 31, 1 << 15]);
    assert!(refusal(op, &[&x, &indices], None).contains("too large"));
    assert!(refusal(Reshape {}, &[&x, &x], Some(&x)).contains("at most 1"));
}

//! `reduce`.

use super::*;
use ternrt::kernels::reduce::ReduceKind;
use ternrt::ops::table::Reduce;

fn reduce(function: ReduceKind, axes: u8, x: &Tensor) -> Tensor {
    compute(Reduce { function, axes }, &[x], None)
}

#[test]
fn reductions_by_hand() {
    use ReduceKind::*;
    let x = Tensor::f32(vec![2, 3], vec![3., -1., 3., 0.5, 2., -4.]);
    let y = reduce(Sum, 0b10, &x);
    assert_eq!(y.shape, [2, 1]);
    assert_eq!(values(&y), [5., -1.5]);
    assert_eq!(values(&reduce(Sum, 0b01, &x)), [3.5, 1., -1.]);
    assert_eq!(values(&reduce(Sum, 0b11, &x)), [3.5]);
    assert_eq!(values(&reduce(Sum, 0, &x)), values(&x));
    assert_eq!(values(&reduce(Mean, 0b01, &x)), [1.75, 0.5, -0.5]);
    assert_eq!(values(&reduce(Max, 0b10, &x)), [3., 2.]);
    assert_eq!(values(&reduce(Min, 0b10, &x)), [-1., -4.]);
    assert_eq!(values(&reduce(Prod, 0b10, &x)), [-9., -4.]);
    assert_eq!(values(&reduce(SumSquare, 0b10, &x)), [19., 20.25]);
    let index = |kind| reduce(kind, 0b10, &x).data;
    assert_eq!(index(ArgMax), Data::I64(vec![0, 1]));
    assert_eq!(index(ArgMaxLast), Data::I64(vec![2, 1]));
    assert_eq!(index(ArgMin), Data::I64(vec![1, 2]));
    let x = Tensor::new(vec![3], Data::I32(vec![i32::MAX, 1, 1]));
    assert_eq!(reduce(Sum, 1, &x).data, Data::I32(vec![i32::MIN + 1]));
    assert_eq!(reduce(ArgMinLast, 1, &x).data, Data::I64(vec![2]));
    let x = Tensor::new(vec![2], Data::I64(vec![1 << 40, -3]));
    assert_eq!(reduce(Prod, 1, &x).data, Data::I64(vec![-3 << 40]));
    assert_eq!(reduce(Max, 1, &x).data, Data::I64(vec![1 << 40]));
}

#[test]
fn sums_add_in_row_major_order() {
    // 1e8 + 1 - 1e8 is 0 in f32, in another order it is 1.
    let x = Tensor::f32(vec![3, 1], vec![1e8, 1., -1e8]);
    assert_eq!(values(&reduce(ReduceKind::Sum, 0b01, &x)), [0.0]);
}

#[test]
fn reduced_dimensions_stay_or_go() {
    let op = Reduce {
        function: ReduceKind::Max,
        axes: 0b10,
    };
    let x = counting(&[2, 3]);
    assert_eq!(compute(op, &[&x], Some(f32s(&[2]))).shape, [2]);
    assert_eq!(compute(op, &[&x], Some(f32s(&[2, 1]))).shape, [2, 1]);
    let message = refusal(op, &[&f32s(&[2, 3])], Some(&f32s(&[1, 2])));
    assert!(
        message.contains("the result is f32[2,1], not f32[1,2]"),
        "{message}"
    );
    let message = refusal(Reduce { axes: 0b100, ..op }, &[&f32s(&[2, 3])], None);
    assert!(message.contains("axes=0b100"), "{message}");
    let two = Reduce {
        function: ReduceKind::ArgMax,
        axes: 0b11,
    };
    assert!(refusal(two, &[&f32s(&[2, 3])], None).contains("exactly one axis"));
    let mean = Reduce {
        function: ReduceKind::Mean,
        axes: 1,
    };
    let integers = Type::new(DType::I32, [3]);
    assert!(refusal(mean, &[&integers], None).contains("must be f32"));
}

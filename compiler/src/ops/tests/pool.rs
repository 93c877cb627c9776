//! `max_pool`, `average_pool` and `resize`.

use super::*;
use crate::ir::Scale;
use ternrt::kernels::movement::{ResizeCoordinates, ResizeMode};
use ternrt::ops::table::{AveragePool, MaxPool, Resize};

fn max(kernel: [u16; 2], stride: [u16; 2], pads: [u16; 4]) -> MaxPool {
    MaxPool {
        kernel,
        stride,
        dilation: [1, 1],
        pads,
    }
}

#[test]
fn max_pool_by_hand() {
    let x = counting(&[1, 4, 4, 1]);
    let y = compute(max([2, 2], [2, 2], [0; 4]), &[&x], None);
    assert_eq!(values(&y), [6., 8., 14., 16.]);
    // Padding never wins.
    let negative = Tensor::f32(vec![1, 2, 2, 1], vec![-1., -2., -3., -4.]);
    let y = compute(max([2, 2], [1, 1], [1, 1, 0, 0]), &[&negative], None);
    assert_eq!(values(&y), [-1., -1., -1., -1.]);
    let dilated = MaxPool {
        dilation: [3, 1],
        ..max([2, 1], [1, 1], [0; 4])
    };
    let y = compute(dilated, &[&x], None);
    assert_eq!(y.shape, [1, 1, 4, 1]);
    assert_eq!(values(&y), [13., 14., 15., 16.]);
    // Channels and images stay apart.
    let x = counting(&[2, 1, 2, 2]);
    let y = compute(max([1, 2], [1, 1], [0; 4]), &[&x], None);
    assert_eq!(values(&y), [3., 4., 7., 8.]);
    // Integers, quantised ones included.
    let x = Tensor::new(vec![1, 1, 3, 1], Data::I8(vec![-128, -3, -5]));
    let y = compute(max([1, 2], [1, 1], [0, 1, 0, 0]), &[&x], None);
    assert_eq!(y.data, Data::I8(vec![-128, -3, -3]));
    let quantised = Type::quantised([1, 1, 3, 1], 63, Scale::Static(0.5));
    let op = max([1, 2], [1, 1], [0; 4]).into();
    let y = infer(&op, &[Some(&quantised)], None).unwrap();
    assert_eq!(y, [quantised.with_shape([1, 1, 2, 1])]);
}

#[test]
fn ceil_pools() {
    let x = counting(&[1, 1, 4, 1]);
    let op = max([1, 3], [1, 2], [0; 4]);
    assert_eq!(values(&compute(op, &[&x], None)), [3.]);
    let y = compute(op, &[&x], Some(f32s(&[1, 1, 2, 1])));
    assert_eq!(values(&y), [3., 4.]);
    let message = refusal(op, &[&f32s(&[1, 1, 4, 1])], Some(&f32s(&[1, 1, 3, 1])));
    assert!(message.contains("output width 3"), "{message}");
    assert!(message.contains("floor gives 1, ceil 2"), "{message}");
    // A last window that would start in the padding behind the input is none.
    let op = max([1, 2], [1, 3], [0, 0, 0, 1]);
    let message = refusal(op, &[&f32s(&[1, 1, 3, 1])], Some(&f32s(&[1, 1, 2, 1])));
    assert!(message.contains("floor gives 1, ceil 1"), "{message}");
}

#[test]
fn average_pool_counts_what_it_says() {
    let x = counting(&[1, 2, 2, 1]);
    let op = |count_include_pad| AveragePool {
        kernel: [2, 2],
        stride: [1, 1],
        dilation: [1, 1],
        pads: [1, 0, 0, 1],
        count_include_pad,
    };
    let y = compute(op(false), &[&x], None);
    assert_eq!(y.shape, [1, 2, 2, 1]);
    assert_eq!(values(&y), [1.5, 2., 2.5, 3.]);
    let y = compute(op(true), &[&x], None);
    assert_eq!(values(&y), [0.75, 0.5, 2.5, 1.5]);
    // In ceil mode a window reaches beyond the padded image; that part never counts.
    let x = counting(&[1, 1, 4, 1]);
    let op = |count_include_pad| AveragePool {
        kernel: [1, 3],
        stride: [1, 3],
        dilation: [1, 1],
        pads: [0, 0, 0, 1],
        count_include_pad,
    };
    let wanted = || Some(f32s(&[1, 1, 2, 1]));
    assert_eq!(values(&compute(op(true), &[&x], wanted())), [2., 2.]);
    assert_eq!(values(&compute(op(false), &[&x], wanted())), [2., 4.]);
}

#[test]
fn nearest_resize() {
    let x = counting(&[1, 1, 4, 1]);
    let resize = |mode, coordinates, out: usize| {
        let op = Resize {
            scale: [1.0, out as f32 / 4.0],
            mode,
            coordinates,
        };
        values(&compute(op, &[&x], Some(f32s(&[1, 1, out, 1])))).to_vec()
    };
    use ResizeCoordinates::*;
    use ResizeMode::*;
    // Down by 2, half pixel: coordinates 0.5 and 2.5, ties.
    assert_eq!(resize(NearestFloorTies, HalfPixel, 2), [1., 3.]);
    assert_eq!(resize(NearestCeilTies, HalfPixel, 2), [2., 4.]);
    assert_eq!(resize(NearestFloor, HalfPixel, 2), [1., 3.]);
    assert_eq!(resize(NearestCeil, HalfPixel, 2), [2., 4.]);
    // Up by 2: 0, 0.5, 1 ...
    let twice = [1., 1., 2., 2., 3., 3., 4., 4.];
    assert_eq!(resize(NearestFloor, Asymmetric, 8), twice);
    // 0, 3/4, 6/4, ... 3 over 5.
    assert_eq!(
        resize(NearestFloorTies, AlignCorners, 5),
        [1., 2., 2., 3., 4.]
    );
    assert_eq!(resize(NearestFloor, PytorchHalfPixel, 1), [1.]);
}

#[test]
fn linear_resize() {
    use ResizeCoordinates::*;
    let x = Tensor::f32(vec![1, 2, 2, 1], vec![0., 8., 16., 24.]);
    let op = |coordinates| Resize {
        scale: [2.0, 2.0],
        mode: ResizeMode::Linear,
        coordinates,
    };
    let y = compute(op(HalfPixel), &[&x], None);
    assert_eq!(y.shape, [1, 4, 4, 1]);
    #[rustfmt::skip]
    assert_eq!(values(&y), [
        0., 2., 6., 8.,
        4., 6., 10., 12.,
        12., 14., 18., 20.,
        16., 18., 22., 24.,
    ]);
    let y = compute(op(Asymmetric), &[&x], None);
    assert_eq!(values(&y)[..4], [0., 4., 8., 8.]);
    let line = Tensor::f32(vec![1, 1, 2, 1], vec![0., 3.]);
    let op = Resize {
        scale: [1.0, 2.0],
        ..op(AlignCorners)
    };
    assert_eq!(values(&compute(op, &[&line], None)), [0., 1., 2., 3.]);
    let message = refusal(op, &[&f32s(&[1, 1, 2, 1])], Some(&f32s(&[1, 1, 6, 1])));
    assert!(message.contains("is not scale="), "{message}");
}

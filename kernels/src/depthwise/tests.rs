use super::*;
use crate::Serial;
use crate::eltwise::{Unary, UnaryKind};
use crate::testing::{Case, Family, OUTPUTS, Reversed, Rng, Threads, inputs};

fn random_shape(channels: usize, rng: &mut Rng) -> Conv2dShape {
    Conv2dShape {
        batch: 1 + rng.below(2),
        input: [1 + rng.below(8), 1 + rng.below(8)],
        in_channels: channels,
        output: [1 + rng.below(8), 1 + rng.below(8)],
        out_channels: channels,
        kernel: [1 + rng.below(5), 1 + rng.below(5)],
        stride: [1 + rng.below(3), 1 + rng.below(3)],
        dilation: [1 + rng.below(2), 1 + rng.below(2)],
        pad: [rng.below(4), rng.below(4)],
        groups: channels,
        transposed: false,
    }
}

#[test]
fn agrees_for_every_dtype_and_random_windows() {
    let mut rng = Rng::new(30);
    for (x, codec) in inputs() {
        for y in OUTPUTS {
            for channels in [
                1, 3, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 47, 48, 49, 63, 64, 65, 67, 80, 97, 127,
                128, 145,
            ] {
                let shape = random_shape(channels, &mut rng);
                Case::random(Family::Depthwise, shape, x, codec, y, &mut rng).check(&Serial);
            }
        }
    }
}

/// Kernels that variants have code of their own for, along lines of one position,
/// of some, and of more than are computed together.
#[test]
fn agrees_for_common_kernels() {
    let mut rng = Rng::new(33);
    for (x, codec) in inputs() {
        for (kernel, stride) in [
            ([1, 1], [1, 1]),
            ([1, 1], [2, 2]),
            ([3, 3], [1, 1]),
            ([3, 3], [2, 2]),
            ([5, 5], [1, 1]),
            ([5, 5], [2, 2]),
            ([7, 7], [1, 1]),
            ([3, 3], [4, 4]),
            // As wide as common ones alone.
            ([2, 3], [1, 2]),
            ([2, 3], [2, 1]),
            ([3, 3], [1, 2]),
            ([3, 3], [2, 1]),
            ([4, 3], [1, 1]),
            ([4, 3], [2, 2]),
        ] {
            for width in [1, 2, 7, 45] {
                let output = [1 + rng.below(6), width];
                let input = core::array::from_fn(|axis| {
                    output[axis] * stride[axis] - rng.below(stride[axis])
                });
                let channels = rng.pick(&[16, 32, 48, 64, 72, 96, 100, 144]);
                let shape = Conv2dShape {
                    batch: 1 + rng.below(2),
                    input,
                    output,
                    kernel,
                    stride,
                    dilation: [1, 1],
                    pad: kernel.map(|taps| taps / 2),
                    ..random_shape(channels, &mut rng)
                };
                let y = rng.pick(&OUTPUTS);
                let mut case = Case::random(Family::Depthwise, shape, x, codec, y, &mut rng);
                if rng.below(2) == 0 {
                    // The epilogue of most layers.
                    case.residual = None;
                    case.activation = Unary {
                        kind: UnaryKind::Clip,
                        alpha: 0.0,
                        beta: 6.0,
                    };
                }
                case.check(&Serial);
                let expected = case.run(Caps::SCALAR, &Serial);
                for caps in case.family.caps() {
                    assert_eq!(case.run(caps, &Reversed(3)), expected, "{caps} {shape:?}");
                }
            }
        }
    }
}

#[test]
fn nothing_is_computed_of_nothing() {
    let mut rng = Rng::new(35);
    for (x, codec) in inputs() {
        for (batch, output) in [(0, [3, 3]), (1, [0, 3]), (1, [3, 0])] {
            let shape = Conv2dShape {
                batch,
                output,
                ..random_shape(70, &mut rng)
            };
            let y = rng.pick(&OUTPUTS);
            Case::random(Family::Depthwise, shape, x, codec, y, &mut rng).check(&Reversed(2));
        }
    }
}

/// 0 times such a weight is no number: the taps outside of the input matter.
#[test]
fn infinite_weights_stay_inside() {
    let mut rng = Rng::new(34);
    let shape = Conv2dShape {
        batch: 1,
        input: [4, 4],
        output: [4, 4],
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        pad: [1, 1],
        ..random_shape(40, &mut rng)
    };
    let f32 = DType::F32;
    let mut case = Case::random(Family::Depthwise, shape, f32, Codec::F32, f32, &mut rng);
    (case.residual, case.activation) = (None, Unary::IDENTITY);
    case.weights[0] = f32::INFINITY;
    let matrix = case.family.matrix(&shape);
    Codec::F32
        .pack_f32(&matrix, &case.weights, &mut case.bytes)
        .unwrap();
    let expected = case.run(Caps::SCALAR, &Serial);
    assert!(!expected.get(0).is_nan() && expected.get(40 * 5).is_infinite());
    for caps in case.family.caps() {
        assert_eq!(case.run(caps, &Serial), expected, "{caps}");
    }
}

#[test]
fn variants_and_threads_give_the_same_bits() {
    let mut rng = Rng::new(31);
    for (x, codec) in inputs() {
        for channels in [5, 16, 45] {
            let shape = random_shape(channels, &mut rng);
            let y = rng.pick(&OUTPUTS);
            let case = Case::random(Family::Depthwise, shape, x, codec, y, &mut rng);
            let expected = case.run(Caps::SCALAR, &Serial);
            for caps in case.family.caps() {
                assert_eq!(case.run(caps, &Serial), expected, "{caps}");
                for threads in [2, 7, 150] {
                    assert_eq!(case.run(caps, &Reversed(threads)), expected, "{caps}");
                }
                assert_eq!(case.run(caps, &Threads(3)), expected, "{caps}");
            }
        }
    }
}

#[test]
fn calls_that_do_not_fit_are_refused() {
    let mut rng = Rng::new(32);
    let good = Conv2dShape {
        batch: 1,
        input: [5, 5],
        output: [5, 5],
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        pad: [1, 1],
        ..random_shape(6, &mut rng)
    };
    let (f32, t2) = (DType::F32, Codec::T2);
    let case = Case::random(Family::Depthwise, good, f32, t2, f32, &mut rng);
    let weights = Weights {
        codec: t2,
        bytes: &case.bytes,
        scale: case.w_scale.as_deref(),
    };
    for caps in case.family.caps() {
        let needed = scratch(caps, 1, &good, f32, t2);
        let mut memory = crate::testing::Scratch::new(needed.max(1));
        let mut call = |shape: &Conv2dShape, scratch: usize, y: usize| {
            let mut y = std::vec![0.0; y];
            let mut ctx = Ctx {
                caps,
                par: &Serial,
                scratch: &mut memory.bytes()[..scratch],
            };
            let (x, y) = (case.x.view(), ViewMut::F32(&mut y));
            run(&mut ctx, shape, x, &weights, &case.epilogue(), y)
        };
        assert_eq!(call(&good, needed, 150), Ok(()));
        assert_eq!(call(&good, needed, 149), Err(Invalid));
        if needed > 0 {
            assert_eq!(call(&good, needed - 1, 150), Err(Invalid));
        }
        for shape in [
            Conv2dShape {
                transposed: true,
                ..good
            },
            Conv2dShape { groups: 3, ..good },
            Conv2dShape { groups: 0, ..good },
            Conv2dShape {
                out_channels: 12,
                ..good
            },
            Conv2dShape {
                kernel: [3, usize::MAX],
                ..good
            },
            Conv2dShape {
                kernel: [5, 5],
                ..good
            },
            Conv2dShape {
                stride: [0, 1],
                ..good
            },
            Conv2dShape {
                pad: [usize::MAX, 0],
                ..good
            },
        ] {
            assert_eq!(call(&shape, needed, 150), Err(Invalid), "{shape:?}");
            assert_eq!(
                scratch(caps, 1, &Conv2dShape { groups: 0, ..shape }, f32, t2),
                0
            );
        }
    }
}

use super::*;
use crate::Serial;
use crate::testing::{Case, Family, OUTPUTS, Reversed, Rng, Threads, i7, inputs};

/// A shape with these channels and a random window; the output is as large as
/// the window allows, sometimes a little larger (which reads zeros).
fn random_shape(groups: usize, inputs: usize, outputs: usize, rng: &mut Rng) -> Conv2dShape {
    let mut shape = Conv2dShape {
        batch: 1 + rng.below(2),
        input: [1 + rng.below(7), 1 + rng.below(7)],
        in_channels: groups * inputs,
        output: [0, 0],
        out_channels: groups * outputs,
        kernel: [1 + rng.below(4), 1 + rng.below(4)],
        stride: [1 + rng.below(3), 1 + rng.below(3)],
        dilation: [1 + rng.below(2), 1 + rng.below(2)],
        pad: [rng.below(4), rng.below(4)],
        groups,
        transposed: rng.below(3) == 0,
    };
    for axis in 0..2 {
        let reach = (shape.kernel[axis] - 1) * shape.dilation[axis] + 1;
        let (input, stride, pad) = (shape.input[axis], shape.stride[axis], shape.pad[axis]);
        let full = if shape.transposed {
            ((input - 1) * stride + reach).saturating_sub(2 * pad)
        } else {
            (input + 2 * pad).saturating_sub(reach) / stride + 1
        };
        shape.output[axis] = (full + rng.below(2)).max(1);
    }
    shape
}

#[test]
fn agrees_for_every_dtype_and_random_windows() {
    let mut rng = Rng::new(20);
    for (x, codec) in inputs() {
        for y in OUTPUTS {
            for _ in 0..14 {
                let groups = rng.pick(&[1, 1, 1, 2, 3]);
                let inputs = rng.pick(&[1, 2, 3, 4, 7, 8, 15, 16, 17, 20, 24, 37]);
                let outputs = rng.pick(&[1, 3, 10, 15, 16, 17, 37]);
                let shape = random_shape(groups, inputs, outputs, &mut rng);
                Case::random(Family::Conv2d, shape, x, codec, y, &mut rng).check(&Serial);
            }
        }
    }
}

/// Windows, channels and sizes that bring bytes into every form and strip in
/// which variants stage them, around the edges of these.
#[test]
fn bytes_of_large_images_agree() {
    let mut rng = Rng::new(25);
    // Input size and channels, outputs, kernel, stride, dilation, padding, groups,
    // images.
    type Row = (
        [usize; 2],
        usize,
        usize,
        [usize; 2],
        [usize; 2],
        [usize; 2],
        [usize; 2],
        usize,
        usize,
    );
    let rows: &[Row] = &[
        // Windows of stems, and what is nearly one.
        ([23, 31], 3, 37, [7, 7], [2, 2], [1, 1], [3, 3], 1, 1),
        ([18, 17], 3, 64, [3, 3], [2, 2], [1, 1], [1, 1], 1, 2),
        ([19, 30], 10, 17, [3, 3], [2, 2], [1, 1], [0, 1], 1, 1),
        ([18, 16], 4, 33, [5, 9], [2, 1], [1, 1], [4, 7], 1, 1),
        ([18, 16], 3, 16, [3, 3], [2, 2], [1, 2], [1, 1], 1, 1),
        ([16, 18], 6, 34, [3, 3], [2, 2], [1, 1], [1, 1], 2, 1),
        // Whole sixteens of channels, with filler between lines or lines that there are not.
        ([19, 18], 16, 20, [3, 2], [2, 2], [1, 1], [1, 0], 1, 1),
        ([18, 17], 16, 33, [4, 1], [2, 1], [1, 1], [1, 0], 1, 1),
        ([19, 18], 32, 17, [5, 1], [2, 2], [1, 1], [2, 0], 1, 2),
        // Rows: without taps, with few channels.
        ([50, 45], 66, 18, [1, 1], [1, 1], [1, 1], [0, 0], 1, 1),
        ([13, 13], 130, 24, [1, 1], [2, 2], [1, 1], [0, 0], 1, 2),
        ([9, 9], 26, 35, [1, 1], [1, 1], [1, 1], [1, 2], 1, 1),
        ([20, 21], 13, 17, [3, 3], [1, 1], [1, 1], [1, 1], 1, 2),
        ([11, 12], 12, 24, [3, 5], [1, 3], [2, 2], [2, 1], 1, 1),
        ([10, 9], 8, 24, [3, 3], [1, 1], [1, 1], [1, 1], 2, 1),
        // Lines: chunks that are full or not, strides, dilations, groups, strips.
        ([9, 9], 64, 80, [3, 3], [1, 1], [1, 1], [1, 1], 1, 1),
        ([16, 15], 64, 65, [3, 3], [1, 1], [1, 1], [1, 1], 1, 2),
        ([15, 14], 128, 33, [3, 3], [2, 2], [1, 1], [1, 1], 1, 1),
        ([14, 15], 64, 16, [3, 3], [1, 2], [1, 1], [1, 1], 1, 1),
        ([14, 15], 64, 20, [4, 3], [3, 1], [1, 2], [2, 2], 1, 1),
        ([17, 16], 128, 96, [3, 3], [1, 1], [2, 2], [2, 2], 2, 1),
        ([35, 33], 32, 48, [3, 3], [1, 1], [1, 1], [1, 1], 1, 1),
        ([12, 13], 20, 17, [5, 5], [2, 1], [1, 1], [2, 2], 1, 1),
        ([8, 7], 22, 17, [3, 3], [1, 1], [1, 1], [2, 3], 1, 2),
        ([40, 41], 192, 17, [3, 3], [1, 1], [1, 1], [1, 1], 1, 1),
        ([4, 4], 256, 50, [3, 3], [1, 1], [1, 1], [1, 1], 1, 1),
        ([3, 3], 320, 70, [3, 3], [1, 1], [1, 1], [1, 1], 1, 1),
    ];
    for &(input, channels, outputs, kernel, stride, dilation, pad, groups, batch) in rows {
        let output = core::array::from_fn(|i| {
            (input[i] + 2 * pad[i] - (kernel[i] - 1) * dilation[i] - 1) / stride[i] + 1
        });
        let shape = Conv2dShape {
            batch,
            input,
            in_channels: channels,
            output,
            out_channels: outputs * groups,
            kernel,
            stride,
            dilation,
            pad,
            groups,
            transposed: false,
        };
        let apart = |codec| match codec {
            Codec::N12 => 2,
            Codec::N34 => 4,
            _ => 1,
        };
        for codec in [Codec::T2, Codec::N12, Codec::N34, Codec::T5, Codec::I8] {
            if (channels / groups).is_multiple_of(apart(codec)) {
                let y = rng.pick(&[DType::I8, DType::I8, DType::F32]);
                let case = Case::random(Family::Conv2d, shape, DType::I8, codec, y, &mut rng);
                case.check(&Threads(1 + rng.below(3)));
            }
        }
    }
}

#[test]
fn layers_of_real_networks_agree() {
    let mut rng = Rng::new(21);
    let base = Conv2dShape {
        batch: 1,
        input: [9, 9],
        in_channels: 3,
        output: [5, 5],
        out_channels: 32,
        kernel: [3, 3],
        stride: [2, 2],
        dilation: [1, 1],
        pad: [1, 1],
        groups: 1,
        transposed: false,
    };
    let layers = [
        base,
        // Padding on one side alone, as TensorFlow's SAME does.
        Conv2dShape {
            pad: [0, 0],
            ..base
        },
        Conv2dShape {
            kernel: [7, 7],
            pad: [3, 3],
            ..base
        },
        Conv2dShape {
            in_channels: 64,
            out_channels: 64,
            ..base
        },
        Conv2dShape {
            in_channels: 128,
            kernel: [1, 1],
            pad: [0, 0],
            ..base
        },
        Conv2dShape {
            in_channels: 64,
            groups: 32,
            ..base
        },
    ];
    for shape in layers {
        for (x, codec) in inputs() {
            let y = rng.pick(&OUTPUTS);
            Case::random(Family::Conv2d, shape, x, codec, y, &mut rng).check(&Serial);
        }
    }
}

#[test]
fn i7_activations_agree() {
    let mut rng = Rng::new(24);
    for channels in [16, 24, 48, 64] {
        for (groups, outputs) in [(1, 20), (1, 70), (2, 40), (1, 64), (3, 16)] {
            let shape = random_shape(groups, channels, outputs, &mut rng);
            let y = rng.pick(&OUTPUTS);
            let random = || Case::random(Family::Conv2d, shape, DType::I8, Codec::N12, y, &mut rng);
            i7(random).check(&Serial);
        }
    }
}

/// Images of which much lies beyond the input, with channels that fill steps: it is left out.
#[test]
fn zeros_around_the_input_add_nothing() {
    let mut rng = Rng::new(26);
    for (x, codec) in inputs() {
        let tables = x == DType::I8 && codec == Codec::N12;
        for round in 0..if tables { 80 } else { 8 } {
            let (channels, outputs) = if round % 8 == 7 {
                // Of so many weights those are decoded that the first rows meet.
                (256, 128)
            } else {
                rng.pick(&[(16, 64), (32, 64), (32, 128), (48, 16), (48, 40)])
            };
            let kernel = rng.pick(&[[3, 3], [3, 3], [5, 5], [2, 3], [4, 2], [1, 3]]);
            let mut shape = Conv2dShape {
                kernel,
                dilation: rng.pick(&[[1, 1], [1, 1], [1, 2], [2, 1]]),
                pad: kernel.map(|kernel| rng.below(kernel)),
                transposed: false,
                ..random_shape(1, channels, outputs, &mut rng)
            };
            for (i, output) in shape.output.iter_mut().enumerate() {
                let padded = shape.input[i] + 2 * shape.pad[i];
                let reach = (kernel[i] - 1) * shape.dilation[i] + 1;
                *output = padded.saturating_sub(reach) / shape.stride[i] + 1;
            }
            let y = rng.pick(&[DType::I8, DType::I8, DType::F32]);
            let mut random = || Case::random(Family::Conv2d, shape, x, codec, y, &mut rng);
            let case = if tables { i7(random) } else { random() };
            case.check(&Threads(1 + round % 3));
        }
    }
}

#[test]
fn threads_do_not_change_results() {
    let mut rng = Rng::new(22);
    for (x, codec) in inputs() {
        for (groups, outputs) in [(1, 3), (1, 50), (5, 17)] {
            let inputs = rng.pick(&[3, 16, 20]);
            let shape = random_shape(groups, inputs, outputs, &mut rng);
            let y = rng.pick(&OUTPUTS);
            let case = Case::random(Family::Conv2d, shape, x, codec, y, &mut rng);
            for caps in case.family.caps() {
                let alone = case.run(caps, &Serial);
                for threads in [2, 5, 130] {
                    assert_eq!(case.run(caps, &Reversed(threads)), alone);
                }
                assert_eq!(case.run(caps, &Threads(3)), alone);
            }
        }
    }
}

/// Shares of few strips, whose blocks are cut into pieces; `Reversed` has one task
/// take all of them.
#[test]
fn pieces_of_strips_do_not_change_results() {
    let mut rng = Rng::new(26);
    for (x, codec) in inputs() {
        for (kernel, groups, outputs) in [(3, 1, 130), (3, 2, 112), (1, 1, 400)] {
            let shape = Conv2dShape {
                batch: 1,
                input: [9, 11],
                in_channels: 48,
                output: [9, 11],
                out_channels: outputs,
                kernel: [kernel; 2],
                stride: [1, 1],
                dilation: [1, 1],
                pad: [kernel / 2; 2],
                groups,
                transposed: false,
            };
            let y = rng.pick(&OUTPUTS);
            let case = Case::random(Family::Conv2d, shape, x, codec, y, &mut rng);
            for caps in case.family.caps() {
                let alone = case.run(caps, &Serial);
                assert_eq!(case.run(caps, &Reversed(2)), alone, "{caps}");
                assert_eq!(case.run(caps, &Threads(3)), alone, "{caps}");
            }
        }
    }
}

#[test]
fn hostile_geometry_is_refused() {
    let good = Conv2dShape {
        batch: 1,
        input: [2, 2],
        in_channels: 4,
        output: [2, 2],
        out_channels: 4,
        kernel: [1, 1],
        stride: [1, 1],
        dilation: [1, 1],
        pad: [0, 0],
        groups: 2,
        transposed: false,
    };
    let (x, mut y) = ([0.0; 16], [0.0; 16]);
    let mut call = |shape: &Conv2dShape| {
        let mut memory = crate::testing::Scratch::new(1 << 16);
        let mut ctx = Ctx {
            caps: Caps::detect(),
            par: &Serial,
            scratch: memory.bytes(),
        };
        let weights = Weights {
            codec: Codec::T2,
            bytes: &[0x55; 128],
            scale: None,
        };
        let epilogue = Epilogue {
            x_scale: 1.0,
            x_qmax: 0,
            x_non_negative: false,
            bias: None,
            residual: None,
            activation: crate::eltwise::Unary::IDENTITY,
            out_scale: 1.0,
            qmax: 0,
        };
        let y = ViewMut::F32(&mut y);
        let result = run(&mut ctx, shape, View::F32(&x), &weights, &epilogue, y);
        if result.is_err() {
            for (threads, codec) in [(0, Codec::T5), (usize::MAX, Codec::F32)] {
                let _ = scratch(Caps::detect(), threads, shape, DType::F32, codec);
            }
        }
        result
    };
    assert_eq!(call(&good), Ok(()));
    let bits = usize::BITS;
    for n in [
        0,
        3,
        usize::MAX,
        usize::MAX / 2,
        1 << (bits - 1),
        1 << (bits - 2),
        1 << (bits / 2 + 1),
    ] {
        for transposed in [false, true] {
            let good = Conv2dShape { transposed, ..good };
            for axis in 0..2 {
                let set = |mut pair: [usize; 2]| {
                    pair[axis] = n;
                    pair
                };
                let bad = [
                    Conv2dShape {
                        input: set(good.input),
                        ..good
                    },
                    Conv2dShape {
                        output: set(good.output),
                        ..good
                    },
                    Conv2dShape {
                        kernel: set(good.kernel),
                        ..good
                    },
                ];
                for shape in bad {
                    assert_eq!(call(&shape), Err(Invalid), "{shape:?}");
                }
                // These change no length, so some values are fine.
                let changed = [
                    Conv2dShape {
                        stride: set(good.stride),
                        ..good
                    },
                    Conv2dShape {
                        dilation: set(good.dilation),
                        ..good
                    },
                    Conv2dShape {
                        pad: set(good.pad),
                        ..good
                    },
                ];
                for shape in changed {
                    assert_eq!(call(&shape), shape.check(), "{shape:?}");
                }
            }
            let bad = [
                Conv2dShape { batch: n, ..good },
                Conv2dShape {
                    in_channels: n,
                    ..good
                },
                Conv2dShape {
                    out_channels: n,
                    ..good
                },
                Conv2dShape { groups: n, ..good },
            ];
            for shape in bad {
                assert_eq!(call(&shape), Err(Invalid), "{shape:?}");
            }
        }
    }
}

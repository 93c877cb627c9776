use super::*;
use crate::Serial;
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
            for channels in [1, 3, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 67] {
                let shape = random_shape(channels, &mut rng);
                Case::random(Family::Depthwise, shape, x, codec, y, &mut rng).check(&Serial);
            }
        }
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

//! The interpreter against the kernels: the same bits on every variant of the
//! ops that do not reorder sums. The values hold infinities, NaNs and zeros of
//! both signs.

use super::*;
use crate::ops::window::Axis;
use ternrt::Caps;
use ternrt::kernels::conv2d::Conv2dShape;
use ternrt::kernels::eltwise::{self, BinaryKind, Broadcast, Unary, UnaryKind};
use ternrt::kernels::movement::{self, ResizeCoordinates, ResizeMode};
use ternrt::kernels::reduce::{self, ReduceKind};
use ternrt::kernels::{Ctx, Serial, pool, quantize, softmax};
use ternrt::ops::table::*;

/// Every set of instructions that this CPU has, with a context for each.
fn each_level(mut f: impl FnMut(&mut Ctx<'_>)) {
    for caps in Caps::detect().levels() {
        f(&mut Ctx {
            caps,
            par: &Serial,
            scratch: &mut [],
        });
    }
}

/// Numbers of some magnitude, every so often a special one.
fn floats(seed: u64, shape: &[usize], special: bool) -> Tensor {
    let specials = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 1e-40];
    let values = noise(seed, shape.iter().product(), 4000)
        .into_iter()
        .map(|v| match v {
            v if special && v % 7 == 0 => specials[v.unsigned_abs() as usize / 7 % 6],
            v => v as f32 / 512.0,
        });
    Tensor::f32(shape.to_vec(), values.collect())
}

/// The same bits, NaNs being all the same.
#[track_caller]
fn assert_same(a: &Data, b: &Data, what: &dyn std::fmt::Debug) {
    if let (Data::F32(a), Data::F32(b)) = (a, b) {
        for (i, (x, y)) in a.iter().zip(b).enumerate() {
            let same = x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan());
            assert!(same, "{what:?}: element {i} is {x:?} and {y:?}");
        }
        assert_eq!(a.len(), b.len(), "{what:?}");
    } else {
        assert_eq!(a, b, "{what:?}");
    }
}

#[test]
fn binary_and_unary() {
    let (a, b) = (floats(1, &[3, 1, 37], true), floats(2, &[5, 37], true));
    let activations = [UnaryKind::Identity, UnaryKind::Relu, UnaryKind::HardSwish];
    for &function in BinaryKind::ALL {
        if matches!(function, BinaryKind::And | BinaryKind::Or | BinaryKind::Xor) {
            continue;
        }
        for kind in activations {
            let activation = Unary::new(kind);
            if function.is_comparison() && kind != UnaryKind::Identity {
                continue;
            }
            let op = BinaryOp {
                function,
                activation,
            };
            let ours = compute(op, &[&a, &b], None);
            each_level(|ctx| {
                let shape = Broadcast::new(&ours.shape, [&a.shape, &b.shape]).unwrap();
                let mut y = Data::zeros(ours.dtype(), ours.data.len());
                let (a, b) = (a.data.view(), b.data.view());
                eltwise::binary(ctx, function, &activation, &shape, a, b, y.view_mut()).unwrap();
                assert_same(&ours.data, &y, &op);
            });
        }
    }
    let integers = |seed, bound| {
        let v = noise(seed, 60, bound);
        Tensor::new(vec![60], Data::I32(v))
    };
    let (a, b) = (integers(3, i32::MAX / 2 - 1), integers(4, 3));
    for &function in BinaryKind::ALL {
        use BinaryKind::*;
        if matches!(function, And | Or | Xor | Pow) {
            continue;
        }
        let activation = Unary::IDENTITY;
        let op = BinaryOp {
            function,
            activation,
        };
        let ours = compute(op, &[&a, &b], None);
        each_level(|ctx| {
            let shape = Broadcast::new(&ours.shape, [&a.shape, &b.shape]).unwrap();
            let mut y = Data::zeros(ours.dtype(), ours.data.len());
            let (a, b) = (a.data.view(), b.data.view());
            eltwise::binary(ctx, function, &activation, &shape, a, b, y.view_mut()).unwrap();
            assert_same(&ours.data, &y, &op);
        });
    }
    for &kind in UnaryKind::ALL {
        if kind == UnaryKind::Not {
            continue;
        }
        let function = Unary {
            kind,
            alpha: 0.25,
            beta: 1.5,
        };
        let x = floats(5, &[1000], true);
        let ours = compute(UnaryOp { function }, &[&x], None);
        each_level(|ctx| {
            let mut y = Data::zeros(DType::F32, 1000);
            eltwise::unary(ctx, &function, x.data.view(), y.view_mut()).unwrap();
            assert_same(&ours.data, &y, &function);
        });
    }
}

#[test]
fn reductions() {
    let shape = [3, 4, 5, 6];
    let x = floats(1, &shape, true);
    let plain = floats(2, &shape, false);
    for &function in ReduceKind::ALL {
        for axes in 0..16u8 {
            if function.is_index() && axes.count_ones() != 1 {
                continue;
            }
            for x in [&x, &plain] {
                let op = Reduce { function, axes };
                let ours = compute(op, &[x], None);
                each_level(|ctx| {
                    let mut y = Data::zeros(ours.dtype(), ours.data.len());
                    let x = x.data.view();
                    reduce::run(ctx, function, &shape, axes, x, y.view_mut()).unwrap();
                    assert_same(&ours.data, &y, &op);
                });
            }
        }
    }
}

#[test]
fn softmaxes() {
    let shape = [3, 5, 7];
    for (special, log) in [(false, false), (false, true), (true, false), (true, true)] {
        let x = floats(9, &shape, special);
        for axis in 0..3u8 {
            let op = Softmax { axis, log };
            let ours = compute(op, &[&x], None);
            let (outer, inner) = (
                shape[..axis as usize].iter().product(),
                shape[axis as usize + 1..].iter().product(),
            );
            each_level(|ctx| {
                let mut y = vec![0.0; ours.data.len()];
                let size = shape[axis as usize];
                softmax::run(ctx, outer, size, inner, log, values(&x), &mut y).unwrap();
                assert_same(&ours.data, &Data::F32(y), &op);
            });
        }
    }
}

#[test]
fn pools() {
    for seed in 0..60 {
        let pick = noise(seed, 20, 100)
            .into_iter()
            .map(|v| v.unsigned_abs() as u16);
        let pick: Vec<u16> = pick.collect();
        let input = [1 + pick[0] as usize % 9, 1 + pick[1] as usize % 9];
        let (kernel, stride) = (
            [1 + pick[2] % 3, 1 + pick[3] % 3],
            [1 + pick[4] % 3, 1 + pick[5] % 3],
        );
        let (dilation, pads) = ([1 + pick[6] % 2, 1], [7, 8, 9, 10].map(|i| pick[i] % 3));
        let (batch, channels) = (1 + pick[11] as usize % 2, 1 + pick[12] as usize % 19);
        let axes = Axis::both(input, kernel, stride, dilation, pads).unwrap();
        let size = |i: usize| match pick[13 + i] % 2 {
            0 => axes[i].floor(input[i]),
            _ => axes[i].ceil(input[i]),
        };
        let (Some(h), Some(w)) = (size(0), size(1)) else {
            continue;
        };
        let shape = Conv2dShape {
            batch,
            input,
            in_channels: channels,
            output: [h, w],
            out_channels: channels,
            kernel: kernel.map(usize::from),
            stride: stride.map(usize::from),
            dilation: dilation.map(usize::from),
            pad: [pads[0] as usize, pads[1] as usize],
            groups: channels,
            transposed: false,
        };
        let x = floats(seed, &[batch, input[0], input[1], channels], true);
        let q: Vec<i8> = noise(seed, x.data.len(), 127)
            .iter()
            .map(|&v| v as i8)
            .collect();
        let q = Tensor::new(x.shape.clone(), Data::I8(q));
        let op = MaxPool {
            kernel,
            stride,
            dilation,
            pads,
        };
        for x in [&x, &q] {
            let wanted = Type::new(x.dtype(), [batch, h, w, channels]);
            let ours = compute(op, &[x], Some(wanted));
            each_level(|ctx| {
                let mut y = Data::zeros(x.dtype(), ours.data.len());
                pool::max(ctx, &shape, x.data.view(), y.view_mut()).unwrap();
                assert_same(&ours.data, &y, &op);
            });
        }
        for count_include_pad in [false, true] {
            let op = AveragePool {
                kernel,
                stride,
                dilation,
                pads,
                count_include_pad,
            };
            let ours = compute(op, &[&x], Some(f32s(&[batch, h, w, channels])));
            let pad_end = [pads[2] as usize, pads[3] as usize];
            each_level(|ctx| {
                let mut y = vec![0.0; ours.data.len()];
                let x = values(&x);
                pool::average(ctx, &shape, pad_end, count_include_pad, x, &mut y).unwrap();
                assert_same(&ours.data, &Data::F32(y), &op);
            });
        }
    }
}

#[test]
fn resizes() {
    use ResizeCoordinates::*;
    use ResizeMode::*;
    let x = floats(3, &[2, 5, 4, 3], false);
    for mode in [
        NearestFloorTies,
        NearestCeilTies,
        NearestFloor,
        NearestCeil,
        Linear,
    ] {
        for coordinates in [HalfPixel, Asymmetric, AlignCorners, PytorchHalfPixel] {
            for output in [[5, 4], [10, 8], [1, 1], [3, 7], [2, 13]] {
                let scale = [output[0] as f32 / 5.0, output[1] as f32 / 4.0];
                let op = Resize {
                    scale,
                    mode,
                    coordinates,
                };
                let ours = compute(op, &[&x], Some(f32s(&[2, output[0], output[1], 3])));
                each_level(|ctx| {
                    let mut y = Data::zeros(DType::F32, ours.data.len());
                    let (x, to) = (x.data.view(), y.view_mut());
                    movement::resize(ctx, 2, [5, 4], output, 3, scale, mode, coordinates, x, to)
                        .unwrap();
                    assert_same(&ours.data, &y, &op);
                });
            }
        }
    }
}

#[test]
fn quantisation_and_casts() {
    use crate::ir::{Scale, ValueId};
    let x = floats(8, &[513], true);
    for qmax in [63, 127, 32767] {
        for scale in [None, Some(0.01f32), Some(0.5), Some(3.0)] {
            let stated = scale.map_or(Scale::Dynamic(ValueId(0)), Scale::Static);
            let wanted = Type::quantised([513], qmax, stated);
            let op = Quantize {}.into();
            let results = infer(&op, &[Some(&f32s(&[513]))], Some(&wanted)).unwrap();
            let ours = interpret(&op, &[Some(Arg::dense(&x))], &results).unwrap();
            each_level(|ctx| {
                let scale = scale.unwrap_or_else(|| quantize::dynamic_scale(ctx, values(&x), qmax));
                if let Some(ours) = ours.get(1) {
                    assert_eq!(values(ours), [scale]);
                }
                let mut q = Data::zeros(wanted.dtype, 513);
                quantize::quantize(ctx, values(&x), scale, qmax, q.view_mut()).unwrap();
                assert_same(&ours[0].data, &q, &wanted);
                let mut back = vec![0.0; 513];
                quantize::dequantize(ctx, q.view(), scale, &mut back).unwrap();
                let op = Dequantize {}.into();
                let ours = interpret(
                    &op,
                    &[Some(Arg::quantised(&ours[0], scale))],
                    &[f32s(&[513])],
                );
                assert_same(&ours.unwrap()[0].data, &Data::F32(back), &wanted);
            });
        }
    }
    for from in DType::ALL {
        let cast = |x: &Tensor, to| compute(Cast {}, &[x], Some(Type::new(to, [513])));
        let x = cast(&x, from);
        for to in DType::ALL {
            let ours = cast(&x, to);
            each_level(|ctx| {
                let mut y = Data::zeros(to, 513);
                eltwise::cast(ctx, x.data.view(), y.view_mut()).unwrap();
                let is_nan = |bits: u16| half::f16::from_bits(bits).is_nan();
                if let (Data::F16(a), Data::F16(b)) = (&ours.data, &y) {
                    let same = |(a, b): (&u16, &u16)| a == b || (is_nan(*a) && is_nan(*b));
                    assert!(a.iter().zip(b).all(same), "{from:?} {to:?}");
                } else {
                    assert_same(&ours.data, &y, &(from, to));
                }
            });
        }
    }
}

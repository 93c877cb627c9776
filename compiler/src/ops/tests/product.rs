//! `conv2d`, `depthwise_conv2d`, `gemm` and `matmul`.

use super::*;
use crate::ir::{Constant, Graph, Quant, Scale, Scaled};
use crate::ops::run_graph;
use ternrt::kernels::eltwise::Unary;
use ternrt::ops::table::{Conv2d, DepthwiseConv2d, Gemm, MatMul};

fn conv(kernel: [u16; 2]) -> Conv2d {
    Conv2d {
        kernel,
        stride: [1, 1],
        dilation: [1, 1],
        pads: [0; 4],
        group: 1,
        transposed: false,
        activation: Unary::IDENTITY,
    }
}

#[test]
fn convolution_by_hand() {
    // 1 2 3      1 0
    // 4 5 6  *   0 10
    // 7 8 9
    let x = counting(&[1, 3, 3, 1]);
    let w = Tensor::f32(vec![1, 2, 2, 1], vec![1., 0., 0., 10.]);
    let y = compute(conv([2, 2]), &[&x, &w], None);
    assert_eq!(y.shape, [1, 2, 2, 1]);
    assert_eq!(values(&y), [51., 62., 84., 95.]);

    let strided = Conv2d {
        stride: [2, 2],
        ..conv([2, 2])
    };
    assert_eq!(values(&compute(strided, &[&x, &w], None)), [51.]);

    let dilated = Conv2d {
        dilation: [2, 2],
        ..conv([2, 2])
    };
    assert_eq!(values(&compute(dilated, &[&x, &w], None)), [91.]);

    // Top 1, left 0, bottom 0, right 2.
    let padded = Conv2d {
        pads: [1, 0, 0, 2],
        ..conv([2, 2])
    };
    let y = compute(padded, &[&x, &w], None);
    assert_eq!(y.shape, [1, 3, 4, 1]);
    assert_eq!(
        values(&y),
        [20., 30., 0., 0., 51., 62., 3., 0., 84., 95., 6., 0.]
    );
}

#[test]
fn groups_keep_channels_apart() {
    // Two groups of one input and two outputs; 1x1 kernel.
    let x = Tensor::f32(vec![1, 1, 2, 2], vec![1., 10., 2., 20.]);
    let w = Tensor::f32(vec![4, 1, 1, 1], vec![1., 2., 3., 4.]);
    let bias = Tensor::f32(vec![4], vec![0., 0., 0., 0.5]);
    let op = Conv2d {
        group: 2,
        ..conv([1, 1])
    };
    let y = compute(op, &[&x, &w, &bias], None);
    assert_eq!(values(&y), [1., 2., 30., 40.5, 2., 4., 60., 80.5]);
}

#[test]
fn transposed_convolution_by_hand() {
    // Each input spreads its 2x2 kernel with stride 2.
    let x = counting(&[1, 2, 2, 1]);
    let w = Tensor::f32(vec![1, 2, 2, 1], vec![1., 10., 100., 1000.]);
    let op = Conv2d {
        stride: [2, 2],
        transposed: true,
        ..conv([2, 2])
    };
    let y = compute(op, &[&x, &w], None);
    assert_eq!(y.shape, [1, 4, 4, 1]);
    #[rustfmt::skip]
    assert_eq!(values(&y), [
        1., 10., 2., 20.,
        100., 1000., 200., 2000.,
        3., 30., 4., 40.,
        300., 3000., 400., 4000.,
    ]);
    // Output padding adds a row and a column that no tap reaches.
    let y = compute(op, &[&x, &w], Some(f32s(&[1, 5, 5, 1])));
    assert_eq!(y.shape, [1, 5, 5, 1]);
    assert_eq!(values(&y)[20..], [0.0; 5]);
    assert_eq!(values(&y)[..5], [1., 10., 2., 20., 0.]);

    // Taps overlap, and pads cut the top and left off.
    let op = Conv2d {
        transposed: true,
        pads: [1, 1, 0, 0],
        ..conv([2, 2])
    };
    let y = compute(op, &[&x, &w], None);
    assert_eq!(y.shape, [1, 2, 2, 1]);
    assert_eq!(values(&y), [1234., 2040., 3400., 4000.]);
}

#[test]
fn transposed_convolution_mixes_channels_and_groups() {
    // Two inputs, three outputs, one pixel: a matrix product.
    let x = Tensor::f32(vec![1, 1, 1, 2], vec![1., 10.]);
    let w = counting(&[3, 1, 1, 2]);
    let op = Conv2d {
        transposed: true,
        ..conv([1, 1])
    };
    assert_eq!(values(&compute(op, &[&x, &w], None)), [21., 43., 65.]);

    let w = Tensor::f32(vec![4, 1, 1, 1], vec![1., 2., 3., 4.]);
    let op = Conv2d { group: 2, ..op };
    assert_eq!(values(&compute(op, &[&x, &w], None)), [1., 2., 30., 40.]);
}

#[test]
fn depthwise_by_hand() {
    let x = Tensor::f32(vec![1, 1, 3, 2], vec![1., 10., 2., 20., 3., 30.]);
    let w = Tensor::f32(vec![2, 1, 3, 1], vec![1., 2., 4., 1., 1., 1.]);
    let op = DepthwiseConv2d {
        kernel: [1, 3],
        stride: [1, 1],
        dilation: [1, 1],
        pads: [0, 1, 0, 1],
        activation: Unary::IDENTITY,
    };
    let y = compute(op, &[&x, &w], None);
    assert_eq!(y.shape, [1, 1, 3, 2]);
    assert_eq!(values(&y), [10., 30., 17., 60., 8., 50.]);
}

#[test]
fn gemm_with_bias_and_residual() {
    let x = counting(&[1, 2, 3]);
    let w = Tensor::f32(vec![2, 3], vec![1., 0., -1., 1., 1., 1.]);
    let bias = Tensor::f32(vec![2], vec![0.5, -1.]);
    let residual = Tensor::f32(vec![1, 2, 2], vec![100., 200., 300., 400.]);
    let op = Gemm {
        activation: Unary::IDENTITY,
    };
    let y = compute(op, &[&x, &w, &bias, &residual], None);
    assert_eq!(y.shape, [1, 2, 2]);
    assert_eq!(values(&y), [98.5, 205., 298.5, 414.]);
}

#[test]
fn matmul_transposes_and_broadcasts() {
    let a = counting(&[2, 3]);
    let b = counting(&[3, 2]);
    let op = |transpose_a, transpose_b| MatMul {
        transpose_a,
        transpose_b,
    };
    let plain = [22., 28., 49., 64.];
    assert_eq!(values(&compute(op(false, false), &[&a, &b], None)), plain);
    let at = Tensor::f32(vec![3, 2], vec![1., 4., 2., 5., 3., 6.]);
    let bt = Tensor::f32(vec![2, 3], vec![1., 3., 5., 2., 4., 6.]);
    assert_eq!(values(&compute(op(true, true), &[&at, &bt], None)), plain);

    let batch = counting(&[2, 1, 2, 3]);
    let y = compute(op(false, false), &[&batch, &b], None);
    assert_eq!(y.shape, [2, 1, 2, 2]);
    assert_eq!(values(&y)[..4], plain);
    assert_eq!(values(&y)[4..], [76., 100., 103., 136.]);

    let message = refusal(
        op(false, false),
        &[&f32s(&[2, 3, 4, 5]), &f32s(&[1, 3, 5, 6])],
        None,
    );
    assert!(message.contains("all 1 on one side"), "{message}");
}

/// Sums in i64 from the definition, the epilogue step by step.
#[test]
fn quantised_convolution_equals_the_definition() {
    let (h, w, cin, cout, groups) = (5usize, 4usize, 6usize, 4usize, 2usize);
    for (seed, qmax, transposed) in [(1, 63, false), (2, 127, false), (3, 32767, true)] {
        let op = Conv2d {
            kernel: [3, 2],
            stride: [2, 1],
            dilation: [1, 2],
            pads: [1, 1, 1, 0],
            group: groups as u32,
            transposed,
            activation: Unary::IDENTITY,
        };
        let (x_scale, out_scale, r_scale) = (0.013f32, 0.11f32, 0.7f32);
        let x: Vec<i32> = noise(seed, h * w * cin, qmax);
        let trits: Vec<i8> = noise(seed + 10, cout * 6 * cin / groups, 1)
            .iter()
            .map(|&t| t as i8)
            .collect();
        let w_scale = [0.5f32, 0.25, 0.3, 0.01];
        let bias = [1.0f32, -2.0, 0.1, 0.3];
        let x_type = Type::quantised([1, h, w, cin], qmax, Scale::Static(x_scale));
        let weights = Scaled {
            shape: vec![cout, 3, 2, cin / groups],
            values: trits.clone(),
            scale: w_scale.to_vec(),
        };
        let integers = |v: &[i32]| match qmax {
            32767 => Data::I16(v.iter().map(|&q| q as i16).collect()),
            _ => Data::I8(v.iter().map(|&q| q as i8).collect()),
        };

        let (oh, ow) = if transposed { (9, 5) } else { (3, 3) };
        let y_type = Type::quantised([1, oh, ow, cout], qmax, Scale::Static(out_scale));
        let residual = noise(seed + 20, oh * ow * cout, qmax);
        let r_type = Type::quantised([1, oh, ow, cout], qmax, Scale::Static(r_scale));
        let mut graph = Graph::default();
        let inputs = [
            Tensor::new(x_type.shape.clone(), integers(&x)),
            Tensor::new(r_type.shape.clone(), integers(&residual)),
        ];
        let operands = [
            graph.add_input("x", x_type),
            graph.add_constant("w", Constant::Scaled(weights)),
            graph.add_constant("b", dense(&bias)),
            graph.add_input("r", r_type),
        ];
        let y = graph.emit_as("y", op, &operands.map(Some), y_type).unwrap();
        graph.outputs.push(("y".into(), y));
        let y = run_graph(&graph, &inputs).unwrap().remove(0);

        let mut sums = vec![0i64; oh * ow * cout];
        for o in 0..cout {
            let g = o / (cout / groups);
            for c in 0..cin / groups {
                for kh in 0..3i64 {
                    for kw in 0..2i64 {
                        let t =
                            trits[((o * 3 + kh as usize) * 2 + kw as usize) * (cin / groups) + c];
                        let mut add = |oy: i64, ox: i64, iy: i64, ix: i64| {
                            let inside = |v: i64, n: usize| (0..n as i64).contains(&v);
                            if inside(oy, oh) && inside(ox, ow) && inside(iy, h) && inside(ix, w) {
                                let xi =
                                    (iy as usize * w + ix as usize) * cin + g * cin / groups + c;
                                sums[(oy as usize * ow + ox as usize) * cout + o] +=
                                    x[xi] as i64 * t as i64;
                            }
                        };
                        if transposed {
                            // Scatter.
                            for (iy, ix) in pairs(h, w) {
                                add(iy * 2 + kh - 1, ix + kw * 2 - 1, iy, ix);
                            }
                        } else {
                            for (oy, ox) in pairs(oh, ow) {
                                add(oy, ox, oy * 2 + kh - 1, ox + kw * 2 - 1);
                            }
                        }
                    }
                }
            }
        }
        let expected: Vec<i32> = sums
            .iter()
            .enumerate()
            .map(|(i, &s)| {
                let unit = 1.0 / out_scale;
                let mut q = s as f32 * (x_scale * unit * w_scale[i % cout]);
                q += bias[i % cout] * unit;
                q += residual[i] as f32 * (r_scale * unit);
                let q = q.max(-qmax as f32).min(qmax as f32) as f64;
                let low = q.floor();
                match q - low {
                    d if d < 0.5 || (d == 0.5 && low % 2.0 == 0.0) => low as i32,
                    _ => low as i32 + 1,
                }
            })
            .collect();
        assert!(expected.iter().any(|q| q.abs() > 3), "{expected:?}");
        assert_eq!(y.data, integers(&expected), "seed {seed}");
    }
}

fn dense(values: &[f32]) -> Constant {
    Constant::Dense(Tensor::f32(vec![values.len()], values.to_vec()))
}

fn pairs(h: usize, w: usize) -> impl Iterator<Item = (i64, i64)> {
    (0..h * w).map(move |i| ((i / w) as i64, (i % w) as i64))
}

#[test]
fn quantised_inputs_need_integer_weights() {
    let x = Tensor::new(vec![1, 2], Data::I8(vec![1, 2]));
    let w = Tensor::f32(vec![1, 2], vec![1., 1.]);
    let op = Gemm {
        activation: Unary::IDENTITY,
    };
    let message = interpret(
        &op.into(),
        &[Some(Arg::quantised(&x, 0.5)), Some(Arg::dense(&w))],
        &[f32s(&[1, 1])],
    )
    .unwrap_err()
    .to_string();
    assert!(message.contains("needs integer weights"), "{message}");
    // And a plain i8 tensor is no activation.
    let x = Type::new(DType::I8, [1, 2]);
    let message = refusal(op, &[&x, &f32s(&[1, 2])], None);
    assert!(message.contains("must be f32"), "{message}");
}

#[test]
fn dynamic_scales_flow_through_a_graph() {
    let mut g = Graph::default();
    let x = g.add_input("x", f32s(&[1, 3]));
    let q = g.emit_quantize("q", x, 127, None).unwrap();
    let Some(Quant {
        scale: Scale::Dynamic(scale),
        ..
    }) = g.ty(q).quant
    else {
        panic!("{}", g.ty(q))
    };
    let w = g.add_constant(
        "w",
        Constant::Scaled(Scaled {
            shape: vec![2, 3],
            values: vec![1, 0, -1, 1, 1, 1],
            scale: vec![2.0, 0.5],
        }),
    );
    let op = Gemm {
        activation: Unary::IDENTITY,
    };
    let y = g.emit("y", op, &[Some(q), Some(w)]).unwrap();
    g.outputs.push(("y".into(), y));
    g.outputs.push(("scale".into(), scale));
    let mut seen = Vec::new();
    let x = Tensor::f32(vec![1, 3], vec![127., 0.4, -63.5]);
    let y = crate::ops::run_graph_observing(&g, std::slice::from_ref(&x), &mut |v, t| {
        seen.push((v, t.dtype()))
    })
    .unwrap();
    // 127, 0 and -64 (half to even) times a scale of 1.
    assert_eq!(values(&y[1]), [1.0]);
    assert_eq!(values(&y[0]), [2.0 * (127. + 64.), 0.5 * (127. - 64.)]);
    let dtypes: Vec<_> = seen.iter().map(|s| s.1).collect();
    assert_eq!(dtypes, [DType::F32, DType::I8, DType::F32, DType::F32]);
    assert!(
        run_graph(&g, &[])
            .unwrap_err()
            .to_string()
            .contains("the graph has 1")
    );
}

#[test]
fn what_does_not_fit_is_named() {
    let x = f32s(&[1, 8, 8, 6]);
    let grouped = Conv2d {
        group: 4,
        ..conv([3, 3])
    };
    let message = refusal(grouped, &[&x, &f32s(&[8, 3, 3, 2])], None);
    assert!(
        message.starts_with("conv2d: group=4 must divide the 6"),
        "{message}"
    );
    let message = refusal(conv([3, 3]), &[&x, &f32s(&[8, 3, 3, 5])], None);
    assert!(message.contains("must be [8, 3, 3, 6]"), "{message}");
    let message = refusal(conv([9, 3]), &[&x, &f32s(&[8, 9, 3, 6])], None);
    assert!(message.contains("no output height is left"), "{message}");
    let message = refusal(conv([0, 3]), &[&x, &f32s(&[8, 0, 3, 6])], None);
    assert!(
        message.contains("kernel") || message.contains("no elements"),
        "{message}"
    );
    let w = f32s(&[8, 3, 3, 6]);
    let message = refusal(conv([3, 3]), &[&x, &w, &f32s(&[6])], None);
    assert!(
        message.contains("\"bias\" is f32[6], must be [8]"),
        "{message}"
    );
    let message = refusal(conv([3, 3]), &[&x], None);
    assert!(message.contains("operand \"w\" is missing"), "{message}");
    let message = refusal(conv([3, 3]), &[&x, &w], Some(&f32s(&[1, 7, 6, 8])));
    assert_eq!(
        message,
        "conv2d: the result is f32[1,6,6,8], not f32[1,7,6,8]"
    );
    // The sum would leave 32 bits.
    let wide = Type::quantised([1, 1, 1, 40000], 32767, Scale::Static(1.0));
    let message = refusal(conv([1, 1]), &[&wide, &f32s(&[1, 1, 1, 40000])], None);
    assert!(message.contains("at most 32767"), "{message}");

    let mut g = Graph::default();
    let x = g.add_input("x", f32s(&[1, 3]));
    let message = g
        .emit("layer1/conv1", conv([3, 3]), &[Some(x), Some(x)])
        .unwrap_err();
    let message = message.to_string();
    assert!(
        message.starts_with("node \"layer1/conv1\": conv2d: "),
        "{message}"
    );
}

#[test]
fn dense_f16_weights_are_rounded() {
    let mut g = Graph::default();
    let x = g.add_input("x", f32s(&[1, 1]));
    let w = g.add_constant("w", Constant::Dense(Tensor::f32(vec![1, 1], vec![0.1])));
    let op = Gemm {
        activation: Unary::IDENTITY,
    };
    let y = g.emit("y", op, &[Some(x), Some(w)]).unwrap();
    g.outputs.push(("y".into(), y));
    let x = [Tensor::f32(vec![1, 1], vec![1.0])];
    assert_eq!(values(&run_graph(&g, &x).unwrap()[0]), [0.1]);
    g.values[w.0].codec = Some(ternrt::Codec::F16);
    assert_eq!(values(&run_graph(&g, &x).unwrap()[0]), [0.099975586]);
}

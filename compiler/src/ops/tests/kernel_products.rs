//! The interpreter's products against the kernels': the same bits on the
//! scalar variants in every activation mode, and on all variants where the
//! operands are integers.

use super::*;
use crate::ir::{Constant, Graph, Quant, Scale, Scaled};
use crate::ops::run_graph;
use ternrt::kernels::conv2d::{self, Conv2dShape};
use ternrt::kernels::eltwise::{Unary, UnaryKind};
use ternrt::kernels::gemm::{self, GemmShape};
use ternrt::kernels::{
    Ctx, Epilogue, Invalid, Matrix, Residual, Serial, ViewMut, Weights, depthwise,
};
use ternrt::ops::table::*;
use ternrt::{Caps, Codec};

/// Choices from a seed.
struct Choice(Vec<i32>);

impl Choice {
    fn below(&mut self, n: usize) -> usize {
        self.0.pop().map_or(0, |v| v.unsigned_abs() as usize % n)
    }
}

/// A tensor of this type with values from a seed.
fn filled(seed: u64, ty: &Type) -> Tensor {
    let len = ty.elements();
    let data = match ty.quant {
        Some(Quant { qmax, .. }) => {
            let v = noise(seed, len, qmax);
            match ty.dtype {
                DType::I8 => Data::I8(v.iter().map(|&q| q as i8).collect()),
                _ => Data::I16(v.iter().map(|&q| q as i16).collect()),
            }
        }
        None => Data::F32(
            noise(seed, len, 4000)
                .iter()
                .map(|&v| v as f32 / 1024.0)
                .collect(),
        ),
    };
    Tensor::new(ty.shape.clone(), data)
}

/// f32 or a quantised type.
fn some_type(choice: &mut Choice, shape: &[usize]) -> Type {
    let qmax = [63, 127, 32767][choice.below(3)];
    match choice.below(2) {
        0 => f32s(shape),
        _ => Type::quantised(
            shape,
            qmax,
            Scale::Static([0.01, 0.3, 2.5][choice.below(3)]),
        ),
    }
}

fn static_scale(ty: &Type) -> f32 {
    match ty.quant {
        Some(Quant {
            scale: Scale::Static(s),
            ..
        }) => s,
        _ => 1.0,
    }
}

/// A kernel call, given everything but the output.
enum Call {
    Conv(Conv2dShape),
    Depthwise(Conv2dShape),
    Gemm(GemmShape),
}

impl Call {
    fn matrix(&self) -> Matrix {
        match self {
            Call::Conv(s) => s.matrix(),
            Call::Depthwise(s) => depthwise::matrix(s),
            Call::Gemm(s) => s.matrix(),
        }
    }

    fn run(
        &self,
        caps: Caps,
        x: &Data,
        w: &Weights<'_>,
        e: &Epilogue<'_>,
        y: ViewMut<'_>,
    ) -> Result<(), Invalid> {
        let dtype = x.dtype();
        let len = match self {
            Call::Conv(s) => conv2d::scratch(caps, 1, s, dtype, w.codec),
            Call::Depthwise(s) => depthwise::scratch(caps, 1, s, dtype, w.codec),
            Call::Gemm(s) => gemm::scratch(caps, 1, s, dtype, w.codec),
        };
        // Scratch is aligned to 64 bytes.
        let mut space = vec![0u8; len + 64];
        let start = space.as_ptr().align_offset(64);
        let mut ctx = Ctx {
            caps,
            par: &Serial,
            scratch: &mut space[start..start + len],
        };
        match self {
            Call::Conv(s) => conv2d::run(&mut ctx, s, x.view(), w, e, y),
            Call::Depthwise(s) => depthwise::run(&mut ctx, s, x.view(), w, e, y),
            Call::Gemm(s) => gemm::run(&mut ctx, s, x.view(), w, e, y),
        }
    }
}

/// Compares one product: `graph` has the inputs x and, perhaps, the residual;
/// its only node is the product.
fn compare(graph: &Graph, call: &Call, activation: Unary, seed: u64) {
    let node = &graph.nodes[0];
    let inputs: Vec<Tensor> = (graph.inputs.iter().enumerate())
        .map(|(i, (_, v))| filled(seed + 100 * i as u64, graph.ty(*v)))
        .collect();
    let ours = run_graph(graph, &inputs).unwrap().remove(0);

    let matrix = call.matrix();
    let weights = &**graph.constant(node.inputs[1].unwrap()).unwrap();
    let codecs: &[Codec] = match weights {
        Constant::Scaled(t) if Codec::N34.holds_trits(&matrix, &t.values) => {
            &[Codec::T2, Codec::T5, Codec::N34]
        }
        Constant::Scaled(_) => &[Codec::T2, Codec::T5],
        Constant::Dense(_) => &[Codec::F32],
    };
    let bias = node
        .inputs
        .get(2)
        .copied()
        .flatten()
        .map(|b| match &**graph.constant(b).unwrap() {
            Constant::Dense(t) => values(t),
            Constant::Scaled(_) => panic!("a ternary bias"),
        });
    let x_type = graph.ty(node.inputs[0].unwrap());
    let y_type = graph.ty(node.outputs[0]);
    let residual = node.inputs.get(3).copied().flatten().map(|r| Residual {
        values: inputs[1].data.view(),
        scale: static_scale(graph.ty(r)),
    });
    let epilogue = Epilogue {
        x_scale: static_scale(x_type),
        x_qmax: 0,
        x_non_negative: false,
        bias,
        residual,
        activation,
        out_scale: static_scale(y_type),
        qmax: y_type.quant.map_or(0, |q| q.qmax),
    };
    for &codec in codecs {
        let mut bytes = vec![0; codec.packed_len(&matrix).unwrap()];
        let scale = match weights {
            Constant::Scaled(t) => {
                codec.pack_i8(&matrix, &t.values, &mut bytes).unwrap();
                Some(&t.scale[..])
            }
            Constant::Dense(t) => {
                codec.pack_f32(&matrix, values(t), &mut bytes).unwrap();
                None
            }
        };
        let weights = Weights {
            codec,
            bytes: &bytes,
            scale,
        };
        for caps in Caps::detect().levels() {
            if x_type.quant.is_none() && caps != Caps::SCALAR {
                continue;
            }
            let mut y = Data::zeros(y_type.dtype, y_type.elements());
            call.run(caps, &inputs[0].data, &weights, &epilogue, y.view_mut())
                .unwrap_or_else(|_| panic!("refused: {graph}"));
            assert_eq!(ours.data, y, "seed {seed}, {caps}, {codec:?}: {graph}");
        }
    }
}

/// Builds the graph around a product and compares.
fn check(
    seed: u64,
    choice: &mut Choice,
    op: Op,
    activation: Unary,
    shapes: [&[usize]; 3],
    call: Call,
) {
    let [x, w, y] = shapes;
    let mut graph = Graph::default();
    let x_type = some_type(choice, x);
    let (len, outputs) = (w.iter().product(), w[0]);
    let ternary = x_type.quant.is_some() || choice.below(2) == 0;
    let x = graph.add_input("x", x_type);
    let weights = if ternary {
        let mut trits: Vec<i8> = noise(seed + 1, len, 1).iter().map(|&t| t as i8).collect();
        if choice.below(2) == 0 {
            // One zero in each four, which n34 holds.
            for (i, four) in trits.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                *four = four.map(|t| if t == 0 { 1 } else { t });
                four[(i + i / 3) % 4] = 0;
            }
        }
        let scale = noise(seed + 2, outputs, 100)
            .iter()
            .map(|&s| s as f32 / 64.0)
            .collect();
        Constant::Scaled(Scaled {
            shape: w.to_vec(),
            values: trits,
            scale,
        })
    } else {
        Constant::Dense(filled(seed + 3, &f32s(w)))
    };
    let w = graph.add_constant("w", weights);
    let mut operands = vec![Some(x), Some(w), None, None];
    if choice.below(2) == 0 {
        let bias = Constant::Dense(filled(seed + 4, &f32s(&[outputs])));
        operands[2] = Some(graph.add_constant("b", bias));
    }
    if choice.below(2) == 0 {
        let residual = some_type(choice, y);
        operands[3] = Some(graph.add_input("r", residual));
    }
    let y_type = some_type(choice, y);
    let y = graph.emit_as("y", op, &operands, y_type).unwrap();
    graph.outputs.push(("y".into(), y));
    compare(&graph, &call, activation, seed);
}

fn some_activation(choice: &mut Choice) -> Unary {
    let clip = Unary {
        kind: UnaryKind::Clip,
        alpha: 0.0,
        beta: 6.0,
    };
    let kinds = [
        UnaryKind::Identity,
        UnaryKind::Relu,
        UnaryKind::HardSwish,
        UnaryKind::Gelu,
    ];
    match choice.below(5) {
        4 => clip,
        i => Unary::new(kinds[i]),
    }
}

#[test]
fn gemms() {
    for seed in 0..150 {
        let choice = &mut Choice(noise(seed, 40, 1000));
        let (m, n, k) = (
            1 + choice.below(9),
            1 + choice.below(40),
            1 + choice.below(90),
        );
        let activation = some_activation(choice);
        let call = Call::Gemm(GemmShape { m, n, k });
        let op = Gemm { activation }.into();
        check(
            seed,
            choice,
            op,
            activation,
            [&[m, k], &[n, k], &[m, n]],
            call,
        );
    }
}

#[test]
fn convolutions() {
    let mut compared = 0;
    for seed in 0..300 {
        let choice = &mut Choice(noise(seed + 1000, 60, 1000));
        let transposed = choice.below(4) == 0;
        let of_depth = !transposed && choice.below(3) == 0;
        let groups = if of_depth {
            1 + choice.below(35)
        } else {
            1 + choice.below(2)
        };
        let (cin, cout) = match of_depth {
            true => (groups, groups),
            false => (
                groups * (1 + choice.below(20)),
                groups * (1 + choice.below(20)),
            ),
        };
        let batch = 1 + choice.below(2);
        let input = [1 + choice.below(7), 1 + choice.below(7)];
        let kernel = [1 + choice.below(3), 1 + choice.below(3)];
        let stride = [1 + choice.below(2), 1 + choice.below(2)];
        let dilation = [1 + choice.below(2), 1 + choice.below(2)];
        let pads = [0; 4].map(|_: i32| choice.below(3));
        let activation = some_activation(choice);
        let short = |v: [usize; 2]| v.map(|v| v as u16);
        let conv = Conv2d {
            kernel: short(kernel),
            stride: short(stride),
            dilation: short(dilation),
            pads: pads.map(|p| p as u16),
            group: groups as u32,
            transposed,
            activation,
        };
        let x = [batch, input[0], input[1], cin];
        let w = [
            cout,
            kernel[0],
            kernel[1],
            if of_depth { 1 } else { cin / groups },
        ];
        let op: Op = match of_depth {
            false => conv.into(),
            true => DepthwiseConv2d {
                kernel: conv.kernel,
                stride: conv.stride,
                dilation: conv.dilation,
                pads: conv.pads,
                activation,
            }
            .into(),
        };
        // Some windows do not fit their input.
        let Ok(results) = infer(&op, &[Some(&f32s(&x)), Some(&f32s(&w))], None) else {
            continue;
        };
        let y = &results[0].shape;
        let shape = Conv2dShape {
            batch,
            input,
            in_channels: cin,
            output: [y[1], y[2]],
            out_channels: cout,
            kernel,
            stride,
            dilation,
            pad: [pads[0], pads[1]],
            groups,
            transposed,
        };
        let call = if of_depth {
            Call::Depthwise(shape)
        } else {
            Call::Conv(shape)
        };
        check(seed, choice, op, activation, [&x, &w, y], call);
        compared += 1;
    }
    assert!(compared > 150, "{compared}");
}

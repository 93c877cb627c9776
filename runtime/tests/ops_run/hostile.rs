//! What `check` lets through, `run` can compute: files of one op, altered at
//! random and sealed again, are refused at load or run without an error other
//! than that of a value (an index out of range), and never panic.

use crate::array::{Array, Random};
use crate::model::{Case, Operand};
use ternrt::format::checksum::seal;
use ternrt::format::header::Section;
use ternrt::format::tensor::Tensor;
use ternrt::kernels::Matrix;
use ternrt::kernels::eltwise::{BinaryKind, Unary, UnaryKind};
use ternrt::kernels::movement::{PadMode, ResizeCoordinates, ResizeMode};
use ternrt::kernels::reduce::ReduceKind;
use ternrt::ops::table::*;
use ternrt::{Caps, Codec, DType, Error, Model, Options, Serial, Session};

fn ramp(dtype: DType, dims: &[usize]) -> Operand {
    Operand::of(Array::new(dtype, dims, |i| (i % 2) as f64))
}

fn f32(dims: &[usize]) -> Operand {
    ramp(DType::F32, dims)
}

fn i8(dims: &[usize]) -> Operand {
    ramp(DType::I8, dims).quantised(0.5, 127, true)
}

fn weights(dims: &[usize], codec: Codec, matrix: Matrix) -> Operand {
    let outputs = matrix.groups * matrix.outputs;
    let scales = codec.is_ternary().then(|| vec![0.5; outputs]);
    let trit = |i: usize| match codec {
        Codec::N12 => [0.0, 1.0, -1.0, 0.0][i % 4],
        Codec::N34 => [-1.0, 1.0, 0.0, 1.0][i % 4],
        _ => (i % 3) as f64 - 1.0,
    };
    Operand::weights(&Array::f32(dims, trit), codec, matrix, scales)
}

/// At least one case of every op.
fn examples() -> Vec<Case> {
    let mut all = Vec::new();
    let mut add = |op: Op, inputs: &[Operand], y: Operand| {
        all.push(Case::new(op, inputs.iter().cloned().map(Some), [y]))
    };

    let conv = Conv2d {
        kernel: [3, 2],
        stride: [2, 1],
        dilation: [1, 2],
        pads: [1, 0, 1, 1],
        group: 2,
        transposed: false,
        activation: Unary::new(UnaryKind::Relu),
    };
    let matrix = Matrix {
        groups: 2,
        outputs: 3,
        taps: 6,
        channels: 4,
    };
    let (x, y) = ([1, 5, 4, 8], [1, 3, 3, 6]);
    use Codec::{F16, F32, N12, N34, T2, T5};
    for codec in [F32, F16, T2, T5, N12, N34] {
        let w = weights(&[6, 3, 2, 4], codec, matrix);
        add(conv.into(), &[f32(&x), w, f32(&[6]), f32(&y)], f32(&y));
    }
    add(
        conv.into(),
        &[
            i8(&x),
            weights(&[6, 3, 2, 4], Codec::T2, matrix),
            f32(&[6]),
            i8(&y),
        ],
        i8(&y),
    );
    let transposed = Conv2d {
        transposed: true,
        pads: [1; 4],
        ..conv
    };
    add(
        transposed.into(),
        &[f32(&x), weights(&[6, 3, 2, 4], Codec::T5, matrix)],
        f32(&[1, 10, 4, 6]),
    );
    let pointwise = Conv2d {
        kernel: [1, 1],
        stride: [1, 1],
        pads: [0; 4],
        group: 1,
        ..conv
    };
    let matrix = Matrix {
        groups: 1,
        outputs: 3,
        taps: 1,
        channels: 8,
    };
    add(
        pointwise.into(),
        &[i8(&x), weights(&[3, 1, 1, 8], Codec::T2, matrix)],
        f32(&[1, 5, 4, 3]),
    );

    let depthwise = DepthwiseConv2d {
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        pads: [1; 4],
        activation: Unary::IDENTITY,
    };
    for codec in [Codec::F32, Codec::T2] {
        let w = weights(
            &[5, 3, 3, 1],
            codec,
            Matrix {
                groups: 1,
                outputs: 5,
                taps: 1,
                channels: 9,
            },
        );
        add(
            depthwise.into(),
            &[f32(&[1, 4, 4, 5]), w],
            f32(&[1, 4, 4, 5]),
        );
    }
    let gemm = Gemm {
        activation: Unary {
            kind: UnaryKind::Clip,
            alpha: 0.0,
            beta: 6.0,
        },
    };
    let w = weights(
        &[5, 9],
        Codec::T5,
        Matrix {
            groups: 1,
            outputs: 5,
            taps: 1,
            channels: 9,
        },
    );
    add(gemm.into(), &[i8(&[2, 3, 9]), w], i8(&[2, 3, 5]));
    let matmul = MatMul {
        transpose_a: false,
        transpose_b: true,
    };
    add(
        matmul.into(),
        &[f32(&[3, 2, 4]), f32(&[1, 5, 4])],
        f32(&[3, 2, 5]),
    );

    let (kernel, stride, dilation, pads) = ([3, 3], [2, 2], [1, 1], [1; 4]);
    add(
        MaxPool {
            kernel,
            stride,
            dilation,
            pads,
        }
        .into(),
        &[i8(&[1, 6, 6, 3])],
        i8(&[1, 4, 3, 3]),
    );
    add(
        AveragePool {
            kernel,
            stride,
            dilation,
            pads,
            count_include_pad: true,
        }
        .into(),
        &[f32(&[1, 6, 6, 3])],
        f32(&[1, 4, 3, 3]),
    );

    let leaky = Unary {
        kind: UnaryKind::LeakyRelu,
        alpha: 0.5,
        beta: 0.0,
    };
    add(
        UnaryOp { function: leaky }.into(),
        &[f32(&[3, 5])],
        f32(&[3, 5]),
    );
    add(
        UnaryOp {
            function: Unary::new(UnaryKind::Neg),
        }
        .into(),
        &[ramp(DType::I64, &[3])],
        ramp(DType::I64, &[3]),
    );
    for dtype in [DType::F32, DType::I32, DType::I64] {
        let op = BinaryOp {
            function: BinaryKind::Div,
            activation: Unary::IDENTITY,
        };
        add(
            op.into(),
            &[ramp(dtype, &[2, 1, 4]), ramp(dtype, &[3, 1])],
            ramp(dtype, &[2, 3, 4]),
        );
    }
    let less = BinaryOp {
        function: BinaryKind::Less,
        activation: Unary::IDENTITY,
    };
    add(
        less.into(),
        &[f32(&[2, 3]), f32(&[3])],
        ramp(DType::Bool, &[2, 3]),
    );
    add(
        Where {}.into(),
        &[
            ramp(DType::Bool, &[3, 1]),
            ramp(DType::I16, &[4]),
            ramp(DType::I16, &[]),
        ],
        ramp(DType::I16, &[3, 4]),
    );
    add(Cast {}.into(), &[f32(&[2, 3])], ramp(DType::I64, &[2, 3]));
    add(Quantize {}.into(), &[f32(&[2, 3])], i8(&[2, 3]));
    add(Dequantize {}.into(), &[i8(&[2, 3])], f32(&[2, 3]));
    add(
        Reduce {
            function: ReduceKind::Mean,
            axes: 0b0110,
        }
        .into(),
        &[f32(&[2, 3, 4, 5])],
        f32(&[2, 1, 1, 5]),
    );
    add(
        Reduce {
            function: ReduceKind::ArgMax,
            axes: 0b10,
        }
        .into(),
        &[ramp(DType::I32, &[4, 4])],
        ramp(DType::I64, &[4]),
    );
    add(
        Softmax {
            axis: 1,
            log: false,
        }
        .into(),
        &[f32(&[2, 3, 4])],
        f32(&[2, 3, 4]),
    );

    add(
        Transpose {
            perm: [2, 0, 1, 0, 0, 0],
        }
        .into(),
        &[f32(&[2, 3, 4])],
        f32(&[4, 2, 3]),
    );
    add(
        Concat { axis: 1 }.into(),
        &[i8(&[2, 3]), i8(&[2, 1]), i8(&[2, 2])],
        i8(&[2, 6]),
    );
    let slice = Slice {
        start: [1, 4, 0, 0, 0, 0],
        step: [2, -2, 1, 1, 1, 1],
    };
    add(
        slice.into(),
        &[ramp(DType::U8, &[6, 5])],
        ramp(DType::U8, &[3, 3]),
    );
    for mode in [PadMode::Constant, PadMode::Reflect, PadMode::Edge] {
        let pad = Pad {
            before: [1, 2, 0, 0, 0, 0],
            mode,
            value: 0.0,
        };
        add(pad.into(), &[i8(&[3, 4])], i8(&[6, 7]));
    }
    add(
        Gather { axis: 1 }.into(),
        &[f32(&[2, 3, 4]), ramp(DType::I32, &[2, 2])],
        f32(&[2, 2, 2, 4]),
    );
    for mode in [ResizeMode::NearestFloor, ResizeMode::Linear] {
        let resize = Resize {
            scale: [2.0, 0.5],
            mode,
            coordinates: ResizeCoordinates::HalfPixel,
        };
        add(resize.into(), &[f32(&[1, 2, 4, 3])], f32(&[1, 4, 2, 3]));
    }
    add(
        Broadcast {}.into(),
        &[ramp(DType::F16, &[3, 1])],
        ramp(DType::F16, &[2, 3, 4]),
    );
    add(Reshape {}.into(), &[f32(&[2, 3, 4])], f32(&[6, 4]));

    let dynamic = ramp(DType::I16, &[2, 3]).quantised(0.5, 32767, false);
    all.push(Case::new(
        Quantize {},
        [Some(f32(&[2, 3]))],
        [dynamic, f32(&[1])],
    ));
    all
}

/// Loads and runs with inputs of which every byte is `fill`. Whether the file
/// was accepted.
fn load_and_run(file: &[u8], caps: Caps, fill: u8, what: &str) -> bool {
    let Ok(model) = Model::new(file) else {
        return false;
    };
    let parallel = &Serial;
    let mut arena = vec![0; model.arena_len_for(caps, 1)];
    let mut session =
        Session::with_options(&model, &mut arena, Options { caps, parallel }).unwrap();
    for i in 0..model.inputs(0).len() {
        session.input_mut(i).unwrap().fill(fill);
    }
    let outcome = session.run(0);
    assert!(
        matches!(outcome, Ok(()) | Err(Error::BadValue)),
        "{what}: {outcome:?}"
    );
    true
}

#[test]
fn every_op_has_an_example() {
    let examples = examples();
    for row in TABLE {
        assert!(
            examples.iter().any(|case| case.op.code() == row.code),
            "{}",
            row.name
        );
    }
    for case in &examples {
        let (file, _) = case.file();
        for caps in Caps::detect().levels() {
            assert!(load_and_run(&file, caps, 0, case.op.name()));
        }
    }
}

#[test]
fn altered_files_are_refused_or_run() {
    const ROUNDS: u64 = 2000;
    let levels: Vec<Caps> = Caps::detect().levels().collect();
    let mut accepted = 0;
    for (number, case) in examples().iter().enumerate() {
        let (mut file, _) = case.file();
        let original = file.to_vec();
        let sections = {
            let model = Model::new(&file).unwrap();
            [Section::Tensors, Section::Ops, Section::Data].map(|s| model.header().section(s))
        };
        for round in 0..ROUNDS {
            let seed = number as u64 * ROUNDS + round;
            let mut r = Random(seed);
            file.copy_from_slice(&original);
            for _ in 0..r.pick(&[1, 1, 2, 3]) {
                let span = r.pick(&sections);
                if span.len == 0 {
                    continue;
                }
                let mut at = span.offset as usize + r.within(0, span.len as usize - 1);
                if span == sections[0] && r.chance(50) {
                    // More often what ops look at: dtype, rank and dimensions.
                    let field = r.pick(&[1, 2, 8, 12, 16, 20, 48]);
                    at = at / Tensor::LEN * Tensor::LEN + field;
                }
                let old = file[at];
                file[at] = r.pick(&[
                    old.wrapping_add(1),
                    old.wrapping_sub(1),
                    0,
                    1,
                    2,
                    0xFF,
                    old ^ 0x80,
                    old << 1,
                ]);
            }
            seal(&mut file).unwrap();
            let what = format!("{} of seed {seed}", case.op);
            let (caps, fill) = (r.pick(&levels), r.pick(&[0, 1, 0x7F, 0x80, 0xFF]));
            accepted += usize::from(load_and_run(&file, caps, fill, &what));
        }
    }
    assert!(
        accepted > 1000,
        "{accepted}: too few for this to test anything"
    );
}

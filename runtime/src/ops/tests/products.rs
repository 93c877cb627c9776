//! conv2d, depthwise_conv2d, gemm, matmul.

use super::*;
use crate::ops::table::{Conv2d, DepthwiseConv2d, Gemm, MatMul};
use tern_kernels::eltwise::{Unary, UnaryKind};

const CONV: Conv2d = Conv2d {
    kernel: [3, 2],
    stride: [2, 1],
    dilation: [1, 2],
    pads: [1, 0, 1, 2],
    group: 2,
    transposed: false,
    activation: Unary::new(UnaryKind::Relu),
};

fn conv_matrix() -> Matrix {
    Matrix {
        groups: 2,
        outputs: 3,
        taps: 6,
        channels: 4,
    }
}

/// Height (9 + 2 - 3) / 2 + 1 = 5, width (7 + 2 - 3) / 1 + 1 = 7.
fn conv(codec: Codec) -> Case {
    let w = weights(codec, &[6, 3, 2, 4], conv_matrix());
    Case::new(
        CONV,
        &[f32(&[2, 9, 7, 8]), w, f32(&[6]), f32(&[2, 5, 7, 6])],
        f32(&[2, 5, 7, 6]),
    )
}

fn conv_i8() -> Case {
    let mut c = conv(Codec::T2);
    *c.x(0) = quantised(DType::I8, &[2, 9, 7, 8]);
    *c.x(3) = quantised(DType::I16, &[2, 5, 7, 6]);
    *c.y() = quantised(DType::I8, &[2, 5, 7, 6]);
    c
}

fn set(c: &mut Case, f: impl FnOnce(&mut Conv2d)) {
    let Op::Conv2d(op) = &mut c.op else {
        unreachable!()
    };
    f(op)
}

#[test]
fn conv2d_accepts_all_codecs_and_absent_operands() {
    for codec in Codec::ALL.into_iter().filter(|c| *c != Codec::Plain) {
        conv(codec).passes();
    }
    conv(Codec::T2)
        .accepts(|c| c.inputs.truncate(2))
        .accepts(|c| c.inputs[2] = None)
        .accepts(|c| c.x(1).scale = None)
        .accepts(|c| *c.y() = quantised(DType::I16, &[2, 5, 7, 6]));
    conv_i8()
        .passes()
        .accepts(|c| c.x(0).scale().place = Place::Arena);
}

#[test]
fn conv2d_refuses_operands_that_do_not_fit() {
    // Channels of a group that are no multiple of four.
    let mut two = conv(Codec::T2);
    two.x(0).set_dims(&[2, 9, 7, 4]);
    let matrix = Matrix {
        channels: 2,
        ..conv_matrix()
    };
    *two.x(1) = weights(Codec::T2, &[6, 3, 2, 2], matrix);
    two.passes();
    for len in [two.x(1).tensor.len, conv(Codec::N34).x(1).tensor.len] {
        two.refuses(|c| {
            c.x(1).tensor.codec = Codec::N34;
            c.x(1).tensor.len = len;
        });
    }
    for case in [
        conv(Codec::F32),
        conv(Codec::T2),
        conv(Codec::N34),
        conv_i8(),
    ] {
        case.refuses_common_faults(&[0])
            .refuses(|c| c.inputs[1] = None)
            .refuses(|c| c.x(0).set_dims(&[9, 7, 8]))
            .refuses(|c| c.x(0).set_dims(&[1, 9, 7, 8]))
            .refuses(|c| c.x(0).set_dims(&[2, 9, 7, 9]))
            .refuses(|c| c.x(0).set_dims(&[2, 11, 7, 8]))
            .refuses(|c| c.x(0).set_dims(&[2, 9, 8, 8]))
            .refuses(|c| *c.x(0) = plain(DType::I8, &[2, 9, 7, 8]))
            .refuses(|c| *c.x(0) = plain(DType::I32, &[2, 9, 7, 8]))
            .refuses(|c| *c.y() = plain(DType::I32, &[2, 5, 7, 6]))
            .refuses(|c| *c.y() = plain(DType::I8, &[2, 5, 7, 6]))
            .refuses(|c| {
                *c.y() = quantised(DType::I8, &[2, 5, 7, 6]);
                c.y().scale().place = Place::Arena;
            })
            // Weights.
            .refuses(|c| c.x(1).tensor.len -= 1)
            .refuses(|c| c.x(1).tensor.len += 64)
            .refuses(|c| c.x(1).tensor.codec = Codec::Plain)
            .refuses(|c| c.x(1).tensor.place = Place::Arena)
            .refuses(|c| c.x(1).tensor.dtype = DType::I8)
            .refuses(|c| c.x(1).tensor.qmax = 127)
            .refuses(|c| c.x(1).tensor.dims[3] = 8)
            .refuses(|c| c.x(1).tensor.dims.swap(1, 2))
            .refuses(|c| c.x(1).tensor.rank = 5)
            .refuses(|c| {
                c.x(1).scale = Some(Tensor {
                    place: Place::Data,
                    ..tensor(DType::F32, &[3])
                })
            })
            .refuses(|c| {
                c.x(1).scale = Some(Tensor {
                    place: Place::Data,
                    ..tensor(DType::F16, &[6])
                })
            })
            .refuses(|c| c.x(1).scale = Some(tensor(DType::F32, &[6])))
            // Bias and residual.
            .refuses(|c| c.x(2).set_dims(&[3]))
            .refuses(|c| c.x(2).set_dtype(DType::I32))
            .refuses(|c| c.x(2).tensor.codec = Codec::F32)
            .refuses(|c| c.x(3).set_dims(&[2, 7, 5, 6]))
            .refuses(|c| *c.x(3) = plain(DType::I8, &[2, 5, 7, 6]))
            .refuses(|c| *c.x(3) = plain(DType::I32, &[2, 5, 7, 6]));
    }
    // Integers need trits.
    conv(Codec::F32).refuses(|c| *c.x(0) = quantised(DType::I8, &[2, 9, 7, 8]));
}

#[test]
fn conv2d_refuses_attributes_that_do_not_fit() {
    conv(Codec::T2)
        .refuses(|c| set(c, |o| o.kernel = [2, 3]))
        .refuses(|c| set(c, |o| o.kernel[0] = 0))
        .refuses(|c| set(c, |o| o.stride[1] = 0))
        .refuses(|c| set(c, |o| o.stride = [1, 2]))
        .refuses(|c| set(c, |o| o.dilation[0] = 0))
        .refuses(|c| set(c, |o| o.dilation = [2, 1]))
        .refuses(|c| set(c, |o| o.dilation = [u16::MAX; 2]))
        .refuses(|c| set(c, |o| o.pads = [0, 0, 0, 2]))
        .refuses(|c| set(c, |o| o.pads = [u16::MAX; 4]))
        .refuses(|c| set(c, |o| o.group = 0))
        .refuses(|c| set(c, |o| o.group = 4))
        .refuses(|c| set(c, |o| o.group = 1))
        .refuses(|c| set(c, |o| o.group = u32::MAX))
        .refuses(|c| set(c, |o| o.transposed = true))
        .refuses(|c| set(c, |o| o.activation = Unary::new(UnaryKind::Not)))
        .refuses(|c| set(c, |o| o.activation.alpha = f32::NAN));
}

#[test]
fn transposed_convolutions_accept_every_output_padding() {
    // (4 - 1) * 3 - 2 + 2 * (3 - 1) + 1 = 12, and output paddings 0..3.
    let op = Conv2d {
        kernel: [3, 3],
        stride: [3, 3],
        dilation: [2, 2],
        pads: [1; 4],
        group: 1,
        transposed: true,
        activation: Unary::IDENTITY,
    };
    let w = weights(
        Codec::F32,
        &[2, 3, 3, 5],
        Matrix {
            groups: 1,
            outputs: 2,
            taps: 9,
            channels: 5,
        },
    );
    for (height, fits) in [(11, false), (12, true), (13, true), (14, true), (15, false)] {
        let case = Case::new(op, &[f32(&[1, 4, 4, 5]), w], f32(&[1, height, 12, 2]));
        assert_eq!(case.op.check(&case.operands()).is_ok(), fits, "{height}");
    }
}

#[test]
fn integer_sums_that_may_overflow_are_refused() {
    let gemm = |dtype, k: u32| {
        let matrix = Matrix {
            groups: 1,
            outputs: 1,
            taps: 1,
            channels: k as usize,
        };
        Case::new(
            Gemm {
                activation: Unary::IDENTITY,
            },
            &[
                quantised(dtype, &[1, k]),
                weights(Codec::T2, &[1, k], matrix),
            ],
            f32(&[1, 1]),
        )
    };
    gemm(DType::I16, 32767).passes();
    gemm(DType::I16, 32768).refuses(|_| ());
    gemm(DType::I8, 8_388_607).passes();
    gemm(DType::I8, 8_388_608).refuses(|_| ());
}

#[test]
fn depthwise_conv2d_checks_channels_and_weights() {
    let op = DepthwiseConv2d {
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        pads: [1; 4],
        activation: Unary::IDENTITY,
    };
    for codec in [Codec::F32, Codec::T5] {
        let w = weights(
            codec,
            &[5, 3, 3, 1],
            Matrix {
                groups: 1,
                outputs: 5,
                taps: 1,
                channels: 9,
            },
        );
        let case = Case::new(op, &[f32(&[1, 4, 6, 5]), w, f32(&[5])], f32(&[1, 4, 6, 5]));
        case.passes()
            .refuses_common_faults(&[0])
            .refuses(|c| c.inputs[1] = None)
            .refuses(|c| c.y().set_dims(&[1, 4, 6, 10]))
            .refuses(|c| c.y().set_dims(&[1, 5, 6, 5]))
            .refuses(|c| c.x(1).tensor.dims[3] = 5)
            .refuses(|c| c.x(1).tensor.len += 64)
            .refuses(|c| c.x(2).set_dims(&[4]))
            .refuses(|c| c.x(0).set_dims(&[4, 6, 5]));
    }
}

#[test]
fn gemm_takes_any_number_of_leading_dimensions() {
    let matrix = Matrix {
        groups: 1,
        outputs: 7,
        taps: 1,
        channels: 5,
    };
    let op = Gemm {
        activation: Unary {
            kind: UnaryKind::Clip,
            alpha: 0.0,
            beta: 6.0,
        },
    };
    for leading in [&[][..], &[3], &[2, 3], &[1, 2, 3, 4, 5]] {
        let dims = |last| [leading, &[last]].concat();
        let case = Case::new(
            op,
            &[
                f32(&dims(5)),
                weights(Codec::T2, &[7, 5], matrix),
                f32(&[7]),
                f32(&dims(7)),
            ],
            f32(&dims(7)),
        );
        case.passes()
            .refuses_common_faults(&[0])
            .refuses(|c| c.x(0).set_dims(&dims(6)))
            .refuses(|c| c.y().set_dims(&dims(8)))
            .refuses(|c| c.x(0).set_dims(&[]))
            .refuses(|c| c.y().set_dims(&[]))
            .refuses(|c| c.x(1).set_dims(&[5, 7]));
    }
}

#[test]
fn matmul_broadcasts_leading_dimensions() {
    let op = MatMul {
        transpose_a: false,
        transpose_b: false,
    };
    let case = |a: &[u32], b: &[u32], y: &[u32]| Case::new(op, &[f32(a), f32(b)], f32(y));
    case(&[2, 3], &[3, 4], &[2, 4])
        .passes()
        .refuses_common_faults(&[0, 1]);
    case(&[5, 6, 2, 3], &[5, 6, 3, 4], &[5, 6, 2, 4]).passes();
    case(&[5, 6, 2, 3], &[1, 1, 3, 4], &[5, 6, 2, 4]).passes();
    case(&[5, 6, 2, 3], &[3, 4], &[5, 6, 2, 4]).passes();
    case(&[1, 2, 3], &[5, 6, 3, 4], &[5, 6, 2, 4]).passes();
    case(&[1, 2, 3], &[3, 4], &[1, 2, 4])
        .passes()
        .refuses(|c| c.y().set_dims(&[2, 4]))
        .refuses(|c| c.y().set_dims(&[2, 2, 4]));
    case(&[5, 6, 2, 3], &[5, 6, 3, 4], &[5, 6, 2, 4])
        .refuses(|c| c.x(1).set_dims(&[5, 1, 3, 4]))
        .refuses(|c| c.x(1).set_dims(&[6, 5, 3, 4]))
        .refuses(|c| c.x(1).set_dims(&[5, 6, 4, 3]))
        .refuses(|c| c.x(1).set_dims(&[3]))
        .refuses(|c| c.x(0).set_dims(&[5, 6, 3, 3]))
        .refuses(|c| c.x(0).set_dtype(DType::I32))
        .refuses(|c| c.x(1).set_dtype(DType::F16))
        .refuses(|c| c.y().set_dtype(DType::I32))
        .refuses(|c| c.y().set_dims(&[6, 5, 2, 4]))
        .accepts(|c| {
            c.x(0).set_dims(&[5, 6, 3, 2]);
            c.x(1).set_dims(&[5, 6, 4, 3]);
            c.op = MatMul {
                transpose_a: true,
                transpose_b: true,
            }
            .into();
        });
}

#[test]
fn multiply_accumulates_are_counted() {
    let macs = |c: Case| c.op.macs(&c.operands());
    assert_eq!(macs(conv(Codec::T2)), 2 * 5 * 7 * 6 * 6 * 4);
    let mut transposed = Case::new(CONV, &[f32(&[1, 4, 4, 8])], f32(&[1, 7, 4, 6]));
    set(&mut transposed, |o| o.transposed = true);
    assert_eq!(macs(transposed), 4 * 4 * 6 * 8 * 3);
    let gemm = Gemm {
        activation: Unary::IDENTITY,
    };
    assert_eq!(
        macs(Case::new(gemm, &[f32(&[2, 3, 5])], f32(&[2, 3, 7]))),
        2 * 3 * 5 * 7
    );
    let op = MatMul {
        transpose_a: false,
        transpose_b: true,
    };
    assert_eq!(
        macs(Case::new(
            op,
            &[f32(&[9, 2, 3]), f32(&[4, 3])],
            f32(&[9, 2, 4])
        )),
        9 * 2 * 3 * 4
    );
}

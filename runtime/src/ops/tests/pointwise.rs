//! unary, binary, where, cast, quantize, dequantize, reduce, softmax.

use super::*;
use crate::ops::table::{BinaryOp, Cast, Dequantize, Quantize, Reduce, Softmax, UnaryOp, Where};
use tern_kernels::eltwise::{BinaryKind, Unary, UnaryKind};
use tern_kernels::reduce::ReduceKind;

#[test]
fn unary_functions_take_their_dtypes() {
    let case = |kind, x: Slot| {
        Case::new(
            UnaryOp {
                function: Unary::new(kind),
            },
            &[x],
            x,
        )
    };
    case(UnaryKind::Exp, f32(&[2, 3]))
        .passes()
        .refuses_common_faults(&[0])
        .refuses(|c| c.y().set_dims(&[3, 2]))
        .refuses(|c| c.y().set_dims(&[2, 3, 1]))
        .refuses(|c| c.y().set_dtype(DType::I32))
        .refuses(|c| {
            c.op = UnaryOp {
                function: Unary {
                    kind: UnaryKind::Elu,
                    alpha: f32::NAN,
                    beta: 0.0,
                },
            }
            .into()
        });
    for dtype in DType::ALL {
        let x = plain(dtype, &[4]);
        let takes = |kind| case(kind, x).op.check(&case(kind, x).operands()).is_ok();
        assert!(takes(UnaryKind::Identity));
        assert_eq!(takes(UnaryKind::Not), dtype == DType::Bool);
        assert_eq!(
            takes(UnaryKind::Neg),
            matches!(dtype, DType::F32 | DType::I32 | DType::I64)
        );
        assert_eq!(takes(UnaryKind::Relu), dtype == DType::F32);
    }
    case(UnaryKind::Identity, quantised(DType::I8, &[4]))
        .passes()
        .refuses(|c| c.y().tensor.qmax = 63);
    case(UnaryKind::Relu, quantised(DType::I8, &[4])).refuses(|_| ());
}

#[test]
fn binary_functions_broadcast_and_take_their_dtypes() {
    let add = BinaryOp {
        function: BinaryKind::Add,
        activation: Unary::new(UnaryKind::Relu),
    };
    Case::new(add, &[f32(&[2, 1, 4]), f32(&[3, 1])], f32(&[2, 3, 4]))
        .passes()
        .refuses_common_faults(&[0, 1])
        .refuses(|c| c.y().set_dims(&[2, 4, 4]))
        .refuses(|c| c.y().set_dims(&[3, 4]))
        .refuses(|c| c.x(1).set_dims(&[2]))
        .refuses(|c| c.x(1).set_dtype(DType::I32))
        .refuses(|c| c.y().set_dtype(DType::Bool))
        .refuses(|c| {
            c.op = BinaryOp {
                activation: Unary::new(UnaryKind::Not),
                ..add
            }
            .into()
        });
    let kinds = BinaryKind::ALL.iter().copied();
    for kind in kinds {
        for dtype in DType::ALL {
            let number = matches!(dtype, DType::F32 | DType::I32 | DType::I64);
            let takes = match kind {
                BinaryKind::Pow => dtype == DType::F32,
                BinaryKind::And | BinaryKind::Or | BinaryKind::Xor => dtype == DType::Bool,
                BinaryKind::Equal | BinaryKind::NotEqual => number || dtype == DType::Bool,
                _ => number,
            };
            let result = if kind.is_comparison() {
                DType::Bool
            } else {
                dtype
            };
            let op = BinaryOp {
                function: kind,
                activation: Unary::IDENTITY,
            };
            let case = Case::new(
                op,
                &[plain(dtype, &[2]), plain(dtype, &[1])],
                plain(result, &[2]),
            );
            assert_eq!(
                case.op.check(&case.operands()).is_ok(),
                takes,
                "{kind:?} {dtype:?}"
            );
            if takes && result != DType::F32 {
                case.refuses(|c| {
                    c.op = BinaryOp {
                        function: kind,
                        activation: Unary::new(UnaryKind::Relu),
                    }
                    .into()
                });
            }
        }
    }
}

#[test]
fn where_needs_a_condition_and_one_dtype() {
    let case = Case::new(
        Where {},
        &[plain(DType::Bool, &[3, 1]), f32(&[4]), f32(&[])],
        f32(&[3, 4]),
    );
    case.passes()
        .refuses_common_faults(&[0, 1])
        .refuses(|c| c.x(0).set_dtype(DType::U8))
        .refuses(|c| c.x(1).set_dtype(DType::I32))
        .refuses(|c| c.x(2).set_dtype(DType::I32))
        .refuses(|c| c.x(0).set_dims(&[2, 1]))
        .refuses(|c| c.y().set_dims(&[4, 3]));
}

#[test]
fn cast_keeps_the_shape() {
    for from in DType::ALL {
        for to in DType::ALL {
            Case::new(Cast {}, &[plain(from, &[2, 3])], plain(to, &[2, 3])).passes();
        }
    }
    Case::new(Cast {}, &[f32(&[2, 3])], plain(DType::I64, &[2, 3]))
        .refuses_common_faults(&[0])
        .refuses(|c| c.y().set_dims(&[3, 2]))
        .refuses(|c| *c.y() = quantised(DType::I8, &[2, 3]))
        .refuses(|c| *c.x(0) = quantised(DType::I8, &[2, 3]));
}

#[test]
fn quantize_needs_its_scale_where_it_writes_it() {
    let fixed = Case::new(Quantize {}, &[f32(&[2, 3])], quantised(DType::I8, &[2, 3]));
    fixed
        .passes()
        .refuses_common_faults(&[0])
        .refuses(|c| c.y().scale().place = Place::Arena)
        .refuses(|c| c.y().set_dims(&[6]))
        .refuses(|c| c.x(0).set_dtype(DType::I32))
        .refuses(|c| *c.y() = plain(DType::I8, &[2, 3]))
        .refuses(|c| c.y().tensor.qmax = 128)
        .accepts(|c| c.y().tensor.qmax = 63);
    let mut dynamic = fixed.clone();
    dynamic.y().scale().place = Place::Arena;
    dynamic.y().scale().offset = 128;
    let scale = Slot {
        tensor: *dynamic.y().scale(),
        scale: None,
    };
    dynamic.outputs.push(Some(scale));
    dynamic
        .passes()
        .refuses(|c| c.y().scale().offset = 192)
        .refuses(|c| c.y().scale().place = Place::Data)
        .refuses(|c| {
            c.y().scale().place = Place::Data;
            c.outputs[1].as_mut().unwrap().tensor.place = Place::Data;
        })
        .refuses(|c| c.outputs[1].as_mut().unwrap().set_dtype(DType::I32))
        .refuses(|c| c.outputs[1].as_mut().unwrap().set_dims(&[2]));
}

#[test]
fn dequantize_gives_f32() {
    Case::new(
        Dequantize {},
        &[quantised(DType::I16, &[2, 3])],
        f32(&[2, 3]),
    )
    .passes()
    .refuses_common_faults(&[0])
    .accepts(|c| c.x(0).scale().place = Place::Arena)
    .refuses(|c| c.y().set_dims(&[3, 2]))
    .refuses(|c| c.y().set_dtype(DType::I32))
    .refuses(|c| *c.x(0) = plain(DType::I16, &[2, 3]));
}

#[test]
fn reduce_drops_or_keeps_dimensions() {
    let op = |function, axes| Reduce { function, axes };
    let x = f32(&[2, 3, 4, 5]);
    let case = Case::new(op(ReduceKind::Mean, 0b0110), &[x], f32(&[2, 5]));
    case.passes()
        .refuses_common_faults(&[0])
        .accepts(|c| c.y().set_dims(&[2, 1, 1, 5]))
        .refuses(|c| c.y().set_dims(&[5, 2]))
        .refuses(|c| c.y().set_dims(&[10]))
        .refuses(|c| c.y().set_dims(&[2, 3, 5]))
        .refuses(|c| c.y().set_dims(&[2]))
        .refuses(|c| c.y().set_dtype(DType::I32))
        .refuses(|c| c.op = op(ReduceKind::Mean, 0b10110).into())
        .refuses(|c| {
            c.x(0).set_dtype(DType::I32);
            c.y().set_dtype(DType::I32);
        });
    for kind in [
        ReduceKind::Sum,
        ReduceKind::Max,
        ReduceKind::Min,
        ReduceKind::Prod,
        ReduceKind::SumSquare,
    ] {
        for dtype in DType::ALL {
            let case = Case::new(
                op(kind, 0b1111),
                &[plain(dtype, &[2, 3, 4, 5])],
                plain(dtype, &[]),
            );
            let takes = matches!(dtype, DType::F32 | DType::I32 | DType::I64);
            assert_eq!(
                case.op.check(&case.operands()).is_ok(),
                takes,
                "{kind:?} {dtype:?}"
            );
        }
    }
    for kind in [
        ReduceKind::ArgMax,
        ReduceKind::ArgMin,
        ReduceKind::ArgMaxLast,
        ReduceKind::ArgMinLast,
    ] {
        Case::new(op(kind, 0b0100), &[x], plain(DType::I64, &[2, 3, 5]))
            .passes()
            .refuses(|c| c.y().set_dtype(DType::F32))
            .refuses(|c| {
                c.op = op(kind, 0b0110).into();
                c.y().set_dims(&[2, 5]);
            });
    }
}

#[test]
fn softmax_has_an_axis() {
    let op = |axis| Softmax { axis, log: false };
    Case::new(op(1), &[f32(&[2, 3])], f32(&[2, 3]))
        .passes()
        .refuses_common_faults(&[0])
        .refuses(|c| c.op = op(2).into())
        .refuses(|c| c.op = op(255).into())
        .refuses(|c| c.y().set_dims(&[3, 2]))
        .refuses(|c| c.y().set_dtype(DType::I32))
        .refuses(|c| c.x(0).set_dtype(DType::F16));
}

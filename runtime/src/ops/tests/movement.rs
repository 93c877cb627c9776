//! transpose, concat, slice, pad, gather, resize, broadcast, reshape.

use super::*;
use crate::ops::table::{Broadcast, Concat, Gather, Pad, Reshape, Resize, Slice, Transpose};
use tern_kernels::movement::{PadMode, ResizeCoordinates, ResizeMode};

/// What holds of ops that only move elements: one dtype, any, and one scale.
#[track_caller]
fn moves_any_type(case: &Case, inputs: &[usize]) {
    let with = |make: &dyn Fn(&[u32]) -> Slot| {
        let mut changed = case.clone();
        for &i in inputs {
            let t = changed.x(i).tensor;
            *changed.x(i) = make(&t.dims[..t.rank as usize]);
        }
        let t = changed.y().tensor;
        *changed.y() = make(&t.dims[..t.rank as usize]);
        changed
    };
    for dtype in DType::ALL {
        with(&|d| plain(dtype, d)).passes();
    }
    for dtype in [DType::I8, DType::I16] {
        let case = with(&|d| quantised(dtype, d));
        case.passes()
            .refuses_common_faults(inputs)
            .refuses(|c| c.y().tensor.qmax = 63)
            .refuses(|c| c.y().scale().offset = 64)
            .refuses(|c| c.y().scale().place = Place::Arena);
    }
    case.refuses_common_faults(inputs)
        .refuses(|c| c.y().set_dtype(DType::U8));
}

#[test]
fn transpose_permutes() {
    let op = |perm| Transpose { perm };
    let case = Case::new(op([2, 0, 1, 0, 0, 0]), &[f32(&[2, 3, 4])], f32(&[4, 2, 3]));
    moves_any_type(&case, &[0]);
    case.refuses(|c| c.y().set_dims(&[4, 3, 2]))
        .refuses(|c| c.y().set_dims(&[4, 2, 3, 1]))
        .refuses(|c| c.op = op([2, 0, 1, 3, 0, 0]).into())
        .refuses(|c| c.op = op([2, 0, 3, 0, 0, 0]).into())
        .refuses(|c| c.op = op([2, 0, 255, 0, 0, 0]).into());
    // A repeated dimension fits the sizes but is no permutation.
    Case::new(op([0, 0, 1, 0, 0, 0]), &[f32(&[2, 2, 2])], f32(&[2, 2, 2])).refuses(|_| ());
}

#[test]
fn concat_adds_up_without_gaps() {
    let op = |axis| Concat { axis };
    let case = Case::new(
        op(1),
        &[f32(&[2, 3, 4]), f32(&[2, 1, 4]), f32(&[2, 5, 4])],
        f32(&[2, 9, 4]),
    );
    moves_any_type(&case, &[0, 1, 2]);
    case.refuses(|c| c.inputs[0] = None)
        .refuses(|c| c.y().set_dims(&[2, 8, 4]))
        .refuses(|c| c.x(1).set_dims(&[1, 2, 4]))
        .refuses(|c| c.x(1).set_dims(&[2, 1, 5]))
        .refuses(|c| c.x(1).set_dims(&[2, 4]))
        .refuses(|c| c.op = op(0).into())
        .refuses(|c| c.op = op(3).into())
        .refuses(|c| c.inputs.insert(1, None))
        .refuses(|c| c.inputs.clear());
    let sixteen: Vec<Slot> = core::iter::repeat_n(f32(&[2]), 16).collect();
    Case::new(op(0), &sixteen, f32(&[32])).passes();
}

#[test]
fn slice_stays_inside() {
    let op = Slice {
        start: [1, 4, 0, 0, 0, 0],
        step: [2, -2, 1, 1, 1, 1],
    };
    let case = Case::new(op, &[f32(&[6, 5])], f32(&[3, 3]));
    moves_any_type(&case, &[0]);
    case.refuses(|c| c.y().set_dims(&[4, 3]))
        .refuses(|c| c.y().set_dims(&[3, 4]))
        .refuses(|c| c.y().set_dims(&[9]))
        .refuses(|c| {
            c.op = Slice {
                start: [6, 4, 0, 0, 0, 0],
                ..op
            }
            .into()
        })
        .refuses(|c| {
            c.op = Slice {
                start: [u32::MAX, 4, 0, 0, 0, 0],
                ..op
            }
            .into()
        })
        .refuses(|c| {
            c.op = Slice {
                step: [0, -2, 1, 1, 1, 1],
                ..op
            }
            .into()
        })
        .refuses(|c| {
            c.op = Slice {
                step: [i32::MIN, -2, 1, 1, 1, 1],
                ..op
            }
            .into()
        })
        .refuses(|c| {
            c.op = Slice {
                step: [i32::MAX, -2, 1, 1, 1, 1],
                ..op
            }
            .into()
        })
        .refuses(|c| {
            c.op = Slice {
                start: [1, 4, 1, 0, 0, 0],
                ..op
            }
            .into()
        })
        .refuses(|c| {
            c.op = Slice {
                step: [2, -2, 0, 1, 1, 1],
                ..op
            }
            .into()
        });
}

#[test]
fn pad_knows_how_many_at_the_end() {
    let op = Pad {
        before: [1, 0, 0, 0, 0, 0],
        mode: PadMode::Constant,
        value: 0.0,
    };
    for mode in [PadMode::Constant, PadMode::Reflect, PadMode::Edge] {
        let case = Case::new(Pad { mode, ..op }, &[f32(&[3, 4])], f32(&[6, 7]));
        moves_any_type(&case, &[0]);
        case.refuses(|c| c.y().set_dims(&[3, 7]))
            .refuses(|c| c.y().set_dims(&[6, 3]))
            .refuses(|c| c.y().set_dims(&[6, 7, 1]))
            .refuses(|c| {
                c.op = Pad {
                    mode,
                    before: [4, 0, 0, 0, 0, 0],
                    ..op
                }
                .into()
            })
            .refuses(|c| {
                c.op = Pad {
                    mode,
                    before: [u32::MAX, 0, 0, 0, 0, 0],
                    ..op
                }
                .into()
            })
            .refuses(|c| {
                c.op = Pad {
                    mode,
                    before: [1, 0, 1, 0, 0, 0],
                    ..op
                }
                .into()
            });
    }
    let reflect = Case::new(
        Pad {
            mode: PadMode::Reflect,
            ..op
        },
        &[f32(&[3, 4])],
        f32(&[6, 7]),
    );
    reflect
        .refuses(|c| c.y().set_dims(&[7, 7]))
        .refuses(|c| c.y().set_dims(&[6, 8]))
        .accepts(|c| {
            c.op = Pad {
                mode: PadMode::Edge,
                before: [3, 0, 0, 0, 0, 0],
                ..op
            }
            .into()
        })
        .refuses(|c| {
            c.op = Pad {
                mode: PadMode::Reflect,
                before: [3, 0, 0, 0, 0, 0],
                ..op
            }
            .into()
        });
    let case = Case::new(Pad { value: 1.0, ..op }, &[f32(&[3, 4])], f32(&[6, 7]));
    case.passes().refuses(|c| {
        *c.x(0) = quantised(DType::I8, &[3, 4]);
        *c.y() = quantised(DType::I8, &[6, 7]);
    });
}

#[test]
fn gather_replaces_an_axis() {
    let op = |axis| Gather { axis };
    let case = Case::new(
        op(1),
        &[f32(&[2, 9, 4]), plain(DType::I64, &[5, 6])],
        f32(&[2, 5, 6, 4]),
    );
    moves_any_type(&case, &[0]);
    case.accepts(|c| c.x(1).set_dtype(DType::I32))
        .accepts(|c| {
            c.x(1).set_dims(&[]);
            c.y().set_dims(&[2, 4]);
        })
        .refuses(|c| c.inputs[1] = None)
        .refuses(|c| c.x(1).set_dtype(DType::F32))
        .refuses(|c| c.x(1).set_dtype(DType::U8))
        .refuses(|c| c.x(1).tensor.codec = Codec::T2)
        .refuses(|c| c.x(1).set_dims(&[30]))
        .refuses(|c| c.y().set_dims(&[2, 6, 5, 4]))
        .refuses(|c| c.op = op(0).into())
        .refuses(|c| c.op = op(3).into());
}

#[test]
fn resize_keeps_batch_and_channels() {
    let op = Resize {
        scale: [2.0, 0.5],
        mode: ResizeMode::NearestFloor,
        coordinates: ResizeCoordinates::Asymmetric,
    };
    let case = Case::new(op, &[f32(&[2, 3, 4, 5])], f32(&[2, 6, 2, 5]));
    moves_any_type(&case, &[0]);
    case.refuses(|c| c.y().set_dims(&[1, 6, 2, 5]))
        .refuses(|c| c.y().set_dims(&[2, 6, 2, 6]))
        .refuses(|c| c.y().set_dims(&[2, 6, 10]))
        .refuses(|c| c.x(0).set_dims(&[2, 3, 20]));
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        case.refuses(|c| {
            c.op = Resize {
                scale: [scale, 0.5],
                ..op
            }
            .into()
        });
    }
    let linear = Case::new(
        Resize {
            mode: ResizeMode::Linear,
            ..op
        },
        &[f32(&[2, 3, 4, 5])],
        f32(&[2, 6, 2, 5]),
    );
    linear.passes().refuses(|c| {
        c.x(0).set_dtype(DType::U8);
        c.y().set_dtype(DType::U8);
    });
}

#[test]
fn broadcast_follows_numpy() {
    let case = Case::new(Broadcast {}, &[f32(&[3, 1])], f32(&[2, 3, 4]));
    moves_any_type(&case, &[0]);
    case.refuses(|c| c.y().set_dims(&[2, 4, 3]))
        .refuses(|c| c.y().set_dims(&[3]));
}

#[test]
fn reshape_keeps_the_number_of_elements() {
    let case = Case::new(Reshape {}, &[f32(&[2, 3, 4])], f32(&[6, 4]));
    moves_any_type(&case, &[0]);
    case.accepts(|c| c.y().set_dims(&[1, 1, 24, 1, 1, 1]))
        .refuses(|c| c.y().set_dims(&[6, 5]));
}

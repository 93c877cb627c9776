//! transpose, concat, slice, pad, gather, resize, broadcast and reshape: every
//! element of the result is one of the operand, for every dtype.

use crate::array::{Array, Random, broadcast_index, filled};
use crate::model::{Case, Operand, each_level};
use ternrt::kernels::movement::{PadMode, ResizeCoordinates, ResizeMode};
use ternrt::ops::Op;
use ternrt::ops::table::{Broadcast, Concat, Gather, Pad, Reshape, Resize, Slice, Transpose};
use ternrt::{DType, Error};

fn draw_dims(r: &mut Random, rank: usize) -> Vec<usize> {
    (0..rank).map(|_| r.within(1, 5)).collect()
}

/// Values that any dtype but bool holds; f16 too.
fn draw(r: &mut Random, dtype: DType, dims: &[usize]) -> Array {
    Array::new(dtype, dims, |_| {
        r.within(0, if dtype == DType::Bool { 1 } else { 100 }) as f64
    })
}

/// Checks `op` for every dtype and for quantised elements; `wanted` computes
/// an element from the operands.
#[track_caller]
fn check(
    op: impl Into<Op>,
    seed: u64,
    x_dims: &[&[usize]],
    indices: Option<Operand>,
    y_dims: &[usize],
    wanted: impl Fn(&[Array], &[usize]) -> f64,
) {
    let op = op.into();
    let kinds = DType::ALL
        .into_iter()
        .map(|d| (d, 0))
        .chain([(DType::I8, 127), (DType::I16, 32767)]);
    for (dtype, qmax) in kinds {
        let mut r = Random(seed);
        let operands: Vec<Array> = x_dims.iter().map(|d| draw(&mut r, dtype, d)).collect();
        let result = filled(dtype, y_dims, |at| wanted(&operands, at));
        let operand = |a: &Array| match qmax {
            0 => Operand::of(a.clone()),
            _ => Operand::of(a.clone()).quantised(0.25, qmax, false),
        };
        let inputs = operands
            .iter()
            .map(|a| Some(operand(a)))
            .chain(indices.clone().map(Some));
        each_level(
            &Case::new(op, inputs, [operand(&result)]),
            |level, results| {
                assert_eq!(results[0], result, "{op} of {x_dims:?} on {level}");
            },
        );
    }
}

fn six<T: Copy>(used: &[T], unused: T) -> [T; 6] {
    std::array::from_fn(|i| used.get(i).copied().unwrap_or(unused))
}

#[test]
fn transpose_equals_its_definition() {
    for seed in 0..40 {
        let mut r = Random(seed);
        let rank = r.within(0, 6);
        let dims = draw_dims(&mut r, rank);
        let mut perm: Vec<usize> = (0..rank).collect();
        for i in (1..rank).rev() {
            perm.swap(i, r.within(0, i));
        }
        let y_dims: Vec<usize> = perm.iter().map(|&p| dims[p]).collect();
        let op = Transpose {
            perm: six(&perm.iter().map(|&p| p as u8).collect::<Vec<_>>(), 0),
        };
        check(op, seed, &[&dims], None, &y_dims, |x, at| {
            let mut from = vec![0; rank];
            perm.iter().zip(at).for_each(|(&p, &i)| from[p] = i);
            x[0].at(&from)
        });
    }
}

#[test]
fn concat_equals_its_definition() {
    for seed in 0..20 {
        let mut r = Random(seed);
        let rank = r.within(1, 5);
        let (dims, axis) = (draw_dims(&mut r, rank), r.within(0, rank - 1));
        let parts: Vec<Vec<usize>> = (0..r.pick(&[1, 2, 3, 16]))
            .map(|_| {
                let mut part = dims.clone();
                part[axis] = r.within(1, 4);
                part
            })
            .collect();
        let mut y_dims = dims.clone();
        y_dims[axis] = parts.iter().map(|p| p[axis]).sum();
        let part_dims: Vec<&[usize]> = parts.iter().map(|p| &p[..]).collect();
        check(
            Concat { axis: axis as u8 },
            seed,
            &part_dims,
            None,
            &y_dims,
            |x, at| {
                let mut from = at.to_vec();
                for part in x {
                    if from[axis] < part.dims[axis] {
                        return part.at(&from);
                    }
                    from[axis] -= part.dims[axis];
                }
                unreachable!()
            },
        );
    }
}

#[test]
fn slice_equals_its_definition() {
    for seed in 0..40 {
        let mut r = Random(seed);
        let rank = r.within(0, 6);
        let dims = draw_dims(&mut r, rank);
        let start: Vec<usize> = dims.iter().map(|&d| r.within(0, d - 1)).collect();
        let step: Vec<i32> = dims.iter().map(|_| r.pick(&[1, 1, 2, 3, -1, -2])).collect();
        let y_dims: Vec<usize> = (0..rank)
            .map(|i| {
                let room = if step[i] > 0 {
                    dims[i] - 1 - start[i]
                } else {
                    start[i]
                };
                1 + r.within(0, room / step[i].unsigned_abs() as usize)
            })
            .collect();
        let op = Slice {
            start: six(&start.iter().map(|&s| s as u32).collect::<Vec<_>>(), 0),
            step: six(&step, 1),
        };
        check(op, seed, &[&dims], None, &y_dims, |x, at| {
            let from: Vec<usize> = (0..rank)
                .map(|i| (start[i] as i64 + at[i] as i64 * i64::from(step[i])) as usize)
                .collect();
            x[0].at(&from)
        });
    }
}

#[test]
fn pad_equals_its_definition() {
    for seed in 0..60 {
        let mut r = Random(seed);
        let mode = r.pick(&[PadMode::Constant, PadMode::Reflect, PadMode::Edge]);
        let rank = r.within(0, 5);
        let dims = draw_dims(&mut r, rank);
        let mut added = |d: &usize| {
            r.within(
                0,
                if mode == PadMode::Reflect {
                    (d - 1).min(3)
                } else {
                    3
                },
            )
        };
        let before: Vec<usize> = dims.iter().map(&mut added).collect();
        let after: Vec<usize> = dims.iter().map(&mut added).collect();
        let y_dims: Vec<usize> = (0..rank).map(|i| before[i] + dims[i] + after[i]).collect();
        let op = Pad {
            before: six(&before.iter().map(|&b| b as u32).collect::<Vec<_>>(), 0),
            mode,
            value: 0.0,
        };
        check(op, seed, &[&dims], None, &y_dims, |x, at| {
            let mut from = Vec::new();
            for i in 0..rank {
                let (p, last) = (at[i] as i64 - before[i] as i64, dims[i] as i64 - 1);
                let inside = match mode {
                    PadMode::Constant if p < 0 || p > last => return 0.0,
                    PadMode::Constant => p,
                    PadMode::Reflect if p < 0 => -p,
                    PadMode::Reflect => p.min(2 * last - p),
                    PadMode::Edge => p.clamp(0, last),
                };
                from.push(inside as usize);
            }
            x[0].at(&from)
        });
    }
}

#[test]
fn pad_casts_its_value() {
    for (dtype, value, wanted) in [
        (DType::F32, 1.5, 1.5),
        (DType::F16, 1.5, 1.5),
        (DType::I32, -2.0, -2.0),
        (DType::I64, 7.0, 7.0),
        (DType::U8, 200.0, 200.0),
        (DType::I8, 1000.0, 127.0),
        (DType::Bool, 3.0, 1.0),
    ] {
        let op = Pad {
            before: [1, 0, 0, 0, 0, 0],
            mode: PadMode::Constant,
            value,
        };
        let (x, y) = (
            Array::new(dtype, &[1], |_| 1.0),
            Array::new(dtype, &[3], |i| if i == 1 { 1.0 } else { wanted }),
        );
        each_level(
            &Case::new(op, [Some(Operand::of(x))], [Operand::of(y.clone())]),
            |level, results| {
                assert_eq!(results[0], y, "{level:?}");
            },
        );
    }
}

#[test]
fn gather_equals_its_definition() {
    for seed in 0..40 {
        let mut r = Random(seed);
        let (rank, index_rank) = (r.within(1, 4), r.within(0, 2));
        let (dims, axis) = (draw_dims(&mut r, rank), r.within(0, rank - 1));
        let dtype = r.pick(&[DType::I32, DType::I64]);
        let size = dims[axis];
        let index_dims = draw_dims(&mut r, index_rank);
        let indices = Array::new(dtype, &index_dims, |_| {
            r.within(0, 2 * size - 1) as f64 - size as f64
        });
        let y_dims = [&dims[..axis], &index_dims, &dims[axis + 1..]].concat();
        let op = Gather { axis: axis as u8 };
        check(
            op,
            seed,
            &[&dims],
            Some(Operand::of(indices.clone())),
            &y_dims,
            |x, at| {
                let index = indices.at(&at[axis..axis + index_rank]);
                let index = if index < 0.0 {
                    index + size as f64
                } else {
                    index
                };
                x[0].at(&[&at[..axis], &[index as usize], &at[axis + index_rank..]].concat())
            },
        );
    }
}

#[test]
fn gather_refuses_indices_out_of_range() {
    for dtype in [DType::I32, DType::I64] {
        for (index, fits) in [
            (2.0, true),
            (-3.0, true),
            (3.0, false),
            (-4.0, false),
            (2147483647.0, false),
            (-2147483648.0, false),
        ] {
            let indices = Array::new(dtype, &[2], |i| if i == 0 { 0.0 } else { index });
            let operands = [
                Some(Operand::of(Array::f32(&[3, 2], |i| i as f64))),
                Some(Operand::of(indices)),
            ];
            let case = Case::new(
                Gather { axis: 0 },
                operands,
                [Operand::of(Array::f32(&[2, 2], |_| 0.0))],
            );
            let outcome = case.run(ternrt::Caps::SCALAR, 1).map(|_| ());
            assert_eq!(
                outcome,
                if fits { Ok(()) } else { Err(Error::BadValue) },
                "{dtype:?} {index}"
            );
        }
    }
}

#[test]
fn broadcast_equals_its_definition() {
    for seed in 0..30 {
        let mut r = Random(seed);
        let rank = r.within(0, 6);
        let y_dims = draw_dims(&mut r, rank);
        let mut dims = y_dims[r.within(0, rank)..].to_vec();
        dims.iter_mut()
            .for_each(|d| *d = if r.chance(50) { 1 } else { *d });
        check(Broadcast {}, seed, &[&dims], None, &y_dims, |x, at| {
            x[0].at(&broadcast_index(at, &dims))
        });
    }
}

#[test]
fn reshape_keeps_the_order() {
    let shapes: [(&[usize], &[usize]); 4] = [
        (&[2, 3, 4], &[24]),
        (&[1], &[]),
        (&[6, 4], &[2, 1, 3, 4, 1, 1]),
        (&[5, 7], &[7, 5]),
    ];
    for (x_dims, y_dims) in shapes {
        check(Reshape {}, 1, &[x_dims], None, y_dims, |x, at| {
            x[0].values[at.iter().zip(y_dims).fold(0, |flat, (&i, &d)| flat * d + i)]
        });
    }
}

/// The source coordinate of output coordinate `o`, by ONNX's formulas.
fn source(
    coordinates: ResizeCoordinates,
    o: usize,
    scale: f64,
    input: usize,
    output: usize,
) -> f64 {
    let o = o as f64;
    match coordinates {
        ResizeCoordinates::HalfPixel => (o + 0.5) / scale - 0.5,
        ResizeCoordinates::PytorchHalfPixel if output == 1 => 0.0,
        ResizeCoordinates::PytorchHalfPixel => (o + 0.5) / scale - 0.5,
        ResizeCoordinates::Asymmetric => o / scale,
        ResizeCoordinates::AlignCorners if output == 1 => 0.0,
        ResizeCoordinates::AlignCorners => o * (input - 1) as f64 / (output - 1) as f64,
    }
}

const COORDINATES: [ResizeCoordinates; 4] = [
    ResizeCoordinates::HalfPixel,
    ResizeCoordinates::Asymmetric,
    ResizeCoordinates::AlignCorners,
    ResizeCoordinates::PytorchHalfPixel,
];

/// Sizes of which all coordinates are exact in f32, or far from a tie.
const SIZES: [([usize; 2], [usize; 2]); 4] = [
    ([2, 3], [4, 6]),
    ([4, 8], [2, 2]),
    ([3, 5], [3, 5]),
    ([1, 4], [4, 1]),
];

#[test]
fn nearest_resize_equals_its_definition() {
    for coordinates in COORDINATES {
        for mode in [
            ResizeMode::NearestFloorTies,
            ResizeMode::NearestCeilTies,
            ResizeMode::NearestFloor,
            ResizeMode::NearestCeil,
        ] {
            for (input, output) in SIZES {
                let scale: [f32; 2] = std::array::from_fn(|i| output[i] as f32 / input[i] as f32);
                let op = Resize {
                    scale,
                    mode,
                    coordinates,
                };
                let nearest = |axis: usize, o| {
                    let p = source(
                        coordinates,
                        o,
                        scale[axis].into(),
                        input[axis],
                        output[axis],
                    );
                    let p = match mode {
                        ResizeMode::NearestFloorTies => (p - 0.5).ceil(),
                        ResizeMode::NearestCeilTies => (p + 0.5).floor(),
                        ResizeMode::NearestFloor => p.floor(),
                        _ => p.ceil(),
                    };
                    p.clamp(0.0, (input[axis] - 1) as f64) as usize
                };
                // A tie of inexact coordinates could go either way.
                if coordinates == ResizeCoordinates::AlignCorners && input != output {
                    continue;
                }
                check(
                    op,
                    7,
                    &[&[2, input[0], input[1], 3]],
                    None,
                    &[2, output[0], output[1], 3],
                    |x, at| x[0].at(&[at[0], nearest(0, at[1]), nearest(1, at[2]), at[3]]),
                );
            }
        }
    }
}

#[test]
fn linear_resize_equals_its_definition() {
    for coordinates in COORDINATES {
        for (input, output) in SIZES
            .into_iter()
            .chain([([3, 5], [7, 4]), ([5, 3], [2, 8])])
        {
            let scale: [f32; 2] = std::array::from_fn(|i| output[i] as f32 / input[i] as f32);
            let op = Resize {
                scale,
                mode: ResizeMode::Linear,
                coordinates,
            };
            let mut r = Random(9);
            let x = Array::f32(&[2, input[0], input[1], 3], |_| r.real());
            let taps = |axis: usize, o| {
                let last = (input[axis] - 1) as f64;
                let p = source(
                    coordinates,
                    o,
                    scale[axis].into(),
                    input[axis],
                    output[axis],
                )
                .clamp(0.0, last);
                let low = p.floor();
                [
                    (low as usize, 1.0 - (p - low)),
                    ((low + 1.0).min(last) as usize, p - low),
                ]
            };
            let wanted = filled(DType::F32, &[2, output[0], output[1], 3], |at| {
                let mut sum = 0.0;
                for (row, row_weight) in taps(0, at[1]) {
                    for (column, weight) in taps(1, at[2]) {
                        sum += x.at(&[at[0], row, column, at[3]]) * row_weight * weight;
                    }
                }
                sum
            });
            each_level(
                &Case::new(
                    op,
                    [Some(Operand::of(x.clone()))],
                    [Operand::of(wanted.clone())],
                ),
                |level, results| {
                    for (got, wanted) in results[0].values.iter().zip(&wanted.values) {
                        assert!(
                            (got - wanted).abs() < 1e-5,
                            "{op:?} {input:?} {output:?} on {level}: {got} for {wanted}"
                        );
                    }
                },
            );
        }
    }
}

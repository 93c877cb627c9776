use super::*;
use crate::eltwise::{Unary, UnaryKind};
use crate::testing::{
    Buffer, Case, Family, OUTPUTS, Reversed, Rng, Threads, i7, inputs, product_shape,
};
use crate::{Residual, Serial};
use std::vec;
use std::vec::Vec;

fn case(m: usize, n: usize, k: usize, x: DType, codec: Codec, y: DType, rng: &mut Rng) -> Case {
    Case::random(Family::Gemm, product_shape(m, n, k), x, codec, y, rng)
}

#[test]
fn agrees_around_the_tiles_edges() {
    let mut rng = Rng::new(10);
    for (x, codec) in inputs() {
        for m in [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 16, 17, 25] {
            for n in [1, 10, 15, 16, 17, 33, 48, 64, 80] {
                let k = rng.pick(&[1, 2, 3, 4, 5, 15, 16, 17, 19, 20, 21, 31, 64, 80, 127, 131]);
                let y = rng.pick(&OUTPUTS);
                case(m, n, k, x, codec, y, &mut rng).check(&Serial);
            }
        }
    }
}

#[test]
fn agrees_on_every_depth() {
    let mut rng = Rng::new(11);
    for (x, codec) in inputs() {
        for k in (1..70).chain([127, 128, 129, 130, 255, 256, 257, 509]) {
            for m in [1, 3] {
                case(m, 7, k, x, codec, DType::F32, &mut rng).check(&Serial);
            }
        }
    }
}

#[test]
fn agrees_for_every_dtype_and_epilogue() {
    let mut rng = Rng::new(12);
    for (x, codec) in inputs() {
        for y in OUTPUTS {
            for _ in 0..12 {
                let (m, n, k) = (1 + rng.below(20), 1 + rng.below(40), 1 + rng.below(90));
                case(m, n, k, x, codec, y, &mut rng).check(&Serial);
            }
        }
    }
}

/// The epilogues that are finished in registers, around the depth that i16 sums hold,
/// with whole blocks of outputs and halves.
#[test]
fn bytes_of_every_depth_agree() {
    let mut rng = Rng::new(20);
    for n in [8, 16, 24, 40] {
        for m in [4, 6, 7, 13] {
            for k in [4, 25, 127, 128, 129, 256, 259, 400] {
                let (x, y) = (DType::I8, DType::I8);
                let mut case = case(m, n, k, x, Codec::T2, y, &mut rng);
                let kinds = [UnaryKind::Identity, UnaryKind::Relu, UnaryKind::Clip];
                case.activation = Unary {
                    kind: rng.pick(&kinds),
                    alpha: -0.5,
                    beta: 1.5,
                };
                let residual = Buffer::random(y, m * n, &mut rng);
                case.residual = (rng.below(2) > 0).then_some((residual, 1.0 / 55.0));
                case.check(&Serial);
            }
        }
    }
}

#[test]
fn spans_of_several_panels_agree() {
    let mut rng = Rng::new(13);
    // 40 outputs are three blocks; a panel of k = 1100 is 70 KB in f32, so that
    // one fits the budget, and all of them in i8. k = 2400 fits in none.
    for (x, codec) in inputs() {
        case(8, 40, 1100, x, codec, DType::F32, &mut rng).check(&Serial);
        case(14, 72, 2400, x, codec, DType::F32, &mut rng).check(&Serial);
    }
}

#[test]
fn i7_activations_agree() {
    let mut rng = Rng::new(19);
    // Tables of eight or 16 activations, or none; 2400 are several chunks.
    for k in [60, 64, 72, 80, 2400] {
        for (m, n) in [
            (1, 7),
            (1, 120),
            (2, 17),
            (3, 48),
            (4, 33),
            (5, 64),
            (9, 100),
            (17, 130),
        ] {
            let y = rng.pick(&OUTPUTS);
            i7(|| case(m, n, k, DType::I8, Codec::N12, y, &mut rng)).check(&Serial);
        }
    }
}

#[test]
fn threads_do_not_change_results() {
    let mut rng = Rng::new(14);
    for (x, codec) in inputs() {
        for (m, n) in [(1, 97), (50, 10), (33, 33), (7, 1)] {
            let k = 1 + rng.below(60);
            let y = rng.pick(&OUTPUTS);
            let case = case(m, n, k, x, codec, y, &mut rng);
            for caps in case.family.caps() {
                let alone = case.run(caps, &Serial);
                for threads in [2, 3, 8, 200] {
                    assert_eq!(case.run(caps, &Reversed(threads)), alone);
                }
                assert_eq!(case.run(caps, &Threads(4)), alone);
            }
        }
    }
}

#[test]
fn invalid_codes_give_the_same_bits_on_every_variant() {
    let mut rng = Rng::new(15);
    for (x, codec) in inputs().into_iter().filter(|(_, c)| c.is_ternary()) {
        for k in [37, 48, 333, 340] {
            let mut case = case(9, 20, k, x, codec, DType::F32, &mut rng);
            case.bytes.iter_mut().for_each(|b| *b = rng.next() as u8);
            let shape = case.family.matrix(&case.shape);
            case.codec
                .unpack_f32(&shape, &case.bytes, &mut case.weights)
                .unwrap();
            let invalid = matches!(case.codec, Codec::T2 | Codec::T5);
            assert_eq!(case.weights.contains(&2.0), invalid);
            case.check(&Serial);
        }
    }
}

/// The largest k at which sums are exact, with everything as large as it gets.
#[test]
fn the_deepest_integer_sums_are_exact() {
    let mut rng = Rng::new(16);
    for (x, k) in [
        (DType::I8, 100_003),
        (DType::I16, max_k(DType::I16, Codec::T2)),
    ] {
        for (value, w) in [(i16::MIN, 1), (i16::MIN, -1), (i16::MAX, 1), (i16::MAX, -1)] {
            let mut case = case(2, 2, k, x, Codec::T2, DType::F32, &mut rng);
            match &mut case.x {
                Buffer::I8(x) => x.fill((value >> 8) as i8),
                Buffer::I16(x) => x.fill(value),
                _ => unreachable!(),
            }
            let matrix = case.family.matrix(&case.shape);
            let trits = vec![w; case.weights.len()];
            Codec::T2.pack_i8(&matrix, &trits, &mut case.bytes).unwrap();
            case.weights.fill(w.into());
            case.check(&Serial);
        }
    }
}

/// Nothing is computed, nor asked for, without rows.
#[test]
fn no_rows_are_no_work() {
    let mut rng = Rng::new(21);
    for (x, codec) in inputs() {
        let case = case(0, 20, 64, x, codec, DType::F32, &mut rng);
        for caps in case.family.caps() {
            for family in [Family::Gemm, Family::Conv2d] {
                assert_eq!(family.scratch(caps, 2, &case.shape, x, codec), 0);
            }
            case.run(caps, &Threads(2));
        }
    }
}

/// Sums of pairs that are looked up, with everything as large as it gets.
#[test]
fn deep_sums_of_pairs_are_exact() {
    let mut rng = Rng::new(20);
    for (x, w) in [(63, 1), (63, -1), (-63, 1), (127, -1), (-127, -1)] {
        for rows in [1, 9] {
            let mut case = case(rows, 50, 8200, DType::I8, Codec::N12, DType::F32, &mut rng);
            (case.x_qmax, case.x_non_negative) = (i32::from(x).abs(), x >= 0);
            let Buffer::I8(values) = &mut case.x else {
                unreachable!()
            };
            values.fill(x);
            let matrix = case.family.matrix(&case.shape);
            let trits: Vec<i8> = (0..case.weights.len())
                .map(|i| if i % 2 == 0 { w } else { 0 })
                .collect();
            Codec::N12
                .pack_i8(&matrix, &trits, &mut case.bytes)
                .unwrap();
            case.weights = trits.iter().map(|t| f32::from(*t)).collect();
            case.check(&Serial);
        }
    }
}

use crate::max_k;

#[test]
fn depths_beyond_the_bound_are_refused() {
    for (x, codec) in [DType::I8, DType::I16]
        .into_iter()
        .flat_map(|x| [Codec::T2, Codec::I8].map(|codec| (x, codec)))
    {
        let size = |k| Size::new(GemmShape { m: 1, n: 1, k }.matrix(), 1, x, codec);
        assert!(size(max_k(x, codec)).is_ok());
        assert_eq!(size(max_k(x, codec) + 1).err(), Some(Invalid));
    }
    assert_eq!(max_k(DType::I64, Codec::T2), 0);
    assert_eq!(max_k(DType::I8, Codec::F16), 0);
}

#[test]
fn calls_that_do_not_fit_are_refused() {
    let mut rng = Rng::new(17);
    for x in [DType::F32, DType::I8] {
        let case = case(3, 17, 21, x, Codec::T2, DType::F32, &mut rng);
        let shape = GemmShape { m: 3, n: 17, k: 21 };
        let good = case.epilogue();
        let weights = Weights {
            codec: case.codec,
            bytes: &case.bytes,
            scale: None,
        };
        let values: Vec<f32> = vec![0.0; 60];
        let residual = |values| Epilogue {
            residual: Some(Residual { values, scale: 1.0 }),
            ..good
        };
        let short = View::F32(&values[..50]);
        let wrong_type = View::I32(&[0; 51]);
        for caps in case.family.caps() {
            let needed = scratch(caps, 1, &shape, x, Codec::T2);
            let mut memory = crate::testing::Scratch::new(needed + 64);
            let memory = memory.bytes();
            let mut call = |shape: &GemmShape, w: &Weights<'_>, e: &Epilogue<'_>, n: usize| {
                let (mut y, mut q) = (vec![7.0; n], vec![7i8; n]);
                let mut ctx = Ctx {
                    caps,
                    par: &Serial,
                    scratch: &mut memory[..needed],
                };
                let result = run(&mut ctx, shape, case.x.view(), w, e, ViewMut::F32(&mut y));
                assert!(result.is_ok() || y.iter().all(|v| *v == 7.0));
                let quantised = run(&mut ctx, shape, case.x.view(), w, e, ViewMut::I8(&mut q));
                assert!(result.is_ok() || quantised.is_err());
                (result, quantised)
            };
            let small = Epilogue { qmax: 127, ..good };
            assert_eq!(call(&shape, &weights, &small, 51), (Ok(()), Ok(())));
            for qmax in [0, -1, 128, i32::MIN, i32::MAX] {
                let epilogue = Epilogue { qmax, ..good };
                assert_eq!(
                    call(&shape, &weights, &epilogue, 51),
                    (Ok(()), Err(Invalid))
                );
            }
            let refused = [
                (shape, weights, small, 50),
                (shape, weights, small, 52),
                (GemmShape { k: 20, ..shape }, weights, small, 51),
                (GemmShape { m: 0, ..shape }, weights, small, 51),
                (GemmShape { n: 33, ..shape }, weights, small, 51),
                (
                    GemmShape {
                        m: usize::MAX,
                        n: 2,
                        k: 2,
                    },
                    weights,
                    small,
                    51,
                ),
                (
                    GemmShape {
                        m: 3,
                        n: usize::MAX,
                        k: 21,
                    },
                    weights,
                    small,
                    51,
                ),
                (
                    GemmShape {
                        m: 3,
                        n: 17,
                        k: usize::MAX,
                    },
                    weights,
                    small,
                    51,
                ),
                (
                    shape,
                    Weights {
                        bytes: &case.bytes[1..],
                        ..weights
                    },
                    small,
                    51,
                ),
                (
                    shape,
                    Weights {
                        scale: Some(&values[..16]),
                        ..weights
                    },
                    small,
                    51,
                ),
                (
                    shape,
                    Weights {
                        codec: Codec::Plain,
                        ..weights
                    },
                    small,
                    51,
                ),
                (
                    shape,
                    Weights {
                        codec: Codec::F32,
                        ..weights
                    },
                    small,
                    51,
                ),
                (
                    shape,
                    weights,
                    Epilogue {
                        bias: Some(&values[..18]),
                        ..small
                    },
                    51,
                ),
                (shape, weights, residual(short), 51),
                (shape, weights, residual(wrong_type), 51),
            ];
            for (i, (shape, weights, epilogue, len)) in refused.iter().enumerate() {
                let (result, _) = call(shape, weights, epilogue, *len);
                assert_eq!(result, Err(Invalid), "call {i}");
            }
            if needed > 0 {
                let mut y = vec![0.0; 51];
                for scratch in [0..needed - 1, 1..needed + 1] {
                    let mut ctx = Ctx {
                        caps,
                        par: &Serial,
                        scratch: &mut memory[scratch],
                    };
                    let y = ViewMut::F32(&mut y);
                    let result = run(&mut ctx, &shape, case.x.view(), &weights, &small, y);
                    assert_eq!(result, Err(Invalid));
                }
            }
        }
    }
}

/// Rows around the tiles of the largest variants, k around their chunks.
#[test]
fn bytes_of_large_matrices_agree() {
    let mut rng = Rng::new(18);
    for m in [15, 31, 32, 33, 47, 63, 64, 65, 100, 130, 300] {
        for k in [20, 60, 64, 68, 100, 128, 192, 320, 384, 400] {
            let n = rng.pick(&[16, 17, 24, 48, 64, 65, 80, 96, 129]);
            let codec = rng.pick(&[
                Codec::T2,
                Codec::T2,
                Codec::N12,
                Codec::N34,
                Codec::T5,
                Codec::I8,
            ]);
            let y = rng.pick(&[DType::I8, DType::I8, DType::F32]);
            case(m, n, k, DType::I8, codec, y, &mut rng).check(&Threads(1 + rng.below(3)));
        }
    }
}

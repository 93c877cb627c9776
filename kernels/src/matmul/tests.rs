use super::*;
use crate::testing::{Reversed, Rng, Threads, runnable};
use crate::{Caps, ParallelFor, Serial};
use std::vec;
use std::vec::Vec;

fn call(caps: Caps, par: &dyn ParallelFor, s: &MatMulShape, a: &[f32], b: &[f32]) -> Vec<f32> {
    let mut y = vec![f32::NAN; s.batch * s.m * s.n];
    let mut ctx = Ctx {
        caps,
        par,
        scratch: &mut [],
    };
    assert_eq!(run(&mut ctx, s, a, b, &mut y), Ok(()), "{s:?}");
    y
}

fn random_shape(batch: usize, m: usize, k: usize, n: usize, rng: &mut Rng) -> MatMulShape {
    let mut flag = || rng.below(2) == 1;
    MatMulShape {
        batch,
        m,
        k,
        n,
        broadcast_a: flag(),
        broadcast_b: flag(),
        transpose_a: flag(),
        transpose_b: flag(),
    }
}

fn check(s: &MatMulShape, rng: &mut Rng) {
    let [a_len, b_len, y_len] = s.lens().unwrap();
    let (a, b) = (rng.f32s(a_len), rng.f32s(b_len));
    let mut expected = Vec::new();
    for at in 0..y_len {
        let (batch, i, j) = (at / (s.m * s.n), at / s.n % s.m, at % s.n);
        let a_at = if s.broadcast_a { 0 } else { batch * s.m * s.k };
        let b_at = if s.broadcast_b { 0 } else { batch * s.k * s.n };
        let products = (0..s.k).map(|k| {
            let x = a[a_at
                + if s.transpose_a {
                    k * s.m + i
                } else {
                    i * s.k + k
                }];
            let w = b[b_at
                + if s.transpose_b {
                    j * s.k + k
                } else {
                    k * s.n + j
                }];
            f64::from(x) * f64::from(w)
        });
        expected.push(products.sum::<f64>());
    }
    let tolerance = s.k as f64 * f64::from(f32::EPSILON);
    for caps in runnable("matmul", VARIANTS) {
        let y = call(caps, &Serial, s, &a, &b);
        for (at, (y, expected)) in y.iter().zip(&expected).enumerate() {
            let close = (f64::from(*y) - expected).abs() <= tolerance * s.k as f64;
            assert!(close, "{caps} {s:?}: y[{at}] = {y}, expected {expected}");
        }
        for threads in [2, 9] {
            assert_eq!(call(caps, &Reversed(threads), s, &a, &b), y);
        }
        assert_eq!(call(caps, &Threads(3), s, &a, &b), y);
    }
}

#[test]
fn agrees_around_the_tiles_edges() {
    let mut rng = Rng::new(40);
    for m in [1, 2, 5, 6, 7, 13] {
        for n in [1, 10, 15, 16, 17, 31, 63, 64, 65, 131] {
            let k = rng.pick(&[1, 2, 7, 16, 33, 127]);
            check(&random_shape(1, m, k, n, &mut rng), &mut rng);
        }
    }
}

#[test]
fn agrees_for_every_flag_and_random_sizes() {
    let mut rng = Rng::new(41);
    for flags in 0..64 {
        let flag = |bit: usize| flags >> bit & 1 == 1;
        let shape = MatMulShape {
            batch: 1 + rng.below(4),
            m: 1 + rng.below(20),
            k: rng.pick(&[0, 3, 40, 127, 128, 129, 300]),
            n: 1 + rng.below(90),
            broadcast_a: flag(0),
            broadcast_b: flag(1),
            transpose_a: flag(2),
            transpose_b: flag(3),
        };
        check(&shape, &mut rng);
    }
}

#[test]
fn calls_that_do_not_fit_are_refused() {
    let good = MatMulShape {
        batch: 2,
        m: 3,
        k: 4,
        n: 5,
        broadcast_a: false,
        broadcast_b: true,
        transpose_a: false,
        transpose_b: false,
    };
    let attempt = |s: &MatMulShape, a: usize, b: usize, y: usize| {
        let mut ctx = Ctx {
            caps: Caps::detect(),
            par: &Serial,
            scratch: &mut [],
        };
        run(&mut ctx, s, &vec![0.0; a], &vec![0.0; b], &mut vec![0.0; y])
    };
    assert_eq!(attempt(&good, 24, 20, 30), Ok(()));
    for (a, b, y) in [(23, 20, 30), (24, 40, 30), (24, 20, 15), (12, 20, 30)] {
        assert_eq!(attempt(&good, a, b, y), Err(Invalid));
    }
    for n in [usize::MAX, 1 << (usize::BITS - 1), 1 << (usize::BITS / 2)] {
        for shape in [
            MatMulShape { batch: n, ..good },
            MatMulShape { m: n, ..good },
            MatMulShape { k: n, ..good },
            MatMulShape { n, ..good },
            MatMulShape {
                m: n,
                n,
                k: 0,
                ..good
            },
        ] {
            assert_eq!(attempt(&shape, 24, 20, 30), Err(Invalid));
        }
    }
    // Nothing to compute.
    assert_eq!(attempt(&MatMulShape { batch: 0, ..good }, 0, 20, 0), Ok(()));
    assert_eq!(attempt(&MatMulShape { n: 0, ..good }, 24, 0, 0), Ok(()));
}

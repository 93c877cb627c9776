use super::*;
use crate::{Caps, Ctx, Invalid, Serial, View, ViewMut};
use std::vec;
use std::vec::Vec;

fn ctx() -> Ctx<'static> {
    Ctx {
        caps: Caps::SCALAR,
        par: &Serial,
        scratch: &mut [],
    }
}

/// Coordinates of element `n` of a row-major array.
fn coordinates(dims: &[usize], mut n: usize) -> Vec<usize> {
    let mut at = vec![0; dims.len()];
    for i in (0..dims.len()).rev() {
        at[i] = n % dims[i];
        n /= dims[i];
    }
    at
}

fn index(dims: &[usize], at: &[usize]) -> usize {
    at.iter().zip(dims).fold(0, |n, (&a, &d)| n * d + a)
}

fn numbered(dims: &[usize]) -> Vec<i32> {
    (0..dims.iter().product::<usize>() as i32).collect()
}

/// All orders of `0..n`.
fn permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![vec![]];
    }
    let shorter = permutations(n - 1);
    shorter
        .iter()
        .flat_map(|p| {
            (0..n).map(|at| {
                let mut q = p.clone();
                q.insert(at, n - 1);
                q
            })
        })
        .collect()
}

#[test]
fn every_transpose() {
    for dims in [
        &[][..],
        &[5],
        &[3, 4],
        &[2, 3, 17],
        &[1, 3, 5, 7],
        &[2, 19, 3, 18],
        &[2, 1, 3, 2, 2],
        &[2, 0, 3],
    ] {
        let x = numbered(dims);
        for perm in permutations(dims.len()) {
            let out: Vec<usize> = perm.iter().map(|&p| dims[p]).collect();
            let mut y = vec![0; x.len()];
            transpose(&mut ctx(), dims, &perm, View::I32(&x), ViewMut::I32(&mut y)).unwrap();
            for (n, &v) in y.iter().enumerate() {
                let at = coordinates(&out, n);
                let mut from = vec![0; dims.len()];
                perm.iter().zip(&at).for_each(|(&p, &a)| from[p] = a);
                assert_eq!(v, x[index(dims, &from)], "{dims:?} {perm:?}");
            }
        }
    }
    let mut y = [0; 4];
    for perm in [&[0, 0][..], &[0, 2], &[0]] {
        assert_eq!(
            transpose(
                &mut ctx(),
                &[2, 2],
                perm,
                View::I32(&[0; 4]),
                ViewMut::I32(&mut y)
            ),
            Err(Invalid)
        );
    }
}

#[test]
fn colours_of_every_size_interleave() {
    for len in (0..70).chain([127, 128, 129, 1000]) {
        let x: Vec<i8> = (0..3 * len).map(|i| (i * 37 % 251) as i8).collect();
        let wide: Vec<i16> = x.iter().map(|&v| i16::from(v) * 129).collect();
        let expected: Vec<i8> = (0..3 * len).map(|i| x[i % 3 * len + i / 3]).collect();
        for caps in Caps::detect().levels() {
            let mut ctx = Ctx { caps, ..ctx() };
            let (mut y, mut wide_y) = (vec![0i8; 3 * len], vec![0i16; 3 * len]);
            let mut run = |x, y| transpose(&mut ctx, &[1, 3, len, 1], &[0, 2, 3, 1], x, y);
            run(View::I8(&x), ViewMut::I8(&mut y)).unwrap();
            run(View::I16(&wide), ViewMut::I16(&mut wide_y)).unwrap();
            assert_eq!(y, expected);
            assert!(
                wide_y
                    .iter()
                    .zip(&y)
                    .all(|(w, &v)| *w == i16::from(v) * 129)
            );
        }
    }
}

#[test]
fn slices_and_broadcasts() {
    let dims = [5, 4, 6];
    let x = numbered(&dims);
    for (start, step, out) in [
        ([0, 0, 0], [1, 1, 1], [5, 4, 6]),
        ([1, 2, 3], [1, 1, 1], [4, 1, 2]),
        ([4, 3, 5], [-1, -1, -1], [5, 4, 6]),
        ([0, 0, 1], [2, 3, 2], [3, 2, 3]),
        ([4, 0, 5], [-2, 1, -5], [3, 4, 2]),
        ([0, 0, 0], [1, 1, 1], [5, 0, 6]),
    ] {
        let mut y = vec![0; out.iter().product()];
        slice(
            &mut ctx(),
            &dims,
            &start,
            &step,
            &out,
            View::I32(&x),
            ViewMut::I32(&mut y),
        )
        .unwrap();
        for (n, &v) in y.iter().enumerate() {
            let at: Vec<usize> = (0..3)
                .map(|i| (start[i] as isize + coordinates(&out, n)[i] as isize * step[i]) as usize)
                .collect();
            assert_eq!(v, x[index(&dims, &at)]);
        }
    }
    let mut y = [0; 2];
    for (start, step, out) in [
        (5, 1, 1),
        (4, 1, 2),
        (0, -1, 2),
        (0, isize::MIN, 2),
        (usize::MAX, 1, 1),
    ] {
        let result = slice(
            &mut ctx(),
            &[5],
            &[start],
            &[step],
            &[out],
            View::I32(&[0; 5]),
            ViewMut::I32(&mut y[..out]),
        );
        assert_eq!(result, Err(Invalid), "{start} {step} {out}");
    }
    let mut y = [0; 6];
    broadcast(
        &mut ctx(),
        &[2, 3],
        &[0, 1],
        View::I32(&[1, 2, 3]),
        ViewMut::I32(&mut y),
    )
    .unwrap();
    assert_eq!(y, [1, 2, 3, 1, 2, 3]);
    broadcast(
        &mut ctx(),
        &[2, 3],
        &[1, 0],
        View::I32(&[1, 2]),
        ViewMut::I32(&mut y),
    )
    .unwrap();
    assert_eq!(y, [1, 1, 1, 2, 2, 2]);
    assert_eq!(
        broadcast(
            &mut ctx(),
            &[2, 3],
            &[2, 1],
            View::I32(&[0; 4]),
            ViewMut::I32(&mut y)
        ),
        Err(Invalid)
    );
    assert_eq!(
        broadcast(
            &mut ctx(),
            &[2, 3],
            &[0, usize::MAX],
            View::I32(&[0; 4]),
            ViewMut::I32(&mut y)
        ),
        Err(Invalid)
    );
}

#[test]
fn pads_in_every_mode() {
    for (dims, before, out) in [
        (&[3usize, 4][..], &[1usize, 2][..], &[6usize, 7][..]),
        (&[2, 3, 4], &[0, 1, 0], &[2, 6, 4]),
        (&[2, 3, 4], &[1, 0, 3], &[3, 3, 8]),
        (&[4], &[3], &[10]),
        (&[2, 2], &[0, 0], &[2, 2]),
    ] {
        let x = numbered(dims);
        for mode in [PadMode::Constant, PadMode::Reflect, PadMode::Edge] {
            let mut y = vec![0; out.iter().product()];
            pad(
                &mut ctx(),
                dims,
                before,
                out,
                mode,
                -7.9,
                View::I32(&x),
                ViewMut::I32(&mut y),
            )
            .unwrap();
            for (n, &v) in y.iter().enumerate() {
                let at: Vec<isize> = coordinates(out, n)
                    .iter()
                    .zip(before)
                    .map(|(&o, &b)| o as isize - b as isize)
                    .collect();
                let inside = at.iter().zip(dims).all(|(&a, &d)| a >= 0 && a < d as isize);
                let moved: Vec<usize> = at
                    .iter()
                    .zip(dims)
                    .map(|(&a, &d)| {
                        let last = d as isize - 1;
                        (match mode {
                            PadMode::Reflect => {
                                if a < 0 {
                                    -a
                                } else if a > last {
                                    2 * last - a
                                } else {
                                    a
                                }
                            }
                            _ => a.clamp(0, last),
                        }) as usize
                    })
                    .collect();
                let expected = if mode == PadMode::Constant && !inside {
                    -7
                } else {
                    x[index(dims, &moved)]
                };
                assert_eq!(v, expected, "{dims:?} {mode:?} at {n}");
            }
        }
    }
    let mut y = [0; 8];
    for (dim, before, out, mode) in [
        (2, 2, 4, PadMode::Reflect),
        (4, 1, 3, PadMode::Edge),
        (0, 0, 1, PadMode::Edge),
        (2, usize::MAX, 4, PadMode::Constant),
    ] {
        let result = pad(
            &mut ctx(),
            &[dim],
            &[before],
            &[out],
            mode,
            0.0,
            View::I32(&[0; 4][..dim]),
            ViewMut::I32(&mut y[..out]),
        );
        assert_eq!(result, Err(Invalid), "{dim} {before} {out} {mode:?}");
    }
}

#[test]
fn gathers_and_concatenations() {
    let x = numbered(&[2, 3, 2]);
    let mut y = vec![0; 2 * 4 * 2];
    gather(
        &mut ctx(),
        2,
        3,
        2,
        View::I64(&[2, 0, -1, -3]),
        View::I32(&x),
        ViewMut::I32(&mut y),
    )
    .unwrap();
    assert_eq!(y, [4, 5, 0, 1, 4, 5, 0, 1, 10, 11, 6, 7, 10, 11, 6, 7]);
    for bad in [3, -4, i64::MAX, i64::MIN] {
        let mut y = [0; 4];
        assert_eq!(
            gather(
                &mut ctx(),
                2,
                3,
                2,
                View::I64(&[bad]),
                View::I32(&x),
                ViewMut::I32(&mut y)
            ),
            Err(Invalid)
        );
    }
    let mut y = vec![0; 10];
    concat_part(
        &mut ctx(),
        2,
        1,
        2,
        5,
        0,
        View::I32(&[1, 2, 3, 4]),
        ViewMut::I32(&mut y),
    )
    .unwrap();
    concat_part(
        &mut ctx(),
        2,
        1,
        3,
        5,
        2,
        View::I32(&[5, 6, 7, 8, 9, 10]),
        ViewMut::I32(&mut y),
    )
    .unwrap();
    assert_eq!(y, [1, 2, 5, 6, 7, 3, 4, 8, 9, 10]);
    assert_eq!(
        concat_part(
            &mut ctx(),
            2,
            1,
            3,
            5,
            3,
            View::I32(&[0; 6]),
            ViewMut::I32(&mut y)
        ),
        Err(Invalid)
    );
    assert_eq!(
        concat_part(
            &mut ctx(),
            2,
            1,
            3,
            5,
            usize::MAX,
            View::I32(&[0; 6]),
            ViewMut::I32(&mut y)
        ),
        Err(Invalid)
    );
    assert_eq!(
        concat_part(
            &mut ctx(),
            2,
            1,
            3,
            5,
            0,
            View::F32(&[0.0; 6]),
            ViewMut::I32(&mut y)
        ),
        Err(Invalid)
    );
}

#[test]
fn resizes_by_onnx_rules() {
    // Expected values from the examples of ONNX's Resize specification.
    let x = [1.0, 2.0, 3.0, 4.0];
    let resized = |scale: f32, n: usize, mode, coordinates| {
        let mut y = vec![0f32; n * n];
        resize(
            &mut ctx(),
            1,
            [2, 2],
            [n, n],
            1,
            [scale; 2],
            mode,
            coordinates,
            View::F32(&x),
            ViewMut::F32(&mut y),
        )
        .unwrap();
        y
    };
    let up = resized(2.0, 4, ResizeMode::Linear, ResizeCoordinates::HalfPixel);
    assert_eq!(
        up,
        [
            1.0, 1.25, 1.75, 2.0, 1.5, 1.75, 2.25, 2.5, 2.5, 2.75, 3.25, 3.5, 3.0, 3.25, 3.75, 4.0
        ]
    );
    let corners = resized(2.0, 4, ResizeMode::Linear, ResizeCoordinates::AlignCorners);
    let expected = [
        1.0,
        1.333_333_3,
        1.666_666_6,
        2.0,
        1.666_666_6,
        2.0,
        2.333_333_3,
        2.666_666_7,
    ];
    assert!(
        corners
            .iter()
            .zip(expected)
            .all(|(a, b)| (a - b).abs() < 1e-6),
        "{corners:?}"
    );
    let nearest = resized(
        2.0,
        4,
        ResizeMode::NearestFloorTies,
        ResizeCoordinates::HalfPixel,
    );
    assert_eq!(
        nearest,
        [
            1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0, 3.0, 3.0, 4.0, 4.0
        ]
    );
    let floor = resized(
        1.5,
        3,
        ResizeMode::NearestFloor,
        ResizeCoordinates::Asymmetric,
    );
    assert_eq!(floor, [1.0, 1.0, 2.0, 1.0, 1.0, 2.0, 3.0, 3.0, 4.0]);
    let ceil = resized(
        1.5,
        3,
        ResizeMode::NearestCeil,
        ResizeCoordinates::Asymmetric,
    );
    assert_eq!(ceil, [1.0, 2.0, 2.0, 3.0, 4.0, 4.0, 3.0, 4.0, 4.0]);
    let one = resized(
        0.5,
        1,
        ResizeMode::Linear,
        ResizeCoordinates::PytorchHalfPixel,
    );
    assert_eq!(one, [1.0]);
    let ties: Vec<f32> = resized(
        0.5,
        1,
        ResizeMode::NearestCeilTies,
        ResizeCoordinates::HalfPixel,
    );
    assert_eq!(ties, [4.0]);
    let mut y = [0f32; 1];
    for (scale, input) in [(0.0, [2, 2]), (f32::NAN, [2, 2]), (1.0, [usize::MAX, 2])] {
        let result = resize(
            &mut ctx(),
            1,
            input,
            [1, 1],
            1,
            [scale; 2],
            ResizeMode::Linear,
            ResizeCoordinates::HalfPixel,
            View::F32(&x),
            ViewMut::F32(&mut y),
        );
        assert_eq!(result, Err(Invalid));
    }
}

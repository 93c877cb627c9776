use super::*;
use crate::testing::Threads;
use crate::{Caps, ParallelFor, Serial};
use std::vec;
use std::vec::Vec;

/// Every reduced set of values, by the definition: coordinates one by one.
fn gather(dims: &[usize], axes: u8, x: &[f32]) -> Vec<Vec<f32>> {
    let kept: Vec<usize> = (0..dims.len()).filter(|i| axes >> i & 1 == 0).collect();
    let outputs = kept.iter().map(|&i| dims[i]).product();
    let mut sets = vec![Vec::new(); outputs];
    for (n, &v) in x.iter().enumerate() {
        let mut rest = n;
        let mut at = vec![0; dims.len()];
        for i in (0..dims.len()).rev() {
            at[i] = rest % dims[i];
            rest /= dims[i];
        }
        let o = kept.iter().fold(0, |o, &i| o * dims[i] + at[i]);
        sets[o].push(v);
    }
    sets
}

#[test]
fn equals_the_definition() {
    let shapes: &[&[usize]] = &[
        &[5],
        &[2, 3],
        &[1, 7, 7, 16],
        &[2, 3, 31],
        &[3, 2, 32],
        &[2, 5, 67],
        &[2, 3, 4, 5],
        &[3, 1, 2, 1, 4, 2],
        &[4, 1],
        &[],
    ];
    for dims in shapes {
        let len: usize = dims.iter().product();
        // Few distinct values, so that ties are common.
        let x: Vec<f32> = (0..len).map(|i| ((i * 37) % 11) as f32 - 5.0).collect();
        let whole: Vec<i32> = x.iter().map(|&v| v as i32).collect();
        for axes in 0..1u8 << dims.len() {
            let sets = gather(dims, axes, &x);
            let mut ctx = Ctx {
                caps: Caps::SCALAR,
                par: &Serial,
                scratch: &mut [],
            };
            for &kind in ReduceKind::ALL {
                if kind.is_index() {
                    let mut y = vec![0i64; sets.len()];
                    let result = run(
                        &mut ctx,
                        kind,
                        dims,
                        axes,
                        View::F32(&x),
                        ViewMut::I64(&mut y),
                    );
                    if axes.count_ones() != 1 {
                        assert_eq!(result, Err(Invalid));
                        continue;
                    }
                    for (set, &i) in sets.iter().zip(&y) {
                        let max = set.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                        let min = set.iter().copied().fold(f32::INFINITY, f32::min);
                        let expected = match kind {
                            ReduceKind::ArgMax => set.iter().position(|&v| v == max),
                            ReduceKind::ArgMaxLast => set.iter().rposition(|&v| v == max),
                            ReduceKind::ArgMin => set.iter().position(|&v| v == min),
                            _ => set.iter().rposition(|&v| v == min),
                        };
                        assert_eq!(Some(i as usize), expected, "{kind:?} {dims:?} {axes:b}");
                    }
                    continue;
                }
                let mut y = vec![0f32; sets.len()];
                run(
                    &mut ctx,
                    kind,
                    dims,
                    axes,
                    View::F32(&x),
                    ViewMut::F32(&mut y),
                )
                .unwrap();
                for (set, &v) in sets.iter().zip(&y) {
                    let expected = match kind {
                        ReduceKind::Sum => set.iter().fold(0.0, |a, b| a + b),
                        ReduceKind::Mean => set.iter().fold(0.0, |a, b| a + b) / set.len() as f32,
                        ReduceKind::Max => set.iter().copied().fold(f32::NEG_INFINITY, f32::max),
                        ReduceKind::Min => set.iter().copied().fold(f32::INFINITY, f32::min),
                        ReduceKind::Prod => set.iter().fold(1.0, |a, b| a * b),
                        _ => set.iter().fold(0.0, |a, b| a + b * b),
                    };
                    assert_eq!(v, expected, "{kind:?} {dims:?} {axes:b}");
                }
                if kind == ReduceKind::Sum {
                    let mut y = vec![0i32; sets.len()];
                    run(
                        &mut ctx,
                        kind,
                        dims,
                        axes,
                        View::I32(&whole),
                        ViewMut::I32(&mut y),
                    )
                    .unwrap();
                    assert!(
                        sets.iter()
                            .zip(&y)
                            .all(|(s, &v)| s.iter().sum::<f32>() as i32 == v)
                    );
                }
            }
        }
    }
}

#[test]
fn threads_do_not_change_results() {
    let dims = [2, 7, 6, 331];
    let len: usize = dims.iter().product();
    let x: Vec<f32> = (0..len).map(|i| ((i * 7919) % 1009) as f32 * 0.1).collect();
    for axes in 0..1 << dims.len() {
        let outputs = gather(&dims, axes, &x).len();
        let sum = |par: &dyn ParallelFor| {
            let mut y = vec![0f32; outputs];
            let mut ctx = Ctx {
                caps: Caps::detect(),
                par,
                scratch: &mut [],
            };
            let (x, y_view) = (View::F32(&x), ViewMut::F32(&mut y));
            run(&mut ctx, ReduceKind::Sum, &dims, axes, x, y_view).unwrap();
            y
        };
        assert_eq!(sum(&Threads(3)), sum(&Serial), "{axes:b}");
    }
}

#[test]
fn empty_sets_and_wrong_calls() {
    let mut ctx = Ctx {
        caps: Caps::SCALAR,
        par: &Serial,
        scratch: &mut [],
    };
    let mut y = [7f32; 2];
    run(
        &mut ctx,
        ReduceKind::Sum,
        &[2, 0],
        2,
        View::F32(&[]),
        ViewMut::F32(&mut y),
    )
    .unwrap();
    assert_eq!(y, [0.0; 2]);
    run(
        &mut ctx,
        ReduceKind::Max,
        &[2, 0],
        2,
        View::F32(&[]),
        ViewMut::F32(&mut y),
    )
    .unwrap();
    assert_eq!(y, [f32::NEG_INFINITY; 2]);
    run(
        &mut ctx,
        ReduceKind::Sum,
        &[0, 3],
        2,
        View::F32(&[]),
        ViewMut::F32(&mut []),
    )
    .unwrap();
    let i = run(
        &mut ctx,
        ReduceKind::ArgMax,
        &[2, 0],
        2,
        View::F32(&[]),
        ViewMut::I64(&mut [0; 2]),
    );
    assert_eq!(i, Err(Invalid));
    let mut one = [0f32];
    for (dims, axes) in [
        (&[2usize, 2][..], 4u8),
        (&[3], 1),
        (&[usize::MAX, 2], 1),
        (&[1; 7], 0),
    ] {
        let result = run(
            &mut ctx,
            ReduceKind::Sum,
            dims,
            axes,
            View::F32(&[0.0; 4]),
            ViewMut::F32(&mut one),
        );
        assert_eq!(result, Err(Invalid), "{dims:?}");
    }
    let mixed = run(
        &mut ctx,
        ReduceKind::Sum,
        &[1],
        1,
        View::F32(&[0.0]),
        ViewMut::I32(&mut [0]),
    );
    assert_eq!(mixed, Err(Invalid));
}

use super::*;
use crate::Serial;
use crate::testing::Threads;
use std::vec;
use std::vec::Vec;

/// Values around every edge: halves, limits, NaN, infinities, subnormals.
fn values() -> Vec<f32> {
    let mut v: Vec<f32> = (-600..600).map(|i| i as f32 * 0.25).collect();
    v.extend([
        f32::NAN,
        -f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        1e-40,
        -1e-40,
        0.0,
        -0.0,
        3e38,
        -3e38,
    ]);
    v
}

fn ctx(caps: Caps) -> Ctx<'static> {
    Ctx {
        caps,
        par: &Serial,
        scratch: &mut [],
    }
}

#[test]
fn variants_equal_scalar() {
    for variant in VARIANTS {
        if !Caps::detect().has(variant.needs) {
            std::println!("skipped: {} is not on this CPU", variant.name);
            continue;
        }
        let all = values();
        for len in [0, 1, 7, 15, 16, 17, 31, 33, 63, 64, 65, 129, all.len()] {
            let x = &all[all.len() - len..];
            for (scale, qmax) in [(0.5, 127), (1.0, 63), (2.5, 127), (1e-3, 32767)] {
                let inverse = 1.0 / scale;
                let one: Vec<i32> = x.iter().map(|&x| quantize_one(x, inverse, qmax)).collect();
                let mut q16 = vec![0i16; len];
                (variant.run.quantize_i16)(x, inverse, qmax, &mut q16);
                assert!(
                    one.iter().zip(&q16).all(|(a, b)| *a == *b as i32),
                    "{} {len}",
                    variant.name
                );
                let mut back = vec![0f32; len];
                (variant.run.dequantize_i16)(&q16, scale, &mut back);
                assert!(back.iter().zip(&q16).all(|(x, &q)| *x == q as f32 * scale));
                if qmax <= 127 {
                    let mut q8 = vec![0i8; len];
                    (variant.run.quantize_i8)(x, inverse, qmax, &mut q8);
                    assert!(
                        one.iter().zip(&q8).all(|(a, b)| *a == *b as i32),
                        "{} {len}",
                        variant.name
                    );
                    (variant.run.dequantize_i8)(&q8, scale, &mut back);
                    assert!(back.iter().zip(&q8).all(|(x, &q)| *x == q as f32 * scale));
                }
            }
            let finite: Vec<f32> = x.iter().copied().filter(|v| !v.is_infinite()).collect();
            let expected = finite
                .iter()
                .filter(|v| !v.is_nan())
                .fold(0f32, |m, v| m.max(v.abs()));
            assert_eq!((variant.run.max_abs)(&finite), expected);
        }
    }
}

#[test]
fn threads_do_not_change_the_scale() {
    let mut x: Vec<f32> = (0..100_000).map(|i| (i % 977) as f32 - 400.0).collect();
    for at in [0, 33_332, 33_333, 50_000, 99_999] {
        x[at] = -1e3;
        for threads in [1, 2, 3] {
            let mut ctx = Ctx {
                par: &Threads(threads),
                ..ctx(Caps::detect())
            };
            assert_eq!(dynamic_scale(&mut ctx, &x, 127), 1e3 / 127.0, "{at}");
        }
        x[at] = 0.0;
    }
}

#[test]
fn rounding_and_scales() {
    assert_eq!(
        [0.5, 1.5, 2.5, -0.5, -1.5].map(|x| quantize_one(x, 1.0, 127)),
        [0, 2, 2, 0, -2]
    );
    assert_eq!(
        [1e9, -1e9, f32::NAN].map(|x| quantize_one(x, 1.0, 63)),
        [63, -63, -63]
    );
    let mut ctx = ctx(Caps::detect());
    assert_eq!(dynamic_scale(&mut ctx, &[1.0, -12.7], 127), 12.7 / 127.0);
    for x in [&[][..], &[0.0], &[f32::NAN], &[f32::INFINITY], &[1e-42]] {
        assert_eq!(dynamic_scale(&mut ctx, x, 127), 1.0);
    }
}

#[test]
fn wrong_calls_are_refused() {
    let mut ctx = ctx(Caps::detect());
    assert_eq!(
        quantize(&mut ctx, &[1.0], 1.0, 128, ViewMut::I8(&mut [0])),
        Err(Invalid)
    );
    assert_eq!(
        quantize(&mut ctx, &[1.0], 1.0, 0, ViewMut::I8(&mut [0])),
        Err(Invalid)
    );
    assert_eq!(
        quantize(&mut ctx, &[1.0], 1.0, 127, ViewMut::I8(&mut [0, 0])),
        Err(Invalid)
    );
    assert_eq!(
        quantize(&mut ctx, &[1.0], 1.0, 127, ViewMut::F32(&mut [0.0])),
        Err(Invalid)
    );
    assert_eq!(
        dequantize(&mut ctx, View::I8(&[1]), 1.0, &mut []),
        Err(Invalid)
    );
    assert_eq!(
        dequantize(&mut ctx, View::U8(&[1]), 1.0, &mut [0.0]),
        Err(Invalid)
    );
}

use super::*;
use crate::{Caps, Serial};
use std::vec;
use std::vec::Vec;

#[test]
fn equals_the_definition() {
    for caps in Caps::detect().levels() {
        let mut ctx = Ctx {
            caps,
            par: &Serial,
            scratch: &mut [],
        };
        for (outer, axis, inner) in [
            (1, 1, 1),
            (3, 10, 1),
            (2, 7, 5),
            (1, 1000, 1),
            (4, 3, 17),
            (0, 3, 2),
            (2, 0, 2),
        ] {
            let x: Vec<f32> = (0..outer * axis * inner)
                .map(|i| ((i * 7919) % 101) as f32 * 0.3 - 15.0)
                .collect();
            let (mut y, mut l) = (vec![0f32; x.len()], vec![0f32; x.len()]);
            run(&mut ctx, outer, axis, inner, false, &x, &mut y).unwrap();
            run(&mut ctx, outer, axis, inner, true, &x, &mut l).unwrap();
            for o in 0..outer {
                for i in 0..inner {
                    let at = |a: usize| (o * axis + a) * inner + i;
                    let sum: f64 = (0..axis).map(|a| (x[at(a)] as f64).exp()).sum();
                    for a in 0..axis {
                        let exact = (x[at(a)] as f64).exp() / sum;
                        assert!(
                            (y[at(a)] as f64 - exact).abs() < 1e-6,
                            "{caps} {outer} {axis} {inner}"
                        );
                        assert!(
                            (l[at(a)] as f64 - exact.ln()).abs() < 1e-5 * exact.ln().abs().max(1.0)
                        );
                    }
                }
            }
        }
        assert_eq!(
            run(&mut ctx, 2, 2, 2, false, &[0.0; 8], &mut [0.0; 7]),
            Err(Invalid)
        );
        assert_eq!(
            run(&mut ctx, usize::MAX, 2, 2, false, &[0.0; 8], &mut [0.0; 8]),
            Err(Invalid)
        );
        let mut y = [0f32; 3];
        run(
            &mut ctx,
            1,
            3,
            1,
            false,
            &[1e30, -1e30, f32::NEG_INFINITY],
            &mut y,
        )
        .unwrap();
        assert_eq!(y, [1.0, 0.0, 0.0]);
    }
}

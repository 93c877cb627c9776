use super::*;
use crate::Serial;
use std::vec;
use std::vec::Vec;

struct Lcg(u64);
impl Lcg {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % n
    }
}

/// Positions under a window, by the definition: kernel offsets against the padded image.
fn window(s: &Conv2dShape, axis: usize, o: usize, end: usize) -> (Vec<usize>, usize) {
    let positions: Vec<isize> = (0..s.kernel[axis])
        .map(|k| (o * s.stride[axis] + k * s.dilation[axis]) as isize - s.pad[axis] as isize)
        .collect();
    let inside = positions
        .iter()
        .filter(|&&p| p >= 0 && p < s.input[axis] as isize)
        .map(|&p| p as usize)
        .collect();
    let padded = positions
        .iter()
        .filter(|&&p| p < (s.input[axis] + end) as isize)
        .count();
    (inside, padded)
}

#[test]
fn variants_equal_the_definition() {
    let mut r = Lcg(7);
    for round in 0..200 {
        let c = [1, 3, 7, 8, 9, 16, 33][r.below(7)];
        let mut s = Conv2dShape {
            batch: 1 + r.below(2),
            input: [1 + r.below(9), 1 + r.below(9)],
            in_channels: c,
            output: [0; 2],
            out_channels: c,
            kernel: [1 + r.below(3), 1 + r.below(3)],
            stride: [1 + r.below(3), 1 + r.below(3)],
            dilation: [1 + r.below(2), 1 + r.below(2)],
            pad: [r.below(2), r.below(2)],
            groups: c,
            transposed: false,
        };
        let end = [r.below(2), r.below(2)];
        for (i, &end) in end.iter().enumerate() {
            let room = s.input[i] + s.pad[i] + end;
            let extent = s.dilation[i] * (s.kernel[i] - 1) + 1;
            s.output[i] = if room < extent {
                0
            } else {
                (room - extent).div_ceil(s.stride[i]) + 1
            };
        }
        let x: Vec<i8> = (0..s.batch * s.input[0] * s.input[1] * c)
            .map(|_| r.below(255) as i8)
            .collect();
        let x32: Vec<f32> = x.iter().map(|&v| v as f32 * 0.37).collect();
        let x16: Vec<i16> = x.iter().map(|&v| v as i16 * 99).collect();
        let len = s.batch * s.output[0] * s.output[1] * c;
        for caps in Caps::detect().levels() {
            let mut ctx = Ctx {
                caps,
                par: &Serial,
                scratch: &mut [],
            };
            let (mut y32, mut y8, mut y16) = (vec![0f32; len], vec![0i8; len], vec![0i16; len]);
            let (mut with, mut without) = (vec![0f32; len], vec![0f32; len]);
            max(&mut ctx, &s, View::F32(&x32), ViewMut::F32(&mut y32)).unwrap();
            max(&mut ctx, &s, View::I8(&x), ViewMut::I8(&mut y8)).unwrap();
            max(&mut ctx, &s, View::I16(&x16), ViewMut::I16(&mut y16)).unwrap();
            average(&mut ctx, &s, end, true, &x32, &mut with).unwrap();
            average(&mut ctx, &s, end, false, &x32, &mut without).unwrap();
            let mut at = 0;
            for n in 0..s.batch {
                for oh in 0..s.output[0] {
                    for ow in 0..s.output[1] {
                        let ((rows, ph), (columns, pw)) =
                            (window(&s, 0, oh, end[0]), window(&s, 1, ow, end[1]));
                        for channel in 0..c {
                            let offsets = rows.iter().flat_map(|h| {
                                columns.iter().map(move |w| {
                                    ((n * s.input[0] + h) * s.input[1] + w) * c + channel
                                })
                            });
                            let values: Vec<usize> = offsets.collect();
                            let highest = values.iter().map(|&i| x[i]).max();
                            assert_eq!(y8[at], highest.unwrap_or(i8::MIN), "round {round}");
                            assert_eq!(y16[at], highest.map_or(i16::MIN, |v| v as i16 * 99));
                            assert_eq!(
                                y32[at],
                                highest.map_or(f32::NEG_INFINITY, |v| v as f32 * 0.37)
                            );
                            let sum = values.iter().fold(0f32, |sum, &i| sum + x32[i]);
                            let mean = |n: usize| if n == 0 { 0.0 } else { sum / n as f32 };
                            assert_eq!(without[at], mean(values.len()), "round {round}");
                            assert_eq!(with[at], mean(ph * pw), "round {round}");
                            at += 1;
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn wrong_calls_are_refused() {
    let s = Conv2dShape {
        batch: 1,
        input: [2, 2],
        in_channels: 1,
        output: [1, 1],
        out_channels: 1,
        kernel: [2, 2],
        stride: [1, 1],
        dilation: [1, 1],
        pad: [0, 0],
        groups: 1,
        transposed: false,
    };
    let mut ctx = Ctx {
        caps: Caps::SCALAR,
        par: &Serial,
        scratch: &mut [],
    };
    let mut y = [0f32];
    assert_eq!(
        max(&mut ctx, &s, View::F32(&[0.0; 3]), ViewMut::F32(&mut y)),
        Err(Invalid)
    );
    assert_eq!(
        max(&mut ctx, &s, View::I32(&[0; 4]), ViewMut::I32(&mut [0])),
        Err(Invalid)
    );
    for wrong in [
        Conv2dShape {
            stride: [0, 1],
            ..s
        },
        Conv2dShape {
            batch: usize::MAX,
            ..s
        },
        Conv2dShape {
            kernel: [usize::MAX, 2],
            ..s
        },
        Conv2dShape {
            pad: [usize::MAX, 0],
            ..s
        },
        Conv2dShape {
            transposed: true,
            ..s
        },
        Conv2dShape {
            out_channels: 2,
            ..s
        },
    ] {
        assert_eq!(
            max(&mut ctx, &wrong, View::F32(&[0.0; 4]), ViewMut::F32(&mut y)),
            Err(Invalid),
            "{wrong:?}"
        );
        assert_eq!(
            average(&mut ctx, &wrong, [0; 2], true, &[0.0; 4], &mut y),
            Err(Invalid),
            "{wrong:?}"
        );
    }
}

//! max_pool and average_pool against their definitions.

use crate::array::{Array, Random, filled};
use crate::model::{Case, Operand, each_level};
use ternrt::DType;
use ternrt::ops::table::{AveragePool, MaxPool};

struct Geometry {
    kernel: [u16; 2],
    stride: [u16; 2],
    dilation: [u16; 2],
    pads: [u16; 4],
    x_dims: [usize; 4],
    y_dims: [usize; 4],
}

/// Draws a pool that has a result, with the size rounded up now and then.
fn draw(r: &mut Random) -> Option<Geometry> {
    let mut small = |low, high| r.within(low, high) as u16;
    let (kernel, stride) = ([small(1, 4), small(1, 4)], [small(1, 3), small(1, 3)]);
    let (dilation, pads) = (
        [small(1, 2), small(1, 2)],
        [small(0, 2), small(0, 2), small(0, 2), small(0, 2)],
    );
    let x_dims = [
        r.within(1, 2),
        r.within(1, 8),
        r.within(1, 8),
        r.pick(&[1, 3, 8, 17]),
    ];
    let mut y_dims = x_dims;
    for axis in 0..2 {
        let [kernel, stride, dilation] = [kernel, stride, dilation].map(|a| usize::from(a[axis]));
        let (start, end) = (usize::from(pads[axis]), usize::from(pads[axis + 2]));
        let input = x_dims[1 + axis];
        let room = (input + start + end).checked_sub(dilation * (kernel - 1) + 1)?;
        let up = room.div_ceil(stride);
        let up = if up * stride < input + start {
            up
        } else {
            room / stride
        };
        y_dims[1 + axis] = 1 + if r.chance(50) { up } else { room / stride };
    }
    Some(Geometry {
        kernel,
        stride,
        dilation,
        pads,
        x_dims,
        y_dims,
    })
}

impl Geometry {
    /// Positions under the window of `at` in the image, and how many of its
    /// positions lie in the padded image.
    fn window(&self, at: &[usize]) -> (Vec<[usize; 4]>, usize) {
        let (mut inside, mut padded) = (Vec::new(), 0);
        for ky in 0..self.kernel[0] {
            for kx in 0..self.kernel[1] {
                let position = |axis: usize, k: u16| {
                    at[1 + axis] as i64 * i64::from(self.stride[axis])
                        + i64::from(k) * i64::from(self.dilation[axis])
                };
                // Counted from the start of the padding.
                let (row, column) = (position(0, ky), position(1, kx));
                let size = |axis: usize| self.x_dims[1 + axis] as i64;
                let [top, left, bottom, right] = self.pads.map(i64::from);
                padded +=
                    usize::from(row < size(0) + top + bottom && column < size(1) + left + right);
                if (0..size(0)).contains(&(row - top)) && (0..size(1)).contains(&(column - left)) {
                    inside.push([at[0], (row - top) as usize, (column - left) as usize, at[3]]);
                }
            }
        }
        (inside, padded)
    }
}

#[test]
fn max_pool_equals_its_definition() {
    let mut done = 0;
    for seed in 0..100 {
        let mut r = Random(seed);
        let Some(g) = draw(&mut r) else { continue };
        let op = MaxPool {
            kernel: g.kernel,
            stride: g.stride,
            dilation: g.dilation,
            pads: g.pads,
        };
        for (dtype, lowest, qmax) in [
            (DType::F32, f64::NEG_INFINITY, 0),
            (DType::I8, -128.0, 127),
            (DType::I16, -32768.0, 32767),
        ] {
            let x = Array::new(dtype, &g.x_dims, |_| {
                if qmax == 0 { r.real() } else { r.integer(qmax) }
            });
            let wanted = filled(dtype, &g.y_dims, |at| {
                g.window(at)
                    .0
                    .iter()
                    .map(|p| x.at(p))
                    .fold(lowest, f64::max)
            });
            let operand = |a: &Array| match qmax {
                0 => Operand::of(a.clone()),
                _ => Operand::of(a.clone()).quantised(0.5, qmax as u32, false),
            };
            each_level(
                &Case::new(op, [Some(operand(&x))], [operand(&wanted)]),
                |level, results| {
                    assert_eq!(
                        results[0].values, wanted.values,
                        "seed {seed} on {level}: {op:?}"
                    );
                },
            );
        }
        done += 1;
    }
    assert!(done > 60, "{done}");
}

#[test]
fn average_pool_equals_its_definition() {
    let mut done = 0;
    for seed in 500..600 {
        let mut r = Random(seed);
        let Some(g) = draw(&mut r) else { continue };
        for count_include_pad in [false, true] {
            let op = AveragePool {
                kernel: g.kernel,
                stride: g.stride,
                dilation: g.dilation,
                pads: g.pads,
                count_include_pad,
            };
            let x = Array::f32(&g.x_dims, |_| r.real());
            let wanted = filled(DType::F32, &g.y_dims, |at| {
                let (inside, padded) = g.window(at);
                let divisor = if count_include_pad {
                    padded
                } else {
                    inside.len()
                };
                inside.iter().map(|p| x.at(p)).sum::<f64>() / divisor.max(1) as f64
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
                            "seed {seed} on {level}: {got} for {wanted}: {op:?}"
                        );
                    }
                },
            );
        }
        done += 1;
    }
    assert!(done > 60, "{done}");
}

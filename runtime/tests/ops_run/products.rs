//! conv2d, depthwise_conv2d, gemm and matmul against plain sums in f64.

use crate::array::{Array, Random, broadcast_index, filled, unflatten};
use crate::model::{Case, Operand, each_level};
use ternrt::kernels::Matrix;
use ternrt::kernels::eltwise::{Unary, UnaryKind};
use ternrt::ops::table::{Conv2d, DepthwiseConv2d, Gemm, MatMul};
use ternrt::{Codec, DType};

/// Sums of products, and the sums of their magnitudes, by which f32 rounding is bounded.
struct Sums {
    dims: Vec<usize>,
    sums: Vec<f64>,
    magnitudes: Vec<f64>,
}

impl Sums {
    fn new(dims: &[usize]) -> Sums {
        let len = dims.iter().product();
        Sums {
            dims: dims.to_vec(),
            sums: vec![0.0; len],
            magnitudes: vec![0.0; len],
        }
    }

    fn add(&mut self, index: &[usize], product: f64) {
        let flat = index
            .iter()
            .zip(&self.dims)
            .fold(0, |flat, (&i, &d)| flat * d + i);
        self.sums[flat] += product;
        self.magnitudes[flat] += product.abs();
    }
}

/// Everything of a product but its geometry.
struct Setup {
    x: Operand,
    w: Operand,
    bias: Option<Operand>,
    residual: Option<Operand>,
    y: Operand,
    activation: Unary,
}

impl Setup {
    /// Draws operands; `matrix` is what the weights are packed as.
    fn draw(
        r: &mut Random,
        x_dims: &[usize],
        w_dims: &[usize],
        matrix: Matrix,
        y_dims: &[usize],
    ) -> Setup {
        let codecs = [
            Codec::F32,
            Codec::F16,
            Codec::T2,
            Codec::T5,
            Codec::N12,
            Codec::N34,
        ];
        // Channels that make no pairs or fours are packed as the compiler does.
        let codec = r.pick(&codecs);
        let codec = codec.packed_len(&matrix).map_or(Codec::T2, |_| codec);
        let draw = |r: &mut Random, dims: &[usize], dtype: DType| match dtype {
            DType::F32 => Operand::of(Array::f32(dims, |_| r.real())),
            _ => {
                let (qmax, scale) = r.pick(if dtype == DType::I8 {
                    &[(127, 0.0123), (63, 0.5)]
                } else {
                    &[(32767, 0.00037)]
                });
                let constant = r.chance(50);
                Operand::of(Array::new(dtype, dims, |_| r.integer(qmax))).quantised(
                    scale,
                    qmax as u32,
                    constant,
                )
            }
        };
        let any = [DType::F32, DType::F32, DType::I8, DType::I16];
        let x_dtype = if codec.is_ternary() {
            r.pick(&any)
        } else {
            DType::F32
        };
        let x = draw(r, x_dims, x_dtype);
        let outputs = matrix.groups * matrix.outputs;
        let w = if codec.is_ternary() {
            let scales: Vec<f32> = (0..outputs).map(|_| 0.5 + r.real() as f32 / 4.0).collect();
            let apart = match codec {
                Codec::N12 => 2,
                Codec::N34 => 4,
                _ => 1,
            };
            let mut place = 0;
            let trits = Array::f32(w_dims, |i| {
                if i % apart == 0 {
                    place = r.pick(&[0, 1, 2, 3]) % apart;
                }
                match (codec, i % apart == place) {
                    (Codec::N12, true) | (Codec::N34, false) => r.pick(&[-1.0, 1.0]),
                    (Codec::N12, false) | (Codec::N34, true) => 0.0,
                    _ => r.integer(1),
                }
            });
            Operand::weights(&trits, codec, matrix, r.chance(80).then_some(scales))
        } else {
            // Multiples of 1/16 are exact in f16.
            Operand::weights(
                &Array::f32(w_dims, |_| r.integer(32) / 16.0),
                codec,
                matrix,
                None,
            )
        };
        let bias = r
            .chance(60)
            .then(|| Operand::of(Array::f32(&[outputs], |_| r.real())).constant());
        let residual_dtype = r.pick(&any);
        let residual = r.chance(40).then(|| draw(r, y_dims, residual_dtype));
        let y_dtype = r.pick(&any);
        let y = match y_dtype {
            DType::F32 => Operand::of(Array::f32(y_dims, |_| 0.0)),
            _ => {
                let (qmax, scale) = r.pick(if y_dtype == DType::I8 {
                    &[(127, 0.11), (63, 0.3)]
                } else {
                    &[(32767, 0.0021)]
                });
                Operand::of(Array::new(y_dtype, y_dims, |_| 0.0)).quantised(scale, qmax, true)
            }
        };
        let activation = r.pick(&[
            Unary::IDENTITY,
            Unary::new(UnaryKind::Relu),
            Unary {
                kind: UnaryKind::Clip,
                alpha: 0.0,
                beta: 6.0,
            },
            Unary {
                kind: UnaryKind::LeakyRelu,
                alpha: 0.25,
                beta: 0.0,
            },
        ]);
        Setup {
            x,
            w,
            bias,
            residual,
            y,
            activation,
        }
    }

    /// The elements of the result and by how much each may differ.
    fn expected(&self, sums: &Sums) -> Vec<(f64, f64)> {
        let exact = self.x.array.dtype != DType::F32;
        let channels = *sums.dims.last().unwrap();
        let quantised = self.y.array.dtype != DType::F32;
        let inverse = if quantised { 1.0 / self.y.scale() } else { 1.0 };
        let mut function = self.activation;
        // What all is multiplied with before the activation.
        let unit = match function.kind {
            UnaryKind::Identity | UnaryKind::Relu | UnaryKind::Clip => inverse,
            _ => 1.0,
        };
        function.alpha *= unit;
        function.beta *= unit;
        let x_scale = self.x.scale() * unit;
        let mut out = Vec::new();
        for (i, (&sum, &magnitude)) in sums.sums.iter().zip(&sums.magnitudes).enumerate() {
            let o = i % channels;
            let scale = x_scale * self.w.channel_scale(o);
            let mut t = sum as f32 * scale;
            if let Some(bias) = &self.bias {
                t += bias.array.values[o] as f32 * unit;
            }
            if let Some(residual) = &self.residual {
                let value = residual.array.values[i] as f32;
                t += if residual.array.dtype == DType::F32 {
                    value * unit
                } else {
                    value * (residual.scale() * unit)
                };
            }
            let before = t;
            t = match function.kind {
                UnaryKind::Relu => t.max(0.0),
                UnaryKind::Clip => t.max(function.alpha).min(function.beta),
                UnaryKind::LeakyRelu if t < 0.0 => self.activation.alpha * t,
                _ => t,
            };
            let rounding =
                (magnitude * f64::from(scale.abs()) + f64::from(before.abs()) + 1.0) * 1e-5;
            out.push(match (quantised, exact) {
                (false, true) => (t.into(), 0.0),
                (false, false) => (t.into(), rounding),
                (true, _) => {
                    let bound = self.y.qmax() as f32;
                    let rest = inverse / unit;
                    let q = (t * rest).clamp(-bound, bound).round_ties_even();
                    (
                        q.into(),
                        if exact {
                            0.0
                        } else {
                            1.0 + rounding * f64::from(rest)
                        },
                    )
                }
            });
        }
        out
    }

    fn check(&self, name: &str, op: impl Into<ternrt::ops::Op>, sums: &Sums) {
        let inputs = [
            Some(self.x.clone()),
            Some(self.w.clone()),
            self.bias.clone(),
            self.residual.clone(),
        ];
        let expected = self.expected(sums);
        each_level(
            &Case::new(op, inputs, [self.y.clone()]),
            |level, results| {
                for (i, (got, &(wanted, tolerance))) in
                    results[0].values.iter().zip(&expected).enumerate()
                {
                    let at = unflatten(i, &sums.dims);
                    assert!(
                        (got - wanted).abs() <= tolerance,
                        "{name} on {level}: {got} for {wanted} +- {tolerance} at {at:?}"
                    );
                }
            },
        );
    }
}

/// A convolution's result by its definition: each input position is spread over the output where `transposed`.
fn convolve(op: &Conv2d, x: &Array, w: &Array, y_dims: &[usize]) -> Sums {
    let mut sums = Sums::new(y_dims);
    let groups = op.group as usize;
    let (inputs, outputs) = (x.dims[3] / groups, y_dims[3] / groups);
    let [stride, dilation] =
        [op.stride, op.dilation].map(|a| a.map(isize::try_from).map(Result::unwrap));
    let fits = |p: isize, size: usize| (0..size as isize).contains(&p).then_some(p as usize);
    let from = if op.transposed { &x.dims } else { y_dims };
    let to = if op.transposed { y_dims } else { &x.dims };
    for flat in 0..from[..3].iter().product() {
        let [n, row, column] = unflatten(flat, &from[..3]).try_into().unwrap();
        for tap in 0..usize::from(op.kernel[0]) * usize::from(op.kernel[1]) {
            let [ky, kx] = unflatten(tap, &op.kernel.map(usize::from))
                .try_into()
                .unwrap();
            let other_row =
                row as isize * stride[0] + ky as isize * dilation[0] - op.pads[0] as isize;
            let other_column =
                column as isize * stride[1] + kx as isize * dilation[1] - op.pads[1] as isize;
            let (Some(other_row), Some(other_column)) =
                (fits(other_row, to[1]), fits(other_column, to[2]))
            else {
                continue;
            };
            let (here, there) = ([row, column], [other_row, other_column]);
            let (at_x, at_y) = if op.transposed {
                (here, there)
            } else {
                (there, here)
            };
            for o in 0..y_dims[3] {
                for c in 0..inputs {
                    let value = x.at(&[n, at_x[0], at_x[1], o / outputs * inputs + c]);
                    sums.add(&[n, at_y[0], at_y[1], o], value * w.at(&[o, ky, kx, c]));
                }
            }
        }
    }
    sums
}

fn draw_geometry(r: &mut Random) -> Conv2d {
    let mut small = |low, high| r.within(low, high) as u16;
    Conv2d {
        kernel: [small(1, 4), small(1, 3)],
        stride: [small(1, 3), small(1, 3)],
        dilation: [small(1, 2), small(1, 3)],
        pads: [small(0, 2), small(0, 2), small(0, 2), small(0, 2)],
        group: 1,
        transposed: false,
        activation: Unary::IDENTITY,
    }
}

/// Height and width of the result, where there is one.
fn output_size(op: &Conv2d, input: [usize; 2], output_padding: [usize; 2]) -> Option<[usize; 2]> {
    let mut out = [0; 2];
    for axis in 0..2 {
        let pads = usize::from(op.pads[axis] + op.pads[axis + 2]);
        let reach = usize::from(op.dilation[axis]) * (usize::from(op.kernel[axis]) - 1) + 1;
        let stride = usize::from(op.stride[axis]);
        out[axis] = if op.transposed {
            let padding = output_padding[axis] % stride.max(op.dilation[axis].into());
            ((input[axis] - 1) * stride + reach + padding)
                .checked_sub(pads)
                .filter(|&o| o > 0)?
        } else {
            (input[axis] + pads).checked_sub(reach)? / stride + 1
        };
    }
    Some(out)
}

#[test]
fn conv2d_equals_its_definition() {
    let mut done = 0;
    for seed in 0..240 {
        let mut r = Random(seed);
        let mut op = draw_geometry(&mut r);
        op.transposed = r.chance(30);
        op.group = r.within(1, 3) as u32;
        if r.chance(25) {
            op = Conv2d {
                kernel: [1, 1],
                stride: [1, 1],
                pads: [0; 4],
                ..op
            };
        }
        let input = [r.within(1, 7), r.within(1, 7)];
        let padding = [r.within(0, 2), r.within(0, 2)];
        let Some(output) = output_size(&op, input, padding) else {
            continue;
        };
        let (groups, channels, outputs) = (
            op.group as usize,
            r.pick(&[1, 3, 8, 16, 17]),
            r.pick(&[1, 2, 8, 16, 19]),
        );
        let batch = r.within(1, 2);
        let x_dims = [batch, input[0], input[1], groups * channels];
        let y_dims = [batch, output[0], output[1], groups * outputs];
        let w_dims = [
            groups * outputs,
            op.kernel[0].into(),
            op.kernel[1].into(),
            channels,
        ];
        let matrix = Matrix {
            groups,
            outputs,
            taps: w_dims[1] * w_dims[2],
            channels,
        };
        let setup = Setup::draw(&mut r, &x_dims, &w_dims, matrix, &y_dims);
        op.activation = setup.activation;
        let sums = convolve(&op, &setup.x.array, &setup.w.array, &y_dims);
        setup.check(&format!("seed {seed}: {op:?}"), op, &sums);
        done += 1;
    }
    assert!(done > 150, "{done}");
}

#[test]
fn depthwise_conv2d_equals_a_grouped_convolution() {
    let mut done = 0;
    for seed in 1000..1120 {
        let mut r = Random(seed);
        let geometry = draw_geometry(&mut r);
        let input = [r.within(1, 9), r.within(1, 9)];
        let Some(output) = output_size(&geometry, input, [0; 2]) else {
            continue;
        };
        let (batch, channels) = (r.within(1, 2), r.pick(&[1, 3, 8, 16, 17, 35]));
        let x_dims = [batch, input[0], input[1], channels];
        let y_dims = [batch, output[0], output[1], channels];
        let w_dims = [
            channels,
            geometry.kernel[0].into(),
            geometry.kernel[1].into(),
            1,
        ];
        let matrix = Matrix {
            groups: 1,
            outputs: channels,
            taps: 1,
            channels: w_dims[1] * w_dims[2],
        };
        let setup = Setup::draw(&mut r, &x_dims, &w_dims, matrix, &y_dims);
        let Conv2d {
            kernel,
            stride,
            dilation,
            pads,
            ..
        } = geometry;
        let op = DepthwiseConv2d {
            kernel,
            stride,
            dilation,
            pads,
            activation: setup.activation,
        };
        let grouped = Conv2d {
            group: channels as u32,
            ..geometry
        };
        let sums = convolve(&grouped, &setup.x.array, &setup.w.array, &y_dims);
        setup.check(&format!("seed {seed}: {op:?}"), op, &sums);
        done += 1;
    }
    assert!(done > 70, "{done}");
}

#[test]
fn gemm_equals_its_definition() {
    for seed in 2000..2150 {
        let mut r = Random(seed);
        let rank = r.within(0, 3);
        let leading: Vec<usize> = (0..rank).map(|_| r.within(1, 4)).collect();
        let (k, n) = (
            r.pick(&[1, 15, 16, 17, 64, 131]),
            r.pick(&[1, 7, 16, 17, 40]),
        );
        let (x_dims, y_dims) = ([&leading[..], &[k]].concat(), [&leading[..], &[n]].concat());
        let matrix = Matrix {
            groups: 1,
            outputs: n,
            taps: 1,
            channels: k,
        };
        let setup = Setup::draw(&mut r, &x_dims, &[n, k], matrix, &y_dims);
        let mut sums = Sums::new(&y_dims);
        for flat in 0..y_dims.iter().product() {
            let at = unflatten(flat, &y_dims);
            let (&o, row) = at.split_last().unwrap();
            for i in 0..k {
                sums.add(
                    &at,
                    setup.x.array.at(&[row, &[i]].concat()) * setup.w.array.at(&[o, i]),
                );
            }
        }
        setup.check(
            &format!("seed {seed}: {x_dims:?} {y_dims:?}"),
            Gemm {
                activation: setup.activation,
            },
            &sums,
        );
    }
}

#[test]
fn matmul_equals_its_definition() {
    let shapes: [(&[usize], &[usize], &[usize]); 6] = [
        (&[], &[], &[]),
        (&[3], &[3], &[3]),
        (&[2, 3], &[2, 3], &[2, 3]),
        (&[2, 3], &[1, 1], &[2, 3]),
        (&[1], &[2, 3], &[2, 3]),
        (&[2, 1, 3], &[], &[2, 1, 3]),
    ];
    for (seed, (a_leading, b_leading, y_leading)) in shapes.into_iter().enumerate() {
        for (transpose_a, transpose_b) in
            [(false, false), (false, true), (true, false), (true, true)]
        {
            let mut r = Random(3000 + seed as u64);
            let (m, k, n) = (
                r.pick(&[1, 5, 8, 17]),
                r.pick(&[1, 7, 16, 33]),
                r.pick(&[1, 6, 16, 19]),
            );
            let matrix = |rows, columns, transposed| {
                if transposed {
                    [columns, rows]
                } else {
                    [rows, columns]
                }
            };
            let a_dims = [a_leading, &matrix(m, k, transpose_a)].concat();
            let b_dims = [b_leading, &matrix(k, n, transpose_b)].concat();
            let y_dims = [y_leading, &[m, n]].concat();
            let (a, b) = (
                Array::f32(&a_dims, |_| r.real()),
                Array::f32(&b_dims, |_| r.real()),
            );
            let wanted = filled(DType::F32, &y_dims, |at| {
                let (leading, &[row, column]) = at.split_last_chunk::<2>().unwrap();
                let element = |x: &Array, x_leading: &[usize], i, j, transposed| {
                    x.at(&[
                        &broadcast_index(leading, x_leading)[..],
                        &matrix(i, j, transposed),
                    ]
                    .concat())
                };
                (0..k)
                    .map(|i| {
                        element(&a, a_leading, row, i, transpose_a)
                            * element(&b, b_leading, i, column, transpose_b)
                    })
                    .sum()
            });
            let case = Case::new(
                MatMul {
                    transpose_a,
                    transpose_b,
                },
                [a, b].map(|x| Some(Operand::of(x))),
                [Operand::of(wanted.clone())],
            );
            each_level(&case, |level, results| {
                for (got, wanted) in results[0].values.iter().zip(&wanted.values) {
                    assert!(
                        (got - wanted).abs() < 1e-4,
                        "{level:?} {a_dims:?} {b_dims:?}: {got} for {wanted}"
                    );
                }
            });
        }
    }
}

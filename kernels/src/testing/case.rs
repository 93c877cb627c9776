//! One call of a product-like family with random data, and what it must give.

use super::{Buffer, Family, Rng, Scratch, integers};
use crate::conv2d::Conv2dShape;
use crate::eltwise::{Unary, UnaryKind};
use crate::{Caps, Codec, Ctx, DType, Epilogue, ParallelFor, Residual, Weights, max_k};
use std::format;
use std::vec;
use std::vec::Vec;

/// One call with its data.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) family: Family,
    pub(crate) shape: Conv2dShape,
    pub(crate) codec: Codec,
    pub(crate) x: Buffer,
    /// Logical weights, as decoded and unscaled.
    pub(crate) weights: Vec<f32>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) w_scale: Option<Vec<f32>>,
    pub(crate) x_scale: f32,
    pub(crate) x_qmax: i32,
    pub(crate) x_non_negative: bool,
    pub(crate) bias: Option<Vec<f32>>,
    pub(crate) residual: Option<(Buffer, f32)>,
    pub(crate) activation: Unary,
    pub(crate) y: DType,
    pub(crate) out_scale: f32,
    pub(crate) qmax: i32,
}

impl Case {
    /// Random data, and a random choice of epilogue.
    pub(crate) fn random(
        family: Family,
        shape: Conv2dShape,
        x: DType,
        codec: Codec,
        y: DType,
        rng: &mut Rng,
    ) -> Case {
        let matrix = family.matrix(&shape);
        let outputs = shape.out_channels;
        let len = matrix.len().unwrap();
        // As the compiler does where channels make no pairs or fours or sums go too deep.
        let fits =
            codec.packed_len(&matrix).is_some() && matrix.taps * matrix.channels <= max_k(x, codec);
        let codec = if fits { codec } else { Codec::T2 };
        let mut bytes = vec![0; codec.packed_len(&matrix).unwrap()];
        if codec.largest().is_some() {
            let values = integers(codec, len, rng);
            codec.pack_i8(&matrix, &values, &mut bytes).unwrap();
        } else {
            codec.pack_f32(&matrix, &rng.f32s(len), &mut bytes).unwrap();
        }
        let mut weights = vec![0.0; len];
        codec.unpack_f32(&matrix, &bytes, &mut weights).unwrap();

        let y_len = shape.batch * shape.output[0] * shape.output[1] * outputs;
        let mut x = Buffer::random(x, shape.input_len().unwrap(), rng);
        let mut x_qmax = 0;
        let mut x_non_negative = false;
        if !matches!(x, Buffer::F32(_)) {
            x_qmax = match x {
                Buffer::I8(_) => rng.pick(&[0, 63, 127]),
                _ => rng.pick(&[0, 32767]),
            };
            x_non_negative = x_qmax > 0 && rng.below(2) > 0;
            if x_qmax > 0 {
                x.clamp(if x_non_negative { 0 } else { -x_qmax }, x_qmax);
            }
        }
        let activations = [
            Unary::IDENTITY,
            Unary::new(UnaryKind::Relu),
            Unary {
                kind: UnaryKind::Clip,
                alpha: -0.5,
                beta: 1.5,
            },
            Unary::new(UnaryKind::HardSwish),
            Unary::new(UnaryKind::Silu),
            Unary::new(UnaryKind::Gelu),
            Unary {
                kind: UnaryKind::LeakyRelu,
                alpha: 0.1,
                beta: 0.0,
            },
        ];
        let x_scale = match x {
            Buffer::F32(_) => 1.0,
            Buffer::I16(_) => 1.0 / 20000.0,
            Buffer::I8(_) => 1.0 / 90.0,
        };
        let residual_type = rng.pick(&[DType::F32, DType::I16, DType::I8]);
        Case {
            family,
            shape,
            codec,
            w_scale: (rng.below(4) > 0).then(|| rng.f32s(outputs)),
            x_scale,
            x_qmax,
            x_non_negative,
            bias: (rng.below(2) > 0).then(|| rng.f32s(outputs)),
            residual: (rng.below(2) > 0).then(|| {
                let values = Buffer::random(residual_type, y_len, rng);
                let scale = match values {
                    Buffer::F32(_) => 1.0,
                    Buffer::I16(_) => 1.0 / 9000.0,
                    Buffer::I8(_) => 1.0 / 55.0,
                };
                (values, scale)
            }),
            activation: rng.pick(&activations),
            y,
            out_scale: match y {
                DType::I8 => 0.02,
                _ => 0.0001,
            },
            qmax: match y {
                DType::I8 => rng.pick(&[127, 63]),
                _ => 32767,
            },
            x,
            weights,
            bytes,
        }
    }

    /// What the kernel says.
    pub(crate) fn run(&self, caps: Caps, par: &dyn ParallelFor) -> Buffer {
        let rows = self.shape.batch * self.shape.output[0] * self.shape.output[1];
        let len = rows * self.shape.out_channels;
        let mut y = match self.y {
            DType::F32 => Buffer::F32(vec![f32::NAN; len]),
            DType::I16 => Buffer::I16(vec![i16::MIN; len]),
            _ => Buffer::I8(vec![i8::MIN; len]),
        };
        let x = self.x.view();
        let (shape, codec) = (&self.shape, self.codec);
        let len = self
            .family
            .scratch(caps, par.threads(), shape, x.dtype(), codec);
        let mut scratch = Scratch::new(len);
        let mut ctx = Ctx {
            caps,
            par,
            scratch: scratch.bytes(),
        };
        let weights = Weights {
            codec,
            bytes: &self.bytes,
            scale: self.w_scale.as_deref(),
        };
        let result = self
            .family
            .run(&mut ctx, shape, x, &weights, &self.epilogue(), y.view_mut());
        assert_eq!(result, Ok(()), "{}", self.describe(caps));
        y
    }

    pub(crate) fn epilogue(&self) -> Epilogue<'_> {
        Epilogue {
            x_scale: self.x_scale,
            x_qmax: self.x_qmax,
            x_non_negative: self.x_non_negative,
            bias: self.bias.as_deref(),
            residual: self.residual.as_ref().map(|(values, scale)| Residual {
                values: values.view(),
                scale: *scale,
            }),
            activation: self.activation,
            out_scale: self.out_scale,
            qmax: self.qmax,
        }
    }

    fn describe(&self, caps: Caps) -> std::string::String {
        format!(
            "{:?} on {caps}: {:?}, x {:?}, {:?}, y {:?}, scale {}, bias {}, residual {:?}, {:?}",
            self.family,
            self.shape,
            self.x.view().dtype(),
            self.codec,
            self.y,
            self.w_scale.is_some(),
            self.bias.is_some(),
            self.residual.as_ref().map(|r| r.0.view().dtype()),
            self.activation,
        )
    }

    /// Runs every variant and compares with the oracle: bit by bit for integer
    /// inputs, otherwise within rounding errors.
    pub(crate) fn check(&self, par: &dyn ParallelFor) {
        let expected = self.expected();
        for caps in self.family.caps() {
            let found = self.run(caps, par);
            for (i, expected) in expected.iter().enumerate() {
                assert!(
                    expected.allows(found.get(i)),
                    "{}: y[{i}] = {}, expected {expected:?}",
                    self.describe(caps),
                    found.get(i),
                );
            }
        }
    }

    /// Every output by the book.
    fn expected(&self) -> Vec<Expected> {
        let integers = !matches!(self.x, Buffer::F32(_));
        let outputs = self.shape.out_channels;
        let (unit, inverse, function) = self.units();
        let sums = convolve(&self.shape, &self.x, &self.weights);
        sums.iter()
            .enumerate()
            .map(|(i, &(sum, size))| {
                let o = i % outputs;
                let w_scale = self.w_scale.as_ref().map_or(1.0, |s| s[o]);
                let bias = self.bias.as_ref().map(|b| b[o]);
                let residual = |unit: f32| {
                    let (r, scale) = self.residual.as_ref()?;
                    Some(match r {
                        Buffer::F32(r) => r[i] * unit,
                        _ => r.get(i) as f32 * (scale * unit),
                    })
                };
                if integers {
                    let mut t = sum as i32 as f32 * (self.x_scale * unit * w_scale);
                    t = bias.map_or(t, |b| t + b * unit);
                    t = residual(unit).map_or(t, |r| t + r);
                    t = activation(&function, t);
                    return Expected::Exactly(self.quantised(t * inverse));
                }
                let w_scale = f64::from(w_scale);
                let (bias, residual) = (
                    f64::from(bias.unwrap_or(0.0)),
                    f64::from(residual(1.0).unwrap_or(0.0)),
                );
                let t = sum * w_scale + bias + residual;
                let size = size * w_scale.abs() + bias.abs() + residual.abs();
                let terms = self.weights.len() / outputs + 8;
                let error = 2.0 * size * terms as f64 * f64::from(f32::EPSILON) + 1e-30;
                let t = f64::from(activation(&self.activation, t as f32));
                if self.y == DType::F32 {
                    return Expected::About(t, error);
                }
                let (scale, qmax) = (f64::from(self.out_scale), f64::from(self.qmax));
                Expected::About((t / scale).clamp(-qmax, qmax), 0.501 + error / scale)
            })
            .collect()
    }

    /// What outputs are multiplied with before and after the activation, and the
    /// activation of what is.
    fn units(&self) -> (f32, f32, Unary) {
        let mut function = self.activation;
        if self.y == DType::F32 {
            return (1.0, 1.0, function);
        }
        let inverse = 1.0 / self.out_scale;
        match function.kind {
            UnaryKind::Identity | UnaryKind::Relu | UnaryKind::Clip => {
                function.alpha *= inverse;
                function.beta *= inverse;
                (inverse, 1.0, function)
            }
            _ => (1.0, inverse, function),
        }
    }

    /// The last step of the epilogue.
    fn quantised(&self, q: f32) -> f64 {
        if self.y == DType::F32 {
            return q.into();
        }
        if q.is_nan() {
            return -f64::from(self.qmax);
        }
        let bound = self.qmax as f32;
        q.max(-bound).min(bound).round_ties_even().into()
    }
}

fn activation(f: &Unary, t: f32) -> f32 {
    match f.kind {
        UnaryKind::Identity => t,
        UnaryKind::Relu => t.max(0.0),
        UnaryKind::Clip => t.max(f.alpha).min(f.beta),
        _ => crate::eltwise::scalar::apply(f, t),
    }
}

/// What an output may be.
#[derive(Clone, Copy, Debug)]
enum Expected {
    Exactly(f64),
    About(f64, f64),
}

impl Expected {
    fn allows(self, found: f64) -> bool {
        match self {
            Expected::Exactly(expected) => found == expected,
            Expected::About(expected, error) => (found - expected).abs() <= error,
        }
    }
}

/// The convolution as its definition reads, `weights[group][output][tap][channel]`:
/// for every output the sum, and the sum of the products' sizes. A transposed
/// one scatters.
fn convolve(s: &Conv2dShape, x: &Buffer, weights: &[f32]) -> Vec<(f64, f64)> {
    let [in_height, in_width] = s.input;
    let [out_height, out_width] = s.output;
    let (inputs, outputs) = (s.in_channels / s.groups, s.out_channels / s.groups);
    let taps = s.kernel[0] * s.kernel[1];
    let mut y = vec![(0.0, 0.0); s.batch * out_height * out_width * s.out_channels];
    let mut add = |image: usize, from: [usize; 2], to: [usize; 2], tap: usize| {
        let x_at = ((image * in_height + from[0]) * in_width + from[1]) * s.in_channels;
        let y_at = ((image * out_height + to[0]) * out_width + to[1]) * s.out_channels;
        for group in 0..s.groups {
            for output in 0..outputs {
                let sum = &mut y[y_at + group * outputs + output];
                for channel in 0..inputs {
                    let w = ((group * outputs + output) * taps + tap) * inputs + channel;
                    let product = x.get(x_at + group * inputs + channel) * f64::from(weights[w]);
                    sum.0 += product;
                    sum.1 += product.abs();
                }
            }
        }
    };
    let inside = |i: isize, len: usize| (0..len as isize).contains(&i).then_some(i as usize);
    for image in 0..s.batch {
        for tap in 0..taps {
            let k = [tap / s.kernel[1], tap % s.kernel[1]];
            let steps = if s.transposed { s.input } else { s.output };
            for a in 0..steps[0] {
                for b in 0..steps[1] {
                    let other = |axis: usize, at: usize, len: usize| {
                        let i = (at * s.stride[axis] + k[axis] * s.dilation[axis]) as isize
                            - s.pad[axis] as isize;
                        inside(i, len)
                    };
                    let lens = if s.transposed { s.output } else { s.input };
                    if let (Some(c), Some(d)) = (other(0, a, lens[0]), other(1, b, lens[1])) {
                        if s.transposed {
                            add(image, [a, b], [c, d], tap);
                        } else {
                            add(image, [c, d], [a, b], tap);
                        }
                    }
                }
            }
        }
    }
    y
}

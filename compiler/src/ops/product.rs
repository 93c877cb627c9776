//! What products with constant weights share: bias, residual, integer bounds.

use super::Signature;
use super::elementary;
use super::interpret::{Elements, Io};
use super::quantize::{integers, to_integers};
use super::unary::check_activation;
use crate::ir::{Data, Quant, Scale, Tensor, Type};
use anyhow::{Result, bail, ensure};
use ternrt::DType;
use ternrt::kernels::eltwise::{Unary, UnaryKind};

/// Checks activation function, `x`, weights, bias and residual of a product whose result has this
/// shape and whose sums have `terms` terms; returns the result's type.
pub(crate) fn infer(
    io: &Signature<'_>,
    function: &Unary,
    shape: Vec<usize>,
    weights: &[usize],
    terms: usize,
) -> Result<Type> {
    check_activation(function)?;
    real(io, 0)?;
    let x = io.input(0)?;
    if x.quant.is_some() {
        // Kernels hold trits as 0..=2, so a sum reaches 2 * max|x| * terms.
        let largest = if x.dtype == DType::I8 {
            1 << 7
        } else {
            1 << 15
        };
        let most = i32::MAX as usize / (2 * largest);
        ensure!(
            terms <= most,
            "sums of {terms} terms of operand \"x\" {x} can overflow 32 bits; at most {most} are supported"
        );
    }
    let w = io.f32(1)?;
    ensure!(
        w.shape == weights,
        "operand \"w\" is {w}, must be {weights:?} for x {x}"
    );
    if let Some(bias) = io.optional(2) {
        let outputs = shape.last().copied().unwrap_or(1);
        io.f32(2)?;
        ensure!(
            bias.shape == [outputs],
            "operand \"bias\" is {bias}, must be [{outputs}]"
        );
    }
    if let Some(residual) = io.optional(3) {
        real(io, 3)?;
        ensure!(
            residual.shape == shape,
            "operand \"residual\" is {residual}, must have the result's shape {shape:?}"
        );
    }
    let mut result = Type::new(DType::F32, shape);
    if let Some(wanted) = io.wanted {
        match (wanted.dtype, wanted.quant) {
            (DType::F32, None) => {}
            (DType::I8, Some(q)) if (1..=i8::MAX as i32).contains(&q.qmax) => {}
            (DType::I16, Some(q)) if (1..=i16::MAX as i32).contains(&q.qmax) => {}
            _ => bail!("the result cannot be {wanted}: f32, or i8 or i16 with a scale"),
        }
        if let Some(Quant {
            scale: Scale::Dynamic(_),
            ..
        }) = wanted.quant
        {
            bail!("the result cannot be {wanted}: its scale must be static");
        }
        result.dtype = wanted.dtype;
        result.quant = wanted.quant;
    }
    Ok(result)
}

/// Operand `i` must be f32 or quantised.
fn real(io: &Signature<'_>, i: usize) -> Result<()> {
    let ty = io.input(i)?;
    ensure!(
        ty.quant.is_some() || ty.dtype == DType::F32,
        "operand {:?} is {ty}, must be f32, or i8 or i16 with a scale",
        io.operand(i)
    );
    Ok(())
}

/// How a product walks over its operands: `positions` rows of outputs, each a
/// sum over `taps` kernel positions of which `source` tells the row of `x`.
pub(crate) struct Walk<S> {
    /// Rows of the result (pixels).
    pub positions: usize,
    /// Kernel positions.
    pub taps: usize,
    /// Groups.
    pub groups: usize,
    /// Input channels of a group.
    pub channels: usize,
    /// Outputs of a group.
    pub outputs: usize,
    /// Row of `x` that lies under a tap at a position, or none (padding).
    pub source: S,
}

impl<S: Fn(usize, usize) -> Option<usize>> Walk<S> {
    /// `y[position, group, output] = sum over tap, channel of x * w`, ascending;
    /// `w` is `[group, output, tap, channel]`.
    fn sums<T: Number>(&self, x: &[T], w: &[T]) -> Vec<T> {
        let Walk {
            taps,
            groups,
            channels,
            outputs,
            ..
        } = *self;
        // Outputs innermost: w as [group, tap, channel, output].
        let terms = taps * channels;
        let mut by_output = vec![T::default(); w.len()];
        for g in 0..groups {
            for o in 0..outputs {
                for t in 0..terms {
                    by_output[(g * terms + t) * outputs + o] = w[(g * outputs + o) * terms + t];
                }
            }
        }
        let mut y = vec![T::default(); self.positions * groups * outputs];
        for (p, row) in y.chunks_exact_mut(groups * outputs).enumerate() {
            for tap in 0..taps {
                let Some(pixel) = (self.source)(p, tap) else {
                    continue;
                };
                for g in 0..groups {
                    let sums = &mut row[g * outputs..][..outputs];
                    let first = (pixel * groups + g) * channels;
                    for (c, &x) in x[first..][..channels].iter().enumerate() {
                        let w =
                            &by_output[((g * taps + tap) * channels + c) * outputs..][..outputs];
                        T::add_product(sums, x, w);
                    }
                }
            }
        }
        y
    }
}

/// Elements of sums.
trait Number: Copy + Default {
    /// `sums[i] += x * w[i]`, rounding twice.
    fn add_product(sums: &mut [Self], x: Self, w: &[Self]);
}

macro_rules! number {
    ($($t:ty),*) => {$(
        impl Number for $t {
            fn add_product(sums: &mut [$t], x: $t, w: &[$t]) {
                // Of all loops this is the fastest without optimisation, and
                // equal lengths let it be vectorised with.
                let sums = &mut sums[..w.len()];
                let mut i = 0;
                while i < w.len() {
                    sums[i] += x * w[i];
                    i += 1;
                }
            }
        }
    )*};
}
number!(f32, i32);

/// Computes a product from operands `x`, `w`, `bias?`, `residual?`: sums, then
/// the epilogue.
pub(crate) fn interpret(
    io: &Io<'_>,
    walk: &Walk<impl Fn(usize, usize) -> Option<usize>>,
    activation: &Unary,
) -> Result<Vec<Tensor>> {
    let (x, w) = (io.dense(0)?, io.arg(1)?.elements);
    let sums: Vec<f32> = match (&x.data, w) {
        (Data::F32(x), Elements::Dense(_)) => walk.sums(x, io.f32(1)?),
        (Data::F32(x), Elements::Scaled(w)) => {
            let trits: Vec<f32> = w.values.iter().map(|&t| t as f32).collect();
            walk.sums(x, &trits)
        }
        (Data::I8(_) | Data::I16(_), Elements::Scaled(w)) => {
            let trits: Vec<i32> = w.values.iter().map(|&t| t as i32).collect();
            let sums = walk.sums(&integers(x)?, &trits);
            // i32 to f32 rounds to nearest, half to even.
            sums.into_iter().map(|s| s as f32).collect()
        }
        (data, _) => bail!(
            "operand \"x\" of dtype {} needs integer weights",
            data.dtype().name()
        ),
    };
    let w_scale = match w {
        Elements::Scaled(w) => Some(&w.scale[..]),
        Elements::Dense(_) => None,
    };
    epilogue(io, sums, w_scale, walk.groups * walk.outputs, activation)
}

/// See [`ternrt::kernels::epilogue`].
fn epilogue(
    io: &Io<'_>,
    mut t: Vec<f32>,
    w_scale: Option<&[f32]>,
    outputs: usize,
    activation: &Unary,
) -> Result<Vec<Tensor>> {
    // What all is multiplied with before the activation, where that changes nothing else.
    let mut function = *activation;
    let (mut unit, mut rest) = (1.0, 1.0);
    if let Some(Quant {
        scale: Scale::Static(scale),
        ..
    }) = io.result().quant
    {
        match function.kind {
            UnaryKind::Identity | UnaryKind::Relu | UnaryKind::Clip => unit = 1.0 / scale,
            _ => rest = scale,
        }
        function.alpha *= unit;
        function.beta *= unit;
    }
    let x_scale = io.arg(0)?.scale * unit;
    if let Some(w_scale) = w_scale {
        for row in t.chunks_exact_mut(outputs) {
            for (t, w_scale) in row.iter_mut().zip(w_scale) {
                *t *= x_scale * w_scale;
            }
        }
    } else {
        t.iter_mut().for_each(|t| *t *= x_scale);
    }
    if io.optional(2).is_some() {
        let bias = io.f32(2)?;
        for row in t.chunks_exact_mut(outputs) {
            for (t, bias) in row.iter_mut().zip(bias) {
                *t += bias * unit;
            }
        }
    }
    if let Some(residual) = io.optional(3) {
        let r = io.dense(3)?;
        match &r.data {
            Data::F32(r) => t.iter_mut().zip(r).for_each(|(t, r)| *t += r * unit),
            _ => {
                let r = integers(r)?;
                t.iter_mut()
                    .zip(r)
                    .for_each(|(t, r)| *t += r as f32 * (residual.scale * unit));
            }
        }
    }
    let t = elementary::unary(&function, &t)?;
    let data = match io.result().quant {
        None => Data::F32(t),
        Some(Quant {
            qmax,
            scale: Scale::Static(_),
        }) => to_integers(&t, rest, qmax, io.result().dtype)?,
        Some(_) => bail!("the scale of a product's result must be static"),
    };
    io.give(data)
}

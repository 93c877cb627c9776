//! One layer with random operands, ready to be run again and again.

use crate::shapes::{Kind, Layer};
use anyhow::{Result, bail};
use clap::ValueEnum;
use serde::Serialize;
use tern_kernels::conv2d::{self, Conv2dShape};
use tern_kernels::eltwise::{Unary, UnaryKind};
use tern_kernels::gemm::{self, GemmShape};
use tern_kernels::{
    Caps, Codec, Ctx, DType, Epilogue, Matrix, ParallelFor, View, ViewMut, Weights, depthwise,
    quantize,
};

/// What activations are, by the names of `ternc compile --activations`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Activations {
    /// 32-bit floats.
    F32,
    /// 16-bit integers.
    I16,
    /// 8-bit integers.
    I8,
    /// 8-bit integers within -63..63.
    I7,
}

impl Activations {
    /// All of them.
    pub const ALL: [Activations; 4] = [Self::F32, Self::I16, Self::I8, Self::I7];

    /// As on the command line.
    pub fn name(self) -> &'static str {
        ["f32", "i16", "i8", "i7"][self as usize]
    }

    /// Element type.
    pub fn dtype(self) -> DType {
        [DType::F32, DType::I16, DType::I8, DType::I8][self as usize]
    }

    /// Largest magnitude; 0 for floats.
    pub fn qmax(self) -> i32 {
        [0, 32767, 127, 63][self as usize]
    }
}

/// How a layer is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Form {
    /// The input.
    pub activations: Activations,
    /// The weights.
    #[serde(serialize_with = "codec_name")]
    pub codec: Codec,
    /// Whether a run begins with f32 activations, whose scale it finds, and
    /// ends with f32 outputs. Otherwise 8-bit layers read and write 8 bits, as
    /// inside of a network with static scales.
    pub quantise: bool,
    /// Whether 8-bit activations are those behind a relu: none is negative, and kernels
    /// know that.
    pub non_negative: bool,
}

fn codec_name<S: serde::Serializer>(codec: &Codec, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(codec.name())
}

impl Form {
    /// Activations and weights inside of a network.
    pub const fn new(activations: Activations, codec: Codec) -> Form {
        Form {
            activations,
            codec,
            quantise: false,
            non_negative: false,
        }
    }

    /// The same behind a relu.
    pub const fn after_relu(self) -> Form {
        Form {
            non_negative: true,
            ..self
        }
    }

    /// The pairs that are worth comparing: trits with all activations, and one
    /// bit a weight with those that its look-ups take.
    pub const PAIRS: [Form; 4] = [
        Form::new(Activations::F32, Codec::T2),
        Form::new(Activations::I16, Codec::T2),
        Form::new(Activations::I8, Codec::T2),
        Form::new(Activations::I7, Codec::N12),
    ];

    /// Such as `i8 t2`, or `i8 t2, relu`.
    pub fn name(&self) -> String {
        let after = if self.non_negative { ", relu" } else { "" };
        format!("{} {}{after}", self.activations.name(), self.codec.name())
    }
}

/// Bytes that begin at a multiple of 64, as weights and scratch do in a host.
struct Aligned {
    bytes: Vec<u8>,
    start: usize,
}

impl Aligned {
    fn zeros(len: usize) -> Aligned {
        let bytes = vec![0; len + 64];
        let start = bytes.as_ptr().align_offset(64);
        Aligned { bytes, start }
    }

    fn get(&mut self) -> &mut [u8] {
        let len = self.bytes.len() - 64;
        &mut self.bytes[self.start..][..len]
    }
}

/// A layer's operands.
pub struct Product {
    kind: Kind,
    gemm: GemmShape,
    conv: Conv2dShape,
    form: Form,
    caps: Caps,
    /// Copies of the packed weights, one after the other; each run takes the next.
    weights: Aligned,
    weight_bytes: usize,
    next: usize,
    scale: Vec<f32>,
    bias: Vec<f32>,
    x32: Vec<f32>,
    x16: Vec<i16>,
    x8: Vec<i8>,
    y32: Vec<f32>,
    y8: Vec<i8>,
    scratch: Aligned,
}

impl Product {
    /// Whether the codec can hold a layer's weights: `n12` needs an even number
    /// of input channels, `n34` a multiple of four.
    pub fn fits(layer: &Layer, codec: Codec) -> bool {
        codec.packed_len(&matrix(layer)).is_some()
    }

    /// Random operands for a layer; `None` where the codec does not
    /// [fit](Self::fits).
    ///
    /// With `memory_bytes`, as many copies of the weights as fill it, so that a
    /// run finds them in memory rather than in a cache; 0 for one copy.
    pub fn new(
        layer: &Layer,
        form: Form,
        caps: Caps,
        threads: usize,
        memory_bytes: usize,
    ) -> Option<Product> {
        let (gemm, conv) = (gemm_shape(layer), conv_shape(layer));
        let image = |[h, w]: [usize; 2], channels: usize| h * w * channels;
        let matrix = matrix(layer);
        let (x_len, y_len) = match layer.kind {
            Kind::Gemm => (gemm.m * gemm.k, gemm.m * gemm.n),
            _ => (
                image(conv.input, conv.in_channels),
                image(conv.output, conv.out_channels),
            ),
        };
        let (x, codec) = (form.activations.dtype(), form.codec);
        let scratch = match layer.kind {
            Kind::Gemm => gemm::scratch(caps, threads, &gemm, x, codec),
            Kind::Depthwise => depthwise::scratch(caps, threads, &conv, x, codec),
            Kind::Conv2d => conv2d::scratch(caps, threads, &conv, x, codec),
        };
        let weight_bytes = codec.packed_len(&matrix)?;
        let copies = memory_bytes.div_ceil(weight_bytes.max(1)).max(1);
        let mut weights = Aligned::zeros(copies * weight_bytes);
        let (first, others) = weights.get().split_at_mut(weight_bytes);
        codec
            .pack_i8(&matrix, &trits(&matrix, codec)?, first)
            .ok()?;
        for copy in others.chunks_exact_mut(weight_bytes) {
            copy.copy_from_slice(first);
        }
        let qmax = form.activations.qmax().max(1);
        let integers =
            |len| random(2, len).map(move |r| (r as i32).rem_euclid(2 * qmax + 1) - qmax);
        let only = |dtype: DType, len| if x == dtype { len } else { 0 };
        Some(Product {
            kind: layer.kind,
            gemm,
            conv,
            form,
            caps,
            weights,
            weight_bytes,
            next: 0,
            scale: vec![0.01; layer.outputs],
            bias: vec![0.1; layer.outputs],
            x32: random(2, x_len)
                .map(|r| (r % 255) as f32 / 127.0 - 1.0)
                .collect(),
            x16: integers(only(DType::I16, x_len))
                .map(|v| v as i16)
                .collect(),
            x8: integers(only(DType::I8, x_len))
                .map(|v| if form.non_negative { v.abs() } else { v } as i8)
                .collect(),
            y32: vec![0.0; y_len],
            y8: vec![0; y_len],
            scratch: Aligned::zeros(scratch),
        })
    }

    /// Bytes of one copy of the packed weights.
    pub fn weight_bytes(&self) -> usize {
        self.weight_bytes
    }

    /// Computes the layer once.
    ///
    /// # Errors
    /// The kernel refuses the shape, as it does with sums that could overflow.
    pub fn run(&mut self, par: &dyn ParallelFor) -> Result<()> {
        let copies = self.weights.get().len() / self.weight_bytes;
        self.next = (self.next + 1) % copies;
        let w = Weights {
            codec: self.form.codec,
            bytes: &self.weights.get()[self.next * self.weight_bytes..][..self.weight_bytes],
            scale: Some(&self.scale),
        };
        let mut ctx = Ctx {
            caps: self.caps,
            par,
            scratch: self.scratch.get(),
        };
        let (dtype, qmax) = (self.form.activations.dtype(), self.form.activations.qmax());
        let mut x_scale = if qmax == 0 { 1.0 } else { 0.02 };
        if self.form.quantise && qmax > 0 {
            x_scale = quantize::dynamic_scale(&mut ctx, &self.x32, qmax);
            let q = match dtype {
                DType::I16 => ViewMut::I16(&mut self.x16),
                _ => ViewMut::I8(&mut self.x8),
            };
            if quantize::quantize(&mut ctx, &self.x32, x_scale, qmax, q).is_err() {
                bail!("the activations cannot be quantised");
            }
        }
        let x = match dtype {
            DType::I8 => View::I8(&self.x8),
            DType::I16 => View::I16(&self.x16),
            _ => View::F32(&self.x32),
        };
        let y = match dtype == DType::I8 && !self.form.quantise {
            true => ViewMut::I8(&mut self.y8),
            false => ViewMut::F32(&mut self.y32),
        };
        let epilogue = Epilogue {
            x_scale,
            x_qmax: qmax,
            x_non_negative: self.form.non_negative && !self.form.quantise,
            bias: Some(&self.bias),
            residual: None,
            activation: Unary::new(UnaryKind::Relu),
            out_scale: 0.05,
            qmax: qmax.clamp(1, 127),
        };
        let done = match self.kind {
            Kind::Gemm => gemm::run(&mut ctx, &self.gemm, x, &w, &epilogue, y),
            Kind::Depthwise => depthwise::run(&mut ctx, &self.conv, x, &w, &epilogue, y),
            Kind::Conv2d => conv2d::run(&mut ctx, &self.conv, x, &w, &epilogue, y),
        };
        if done.is_err() {
            bail!("no kernel takes {} for this shape", self.form.name());
        }
        Ok(())
    }
}

fn gemm_shape(layer: &Layer) -> GemmShape {
    GemmShape {
        m: layer.size,
        n: layer.outputs,
        k: layer.inputs,
    }
}

fn matrix(layer: &Layer) -> Matrix {
    match layer.kind {
        Kind::Gemm => gemm_shape(layer).matrix(),
        Kind::Depthwise => depthwise::matrix(&conv_shape(layer)),
        Kind::Conv2d => conv_shape(layer).matrix(),
    }
}

fn conv_shape(layer: &Layer) -> Conv2dShape {
    Conv2dShape {
        batch: 1,
        input: [layer.size; 2],
        in_channels: layer.inputs,
        output: [layer.out_size(); 2],
        out_channels: layer.outputs,
        kernel: [layer.kernel; 2],
        stride: [layer.stride; 2],
        dilation: [1; 2],
        pad: [layer.kernel / 2; 2],
        groups: match layer.kind {
            Kind::Depthwise => layer.inputs,
            _ => 1,
        },
        transposed: false,
    }
}

/// Trits that the codec can hold.
fn trits(matrix: &Matrix, codec: Codec) -> Option<Vec<i8>> {
    let mut trits: Vec<i8> = random(1, matrix.len()?)
        .map(|r| (r % 3) as i8 - 1)
        .collect();
    if codec == Codec::N12 {
        for pair in trits.as_chunks_mut::<2>().0 {
            *pair = match *pair {
                [0, b] => [0, if b == 0 { 1 } else { b }],
                [a, _] => [a, 0],
            };
        }
    }
    if codec == Codec::N34 {
        for (i, four) in trits.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            *four = four.map(|t| if t == 0 { 1 } else { t });
            four[i % 4] = 0;
        }
    }
    codec.holds_trits(matrix, &trits).then_some(trits)
}

/// A small generator: the values only have to differ.
fn random(seed: u64, len: usize) -> impl Iterator<Item = u32> {
    let mut s = seed | 1;
    (0..len).map(move |_| {
        s ^= s << 13;
        s ^= s >> 7;
        s ^= s << 17;
        (s >> 33) as u32
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tern_kernels::Serial;

    fn layer(kind: Kind, inputs: usize, outputs: usize) -> Layer {
        Layer {
            kind,
            size: 5,
            inputs,
            outputs,
            kernel: if kind == Kind::Gemm { 1 } else { 3 },
            stride: 1,
            times: 1,
        }
    }

    #[test]
    fn every_form_runs_on_every_kind() {
        for kind in [Kind::Gemm, Kind::Conv2d, Kind::Depthwise] {
            for form in Form::PAIRS {
                let product = Product::new(&layer(kind, 32, 32), form, Caps::detect(), 1, 0);
                // Nine weights of a depthwise kernel are no pairs.
                let held = kind != Kind::Depthwise || form.codec != Codec::N12;
                assert_eq!(product.is_some(), held, "{kind:?} {form:?}");
                if let Some(mut product) = product {
                    product.run(&Serial).unwrap();
                }
            }
        }
    }

    #[test]
    fn copies_follow_each_other_and_give_the_same() {
        let gemm = layer(Kind::Gemm, 64, 48);
        for pair in Form::PAIRS {
            let form = Form {
                quantise: true,
                ..pair
            };
            let one = Product::new(&gemm, form, Caps::detect(), 1, 0).unwrap();
            let bytes = 3 * one.weight_bytes() - 1;
            let mut three = Product::new(&gemm, form, Caps::detect(), 1, bytes).unwrap();
            let mut results = Vec::new();
            for expected in [1, 2, 0, 1] {
                three.run(&Serial).unwrap();
                assert_eq!(three.next, expected);
                results.push(three.y32.clone());
            }
            assert!(results[0].iter().any(|y| *y != 0.0), "{form:?}");
            assert!(results.iter().all(|r| *r == results[0]), "{form:?}");
        }
    }
}

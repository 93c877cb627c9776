//! Criterion benches of the product kernels over the layer shapes in
//! `benches/shapes/*.toml`: `cargo bench -p ternrt-bench -- resnet18_224`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::path::Path;
use tern_kernels::conv2d::{self, Conv2dShape};
use tern_kernels::depthwise;
use tern_kernels::eltwise::{Unary, UnaryKind};
use tern_kernels::gemm::{self, GemmShape};
use tern_kernels::{Caps, Codec, Ctx, DType, Epilogue, Matrix, Serial, View, ViewMut, Weights};
use ternrt_bench::shapes::{self, Kind, Layer};

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

fn shape(layer: &Layer) -> Conv2dShape {
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
        groups: if layer.kind == Kind::Depthwise {
            layer.inputs
        } else {
            1
        },
        transposed: false,
    }
}

/// One layer with one activation dtype: a closure that runs it once.
fn runner(layer: &Layer, x_type: DType, caps: Caps) -> impl FnMut() + use<> {
    let s = shape(layer);
    let g = GemmShape {
        m: layer.size,
        n: layer.outputs,
        k: layer.inputs,
    };
    let kind = layer.kind;
    let (matrix, x_len, y_len) = match kind {
        Kind::Gemm => (
            Matrix {
                groups: 1,
                outputs: g.n,
                taps: 1,
                channels: g.k,
            },
            g.m * g.k,
            g.m * g.n,
        ),
        _ => {
            let m = if kind == Kind::Depthwise {
                depthwise::matrix(&s)
            } else {
                s.matrix()
            };
            (
                m,
                s.input[0] * s.input[1] * s.in_channels,
                s.output[0] * s.output[1] * s.out_channels,
            )
        }
    };
    let trits: Vec<i8> = random(1, matrix.len().unwrap())
        .map(|r| (r % 3) as i8 - 1)
        .collect();
    let mut packed = vec![0u8; Codec::T2.packed_len(&matrix).unwrap()];
    Codec::T2.pack_i8(&matrix, &trits, &mut packed).unwrap();
    let scale: Vec<f32> = vec![0.01; layer.outputs];
    let bias: Vec<f32> = vec![0.1; layer.outputs];
    let x32: Vec<f32> = random(2, x_len)
        .map(|r| (r % 255) as f32 / 127.0 - 1.0)
        .collect();
    let x16: Vec<i16> = random(2, x_len).map(|r| r as i16).collect();
    let x8: Vec<i8> = random(2, x_len).map(|r| (r % 255) as i8).collect();
    let (mut y32, mut y8) = (vec![0f32; y_len], vec![0i8; y_len]);
    let scratch_len = match kind {
        Kind::Gemm => gemm::scratch(caps, 1, &g, x_type, Codec::T2),
        Kind::Depthwise => depthwise::scratch(caps, 1, &s, x_type, Codec::T2),
        Kind::Conv2d => conv2d::scratch(caps, 1, &s, x_type, Codec::T2),
    };
    let mut scratch = vec![0u8; scratch_len + 64];
    let start = scratch.as_ptr().align_offset(64);
    move || {
        let mut ctx = Ctx {
            caps,
            par: &Serial,
            scratch: &mut scratch[start..],
        };
        let x = match x_type {
            DType::I8 => View::I8(&x8),
            DType::I16 => View::I16(&x16),
            _ => View::F32(&x32),
        };
        // i8 layers write i8, as they do inside a statically quantised network.
        let y = if x_type == DType::I8 {
            ViewMut::I8(&mut y8)
        } else {
            ViewMut::F32(&mut y32)
        };
        let w = Weights {
            codec: Codec::T2,
            bytes: &packed,
            scale: Some(&scale),
        };
        let epilogue = Epilogue {
            x_scale: if x_type == DType::F32 { 1.0 } else { 0.02 },
            x_qmax: 0,
            bias: Some(&bias),
            residual: None,
            activation: Unary::new(UnaryKind::Relu),
            out_scale: 0.05,
            qmax: 127,
        };
        match kind {
            Kind::Gemm => gemm::run(&mut ctx, &g, x, &w, &epilogue, y),
            Kind::Depthwise => depthwise::run(&mut ctx, &s, x, &w, &epilogue, y),
            Kind::Conv2d => conv2d::run(&mut ctx, &s, x, &w, &epilogue, y),
        }
        .unwrap();
    }
}

fn products(c: &mut Criterion) {
    let caps = Caps::detect();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("shapes");
    for network in shapes::load(&dir).unwrap() {
        for (family, kind) in [
            ("conv2d", Kind::Conv2d),
            ("depthwise", Kind::Depthwise),
            ("gemm", Kind::Gemm),
        ] {
            let mut group = c.benchmark_group(format!("{family}/{}", network.name));
            group.sample_size(10);
            for layer in network.layer.iter().filter(|l| l.kind == kind) {
                group.throughput(Throughput::Elements(layer.macs()));
                for x in [DType::F32, DType::I16, DType::I8] {
                    let mut run = runner(layer, x, caps);
                    group.bench_function(BenchmarkId::new(x.name(), layer.label()), |b| {
                        b.iter(&mut run)
                    });
                }
            }
            group.finish();
        }
    }
}

criterion_group!(benches, products);
criterion_main!(benches);

//! Criterion benches of the product kernels over the layer shapes in
//! `benches/shapes/*.toml`: `cargo bench -p ternrt-bench -- resnet18_224`.
//!
//! Groups are `FAMILY/NETWORK`, with a family of `conv2d`, `depthwise`, `gemm`
//! or `matvec`; benches `ACTIVATIONS CODEC/SHAPE`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::path::Path;
use tern_kernels::{Caps, Serial};
use ternrt_bench::ceiling::beyond_caches;
use ternrt_bench::product::{Form, Product};
use ternrt_bench::shapes::{self, Kind, Layer};

fn family(layer: &Layer) -> &'static str {
    match layer.kind {
        Kind::Conv2d => "conv2d",
        Kind::Depthwise => "depthwise",
        Kind::Gemm if layer.size == 1 => "matvec",
        Kind::Gemm => "gemm",
    }
}

fn products(c: &mut Criterion) {
    let caps = Caps::detect();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("shapes");
    for network in shapes::load(&dir).unwrap() {
        let memory = if network.from_memory {
            beyond_caches()
        } else {
            0
        };
        for wanted in ["conv2d", "depthwise", "gemm", "matvec"] {
            let mut group = c.benchmark_group(format!("{wanted}/{}", network.name));
            group.sample_size(10);
            for layer in network.layer.iter().filter(|l| family(l) == wanted) {
                for form in Form::PAIRS {
                    let form = Form {
                        quantise: wanted == "matvec",
                        ..form
                    };
                    let id = BenchmarkId::new(form.name(), layer.label());
                    // Made when it is its turn, and only if it was asked for.
                    let mut product = None;
                    group.throughput(Throughput::Elements(layer.macs()));
                    if !Product::fits(layer, form.codec) {
                        continue;
                    }
                    group.bench_function(id, |b| {
                        let product = product.get_or_insert_with(|| {
                            Product::new(layer, form, caps, 1, memory).unwrap()
                        });
                        b.iter(|| product.run(&Serial).unwrap());
                    });
                }
            }
            group.finish();
        }
    }
}

criterion_group!(benches, products);
criterion_main!(benches);

//! What the tests across crates share: real networks with seeded weights, a
//! generator of numbers, and one-line ways to compile and run.

pub mod command;
pub mod models;
pub mod random;

pub use ternc::host::Aligned;
use ternc::host::Host;
use ternc::pipeline::{self, CompileOptions, Compiled, Silent};
use ternrt::{Caps, Model};
use tract_onnx::prelude::*;

/// Compiles an ONNX model, or panics with the error.
pub fn compile(onnx: &[u8], options: &CompileOptions) -> Compiled {
    pipeline::compile_bytes(onnx, "test.onnx", options, &Silent).unwrap_or_else(|e| panic!("{e:#}"))
}

/// Runs the first entry point on f32 inputs and returns all f32 outputs.
pub fn run(tern: &[u8], caps: Caps, threads: usize, inputs: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let bytes = Aligned::new(tern);
    let model = Model::new(bytes.bytes()).unwrap();
    let mut host = Host::with_caps(&model, threads, caps).unwrap();
    let mut session = host.session().unwrap();
    for (i, x) in inputs.iter().enumerate() {
        session.input_f32_mut(i).unwrap().copy_from_slice(x);
    }
    session.run(0).unwrap();
    (0..model.outputs(0).count())
        .map(|i| session.output_f32(i).unwrap().to_vec())
        .collect()
}

/// tract's own result for one f32 image.
pub fn tract(onnx: &[u8], shape: &[usize], x: &[f32]) -> Vec<f32> {
    let model = tract_onnx::onnx().model_for_read(&mut &*onnx).unwrap();
    let runnable = model.into_optimized().unwrap().into_runnable().unwrap();
    let input = tract_onnx::prelude::Tensor::from_shape(shape, x).unwrap();
    let outputs = runnable.run(tvec!(input.into())).unwrap();
    outputs[0]
        .cast_to::<f32>()
        .unwrap()
        .to_plain_array_view::<f32>()
        .unwrap()
        .iter()
        .copied()
        .collect()
}

/// Largest difference, relative to the largest magnitude of `b`.
pub fn relative_error(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let size = b
        .iter()
        .fold(0f32, |m, v| m.max(v.abs()))
        .max(f32::MIN_POSITIVE);
    let worst = a
        .iter()
        .zip(b)
        .map(|(x, y)| (x - y).abs())
        .fold(0f32, |m, d| if d > m || d.is_nan() { d } else { m });
    worst / size
}

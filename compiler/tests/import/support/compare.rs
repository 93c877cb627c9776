//! Imports a model and runs it in the interpreter and in tract.

use super::model::Model;
use super::model::noise;
use ternc::import::{ImportOptions, import_bytes};
use ternc::ir::{Data, Graph, Tensor};
use ternc::ops::run_graph;
use ternrt::DType;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;

/// As [`compare_at`] with a tolerance of 1e-5.
#[track_caller]
pub fn compare(model: &Model) -> Graph {
    compare_at(model, 1e-5)
}

/// The import must compute what tract computes, within `tolerance` of the
/// largest magnitude. Returns the graph.
#[track_caller]
pub fn compare_at(model: &Model, tolerance: f32) -> Graph {
    let graph = match import_bytes(&model.bytes(), &ImportOptions::default()) {
        Ok(graph) => graph,
        Err(e) => panic!("import: {e:#}"),
    };
    let inputs: Vec<Tensor> = graph
        .inputs
        .iter()
        .enumerate()
        .map(|(i, (_, v))| sample(i, graph.ty(*v)))
        .collect();
    ternc::ir::verify(&graph).unwrap_or_else(|e| panic!("verifier: {e:#}"));
    let found = run_graph(&graph, &inputs).unwrap_or_else(|e| panic!("interpreter: {e:#}"));
    let expected = run_tract(&model.proto, &inputs);
    assert_eq!(found.len(), expected.len());
    for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert_close(&graph.outputs[i].0, found, expected, tolerance);
    }
    graph
}

/// The message of an import that must fail, and must be one line.
#[track_caller]
pub fn import_error(model: &Model) -> String {
    match import_bytes(&model.bytes(), &ImportOptions::default()) {
        Ok(_) => panic!("the import succeeded"),
        Err(e) => {
            let text = format!("{e:#}");
            assert!(!text.contains('\n'), "more than one line: {text}");
            text
        }
    }
}

fn sample(seed: usize, ty: &ternc::ir::Type) -> Tensor {
    let values = noise(seed as u64 + 1, ty.elements());
    let whole = |v: &f32| (v * 8.0).floor() as i64;
    let data = match ty.dtype {
        DType::F32 => Data::F32(values.iter().map(|v| v * 3.0).collect()),
        DType::F16 => Data::F16(
            values
                .iter()
                .map(|&v| half::f16::from_f32(v * 3.0).to_bits())
                .collect(),
        ),
        DType::I32 => Data::I32(values.iter().map(|v| whole(v) as i32).collect()),
        DType::I64 => Data::I64(values.iter().map(whole).collect()),
        DType::Bool => Data::Bool(values.iter().map(|&v| (v > 0.0) as u8).collect()),
        DType::U8 => Data::U8(values.iter().map(|v| (whole(v) + 8) as u8).collect()),
        DType::I8 => Data::I8(values.iter().map(|v| whole(v) as i8).collect()),
        DType::I16 => Data::I16(values.iter().map(|v| whole(v) as i16).collect()),
    };
    Tensor::new(ty.shape.clone(), data)
}

/// tract's own reading and running of the model.
pub fn run_tract(proto: &ModelProto, inputs: &[Tensor]) -> Vec<Tensor> {
    let model = tract_onnx::onnx().model_for_proto_model(proto).unwrap();
    let runnable = model.into_optimized().unwrap().into_runnable().unwrap();
    let inputs = inputs.iter().map(|t| to_tract(t).into_tvalue()).collect();
    runnable
        .run(inputs)
        .unwrap()
        .iter()
        .map(|t| from_tract(t))
        .collect()
}

fn to_tract(t: &Tensor) -> tract_onnx::prelude::Tensor {
    type T = tract_onnx::prelude::Tensor;
    let shape = &t.shape;
    match &t.data {
        Data::F32(v) => T::from_shape(shape, v),
        Data::F16(v) => T::from_shape(
            shape,
            &v.iter()
                .map(|&b| half::f16::from_bits(b))
                .collect::<Vec<_>>(),
        ),
        Data::I8(v) => T::from_shape(shape, v),
        Data::U8(v) => T::from_shape(shape, v),
        Data::I16(v) => T::from_shape(shape, v),
        Data::I32(v) => T::from_shape(shape, v),
        Data::I64(v) => T::from_shape(shape, v),
        Data::Bool(v) => T::from_shape(shape, &v.iter().map(|&b| b != 0).collect::<Vec<_>>()),
    }
    .unwrap()
}

fn from_tract(t: &tract_onnx::prelude::Tensor) -> Tensor {
    fn vec<D: Datum + Clone>(t: &tract_onnx::prelude::Tensor) -> Vec<D> {
        t.try_as_plain_ram()
            .unwrap()
            .as_slice::<D>()
            .unwrap()
            .to_vec()
    }
    let data = match t.datum_type() {
        DatumType::F32 => Data::F32(vec(t)),
        DatumType::F16 => Data::F16(
            vec::<half::f16>(t)
                .into_iter()
                .map(|h| h.to_bits())
                .collect(),
        ),
        DatumType::I8 => Data::I8(vec(t)),
        DatumType::U8 => Data::U8(vec(t)),
        DatumType::I16 => Data::I16(vec(t)),
        DatumType::I32 => Data::I32(vec(t)),
        DatumType::I64 => Data::I64(vec(t)),
        DatumType::TDim => Data::I64(vec(&t.cast_to::<i64>().unwrap())),
        DatumType::Bool => Data::Bool(vec::<bool>(t).into_iter().map(u8::from).collect()),
        other => panic!("{other:?}"),
    };
    Tensor::new(t.shape().to_vec(), data)
}

/// Elements as numbers.
pub fn numbers(data: &Data) -> Vec<f32> {
    match data {
        Data::F32(v) => v.clone(),
        Data::F16(v) => v
            .iter()
            .map(|&b| half::f16::from_bits(b).to_f32())
            .collect(),
        Data::I8(v) => v.iter().map(|&x| x as f32).collect(),
        Data::U8(v) | Data::Bool(v) => v.iter().map(|&x| x as f32).collect(),
        Data::I16(v) => v.iter().map(|&x| x as f32).collect(),
        Data::I32(v) => v.iter().map(|&x| x as f32).collect(),
        Data::I64(v) => v.iter().map(|&x| x as f32).collect(),
    }
}

#[track_caller]
pub fn assert_close(name: &str, found: &Tensor, expected: &Tensor, tolerance: f32) {
    assert_eq!(found.shape, expected.shape, "shape of {name}");
    assert_eq!(found.dtype(), expected.dtype(), "dtype of {name}");
    let (found, expected) = (numbers(&found.data), numbers(&expected.data));
    let finite = expected
        .iter()
        .filter(|v| v.is_finite())
        .fold(1.0f32, |m, v| m.max(v.abs()));
    for (i, (f, e)) in found.iter().zip(&expected).enumerate() {
        let same = f == e || (f.is_nan() && e.is_nan()) || (f - e).abs() <= tolerance * finite;
        assert!(same, "{name}[{i}]: {f}, expected {e}");
    }
}

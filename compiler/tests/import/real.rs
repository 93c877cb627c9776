//! The graphs that real exporters wrote, with seeded weights in place of the stripped ones.

use crate::support::compare::{assert_close, run_tract};
use crate::support::model::noise;
use prost::Message;
use std::path::{Path, PathBuf};
use ternc::import::{ImportOptions, import_bytes};
use ternc::ir::{Data, Tensor};
use ternc::ops::run_graph;
use tract_onnx::pb::ModelProto;

fn models() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models");
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "onnx"))
        .collect();
    files.sort();
    files
}

/// Gives stripped initializers small values.
fn fill(proto: &mut ModelProto) {
    for (i, t) in proto
        .graph
        .as_mut()
        .unwrap()
        .initializer
        .iter_mut()
        .enumerate()
    {
        if !t.external_data.is_empty() {
            let count: i64 = t.dims.iter().product();
            let fan: i64 = t.dims.iter().skip(1).product();
            let scale = (6.0 / fan.max(1) as f32).sqrt();
            t.raw_data = noise(i as u64, count as usize)
                .iter()
                .flat_map(|v| (v * scale).to_le_bytes())
                .collect();
            t.external_data.clear();
            t.data_location = None;
        }
    }
}

#[test]
fn every_graph_imports() {
    let models = models();
    assert!(models.len() >= 8, "{models:?}");
    for path in models {
        let mut proto = ModelProto::decode(&*std::fs::read(&path).unwrap()).unwrap();
        fill(&mut proto);
        let graph = import_bytes(&proto.encode_to_vec(), &ImportOptions::default())
            .unwrap_or_else(|e| panic!("{}: {e:#}", path.display()));
        let convolutions = proto
            .graph
            .as_ref()
            .unwrap()
            .node
            .iter()
            .filter(|n| n.op_type == "Conv");
        for conv in convolutions {
            assert!(
                graph
                    .nodes
                    .iter()
                    .any(|n| n.name == conv.name && n.op.name().ends_with("conv2d")),
                "{}: {}",
                path.display(),
                conv.name
            );
        }
        let mut counts = std::collections::BTreeMap::new();
        for node in &graph.nodes {
            *counts.entry(node.op.name()).or_insert(0) += 1;
        }
        println!("{}: {counts:?}", path.file_name().unwrap().display());
    }
}

#[test]
fn resnet18_computes_what_tract_does() {
    for path in models()
        .into_iter()
        .filter(|p| p.to_string_lossy().contains("resnet18_32.dynamo"))
    {
        let mut proto = ModelProto::decode(&*std::fs::read(&path).unwrap()).unwrap();
        fill(&mut proto);
        let graph = import_bytes(&proto.encode_to_vec(), &ImportOptions::default()).unwrap();
        let ty = graph.ty(graph.inputs[0].1);
        let input = Tensor::new(ty.shape.clone(), Data::F32(noise(7, ty.elements())));
        let expected = run_tract(&proto, std::slice::from_ref(&input));
        let found = run_graph(&graph, &[input]).unwrap();
        assert_close(&path.display().to_string(), &found[0], &expected[0], 1e-4);
    }
}

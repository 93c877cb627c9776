//! The graphs that real exporters wrote: as imported, and after all passes,
//! when products, pools and hardly anything else are left.

use prost::Message;
use std::collections::BTreeMap;
use tern_tests::models::{GRAPHS, Weights, filled};
use tern_tests::random::Random;
use tern_tests::{relative_error, tract};
use ternc::import::{ImportOptions, import_bytes};
use ternc::ir::{Graph, Op, Tensor};
use ternc::{ops, passes};
use ternrt::kernels::eltwise::UnaryKind;
use tract_onnx::pb::ModelProto;

fn import(onnx: &[u8]) -> Graph {
    import_bytes(onnx, &ImportOptions::default()).unwrap_or_else(|e| panic!("{e:#}"))
}

#[test]
fn every_convolution_keeps_its_name() {
    for (name, _) in GRAPHS {
        let onnx = filled(name, Weights::Dense, 1);
        let graph = import(&onnx);
        let proto = ModelProto::decode(onnx.as_slice()).unwrap().graph.unwrap();
        let mut convolutions = proto.node.iter().filter(|n| n.op_type == "Conv");
        assert!(
            convolutions.clone().count() >= 20,
            "{name}: too few convolutions"
        );
        let missing = convolutions.find(|conv| {
            let is_it =
                |n: &ternc::ir::Node| n.name == conv.name && n.op.name().ends_with("conv2d");
            !graph.nodes.iter().any(is_it)
        });
        assert!(missing.is_none(), "{name}: {:?}", missing.map(|c| &c.name));
    }
}

#[test]
fn the_interpreter_computes_what_tract_does() {
    let (name, shape) = GRAPHS[1];
    assert_eq!(name, "resnet18_32.dynamo");
    let onnx = filled(name, Weights::Dense, 2);
    let x = Random::new(7).normals(shape.iter().product());
    let input = Tensor::f32(shape.to_vec(), x.clone());
    let found = ops::run_graph(&import(&onnx), &[input]).unwrap();
    let error = relative_error(found[0].as_f32().unwrap(), &tract(&onnx, &shape, &x));
    assert!(error <= 1e-4, "{error}");
}

/// What is left of a network.
struct Expected {
    name: &'static str,
    conv2d: usize,
    depthwise: usize,
    residuals: usize,
    activations: usize,
    others: &'static [&'static str],
}

const NETWORKS: [Expected; 4] = [
    Expected {
        name: "resnet18_32",
        conv2d: 20,
        depthwise: 0,
        residuals: 8,
        activations: 17,
        others: &["gemm", "reduce", "reshape", "transpose"],
    },
    Expected {
        name: "resnet18_224",
        conv2d: 20,
        depthwise: 0,
        residuals: 8,
        activations: 17,
        others: &["gemm", "max_pool", "reduce", "reshape", "transpose"],
    },
    Expected {
        name: "mobilenet_v2",
        conv2d: 35,
        depthwise: 17,
        residuals: 10,
        activations: 35,
        others: &["gemm", "reduce", "reshape", "transpose"],
    },
    Expected {
        name: "efficientnet_lite0",
        conv2d: 33,
        depthwise: 16,
        residuals: 9,
        activations: 33,
        others: &["gemm", "reduce", "reshape", "transpose"],
    },
];

/// Whether a node ends in another activation than none.
fn is_activated(op: &Op) -> bool {
    let kind = match op {
        Op::Conv2d(a) => a.activation.kind,
        Op::DepthwiseConv2d(a) => a.activation.kind,
        Op::Gemm(a) => a.activation.kind,
        _ => UnaryKind::Identity,
    };
    kind != UnaryKind::Identity
}

#[test]
fn only_products_and_pools_are_left() {
    for expected in NETWORKS {
        for exporter in ["torchscript", "dynamo"] {
            let name = format!("{}.{exporter}", expected.name);
            let mut graph = import(&filled(&name, Weights::Dense, 3));
            passes::optimise(&mut graph).unwrap();
            let mut counts = BTreeMap::new();
            for node in &graph.nodes {
                *counts.entry(node.op.name()).or_insert(0) += 1;
            }
            println!("{name}: {counts:?}");
            let count = |op: &str| counts.get(op).copied().unwrap_or(0);
            assert_eq!(count("conv2d"), expected.conv2d, "{name}");
            assert_eq!(count("depthwise_conv2d"), expected.depthwise, "{name}");
            let nodes = || graph.nodes.iter();
            let residuals = nodes().filter(|n| n.inputs.get(3).is_some_and(Option::is_some));
            let residuals = residuals.filter(|n| !matches!(n.op, Op::Concat(_)));
            assert_eq!(residuals.count(), expected.residuals, "{name}");
            let activated = nodes().filter(|n| is_activated(&n.op)).count();
            assert_eq!(activated, expected.activations, "{name}");
            for (op, n) in &counts {
                let product = ["conv2d", "depthwise_conv2d"].contains(op);
                let other = expected.others.contains(op);
                assert!(product || other && *n == 1, "{name}: {n} {op}");
            }
            let Op::Transpose(_) = graph.nodes[0].op else {
                panic!("{name}: the transpose is not the input's")
            };
        }
    }
}

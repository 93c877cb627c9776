//! The graphs that real exporters wrote, after all passes: what is left is
//! products, pools and hardly anything else.

use prost::Message;
use std::collections::BTreeMap;
use std::path::Path;
use ternc::import::{ImportOptions, import_bytes};
use ternc::ir::{Graph, Op};
use ternc::passes;
use ternrt::kernels::eltwise::UnaryKind;
use tract_onnx::pb::ModelProto;

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

/// The graph, with small constants for the weights that were stripped.
fn import(name: &str) -> Graph {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../tests/models/{name}.onnx"));
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut model = ModelProto::decode(&*bytes).unwrap();
    for t in &mut model.graph.as_mut().unwrap().initializer {
        if !t.external_data.is_empty() {
            let count: i64 = t.dims.iter().product();
            t.raw_data = 0.01f32.to_le_bytes().repeat(count as usize);
            t.external_data.clear();
            t.data_location = None;
        }
    }
    import_bytes(&model.encode_to_vec(), &ImportOptions::default()).unwrap()
}

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
            let mut graph = import(&name);
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

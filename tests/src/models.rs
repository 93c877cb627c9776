//! The exported graphs in `tests/models`, filled with seeded weights (as
//! `tests/models/fill.py` does for the tests in Python).

use crate::random::Random;
use prost::Message;
use std::collections::HashMap;
use std::path::Path;
use tract_onnx::pb::{ModelProto, NodeProto, TensorProto};

/// The graphs: file name without `.onnx`, and the input's shape.
pub const GRAPHS: [(&str, [usize; 4]); 8] = [
    ("resnet18_32.torchscript", [1, 3, 32, 32]),
    ("resnet18_32.dynamo", [1, 3, 32, 32]),
    ("resnet18_224.torchscript", [1, 3, 224, 224]),
    ("resnet18_224.dynamo", [1, 3, 224, 224]),
    ("mobilenet_v2.torchscript", [1, 3, 224, 224]),
    ("mobilenet_v2.dynamo", [1, 3, 224, 224]),
    ("efficientnet_lite0.torchscript", [1, 3, 224, 224]),
    ("efficientnet_lite0.dynamo", [1, 3, 224, 224]),
];

/// The digits classifier that `ternc quickstart` uses.
pub const DIGITS: &[u8] = include_bytes!("../../compiler/assets/digits/digits.onnx");

/// What the weights of convolutions and products are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// Normal numbers.
    Dense,
    /// -a, 0 or a, one a an output channel.
    TernaryPerChannel,
    /// -a, 0 or a, one a a tensor.
    TernaryPerTensor,
    /// -a, 0 or a, one a an output channel; exactly one 0 in each four input channels,
    /// where these are a multiple of four, and otherwise none.
    ThreeOfFour,
}

/// One of [`GRAPHS`] with weights.
pub fn filled(name: &str, weights: Weights, seed: u64) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("models/{name}.onnx"));
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut model = ModelProto::decode(bytes.as_slice()).unwrap();
    let graph = model.graph.as_mut().unwrap();
    let products: HashMap<String, NodeProto> = graph
        .node
        .iter()
        .filter(|n| matches!(n.op_type.as_str(), "Conv" | "Gemm"))
        .map(|n| (n.input[1].clone(), n.clone()))
        .collect();
    let mut random = Random::new(seed);
    for tensor in &mut graph.initializer {
        let node = products.get(&tensor.name);
        let stripped = tensor
            .external_data
            .iter()
            .any(|e| e.key == "location" && e.value == "stripped");
        let len: usize = tensor.dims.iter().map(|&d| d as usize).product();
        match node {
            Some(node) if stripped || weights != Weights::Dense => {
                let values = product_weights(tensor, output_axis(node), weights, &mut random);
                put(tensor, &values);
            }
            None if stripped => {
                let values: Vec<f32> = random.normals(len).iter().map(|v| 0.1 * v).collect();
                put(tensor, &values);
            }
            _ => {}
        }
    }
    model.encode_to_vec()
}

/// Which axis of the weight counts outputs.
fn output_axis(node: &NodeProto) -> usize {
    let transposed = node
        .attribute
        .iter()
        .any(|a| a.name == "transB" && a.i != 0);
    if node.op_type == "Conv" || transposed {
        0
    } else {
        1
    }
}

fn product_weights(
    tensor: &TensorProto,
    axis: usize,
    weights: Weights,
    random: &mut Random,
) -> Vec<f32> {
    let dims: Vec<usize> = tensor.dims.iter().map(|&d| d as usize).collect();
    let len: usize = dims.iter().product();
    let outputs = dims[axis];
    let inner: usize = dims[axis + 1..].iter().product();
    let deviation = (1.7 * outputs as f32 / len as f32).sqrt();
    // 62% or 75% of the trits are not zero; the variance stays that of dense weights.
    let (share, least) = match weights {
        Weights::ThreeOfFour => (0.75f32, 0.0),
        _ => (0.617, 0.5),
    };
    let scale = deviation / share.sqrt();
    let scales: Vec<f32> = match weights {
        Weights::TernaryPerChannel | Weights::ThreeOfFour => (0..outputs)
            .map(|_| scale * (1.0 + 0.3 * random.unit()))
            .collect(),
        _ => vec![scale; outputs],
    };
    let mut values: Vec<f32> = (0..len)
        .map(|i| {
            let v = random.normal();
            if weights == Weights::Dense {
                v * deviation
            } else if v.abs() >= least {
                v.signum() * scales[i / inner % outputs]
            } else {
                0.0
            }
        })
        .collect();
    if weights == Weights::ThreeOfFour && axis == 0 && dims[1].is_multiple_of(4) {
        let taps: usize = dims[2..].iter().product();
        for four in values.chunks_exact_mut(4 * taps) {
            for tap in 0..taps {
                four[random.below(4) * taps + tap] = 0.0;
            }
        }
    }
    values
}

fn put(tensor: &mut TensorProto, values: &[f32]) {
    tensor.external_data.clear();
    tensor.data_location = None;
    tensor.float_data.clear();
    tensor.raw_data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
}

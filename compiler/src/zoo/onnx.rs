//! A network with its parameters as an ONNX model.
//!
//! Nodes, values and initialisers have the network's names; the input is `image`,
//! f32 `[1, channels, height, width]`, the output `logits`, f32 `[1, classes]`, as
//! [`import::network`](crate::import::network) has them. Dropout is left out: it does
//! nothing outside of training.

use crate::import::network::{INPUT, OUTPUT};
use anyhow::{Context, Result, ensure};
use prost::Message;
use std::collections::BTreeMap;
use tern_network::{Layer, Network, Node};
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};

/// The operators' version, and the file's that goes with it (ONNX 1.12).
const OPSET: i64 = 17;
const IR_VERSION: i64 = 8;
/// The largest file that protocol buffers allow.
const LIMIT: usize = i32::MAX as usize;

/// Encodes the model with this metadata. `parameter` gives the elements of a parameter by
/// its name, in PyTorch's order.
///
/// # Errors
/// A parameter that is missing or of another length; a model over 2 GiB.
pub fn encode<'p>(
    network: &Network,
    metadata: &BTreeMap<String, String>,
    parameter: impl Fn(&str) -> Option<&'p [f32]>,
) -> Result<Vec<u8>> {
    let mut graph = GraphProto {
        name: network.name().to_owned(),
        input: vec![value(INPUT, &network.input())],
        output: vec![value(OUTPUT, &[network.classes()])],
        ..GraphProto::default()
    };
    // The name of each node's result.
    let mut values: Vec<String> = Vec::with_capacity(network.nodes().len());
    for (n, node) in network.nodes().iter().enumerate() {
        let inputs: Vec<String> = node.inputs.iter().map(|id| values[id.0].clone()).collect();
        let Some((op, attributes)) = operator(node) else {
            values.push(inputs.into_iter().next().unwrap_or_else(|| INPUT.into()));
            continue;
        };
        let mut inputs = inputs;
        for p in node.parameters() {
            let elements =
                parameter(&p.name).with_context(|| format!("parameter {:?} is missing", p.name))?;
            ensure!(
                elements.len() == p.len(),
                "parameter {:?} has {} elements, must have {:?}",
                p.name,
                elements.len(),
                p.shape
            );
            graph.initializer.push(tensor(&p.name, &p.shape, elements));
            inputs.push(p.name);
        }
        if node.layer == Layer::Relu6 {
            for (bound, limit) in [("min", 0.0), ("max", 6.0)] {
                let name = format!("{}.{bound}", node.name);
                graph.initializer.push(tensor(&name, &[], &[limit]));
                inputs.push(name);
            }
        }
        let last = n + 1 == network.nodes().len();
        let result = if last { OUTPUT } else { &node.name };
        values.push(result.to_owned());
        graph.node.push(NodeProto {
            input: inputs,
            output: vec![result.to_owned()],
            name: node.name.clone(),
            op_type: op.to_owned(),
            attribute: attributes,
            ..NodeProto::default()
        });
    }
    if values.last().is_none_or(|v| v != OUTPUT) {
        // A network may end in a dropout, in principle.
        graph.node.push(NodeProto {
            input: values.last().cloned().into_iter().collect(),
            output: vec![OUTPUT.to_owned()],
            name: OUTPUT.to_owned(),
            op_type: "Identity".to_owned(),
            ..NodeProto::default()
        });
    }
    let model = ModelProto {
        ir_version: IR_VERSION,
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: OPSET,
        }],
        producer_name: "ternc".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(graph),
        metadata_props: metadata
            .iter()
            .map(|(key, value)| StringStringEntryProto {
                key: key.clone(),
                value: value.clone(),
            })
            .collect(),
        ..ModelProto::default()
    };
    let len = model.encoded_len();
    ensure!(
        len <= LIMIT,
        "the model would have {len} bytes, an ONNX file at most 2 GiB: take a smaller --width"
    );
    Ok(model.encode_to_vec())
}

/// The operator that a node becomes, with its attributes; none where the result is
/// what is read.
fn operator(node: &Node) -> Option<(&'static str, Vec<AttributeProto>)> {
    let window = |kernel: usize, stride: usize, padding: usize| {
        vec![
            ints("kernel_shape", &[kernel; 2]),
            ints("strides", &[stride; 2]),
            ints("pads", &[padding; 4]),
        ]
    };
    Some(match node.layer {
        Layer::Input(_) | Layer::Dropout(_) => return None,
        Layer::Conv2d(c) => {
            let mut attributes = window(c.kernel, c.stride, c.padding);
            attributes.push(ints("dilations", &[1; 2]));
            attributes.push(int("group", c.groups));
            ("Conv", attributes)
        }
        Layer::BatchNorm2d { eps, .. } => {
            ("BatchNormalization", vec![float("epsilon", eps as f32)])
        }
        Layer::Relu => ("Relu", vec![]),
        Layer::Relu6 => ("Clip", vec![]),
        Layer::Add => ("Add", vec![]),
        Layer::MaxPool2d {
            kernel,
            stride,
            padding,
        } => ("MaxPool", window(kernel, stride, padding)),
        Layer::GlobalAveragePool => ("GlobalAveragePool", vec![]),
        Layer::Flatten => ("Flatten", vec![int("axis", 1)]),
        Layer::Linear { .. } => ("Gemm", vec![int("transB", 1)]),
    })
}

fn int(name: &str, value: usize) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Int as i32,
        i: value as i64,
        ..AttributeProto::default()
    }
}

fn ints(name: &str, values: &[usize]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Ints as i32,
        ints: values.iter().map(|&v| v as i64).collect(),
        ..AttributeProto::default()
    }
}

fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Float as i32,
        f: value,
        ..AttributeProto::default()
    }
}

fn tensor(name: &str, shape: &[usize], elements: &[f32]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: shape.iter().map(|&d| d as i64).collect(),
        data_type: DataType::Float as i32,
        raw_data: elements.iter().flat_map(|v| v.to_le_bytes()).collect(),
        ..TensorProto::default()
    }
}

/// An input or output: one image of this shape, or one vector.
fn value(name: &str, shape: &[usize]) -> ValueInfoProto {
    let dim = |d: &usize| Dimension {
        value: Some(dimension::Value::DimValue(*d as i64)),
        ..Dimension::default()
    };
    let tensor = type_proto::Tensor {
        elem_type: DataType::Float as i32,
        shape: Some(TensorShapeProto {
            dim: [1].iter().chain(shape).map(dim).collect(),
        }),
    };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::{ImportOptions, import_bytes, network};
    use crate::ir::Tensor;
    use crate::ops::run_graph;
    use crate::zoo::{Config, architecture, find};
    use tern_train::{Random, Tensors, initial_parameters};

    /// Parameters of which none is what a forgotten one would be.
    fn parameters(network: &Network) -> Tensors {
        let mut tensors = initial_parameters(network, 7);
        let mut random = Random::new(7, &[]);
        for p in network.parameters() {
            let suffix = p.role.suffix();
            if p.shape.len() == 1 {
                let data = tensors.get_mut(&p.name).unwrap();
                let around = if suffix == "weight" || suffix == "running_var" {
                    1.0
                } else {
                    0.0
                };
                let value = |_: &f32| around + 0.4 * random.uniform() as f32 - 0.2;
                data.data = data.data.iter().map(value).collect();
            }
        }
        tensors
    }

    fn logits(graph: &crate::ir::Graph, input: [usize; 3]) -> Vec<f32> {
        let mut random = Random::new(3, &[]);
        let image = (0..input.iter().product::<usize>()).map(|_| random.normal() as f32);
        let shape = [1].into_iter().chain(input).collect();
        let outputs = run_graph(graph, &[Tensor::f32(shape, image.collect())]).unwrap();
        outputs[0].as_f32().unwrap().to_vec()
    }

    #[test]
    fn what_is_imported_again_computes_the_same() {
        for (name, image_size, width) in [
            ("tiny", 8, 0.5),
            ("resnet8", 8, 0.5),
            ("resnet18-imagenet", 32, 0.125),
            ("mobilenetv2", 32, 0.25),
            ("efficientnet-lite0", 32, 0.25),
        ] {
            let config = Config {
                width,
                image_size,
                classes: 5,
                ..find(name).unwrap().default
            };
            let net = architecture(name, &config).unwrap();
            let tensors = parameters(&net);
            let elements = |name: &str| tensors.get(name).map(|t| t.data.as_slice());
            let metadata = [("labels".to_owned(), "a\nb\nc\nd\ne".to_owned())].into();
            let onnx = encode(&net, &metadata, elements).unwrap();
            let again = import_bytes(&onnx, &ImportOptions::default()).unwrap();
            assert_eq!(again.outputs[0].0, OUTPUT);
            assert_eq!(again.metadata["labels"], "a\nb\nc\nd\ne");
            let own = network::import(&net, elements).unwrap();
            let (a, b) = (logits(&again, net.input()), logits(&own, net.input()));
            assert_eq!(a.len(), 5);
            let size = b.iter().fold(0f32, |m, v| m.max(v.abs()));
            for (a, b) in a.iter().zip(&b) {
                assert!((a - b).abs() <= 1e-4 * size, "{name}: {a} and {b}");
            }
            // Names survive.
            for layer in net.weight_layers() {
                let layer = &net.nodes()[layer.0].name;
                assert!(
                    again.nodes.iter().any(|n| n.name == *layer),
                    "{name}: {layer}"
                );
            }
        }
    }

    #[test]
    fn a_missing_parameter_is_named() {
        let net = architecture("tiny", &find("tiny").unwrap().default).unwrap();
        let error = encode(&net, &BTreeMap::new(), |_| None);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("\"conv1.weight\" is missing"), "{error}");
    }
}

//! Models in half precision: f16 outside, f32 inside.

use crate::support::compare::compare_at;
use crate::support::model::{Model, Node, halves, noise};
use ternc::ir::Graph;
use ternrt::DType;
use tract_onnx::pb::tensor_proto::DataType;

fn inside_is_f32(graph: &Graph) {
    for (_, v) in graph.inputs.iter().chain(&graph.outputs) {
        assert_eq!(graph.ty(*v).dtype, DType::F16);
    }
    for node in &graph.nodes {
        let casts = node.op.name() == "cast";
        assert!(
            casts
                || node
                    .outputs
                    .iter()
                    .all(|o| graph.ty(*o).dtype == DType::F32),
            "{node:?}"
        );
    }
}

#[test]
fn a_convolution() {
    let model = Model::new(17)
        .input_of("x", DataType::Float16, &[1, 3, 6, 6])
        .tensor("w", halves(&[4, 3, 3, 3], &noise(1, 108)))
        .tensor("b", halves(&[4], &noise(2, 4)))
        .node(Node::new("Conv", &["x", "w", "b"], &["c"]))
        .node(Node::new("Relu", &["c"], &["y"]))
        .output_of("y", DataType::Float16);
    inside_is_f32(&compare_at(&model, 3e-3));
}

#[test]
fn a_product() {
    let model = Model::new(17)
        .input_of("x", DataType::Float16, &[3, 8])
        .tensor("w", halves(&[8, 5], &noise(1, 40)))
        .node(Node::new("MatMul", &["x", "w"], &["m"]))
        .node(Node::new("Softmax", &["m"], &["y"]))
        .output_of("y", DataType::Float16);
    inside_is_f32(&compare_at(&model, 3e-3));
}

#[test]
fn casts_inside_disappear() {
    let model = Model::new(17)
        .input("x", &[5])
        .node(Node::new("Cast", &["x"], &["h"]).with("to", DataType::Float16 as i64))
        .node(Node::new("Neg", &["h"], &["n"]))
        .node(
            Node::new("Cast", &["n"], &["y"])
                .named("back")
                .with("to", DataType::Float as i64),
        )
        .output("y");
    assert_eq!(compare_at(&model, 3e-3).nodes.len(), 1);
}

#[test]
fn straight_through() {
    let model = Model::new(17)
        .input_of("x", DataType::Float16, &[5])
        .node(Node::new("Identity", &["x"], &["y"]))
        .output_of("y", DataType::Float16);
    compare_at(&model, 0.0);
}

//! Reductions and softmax.

use crate::support::compare::{compare, compare_at};
use crate::support::model::{Model, Node};
use ternc::ir::{Graph, Op, Tensor};
use ternrt::kernels::reduce::ReduceKind;
use tract_onnx::pb::tensor_proto::DataType;

fn kinds(graph: &Graph) -> Vec<ReduceKind> {
    graph
        .nodes
        .iter()
        .filter_map(|n| {
            if let Op::Reduce(op) = n.op {
                Some(op.function)
            } else {
                None
            }
        })
        .collect()
}

fn by_attribute(op: &str, axes: Option<&[i64]>, keepdims: i64) -> Model {
    let mut node = Node::new(op, &["x"], &["y"]).with("keepdims", keepdims);
    if let Some(axes) = axes {
        node = node.with("axes", axes);
    }
    Model::new(12).input("x", &[2, 3, 4]).node(node).output("y")
}

fn by_operand(op: &str, axes: &[i64], keepdims: i64) -> Model {
    Model::new(18)
        .input("x", &[2, 3, 4])
        .ints("axes", &[axes.len()], axes)
        .node(Node::new(op, &["x", "axes"], &["y"]).with("keepdims", keepdims))
        .output("y")
}

#[test]
fn every_reduction() {
    for op in [
        "ReduceSum",
        "ReduceMean",
        "ReduceMax",
        "ReduceMin",
        "ReduceProd",
        "ReduceSumSquare",
        "ReduceL1",
        "ReduceL2",
        "ReduceLogSumExp",
    ] {
        println!("{op}");
        for keepdims in [0, 1] {
            compare(&by_attribute(op, Some(&[1]), keepdims));
            compare(&by_attribute(op, Some(&[-1, 0]), keepdims));
            compare(&by_attribute(op, None, keepdims));
            compare(&by_operand(op, &[0, 2], keepdims));
            compare(&by_operand(op, &[-2], keepdims));
        }
    }
}

#[test]
fn logarithm_of_a_sum() {
    let model = Model::new(17)
        .input("x", &[2, 3, 4])
        .node(Node::new("Abs", &["x"], &["p"]))
        .node(Node::new("ReduceLogSum", &["p"], &["y"]).with("axes", [1]))
        .output("y");
    compare(&model);
}

#[test]
fn logarithms_of_sums_of_powers_do_not_overflow() {
    let model = Model::new(17)
        .input("x", &[2, 3])
        .node(
            Node::new("ReduceLogSumExp", &["x"], &["y"])
                .with("axes", [1])
                .with("keepdims", 0),
        )
        .output("y");
    let graph = ternc::import::import_bytes(&model.bytes(), &Default::default()).unwrap();
    let inf = f32::INFINITY;
    for (x, expected) in [
        (
            [200.0, 200.0, -300.0, -200.0, -200.0, -200.0],
            [200.0 + 2f32.ln(), -200.0 + 3f32.ln()],
        ),
        ([inf, 0.0, 1.0, -inf, -inf, -inf], [inf, -inf]),
    ] {
        let y = ternc::ops::run_graph(&graph, &[Tensor::f32(vec![2, 3], x.to_vec())]).unwrap();
        let y = y[0].as_f32().unwrap();
        assert!(
            y.iter()
                .zip(&expected)
                .all(|(y, e)| y == e || (y - e).abs() < 1e-4),
            "{y:?}, expected {expected:?}"
        );
    }
}

#[test]
fn means_are_one_node() {
    assert_eq!(
        kinds(&compare(&by_operand("ReduceMean", &[1, 2], 0))),
        [ReduceKind::Mean]
    );
    assert_eq!(
        kinds(&compare(&by_operand("ReduceSumSquare", &[1, 2], 1))),
        [ReduceKind::SumSquare]
    );
}

#[test]
fn empty_axes() {
    let model = |noop: i64| {
        Model::new(18)
            .input("x", &[2, 3])
            .ints("axes", &[0], &[])
            .node(Node::new("ReduceSum", &["x", "axes"], &["y"]).with("noop_with_empty_axes", noop))
            .output("y")
    };
    compare(&model(0));
    compare(&model(1));
}

#[test]
fn integers() {
    for op in ["ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd"] {
        let model = Model::new(18)
            .input_of("x", DataType::Int64, &[2, 3])
            .ints("axes", &[1], &[1])
            .node(Node::new(op, &["x", "axes"], &["y"]))
            .output_of("y", DataType::Int64);
        compare(&model);
    }
}

#[test]
fn positions_of_extremes() {
    for op in ["ArgMax", "ArgMin"] {
        for last in [0, 1] {
            for keepdims in [0, 1] {
                // Rounded values, so that some are equal.
                let model = Model::new(17)
                    .input("x", &[3, 9, 2])
                    .node(Node::new("Round", &["x"], &["r"]))
                    .node(
                        Node::new(op, &["r"], &["y"])
                            .with("axis", 1)
                            .with("keepdims", keepdims)
                            .with("select_last_index", last),
                    )
                    .output_of("y", DataType::Int64);
                compare(&model);
            }
        }
    }
}

#[test]
fn softmax() {
    for op in ["Softmax", "LogSoftmax"] {
        for (opset, axis) in [(17, -1), (17, 1), (17, 0), (11, 1), (11, 2), (11, 0)] {
            let model = Model::new(opset)
                .input("x", &[2, 3, 4])
                .node(Node::new(op, &["x"], &["y"]).with("axis", axis))
                .output("y");
            let graph = compare_at(&model, 1e-5);
            assert!(
                graph
                    .nodes
                    .iter()
                    .all(|n| matches!(n.op.name(), "softmax" | "reshape")),
                "{op} {opset}"
            );
        }
    }
}

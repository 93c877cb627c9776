//! What moves elements: shapes, slices, padding, gathering.

use crate::support::compare::{compare, import_error};
use crate::support::model::{Model, Node};
use ternc::ir::{Graph, Tensor};
use tract_onnx::pb::tensor_proto::DataType;

fn ops(graph: &Graph) -> Vec<&'static str> {
    graph.nodes.iter().map(|n| n.op.name()).collect()
}

fn one(opset: i64, x: &[usize], node: Node) -> Model {
    Model::new(opset).input("x", x).node(node).output("y")
}

#[test]
fn shapes() {
    let x = || Model::new(17).input("x", &[2, 3, 4]);
    for shape in [
        vec![6, 4],
        vec![0, -1],
        vec![-1],
        vec![2, 2, 3, 2],
        vec![0, 0, 2, 2],
    ] {
        let model = x().ints("shape", &[shape.len()], &shape).node(Node::new(
            "Reshape",
            &["x", "shape"],
            &["y"],
        ));
        assert_eq!(ops(&compare(&model.output("y"))), ["reshape"]);
    }
    for axis in [0, 1, 2, -1] {
        compare(&one(
            17,
            &[2, 3, 4],
            Node::new("Flatten", &["x"], &["y"]).with("axis", axis),
        ));
    }
    compare(&one(
        11,
        &[2, 1, 4, 1],
        Node::new("Squeeze", &["x"], &["y"]).with("axes", [1]),
    ));
    compare(&one(
        11,
        &[2, 4],
        Node::new("Unsqueeze", &["x"], &["y"]).with("axes", [0, 2]),
    ));
    let squeeze = Model::new(17)
        .input("x", &[2, 1, 4, 1])
        .ints("axes", &[2], &[1, -1]);
    compare(
        &squeeze
            .node(Node::new("Squeeze", &["x", "axes"], &["y"]))
            .output("y"),
    );
    let unsqueeze = Model::new(17).input("x", &[2, 4]).ints("axes", &[1], &[1]);
    compare(
        &unsqueeze
            .node(Node::new("Unsqueeze", &["x", "axes"], &["y"]))
            .output("y"),
    );
}

#[test]
fn transpositions() {
    assert_eq!(
        ops(&compare(&one(
            17,
            &[2, 3, 4, 5],
            Node::new("Transpose", &["x"], &["y"]).with("perm", [2, 0, 3, 1])
        ))),
        ["transpose"]
    );
    compare(&one(17, &[2, 3, 4], Node::new("Transpose", &["x"], &["y"])));
    let there_and_back = Model::new(17)
        .input("x", &[2, 3, 4])
        .node(Node::new("Transpose", &["x"], &["m"]).with("perm", [1, 2, 0]))
        .node(
            Node::new("Transpose", &["m"], &["y"])
                .named("back")
                .with("perm", [2, 0, 1]),
        )
        .output("y");
    // Nothing is left but the copy that makes the output a result of its own.
    assert_eq!(ops(&compare(&there_and_back)), ["unary"]);
}

#[test]
fn space_and_depth() {
    for mode in ["DCR", "CRD"] {
        let node = Node::new("DepthToSpace", &["x"], &["y"])
            .with("blocksize", 2)
            .with("mode", mode);
        assert_eq!(
            ops(&compare(&one(13, &[1, 8, 2, 3], node))),
            ["reshape", "transpose", "reshape"]
        );
    }
    compare(&one(
        13,
        &[1, 2, 4, 6],
        Node::new("SpaceToDepth", &["x"], &["y"]).with("blocksize", 2),
    ));
}

#[test]
fn concatenation() {
    for axis in [0, 1, -1] {
        let model = Model::new(17)
            .input("a", &[2, 3, 4])
            .input("b", &[2, 3, 4])
            .node(Node::new("Concat", &["a", "b", "a"], &["y"]).with("axis", axis))
            .output("y");
        assert_eq!(ops(&compare(&model)), ["concat"]);
    }
    let with_constant = Model::new(17)
        .input("a", &[2, 3])
        .floats("b", &[1, 3], &[1.0, 2.0, 3.0])
        .node(Node::new("Concat", &["a", "b"], &["y"]).with("axis", 0))
        .output("y");
    compare(&with_constant);
}

#[test]
fn concatenation_of_many() {
    let names: Vec<String> = (0..37).map(|i| format!("x{i}")).collect();
    let mut model = Model::new(17);
    for (i, name) in names.iter().enumerate() {
        model = model.input(name, &[2, 1 + i % 3]);
    }
    let inputs: Vec<&str> = names.iter().map(|n| n.as_str()).collect();
    compare(
        &model
            .node(Node::new("Concat", &inputs, &["y"]).with("axis", 1))
            .output("y"),
    );
}

#[test]
fn splits() {
    let model = |opset: i64, node: Node, outputs: &[&str]| {
        let mut model = Model::new(opset)
            .input("x", &[2, 7])
            .ints("split", &[3], &[2, 4, 1])
            .node(node);
        for output in outputs {
            model = model.output(output);
        }
        model
    };
    let all = ["a", "b", "c"];
    compare(&model(
        13,
        Node::new("Split", &["x", "split"], &all).with("axis", 1),
        &all,
    ));
    compare(&model(
        11,
        Node::new("Split", &["x"], &all)
            .with("axis", 1)
            .with("split", [2, 4, 1]),
        &all,
    ));
    compare(&model(
        13,
        Node::new("Split", &["x"], &["a", "b"]).with("axis", 0),
        &["a", "b"],
    ));
    // Only what is read remains.
    let graph = compare(&model(
        13,
        Node::new("Split", &["x", "split"], &all).with("axis", 1),
        &["b"],
    ));
    assert_eq!(ops(&graph), ["slice"]);
    assert_eq!(graph.nodes[0].name, "the_split");
}

#[test]
fn slices() {
    let model = |starts: &[i64], ends: &[i64], axes: &[i64], steps: &[i64]| {
        Model::new(17)
            .input("x", &[5, 6, 7])
            .ints("starts", &[starts.len()], starts)
            .ints("ends", &[ends.len()], ends)
            .ints("axes", &[axes.len()], axes)
            .ints("steps", &[steps.len()], steps)
            .node(Node::new(
                "Slice",
                &["x", "starts", "ends", "axes", "steps"],
                &["y"],
            ))
            .output("y")
    };
    compare(&model(&[1], &[4], &[0], &[1]));
    // Several dimensions in one node.
    assert_eq!(
        ops(&compare(&model(&[1, -3], &[1000, -1], &[1, 2], &[2, 1]))),
        ["slice"]
    );
    compare(&model(&[0], &[i64::MAX], &[-1], &[3]));
    compare(&model(&[-1], &[i64::MIN], &[1], &[-1]));
    compare(&model(&[5, 6], &[0, 1], &[1, 2], &[-2, -3]));
    let old = Node::new("Slice", &["x"], &["y"])
        .with("starts", [1, 0])
        .with("ends", [3, 5])
        .with("axes", [0, 2]);
    compare(&one(9, &[5, 6, 7], old));
}

#[test]
fn empty_slices_are_refused() {
    let model = Model::new(17)
        .input("x", &[5])
        .ints("starts", &[1], &[3])
        .ints("ends", &[1], &[3])
        .node(Node::new("Slice", &["x", "starts", "ends"], &["y"]))
        .output("y");
    assert_eq!(
        import_error(&model),
        "node \"the_slice\": op \"Slice\" is not supported: it takes none of the 5 elements of dimension 0"
    );
}

#[test]
fn padding() {
    for mode in ["constant", "reflect", "edge"] {
        let old = Node::new("Pad", &["x"], &["y"])
            .with("mode", mode)
            .with("pads", [0, 1, 2, 0, 2, 1]);
        compare(&one(10, &[2, 3, 4], old));
        let model = Model::new(17)
            .input("x", &[2, 3, 4])
            .ints("pads", &[6], &[0, 1, 2, 1, 2, 1])
            .node(Node::new("Pad", &["x", "pads"], &["y"]).with("mode", mode))
            .output("y");
        compare(&model);
    }
    let value = Model::new(17)
        .input("x", &[2, 3])
        .ints("pads", &[4], &[1, 0, 0, 2])
        .floats("value", &[], &[1.5])
        .node(Node::new("Pad", &["x", "pads", "value"], &["y"]))
        .output("y");
    compare(&value);
    let axes = Model::new(18)
        .input("x", &[2, 3, 4])
        .ints("pads", &[2], &[1, 2])
        .ints("axes", &[1], &[-2])
        .node(Node::new("Pad", &["x", "pads", "", "axes"], &["y"]))
        .output("y");
    compare(&axes);
}

#[test]
fn negative_padding_crops() {
    let model = |pads: &[i64]| {
        Model::new(17)
            .input("x", &[4, 5])
            .ints("pads", &[4], pads)
            .node(Node::new("Pad", &["x", "pads"], &["y"]))
            .output("y")
    };
    // tract cannot run it: compared with the slice and padding that it stands for.
    let found =
        ternc::import::import_bytes(&model(&[-1, 2, 1, -2]).bytes(), &Default::default()).unwrap();
    assert_eq!(ops(&found), ["slice", "pad"]);
    let x: Vec<f32> = (0..20).map(|v| v as f32).collect();
    let y = ternc::ops::run_graph(&found, &[Tensor::f32(vec![4, 5], x)]).unwrap();
    let expected = [
        0., 0., 5., 6., 7., 0., 0., 10., 11., 12., 0., 0., 15., 16., 17., 0., 0., 0., 0., 0.,
    ];
    assert_eq!(y[0], Tensor::f32(vec![4, 5], expected.to_vec()));
    assert_eq!(
        import_error(&model(&[-2, 0, -2, 0])),
        "node \"the_pad\": op \"Pad\" is not supported: it takes all 4 elements of dimension 0 away"
    );
}

#[test]
fn padding_of_integers() {
    let model = Model::new(17)
        .input_of("x", DataType::Int64, &[3])
        .ints("pads", &[2], &[1, 1])
        .ints("value", &[], &[7])
        .node(Node::new("Pad", &["x", "pads", "value"], &["y"]))
        .output_of("y", DataType::Int64);
    compare(&model);
}

#[test]
fn gathering() {
    let model = |shape: &[usize], indices: &[i64], axis: i64| {
        Model::new(17)
            .input("x", &[3, 5, 2])
            .ints("i", shape, indices)
            .node(Node::new("Gather", &["x", "i"], &["y"]).with("axis", axis))
            .output("y")
    };
    assert_eq!(
        ops(&compare(&model(&[2, 2], &[0, 4, 1, -1], 1))),
        ["gather"]
    );
    // One index, and indices at even distances, are slices.
    assert_eq!(ops(&compare(&model(&[], &[-2], 1))), ["slice", "reshape"]);
    assert_eq!(ops(&compare(&model(&[3], &[0, 2, 4], 1))), ["slice"]);
    assert_eq!(ops(&compare(&model(&[3], &[2, 1, 0], 0))), ["slice"]);
    let computed = Model::new(17)
        .floats("table", &[17, 3], &crate::support::model::noise(1, 51))
        .input_of("i", DataType::Int64, &[2, 4])
        .node(Node::new("Gather", &["table", "i"], &["y"]))
        .output("y");
    assert_eq!(ops(&compare(&computed)), ["gather"]);
}

#[test]
fn repetition() {
    let expand = Model::new(17)
        .input("x", &[3, 1])
        .ints("shape", &[3], &[2, 1, 4])
        .node(Node::new("Expand", &["x", "shape"], &["y"]))
        .output("y");
    compare(&expand);
    for times in [[1, 1, 1], [2, 1, 3], [1, 2, 1], [3, 2, 2]] {
        let tile = Model::new(17)
            .input("x", &[2, 3, 1])
            .ints("times", &[3], &times)
            .node(Node::new("Tile", &["x", "times"], &["y"]))
            .output("y");
        compare(&tile);
    }
}

#[test]
fn shape_arithmetic_leaves_nothing() {
    // The flattening that TorchScript writes: reshape to [shape[0], -1].
    let model = Model::new(17)
        .input("x", &[2, 3, 4])
        .ints("zero", &[], &[0])
        .ints("axes", &[1], &[0])
        .ints("rest", &[1], &[-1])
        .node(Node::new("Shape", &["x"], &["s"]))
        .node(Node::new("Gather", &["s", "zero"], &["n"]))
        .node(Node::new("Unsqueeze", &["n", "axes"], &["u"]))
        .node(Node::new("Concat", &["u", "rest"], &["t"]).with("axis", 0))
        .node(Node::new("Reshape", &["x", "t"], &["y"]))
        .output("y");
    assert_eq!(ops(&compare(&model)), ["reshape"]);
}

#[test]
fn operators_that_only_constants_may_feed() {
    let model = |x: &str| {
        Model::new(17)
            .input("x", &[3, 3])
            .floats("c", &[3, 3], &crate::support::model::noise(1, 9))
            .node(Node::new("Trilu", &[x], &["t"]))
            .node(Node::new("Add", &["x", "t"], &["y"]))
            .output("y")
    };
    assert_eq!(ops(&compare(&model("c"))), ["binary"]);
    assert_eq!(
        import_error(&model("x")),
        "node \"the_trilu\": op \"Trilu\" is not supported on operands computed at run time: only on constants"
    );
}

#[test]
fn what_changes_nothing_disappears() {
    let model = Model::new(17)
        .input("x", &[4])
        .floats("ratio", &[], &[0.5])
        .node(Node::new("Identity", &["x"], &["a"]))
        .node(Node::new("Dropout", &["a", "ratio"], &["b", "mask"]))
        .node(Node::new("Cast", &["b"], &["c"]).with("to", DataType::Float as i64))
        .node(Node::new("Abs", &["c"], &["y"]))
        .output("y");
    assert_eq!(ops(&compare(&model)), ["unary"]);
}

#[test]
fn inputs_and_constants_as_outputs() {
    // tract cannot run this one.
    let model = Model::new(17)
        .input("x", &[2])
        .floats("c", &[3], &[1.0, 2.0, 3.0])
        .node(Node::new("Neg", &["x"], &["y"]))
        .node(Node::new("Neg", &["c"], &["d"]).named("folded"))
        .output("x")
        .output("y")
        .output("c")
        .output("d");
    let graph = ternc::import::import_bytes(&model.bytes(), &Default::default()).unwrap();
    let names: Vec<_> = graph.outputs.iter().map(|(n, _)| n.as_str()).collect();
    assert_eq!(names, ["x", "y", "c", "d"]);
    let f32s = |values: &[f32]| Tensor::f32(vec![values.len()], values.to_vec());
    let results = ternc::ops::run_graph(&graph, &[f32s(&[4.0, -5.0])]).unwrap();
    let expected = [
        f32s(&[4.0, -5.0]),
        f32s(&[-4.0, 5.0]),
        f32s(&[1.0, 2.0, 3.0]),
        f32s(&[-1.0, -2.0, -3.0]),
    ];
    assert_eq!(results, expected);
}

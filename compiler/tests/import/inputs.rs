//! Shapes of inputs, names and metadata.

use crate::support::model::{Model, Node};
use ternc::import::{ImportOptions, import_bytes};
use ternc::ir::Graph;
use tract_onnx::pb::StringStringEntryProto;

fn import(model: &Model, shapes: &[(&str, &[usize])]) -> Result<Graph, String> {
    let input_shapes = shapes
        .iter()
        .map(|(n, s)| (n.to_string(), s.to_vec()))
        .collect();
    import_bytes(&model.bytes(), &ImportOptions { input_shapes }).map_err(|e| format!("{e:#}"))
}

fn dynamic(dims: &[&str]) -> Model {
    Model::new(17)
        .dynamic_input("x", dims)
        .node(Node::new("Relu", &["x"], &["y"]))
        .output("y")
}

#[test]
fn a_dynamic_dimension_needs_a_shape() {
    let model = dynamic(&["batch", "3", "h", "?"]);
    assert_eq!(
        import(&model, &[]).unwrap_err(),
        "input \"x\": dimension 0 (\"batch\") is dynamic: give the shape, for example --input-shape x=1x3x224x224"
    );
    assert_eq!(
        import(&dynamic(&["2", "?"]), &[]).unwrap_err(),
        "input \"x\": dimension 1 is dynamic: give the shape, for example --input-shape x=2x16"
    );
    let graph = import(&model, &[("x", &[2, 3, 5, 6])]).unwrap();
    assert_eq!(graph.ty(graph.inputs[0].1).shape, [2, 3, 5, 6]);
    assert_eq!(graph.ty(graph.outputs[0].1).shape, [2, 3, 5, 6]);
}

#[test]
fn an_input_without_a_shape_needs_one() {
    let mut model = dynamic(&["2"]);
    let input = &mut model.graph().input[0];
    let ty = input.r#type.as_mut().unwrap().value.as_mut().unwrap();
    let tract_onnx::pb::type_proto::Value::TensorType(t) = ty;
    t.shape = None;
    assert_eq!(
        import(&model, &[]).unwrap_err(),
        "input \"x\" has no shape in the file: give it, for example --input-shape x=1x3x224x224"
    );
    assert_eq!(import(&model, &[("x", &[7])]).unwrap().inputs.len(), 1);
}

#[test]
fn unknown_inputs_are_refused() {
    assert_eq!(
        import(&dynamic(&["n"]), &[("image", &[1])]).unwrap_err(),
        "--input-shape image: the model has no input \"image\"; its inputs are \"x\""
    );
}

#[test]
fn contradictions_are_refused() {
    let model = dynamic(&["n", "3"]);
    assert_eq!(
        import(&model, &[("x", &[1, 4])]).unwrap_err(),
        "--input-shape x=1x4: dimension 1 of input \"x\" is 3 in the file, not 4"
    );
    assert_eq!(
        import(&model, &[("x", &[1, 3, 1])]).unwrap_err(),
        "--input-shape x=1x3x1: input \"x\" has 2 dimensions in the file, not 3"
    );
    assert_eq!(
        import(&model, &[("x", &[0, 3])]).unwrap_err(),
        "--input-shape x=0x3: a dimension must be at least 1"
    );
    assert_eq!(
        import(&model, &[("x", &[1, 3]), ("x", &[2, 3])]).unwrap_err(),
        "--input-shape x: two different shapes are given"
    );
}

#[test]
fn a_named_dimension_is_one_size() {
    let model = Model::new(17)
        .dynamic_input("a", &["n", "2"])
        .dynamic_input("b", &["n", "2"])
        .node(Node::new("Add", &["a", "b"], &["y"]))
        .output("y");
    let graph = import(&model, &[("a", &[5, 2])]).unwrap();
    assert_eq!(graph.ty(graph.inputs[1].1).shape, [5, 2]);
    assert_eq!(
        import(&model, &[("a", &[5, 2]), ("b", &[1, 2])]).unwrap_err(),
        "--input-shape b=1x2: dimension \"n\" is 1 here and 5 elsewhere"
    );
}

#[test]
fn names_are_the_files_own() {
    let model = Model::new(17)
        .input("second/in:0", &[2])
        .input("first", &[2])
        .floats("w", &[2], &[1.0, 2.0])
        .input("w", &[2])
        .node(Node::new("Sub", &["first", "second/in:0"], &["out.b"]).named("n"))
        .node(Node::new("Add", &["first", "w"], &["out.a"]).named("n"))
        .output("out.a")
        .output("out.b");
    let graph = import(&model, &[]).unwrap();
    let names = |list: &[(String, ternc::ir::ValueId)]| {
        list.iter().map(|(n, _)| n.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&graph.inputs), ["second/in:0", "first"]);
    assert_eq!(names(&graph.outputs), ["out.a", "out.b"]);
    let mut nodes: Vec<_> = graph.nodes.iter().map(|n| n.name.as_str()).collect();
    nodes.sort();
    assert_eq!(nodes, ["n", "n_2"]);
}

#[test]
fn node_names_are_unique() {
    // A node whose name is what another's helper would be called.
    let model = Model::new(17)
        .input("x", &[1, 2, 4, 4])
        .floats("w", &[2, 2, 1, 1], &[1.0, 2.0, 3.0, 4.0])
        .node(Node::new("Conv", &["x", "w"], &["m"]).named("c"))
        .node(Node::new("Relu", &["m"], &["r"]).named("c.nhwc"))
        .node(Node::new("Conv", &["r", "w"], &["y"]).named(""))
        .output("y");
    let graph = import(&model, &[]).unwrap();
    let mut names: Vec<_> = graph.nodes.iter().map(|n| n.name.clone()).collect();
    for name in ["c", "c.nhwc", "y"] {
        assert!(names.iter().any(|n| n == name), "{names:?}");
    }
    names.sort();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn metadata_is_kept() {
    let mut model = dynamic(&["4"]);
    model.proto.producer_version = "1.2".into();
    model.proto.metadata_props = vec![StringStringEntryProto {
        key: "labels".into(),
        value: "cat\ndog".into(),
    }];
    let graph = import(&model, &[]).unwrap();
    let get = |key: &str| graph.metadata.get(key).map(|s| s.as_str());
    assert_eq!(get("labels"), Some("cat\ndog"));
    assert_eq!(get("onnx.producer_name"), Some("test"));
    assert_eq!(get("onnx.producer_version"), Some("1.2"));
    assert_eq!(get("onnx.opset"), Some("17"));
    assert_eq!(graph.name, "test");
}

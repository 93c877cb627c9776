//! Files that cannot be imported, and what is said about them.

use crate::support::compare::import_error;
use crate::support::model::{Model, Node, floats, noise};
use prost::Message;
use std::path::{Path, PathBuf};
use ternc::import::{ImportOptions, import, import_bytes};
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::pb::{StringStringEntryProto, TensorProto};

fn relu() -> Model {
    Model::new(17)
        .input("x", &[2])
        .node(Node::new("Relu", &["x"], &["y"]))
        .output("y")
}

fn of_path(path: &Path) -> String {
    format!("{:#}", import(path, &ImportOptions::default()).unwrap_err())
}

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("ternc-import-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn no_such_file() {
    assert_eq!(
        of_path(Path::new("/nowhere/model.onnx")),
        "/nowhere/model.onnx: no such file"
    );
}

#[test]
fn a_directory() {
    let directory = Directory::new("directory");
    let error = of_path(&directory.0);
    assert!(
        error.starts_with(&format!("{}: cannot be read: ", directory.0.display())),
        "{error}"
    );
}

#[test]
fn not_onnx() {
    let directory = Directory::new("garbage");
    let path = directory.write("model.onnx", b"This is a text file, not a model.");
    let error = of_path(&path);
    assert!(
        error.starts_with(&format!("{}: not an ONNX model: ", path.display())),
        "{error}"
    );
    let empty = directory.write("empty.onnx", b"");
    assert_eq!(
        of_path(&empty),
        format!("{}: not an ONNX model: it holds no graph", empty.display())
    );
}

#[test]
fn a_file_is_named_after_itself() {
    let directory = Directory::new("named");
    let mut model = relu();
    model.graph().name.clear();
    let path = directory.write("small.onnx", &model.bytes());
    assert_eq!(
        import(&path, &ImportOptions::default()).unwrap().name,
        "small"
    );
}

fn external(location: &str, entries: &[(&str, &str)]) -> TensorProto {
    let entry = |key: &str, value: &str| StringStringEntryProto {
        key: key.into(),
        value: value.into(),
    };
    TensorProto {
        name: "w".into(),
        dims: vec![3],
        data_type: DataType::Float as i32,
        data_location: Some(DataLocation::External as i32),
        external_data: std::iter::once(entry("location", location))
            .chain(entries.iter().map(|(k, v)| entry(k, v)))
            .collect(),
        ..TensorProto::default()
    }
}

fn with_external(tensor: TensorProto) -> Model {
    Model::new(17)
        .input("x", &[3])
        .tensor("w", tensor)
        .node(Node::new("Mul", &["x", "w"], &["y"]))
        .output("y")
}

#[test]
fn external_data() {
    let directory = Directory::new("external");
    let model = with_external(external(
        "weights.bin",
        &[("offset", "4"), ("length", "12")],
    ));
    let path = directory.write("model.onnx", &model.bytes());
    let file = directory.0.join("weights.bin");
    assert_eq!(
        of_path(&path),
        format!(
            "{}: initializer \"w\" is stored in {}, which does not exist: keep the model's external data next to it",
            path.display(),
            file.display()
        )
    );
    directory.write("weights.bin", &[0; 10]);
    assert_eq!(
        of_path(&path),
        format!(
            "{}: initializer \"w\" is stored in {} from byte 4, 12 bytes, but the file has 10 bytes",
            path.display(),
            file.display()
        )
    );
    let values: Vec<u8> = [9.0f32, 1.0, 2.0, 3.0]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    directory.write("weights.bin", &values);
    let graph = import(&path, &ImportOptions::default()).unwrap();
    let constant = graph.values.iter().find_map(|v| match &v.def {
        ternc::ir::Def::Const(c) => Some(c.clone()),
        _ => None,
    });
    let ternc::ir::Constant::Dense(t) = &*constant.unwrap() else {
        panic!()
    };
    assert_eq!(t.as_f32().unwrap(), [1.0, 2.0, 3.0]);
    assert_eq!(
        import_error(&model),
        "initializer \"w\" is stored in the external file \"weights.bin\": import the model by its path"
    );
}

#[test]
fn external_data_elsewhere_is_refused() {
    let directory = Directory::new("outside");
    for location in ["../weights.bin", "/etc/passwd"] {
        let path = directory.write(
            "model.onnx",
            &with_external(external(location, &[])).bytes(),
        );
        assert_eq!(
            of_path(&path),
            format!(
                "{}: initializer \"w\" is stored in \"{location}\", which is outside of the model's directory",
                path.display()
            )
        );
    }
}

#[test]
fn unknown_operators() {
    let model = |node: Node| Model::new(17).input("x", &[2]).node(node).output("y");
    assert_eq!(
        import_error(&model(Node::new("Frobnicate", &["x"], &["y"]).named("f"))),
        "node \"f\": op \"Frobnicate\" is not supported: there is no lowering for it"
    );
    assert_eq!(
        import_error(&model(Node::new("Frobnicate", &["x"], &["y"]).named(""))),
        "node with output \"y\": op \"Frobnicate\" is not supported: there is no lowering for it"
    );
    let mut custom = Node::new("Relu", &["x"], &["y"]).named("f");
    custom.0.domain = "com.example".into();
    assert_eq!(
        import_error(&model(custom)),
        "node \"f\": op \"Relu\" of domain \"com.example\" is not supported: only ONNX's own operators are; export without custom operators, or inline the model's functions"
    );
    assert_eq!(
        import_error(&model(
            Node::new("QuantizeLinear", &["x", "x"], &["y"]).named("q")
        )),
        "node \"q\": op \"QuantizeLinear\" is not supported: quantised models are not imported; export the float model, its activations can be quantised here"
    );
}

#[test]
fn unknown_attributes() {
    let node = Node::new("Relu", &["x"], &["y"]).with("slope", 0.5f32);
    assert_eq!(
        import_error(&Model::new(17).input("x", &[2]).node(node).output("y")),
        "node \"the_relu\": op \"Relu\" is not supported with attribute \"slope\""
    );
}

#[test]
fn attribute_values() {
    let x = || {
        Model::new(17)
            .input("x", &[1, 2, 4, 4])
            .floats("w", &[2, 2, 3, 3], &noise(1, 36))
    };
    let conv = || Node::new("Conv", &["x", "w"], &["y"]);
    assert_eq!(
        import_error(&x().node(conv().with("strides", [0, 1])).output("y")),
        "node \"the_conv\": op \"Conv\": strides=[0, 1] is not supported: values must lie in 1..=65535"
    );
    assert_eq!(
        import_error(&x().node(conv().with("group", 0)).output("y")),
        "node \"the_conv\": op \"Conv\": group=0 is not supported: it must be positive"
    );
    assert_eq!(
        import_error(
            &x().node(
                conv()
                    .with("auto_pad", "SAME_UPPER")
                    .with("pads", [1, 1, 1, 1])
            )
            .output("y")
        ),
        "node \"the_conv\": op \"Conv\" has both \"auto_pad\" and \"pads\""
    );
    let cast = Node::new("Cast", &["x"], &["y"]).with("to", 8);
    assert_eq!(
        import_error(&x().node(cast).output("y")),
        "node \"the_cast\": op \"Cast\": to=8 is not supported: elements of that type are not supported"
    );
}

#[test]
fn operator_sets() {
    let mut model = relu();
    model.proto.opset_import[0].version = 6;
    assert_eq!(
        import_error(&model),
        "operator set 6 is not supported, only 7 to 26: export with another opset_version or convert the model"
    );
}

#[test]
fn training_mode() {
    let model = Model::new(17)
        .input("x", &[2, 3, 4])
        .floats("p", &[3], &[1.0; 3])
        .node(
            Node::new("BatchNormalization", &["x", "p", "p", "p", "p"], &["y"])
                .with("training_mode", 1),
        )
        .output("y");
    assert_eq!(
        import_error(&model),
        "node \"the_batchnormalization\": op \"BatchNormalization\": training_mode=1 is not supported: export the model in evaluation mode"
    );
    let dropout = Model::new(17)
        .input("x", &[2])
        .floats("ratio", &[], &[0.5])
        .tensor(
            "train",
            TensorProto {
                data_type: DataType::Bool as i32,
                int32_data: vec![1],
                ..TensorProto::default()
            },
        )
        .node(Node::new("Dropout", &["x", "ratio", "train"], &["y"]))
        .output("y");
    assert_eq!(
        import_error(&dropout),
        "node \"the_dropout\": op \"Dropout\" is not supported in training mode; export the model in evaluation mode"
    );
}

#[test]
fn inconsistent_tensors() {
    let mut tensor = floats(&[2, 2], &[1.0; 4]);
    tensor.dims = vec![2, 3];
    assert_eq!(
        import_error(&with_external(tensor)),
        "initializer \"w\" has dimensions [2, 3], 24 bytes, but stores 16"
    );
    let mut huge = floats(&[1], &[1.0]);
    huge.dims = vec![i64::MAX, i64::MAX];
    assert_eq!(
        import_error(&with_external(huge)),
        "initializer \"w\" has impossible dimensions [9223372036854775807, 9223372036854775807]"
    );
    let brain = TensorProto {
        dims: vec![1],
        data_type: DataType::Bfloat16 as i32,
        ..TensorProto::default()
    };
    assert_eq!(
        import_error(&with_external(brain)),
        "initializer \"w\" has elements of type bfloat16 (16), which is not supported: use float32, float16 or int64"
    );
}

#[test]
fn broken_graphs() {
    let undefined = Model::new(17)
        .input("x", &[2])
        .node(Node::new("Add", &["x", "z"], &["y"]))
        .output("y");
    assert_eq!(
        import_error(&undefined),
        "node \"the_add\": its input \"z\" is defined by nothing before it"
    );
    let missing = Model::new(17)
        .input("x", &[2])
        .node(Node::new("Relu", &["x"], &["y"]))
        .output("z");
    assert_eq!(import_error(&missing), "output \"z\" is defined by nothing");
    let twice = Model::new(17)
        .input("x", &[2])
        .node(Node::new("Relu", &["x"], &["y"]).named("a"))
        .node(Node::new("Neg", &["x"], &["y"]).named("b"))
        .output("y");
    assert_eq!(import_error(&twice), "node \"b\": \"y\" is defined twice");
    let none = Model::new(17).input("x", &[2]);
    assert_eq!(import_error(&none), "the model has no outputs");
}

#[test]
fn shapes_that_do_not_fit() {
    let model = Model::new(17)
        .input("a", &[2, 3])
        .input("b", &[4, 5])
        .node(Node::new("MatMul", &["a", "b"], &["y"]).named("m"))
        .output("y");
    let error = import_error(&model);
    assert!(
        error.starts_with("shape inference failed: ") && error.contains("\"m\""),
        "{error}"
    );
}

#[test]
fn huge_shapes_are_refused() {
    let model = Model::new(17)
        .input("x", &[1])
        .ints("shape", &[2], &[1 << 40, 1 << 20])
        .node(Node::new("Expand", &["x", "shape"], &["y"]))
        .output("y");
    assert_eq!(
        import_error(&model),
        "node \"the_expand\": op \"Expand\": [1099511627776, 1048576] asks for too many elements"
    );
}

#[test]
fn strings_are_refused() {
    let model = Model::new(17)
        .input_of("x", DataType::String, &[2])
        .node(Node::new("Identity", &["x"], &["y"]))
        .output_of("y", DataType::String);
    assert_eq!(
        import_error(&model),
        "input \"x\" has elements of type String, which are not supported"
    );
    let double = Model::new(17)
        .input_of("x", DataType::Double, &[2])
        .node(Node::new("Neg", &["x"], &["y"]))
        .output_of("y", DataType::Double);
    assert_eq!(
        import_error(&double),
        "input \"x\" is double precision, which is not supported: export the model in float32"
    );
}

#[test]
fn many_dimensions_are_refused() {
    let model = Model::new(17)
        .input("x", &[1, 2, 1, 2, 1, 2, 1])
        .node(Node::new("Relu", &["x"], &["y"]))
        .output("y");
    assert_eq!(
        import_error(&model),
        "input \"x\": 7 dimensions [1, 2, 1, 2, 1, 2, 1], at most 6 are supported"
    );
}

#[test]
fn nothing_is_said_twice() {
    let bytes = relu().proto.encode_to_vec();
    assert!(import_bytes(&bytes, &ImportOptions::default()).is_ok());
}

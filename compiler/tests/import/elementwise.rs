//! Functions of one, two and three operands.

use crate::support::compare::{compare, compare_at, import_error};
use crate::support::model::{Model, Node, noise};
use proptest::prelude::*;
use ternc::ir::{Graph, Op, Tensor};
use ternrt::kernels::eltwise::UnaryKind;
use tract_onnx::pb::tensor_proto::DataType;

fn unary(op: &str, set: impl Fn(Node) -> Node) -> Model {
    Model::new(20)
        .input("x", &[3, 17])
        .node(set(Node::new(op, &["x"], &["y"])))
        .output("y")
}

/// The one function that the graph consists of.
#[track_caller]
fn only(graph: &Graph) -> UnaryKind {
    match &graph.nodes[..] {
        [node] => match node.op {
            Op::UnaryOp(op) => op.function.kind,
            _ => panic!("{:?}", node.op),
        },
        nodes => panic!("{nodes:?}"),
    }
}

#[test]
fn functions_stay_one_node() {
    use UnaryKind::*;
    let table = [
        ("Abs", Abs),
        ("Ceil", Ceil),
        ("Cos", Cos),
        ("Erf", Erf),
        ("Exp", Exp),
        ("Floor", Floor),
        ("Neg", Neg),
        ("Reciprocal", Reciprocal),
        ("Relu", Relu),
        ("Round", Round),
        ("Sigmoid", Sigmoid),
        ("Sign", Sign),
        ("Sin", Sin),
        ("Softplus", Softplus),
        ("Softsign", Softsign),
        ("Tanh", Tanh),
        ("Elu", Elu),
        ("HardSigmoid", HardSigmoid),
        ("HardSwish", HardSwish),
        ("LeakyRelu", LeakyRelu),
        ("Selu", Selu),
        ("ThresholdedRelu", ThresholdedRelu),
        ("Gelu", Gelu),
        ("Mish", Mish),
    ];
    for (op, kind) in table {
        println!("{op}");
        assert_eq!(only(&compare_at(&unary(op, |n| n), 2e-6)), kind);
    }
}

#[test]
fn parameters() {
    compare(&unary("Elu", |n| n.with("alpha", 0.3f32)));
    compare(&unary("HardSigmoid", |n| {
        n.with("alpha", 0.3f32).with("beta", 0.4f32)
    }));
    compare(&unary("LeakyRelu", |n| n.with("alpha", 0.3f32)));
    compare(&unary("Selu", |n| {
        n.with("alpha", 1.5f32).with("gamma", 0.4f32)
    }));
    compare(&unary("ThresholdedRelu", |n| n.with("alpha", 0.7f32)));
    compare(&unary("Shrink", |n| {
        n.with("lambd", 0.7f32).with("bias", 0.2f32)
    }));
    assert_eq!(
        only(&compare_at(
            &unary("Gelu", |n| n.with("approximate", "tanh")),
            2e-5
        )),
        UnaryKind::GeluTanh
    );
}

#[test]
fn celu() {
    // By ONNX's formula: tract's result lacks a factor.
    let model = unary("Celu", |n| n.with("alpha", 0.7f32));
    let graph = ternc::import::import_bytes(&model.bytes(), &Default::default()).unwrap();
    let x = noise(3, 51);
    let found = ternc::ops::run_graph(&graph, &[Tensor::f32(vec![3, 17], x.clone())]).unwrap();
    for (y, x) in found[0].as_f32().unwrap().iter().zip(&x) {
        let expected = x.max(0.0) + (0.7 * ((x / 0.7).exp() - 1.0)).min(0.0);
        assert!((y - expected).abs() < 1e-6, "{x}: {y}, expected {expected}");
    }
    assert_eq!(only(&compare(&unary("Celu", |n| n))), UnaryKind::Elu);
}

#[test]
fn positive_arguments() {
    for op in ["Log", "Sqrt"] {
        let model = Model::new(17)
            .input("x", &[30])
            .node(Node::new("Abs", &["x"], &["p"]))
            .node(Node::new(op, &["p"], &["y"]))
            .output("y");
        compare(&model);
    }
}

#[test]
fn tangent() {
    compare_at(&unary("Tan", |n| n), 1e-4);
}

#[test]
fn clip() {
    let graph = compare(
        &Model::new(17)
            .input("x", &[40])
            .floats("low", &[], &[-0.5])
            .floats("high", &[], &[1.25])
            .node(Node::new("Clip", &["x", "low", "high"], &["y"]))
            .output("y"),
    );
    assert_eq!(only(&graph), UnaryKind::Clip);
    let low = Model::new(17).input("x", &[40]).floats("low", &[], &[-0.5]);
    assert_eq!(
        only(&compare(
            &low.node(Node::new("Clip", &["x", "low"], &["y"]))
                .output("y")
        )),
        UnaryKind::Clip
    );
    let high = Model::new(17)
        .input("x", &[40])
        .floats("high", &[], &[-0.5]);
    assert_eq!(
        only(&compare(
            &high
                .node(Node::new("Clip", &["x", "", "high"], &["y"]))
                .output("y")
        )),
        UnaryKind::Clip
    );
    let old = Model::new(6 + 1).input("x", &[40]);
    let old = old
        .node(
            Node::new("Clip", &["x"], &["y"])
                .with("min", 0.0f32)
                .with("max", 6.0f32),
        )
        .output("y");
    assert_eq!(only(&compare(&old)), UnaryKind::Clip);
}

#[test]
fn clip_with_bounds_that_cross() {
    let model = Model::new(17)
        .input("x", &[40])
        .floats("low", &[], &[1.0])
        .floats("high", &[], &[-1.0])
        .node(Node::new("Clip", &["x", "low", "high"], &["y"]))
        .output("y");
    compare(&model);
}

#[test]
fn not_a_number_and_infinity() {
    let model = |op: &str, positive: i64, negative: i64| {
        let test = Node::new(op, &["q"], &["y"]);
        let test = if op == "IsInf" {
            test.with("detect_positive", positive)
                .with("detect_negative", negative)
        } else {
            test
        };
        // x / 0 is an infinity of either sign, 0 / 0 is not a number.
        Model::new(17)
            .input("x", &[20])
            .floats("zero", &[1], &[0.0])
            .node(Node::new("Relu", &["x"], &["r"]))
            .node(Node::new("Neg", &["x"], &["m"]))
            .node(Node::new("Concat", &["r", "m"], &["c"]).with("axis", 0))
            .node(Node::new("Div", &["c", "zero"], &["q"]))
            .node(test)
            .output_of("y", DataType::Bool)
    };
    compare(&model("IsNaN", 0, 0));
    compare(&model("IsInf", 1, 1));
    compare(&model("IsInf", 1, 0));
    compare(&model("IsInf", 0, 1));
}

fn binary(op: &str, a: &[usize], b: &[usize], result: DataType) -> Model {
    Model::new(17)
        .input("a", a)
        .input("b", b)
        .node(Node::new(op, &["a", "b"], &["y"]))
        .output_of("y", result)
}

#[test]
fn arithmetic() {
    for op in ["Add", "Sub", "Mul", "Div", "Min", "Max"] {
        compare(&binary(op, &[2, 3, 4], &[3, 1], DataType::Float));
    }
}

#[test]
fn arithmetic_on_integers() {
    for op in ["Add", "Sub", "Mul", "Min", "Max"] {
        for dtype in [DataType::Int32, DataType::Int64] {
            let model = Model::new(17)
                .input_of("a", dtype, &[2, 9])
                .input_of("b", dtype, &[9])
                .node(Node::new(op, &["a", "b"], &["y"]))
                .output_of("y", dtype);
            compare(&model);
        }
    }
}

#[test]
fn integer_division_and_remainders() {
    for (op, fmod) in [("Div", None), ("Mod", Some(0)), ("Mod", Some(1))] {
        let node = Node::new(op, &["a", "b"], &["y"]);
        let node = match fmod {
            Some(v) => node.with("fmod", v),
            None => node,
        };
        let model = Model::new(17)
            .input_of("a", DataType::Int64, &[4, 6])
            .ints("b", &[6], &[3, -3, 2, -2, 5, 1])
            .node(node)
            .output_of("y", DataType::Int64);
        let graph = compare(&model);
        assert_eq!(graph.nodes.len(), 1);
    }
}

#[test]
fn remainders_of_floats() {
    for fmod in [0, 1] {
        let model = Model::new(17)
            .input("a", &[6])
            .floats("b", &[6], &[0.7, -0.7, 0.3, -0.3, 1.0, 2.5])
            .node(Node::new("Mod", &["a", "b"], &["y"]).with("fmod", fmod))
            .output("y");
        compare(&model);
    }
}

#[test]
fn powers() {
    let model = |exponent: f32| {
        Model::new(17)
            .input("x", &[20])
            .node(Node::new("Abs", &["x"], &["p"]))
            .floats("e", &[], &[exponent])
            .node(Node::new("Pow", &["p", "e"], &["y"]))
            .output("y")
    };
    for exponent in [2.0, 3.0, 0.5, -1.5, 0.0] {
        compare(&model(exponent));
    }
    // An exponent of another type.
    let whole = Model::new(17)
        .input("x", &[20])
        .ints("e", &[], &[3])
        .node(Node::new("Pow", &["x", "e"], &["y"]))
        .output("y");
    compare(&whole);
}

#[test]
fn comparisons() {
    for op in ["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"] {
        compare(&binary(op, &[2, 3, 4], &[4], DataType::Bool));
    }
}

#[test]
fn logic() {
    for op in ["And", "Or", "Xor"] {
        let model = Model::new(17)
            .input_of("a", DataType::Bool, &[2, 9])
            .input_of("b", DataType::Bool, &[9])
            .node(Node::new(op, &["a", "b"], &["y"]))
            .output_of("y", DataType::Bool);
        compare(&model);
    }
    let not = Model::new(17)
        .input_of("a", DataType::Bool, &[9])
        .node(Node::new("Not", &["a"], &["y"]));
    compare(&not.output_of("y", DataType::Bool));
}

#[test]
fn several_operands() {
    for op in ["Sum", "Mean", "Max", "Min"] {
        let model = Model::new(17)
            .input("a", &[2, 3])
            .input("b", &[3])
            .input("c", &[1, 1])
            .node(Node::new(op, &["a", "b", "c"], &["y"]))
            .output("y");
        compare(&model);
    }
}

#[test]
fn parametric_relu() {
    let model = Model::new(17)
        .input("x", &[2, 3, 4, 4])
        .floats("slope", &[3, 1, 1], &[0.1, -0.2, 0.3])
        .node(Node::new("PRelu", &["x", "slope"], &["y"]))
        .output("y");
    compare(&model);
}

#[test]
fn choice() {
    let model = Model::new(17)
        .input_of("c", DataType::Bool, &[2, 1, 4])
        .input("a", &[3, 1])
        .input("b", &[])
        .node(Node::new("Where", &["c", "a", "b"], &["y"]))
        .output("y");
    compare(&model);
}

#[test]
fn casts() {
    let all = [
        DataType::Float,
        DataType::Int32,
        DataType::Int64,
        DataType::Bool,
        DataType::Uint8,
        DataType::Int8,
    ];
    for from in all {
        for to in all {
            // Negative floats to unsigned integers are undefined in ONNX.
            if to == DataType::Uint8 && from != DataType::Uint8 && from != DataType::Bool {
                continue;
            }
            let model = Model::new(17)
                .input_of("x", from, &[20])
                .node(Node::new("Cast", &["x"], &["y"]).with("to", to as i64))
                .output_of("y", to);
            compare(&model);
        }
    }
}

#[test]
fn double_precision_is_refused() {
    let model = Model::new(17)
        .input("x", &[4])
        .node(Node::new("Cast", &["x"], &["y"]).with("to", DataType::Double as i64))
        .output_of("y", DataType::Double);
    assert_eq!(
        import_error(&model),
        "node \"the_cast\": op \"Cast\" is double precision, which is not supported: export the model in float32"
    );
}

#[test]
fn normalisations() {
    let affine = |model: Model| {
        let positive: Vec<f32> = noise(3, 4).iter().map(|v| v.abs() + 0.5).collect();
        model
            .floats("scale", &[4], &noise(1, 4))
            .floats("shift", &[4], &noise(2, 4))
            .floats("mean", &[4], &noise(4, 4))
            .floats("var", &[4], &positive)
    };
    let x = || affine(Model::new(18).input("x", &[2, 4, 3, 4]));
    compare(
        &x().node(Node::new(
            "BatchNormalization",
            &["x", "scale", "shift", "mean", "var"],
            &["y"],
        ))
        .output("y"),
    );
    compare(
        &x().node(Node::new(
            "InstanceNormalization",
            &["x", "scale", "shift"],
            &["y"],
        ))
        .output("y"),
    );
    let layer =
        Node::new("LayerNormalization", &["x", "scale", "shift"], &["y"]).with("epsilon", 1e-3f32);
    compare(&x().node(layer).output("y"));
    compare(
        &x().node(
            Node::new("LpNormalization", &["x"], &["y"])
                .with("axis", 1)
                .with("p", 2),
        )
        .output("y"),
    );
    compare(
        &x().node(Node::new("MeanVarianceNormalization", &["x"], &["y"]))
            .output("y"),
    );
    let x = affine(Model::new(21).input("x", &[2, 4, 3, 4]));
    compare(
        &x.node(
            Node::new("GroupNormalization", &["x", "scale", "shift"], &["y"]).with("num_groups", 2),
        )
        .output("y"),
    );
    let x = affine(Model::new(23).input("x", &[2, 3, 4]));
    compare(
        &x.node(Node::new("RMSNormalization", &["x", "scale"], &["y"]))
            .output("y"),
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_broadcast(
        dims in prop::collection::vec(1usize..4, 1..5),
        ones in prop::array::uniform2(prop::collection::vec(any::<bool>(), 5)),
        keep in prop::array::uniform2(0usize..5),
    ) {
        // Each operand has some dimensions as 1 and some leading ones left out.
        let shape = |i: usize| -> Vec<usize> {
            let full: Vec<usize> = dims.iter().zip(&ones[i]).map(|(&d, &one)| if one { 1 } else { d }).collect();
            full[keep[i].min(full.len())..].to_vec()
        };
        compare(&binary("Sub", &shape(0), &shape(1), DataType::Float));
    }
}

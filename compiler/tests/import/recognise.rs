//! Functions that exporters spell out.

use crate::support::compare::compare_at;
use crate::support::model::{Model, Node};
use ternc::ir::{Graph, Op};
use ternrt::kernels::eltwise::UnaryKind;

/// A chain of nodes on `x`; scalars are written as numbers.
fn spelled(nodes: &[(&str, &[&str], &str)]) -> Model {
    let mut model = Model::new(17).input("x", &[2, 25]);
    for (i, (op, inputs, output)) in nodes.iter().enumerate() {
        for input in inputs.iter() {
            if let Ok(v) = input.parse::<f32>()
                && !model.graph().initializer.iter().any(|t| t.name == *input)
            {
                model = model.floats(input, &[], &[v]);
            }
        }
        model = model.node(Node::new(op, inputs, &[output]).named(&format!("n{i}")));
    }
    model.output("y")
}

#[track_caller]
fn function(graph: &Graph) -> UnaryKind {
    match &graph.nodes[..] {
        [node] => match node.op {
            Op::UnaryOp(op) => op.function.kind,
            _ => panic!("{:?}", node.op),
        },
        nodes => panic!("{nodes:#?}"),
    }
}

#[track_caller]
fn becomes(kind: UnaryKind, nodes: &[(&str, &[&str], &str)]) {
    assert_eq!(function(&compare_at(&spelled(nodes), 1e-5)), kind);
}

#[test]
fn silu() {
    becomes(
        UnaryKind::Silu,
        &[("Sigmoid", &["x"], "s"), ("Mul", &["x", "s"], "y")],
    );
    becomes(
        UnaryKind::Silu,
        &[("Sigmoid", &["x"], "s"), ("Mul", &["s", "x"], "y")],
    );
}

#[test]
fn mish() {
    becomes(
        UnaryKind::Mish,
        &[
            ("Softplus", &["x"], "s"),
            ("Tanh", &["s"], "t"),
            ("Mul", &["x", "t"], "y"),
        ],
    );
}

#[test]
fn hard_swish() {
    becomes(
        UnaryKind::HardSwish,
        &[
            ("Add", &["x", "3.0"], "a"),
            ("Clip", &["a", "0.0", "6.0"], "c"),
            ("Mul", &["x", "c"], "m"),
            ("Div", &["m", "6.0"], "y"),
        ],
    );
    becomes(
        UnaryKind::HardSwish,
        &[
            ("Add", &["x", "3.0"], "a"),
            ("Clip", &["a", "0.0", "6.0"], "c"),
            ("Div", &["c", "6.0"], "m"),
            ("Mul", &["x", "m"], "y"),
        ],
    );
}

#[test]
fn hard_sigmoid() {
    becomes(
        UnaryKind::HardSigmoid,
        &[
            ("Add", &["3.0", "x"], "a"),
            ("Clip", &["a", "0.0", "6.0"], "c"),
            ("Div", &["c", "6.0"], "y"),
        ],
    );
}

#[test]
fn gelu() {
    becomes(
        UnaryKind::Gelu,
        &[
            ("Div", &["x", "1.4142135381698608"], "d"),
            ("Erf", &["d"], "e"),
            ("Add", &["e", "1.0"], "a"),
            ("Mul", &["x", "a"], "m"),
            ("Mul", &["m", "0.5"], "y"),
        ],
    );
    becomes(
        UnaryKind::Gelu,
        &[
            ("Mul", &["x", "0.7071067690849304"], "d"),
            ("Erf", &["d"], "e"),
            ("Add", &["1.0", "e"], "a"),
            ("Mul", &["x", "0.5"], "h"),
            ("Mul", &["h", "a"], "y"),
        ],
    );
}

#[test]
fn gelu_by_tanh() {
    becomes(
        UnaryKind::GeluTanh,
        &[
            ("Pow", &["x", "3.0"], "p"),
            ("Mul", &["p", "0.044714998453855515"], "c"),
            ("Add", &["x", "c"], "s"),
            ("Mul", &["s", "0.7978845834732056"], "u"),
            ("Tanh", &["u"], "t"),
            ("Add", &["t", "1.0"], "a"),
            ("Mul", &["x", "a"], "m"),
            ("Mul", &["m", "0.5"], "y"),
        ],
    );
}

#[test]
fn relu6_of_two_bounds() {
    becomes(
        UnaryKind::Clip,
        &[("Relu", &["x"], "r"), ("Min", &["r", "6.0"], "y")],
    );
    becomes(
        UnaryKind::Clip,
        &[("Min", &["x", "1.0"], "r"), ("Max", &["r", "-1.0"], "y")],
    );
}

#[test]
fn near_misses_stay() {
    for nodes in [
        &[("Sigmoid", &["x"][..], "s"), ("Mul", &["s", "s"], "y")][..],
        &[
            ("Sigmoid", &["x"], "s"),
            ("Mul", &["x", "s"], "m"),
            ("Mul", &["m", "2.0"], "y"),
        ],
        &[
            ("Add", &["x", "3.1"], "a"),
            ("Clip", &["a", "0.0", "6.0"], "c"),
            ("Mul", &["x", "c"], "m"),
            ("Div", &["m", "6.0"], "y"),
        ],
        &[
            ("Div", &["x", "1.41"], "d"),
            ("Erf", &["d"], "e"),
            ("Add", &["e", "1.0"], "a"),
            ("Mul", &["x", "a"], "m"),
            ("Mul", &["m", "0.5"], "y"),
        ],
        &[("Max", &["x", "1.0"], "r"), ("Min", &["r", "-1.0"], "y")],
    ] {
        let graph = compare_at(&spelled(nodes), 1e-5);
        assert!(graph.nodes.len() > 1, "{:#?}", graph.nodes);
    }
}

#[test]
fn an_intermediate_that_is_read_stays() {
    let model = spelled(&[("Sigmoid", &["x"], "s"), ("Mul", &["x", "s"], "y")]).output("s");
    let graph = compare_at(&model, 1e-5);
    assert_eq!(graph.nodes.len(), 2);
}

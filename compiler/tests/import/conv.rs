//! Conv and ConvTranspose.

use crate::support::compare::{compare, import_error};
use crate::support::model::{Model, Node, noise};
use proptest::prelude::*;
use ternc::ir::{Graph, Op};

fn weights(model: Model, shape: &[usize]) -> Model {
    let count = shape.iter().product();
    model.floats("w", shape, &noise(11, count))
}

fn bias(model: Model, channels: usize) -> Model {
    model.floats("b", &[channels], &noise(12, channels))
}

fn one(op: &str, x: &[usize], w: &[usize], set: impl Fn(Node) -> Node) -> Model {
    let node = set(Node::new(op, &["x", "w"], &["y"]));
    weights(Model::new(17).input("x", x), w)
        .node(node)
        .output("y")
}

fn ops(graph: &Graph) -> Vec<&'static str> {
    graph.nodes.iter().map(|n| n.op.name()).collect()
}

#[test]
fn two_dimensions() {
    let graph = compare(&one("Conv", &[2, 3, 7, 6], &[4, 3, 3, 2], |n| n));
    assert_eq!(ops(&graph), ["transpose", "conv2d", "transpose"]);
    assert_eq!(graph.nodes[1].name, "the_conv");
    assert_eq!(graph.nodes[0].name, "the_conv.nhwc");
}

#[test]
fn with_bias() {
    let model = bias(
        weights(Model::new(17).input("x", &[1, 3, 5, 5]), &[4, 3, 3, 3]),
        4,
    )
    .node(Node::new("Conv", &["x", "w", "b"], &["y"]).with("pads", [1, 1, 1, 1]))
    .output("y");
    let graph = compare(&model);
    let Some(conv) = graph.nodes.iter().find(|n| matches!(n.op, Op::Conv2d(_))) else {
        panic!()
    };
    assert_eq!(conv.inputs.iter().flatten().count(), 3);
}

#[test]
fn a_bias_of_one_channel() {
    let model = bias(
        weights(Model::new(17).input("x", &[1, 3, 5, 5]), &[1, 3, 3, 3]),
        1,
    )
    .node(Node::new("Conv", &["x", "w", "b"], &["y"]))
    .output("y");
    compare(&model);
}

#[test]
fn a_computed_bias() {
    let model = weights(
        Model::new(17).input("x", &[1, 3, 5, 5]).input("b", &[4]),
        &[4, 3, 3, 3],
    )
    .node(Node::new("Conv", &["x", "w", "b"], &["y"]))
    .output("y");
    compare(&model);
}

#[test]
fn strides_dilations_and_uneven_pads() {
    compare(&one("Conv", &[1, 2, 11, 9], &[3, 2, 3, 2], |n| {
        n.with("strides", [2, 1])
            .with("dilations", [1, 3])
            .with("pads", [0, 1, 2, 3])
    }));
}

#[test]
fn same_padding() {
    for auto_pad in ["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"] {
        for stride in 1..4 {
            compare(&one("Conv", &[1, 2, 8, 7], &[3, 2, 4, 3], |n| {
                n.with("auto_pad", auto_pad)
                    .with("strides", [stride, stride])
                    .with("kernel_shape", [4, 3])
            }));
        }
    }
}

#[test]
fn groups() {
    let graph = compare(&one("Conv", &[1, 6, 5, 5], &[9, 2, 3, 3], |n| {
        n.with("group", 3)
    }));
    assert_eq!(ops(&graph)[1], "conv2d");
}

#[test]
fn depthwise() {
    let graph = compare(&one("Conv", &[2, 6, 5, 5], &[6, 1, 3, 3], |n| {
        n.with("group", 6)
            .with("pads", [1, 1, 1, 1])
            .with("strides", [2, 2])
    }));
    assert_eq!(ops(&graph)[1], "depthwise_conv2d");
    // More outputs than inputs: an ordinary grouped convolution.
    let graph = compare(&one("Conv", &[1, 3, 5, 5], &[6, 1, 3, 3], |n| {
        n.with("group", 3)
    }));
    assert_eq!(ops(&graph)[1], "conv2d");
}

#[test]
fn pointwise_stays_a_convolution() {
    let graph = compare(&one("Conv", &[1, 6, 5, 5], &[4, 6, 1, 1], |n| {
        n.with("strides", [2, 2])
    }));
    assert_eq!(ops(&graph), ["transpose", "conv2d", "transpose"]);
}

#[test]
fn one_dimension() {
    compare(&one("Conv", &[2, 3, 9], &[4, 3, 3], |n| {
        n.with("strides", [2])
            .with("pads", [1, 2])
            .with("dilations", [2])
    }));
    let graph = compare(&one("Conv", &[2, 4, 9], &[4, 1, 3], |n| {
        n.with("group", 4).with("auto_pad", "SAME_UPPER")
    }));
    assert!(ops(&graph).contains(&"depthwise_conv2d"));
}

#[test]
fn chained_signals_join_their_reshapes() {
    let model = weights(Model::new(17).input("x", &[1, 4, 9]), &[4, 4, 3])
        .node(Node::new("Conv", &["x", "w"], &["m"]).named("first"))
        .node(Node::new("Conv", &["m", "w"], &["y"]).named("second"))
        .output("y");
    let graph = compare(&model);
    assert_eq!(
        ops(&graph),
        [
            "reshape",
            "transpose",
            "conv2d",
            "conv2d",
            "transpose",
            "reshape"
        ]
    );
}

#[test]
fn three_dimensions_are_refused() {
    assert_eq!(
        import_error(&one("Conv", &[1, 2, 4, 4, 4], &[3, 2, 3, 3, 3], |n| n)),
        "node \"the_conv\": op \"Conv\" is not supported with 3 spatial dimensions: 1 and 2 are"
    );
}

#[test]
fn computed_weights_are_refused() {
    let model = Model::new(17)
        .input("x", &[1, 2, 4, 4])
        .input("w", &[3, 2, 3, 3])
        .node(Node::new("Conv", &["x", "w"], &["y"]))
        .output("y");
    assert_eq!(
        import_error(&model),
        "node \"the_conv\": op \"Conv\" is not supported with weights computed at run time: they must be constant"
    );
}

#[test]
fn negative_pads_are_refused() {
    assert_eq!(
        import_error(&one("Conv", &[1, 2, 4, 4], &[3, 2, 3, 3], |n| n
            .with("pads", [-1, 0, 0, 0]))),
        "node \"the_conv\": op \"Conv\": pads=[-1, 0, 0, 0] is not supported: values must lie in 0..=65535; use Pad or Slice"
    );
}

#[test]
fn transposed() {
    compare(&one("ConvTranspose", &[1, 3, 4, 5], &[3, 2, 3, 3], |n| n));
    compare(&one("ConvTranspose", &[2, 4, 4, 5], &[4, 2, 3, 2], |n| {
        n.with("strides", [2, 3])
    }));
    compare(&one("ConvTranspose", &[1, 4, 4, 5], &[4, 3, 4, 4], |n| {
        n.with("strides", [2, 2]).with("pads", [1, 1, 1, 1])
    }));
    compare(&one("ConvTranspose", &[1, 4, 4, 5], &[4, 3, 3, 3], |n| {
        n.with("strides", [2, 2])
            .with("dilations", [2, 1])
            .with("pads", [1, 0, 2, 1])
    }));
}

#[test]
fn transposed_with_groups_and_bias() {
    let model = bias(
        weights(Model::new(17).input("x", &[1, 6, 4, 5]), &[6, 2, 3, 3]),
        6,
    )
    .node(
        Node::new("ConvTranspose", &["x", "w", "b"], &["y"])
            .with("group", 3)
            .with("strides", [2, 2]),
    )
    .output("y");
    compare(&model);
    compare(&one("ConvTranspose", &[1, 4, 4, 5], &[4, 1, 3, 3], |n| {
        n.with("group", 4)
    }));
}

#[test]
fn transposed_with_output_padding() {
    // Taken from what is cut off, and beyond it.
    compare(&one("ConvTranspose", &[1, 2, 4, 4], &[2, 3, 3, 3], |n| {
        n.with("strides", [2, 2])
            .with("pads", [1, 1, 1, 1])
            .with("output_padding", [1, 1])
    }));
    compare(&one("ConvTranspose", &[1, 2, 4, 4], &[2, 3, 2, 2], |n| {
        n.with("strides", [3, 2]).with("output_padding", [2, 1])
    }));
}

#[test]
fn transposed_signal() {
    compare(&one("ConvTranspose", &[1, 2, 5], &[2, 3, 3], |n| {
        n.with("strides", [2])
            .with("pads", [1, 1])
            .with("output_padding", [1])
    }));
}

#[test]
fn transposed_output_shape_is_refused() {
    assert_eq!(
        import_error(&one("ConvTranspose", &[1, 2, 4, 4], &[2, 3, 3, 3], |n| n
            .with("output_shape", [9, 9]))),
        "node \"the_convtranspose\": op \"ConvTranspose\" is not supported with attribute \"output_shape\""
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_convolution(
        (group, per_in, per_out) in (1usize..4, 1usize..4, 1usize..4),
        kernel in prop::array::uniform2(1usize..4),
        stride in prop::array::uniform2(1i64..4),
        dilation in prop::array::uniform2(1i64..3),
        pads in prop::array::uniform4(0i64..3),
        size in prop::array::uniform2(7usize..12),
        batch in 1usize..3,
    ) {
        let model = one(
            "Conv",
            &[batch, group * per_in, size[0], size[1]],
            &[group * per_out, per_in, kernel[0], kernel[1]],
            |n| n.with("group", group as i64).with("strides", stride).with("dilations", dilation).with("pads", pads),
        );
        compare(&model);
    }

    #[test]
    fn any_transposed_convolution(
        (group, per_in, per_out) in (1usize..3, 1usize..4, 1usize..4),
        kernel in prop::array::uniform2(3usize..5),
        stride in prop::array::uniform2(1i64..4),
        dilation in prop::array::uniform2(1i64..3),
        pads in prop::array::uniform4(0i64..2),
        size in prop::array::uniform2(2usize..6),
        extra in prop::array::uniform2(0i64..3),
    ) {
        let extra: [i64; 2] = std::array::from_fn(|i| extra[i].min(stride[i].max(dilation[i]) - 1));
        let model = one(
            "ConvTranspose",
            &[1, group * per_in, size[0], size[1]],
            &[group * per_in, per_out, kernel[0], kernel[1]],
            |n| {
                n.with("group", group as i64)
                    .with("strides", stride)
                    .with("dilations", dilation)
                    .with("pads", pads)
                    .with("output_padding", extra)
            },
        );
        compare(&model);
    }
}

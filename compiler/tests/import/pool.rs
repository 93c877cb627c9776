//! MaxPool, AveragePool and the global ones.

use crate::support::compare::{compare, import_error};
use crate::support::model::{Model, Node};
use proptest::prelude::*;

fn pool(op: &str, x: &[usize], set: impl Fn(Node) -> Node) -> Model {
    Model::new(19)
        .input("x", x)
        .node(set(Node::new(op, &["x"], &["y"])))
        .output("y")
}

#[test]
fn strides_and_pads() {
    for op in ["MaxPool", "AveragePool"] {
        compare(&pool(op, &[2, 3, 7, 8], |n| n.with("kernel_shape", [3, 2])));
        compare(&pool(op, &[2, 3, 7, 8], |n| {
            n.with("kernel_shape", [3, 3])
                .with("strides", [2, 3])
                .with("pads", [1, 0, 1, 2])
        }));
    }
}

#[test]
fn ceil_mode() {
    for op in ["MaxPool", "AveragePool"] {
        for size in 5..10 {
            compare(&pool(op, &[1, 2, size, 9], |n| {
                n.with("kernel_shape", [3, 2])
                    .with("strides", [2, 4])
                    .with("ceil_mode", 1)
            }));
        }
    }
}

#[test]
fn count_include_pad() {
    for ceil in 0..2 {
        for include in 0..2 {
            compare(&pool("AveragePool", &[1, 2, 6, 7], |n| {
                n.with("kernel_shape", [3, 3])
                    .with("strides", [2, 2])
                    .with("pads", [1, 1, 1, 1])
                    .with("ceil_mode", ceil)
                    .with("count_include_pad", include)
            }));
        }
    }
}

#[test]
fn dilations() {
    for op in ["MaxPool", "AveragePool"] {
        compare(&pool(op, &[1, 2, 9, 9], |n| {
            n.with("kernel_shape", [3, 2]).with("dilations", [2, 3])
        }));
    }
}

#[test]
fn same_padding() {
    for op in ["MaxPool", "AveragePool"] {
        for auto_pad in ["SAME_UPPER", "SAME_LOWER", "VALID"] {
            compare(&pool(op, &[1, 2, 7, 8], |n| {
                n.with("kernel_shape", [3, 4])
                    .with("strides", [2, 2])
                    .with("auto_pad", auto_pad)
            }));
        }
    }
}

#[test]
fn same_padding_of_dilated_windows_is_refused() {
    let model = pool("MaxPool", &[1, 2, 7, 8], |n| {
        n.with("kernel_shape", [3, 3])
            .with("dilations", [2, 1])
            .with("auto_pad", "SAME_UPPER")
    });
    assert_eq!(
        import_error(&model),
        "node \"the_maxpool\": op \"MaxPool\" is not supported with both \"auto_pad\" and \"dilations\": state the pads"
    );
}

#[test]
fn signals() {
    for op in ["MaxPool", "AveragePool"] {
        compare(&pool(op, &[2, 3, 9], |n| {
            n.with("kernel_shape", [3])
                .with("strides", [2])
                .with("pads", [1, 0])
        }));
    }
}

#[test]
fn global() {
    for op in ["GlobalMaxPool", "GlobalAveragePool"] {
        let graph = compare(&pool(op, &[2, 3, 4, 5], |n| n));
        assert_eq!(graph.nodes.len(), 1, "{op}");
        compare(&pool(op, &[2, 3, 4], |n| n));
        compare(&pool(op, &[2, 3, 4, 5, 2], |n| n));
    }
}

#[test]
fn volumes_are_refused() {
    assert_eq!(
        import_error(&pool("MaxPool", &[1, 2, 4, 4, 4], |n| n
            .with("kernel_shape", [2, 2, 2]))),
        "node \"the_maxpool\": op \"MaxPool\" is not supported with 3 spatial dimensions: 1 and 2 are"
    );
}

#[test]
fn indices_are_refused_where_they_are_read() {
    let model = |output: &str| {
        Model::new(17)
            .input("x", &[1, 2, 4, 4])
            .node(Node::new("MaxPool", &["x"], &["y", "i"]).with("kernel_shape", [2, 2]))
            .output(output)
    };
    compare(&model("y"));
    let error = import_error(&model("i"));
    assert!(
        error.starts_with("node \"the_maxpool\": op \"MaxPool\""),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_pool(
        max in any::<bool>(),
        kernel in prop::array::uniform2(2i64..5),
        stride in prop::array::uniform2(1i64..4),
        pads in prop::array::uniform4(0i64..2),
        size in prop::array::uniform2(6usize..11),
        (ceil, include) in (0i64..2, 0i64..2),
    ) {
        let op = if max { "MaxPool" } else { "AveragePool" };
        let model = pool(op, &[1, 3, size[0], size[1]], |n| {
            let n = n.with("kernel_shape", kernel).with("strides", stride).with("pads", pads).with("ceil_mode", ceil);
            if max { n } else { n.with("count_include_pad", include) }
        });
        compare(&model);
    }
}

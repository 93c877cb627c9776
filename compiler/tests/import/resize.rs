//! Resize and Upsample.

use crate::support::compare::{compare, import_error};
use crate::support::model::{Model, Node};

fn resize(x: &[usize], scales: &[f32], set: impl Fn(Node) -> Node) -> Model {
    Model::new(18)
        .input("x", x)
        .floats("scales", &[scales.len()], scales)
        .node(set(Node::new("Resize", &["x", "", "scales"], &["y"])))
        .output("y")
}

const COORDINATES: [&str; 3] = ["half_pixel", "asymmetric", "pytorch_half_pixel"];

#[test]
fn linear() {
    for coordinates in COORDINATES {
        for scales in [
            [1.0, 1.0, 2.0, 2.0],
            [1.0, 1.0, 1.5, 3.0],
            [1.0, 1.0, 0.5, 0.75],
            [1.0, 1.0, 1.0, 2.0],
        ] {
            compare(&resize(&[2, 3, 4, 8], &scales, |n| {
                n.with("mode", "linear")
                    .with("coordinate_transformation_mode", coordinates)
            }));
        }
    }
}

#[test]
fn nearest() {
    for coordinates in COORDINATES {
        for nearest in ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"] {
            for scales in [[1.0, 1.0, 2.0, 3.0], [1.0, 1.0, 0.5, 0.25]] {
                compare(&resize(&[1, 2, 4, 8], &scales, |n| {
                    n.with("mode", "nearest")
                        .with("nearest_mode", nearest)
                        .with("coordinate_transformation_mode", coordinates)
                }));
            }
        }
    }
}

#[test]
fn aligned_corners() {
    for mode in ["linear", "nearest"] {
        for sizes in [[1, 2, 7, 9], [1, 2, 2, 5]] {
            let model = Model::new(13)
                .input("x", &[1, 2, 4, 5])
                .ints("sizes", &[4], &sizes)
                .node(
                    Node::new("Resize", &["x", "", "", "sizes"], &["y"])
                        .with("mode", mode)
                        .with("nearest_mode", "floor")
                        .with("coordinate_transformation_mode", "align_corners"),
                )
                .output("y");
            compare(&model);
        }
    }
}

#[test]
fn sizes_and_axes() {
    let model = Model::new(18)
        .input("x", &[1, 2, 4, 5])
        .ints("sizes", &[2], &[6, 10])
        .node(
            Node::new("Resize", &["x", "", "", "sizes"], &["y"])
                .with("mode", "linear")
                .with("axes", [2, 3]),
        )
        .output("y");
    compare(&model);
}

#[test]
fn signals_and_images_with_channels_last() {
    compare(&resize(&[1, 3, 5], &[1.0, 1.0, 2.0], |n| {
        n.with("mode", "linear")
    }));
    let graph = compare(&resize(&[1, 4, 5, 3], &[1.0, 2.0, 3.0, 1.0], |n| {
        n.with("mode", "linear")
    }));
    assert_eq!(graph.nodes.len(), 1);
}

#[test]
fn symmetric_half_pixels_of_exact_sizes() {
    compare(&resize(&[1, 2, 4, 4], &[1.0, 1.0, 2.0, 2.0], |n| {
        n.with("mode", "linear")
            .with("coordinate_transformation_mode", "half_pixel_symmetric")
    }));
}

#[test]
fn upsample() {
    for mode in ["nearest", "linear"] {
        let model = Model::new(9)
            .input("x", &[1, 2, 3, 4])
            .floats("scales", &[4], &[1.0, 1.0, 2.0, 3.0])
            .node(Node::new("Upsample", &["x", "scales"], &["y"]).with("mode", mode))
            .output("y");
        // tract has no Upsample: the same as a Resize.
        let as_resize = Model::new(13)
            .input("x", &[1, 2, 3, 4])
            .floats("scales", &[4], &[1.0, 1.0, 2.0, 3.0])
            .node(
                Node::new("Resize", &["x", "", "scales"], &["y"])
                    .with("mode", mode)
                    .with("nearest_mode", "floor")
                    .with("coordinate_transformation_mode", "asymmetric"),
            )
            .output("y");
        let expected = compare(&as_resize);
        let found = ternc::import::import_bytes(&model.bytes(), &Default::default()).unwrap();
        let resizes = |g: &ternc::ir::Graph| g.nodes.iter().map(|n| n.op).collect::<Vec<_>>();
        assert_eq!(resizes(&found), resizes(&expected));
    }
}

#[test]
fn refusals() {
    let cases: [(&[f32], &str, &'static str, &'static str, &str); 4] = [
        (
            &[1.0, 1.0, 2.0, 2.0],
            "linear",
            "coordinate_transformation_mode",
            "tf_half_pixel_for_nn",
            "is not supported with coordinate_transformation_mode=tf_half_pixel_for_nn: half_pixel, asymmetric, align_corners and pytorch_half_pixel are",
        ),
        (
            &[2.0, 1.0, 2.0, 2.0],
            "linear",
            "nearest_mode",
            "floor",
            "is not supported over dimensions [0, 2, 3] of 4: only height and width can change",
        ),
        (
            &[1.0, 2.0, 2.0, 2.0],
            "linear",
            "nearest_mode",
            "floor",
            "is not supported over dimensions [1, 2, 3] of 4: only height and width can change",
        ),
        (
            &[1.0, 1.0, 1.3, 1.3],
            "linear",
            "coordinate_transformation_mode",
            "half_pixel_symmetric",
            "is not supported with coordinate_transformation_mode=half_pixel_symmetric: half_pixel, asymmetric, align_corners and pytorch_half_pixel are",
        ),
    ];
    for (scales, _, name, value, reason) in cases {
        let model = resize(&[1, 2, 4, 4], scales, |n| {
            n.with("mode", "linear").with(name, value)
        });
        assert_eq!(
            import_error(&model),
            format!("node \"the_resize\": op \"Resize\" {reason}")
        );
    }
    let cubic = resize(&[1, 2, 4, 4], &[1.0, 1.0, 2.0, 2.0], |n| {
        n.with("mode", "cubic")
    });
    assert_eq!(
        import_error(&cubic),
        "node \"the_resize\": op \"Resize\": mode=cubic is not supported: only nearest and linear are"
    );
    let antialias = resize(&[1, 2, 4, 4], &[1.0, 1.0, 0.5, 0.5], |n| {
        n.with("mode", "linear").with("antialias", 1)
    });
    assert_eq!(
        import_error(&antialias),
        "node \"the_resize\": op \"Resize\" is not supported with antialias=1 to a smaller size"
    );
}

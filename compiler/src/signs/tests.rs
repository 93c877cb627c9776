use super::*;
use crate::ir::{Tensor, text};
use crate::ops::run_graph;

/// Whether the value named `y` is known not to be negative. If so, it must not be with
/// inputs that are everything.
fn sign(nodes: &str) -> bool {
    let text = format!("graph \"t\"\ninput %x \"x\" : f32[1,4,4,4]\n{nodes}output \"y\" = %y\n");
    let graph = text::parse(&text).unwrap_or_else(|e| panic!("{e:#}"));
    let known = non_negative(&graph)[graph.outputs[0].1.0];
    let numbers = [
        f32::NAN,
        f32::INFINITY,
        -0.0,
        f32::NEG_INFINITY,
        1.0,
        -2.5,
        f32::MAX,
    ];
    // Of a period that meets every channel and place.
    let x = (0..64).map(|i| numbers[i % 7]).collect();
    let y = run_graph(&graph, &[Tensor::f32(vec![1, 4, 4, 4], x)]).unwrap();
    let all = match &y[0].data {
        Data::F32(y) => y.iter().all(|y| *y >= 0.0),
        Data::I8(y) => y.iter().all(|y| *y >= 0),
        other => panic!("{other:?}"),
    };
    assert!(all || !known, "{nodes}");
    known
}

#[test]
fn functions_may_exclude_negative_numbers() {
    for (function, expected) in [
        ("relu", true),
        ("clip(0.0;6.0)", true),
        ("clip(-1.0;6.0)", false),
        ("clip(0.0;-5.0)", false),
        // Of a NaN they are NaN.
        ("sigmoid", false),
        ("abs", false),
        ("identity", false),
        ("tanh", false),
        ("leaky_relu(0.1;0.0)", false),
    ] {
        let found = sign(&format!("%y \"y\" = unary(%x) function={function}\n"));
        assert_eq!(found, expected, "{function}");
    }
}

#[test]
fn layers_have_the_signs_of_their_activations() {
    let layer = |activation: &str| {
        sign(&format!(
            "constant %w \"w\" : ternary[4,1,1,4] = ternary(1)\n\
             %y \"y\" = conv2d(%x, %w) kernel=[1,1] activation={activation}\n"
        ))
    };
    assert!(layer("relu") && layer("clip(0.0;6.0)"));
    assert!(!layer("identity") && !layer("silu"));
}

#[test]
fn movement_and_sums_keep_signs() {
    let after = |nodes: &str| {
        let relu = "%r \"r\" = unary(%x) function=relu\n";
        assert!(!sign(&nodes.replace("%r", "%x")), "{nodes}");
        sign(&format!("{relu}{nodes}"))
    };
    for nodes in [
        "%y \"y\" = reshape(%r) : f32[64]\n",
        "%y \"y\" = transpose(%r) perm=[0,2,1,3]\n",
        "%y \"y\" = max_pool(%r) kernel=[2,2] stride=[2,2]\n",
        "%y \"y\" = average_pool(%r) kernel=[2,2] stride=[2,2]\n",
        "%y \"y\" = binary(%r, %r) function=add\n",
        "%y \"y\" = concat(%r, %r) axis=3\n",
        "%y \"y\" = unary(%r) function=sigmoid\n",
        "%y \"y\" = quantize(%r) : i8[1,4,4,4] q127 @ 0.05\n",
        "%q \"q\" = quantize(%r) : i8[1,4,4,4] q127 @ 0.05\n%y \"y\" = dequantize(%q)\n",
    ] {
        assert!(after(nodes), "{nodes}");
    }
    for nodes in [
        "%y \"y\" = binary(%r, %r) function=sub\n",
        "%y \"y\" = binary(%r, %x) function=add\n",
        "%y \"y\" = concat(%r, %x) axis=3\n",
        // Of infinities it is NaN.
        "%y \"y\" = softmax(%r) axis=3\n",
        // A window that has no number of the image.
        "%y \"y\" = max_pool(%r) kernel=[2,2] pads=[2,0,0,0]\n",
    ] {
        assert!(!after(nodes), "{nodes}");
    }
}

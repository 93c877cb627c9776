//! Each rule, broken once.

use super::verify;
use crate::ir::{Graph, NodeId, Scale, ValueId, text};
use ternrt::Codec;

const GOOD: &str = r#"
graph "good"
input %x "x" : f32[1,4,4,2]
constant %w "w" codec=t2 : ternary[3,1,1,2] = ternary(1)
constant %v "v" : f32[3,3] = random(2)
constant %d "d" : ternary[3,3,3,1] = ternary(3)
%q, %s "quantize" = quantize(%x) : i8[1,4,4,2] q127 @ %s, f32[1]
%a "conv" = conv2d(%q, %w) kernel=[1,1] : f32[1,4,4,3]
%b "depthwise" = depthwise_conv2d(%a, %d) kernel=[3,3] pads=[1,1,1,1] : f32[1,4,4,3]
%c "fc" = gemm(%b, %v) : f32[1,4,4,3]
%t "turned" = transpose(%q) perm=[0,3,1,2] : i8[1,2,4,4] q127 @ %s
output "y" = %c
output "t" = %t
"#;

fn good() -> Graph {
    let graph = text::parse(GOOD).unwrap();
    verify(&graph).unwrap();
    graph
}

/// Value by its name in the text.
fn named(graph: &Graph, name: &str) -> ValueId {
    ValueId(graph.values.iter().position(|v| v.name == name).unwrap())
}

#[track_caller]
fn refused(graph: &Graph, expected: &str) {
    let message = verify(graph).unwrap_err().to_string();
    assert!(message.contains(expected), "{message}");
}

#[track_caller]
fn refused_text(from: &str, to: &str, expected: &str) {
    assert!(GOOD.contains(from), "{from}");
    refused(&text::parse(&GOOD.replace(from, to)).unwrap(), expected);
}

#[test]
fn names_are_unique() {
    refused_text(
        "\"fc\"",
        "\"conv\"",
        "node \"conv\": another node has the same name",
    );
    refused_text(
        "output \"t\"",
        "output \"y\"",
        "output \"y\": another output",
    );
    let mut g = good();
    g.inputs.push(g.inputs[0].clone());
    refused(&g, "input \"x\": another input");
}

#[test]
fn definitions_come_before_uses_and_once() {
    let mut g = good();
    g.nodes.swap(1, 2);
    refused(
        &g,
        "node \"depthwise\": operand 0, %6, is used before it is defined",
    );

    let mut g = good();
    let twice = g.nodes[1].outputs.clone();
    g.nodes[3].outputs = twice;
    refused(&g, "node \"fc\": %6 is defined twice");

    let mut g = good();
    let x = g.inputs[0].1;
    g.nodes[0].outputs[1] = x;
    refused(&g, "node \"quantize\"");

    let mut g = good();
    g.nodes[3].inputs[0] = Some(ValueId(99));
    refused(&g, "node \"fc\": there is no value %99");

    let mut g = good();
    g.inputs[0].1 = named(&g, "v");
    refused(&g, "input \"x\": %2 is not defined as input 0");
}

#[test]
fn types_equal_inference() {
    refused_text(
        "%c \"fc\" = gemm(%b, %v) : f32[1,4,4,3]",
        "%c \"fc\" = gemm(%b, %v) : f32[1,4,4,4]",
        "node \"fc\": gemm: the result is f32[1,4,4,3], not f32[1,4,4,4]",
    );
    refused_text(
        "kernel=[1,1]",
        "kernel=[2,1]",
        "node \"conv\": conv2d: operand \"w\" is f32[3,1,1,2], must be [3, 2, 1, 2]",
    );
    refused_text(
        "i8[1,2,4,4] q127 @ %s",
        "i8[1,2,4,4] q63 @ %s",
        "node \"turned\"",
    );
    refused_text(
        "q127 @ %s, f32[1]",
        "q127 @ %s, f32[2]",
        "the result is f32[1], not f32[2]",
    );
    refused_text("perm=[0,3,1,2]", "perm=[0,3,3,2]", "is no permutation");
    refused_text(
        "input %x \"x\" : f32[1,4,4,2]",
        "input %x \"x\" : f32[1,4,0,2]",
        "input \"x\": f32[1,4,0,2] has no elements",
    );
}

#[test]
fn weights_are_constant_and_those_with_scales_nothing_else() {
    refused_text(
        "gemm(%b, %v) : f32[1,4,4,3]",
        "gemm(%b, %z) : f32[1,4,4,3]\ninput %z \"z\" : f32[3,3]",
        "node \"fc\": operand 1, %9: weights must be constant",
    );
    refused_text(
        "constant %w \"w\" codec=t2 : ternary[3,1,1,2] = ternary(1)",
        "constant %w \"w\" : f32[3,1,1,2] = random(1)",
        "needs integer ones",
    );
    refused_text(
        "output \"y\" = %c",
        "output \"y\" = %c\n%z \"copy\" = unary(%d) function=identity : f32[3,3,3,1]",
        "node \"copy\": operand 0, %3, holds integers",
    );
    refused_text(
        "output \"y\" = %c",
        "output \"y\" = %d",
        "output \"y\": %3 holds weights with scales",
    );
}

#[test]
fn constants_hold_what_they_say() {
    let edit = |f: &dyn Fn(&mut crate::ir::Scaled)| {
        let mut g = good();
        let w = named(&g, "w");
        let crate::ir::Constant::Scaled(t) = &**g.constant(w).unwrap() else {
            panic!()
        };
        let mut t = t.clone();
        f(&mut t);
        g.values[w.0].def = crate::ir::Def::Const(crate::ir::Constant::Scaled(t).into());
        verify(&g).unwrap_err().to_string()
    };
    let message = edit(&|t| t.values[0] = 2);
    assert_eq!(message, "constant %1 \"w\": the codec t2 does not fit");
    let message = edit(&|t| t.values[0] = -128);
    assert_eq!(
        message,
        "constant %1 \"w\": holds -128, weights are -127 to 127"
    );
    let message = edit(&|t| t.scale[0] = f32::NAN);
    assert!(message.contains("needs 3 finite scales"), "{message}");
    let message = edit(&|t| {
        t.scale.pop();
    });
    assert!(
        message.contains("needs 3 finite scales, has 2"),
        "{message}"
    );
    let message = edit(&|t| t.shape = vec![6]);
    assert!(
        message.contains("holds f32[6], the type is f32[3,1,1,2]"),
        "{message}"
    );
    let message = edit(&|t| {
        t.values.pop();
    });
    assert!(message.contains("holds 5 elements"), "{message}");

    let mut g = good();
    let (w, v) = (named(&g, "w"), named(&g, "v"));
    g.values[v.0].codec = Some(Codec::T2);
    refused(&g, "constant %2 \"v\": the codec t2 does not fit");
    g.values[v.0].codec = Some(Codec::F16);
    verify(&g).unwrap();
    g.values[w.0].codec = Some(Codec::F32);
    refused(&g, "the codec f32 does not fit");
    let mut g = good();
    let c = g.outputs[0].1;
    g.values[c.0].codec = Some(Codec::F32);
    refused(&g, "node \"fc\": result %8: only constants have a codec");
}

#[test]
fn scales_are_computed_before_what_they_scale() {
    // The quantize node's scale is its own second result.
    let mut g = good();
    let q = g.nodes[0].outputs[0];
    if let Some(quant) = &mut g.values[q.0].ty.quant {
        quant.scale = Scale::Dynamic(q);
    }
    refused(
        &g,
        "node \"quantize\": the scale %4 of %4 is no result of a quantize node",
    );
    // Dynamic scales need the second result.
    let mut g = good();
    g.nodes[0].outputs.pop();
    refused(&g, "node \"quantize\": quantize: 1 results, 2 inferred");
    refused_text(
        "input %x \"x\" : f32[1,4,4,2]",
        "input %x \"x\" : i8[1,4,4,2] q127 @ %s",
        "input \"x\": i8[1,4,4,2] q127 @ %1: a dynamic scale needs a quantize node",
    );
    refused_text(
        "input %x \"x\" : f32[1,4,4,2]",
        "input %x \"x\" : f32[1,4,4,2]\ninput %u \"u\" : f32[2] q127 @ 0.5",
        "input \"u\": f32[2] q127 @ 0.5: only i8 and i16",
    );
    refused_text(
        "input %x \"x\" : f32[1,4,4,2]",
        "input %x \"x\" : f32[1,4,4,2]\ninput %u \"u\" : i8[2] q128 @ 0.5",
        "qmax must lie in 1..=127",
    );
}

#[test]
fn outputs_exist() {
    let mut g = good();
    g.outputs.clear();
    refused(&g, "the graph has no outputs");
    let mut g = good();
    g.outputs[0].1 = ValueId(99);
    refused(&g, "output \"y\": there is no value %99");
    let mut g = good();
    let last = NodeId(g.nodes.len() - 1);
    g.nodes.truncate(last.0);
    refused(&g, "output \"t\": %9 is not defined");
}

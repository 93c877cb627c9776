use super::*;
use crate::host::Aligned;
use crate::ir::text::parse;
use crate::ir::{Constant, Graph, ValueId};
use crate::pack::CodecChoice;
use crate::pipeline::{CompileOptions, Silent, compile_graph};
use std::sync::Arc;

const TEXT: &str = "graph \"t\"\n\
     input %x \"x\" : f32[1,8]\n\
     constant %a \"a\" : f32[8,8] = random(1)\n\
     constant %w \"w\" : ternary[8,8] = ternary(2)\n\
     constant %b \"b\" : f32[8] = random(4)\n\
     %i \"stem\" = gemm(%x, %a)\n\
     %j \"middle\" = gemm(%i, %w, %b)\n\
     %k \"end\" = softmax(%j) axis=1\n\
     output \"y\" = %k\n";

fn graph() -> Graph {
    parse(TEXT).unwrap()
}

fn compile(graph: Graph, codec: CodecChoice) -> Aligned {
    let options = CompileOptions {
        codec,
        ..CompileOptions::default()
    };
    Aligned::new(&compile_graph(graph, "t", &options, &Silent).unwrap().bytes)
}

fn compare(a: &Aligned, b: &Aligned) -> Diff {
    let (a, b) = (
        Model::new(a.bytes()).unwrap(),
        Model::new(b.bytes()).unwrap(),
    );
    diff(&a, &b, ["a", "b"]).unwrap()
}

/// Changes the ternary weights of a graph.
fn altered(change: impl Fn(&mut crate::ir::Scaled)) -> Graph {
    let mut graph = graph();
    let id = (0..graph.values.len())
        .map(ValueId)
        .find(|&id| graph.value(id).name == "w")
        .unwrap();
    let mut constant = graph.constant(id).unwrap().as_ref().clone();
    let Constant::Scaled(weights) = &mut constant else {
        panic!("w is ternary")
    };
    change(weights);
    graph.values[id.0].def = crate::ir::Def::Const(Arc::new(constant));
    graph
}

#[test]
fn a_model_is_itself() {
    let a = compile(graph(), CodecChoice::T2);
    let diff = compare(&a, &a);
    assert!(diff.identical && diff.is_empty());
    assert_eq!(diff.same_ops, 3);
    assert_eq!(diff.to_text(), "a and b are the same\n");
}

#[test]
fn flips_and_scales_are_counted() {
    let before = graph();
    let a = compile(before, CodecChoice::T2);
    let b = altered(|w| {
        // One of each kind, wherever these trits are.
        let at = |w: &crate::ir::Scaled, t: i8| w.values.iter().position(|&v| v == t).unwrap();
        let (plus, zero, minus) = (at(w, 1), at(w, 0), at(w, -1));
        w.values[plus] = -1;
        w.values[zero] = 1;
        w.values[minus] = 0;
        w.scale[0] *= 1.5;
    });
    let diff = compare(&a, &compile(b, CodecChoice::T2));
    assert!(!diff.identical);
    let [op] = &diff.ops[..] else {
        panic!("{:?}", diff.ops)
    };
    assert_eq!((op.name.as_str(), op.status), ("middle", Status::Changed));
    assert!(op.changes.is_empty(), "{:?}", op.changes);
    let weights = op.weights.as_ref().unwrap();
    assert_eq!(
        weights.flips,
        Some(Flips {
            all: 3,
            sign: 1,
            to_zero: 1,
            from_zero: 1
        })
    );
    let scales = weights.scales.unwrap();
    assert_eq!((scales.changed, scales.count), (1, 8));
    assert!((scales.largest.unwrap() - 0.5).abs() < 1e-6);
    assert!(weights.relative_change.unwrap() > 0.0);
    assert_eq!(weights.bias_change, 0.0);
    assert_eq!(diff.same_ops, 2);
    assert!(diff.to_text().contains("3 of 64 (4.69%): 1 change sign"));
}

#[test]
fn codecs_ops_and_readers_are_named() {
    let a = compile(graph(), CodecChoice::T2);
    let diff_codec = compare(&a, &compile(graph(), CodecChoice::T5));
    let codec = |c: &Change| (c.what.as_str(), c.a.as_str(), c.b.as_str()) == ("codec", "t2", "t5");
    assert!(diff_codec.ops[0].changes.iter().any(codec));
    // The same trits in another layout are no flips.
    assert_eq!(diff_codec.ops[0].weights, None);

    let text = TEXT
        .replace("\"end\" = softmax(%j)", "\"end\" = softmax(%i)")
        .replace("%j \"middle\" = gemm(%i, %w, %b)\n", "")
        .replace("axis=1\n", "axis=1\n%l \"last\" = softmax(%k) axis=0\n")
        .replace("= %k\n", "= %l\n");
    let diff = compare(&a, &compile(parse(&text).unwrap(), CodecChoice::T2));
    let found: Vec<(&str, Status)> = diff
        .ops
        .iter()
        .map(|o| (o.name.as_str(), o.status))
        .collect();
    assert_eq!(
        found,
        [
            ("middle", Status::Removed),
            ("end", Status::Changed),
            ("last", Status::Added)
        ]
    );
    let reads = &diff.ops[1].changes[0];
    assert_eq!(
        (reads.what.as_str(), reads.a.as_str(), reads.b.as_str()),
        ("reads", "middle", "stem")
    );
    let text = diff.to_text();
    for line in ["middle: in a alone", "last: in b alone", "file bytes"] {
        assert!(text.contains(line), "{text}");
    }
}

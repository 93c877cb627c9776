//! Printing and parsing are inverse; errors tell the place.

use super::*;
use crate::ir::{Constant, Data, Graph, Quant, Scale, Scaled, Tensor, Type, verify};
use proptest::prelude::*;
use ternrt::kernels::eltwise::{BinaryKind, Unary, UnaryKind};
use ternrt::kernels::movement::{PadMode, ResizeCoordinates, ResizeMode};
use ternrt::kernels::reduce::ReduceKind;
use ternrt::ops::table::*;
use ternrt::{Codec, DType};

const DIGITS: &str = r#"graph "digits"
metadata "labels" = "zero\none"
input %0 "image" : f32[1,8,8,1]
constant %1 "conv1.weight" codec=t2 : ternary[2,1,2,1] = trits(+0-+) scale=[0.5,0.25]
constant %2 "conv1.bias" : f32[2] = [0.1,-inf]
%3 "conv1" = conv2d(%0, %1, %2) kernel=[1,2] stride=[2,1] activation=clip(0.0;6.0) : f32[1,4,7,2]
%4, %5("conv1.scale") "q" = quantize(%3) : i8[1,4,7,2] q127 @ %5, f32[1]
%6 "t" = transpose(%4) perm=[0,3,1,2] : i8[1,2,4,7] q127 @ %5
output "features" = %6
"#;

#[test]
fn the_printed_text_is_the_parsed_one() {
    let graph = parse(DIGITS).unwrap();
    verify(&graph).unwrap();
    assert_eq!(print(&graph, Constants::Full), DIGITS);
    assert_eq!(graph.metadata["labels"], "zero\none");
    assert_eq!(graph.values[5].name, "conv1.scale");
    assert_eq!(graph.values[1].codec, Some(Codec::T2));
}

#[test]
fn words_comments_usual_attributes_and_generators() {
    let graph = parse(
        r#"
        // Values may be words, and types follow from the operands.
        graph "words"
        input %x "x" : f32[1,6,6,4] // an image
        constant %w "w" : ternary[8,3,3,4] = ternary(7)
        constant %b "b" : f32[8] = random(1)
        constant %half "half" : f16[2] = fill(0.5)
        %y "conv" = conv2d(%x, %w, %b) kernel=[3,3] pads=[1,1,1,1]
        %q, %s "q" = quantize(%y) : i8[1,6,6,8] q63 @ %s, f32[1]
        %z "again" = conv2d(%q, %w2, _, %q) kernel=[1,1] : f32[1,6,6,8]
        constant %w2 "w2" : ternary[8,1,1,8] = ternary(8)
        output "z" = %z
        "#,
    )
    .unwrap();
    verify(&graph).unwrap();
    assert_eq!(graph.nodes[0].inputs.len(), 3);
    assert_eq!(graph.nodes[2].inputs[2], None);
    let y = graph.ty(graph.nodes[0].outputs[0]);
    assert_eq!(y.to_string(), "f32[1,6,6,8]");
    let scale = graph.nodes[1].outputs[1];
    let quant = graph.ty(graph.nodes[1].outputs[0]).quant;
    assert_eq!(
        quant,
        Some(Quant {
            qmax: 63,
            scale: Scale::Dynamic(scale)
        })
    );
    let Constant::Scaled(w) = &**graph.constant(graph.nodes[0].inputs[1].unwrap()).unwrap() else {
        panic!()
    };
    for trit in -1..=1 {
        assert!(
            w.values.iter().filter(|&&t| t == trit).count() > 60,
            "{trit}"
        );
    }
    assert!(w.scale.iter().all(|s| (0.25..1.0).contains(s)));
    let again = parse(&print(&graph, Constants::Full)).unwrap();
    assert_eq!(again, graph);
    // People see less.
    let text = graph.to_string();
    assert!(
        text.contains("\"w\" : ternary[8,3,3,4] = elided\n"),
        "{text}"
    );
    let message = parse(&text).unwrap_err().to_string();
    assert!(
        message.contains("left out when this was printed"),
        "{message}"
    );
}

#[test]
fn errors_tell_line_column_and_expectation() {
    let cases = [
        (
            "graph digits",
            "line 1, column 7: expected the graph's name, found `digits`",
        ),
        (
            "grph \"x\"",
            "line 1, column 1: expected `graph`, `metadata`",
        ),
        (
            "\ninput %0 \"x\" f32[1]",
            "line 2, column 14: expected `:`, found `f32[1]`",
        ),
        (
            "input %0 \"x\" : f33[1]",
            "column 16: expected a type such as `f32[1,2]`",
        ),
        (
            "input %0 \"x\" : f32[1",
            "expected `,`, found the end of the line",
        ),
        (
            "input %0 \"x\" : f32[1] f32",
            "expected the end of the line",
        ),
        ("input %0 \"x : f32[1]", "a string without an end"),
        ("input %0 \"\\q\" : f32[1]", "an escape that is none"),
        ("input %9999999 \"x\" : f32[1]", "a number below"),
        ("input %0 \"x\" : i8[1] q127 0.5", "expected `@`"),
        (
            "constant %0 \"c\" : f32[2] = [1.0]",
            "1 elements for f32[2], which has 2",
        ),
        (
            "constant %0 \"c\" : f32[2] = [1.0,z]",
            "expected a number, found `z]`",
        ),
        (
            "constant %0 \"c\" : i8[1] = [300]",
            "expected an i8, found `300]`",
        ),
        (
            "constant %0 \"c\" : f32[1] = hex(00)",
            "whole elements of f32",
        ),
        (
            "constant %0 \"c\" codec=t9 : f32[1] = [1.0]",
            "expected a codec",
        ),
        (
            "constant %0 \"c\" : ternary[2] = trits(+-) scale=[1.0]",
            "2 weights and 1 scales",
        ),
        (
            "constant %0 \"c\" : f32[99999999999] = fill(0)",
            "too large",
        ),
        (
            "output \"y\" = %3",
            "line 1, column 14: this value is defined nowhere",
        ),
        (
            "%1 \"n\" = cast(%1) : i8[1] q127 @ %7",
            "column 34: this value is defined nowhere",
        ),
        (
            "input %0 \"x\" : f32[1]\ninput %0 \"y\" : f32[1]",
            "line 2, column 7: this value is defined twice",
        ),
    ];
    for (text, expected) in cases {
        let message = parse(text).unwrap_err().to_string();
        assert!(message.contains(expected), "{text}: {message}");
    }
    let node = |line: &str| {
        let text = format!("input %0 \"x\" : f32[1,4,4,1]\n{line}");
        parse(&text).unwrap_err().to_string()
    };
    let cases = [
        (
            "%1 \"n\" = conv3d(%0)",
            "line 2, column 10: there is no op `conv3d`",
        ),
        (
            "%1 \"n\" = max_pool(%0) stride=[2,2]",
            "max_pool: attribute `kernel` is missing",
        ),
        (
            "%1 \"n\" = max_pool(%0) kernel=[2]",
            "attribute `kernel` cannot be `[2]`",
        ),
        (
            "%1 \"n\" = softmax(%0) axis=1 ax=2",
            "softmax has no attribute `ax`, only axis, log",
        ),
        ("%1 \"n\" = softmax(%0) axis=1 axis=1", "given twice"),
        (
            "%1 \"n\" = softmax(%0) axis=7",
            "softmax: axis=7 of f32[1,4,4,1]",
        ),
        ("%1 \"n\" = softmax(%2) axis=1", "expected `:` and types"),
        (
            "%1, %2 \"n\" = softmax(%0) axis=1",
            "2 results with 1 types",
        ),
        ("%1 \"n\" = softmax(%0 %0) axis=1", "expected `,`"),
    ];
    for (text, expected) in cases {
        let message = node(text);
        assert!(message.contains(expected), "{text}: {message}");
    }
}

#[test]
fn every_data_type_round_trips() {
    let special = [f32::NAN, f32::INFINITY, -0.0, 1e-45, 0.1];
    let mut graph = Graph::default();
    for n in [3usize, 5, 40] {
        let floats: Vec<f32> = (0..n).map(|i| special[(i + 1) % (5 - n % 2)]).collect();
        for dtype in DType::ALL {
            let floats = Data::F32(floats.clone());
            let data = crate::ops::convert(&floats, dtype);
            graph.add_constant("c\"\u{1}\\", Constant::Dense(Tensor::new(vec![n], data)));
        }
    }
    let text = print(&graph, Constants::Full);
    let parsed = parse(&text).unwrap();
    assert_eq!(print(&parsed, Constants::Full), text);
    for (a, b) in graph.values.iter().zip(&parsed.values) {
        let bytes = |v: &crate::ir::Value| match &v.def {
            crate::ir::Def::Const(c) => match &**c {
                Constant::Dense(t) => t.data.to_le_bytes(),
                Constant::Scaled(_) => Vec::new(),
            },
            _ => Vec::new(),
        };
        assert_eq!(bytes(a), bytes(b));
        assert_eq!((&a.name, &a.ty), (&b.name, &b.ty));
    }
}

/// Builds a graph of random ops over random shapes; what does not fit is left out.
fn random_graph(seed: u64, nodes: usize) -> Graph {
    let mut next = super::data::generator(seed);
    let mut below = move |n: usize| (next() % n as u64) as usize;
    let mut g = Graph {
        name: format!("g{seed}"),
        ..Graph::default()
    };
    g.metadata
        .insert("seed".into(), format!("{seed:?} \"quoted\"\\"));
    let image: Vec<usize> = (0..4).map(|_| 1 + below(6)).collect();
    let mut images = vec![g.add_input("x", Type::new(DType::F32, image.clone()))];
    let static_type = Type::quantised(image, [63, 127, 32767][below(3)], Scale::Static(0.1));
    images.push(g.add_input("q/in", static_type));
    for n in 0..nodes {
        let name = format!("node/{n}");
        let x = images[below(images.len())];
        let ty = g.ty(x).clone();
        let shape = ty.shape.clone();
        let c = shape[3];
        let axis = below(4) as u8;
        let kernel = [1 + below(3) as u16, 1 + below(3) as u16];
        let stride = [1 + below(2) as u16, 1 + below(2) as u16];
        let pads = [0; 4].map(|_: i32| below(2) as u16);
        let unary = [
            Unary::IDENTITY,
            Unary::new(UnaryKind::HardSwish),
            Unary {
                kind: UnaryKind::Clip,
                alpha: -1.5,
                beta: 6.0,
            },
            Unary {
                kind: UnaryKind::LeakyRelu,
                alpha: 0.01,
                beta: 0.0,
            },
        ][below(4)];
        let out = 1 + below(5);
        let mut weights = |g: &mut Graph, shape: Vec<usize>, ternary: bool| {
            let len = shape.iter().product();
            let constant = if ternary {
                let trits = (0..len).map(|_| below(3) as i8 - 1).collect();
                let scale = (0..shape[0]).map(|o| 0.1 * (o + 1) as f32).collect();
                Constant::Scaled(Scaled {
                    shape,
                    values: trits,
                    scale,
                })
            } else {
                let values = (0..len).map(|i| i as f32 / 7.0).collect();
                Constant::Dense(Tensor::f32(shape, values))
            };
            let codec = if ternary { Codec::T5 } else { Codec::F16 };
            let w = g.add_constant("w", constant);
            g.values[w.0].codec = [None, Some(codec)][below(2)];
            w
        };
        let quantised = ty.quant.is_some();
        let [kh, kw] = kernel.map(usize::from);
        let made = match n % 17 {
            0 => {
                let w = weights(&mut g, vec![out, kh, kw, c], quantised);
                let op = Conv2d {
                    kernel,
                    stride,
                    dilation: [1, 2],
                    pads,
                    group: 1,
                    transposed: out % 2 == 0,
                    activation: unary,
                };
                g.emit(&name, op, &[Some(x), Some(w)])
            }
            1 => {
                let w = weights(&mut g, vec![c, kh, kw, 1], quantised);
                let b = g.add_constant("b", Constant::Dense(Tensor::f32(vec![c], vec![-0.5; c])));
                let dilation = [1, 1];
                let op = DepthwiseConv2d {
                    kernel,
                    stride,
                    dilation,
                    pads,
                    activation: unary,
                };
                g.emit(&name, op, &[Some(x), Some(w), Some(b)])
            }
            2 => {
                let w = weights(&mut g, vec![c, c], quantised);
                let op = Gemm { activation: unary };
                let wanted = Type::quantised(shape, 127, Scale::Static(1e-5));
                g.emit_as(&name, op, &[Some(x), Some(w), None, Some(x)], wanted)
            }
            3 => g.emit_quantize(&name, x, 127, None),
            4 => g.emit(&name, Dequantize {}, &[Some(x)]),
            5 => g.emit(
                &name,
                MaxPool {
                    kernel,
                    stride,
                    dilation: [1, 1],
                    pads,
                },
                &[Some(x)],
            ),
            6 => {
                let count_include_pad = out % 2 == 0;
                let op = AveragePool {
                    kernel,
                    stride,
                    dilation: [1, 1],
                    pads,
                    count_include_pad,
                };
                g.emit(&name, op, &[Some(x)])
            }
            7 => g.emit(&name, UnaryOp { function: unary }, &[Some(x)]),
            8 => {
                let function = BinaryKind::Mul;
                g.emit(
                    &name,
                    BinaryOp {
                        function,
                        activation: unary,
                    },
                    &[Some(x), Some(x)],
                )
            }
            9 => {
                let perm = [[0, 3, 1, 2, 0, 0], [3, 2, 1, 0, 0, 0]][below(2)];
                g.emit(&name, Transpose { perm }, &[Some(x)])
            }
            10 => g.emit(&name, Concat { axis }, &[Some(x), Some(x), Some(x)]),
            11 => {
                let mut op = Slice {
                    start: [0; 6],
                    step: [1; 6],
                };
                op.start[axis as usize] = below(2) as u32;
                op.step[3 - axis as usize] = 1 + below(2) as i32;
                g.emit(&name, op, &[Some(x)])
            }
            12 => {
                let mut op = Pad {
                    before: [0; 6],
                    mode: PadMode::Edge,
                    value: 0.0,
                };
                op.before[axis as usize] = 2;
                g.emit(&name, op, &[Some(x)])
            }
            13 => {
                let op = Resize {
                    scale: [2.0, 0.75],
                    mode: ResizeMode::NearestFloor,
                    coordinates: ResizeCoordinates::Asymmetric,
                };
                g.emit(&name, op, &[Some(x)])
            }
            14 => g.emit(
                &name,
                Softmax {
                    axis,
                    log: out % 2 == 0,
                },
                &[Some(x)],
            ),
            15 => {
                let function = [ReduceKind::Mean, ReduceKind::ArgMax][below(2)];
                g.emit(
                    &name,
                    Reduce {
                        function,
                        axes: 1 << axis,
                    },
                    &[Some(x)],
                )
            }
            _ => {
                let indices = Tensor::new(vec![2], Data::I64(vec![0, -1]));
                let i = g.add_constant("i", Constant::Dense(indices));
                g.emit(&name, Gather { axis }, &[Some(x), Some(i)])
            }
        };
        // What does not fit is refused, and the next op is tried.
        images.extend(made.ok().filter(|&v| g.ty(v).elements() < 4000));
    }
    let last = images[images.len() - 1];
    g.outputs.push(("y".into(), last));
    g
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn random_graphs_round_trip(seed in any::<u64>(), nodes in 1usize..60) {
        let graph = random_graph(seed, nodes);
        prop_assert!(verify(&graph).is_ok(), "{:?}", verify(&graph));
        let text = print(&graph, Constants::Full);
        let parsed = parse(&text);
        prop_assert!(parsed.is_ok(), "{:?}\n{text}", parsed);
        prop_assert_eq!(&parsed.unwrap(), &graph);
    }

    #[test]
    fn hostile_text_gives_errors(at in 0usize..DIGITS.len(), with in any::<char>()) {
        let mut text: Vec<char> = DIGITS.chars().collect();
        if let Some(c) = text.get_mut(at) {
            *c = with;
        }
        let text: String = text.into_iter().collect();
        if let Ok(graph) = parse(&text) {
            // Whatever was read can be printed and verified without a panic.
            let _ = verify(&graph);
            let printed = print(&graph, Constants::Full);
            prop_assert_eq!(print(&parse(&printed).unwrap(), Constants::Full), printed);
        }
    }
}

#[test]
fn random_graphs_hold_most_ops() {
    let mut ops: Vec<&str> = (0..20)
        .flat_map(|seed| random_graph(seed, 60).nodes)
        .map(|n| n.op.name())
        .collect();
    ops.sort_unstable();
    ops.dedup();
    assert!(ops.len() >= 16, "{ops:?}");
}

use super::*;
use crate::ir::{Data, Tensor, text};
use proptest::prelude::*;

fn graph(constants: &str, nodes: &str) -> Graph {
    let text = format!("graph \"t\"\n{constants}{nodes}output \"y\" = %y\n");
    text::parse(&text).unwrap_or_else(|e| panic!("{e:#}"))
}

/// The codec of the weights of each node that has any.
fn codecs(graph: &Graph) -> Vec<Option<Codec>> {
    let weights = graph.nodes.iter().filter_map(|n| matrix(graph, n));
    weights.map(|(id, _)| graph.value(id).codec).collect()
}

fn two_layers() -> Graph {
    graph(
        "input %x \"x\" : f32[1,320]\n\
         constant %a \"a\" : ternary[320,320] = ternary(1)\n\
         constant %b \"b\" : ternary[640,320] = ternary(2)\n\
         constant %c \"c\" : f32[3,640] = random(3)\n",
        "%d \"d\" = gemm(%x, %a)\n%e \"e\" = gemm(%d, %b)\n%y \"y\" = gemm(%e, %c)\n",
    )
}

#[test]
fn codecs_follow_the_choice() {
    for (choice, dense, expected) in [
        (
            CodecChoice::Auto,
            Dense::F32,
            [Codec::T2, Codec::T2, Codec::F32],
        ),
        (
            CodecChoice::T2,
            Dense::F16,
            [Codec::T2, Codec::T2, Codec::F16],
        ),
        (
            CodecChoice::T5,
            Dense::F32,
            [Codec::T5, Codec::T5, Codec::F32],
        ),
    ] {
        let mut g = two_layers();
        choose_codecs(&mut g, choice, dense);
        assert_eq!(codecs(&g), expected.map(Some));
    }
}

#[test]
fn the_layer_that_saves_most_shrinks_first() {
    let mut g = two_layers();
    choose_codecs(&mut g, CodecChoice::Auto, Dense::F32);
    assert!(shrink_one(&mut g));
    assert_eq!(codecs(&g)[1], Some(Codec::T5));
    assert_eq!(codecs(&g)[0], Some(Codec::T2));
    while shrink_one(&mut g) {}
    assert_eq!(codecs(&g)[2], Some(Codec::F32), "dense layers stay");
}

/// One ONNX initialiser may serve layers of different shapes, and other ops too.
#[test]
fn shared_weights_get_a_layout_each() {
    let mut g = graph(
        "input %x \"x\" : f32[1,4,4,8]\n\
         constant %w \"w\" : f32[8,1,1,4] = random(1)\n",
        "%s \"s\" = slice(%x) start=[0,0,0,0] step=[1,1,1,2] : f32[1,4,4,4]\n\
         %a \"a\" = conv2d(%s, %w) kernel=[1,1]\n\
         %b \"b\" = conv2d(%a, %w) kernel=[1,1] group=2\n\
         %c \"c\" = conv2d(%s, %w, _, %b) kernel=[1,1]\n\
         %r \"r\" = reshape(%w) : f32[1,1,4,8]\n\
         %y \"y\" = binary(%c, %r) function=add\n",
    );
    choose_codecs(&mut g, CodecChoice::Auto, Dense::F32);
    crate::ir::verify(&g).unwrap();
    let (reshape, id) = (&g.nodes[4], |n: usize| matrix(&g, &g.nodes[n]).unwrap().0);
    assert_eq!(g.value(reshape.inputs[0].unwrap()).codec, None);
    assert_ne!(id(1), id(2));
    for n in 1..4 {
        let (id, m) = matrix(&g, &g.nodes[n]).unwrap();
        assert!(pack_weights(&g, id, &m).is_ok());
    }
}

#[test]
fn numbers_beyond_f16_are_refused() {
    let mut g = two_layers();
    let id = matrix(&g, &g.nodes[2]).unwrap().0;
    let mut values = vec![0.5; 1920];
    values[7] = 1e6;
    let large = Tensor::new(vec![3, 640], Data::F32(values));
    g.values[id.0].def = crate::ir::Def::Const(Constant::Dense(large).into());
    choose_codecs(&mut g, CodecChoice::Auto, Dense::F16);
    let (id, m) = matrix(&g, &g.nodes[2]).unwrap();
    let error = pack_weights(&g, id, &m).unwrap_err().to_string();
    assert!(
        error.contains("\"c\"") && error.contains("--dense f32"),
        "{error}"
    );
}

proptest! {
    /// Packing checks itself: it succeeds for every shape and codec, with the stated length.
    #[test]
    fn every_shape_packs(
        (groups, outputs, taps, channels) in (1usize..4, 1usize..40, 1usize..4, 1usize..70),
        seed in 0u64..1000,
    ) {
        let shape = format!("{},{taps},1,{channels}", groups * outputs);
        let x = groups * channels;
        for (data, choice, dense, codec) in [
            (format!("ternary[{shape}] = ternary({seed})"), CodecChoice::T2, Dense::F32, Codec::T2),
            (format!("ternary[{shape}] = ternary({seed})"), CodecChoice::T5, Dense::F32, Codec::T5),
            (format!("f32[{shape}] = random({seed})"), CodecChoice::Auto, Dense::F32, Codec::F32),
            (format!("f32[{shape}] = random({seed})"), CodecChoice::Auto, Dense::F16, Codec::F16),
        ] {
            let mut g = graph(
                &format!("input %x \"x\" : f32[1,{taps},1,{x}]\nconstant %w \"w\" : {data}\n"),
                &format!("%y \"y\" = conv2d(%x, %w) kernel=[{taps},1] group={groups}\n"),
            );
            choose_codecs(&mut g, choice, dense);
            let (id, m) = matrix(&g, &g.nodes[0]).unwrap();
            let bytes = pack_weights(&g, id, &m).unwrap();
            prop_assert_eq!(Some(bytes.len()), codec.packed_len(&m));
        }
    }
}

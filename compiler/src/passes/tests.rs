use super::quantize_activations::{self, ActivationMode};
use super::*;
use crate::ir::text;

/// The op that computes what the node named `name` reads first.
fn producer(graph: &Graph, name: &str) -> &'static str {
    let node = graph.nodes.iter().find(|n| n.name == name).unwrap();
    let x = node.inputs[0].unwrap();
    let producer = graph.producers()[x.0].unwrap();
    graph.nodes[producer.0].op.name()
}

/// Quantised integers have no minus infinity: a pool with a window in padding
/// alone stays f32, one without takes integers.
#[test]
fn pools_over_padding_alone_stay_f32() {
    for (pads, reads) in [("[2,0,0,0]", "max_pool"), ("[1,0,0,0]", "quantize")] {
        let mut graph = text::parse(&format!(
            "graph \"t\"\n\
             input %x \"x\" : f32[1,4,4,4]\n\
             constant %w \"w\" : ternary[4,1,1,4] = ternary(1)\n\
             %p \"p\" = max_pool(%x) kernel=[2,2] pads={pads}\n\
             %y \"y\" = conv2d(%p, %w) kernel=[1,1]\n\
             output \"y\" = %y\n"
        ))
        .unwrap();
        let watched = quantize_activations::quantised_values(&graph, ActivationMode::I8);
        let ranges = watched.into_iter().map(|id| (id, 1.0)).collect();
        quantize_activations::run(&mut graph, ActivationMode::I8, Some(&ranges)).unwrap();
        let before_pool = producer(&graph, "y") == "max_pool";
        assert_eq!(before_pool, reads == "quantize", "pads={pads}");
        if before_pool {
            assert_eq!(producer(&graph, "p"), "quantize");
        }
    }
}

/// The sum of a layer too long for exact integers is refused by name.
#[test]
fn sums_beyond_32_bits_are_refused() {
    let build = |k: usize| {
        text::parse(&format!(
            "graph \"t\"\n\
             input %x \"x\" : f32[1,{k}]\n\
             constant %w \"w\" : ternary[1,{k}] = ternary(1)\n\
             %y \"long\" = gemm(%x, %w)\n\
             output \"y\" = %y\n"
        ))
        .unwrap()
    };
    let most = ternrt::kernels::max_k(ternrt::DType::I16, ternrt::Codec::T2);
    quantize_activations::run(&mut build(most), ActivationMode::I16, None).unwrap();
    let error = quantize_activations::run(&mut build(most + 1), ActivationMode::I16, None);
    let text = error.unwrap_err().to_string();
    assert!(
        text.contains("\"long\"") && text.contains("--skip"),
        "{text}"
    );
    quantize_activations::run(&mut build(most + 1), ActivationMode::I8, None).unwrap();
}

/// Static scales cover every layer, or the compilation stops.
#[test]
fn missing_ranges_are_refused() {
    let mut graph = text::parse(
        "graph \"t\"\n\
         input %x \"x\" : f32[1,4]\n\
         constant %w \"w\" : ternary[2,4] = ternary(1)\n\
         %y \"fc\" = gemm(%x, %w)\n\
         output \"y\" = %y\n",
    )
    .unwrap();
    let error =
        quantize_activations::run(&mut graph, ActivationMode::I8, Some(&Default::default()));
    assert!(error.unwrap_err().to_string().contains("\"fc\""));
}

#[test]
fn passes_are_found_by_name() {
    for pass in PASSES {
        assert_eq!(by_name(pass.name).unwrap().why, pass.why);
    }
    assert!(by_name("nothing").is_err());
}

/// A range whose scale would be subnormal has nothing to scale.
#[test]
fn vanishing_ranges_get_scale_one() {
    let mut graph = text::parse(
        "graph \"t\"\n\
         input %x \"x\" : f32[1,4]\n\
         constant %w \"w\" : ternary[2,4] = ternary(1)\n\
         %y \"fc\" = gemm(%x, %w)\n\
         output \"y\" = %y\n",
    )
    .unwrap();
    let ranges = [(graph.inputs[0].1, 6e-37)].into();
    quantize_activations::run(&mut graph, ActivationMode::I8, Some(&ranges)).unwrap();
    let q = graph.ty(graph.nodes[0].outputs[0]).quant.unwrap();
    assert_eq!(q.scale, crate::ir::Scale::Static(1.0));
}

/// A constant of a million million million elements is not computed.
#[test]
fn vast_constants_are_left_alone() {
    let mut graph = text::parse(
        "graph \"t\"\n\
         constant %c \"c\" : f32[1] = [1.0]\n\
         %a \"vast\" = broadcast(%c) : f32[1048576,1048576,1048576]\n\
         %y \"sum\" = reduce(%a) function=sum axes=7\n\
         output \"y\" = %y\n",
    )
    .unwrap();
    optimise(&mut graph).unwrap();
    assert_eq!(graph.nodes.len(), 2);
}

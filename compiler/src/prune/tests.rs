use super::*;
use crate::data::memory::InMemory;
use crate::data::{Dataset, Info, Split};
use crate::evaluate::{self, Input};
use crate::host::Aligned;
use crate::ir::Tensor;
use crate::ir::text::parse;
use crate::ops::run_graph;
use crate::pipeline::{CompileOptions, Silent, compile_graph};
use ternrt::Model;

/// A residual block, a depthwise layer, a scale for each channel, and images that are flattened
/// as NHWC.
const BLOCK: &str = "graph \"block\"
input %x \"x\" : f32[1,4,4,3]
constant %w0 \"stem.weight\" : f32[8,3,3,3] = random(1)
constant %b0 \"stem.bias\" : f32[8] = random(2)
constant %w1 \"a.weight\" : f32[6,3,3,8] = random(3)
constant %w2 \"b.weight\" : f32[8,1,1,6] = random(4)
constant %d \"dw.weight\" : f32[8,3,3,1] = random(5)
constant %e \"dw.bias\" : f32[8] = random(6)
constant %s \"scale\" : f32[1,1,1,8] = random(7)
constant %f \"head.weight\" : f32[5,128] = random(8)
constant %g \"head.bias\" : f32[5] = random(9)
%0 \"stem\" = conv2d(%x, %w0, %b0) kernel=[3,3] pads=[1,1,1,1] activation=relu
%1 \"a\" = conv2d(%0, %w1) kernel=[3,3] pads=[1,1,1,1] activation=relu
%2 \"b\" = conv2d(%1, %w2, _, %0) kernel=[1,1]
%3 \"dw\" = depthwise_conv2d(%2, %d, %e) kernel=[3,3] pads=[1,1,1,1]
%4 \"scaled\" = binary(%3, %s) function=mul
%5 \"act\" = unary(%4) function=tanh
%6 \"flat\" = reshape(%5) : f32[1,128]
%7 \"head\" = gemm(%6, %f, %g)
output \"y\" = %7
";

fn image() -> Tensor {
    let values = (0..48).map(|i| ((i * 37 % 48) as f32 - 20.0) / 24.0);
    Tensor::f32(vec![1, 4, 4, 3], values.collect())
}

fn outputs(graph: &Graph) -> Vec<f32> {
    let y = run_graph(graph, &[image()]).unwrap();
    y[0].as_f32().unwrap().to_vec()
}

fn near(a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len());
    for (x, y) in a.iter().zip(b) {
        assert!((x - y).abs() < 1e-4 * (1.0 + y.abs()), "{a:?} {b:?}");
    }
}

fn open(groups: &Groups) -> Vec<usize> {
    let open = |g: &usize| !groups.all[*g].fixed && !groups.all[*g].makers.is_empty();
    (0..groups.all.len()).filter(open).collect()
}

#[test]
fn channels_are_found_through_a_block() {
    let graph = parse(BLOCK).unwrap();
    let groups = Groups::of(&graph);
    let names = |nodes: &[usize]| -> Vec<&str> {
        let mut names: Vec<&str> = nodes
            .iter()
            .map(|&n| graph.nodes[n].name.as_str())
            .collect();
        names.sort_unstable();
        names
    };
    let found: Vec<_> = open(&groups)
        .into_iter()
        .map(|g| {
            let group = &groups.all[g];
            (group.channels, names(&group.makers), names(&group.readers))
        })
        .collect();
    assert!(found.contains(&(6, vec!["a"], vec!["b"])), "{found:?}");
    let tied = (8, vec!["b", "dw", "stem"], vec!["a", "head"]);
    assert!(found.contains(&tied), "{found:?}");
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn another_order_computes_the_same() {
    let mut graph = parse(BLOCK).unwrap();
    let before = outputs(&graph);
    let groups = Groups::of(&graph);
    let orders = open(&groups)
        .into_iter()
        .map(|g| (g, (0..groups.all[g].channels).rev().collect()))
        .collect();
    select::select(&mut graph, &groups, &orders).unwrap();
    near(&outputs(&graph), &before);
    // And it did change.
    assert_ne!(graph, parse(BLOCK).unwrap());
}

#[test]
fn channels_that_other_ops_read_stay() {
    let text = BLOCK.replace("unary(%4) function=tanh", "softmax(%4) axis=3");
    let groups = Groups::of(&parse(&text).unwrap());
    assert_eq!(open(&groups).len(), 1, "{groups:?}");
}

fn data(shape: [usize; 3]) -> InMemory {
    let info = Info {
        name: "data".into(),
        split: Split::Train,
        shape,
        classes: (0..5).map(|c| c.to_string()).collect(),
        mean: vec![0.5; shape[0]],
        std: vec![0.25; shape[0]],
    };
    let bytes = 12 * info.pixels();
    let images = (0..bytes).map(|i| (i * i * 7 + i * 31) as u8);
    InMemory::new(info, images.collect(), vec![1; 12]).unwrap()
}

fn statistics(graph: &Graph, data: &dyn Dataset) -> Statistics {
    let options = CompileOptions {
        golden: false,
        ..CompileOptions::default()
    };
    let compiled = compile_graph(graph.clone(), "t", &options, &Silent).unwrap();
    let bytes = Aligned::new(&compiled.bytes);
    let input = Input::of(&Model::new(bytes.bytes()).unwrap()).unwrap();
    let options = evaluate::Options::default();
    Statistics::collect(graph, data, &input, &options, 12, &Silent).unwrap()
}

fn request(channels: f64, pattern: Option<Pattern>) -> Request {
    Request {
        channels,
        reorder: true,
        policy: Policy {
            sparsify: pattern,
            ..Policy::default()
        },
    }
}

#[test]
fn a_pruned_model_is_smaller_and_runs() {
    let mut graph = parse(BLOCK).unwrap();
    let statistics = statistics(&graph, &data([3, 4, 4]));
    let pruned = prune(&mut graph, &statistics, &request(0.5, None)).unwrap();
    let sizes: Vec<_> = pruned.iter().map(|p| (p.before, p.after)).collect();
    assert!(
        sizes.contains(&(8, 4)) && sizes.contains(&(6, 4)),
        "{pruned:?}"
    );
    assert!(
        pruned.iter().all(|p| p.lost > 0.0 && p.lost < 0.5),
        "{pruned:?}"
    );
    assert_eq!(outputs(&graph).len(), 5);
    let compiled = compile_graph(graph, "t", &CompileOptions::default(), &Silent).unwrap();
    let layers = &compiled.report.layers;
    let weights: Vec<u64> = layers.iter().map(|l| l.weights).collect();
    assert_eq!(weights, [4 * 27, 4 * 4 * 9, 4 * 4, 4 * 9, 5 * 64]);
}

/// Four hidden units, of which the last two give the same whatever they see.
const CONSTANT: &str = "graph \"c\"
input %x \"x\" : f32[1,6]
constant %w \"w\" : f32[4,6] = [1.0,2.0,-1.0,0.5,1.5,-2.0,0.3,1.0,1.0,-1.0,2.0,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0]
constant %b \"b\" : f32[4] = [0.1,0.2,0.7,0.4]
constant %v \"v\" : f32[5,4] = random(3)
%0 \"hidden\" = gemm(%x, %w, %b) activation=relu
%1 \"head\" = gemm(%0, %v)
output \"y\" = %1
";

#[test]
fn what_never_varies_goes_without_a_loss() {
    let mut graph = parse(CONSTANT).unwrap();
    let x = Tensor::f32(vec![1, 6], vec![0.5, -0.25, 1.0, 2.0, -1.0, 0.125]);
    let before = run_graph(&graph, std::slice::from_ref(&x)).unwrap();
    let statistics = statistics(&graph, &data([1, 2, 3]));
    let pruned = prune(&mut graph, &statistics, &request(0.5, None)).unwrap();
    assert_eq!(pruned[0].after, 2);
    assert!(pruned[0].lost.abs() < 1e-9, "{pruned:?}");
    let after = run_graph(&graph, &[x]).unwrap();
    near(after[0].as_f32().unwrap(), before[0].as_f32().unwrap());
    // Without them only the inputs and outputs are left, and they are fixed.
    let kept = Request {
        policy: Policy {
            skip: vec!["hidden".into()],
            ..Policy::default()
        },
        ..request(0.5, None)
    };
    let mut graph = parse(CONSTANT).unwrap();
    let error = prune(&mut graph, &statistics, &kept)
        .unwrap_err()
        .to_string();
    assert!(error.contains("no channels that could go"), "{error}");
    let error = prune(&mut graph, &statistics, &request(1.0, None)).unwrap_err();
    assert!(error.to_string().contains("--channels"), "{error}");
}

#[test]
fn patterns_drop_less_and_the_network_is_the_same() {
    for pattern in [Pattern::OneOfTwo, Pattern::ThreeOfFour] {
        let mut graph = parse(BLOCK).unwrap();
        let before = outputs(&graph);
        let statistics = statistics(&graph, &data([3, 4, 4]));
        let pruned = prune(&mut graph, &statistics, &request(0.0, Some(pattern))).unwrap();
        near(&outputs(&graph), &before);
        for p in &pruned {
            // Six channels make no fours.
            let Some([was, is]) = p.pattern_error else {
                assert!(pattern == Pattern::ThreeOfFour && p.before == 6, "{p:?}");
                continue;
            };
            assert!(is <= was && is > 0.0 && was < 1.0, "{pruned:?}");
        }
        let better = |p: &Pruned| p.pattern_error.is_some_and(|[was, is]| is < was);
        assert!(pruned.iter().any(better), "{pruned:?}");
    }
}

#[test]
fn a_number_stays_that_makes_fours() {
    let mut graph = parse(BLOCK).unwrap();
    let statistics = statistics(&graph, &data([3, 4, 4]));
    let fours = request(0.2, Some(Pattern::ThreeOfFour));
    let pruned = prune(&mut graph, &statistics, &fours).unwrap();
    let sizes: Vec<_> = pruned.iter().map(|p| (p.before, p.after)).collect();
    assert!(
        sizes.contains(&(8, 8)) && sizes.contains(&(6, 4)),
        "{pruned:?}"
    );
    let options = CompileOptions {
        ternarise: fours.policy,
        ..CompileOptions::default()
    };
    let compiled = compile_graph(graph, "t", &options, &Silent).unwrap();
    let codec = |name: &str| {
        let mut layers = compiled.report.layers.iter();
        layers.find(|l| l.name == name).unwrap().codec
    };
    assert_eq!([codec("a"), codec("b")], ["n34", "n34"]);
}

#[test]
fn pairs_that_are_there_stay_together() {
    // One of two in the head: columns 0, 1 and 2, 3 are pairs.
    let head =
        "[1.0,0.0,0.0,1.0,0.0,-1.0,1.0,0.0,1.0,0.0,1.0,0.0,0.0,1.0,0.0,-1.0,1.0,0.0,1.0,0.0]";
    let text = CONSTANT.replace("f32[5,4] = random(3)", &format!("f32[5,4] = {head}"));
    let mut graph = parse(&text).unwrap();
    let statistics = statistics(&graph, &data([1, 2, 3]));
    prune(
        &mut graph,
        &statistics,
        &request(0.5, Some(Pattern::OneOfTwo)),
    )
    .unwrap();
    let head = graph.nodes.iter().position(|n| n.name == "head").unwrap();
    let weights = select::constant(&graph, head, 1).unwrap();
    let Constant::Dense(w) = &*weights else {
        panic!("{weights:?}")
    };
    assert_eq!(w.shape, [5, 2]);
    let expected = [1.0, 0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0];
    assert_eq!(w.as_f32().unwrap(), expected);
}

#[test]
fn fours_that_are_there_stay_together() {
    // One zero in each four of the head: columns 0 to 3 and 4 to 7.
    let text = "graph \"c\"
input %x \"x\" : f32[1,6]
constant %w \"w\" : f32[8,6] = random(1)
constant %v \"v\" : f32[3,8] = [1.0,0.0,1.0,-1.0,1.0,1.0,1.0,0.0,0.0,1.0,1.0,1.0,-1.0,0.0,1.0,1.0,1.0,1.0,0.0,1.0,0.0,1.0,1.0,-1.0]
%0 \"hidden\" = gemm(%x, %w) activation=relu
%1 \"head\" = gemm(%0, %v)
output \"y\" = %1
";
    let mut graph = parse(text).unwrap();
    let statistics = statistics(&graph, &data([1, 2, 3]));
    prune(&mut graph, &statistics, &request(0.25, None)).unwrap();
    prune(&mut graph, &statistics, &request(0.5, None)).unwrap();
    let head = graph.nodes.iter().position(|n| n.name == "head").unwrap();
    let weights = select::constant(&graph, head, 1).unwrap();
    let Constant::Dense(w) = &*weights else {
        panic!("{weights:?}")
    };
    assert_eq!(w.shape, [3, 4]);
    assert!(Pattern::ThreeOfFour.is_in(&detect(w).unwrap()), "{w:?}");
}

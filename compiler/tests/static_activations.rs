//! Graphs compiled with static scales, from calibration to the runtime: the
//! scalar kernels must compute what the interpreter does, bit for bit.

use npyz::WriterBuilder;
use std::path::Path;
use ternc::calibrate::Calibration;
use ternc::host::{Aligned, Host};
use ternc::ir::text::parse;
use ternc::ir::{Data, Graph, Op, Tensor};
use ternc::ops::run_graph;
use ternc::passes::ActivationMode;
use ternc::pipeline::{CompileOptions, Compiled, Silent, compile_graph};
use ternrt::{Caps, Model};

/// Numbers in -1..1.
fn noise(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = move || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

fn npy(to: impl std::io::Write, shape: &[usize], values: &[f32]) {
    let shape: Vec<u64> = shape.iter().map(|&d| d as u64).collect();
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(&shape)
        .writer(to)
        .begin_nd()
        .unwrap();
    writer.extend(values.iter().copied()).unwrap();
    writer.finish().unwrap();
}

/// Three samples of the only input, stacked, as an `.npy` file.
fn write_npy(graph: &Graph, path: &Path) {
    let ty = graph.ty(graph.inputs[0].1);
    let mut shape = vec![3];
    shape.extend(&ty.shape);
    let file = std::fs::File::create(path).unwrap();
    npy(file, &shape, &noise(1, 3 * ty.elements()));
}

/// One sample of every input as an `.npz` file.
fn write_npz(graph: &Graph, path: &Path) {
    let mut npz = npyz::npz::NpzWriter::create(path).unwrap();
    for (i, (name, id)) in graph.inputs.iter().enumerate() {
        let ty = graph.ty(*id);
        let shape: Vec<u64> = ty.shape.iter().map(|&d| d as u64).collect();
        let array = npz.array(name, Default::default()).unwrap();
        let mut writer = array.default_dtype().shape(&shape).begin_nd().unwrap();
        writer.extend(noise(i as u64, ty.elements())).unwrap();
        writer.finish().unwrap();
    }
    npz.zip_writer();
}

fn compile(text: &str, mode: ActivationMode) -> Compiled {
    let graph = parse(text).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = if graph.inputs.len() == 1 {
        let path = directory.path().join("samples.npy");
        write_npy(&graph, &path);
        path
    } else {
        let path = directory.path().join("samples.npz");
        write_npz(&graph, &path);
        path
    };
    let options = CompileOptions {
        activations: mode,
        calibrate: Some(Calibration::Samples(path)),
        ..CompileOptions::default()
    };
    compile_graph(graph, "test", &options, &Silent).unwrap()
}

/// Runs both, in both modes, on inputs some of which leave the calibrated
/// range, and returns the graph of the i8 file.
fn check(text: &str) -> Graph {
    let mut graphs = Vec::new();
    for mode in [ActivationMode::I8, ActivationMode::I7] {
        let compiled = compile(text, mode);
        let graph = compiled.graph;
        let aligned = Aligned::new(&compiled.bytes);
        let model = Model::new(aligned.bytes()).unwrap();
        let mut host = Host::with_caps(&model, 1, Caps::SCALAR).unwrap();
        let mut session = host.session().unwrap();
        for case in 0..4u64 {
            let inputs: Vec<Tensor> = (graph.inputs.iter().enumerate())
                .map(|(i, (_, id))| {
                    let ty = graph.ty(*id);
                    let size = 0.75 * (case + 1) as f32;
                    let values = noise(100 * case + i as u64, ty.elements());
                    let values = values.iter().map(|v| v * size).collect();
                    Tensor::new(ty.shape.clone(), Data::F32(values))
                })
                .collect();
            for (i, input) in inputs.iter().enumerate() {
                let to = session.input_f32_mut(i).unwrap();
                to.copy_from_slice(input.as_f32().unwrap());
            }
            session.run(0).unwrap();
            let expected = run_graph(&graph, &inputs).unwrap();
            for (i, expected) in expected.iter().enumerate() {
                let bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                let found = session.output_f32(i).unwrap();
                let expected = expected.as_f32().unwrap();
                assert!(expected.iter().any(|&v| v != 0.0), "output {i} is all zero");
                assert_eq!(bits(found), bits(expected), "{mode:?}, output {i}");
            }
        }
        graphs.push(graph);
    }
    graphs.remove(0)
}

/// Nodes that write integers: how many are quantizes, and how many products.
fn writers(graph: &Graph) -> (usize, usize) {
    let writes = |n: &&ternc::ir::Node| graph.ty(n.outputs[0]).quant.is_some();
    let is_quantize = |n: &ternc::ir::Node| matches!(n.op, Op::Quantize(_));
    let all: Vec<_> = graph.nodes.iter().filter(writes).collect();
    let quantizes = all.iter().filter(|n| is_quantize(n)).count();
    let products = all.iter().filter(|n| ternc::ops::has_weights(&n.op));
    (quantizes, products.count())
}

const WEIGHTS: &str = r#"
input %x "x" : f32[1,6,6,8]
constant %w1 "w1" : ternary[12,3,3,8] = ternary(1)
constant %w2 "w2" : ternary[12,3,3,12] = ternary(2)
constant %w3 "w3" : ternary[12,1,1,12] = ternary(3)
constant %dw "dw" : ternary[12,3,3,1] = ternary(4)
constant %d "d" : f32[12,3,3,8] = random(5)
constant %d1 "d1" : f32[12,1,1,12] = random(6)
constant %b "b" : f32[12] = random(7)
"#;

fn graph(nodes: &str) -> String {
    format!("graph \"test\"\n{WEIGHTS}{nodes}")
}

#[test]
fn chained_convolutions_with_an_integer_residual() {
    let g = check(&graph(
        r#"
%a "a" = conv2d(%x, %w1, %b) kernel=[3,3] pads=[1,1,1,1] activation=relu
%c "c" = conv2d(%a, %w2, %b) kernel=[3,3] pads=[1,1,1,1] activation=relu
%e "e" = conv2d(%c, %w2, _, %a) kernel=[3,3] pads=[1,1,1,1] activation=clip(0.0;6.0)
%f "f" = depthwise_conv2d(%e, %dw) kernel=[3,3] stride=[2,2] pads=[0,0,1,1]
%y "y" = conv2d(%f, %w3) kernel=[1,1]
output "y" = %y
"#,
    ));
    assert_eq!(writers(&g), (1, 4));
}

#[test]
fn a_dense_stem_writes_the_integers_that_a_pool_reads() {
    let g = check(&graph(
        r#"
%a "stem" = conv2d(%x, %d, %b) kernel=[3,3] pads=[1,1,1,1] activation=relu
%p "pool" = max_pool(%a) kernel=[3,3] stride=[2,2] pads=[1,1,1,1]
%c "c" = conv2d(%p, %w2, %b) kernel=[3,3] pads=[1,1,1,1] activation=relu
%e "e" = conv2d(%c, %w2, _, %p) kernel=[3,3] pads=[1,1,1,1] activation=relu
%m "mean" = reduce(%e) function=mean axes=6 : f32[1,1,1,12]
output "m" = %m
"#,
    ));
    assert_eq!(writers(&g), (0, 2));
    let pool = g.nodes.iter().find(|n| n.name == "pool").unwrap();
    assert!(g.ty(pool.outputs[0]).quant.is_some());
}

#[test]
fn what_others_read_stays_f32() {
    let g = check(&graph(
        r#"
%a "a" = conv2d(%x, %w1, %b) kernel=[3,3]
%c "c" = conv2d(%a, %w3) kernel=[1,1]
%s "s" = unary(%c) function=relu
%e "e" = conv2d(%c, %w3, _, %s) kernel=[1,1]
%f "f" = conv2d(%e, %w3, _, %c) kernel=[1,1]
%h "h" = conv2d(%e, %d1, _, %f) kernel=[1,1]
output "a" = %a
output "h" = %h
"#,
    ));
    // Of x, a, c and e: each has a reader that takes no integers.
    assert_eq!(writers(&g), (4, 0));
}

#[test]
fn transposed_inputs_and_flattened_features() {
    let g = check(
        r#"graph "test"
input %x "x" : f32[1,5,4,4]
input %z "z" : f32[1,7]
constant %w "w" : ternary[7,1,1,5] = ternary(1)
constant %g "g" : ternary[7,112] = ternary(2)
constant %h "h" : ternary[3,7] = ternary(3)
%t "t" = transpose(%x) perm=[0,2,3,1]
%a "a" = conv2d(%t, %w) kernel=[1,1] activation=relu
%n "n" = transpose(%a) perm=[0,3,1,2]
%f "flatten" = reshape(%n) : f32[1,112]
%i "i" = gemm(%f, %g, _, %z) activation=relu
%y "y" = gemm(%i, %h)
output "y" = %y
"#,
    );
    assert_eq!(writers(&g), (1, 2));
}

#[test]
fn a_sample_that_does_not_fit_is_refused_by_name() {
    let graph = parse(&graph(
        "%y \"y\" = conv2d(%x, %w1) kernel=[3,3]\noutput \"y\" = %y\n",
    ))
    .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("samples.npy");
    npy(std::fs::File::create(&path).unwrap(), &[2, 3], &[0.0; 6]);
    let options = CompileOptions {
        activations: ActivationMode::I8,
        calibrate: Some(Calibration::Samples(path)),
        ..CompileOptions::default()
    };
    let error = compile_graph(graph, "test", &options, &Silent).unwrap_err();
    let text = format!("{error:#}");
    assert!(
        text.contains("input \"x\" has shape [1, 6, 6, 8], the array [2, 3]"),
        "{text}"
    );
}

#[test]
fn outputs_that_are_inputs_or_each_other() {
    check(&graph(
        r#"
%a "a" = conv2d(%x, %w1) kernel=[3,3]
%r "r" = reshape(%a) : f32[1,192]
%i "i" = unary(%x) function=identity
%s "s" = reshape(%x) : f32[288]
output "a" = %a
output "r" = %r
output "again" = %a
output "x" = %i
output "s" = %s
"#,
    ));
}

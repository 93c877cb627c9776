//! File tests of the passes: each `.txt` file here holds a graph, a line `---`
//! and the graph that is expected, in the text form of [`ternc::ir::text`].
//!
//! A file's first line names what runs: `// passes: NAME...`, `// optimise` or
//! `// quantize MODE [static]`. Whatever runs, the graph must verify before and
//! after, and the interpreter must give the same outputs (integer modes: near).
//! `TERNC_BLESS=1 cargo test -p ternc --test passes` writes what came out.

mod random;

use std::path::{Path, PathBuf};
use ternc::ir::text::{self, Constants};
use ternc::ir::{Data, Graph, Tensor, verify};
use ternc::ops;
use ternc::passes::quantize_activations::{self, ActivationMode, Ranges};
use ternc::passes::{self, PASSES};
use ternrt::format::golden;

/// Inputs of a graph, from a seed.
pub fn inputs(graph: &Graph, seed: u64) -> Vec<Tensor> {
    let input = |(i, (_, id)): (usize, &(String, ternc::ir::ValueId))| {
        let ty = graph.ty(*id);
        let mut bytes = vec![0; ty.bytes()];
        golden::fill(ty.dtype, seed + i as u64, &mut bytes);
        Tensor::new(
            ty.shape.clone(),
            Data::from_le_bytes(ty.dtype, &bytes).unwrap(),
        )
    };
    graph.inputs.iter().enumerate().map(input).collect()
}

/// The outputs must be the same: within `tolerance` of the largest for floats,
/// exactly for everything else.
pub fn assert_same(what: &str, before: &[Tensor], after: &[Tensor], tolerance: f32) {
    assert_eq!(before.len(), after.len(), "{what}: number of outputs");
    for (a, b) in before.iter().zip(after) {
        assert_eq!(a.shape, b.shape, "{what}: shapes");
        let (Some(x), Some(y)) = (a.as_f32(), b.as_f32()) else {
            assert_eq!(a.data, b.data, "{what}");
            continue;
        };
        let size = x.iter().fold(1e-6f32, |m, v| m.max(v.abs()));
        for (x, y) in x.iter().zip(y) {
            let near = (x - y).abs() <= tolerance * size || x == y || (x.is_nan() && y.is_nan());
            assert!(near, "{what}: {x} became {y}");
        }
    }
}

/// Largest magnitudes over some inputs, as calibration finds them.
fn ranges(graph: &Graph) -> Ranges {
    let watched = quantize_activations::quantised_values(graph, ActivationMode::I8);
    let mut ranges = Ranges::new();
    for seed in 0..4 {
        ops::run_graph_observing(graph, &inputs(graph, 10 * seed), &mut |id, tensor| {
            if let (true, Some(v)) = (watched.contains(&id), tensor.as_f32()) {
                let max = v.iter().fold(0f32, |m, v| m.max(v.abs()));
                let range = ranges.entry(id).or_insert(0.0);
                *range = range.max(max);
            }
        })
        .unwrap();
    }
    ranges
}

/// Runs what a file's first line asks for; how far apart the outputs may be.
fn rewrite(graph: &mut Graph, command: &str) -> f32 {
    let words: Vec<&str> = command.split_whitespace().collect();
    match words[..] {
        ["//", "passes:", ref names @ ..] => {
            for name in names {
                passes::apply(passes::by_name(name).unwrap(), graph).unwrap();
            }
            1e-5
        }
        ["//", "optimise"] => {
            passes::optimise(graph).unwrap();
            1e-5
        }
        ["//", "quantize", mode, ref rest @ ..] => {
            let (mode, tolerance) = match mode {
                "i16" => (ActivationMode::I16, 1e-3),
                "i8" => (ActivationMode::I8, 0.05),
                "i7" => (ActivationMode::I7, 0.1),
                other => panic!("mode {other:?}"),
            };
            let ranges = (rest == ["static"]).then(|| ranges(graph));
            quantize_activations::run(graph, mode, ranges.as_ref()).unwrap();
            tolerance
        }
        _ => panic!("the first line must say what runs, not {command:?}"),
    }
}

/// The text form without constants that nothing reads any more.
fn readable(graph: &Graph) -> String {
    let text = text::print(graph, Constants::Elided);
    let used = |line: &str| match line.strip_prefix("constant %") {
        None => true,
        Some(rest) => {
            let digits = rest.split(|c: char| !c.is_ascii_digit()).next();
            let id: usize = digits.unwrap().parse().unwrap();
            let mut operands = graph.nodes.iter().flat_map(|n| n.inputs.iter().flatten());
            operands.any(|v| v.0 == id) || graph.outputs.iter().any(|(_, v)| v.0 == id)
        }
    };
    text.lines()
        .filter(|line| used(line))
        .map(|line| format!("{line}\n"))
        .collect()
}

fn files() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/passes");
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "txt"))
        .collect();
    files.sort();
    files
}

#[test]
fn files_come_out_as_expected() {
    let bless = std::env::var_os("TERNC_BLESS").is_some();
    let mut wrong = Vec::new();
    for path in files() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let file = std::fs::read_to_string(&path).unwrap();
        let (input, expected) = file.split_once("\n---\n").unwrap_or((&file, ""));
        let mut graph = text::parse(input).unwrap_or_else(|e| panic!("{name}: {e:#}"));
        verify(&graph).unwrap_or_else(|e| panic!("{name}: {e:#}"));
        let before = graph.clone();
        let tolerance = rewrite(&mut graph, input.lines().next().unwrap_or_default());
        verify(&graph).unwrap_or_else(|e| panic!("{name}: {e:#}"));
        for seed in 0..4 {
            let x = inputs(&before, 10 * seed);
            let (a, b) = (ops::run_graph(&before, &x), ops::run_graph(&graph, &x));
            assert_same(&name, &a.unwrap(), &b.unwrap(), tolerance);
        }
        let found = readable(&graph);
        if found != expected {
            wrong.push(format!("{name} became\n{found}"));
            if bless {
                std::fs::write(&path, format!("{}\n---\n{found}", input.trim_end())).unwrap();
            }
        }
    }
    assert!(
        wrong.is_empty() || bless,
        "{}(TERNC_BLESS=1 accepts this)",
        wrong.join("\n")
    );
}

#[test]
fn every_pass_has_a_file() {
    let files: Vec<String> = files()
        .iter()
        .map(|p| std::fs::read_to_string(p).unwrap())
        .collect();
    for pass in PASSES {
        let runs = |text: &&String| {
            let first = text.lines().next().unwrap_or_default();
            first.starts_with("// passes:") && first.split_whitespace().any(|w| w == pass.name)
        };
        assert!(files.iter().any(|f| runs(&f)), "no file runs {}", pass.name);
    }
}

//! Pruning of real networks: their channels are found, another order of them computes the
//! same, and fewer of them compile smaller. And the command as a user meets it.

use std::collections::BTreeMap;
use tern_tests::command::{refuse, succeed};
use tern_tests::models::{DIGITS, Weights, filled};
use tern_tests::random::Random;
use tern_tests::{relative_error, run};
use ternc::import::ImportOptions;
use ternc::import::onnx::import_bytes;
use ternc::ir::Graph;
use ternc::passes;
use ternc::pipeline::{CompileOptions, Compiled, Silent, compile_graph};
use ternc::prune::groups::Groups;
use ternc::prune::select::select;
use ternrt::Caps;

fn compile(graph: &Graph) -> Compiled {
    let options = CompileOptions {
        golden: false,
        ..CompileOptions::default()
    };
    compile_graph(graph.clone(), "test", &options, &Silent).unwrap()
}

/// Channels that can go, of each group.
fn open(groups: &Groups) -> Vec<usize> {
    let open = |g: &usize| {
        let group = &groups.all[*g];
        !group.fixed && !group.makers.is_empty() && !group.readers.is_empty()
    };
    (0..groups.all.len()).filter(open).collect()
}

fn check(name: &str, pixels: usize, makers: usize) {
    let onnx = filled(name, Weights::Dense, 5);
    let mut graph = import_bytes(&onnx, &ImportOptions::default()).unwrap();
    passes::optimise(&mut graph).unwrap();
    let groups = Groups::of(&graph);
    let open = open(&groups);
    // Every layer but the classifier can lose channels.
    let made: usize = open.iter().map(|g| groups.all[*g].makers.len()).sum();
    assert_eq!(made, makers, "{name}");

    let image = vec![Random::new(6).normals(3 * pixels * pixels)];
    let before = compile(&graph);
    let expected = run(&before.bytes, Caps::detect(), 2, &image);
    let mut reversed = graph.clone();
    let orders: BTreeMap<usize, Vec<usize>> = open
        .iter()
        .map(|&g| (g, (0..groups.all[g].channels).rev().collect()))
        .collect();
    select(&mut reversed, &groups, &orders).unwrap();
    let same = run(&compile(&reversed).bytes, Caps::detect(), 2, &image);
    let error = relative_error(&same[0], &expected[0]);
    assert!(error < 1e-3, "{name}: {error}");

    let half: BTreeMap<usize, Vec<usize>> = open
        .iter()
        .map(|&g| (g, (0..groups.all[g].channels / 2).collect()))
        .collect();
    select(&mut graph, &groups, &half).unwrap();
    let small = compile(&graph);
    let macs = |c: &Compiled| c.report.totals.macs as f64;
    assert!(macs(&small) < 0.6 * macs(&before), "{name}");
    assert!(small.bytes.len() < before.bytes.len() * 6 / 10, "{name}");
    let logits = run(&small.bytes, Caps::detect(), 2, &image);
    assert_eq!(logits[0].len(), expected[0].len());
}

#[test]
fn a_residual_network() {
    // 20 convolutions, the three of the shortcuts among them.
    check("resnet18_32.dynamo", 32, 20);
}

#[test]
fn a_network_with_depthwise_layers() {
    check("mobilenet_v2.torchscript", 224, 52);
}

#[test]
fn the_command() {
    let dir = tempfile::tempdir().unwrap();
    let text = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (onnx, tern, out) = (text("digits.onnx"), text("small.tern"), text("report"));
    std::fs::write(&onnx, DIGITS).unwrap();
    let prune = |extra: &[&str]| {
        let mut args = vec!["prune", &onnx, "-o", &tern, "--dataset", "digits"];
        args.extend(extra);
        succeed(&args)
    };
    let table = prune(&["--channels", "0.125", "--samples", "16", "--out", &out]);
    for word in [
        "conv2",
        "as it was, f32",
        "as written",
        "16 training images",
    ] {
        assert!(table.contains(word), "{word} is not in\n{table}");
    }
    let json = std::fs::read(dir.path().join("report/pruning.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let stages = json["stages"].as_array().unwrap();
    let (first, last) = (&stages[0], &stages[stages.len() - 1]);
    assert!(last["weights"].as_u64() < first["weights"].as_u64());
    assert!(last["top1"].as_f64().unwrap() > 0.7, "{last}");
    assert_eq!(json["groups"][0]["after"], 14);
    // The file is the model that was measured.
    let measured = succeed(&["accuracy", &tern, "--dataset", "digits", "--json"]);
    let measured: serde_json::Value = serde_json::from_str(&measured).unwrap();
    assert_eq!(measured["top1"], last["top1"]);
    succeed(&["verify", &tern]);
    let html = std::fs::read_to_string(dir.path().join("report/pruning.html")).unwrap();
    assert!(html.contains("<svg") && html.contains("Channels that stay"));

    for (pattern, stage, codec) in [("1of2", "1 of 2", "n12"), ("3of4", "3 of 4", "n34")] {
        let normalised = ["--mean", "0.25", "--std", "0.5"];
        let table = prune(&[&["--pattern", pattern, "--samples", "16"], &normalised[..]].concat());
        for word in ["error of pattern", " to ", &format!("{stage} alone")] {
            assert!(table.contains(word), "{word} is not in\n{table}");
        }
        let shown = succeed(&["inspect", &tern]);
        for word in [
            codec,
            "metadata input_mean: 0.25",
            "metadata input_std: 0.5",
        ] {
            assert!(shown.contains(word), "{word} is not in\n{shown}");
        }
    }

    refuse(
        &["prune", &onnx, "-o", &tern, "--dataset", "digits"],
        &["--channels", "--pattern"],
    );
    refuse(
        &[
            "prune",
            &tern,
            "-o",
            &tern,
            "--dataset",
            "digits",
            "--channels",
            "0.5",
        ],
        &["ONNX"],
    );
    refuse(
        &[
            "prune",
            &onnx,
            "-o",
            &tern,
            "--dataset",
            "digits",
            "--channels",
            "0.5",
            "--skip",
            "x",
        ],
        &["--skip"],
    );
}

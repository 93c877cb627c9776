use super::*;
use crate::ir::text::parse;
use std::cell::RefCell;

/// A dense stem, two ternary layers and a dense head.
fn network() -> Graph {
    parse(
        "graph \"t\"\n\
         metadata \"licence\" = \"MIT\"\n\
         input %x \"x\" : f32[1,16,16,4]\n\
         constant %a \"a\" : f32[64,1,1,4] = random(1)\n\
         constant %b \"b\" : ternary[64,3,3,64] = ternary(2)\n\
         constant %c \"c\" : ternary[128,3,3,64] = ternary(3)\n\
         constant %d \"d\" : f32[5,128] = random(4)\n\
         %h \"stem\" = conv2d(%x, %a) kernel=[1,1]\n\
         %i \"small\" = conv2d(%h, %b) kernel=[3,3] pads=[1,1,1,1] activation=relu\n\
         %j \"large\" = conv2d(%i, %c) kernel=[3,3] stride=[2,2]\n\
         %k \"pool\" = reduce(%j) function=mean axes=6 : f32[1,128]\n\
         %y \"head\" = gemm(%k, %d)\n\
         output \"y\" = %y\n",
    )
    .unwrap()
}

fn compile_with(options: &CompileOptions) -> Result<Compiled> {
    compile_graph(network(), "net", options, &Silent)
}

fn codecs(compiled: &Compiled) -> Vec<(&str, &str)> {
    let layers = compiled.report.layers.iter();
    layers.map(|l| (l.name.as_str(), l.codec)).collect()
}

#[test]
fn the_largest_layer_gets_t5_when_the_file_is_too_large() {
    for golden in [true, false] {
        let options = |max_file, codec| CompileOptions {
            max_file,
            codec,
            golden,
            ..CompileOptions::default()
        };
        let free = compile_with(&options(None, CodecChoice::Auto)).unwrap();
        let t2 = [
            ("stem", "f32"),
            ("small", "t2"),
            ("large", "t2"),
            ("head", "f32"),
        ];
        assert_eq!(codecs(&free), t2);

        let limit = Some(free.report.totals.file_bytes - 1);
        let tight = compile_with(&options(limit, CodecChoice::Auto)).unwrap();
        let t5 = [
            ("stem", "f32"),
            ("small", "t2"),
            ("large", "t5"),
            ("head", "f32"),
        ];
        assert_eq!(codecs(&tight), t5, "golden: {golden}");
        assert!(Some(tight.bytes.len() as u64) <= limit);
        assert_eq!(tight.report.totals.file_bytes, tight.bytes.len() as u64);

        // A codec that was asked for stays, and then the budget is an error.
        let error = compile_with(&options(limit, CodecChoice::T2)).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("over --max-file") && text.contains("\"large\" t2"),
            "{text}"
        );
        assert!(compile_with(&options(Some(1000), CodecChoice::Auto)).is_err());
    }
}

#[test]
fn an_arena_over_budget_names_the_peak() {
    let fits = compile_with(&CompileOptions::default()).unwrap();
    let arena = fits.report.totals.arena_bytes;
    let options = |max| CompileOptions {
        max_arena: Some(max),
        ..CompileOptions::default()
    };
    assert!(compile_with(&options(arena)).is_ok());
    let text = compile_with(&options(arena - 64)).unwrap_err().to_string();
    assert!(text.contains("64 over --max-arena"), "{text}");
    assert!(text.contains("1x16x16x64"), "{text}");
}

#[test]
fn the_file_says_what_it_is() {
    let options = CompileOptions {
        metadata: [(keys::LABELS.into(), "cat\ndog".into())].into(),
        activations: ActivationMode::I8,
        ..CompileOptions::default()
    };
    let compiled = compile_with(&options).unwrap();
    let aligned = Aligned::new(&compiled.bytes);
    let model = Model::new(aligned.bytes()).unwrap();
    let text = |key| model.metadata(key).unwrap_or_default();
    assert_eq!(text(keys::NAME), "net");
    assert_eq!(text(keys::LABELS), "cat\ndog");
    assert_eq!(text(keys::ACTIVATIONS), "i8");
    assert_eq!(text("licence"), "MIT");
    let names: Vec<&str> = text(keys::OP_NAMES).lines().collect();
    assert!(
        names.contains(&"small.quantize") && names.contains(&"head"),
        "{names:?}"
    );
    let ledger: serde_json::Value = serde_json::from_str(text(keys::LEDGER)).unwrap();
    assert_eq!(ledger[2]["name"], "large");
    assert_eq!(ledger[2]["weights"], 128 * 9 * 64);
}

#[test]
fn the_report_adds_up() {
    let report = compile_with(&CompileOptions::default()).unwrap().report;
    let (layers, totals) = (&report.layers, &report.totals);
    assert_eq!(totals.macs, layers.iter().map(|l| l.macs).sum::<u64>());
    assert_eq!(layers[1].macs, 16 * 16 * 64 * 64 * 9);
    assert_eq!(layers[2].output_shape, [1, 7, 7, 128]);
    assert_eq!(
        (layers[1].bits_per_weight, layers[0].bits_per_weight),
        (2.0, 32.0)
    );
    assert_eq!(
        totals.f32_bytes,
        4 * layers.iter().map(|l| l.weights).sum::<u64>()
    );
    assert_eq!((totals.weight_error, totals.ternary_layers), (0.0, 2));
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    let text = report.to_text();
    for name in ["stem", "small", "large", "head", "times smaller"] {
        assert!(text.contains(name), "{text}");
    }
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["layers"][1]["codec"], "t2");
}

#[test]
fn ternarising_after_training_warns() {
    let policy = Policy {
        mode: ternarise::Mode::Threshold,
        all: true,
        ..Policy::default()
    };
    let options = CompileOptions {
        ternarise: policy,
        ..CompileOptions::default()
    };
    let report = compile_with(&options).unwrap().report;
    assert!(report.totals.weight_error > 0.1);
    assert_eq!(
        report.layers[1].weight_error, 0.0,
        "what was ternary is kept"
    );
    assert!(
        report.warnings[0].starts_with("2 layers"),
        "{:?}",
        report.warnings
    );
}

#[test]
fn calibration_is_for_static_scales() {
    for activations in [ActivationMode::F32, ActivationMode::I16] {
        let options = CompileOptions {
            calibrate: Some(Calibration::Samples("samples.npz".into())),
            activations,
            ..CompileOptions::default()
        };
        let text = compile_with(&options).unwrap_err().to_string();
        assert!(
            text.contains("--calibrate") && text.contains("i8"),
            "{text}"
        );
    }
}

#[test]
fn values_beyond_any_memory_are_refused() {
    let text = "graph \"t\"\n\
         input %x \"x\" : f32[1]\n\
         %a \"vast\" = broadcast(%x) : f32[1048576,1048576,1048576]\n\
         %y \"sum\" = reduce(%a) function=sum axes=7\n\
         output \"y\" = %y\n";
    let error = compile_graph(
        parse(text).unwrap(),
        "t",
        &CompileOptions::default(),
        &Silent,
    );
    assert!(error.unwrap_err().to_string().contains("\"vast\""));
}

#[derive(Default)]
struct Stages(RefCell<Vec<String>>);

impl Progress for Stages {
    fn stage(&self, name: &str, _: Option<u64>) {
        self.0.borrow_mut().push(name.to_owned());
    }

    fn advance(&self, _: u64) {}
}

#[test]
fn who_watches_sees_every_stage() {
    let stages = Stages::default();
    compile_graph(network(), "t", &CompileOptions::default(), &stages).unwrap();
    let expected = [
        "simplifying the graph",
        "ternarising weights",
        "planning memory",
        "packing",
        "computing golden outputs",
    ];
    assert_eq!(*stages.0.borrow(), expected);
}

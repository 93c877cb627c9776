//! The commands as a user meets them: what they print, what they write, and
//! one clear line for each kind of bad input.

use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use tern_tests::Aligned;
use tern_tests::command::{refuse, succeed, ternc, text};
use tern_tests::models::DIGITS;

struct Files {
    dir: TempDir,
}

impl Files {
    fn new() -> Files {
        let files = Files {
            dir: tempfile::tempdir().unwrap(),
        };
        std::fs::write(files.path("digits.onnx"), DIGITS).unwrap();
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn compile(&self, extra: &[&str]) -> String {
        let (onnx, tern) = (self.text("digits.onnx"), self.text("digits.tern"));
        let mut args = vec!["compile", &onnx, "-o", &tern];
        args.extend(extra);
        succeed(&args);
        tern
    }

    fn npy(&self, name: &str, descr: &str, shape: &str, data: &[u8]) -> String {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        let len = (10 + header.len() + 1).div_ceil(64) * 64 - 10;
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((len as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.resize(10 + len - 1, b' ');
        bytes.push(b'\n');
        bytes.extend(data);
        std::fs::write(self.path(name), bytes).unwrap();
        self.text(name)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[test]
fn compile_run_inspect_verify() {
    let files = Files::new();
    let (onnx, tern, report) = (
        files.text("digits.onnx"),
        files.text("digits.tern"),
        files.text("report.json"),
    );
    let table = succeed(&["compile", &onnx, "-o", &tern, "--report", &report]);
    for word in ["conv1", "t2", "conv2d", "fc", "arena", "smaller"] {
        assert!(table.contains(word), "{word} is not in\n{table}");
    }
    let json = std::fs::read_to_string(&report).unwrap();
    assert!(
        json.contains("\"file_bytes\"") && json.contains("\"weight_error\""),
        "{json}"
    );
    assert_eq!(succeed(&["compile", &onnx, "-o", &tern, "--quiet"]), "");

    let x = files.npy("x.npy", "<f4", "(1, 1, 8, 8)", &[0; 256]);
    let out = files.text("results");
    succeed(&[
        "run",
        &tern,
        "--input",
        &format!("image={x}"),
        "--output-dir",
        &out,
        "--threads",
        "2",
    ]);
    let logits = std::fs::read(Path::new(&out).join("logits.npy")).unwrap();
    assert_eq!(logits.len(), 128 + 40);

    let shown = succeed(&["inspect", &tern]);
    for word in [
        "entry \"main\"",
        "\"image\" f32 1x1x8x8",
        "\"logits\" f32 1x10",
        "conv2d",
        "t2",
        "metadata labels",
    ] {
        assert!(shown.contains(word), "{word} is not in\n{shown}");
    }
    let svg = files.text("arena.svg");
    let json = succeed(&["inspect", &tern, "--json", "--svg", &svg]);
    assert!(
        json.trim_start().starts_with('{') && json.contains("\"bytes_by_codec\""),
        "{json}"
    );
    assert!(std::fs::read_to_string(&svg).unwrap().starts_with("<svg"));

    let verdict = succeed(&["verify", &tern]);
    assert!(
        verdict.contains("scalar") && verdict.contains("golden      ok"),
        "{verdict}"
    );
}

#[test]
fn memory_as_text_json_and_page() {
    let files = Files::new();
    let tern = files.compile(&[]);
    let dir = files.text("report");
    let text = succeed(&["memory", &tern, "--out", &dir]);
    for word in ["conv1", "t2", "scales", "int8", "most bytes alive at step"] {
        assert!(text.contains(word), "{word} is not in\n{text}");
    }
    let page = std::fs::read_to_string(Path::new(&dir).join("memory.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("<svg"));
    let json = std::fs::read_to_string(Path::new(&dir).join("memory.json")).unwrap();
    assert_eq!(succeed(&["memory", &tern, "--json"]), json);
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    let file_bytes = std::fs::metadata(&tern).unwrap().len();
    assert_eq!(report["file_bytes"].as_u64(), Some(file_bytes));
    assert_eq!(report["layers"].as_array().unwrap().len(), 4);
    // An ONNX model is measured as it would compile.
    let onnx = succeed(&["memory", &files.text("digits.onnx"), "--json"]);
    let onnx: serde_json::Value = serde_json::from_str(&onnx).unwrap();
    assert_eq!(onnx["layers"], report["layers"]);
    refuse(&["memory", &files.text("missing")], &["cannot open"]);
}

#[test]
fn diff_tells_by_its_exit_code() {
    let files = Files::new();
    let a = files.text("a.tern");
    std::fs::rename(files.compile(&[]), &a).unwrap();
    let b = files.compile(&["--codec", "t5"]);
    let run = |args: &[&str]| ternc().arg("diff").args(args).output().unwrap();
    let same = run(&[&a, &a]);
    assert_eq!(same.status.code(), Some(0));
    assert!(text(&same.stdout).contains("are the same"));
    let differs = run(&[&a, &b]);
    assert_eq!(differs.status.code(), Some(1));
    assert!(text(&differs.stdout).contains("codec     t2 -> t5"));
    let json = run(&[&a, &b, "--json"]);
    assert_eq!(json.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["identical"], false);
    let missing = run(&[&a, &files.text("missing")]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).starts_with("error: cannot open"));
}

#[test]
fn every_mode_compiles_and_verifies() {
    let files = Files::new();
    let mut samples = Vec::new();
    for i in 0..3 * 64 {
        samples.extend(((i % 17) as f32 / 16.0).to_le_bytes());
    }
    let samples = files.npy("image.npy", "<f4", "(3, 1, 8, 8)", &samples);
    std::fs::create_dir(files.path("samples")).unwrap();
    std::fs::rename(samples, files.path("samples/image.npy")).unwrap();
    let samples = files.text("samples");
    for extra in [
        vec!["--activations", "i16"],
        vec!["--activations", "i8"],
        vec!["--activations", "i7"],
        vec!["--activations", "i8", "--calibrate", &samples],
        vec!["--activations", "i7", "--calibrate", &samples],
        vec!["--dense", "f16"],
        vec!["--codec", "t5"],
        vec!["--ternarise", "absmean", "--ternarise-all"],
        vec!["--ternarise", "threshold", "--skip", "conv1"],
        vec!["--ternarise", "threshold", "--sparsify", "1of2"],
        vec![
            "--ternarise",
            "absmean",
            "--sparsify",
            "3of4",
            "--codec",
            "n34",
        ],
        vec!["--sparsify", "3of4", "--activations", "i8"],
        vec!["--no-golden"],
    ] {
        let tern = files.compile(&extra);
        succeed(&["verify", &tern]);
    }
}

#[test]
fn three_of_four_are_packed_as_n34() {
    let files = Files::new();
    let (onnx, tern) = (files.text("digits.onnx"), files.text("digits.tern"));
    let args = ["compile", &onnx, "-o", &tern, "--ternarise", "threshold"];
    let with = |extra: &[&'static str]| [&args[..], extra].concat();
    let table = succeed(&with(&["--sparsify", "3of4"]));
    // Two layers in between, each with its error; and what that does to a network.
    let layers = table.lines().filter(|l| l.contains(" n34 ")).count();
    assert_eq!(layers, 2, "{table}");
    assert!(table.contains("2 layers were made ternary"), "{table}");
    for codec in ["n12", "t2", "t5"] {
        refuse(
            &with(&["--sparsify", "3of4", "--codec", codec]),
            &["--sparsify 3of4", "--codec n34"],
        );
    }
    refuse(
        &with(&["--sparsify", "1of2", "--codec", "n34"]),
        &["--sparsify 1of2", "--codec n12"],
    );
}

#[test]
fn an_image_gives_labels() {
    let files = Files::new();
    let tern = files.compile(&[]);
    let png = concat!(env!("CARGO_MANIFEST_DIR"), "/data/seven.png");
    let top = succeed(&["run", &tern, "--image", png]);
    let first = top.lines().nth(2).unwrap();
    assert!(first.trim_end().ends_with('7'), "{top}");

    // The labels' file ends in a line break, the labels do not.
    let labels = files.text("labels.txt");
    let named = "nil\none\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine";
    std::fs::write(&labels, format!("{named}\n")).unwrap();
    let own = files.compile(&["--labels", &labels]);
    let first = succeed(&["run", &own, "--image", png]);
    assert!(first.lines().nth(2).unwrap().ends_with("seven"), "{first}");
    let file = Aligned::new(&std::fs::read(&own).unwrap());
    let model = ternrt::Model::new(file.bytes()).unwrap();
    assert_eq!(model.metadata("labels"), Some(named));

    // Pixels are taken as the file says, unless the command says otherwise.
    let run = |tern: &str, options: &[&str]| {
        let words = ["run", tern, "--image", png];
        succeed(&[&words[..], options].concat())
    };
    let normalised = files.compile(&["--mean", "0.25", "--std", "0.5"]);
    let told = run(&normalised, &[]);
    assert_ne!(told, top);
    let plain = run(&normalised, &["--mean", "0", "--std", "1"]);
    assert_eq!(plain, top);
    let out = files.text("digits.onnx");
    for wrong in [["--std", "0"], ["--mean", "inf"]] {
        refuse(
            &[&["compile", &out, "-o", &files.text("no.tern")][..], &wrong].concat(),
            &["--mean and --std"],
        );
    }
}

#[test]
fn bad_models_are_refused() {
    let files = Files::new();
    let out = files.text("out.tern");
    let onnx = files.text("digits.onnx");
    let missing = files.text("missing.onnx");
    refuse(
        &["compile", &missing, "-o", &out],
        &["missing.onnx", "no such file"],
    );
    std::fs::write(files.path("text.onnx"), "this is not a model").unwrap();
    refuse(
        &["compile", &files.text("text.onnx"), "-o", &out],
        &["text.onnx", "ONNX"],
    );
    std::fs::write(files.path("empty.onnx"), "").unwrap();
    refuse(
        &["compile", &files.text("empty.onnx"), "-o", &out],
        &["empty.onnx"],
    );
    refuse(
        &["compile", &onnx, "-o", &out, "--input-shape", "nothing=1x1"],
        &["nothing", "image"],
    );
    refuse(
        &["compile", &onnx, "-o", &out, "--max-file", "1k"],
        &["over", "1,000"],
    );
    refuse(
        &["compile", &onnx, "-o", &out, "--max-arena", "1k"],
        &["over", "1,000"],
    );
    refuse(
        &[
            "compile",
            &onnx,
            "-o",
            &out,
            "--activations",
            "i8",
            "--calibrate",
            &missing,
        ],
        &["missing.onnx"],
    );
    let nowhere = files.text("no/such/dir/out.tern");
    refuse(&["compile", &onnx, "-o", &nowhere], &["no/such/dir"]);
    assert_eq!(
        files.names(),
        ["digits.onnx", "empty.onnx", "text.onnx"],
        "nothing is left behind"
    );
}

#[test]
fn bad_inputs_are_refused() {
    let files = Files::new();
    let tern = files.compile(&[]);
    let out = files.text("results");
    let good = files.npy("x.npy", "<f4", "(1, 1, 8, 8)", &[0; 256]);
    let ints = files.npy("i.npy", "<i8", "(1, 1, 8, 8)", &[0; 512]);
    let flat = files.npy("f.npy", "<f4", "(64,)", &[0; 256]);
    let cut = files.npy("c.npy", "<f4", "(1, 1, 8, 8)", &[0; 100]);
    let run = |input: &str, needles: &[&str]| {
        refuse(
            &["run", &tern, "--input", input, "--output-dir", &out],
            needles,
        );
    };
    run(
        &format!("image={ints}"),
        &["image", "i.npy", "f32", "astype"],
    );
    run(
        &format!("image={flat}"),
        &["image", "f.npy", "[64]", "[1, 1, 8, 8]"],
    );
    run(&format!("image={cut}"), &["image", "c.npy"]);
    run(&format!("picture={good}"), &["picture", "\"image\""]);
    run("image", &["NAME=FILE"]);
    run("image=/no/such.npy", &["/no/such.npy"]);
    refuse(
        &["run", &tern, "--output-dir", &out],
        &["nothing to run on"],
    );
    assert!(!Path::new(&out).exists(), "no results of a refused run");
    refuse(
        &[
            "run",
            &good,
            "--input",
            &format!("image={good}"),
            "--output-dir",
            &out,
        ],
        &["not a .tern file"],
    );
    let mut newer = std::fs::read(&tern).unwrap();
    newer[8] = 9;
    std::fs::write(files.path("newer.tern"), &newer).unwrap();
    for command in ["inspect", "verify"] {
        refuse(
            &[command, &files.text("newer.tern")],
            &["newer.tern", "version"],
        );
        refuse(&[command, &files.text("none.tern")], &["none.tern"]);
    }
    let mut damaged = std::fs::read(&tern).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(files.path("damaged.tern"), &damaged).unwrap();
    refuse(&["verify", &files.text("damaged.tern")], &["checksum"]);
}

/// A disk that is full and a directory that is read-only are there on Linux.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_nothing() {
    let files = Files::new();
    let onnx = files.text("digits.onnx");
    let out = ternc()
        .args(["compile", &onnx, "-o", "/dev/full/out.tern"])
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(1));
    let out = ternc()
        .args(["compile", &onnx, "-o", "/proc/out.tern"])
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).contains("/proc"), "{}", text(&out.stderr));
    // `ulimit -f` makes every write beyond a kilobyte fail, as a full disk does.
    let target = files.text("big.tern");
    let binary = ternc().get_program().to_owned();
    let script = format!(
        "trap '' XFSZ; ulimit -f 1; exec '{}' compile '{onnx}' -o '{target}'",
        binary.to_str().unwrap()
    );
    let out = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_eq!(out.status.code(), Some(1), "{}", text(&out.stderr));
    assert!(
        text(&out.stderr).contains("big.tern"),
        "{}",
        text(&out.stderr)
    );
    assert_eq!(files.names(), ["digits.onnx"], "nothing is left behind");
}

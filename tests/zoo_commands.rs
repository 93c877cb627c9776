//! `ternc zoo` as a user meets it.

use serde_json::Value;
use tern_tests::command::{refuse, succeed, ternc, text};
use ternc::data::catalogue;

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&succeed(args)).unwrap()
}

#[test]
fn networks_are_listed() {
    let table = succeed(&["zoo", "list"]);
    for word in ["resnet18-imagenet", "11,689,512", "mobilenetv2", "n12"] {
        assert!(table.contains(word), "{word} is not in\n{table}");
    }
    let listing = json(&["zoo", "list", "--json"]);
    let networks = listing["architectures"].as_array().unwrap();
    assert!(networks.len() >= 7);
    for network in networks {
        let size = |codec: &str| network["bytes"][codec].as_u64().unwrap();
        assert!(
            size("n12") < size("n34") && size("n34") < size("t2") && size("t2") < size("f32") / 2,
            "{network}"
        );
        assert_eq!(
            4 * network["parameters"].as_u64().unwrap() / size("f32"),
            1,
            "{network}"
        );
    }
}

#[test]
fn a_network_is_shown_in_the_sizes_asked_for() {
    let table = succeed(&["zoo", "show", "resnet8"]);
    for word in ["layer2.0.downsample.0", "16x3x3x3", "Conv2d 3x3", "dense"] {
        assert!(table.contains(word), "{word} is not in\n{table}");
    }
    let shown = json(&[
        "zoo",
        "show",
        "resnet8",
        "--classes",
        "7",
        "--channels",
        "1",
        "--image-size",
        "16",
        "--width",
        "2",
        "--json",
    ]);
    let layers = shown["layers"].as_array().unwrap();
    assert_eq!(layers[0]["shape"], serde_json::json!([1, 16, 16]));
    let last = layers.last().unwrap();
    assert_eq!(
        last["tensors"][0],
        serde_json::json!(["fc.weight", [7, 128]])
    );
    let counts = layers.iter().map(|l| l["parameters"].as_u64().unwrap());
    assert_eq!(counts.sum::<u64>(), shown["parameters"].as_u64().unwrap());
}

#[test]
fn bad_input_is_refused() {
    refuse(&["zoo", "show", "resnet21"], &["resnet21", "resnet20"]);
    refuse(&["zoo", "show", "resnet8", "--width", "0"], &["width of 0"]);
    refuse(
        &["zoo", "show", "resnet8", "--classes", "0"],
        &["classes of 0"],
    );
}

/// Where a trained network's files are.
fn asset(file: &str) -> String {
    format!(
        "{}/../compiler/assets/zoo/{file}",
        env!("CARGO_MANIFEST_DIR")
    )
}

#[test]
fn networks_are_exported() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    // Random parameters, the same ones in each format.
    let (onnx, tern, weights) = (path("a.onnx"), path("a.tern"), path("a.safetensors"));
    for (format, file) in [("onnx", &onnx), ("tern", &tern), ("safetensors", &weights)] {
        let args = [
            "zoo",
            "export",
            "resnet8",
            "--to",
            format,
            "-o",
            file,
            "--width",
            "0.5",
            "--image-size",
            "8",
            "--classes",
            "3",
            "--seed",
            "5",
        ];
        let out = ternc().args(args).output().unwrap();
        let stderr = text(&out.stderr);
        assert!(
            out.status.success() && stderr.contains("random"),
            "{stderr}"
        );
        assert!(text(&out.stdout).contains(file.as_str()));
    }
    // Sizes are in the checkpoint.
    let again = path("again.tern");
    succeed(&[
        "zoo",
        "export",
        "resnet8",
        "--to",
        "tern",
        "-o",
        &again,
        "--checkpoint",
        &weights,
    ]);
    assert_eq!(
        std::fs::read(&again).unwrap(),
        std::fs::read(&tern).unwrap()
    );
    succeed(&["verify", &tern]);
    // The ONNX model's layers are the compiled one's.
    let (a, b) = (
        json(&["memory", &onnx, "--json"]),
        json(&["memory", &tern, "--json"]),
    );
    assert_eq!(
        a["layers"].as_array().unwrap().len(),
        b["layers"].as_array().unwrap().len()
    );

    // A trained one, with what it was trained with.
    let checkpoint = asset("resnet8-fashion-mnist-n12-i8.safetensors");
    let args = [
        "zoo",
        "export",
        "resnet8",
        "--to",
        "onnx",
        "-o",
        &onnx,
        "--checkpoint",
        &checkpoint,
    ];
    let out = ternc().args(args).output().unwrap();
    let stderr = text(&out.stderr);
    assert!(
        stderr.contains("n12") && stderr.contains("i8") && !stderr.contains("random"),
        "{stderr}"
    );
    succeed(&["compile", &onnx, "-o", &tern, "-q"]);
    let bytes = &json(&["inspect", &tern, "--json"])["bytes_by_codec"];
    assert!(
        bytes["n12"].as_u64().unwrap() > 8000 && bytes.get("t2").is_none(),
        "{bytes}"
    );
}

#[test]
fn exports_that_cannot_be_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let out = out.to_str().unwrap();
    let checkpoint = asset("resnet8-fashion-mnist-f32.safetensors");
    let with = |extra: &[&str], needles: &[&str]| {
        let mut args = vec!["zoo", "export", "--to", "onnx", "-o", out];
        args.extend(extra);
        refuse(&args, needles);
        assert!(!std::path::Path::new(out).exists());
    };
    with(
        &["resnet20", "--checkpoint", &checkpoint],
        &["resnet8", "resnet20"],
    );
    with(
        &["resnet8", "--checkpoint", &checkpoint, "--classes", "3"],
        &["fc.weight"],
    );
    with(
        &["resnet8", "--checkpoint", "missing.safetensors"],
        &["missing.safetensors"],
    );
    with(
        &["resnet8", "--checkpoint", &asset("README.md")],
        &["README.md", "safetensors"],
    );
    with(&["resnet-8"], &["resnet8"]);
    refuse(
        &[
            "zoo",
            "export",
            "tiny",
            "--to",
            "onnx",
            "-o",
            dir.path().to_str().unwrap(),
        ],
        &["directory"],
    );
}

#[test]
fn a_trained_network_stands_for_its_file() {
    let name = "resnet8-fashion-mnist-n12";
    let table = succeed(&["zoo", "list"]);
    assert!(table.contains(name) && table.contains("93.42%"), "{table}");
    let shown = succeed(&["zoo", "show", name]);
    for word in [
        "layer3.0.conv2",
        "93.42%",
        "MIT",
        "ternc train --model resnet8",
    ] {
        assert!(shown.contains(word), "{word} is not in\n{shown}");
    }
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("copy.tern");
    let copy = copy.to_str().unwrap();
    succeed(&["zoo", "export", name, "--to", "tern", "-o", copy]);
    assert_eq!(
        std::fs::read(copy).unwrap(),
        std::fs::read(asset("resnet8-fashion-mnist-n12-i8.tern")).unwrap()
    );
    succeed(&["diff", name, copy]);
    // On a picture it names what it sees.
    let png = concat!(env!("CARGO_MANIFEST_DIR"), "/data/seven.png");
    let seen = succeed(&["run", copy, "--image", png]);
    let classes = catalogue::find("fashion-mnist").unwrap().classes;
    let named = |line: &&str| classes.iter().any(|class| line.trim_end().ends_with(class));
    assert_eq!(seen.lines().filter(named).count(), 5, "{seen}");
    succeed(&["verify", name, "--quiet"]);
    assert_eq!(
        json(&["inspect", name, "--json"])["file_bytes"],
        json(&["memory", copy, "--json"])["file_bytes"]
    );
    refuse(
        &["verify", "resnet8-fashion-mnist-n21"],
        &["did you mean", name],
    );
    refuse(
        &["zoo", "show", "resnet8-fashion-mnist-n21"],
        &["did you mean", name],
    );
    refuse(&["zoo", "show", name, "--width", "2"], &["sizes are fixed"]);
    refuse(
        &["zoo", "export", name, "--to", "onnx", "-o", copy],
        &["--to tern", "\"resnet8\"", "--checkpoint"],
    );
}

#[test]
fn users_have_registries_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let model = path("own.tern");
    succeed(&[
        "zoo", "export", "tiny", "--to", "tern", "-o", &model, "--width", "0.5",
    ]);
    let bytes = std::fs::read(&model).unwrap();
    let registry = path("registry.toml");
    let write = |bytes: usize, sha256: &str, accuracy: &str| {
        let text = format!(
            "[[model]]\nname = \"tiny-digits-f32\"\nversion = \"3\"\narchitecture = \"tiny\"\n\
             config = {{ width = 0.5, channels = 1, image-size = 8, classes = 10 }}\n\
             dataset = \"digits\"\naccuracy = {accuracy}\nimages = 360\nweights = \"f32\"\n\
             activations = \"f32\"\nfile = \"own.tern\"\nbytes = {bytes}\nsha256 = \"{sha256}\"\n\
             licence = \"none\"\nsource = \"a test\"\ncommand = \"ternc zoo export tiny\"\n"
        );
        std::fs::write(&registry, text).unwrap();
    };
    let zeros = "0".repeat(64);
    write(bytes.len(), &zeros, "9.5");
    let table = succeed(&["zoo", "list", "--registry", &registry]);
    assert!(table.contains("tiny-digits-f32") && table.contains("resnet8-fashion-mnist-n12"));
    let ternc_with = |args: &[&str]| ternc().env("TERNC_REGISTRY", &registry).args(args).output();
    let accuracy = [
        "accuracy",
        "tiny-digits-f32",
        "--dataset",
        "digits",
        "--json",
    ];
    let refused = ternc_with(&accuracy).unwrap();
    let stderr = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        stderr.contains("own.tern") && stderr.contains("SHA-256"),
        "{stderr}"
    );
    // The message says what it should have been.
    let sha256 = stderr.split("the SHA-256 ").nth(1).unwrap()[..64].to_owned();
    write(bytes.len(), &sha256, "9.5");
    let measured = ternc_with(&accuracy).unwrap();
    assert!(measured.status.success(), "{}", text(&measured.stderr));
    let measured: Value = serde_json::from_slice(&measured.stdout).unwrap();
    let same = json(&["accuracy", &model, "--dataset", "digits", "--json"]);
    // Only the models' names are different.
    assert!(measured["confusion"] == same["confusion"] && measured["mistakes"] == same["mistakes"]);
    assert_eq!(measured["model"], "tiny-digits-f32");

    write(bytes.len(), &sha256, "950");
    refuse(
        &["zoo", "list", "--registry", &registry],
        &["registry.toml", "tiny-digits-f32", "950"],
    );
    refuse(
        &["zoo", "list", "--registry", &path("none.toml")],
        &["none.toml"],
    );
    let refused = ternc_with(&["verify", "tiny-digits-f32"]).unwrap();
    assert!(text(&refused.stderr).contains("TERNC_REGISTRY"));
}

//! `ternc accuracy`, `ternc sensitivity` and the picking of codecs as a user meets them, on the data set that is built in.

use std::path::Path;
use tempfile::TempDir;
use tern_tests::command::{refuse, succeed};
use tern_tests::models::DIGITS;

struct Files {
    dir: TempDir,
    onnx: String,
    tern: String,
}

/// The network of the quick start, and what is left of it with every layer ternary.
fn files() -> Files {
    let dir = tempfile::tempdir().unwrap();
    let text = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (onnx, tern) = (text("digits.onnx"), text("spoilt.tern"));
    std::fs::write(&onnx, DIGITS).unwrap();
    succeed(&[
        "compile",
        &onnx,
        "-o",
        &tern,
        "--ternarise",
        "threshold",
        "--ternarise-all",
        "-q",
    ]);
    Files { dir, onnx, tern }
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_model_is_measured_against_a_baseline() {
    let files = files();
    let out = files.dir.path().join("new").join("report");
    let text = succeed(&[
        "accuracy",
        &files.tern,
        "--dataset",
        "digits",
        "--baseline",
        &files.onnx,
        "--out",
        out.to_str().unwrap(),
        "--threads",
        "2",
    ]);
    for word in [
        "precision",
        "spoilt.tern",
        "digits.onnx",
        "360 images",
        "McNemar",
    ] {
        assert!(text.contains(word), "{word} is not in\n{text}");
    }
    let json = json(&out.join("accuracy.json"));
    assert_eq!(json["images"], 360);
    let (top1, baseline) = (
        json["top1"].as_f64().unwrap(),
        json["baseline_top1"].as_f64().unwrap(),
    );
    assert!(baseline > 0.95 && top1 < baseline, "{top1} {baseline}");
    assert_eq!(json["correct"].as_f64().unwrap(), (360.0 * top1).round());
    let difference = json["difference"].as_f64().unwrap();
    assert!((difference - (top1 - baseline)).abs() < 1e-9);
    let interval = &json["difference_interval"];
    assert!(
        interval[0].as_f64().unwrap() <= difference && difference <= interval[1].as_f64().unwrap()
    );
    let rows = json["confusion"].as_array().unwrap();
    let cells = rows.iter().flat_map(|r| r.as_array().unwrap());
    assert_eq!(cells.map(|c| c.as_u64().unwrap()).sum::<u64>(), 360);
    let html = std::fs::read_to_string(out.join("accuracy.html")).unwrap();
    for word in [
        "<svg",
        "data:image/png;base64,",
        "Confusion matrix",
        "Calibration",
    ] {
        assert!(html.contains(word), "{word}");
    }
    assert!(!html.contains("http:") && !html.contains("https:") && !html.contains("<script"));
}

#[test]
fn a_part_of_the_images_and_json_alone() {
    let files = files();
    let printed = succeed(&[
        "accuracy",
        &files.onnx,
        "--dataset",
        "digits",
        "--split",
        "train",
        "--limit",
        "50",
        "--json",
    ]);
    let json: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(
        (&json["images"], &json["split"]),
        (&50.into(), &"train".into())
    );
    assert!(json.get("baseline_top1").is_none());
    // Pixels that are normalised wrongly are seen wrongly.
    let printed = succeed(&[
        "accuracy",
        &files.onnx,
        "--dataset",
        "digits",
        "--mean",
        "3",
        "--std",
        "0.1",
        "--json",
    ]);
    let spoilt: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert!(spoilt["top1"].as_f64() < json["top1"].as_f64());
}

#[test]
fn bad_input_is_refused() {
    let files = files();
    let onnx = files.onnx.as_str();
    refuse(
        &["accuracy", onnx, "--dataset", "digit"],
        &["digit", "digits"],
    );
    refuse(
        &["accuracy", "missing.tern", "--dataset", "digits"],
        &["missing.tern"],
    );
    refuse(
        &["accuracy", onnx, "--dataset", "./no-such-folder"],
        &["no-such-folder"],
    );
    refuse(
        &["accuracy", onnx, "--dataset", "digits", "--std", "0"],
        &["--std"],
    );
    refuse(
        &["accuracy", onnx, "--dataset", "digits", "--mean", "1,2"],
        &["--mean", "2 values"],
    );
    refuse(
        &[
            "accuracy",
            onnx,
            "--dataset",
            "digits",
            "--baseline",
            "missing.onnx",
        ],
        &["missing.onnx"],
    );
    let file = files.dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let below = file.join("report");
    refuse(
        &[
            "accuracy",
            onnx,
            "--dataset",
            "digits",
            "--out",
            below.to_str().unwrap(),
        ],
        &["file"],
    );
}

#[test]
fn layers_are_measured_alone() {
    let files = files();
    let out = files.dir.path().join("report");
    let text = succeed(&[
        "sensitivity",
        &files.onnx,
        "--dataset",
        "digits",
        "--limit",
        "90",
        "--out",
        out.to_str().unwrap(),
    ]);
    for word in ["fc", "f32 to n12", "90 images of digits", "points lost"] {
        assert!(text.contains(word), "{word} is not in\n{text}");
    }
    let json = json(&out.join("sensitivity.json"));
    let layers = json["layers"].as_array().unwrap();
    let tried = layers
        .iter()
        .flat_map(|l| l["candidates"].as_array().unwrap());
    assert!(tried.clone().count() >= 3);
    assert!(tried.into_iter().all(|c| c["saved"].as_u64().unwrap() > 0));
    let html = std::fs::read_to_string(out.join("sensitivity.html")).unwrap();
    assert!(html.contains("<svg") && html.contains("conv1"));
    let t2 = succeed(&[
        "sensitivity",
        &files.onnx,
        "--dataset",
        "digits",
        "--limit",
        "9",
        "--codec",
        "t2",
        "--skip",
        "conv1",
    ]);
    assert!(!t2.contains("n12") && t2.contains("conv1 (f32)"), "{t2}");
    refuse(
        &["sensitivity", &files.tern, "--dataset", "digits"],
        &["ONNX"],
    );
    refuse(
        &[
            "sensitivity",
            &files.onnx,
            "--dataset",
            "digits",
            "--skip",
            "nothing",
        ],
        &["--skip", "nothing"],
    );
}

#[test]
fn codecs_are_picked_by_measuring() {
    let files = files();
    let (onnx, tern) = (files.onnx.as_str(), files.tern.as_str());
    let compile = |extra: &[&str]| {
        let mut args = vec!["compile", onnx, "-o", tern, "--dataset", "digits"];
        args.extend(extra);
        succeed(&args)
    };
    let report = files.dir.path().join("report.json");
    let text = compile(&["--max-drop", "3", "--report", report.to_str().unwrap()]);
    assert!(
        text.contains("picked") && text.contains("points lost"),
        "{text}"
    );
    let picked = json(&report)["selection"].clone();
    assert!(picked["drop"].as_f64().unwrap() <= 3.0, "{picked}");
    assert!(!picked["picked"].as_array().unwrap().is_empty(), "{picked}");
    // It is what `ternc accuracy` finds.
    let printed = succeed(&["accuracy", tern, "--dataset", "digits", "--json"]);
    let measured: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(measured["top1"], picked["after"]["top1"]);
    let size = std::fs::metadata(tern).unwrap().len();

    let limit = (size - 600).to_string();
    compile(&["--max-file", &limit]);
    assert!(std::fs::metadata(tern).unwrap().len() <= size - 600);
    let with = |extra: &[&'static str], needles: &[&str]| {
        let mut args = vec!["compile", onnx, "-o", tern, "--dataset", "digits"];
        args.extend(extra);
        refuse(&args, needles);
    };
    with(&["--max-file", "500"], &["--max-file", "largest layers"]);
    with(
        &["--max-drop", "0", "--max-file", "7000"],
        &["--max-drop 0"],
    );
    with(&[], &["--max-drop", "--max-file"]);
    with(&["--max-drop", "101"], &["--max-drop"]);
    with(
        &["--max-drop", "1", "--ternarise", "absmean"],
        &["--ternarise"],
    );
    with(&["--max-drop", "1", "--codec", "t5"], &["t5"]);
}

//! `ternc data` as a user meets it.

use serde_json::Value;
use std::path::Path;
use tern_tests::command::{refuse, succeed};

/// The held-out part of MNIST in its own format, IDX: image `i` is all of brightness
/// `i` modulo 256, and its label is `i` modulo 10.
fn write_mnist(dir: &Path, labels: u32) {
    let number = |n: u32| n.to_be_bytes();
    let mut images = [0x803u32, 10_000, 28, 28].map(number).concat();
    images.extend((0..10_000u32).flat_map(|i| [i as u8; 28 * 28]));
    std::fs::write(dir.join("t10k-images-idx3-ubyte"), images).unwrap();
    let mut file = [0x801, labels].map(number).concat();
    file.extend((0..labels).map(|i| (i % 10) as u8));
    std::fs::write(dir.join("t10k-labels-idx1-ubyte"), file).unwrap();
}

#[test]
fn data_sets_are_listed() {
    let table = succeed(&["data", "list"]);
    for word in ["fashion-mnist", "cifar-100", "60,000", "built in"] {
        assert!(table.contains(word), "{word} is not in\n{table}");
    }
    let empty = tempfile::tempdir().unwrap();
    let dir = empty.path().to_str().unwrap();
    let listing = succeed(&["data", "list", "--json", "--data-dir", dir]);
    let sets: Value = serde_json::from_str(&listing).unwrap();
    for set in sets.as_array().unwrap() {
        let built_in = set["place"] == "built in";
        assert_eq!(built_in, set["download_bytes"] == 0, "{set}");
        assert!(built_in || set["place"].is_null(), "{set}");
    }
}

#[test]
fn a_data_set_is_shown() {
    let shown = succeed(&["data", "show", "digits"]);
    for word in ["360 images 1x8x8", "##"] {
        assert!(shown.contains(word), "{word} is not in\n{shown}");
    }
    let dir = tempfile::tempdir().unwrap();
    write_mnist(dir.path(), 10_000);
    let here = ["--data-dir", dir.path().to_str().unwrap()];
    let show = [&["data", "show", "mnist", "--image", "251"], &here[..]].concat();
    let shown = succeed(&show);
    for word in ["10,000 images 1x28x28", "1,000", "image 251, 1:", "####"] {
        assert!(shown.contains(word), "{word} is not in\n{shown}");
    }
    let train = [&["data", "show", "mnist", "--split", "train"], &here[..]].concat();
    refuse(&train, &["train-images-idx3-ubyte"]);
    let beyond = [&["data", "show", "mnist", "--image", "10000"], &here[..]].concat();
    refuse(&beyond, &["--image 10000", "0 to 9999"]);
}

#[test]
fn trained_networks_are_shown_on_pictures() {
    let dir = tempfile::tempdir().unwrap();
    write_mnist(dir.path(), 10_000);
    let kept = dir.path().join("kept.tern");
    let (here, kept) = (dir.path().to_str().unwrap(), kept.to_str().unwrap());
    let quickstart = |set| {
        [
            "quickstart",
            "--dataset",
            set,
            "--data-dir",
            here,
            "-o",
            kept,
        ]
    };
    let shown = succeed(&quickstart("fashion-mnist"));
    for word in ["resnet18-fashion-mnist-n12", "of 1,000)", "but it is"] {
        assert!(shown.contains(word), "{word} is not in\n{shown}");
    }
    succeed(&["verify", kept]);
    refuse(
        &quickstart("mnist"),
        &["\"mnist\"", "digits, fashion-mnist"],
    );
    refuse(&quickstart("mnits"), &["mnits", "mnist"]);
    let nowhere = dir.path().join("none");
    let nowhere = ["--data-dir", nowhere.to_str().unwrap()];
    let missing = [&["quickstart", "--dataset", "fashion-mnist"], &nowhere[..]].concat();
    refuse(&missing, &["none: there is no such folder"]);
}

#[test]
fn bad_data_is_refused() {
    refuse(
        &["data", "show", "fashon-mnist"],
        &["fashon-mnist", "did you mean \"fashion-mnist\""],
    );
    refuse(
        &["data", "fetch", "cifar-11"],
        &["cifar-11", "did you mean \"cifar-1"],
    );
    refuse(
        &["data", "show", "mnist", "--data-dir", "/nowhere/at/all"],
        &["/nowhere/at/all", "no such folder"],
    );
    let dir = tempfile::tempdir().unwrap();
    let show = [
        "data",
        "show",
        "mnist",
        "--data-dir",
        dir.path().to_str().unwrap(),
    ];
    refuse(&show, &["t10k-images-idx3-ubyte"]);
    write_mnist(dir.path(), 9_999);
    refuse(&show, &["t10k-labels-idx1-ubyte", "9"]);
    write_mnist(dir.path(), 10_000);
    let images = dir.path().join("t10k-images-idx3-ubyte");
    let whole = std::fs::read(&images).unwrap();
    for damaged in [&whole[..10], &whole[..whole.len() - 1], &b"<html>"[..]] {
        std::fs::write(&images, damaged).unwrap();
        refuse(&show, &["t10k-images-idx3-ubyte"]);
    }
    // A gzip file that is none.
    std::fs::rename(&images, images.with_extension("gz")).unwrap();
    refuse(&show, &["t10k-images-idx3-ubyte.gz"]);
}

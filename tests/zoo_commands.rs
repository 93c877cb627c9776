//! `ternc zoo` as a user meets it.

use serde_json::Value;
use tern_tests::command::{refuse, succeed};

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&succeed(args)).unwrap()
}

#[test]
fn networks_are_listed() {
    let text = succeed(&["zoo", "list"]);
    for word in ["resnet18-imagenet", "11,689,512", "mobilenetv2", "n12"] {
        assert!(text.contains(word), "{word} is not in\n{text}");
    }
    let listing = json(&["zoo", "list", "--json"]);
    let networks = listing["architectures"].as_array().unwrap();
    assert!(networks.len() >= 7);
    for network in networks {
        let size = |codec: &str| network["bytes"][codec].as_u64().unwrap();
        assert!(
            size("n12") < size("t2") && size("t2") < size("f32") / 2,
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
    let text = succeed(&["zoo", "show", "resnet8"]);
    for word in ["layer2.0.downsample.0", "16x3x3x3", "Conv2d 3x3", "dense"] {
        assert!(text.contains(word), "{word} is not in\n{text}");
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

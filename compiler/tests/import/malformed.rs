//! Random changes of files: Ok or an error of one line, never a panic.

use crate::support::model::{Model, Node, noise};
use proptest::prelude::*;
use ternc::import::{ImportOptions, import_bytes};

fn victim() -> Vec<u8> {
    Model::new(17)
        .input("x", &[1, 2, 6, 6])
        .floats("w", &[4, 2, 3, 3], &noise(1, 72))
        .floats("v", &[4, 5], &noise(2, 20))
        .floats("low", &[], &[0.0])
        .ints("shape", &[2], &[0, -1])
        .ints("pads", &[8], &[0, 0, 1, 1, 0, 0, 1, 1])
        .node(
            Node::new("Conv", &["x", "w"], &["a"])
                .with("strides", [2, 1])
                .with("pads", [1, 1, 1, 1]),
        )
        .node(Node::new("Clip", &["a", "low"], &["b"]))
        .node(Node::new("Pad", &["b", "pads"], &["c"]))
        .node(
            Node::new("MaxPool", &["c"], &["d"])
                .with("kernel_shape", [2, 2])
                .with("ceil_mode", 1),
        )
        .node(Node::new("ReduceMean", &["d"], &["e"]).with("axes", [2, 3]))
        .node(Node::new("Reshape", &["e", "shape"], &["f"]))
        .node(Node::new("Gemm", &["f", "v"], &["g"]))
        .node(Node::new("Softmax", &["g"], &["y"]).with("axis", -1))
        .output("y")
        .bytes()
}

fn check(bytes: &[u8]) {
    if let Err(e) = import_bytes(bytes, &ImportOptions::default()) {
        let text = format!("{e:#}");
        assert!(!text.contains('\n') && !text.is_empty(), "{text}");
    }
}

#[test]
fn the_original_is_fine() {
    import_bytes(&victim(), &ImportOptions::default()).unwrap();
}

#[test]
fn every_truncation() {
    let bytes = victim();
    for len in 0..bytes.len() {
        check(&bytes[..len]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn random_bytes_changed(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = victim();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        check(&bytes);
    }

    #[test]
    fn random_bits_flipped(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bytes = victim();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        check(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn random_pieces_moved(from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(), len in 1usize..40) {
        let mut bytes = victim();
        let from = from.index(bytes.len());
        let piece: Vec<u8> = bytes[from..(from + len).min(bytes.len())].to_vec();
        let to = to.index(bytes.len());
        bytes.splice(to..to, piece);
        check(&bytes);
    }

    #[test]
    fn noise_alone(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&bytes);
    }
}

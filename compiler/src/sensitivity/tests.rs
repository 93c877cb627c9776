use super::choose::{Limits, choose};
use super::*;
use crate::data::{self, Split};
use crate::import::ImportOptions;
use crate::import::onnx::import_bytes;

fn digits() -> (Graph, Box<dyn Dataset>) {
    let onnx = include_bytes!("../../assets/digits/digits.onnx");
    let graph = import_bytes(onnx, &ImportOptions::default()).unwrap();
    let data = data::open("digits", Split::Test, &data::Options::default()).unwrap();
    (graph, data)
}

/// Calls `f` with the quick start's network, of which inner layers are ternary already.
fn with_subject<T>(f: impl FnOnce(&Subject<'_>) -> T) -> T {
    let (graph, data) = digits();
    let options = CompileOptions::default();
    let evaluate = evaluate::Options {
        limit: Some(120),
        ..evaluate::Options::default()
    };
    f(&Subject {
        graph: &graph,
        name: "digits",
        options: &options,
        data: data.as_ref(),
        evaluate: &evaluate,
    })
}

#[test]
fn each_layer_alone() {
    with_subject(|subject| {
        let s = measure(subject, &[Choice::T2, Choice::N34, Choice::N12], &Silent).unwrap();
        assert_eq!((s.images, s.model.as_str()), (120, "digits"));
        assert!(s.before.top1 > 0.9);
        assert!(s.layers.len() >= 3);
        for layer in &s.layers {
            for c in &layer.candidates {
                assert!(c.codec != layer.codec && c.bytes + c.saved == layer.bytes);
                assert!((c.drop - 100.0 * (s.before.top1 - c.quality.top1)).abs() < 1e-9);
                // As if that layer alone were compiled so.
                let chosen = BTreeMap::from([(layer.name.clone(), c.choice)]);
                let again = subject.trial(&chosen, &Silent).unwrap();
                assert_eq!(again.quality, c.quality);
            }
        }
        let tried: usize = s.layers.iter().map(|l| l.candidates.len()).sum();
        assert!(tried >= 3, "{s:?}");
        // The smaller the codec, the more it saves.
        let saved = |l: &LayerSensitivity, codec| {
            let found = l.candidates.iter().find(|c| c.codec == codec);
            found.map(|c| c.saved)
        };
        let both: Vec<_> = s
            .layers
            .iter()
            .map(|l| (saved(l, "n34"), saved(l, "n12")))
            .collect();
        assert!(both.iter().any(|(n34, _)| n34.is_some()), "{both:?}");
        assert!(
            both.iter().all(|(n34, n12)| n34.is_none() || n34 < n12),
            "{both:?}"
        );
    });
}

#[test]
fn a_codec_for_each_layer_within_the_limits() {
    with_subject(|subject| {
        let s = measure(subject, &[Choice::T2, Choice::N12], &Silent).unwrap();
        let run = |max_drop, max_file| {
            let limits = Limits { max_drop, max_file };
            let mut compiled = choose(subject, &s, s.before, limits, &Silent)?;
            let selection = compiled.report.selection.take().unwrap();
            anyhow::Ok((compiled, selection))
        };
        let (small, picked) = run(Some(100.0), None).unwrap();
        let all: usize = s.layers.iter().filter(|l| !l.candidates.is_empty()).count();
        assert_eq!(picked.picked.len(), all, "everything is allowed");
        let (tight, kept) = run(Some(0.0), None).unwrap();
        assert!(kept.drop <= 0.0 && tight.bytes.len() > small.bytes.len());
        // A size between the two: no more than needed is given up.
        let middle = (tight.bytes.len() + small.bytes.len()) as u64 / 2;
        let (between, some) = run(None, Some(middle)).unwrap();
        assert!(between.bytes.len() as u64 <= middle);
        assert!(some.picked.len() <= picked.picked.len() && some.drop <= picked.drop + 1e-9);
        // A size that nothing reaches, and one that costs too much.
        let error = run(None, Some(1000)).unwrap_err().to_string();
        assert!(error.contains("--max-file"), "{error}");
        let smallest = Some(small.bytes.len() as u64);
        let error = run(Some(-50.0), smallest).unwrap_err().to_string();
        assert!(error.contains("--max-drop"), "{error}");
        let error = run(Some(-50.0), None).unwrap_err().to_string();
        assert!(error.contains("even with every layer"), "{error}");
        assert!(run(None, None).is_err());
    });
}

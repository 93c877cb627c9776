use super::*;
use crate::data::memory::InMemory;
use crate::data::{self, Split};
use crate::ir::text::parse;
use crate::pipeline::{CompileOptions, Silent, compile_bytes, compile_graph};

fn digits() -> Vec<u8> {
    let onnx = include_bytes!("../../assets/digits/digits.onnx");
    let options = CompileOptions {
        golden: false,
        ..CompileOptions::default()
    };
    compile_bytes(onnx, "digits.onnx", &options, &Silent)
        .unwrap()
        .bytes
}

fn graph(text: &str) -> Vec<u8> {
    let options = CompileOptions {
        golden: false,
        ..CompileOptions::default()
    };
    compile_graph(parse(text).unwrap(), "t", &options, &Silent)
        .unwrap()
        .bytes
}

/// Images of one row, `pixels` numbers a channel, that count up.
fn counting(images: usize, shape: [usize; 3], classes: usize) -> InMemory {
    let info = Info {
        name: "counting".into(),
        split: Split::Test,
        shape,
        classes: (0..classes).map(|c| format!("class {c}")).collect(),
        mean: vec![0.0; shape[0]],
        std: vec![1.0 / 255.0; shape[0]],
    };
    let bytes = images * info.pixels();
    let labels = (0..images).map(|i| (i % classes) as u8);
    InMemory::new(
        info,
        (0..bytes).map(|b| b as u8).collect(),
        labels.collect(),
    )
    .unwrap()
}

#[test]
fn digits_are_recognised_on_any_number_of_threads() {
    let model = digits();
    let data = data::open("digits", Split::Test, &data::Options::default()).unwrap();
    let run = |threads| {
        let options = Options {
            threads,
            ..Options::default()
        };
        evaluate(&model, data.as_ref(), &options, &Silent).unwrap()
    };
    let one = run(1);
    assert_eq!((one.len(), one.classes, one.logits.len()), (360, 10, 3600));
    assert!(one.top1() > 0.95, "{}", one.top1());
    assert_eq!(one, run(3));
    // Bytes at an odd address are copied.
    let mut odd = vec![0; 1];
    odd.extend(&model);
    let again = evaluate(&odd[1..], data.as_ref(), &Options::default(), &Silent).unwrap();
    assert_eq!(again, one);
}

#[test]
fn a_limit_spreads_over_the_set() {
    assert_eq!(chosen(10, Some(4)), [0, 2, 5, 7]);
    assert_eq!(chosen(3, Some(4)), [0, 1, 2]);
    assert_eq!(chosen(3, None), [0, 1, 2]);
}

#[test]
fn batches_and_layouts_give_each_image_its_own_numbers() {
    // Two images at a time, of which the last batch has one; pixels come out as scores.
    let model = graph(
        "graph \"t\"\ninput %x \"x\" : f32[2,4]\n%y \"y\" = unary(%x) function=relu\noutput \"y\" = %y\n",
    );
    let data = counting(5, [1, 2, 2], 4);
    let p = evaluate(&model, &data, &Options::default(), &Silent).unwrap();
    let expected: Vec<f32> = (0..20).map(|v| v as f32).collect();
    for (a, b) in p.logits.iter().zip(&expected) {
        assert!((a - b).abs() < 1e-4, "{:?}", p.logits);
    }
    assert_eq!(p.seen(), [3; 5]);
    assert_eq!((p.correct(), p.top1()), (1, 0.2));
    // Channels last: the three planes are woven together.
    let model = graph(
        "graph \"t\"\ninput %x \"x\" : f32[1,2,2,3]\n%r \"r\" = reshape(%x) : f32[1,12]\n\
         %y \"y\" = unary(%r) function=relu\noutput \"y\" = %y\n",
    );
    let p = evaluate(
        &model,
        &counting(1, [3, 2, 2], 12),
        &Options::default(),
        &Silent,
    )
    .unwrap();
    let rounded: Vec<i32> = p.logits.iter().map(|v| v.round() as i32).collect();
    assert_eq!(rounded, [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]);
}

#[test]
fn mean_and_deviation_can_be_given() {
    let model = graph(
        "graph \"t\"\ninput %x \"x\" : f32[1,2]\n%y \"y\" = unary(%x) function=neg\noutput \"y\" = %y\n",
    );
    let data = counting(1, [1, 1, 2], 2);
    let options = Options {
        mean: Some(vec![1.0]),
        std: Some(vec![0.5]),
        ..Options::default()
    };
    let p = evaluate(&model, &data, &options, &Silent).unwrap();
    assert_eq!(p.logits[0], 2.0);
    for wrong in [
        Options {
            std: Some(vec![0.0]),
            ..Options::default()
        },
        Options {
            mean: Some(vec![0.0; 2]),
            ..Options::default()
        },
    ] {
        let error = evaluate(&model, &data, &wrong, &Silent).unwrap_err();
        assert!(error.to_string().contains("--"), "{error}");
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let model = digits();
    for (data, needle) in [
        (counting(1, [1, 9, 8], 10), "1x9x8"),
        (counting(1, [1, 8, 8], 9), "10 classes"),
    ] {
        let error = evaluate(&model, &data, &Options::default(), &Silent).unwrap_err();
        assert!(error.to_string().contains(needle), "{error}");
    }
    let error = evaluate(
        b"nonsense",
        &counting(1, [1, 8, 8], 9),
        &Options::default(),
        &Silent,
    );
    assert!(error.unwrap_err().to_string().contains("the model"));
}

/// A data set whose second half cannot be read.
struct Broken(InMemory);

impl Dataset for Broken {
    fn info(&self) -> &Info {
        self.0.info()
    }
    fn len(&self) -> usize {
        self.0.len()
    }
    fn label(&self, index: usize) -> usize {
        self.0.label(index)
    }
    fn read(&self, index: usize, pixels: &mut [u8]) -> Result<()> {
        ensure!(index < self.len() / 2, "no such file");
        self.0.read(index, pixels)
    }
}

#[test]
fn an_image_that_cannot_be_read_ends_it() {
    let data = Broken(counting(40, [1, 8, 8], 10));
    let options = Options {
        threads: 2,
        ..Options::default()
    };
    let error = evaluate(&digits(), &data, &options, &Silent).unwrap_err();
    let text = format!("{error:#}");
    assert!(
        text.contains("image ") && text.contains("no such file"),
        "{text}"
    );
}

#[test]
fn the_largest_number_wins_and_nan_never() {
    assert_eq!(largest(&[1.0, 3.0, 3.0]), 1);
    assert_eq!(largest(&[f32::NAN, -1.0, f32::NAN]), 1);
    assert_eq!(largest(&[f32::NEG_INFINITY, f32::NAN]), 0);
    assert_eq!(largest(&[]), 0);
}

#[test]
fn cross_entropy_of_scores_and_of_probabilities() {
    let of = |logits: &[f32]| Predictions {
        classes: 2,
        images: vec![0, 1],
        labels: vec![0, 1],
        logits: logits.to_vec(),
    };
    // Probabilities 0.25 and 0.5 for what they are, as scores and as they are.
    let expected = (4f64.ln() + 2f64.ln()) / 2.0;
    let three = 3f32.ln();
    for p in [of(&[0.0, three, 7.0, 7.0]), of(&[0.25, 0.75, 0.5, 0.5])] {
        assert!((p.cross_entropy() - expected).abs() < 1e-6, "{p:?}");
    }
}

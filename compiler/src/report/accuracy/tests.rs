use super::*;
use crate::data::{self, Split};

fn info(classes: &[&str]) -> Info {
    Info {
        name: "set".into(),
        split: Split::Test,
        shape: [1, 8, 8],
        classes: classes.iter().map(|c| (*c).to_owned()).collect(),
        mean: vec![0.0],
        std: vec![1.0],
    }
}

/// Each image with what it is and the scores of three classes.
fn predictions(rows: &[(usize, [f32; 3])]) -> Predictions {
    Predictions {
        classes: 3,
        images: (0..rows.len()).collect(),
        labels: rows.iter().map(|r| r.0).collect(),
        logits: rows.iter().flat_map(|r| r.1).collect(),
    }
}

fn named(name: &str) -> Named {
    Named {
        name: name.into(),
        file_bytes: 1000,
    }
}

/// Four images: right, right, a seen as b, c seen as a.
fn model() -> Predictions {
    predictions(&[
        (0, [2.0, 0.0, 0.0]),
        (1, [0.0, 2.0, 0.0]),
        (0, [0.0, 5.0, 0.0]),
        (2, [1.0, 0.0, 0.5]),
    ])
}

/// The same images, of which the first is wrong and the last two right.
fn baseline() -> Predictions {
    predictions(&[
        (0, [0.0, 0.0, 1.0]),
        (1, [0.0, 2.0, 0.0]),
        (0, [3.0, 0.0, 0.0]),
        (2, [0.0, 0.0, 4.0]),
    ])
}

#[test]
fn counts_are_those_of_the_hand() {
    let a = measure(&info(&["a", "b", "c"]), (&named("m"), &model()), None).unwrap();
    let m = &a.model;
    assert_eq!((m.correct, m.top1, m.top5), (2, 0.5, 1.0));
    assert_eq!(m.confusion, [[1, 1, 0], [0, 1, 0], [1, 0, 0]]);
    let [x, y, z] = &m.classes[..] else { panic!() };
    assert_eq!(
        (x.precision, x.recall, x.f1),
        (Some(0.5), Some(0.5), Some(0.5))
    );
    assert_eq!((y.precision, y.recall), (Some(0.5), Some(1.0)));
    assert_eq!((z.precision, z.recall, z.f1), (None, Some(0.0), Some(0.0)));
    assert!((m.macro_f1 - (0.5 + 2.0 / 3.0) / 3.0).abs() < 1e-12);
    assert_eq!(
        a.mistakes.iter().map(|s| s.image).collect::<Vec<_>>(),
        [2, 3]
    );
    let e2 = 2f64.exp();
    assert!((confidences(&model())[0] - e2 / (e2 + 2.0)).abs() < 1e-6);
}

#[test]
fn models_are_compared_image_by_image() {
    let (m, b) = (model(), baseline());
    let a = measure(
        &info(&["a", "b", "c"]),
        (&named("m"), &m),
        Some((&named("b"), &b)),
    )
    .unwrap();
    let c = a.comparison.as_ref().unwrap();
    assert_eq!((c.gained, c.lost, c.agreed), (1, 2, 1));
    assert_eq!(c.difference, -0.25);
    let order: Vec<usize> = c.disagreements.iter().map(|s| s.image).collect();
    assert_eq!(order, [2, 3, 0]);
    let json = a.to_json().unwrap();
    assert_eq!(json["top1"], 0.5);
    assert_eq!(json["baseline_top1"], 0.75);
    assert_eq!((&json["images"], &json["lost"]), (&4.into(), &2.into()));
    assert_eq!(
        (&json["model"], &json["baseline"]),
        (&"m".into(), &"b".into())
    );
    assert!(json.get("baseline_difference").is_none() && json["difference"] == -0.25);
    let mut other = b;
    other.images[0] = 9;
    let error = measure(
        &info(&["a", "b", "c"]),
        (&named("m"), &m),
        Some((&named("b"), &other)),
    );
    assert!(error.unwrap_err().to_string().contains("same images"));
}

#[test]
fn probabilities_stay_and_nonsense_is_told() {
    let p = predictions(&[(0, [0.7, 0.2, 0.1]), (1, [0.3, 0.6, 0.1])]);
    let c = confidences(&p);
    assert!((c[0] - 0.7).abs() < 1e-6 && (c[1] - 0.6).abs() < 1e-6);
    let p = predictions(&[(0, [f32::NAN; 3]), (1, [0.0, f32::INFINITY, 0.0])]);
    let a = measure(&info(&["a", "b", "c"]), (&named("m"), &p), None).unwrap();
    assert_eq!(a.model.not_finite, 2);
    assert!(a.to_text().contains("not finite for 2 of 2"));
    assert!(measure(&info(&["a"]), (&named("m"), &Predictions::default()), None).is_err());
}

#[test]
fn ties_take_the_first() {
    let row = [1.0, 1.0, 2.0];
    assert!(among(&row, 0, 2) && !among(&row, 1, 2) && among(&row, 1, 3));
    assert!(!among(&[f32::NAN, 0.0], 0, 2));
}

#[test]
fn the_page_shows_both_models_and_pictures() {
    let data = data::open("digits", Split::Test, &data::Options::default()).unwrap();
    let (m, b) = (model(), baseline());
    let a = measure(
        &info(&["a", "<b>", "c"]),
        (&named("m"), &m),
        Some((&named("b"), &b)),
    )
    .unwrap();
    let html = a.to_html(data.as_ref()).unwrap();
    assert!(html.contains("&lt;b&gt;") && !html.contains("<b>"));
    // Three disagreements, of which two are mistakes.
    assert_eq!(html.matches("data:image/png;base64,").count(), 5);
    assert!(!html.contains(">NaN") && !html.contains("http:"));
    let text = a.to_text();
    assert!(text.contains("difference -25.00 points"), "{text}");
}

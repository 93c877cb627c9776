use super::*;
use proptest::prelude::*;

fn tensor(shape: &[usize], values: &[f32]) -> Tensor {
    Tensor::f32(shape.to_vec(), values.to_vec())
}

#[test]
fn finds_ternary_weights_exactly() {
    let w = tensor(&[2, 4], &[0.3, -0.3, 0.0, 0.3, -7.0, -0.0, 0.0, 7.0]);
    let t = detect(&w).unwrap();
    assert_eq!(
        (t.trits.as_slice(), t.scale.as_slice()),
        (&[1, -1, 0, 1, -1, 0, 0, 1][..], &[0.3, 7.0][..])
    );
    assert_eq!(relative_error(&w, &t), 0.0);
    assert_eq!(detect(&tensor(&[1, 4], &[0.0; 4])).unwrap().scale, [0.0]);
    // One bit off is not ternary; neither are infinities, nor channels too short to gain.
    let off = f32::from_bits(0.3f32.to_bits() + 1);
    assert!(detect(&tensor(&[1, 4], &[0.3, off, 0.0, 0.3])).is_none());
    assert!(detect(&tensor(&[1, 4], &[f32::INFINITY, 0.0, 0.0, 0.0])).is_none());
    assert!(detect(&tensor(&[1, 4], &[f32::NAN, 0.0, 0.0, 0.0])).is_none());
    assert!(detect(&tensor(&[4, 1], &[1.0, 2.0, 3.0, 4.0])).is_none());
}

#[test]
fn absmean_is_the_papers_formula() {
    let t = fit::absmean(&tensor(&[2, 2], &[1.0, -0.2, 0.6, -2.2])).unwrap();
    assert_eq!(
        (t.trits.as_slice(), t.scale.as_slice()),
        (&[1, 0, 1, -1][..], &[1.0, 1.0][..])
    );
    // Half of the scale rounds to even, to 0.
    assert_eq!(
        fit::absmean(&tensor(&[1, 4], &[0.5, -0.5, 1.0, 2.0]))
            .unwrap()
            .trits,
        [0, 0, 1, 1]
    );
    assert_eq!(
        fit::absmean(&tensor(&[1, 2], &[0.0, 0.0])).unwrap().trits,
        [0, 0]
    );
    assert!(fit::absmean(&tensor(&[1, 1], &[f32::NAN])).is_none());
}

proptest! {
    /// No choice of trits has a smaller error (each with its best scale).
    #[test]
    fn threshold_is_optimal(row in proptest::collection::vec(-2f32..2.0, 1..9)) {
        let w = tensor(&[1, row.len()], &row);
        let t = fit::threshold(&w).unwrap();
        let error = |trits: &[i8], scale: f64| -> f64 {
            row.iter().zip(trits).map(|(&w, &t)| (f64::from(w) - f64::from(t) * scale).powi(2)).sum()
        };
        let ours = error(&t.trits, f64::from(t.scale[0]));
        for code in 0..3usize.pow(row.len() as u32) {
            let trits: Vec<i8> = (0..row.len()).map(|i| (code / 3usize.pow(i as u32) % 3) as i8 - 1).collect();
            let n = trits.iter().filter(|&&t| t != 0).count();
            let dot: f64 = row.iter().zip(&trits).map(|(&w, &t)| f64::from(w) * f64::from(t)).sum();
            let scale = if n == 0 { 0.0 } else { dot / n as f64 };
            prop_assert!(ours <= error(&trits, scale) + 1e-6);
        }
    }

    /// What is ternary already is left as it is, by every method that sees it.
    #[test]
    fn ternary_stays(trits in proptest::collection::vec(-1i8..=1, 12), a in 0.01f32..10.0) {
        let row: Vec<f32> = trits.iter().map(|&t| f32::from(t) * a).collect();
        let w = tensor(&[3, 4], &row);
        let t = detect(&w).unwrap();
        prop_assert_eq!(&t.trits, &trits);
        prop_assert_eq!(t.to_dense(), w);
    }
}

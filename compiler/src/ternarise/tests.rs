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
        (t.values.as_slice(), t.scale.as_slice()),
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
        (t.values.as_slice(), t.scale.as_slice()),
        (&[1, 0, 1, -1][..], &[1.0, 1.0][..])
    );
    // Half of the scale rounds to even, to 0.
    assert_eq!(
        fit::absmean(&tensor(&[1, 4], &[0.5, -0.5, 1.0, 2.0]))
            .unwrap()
            .values,
        [0, 0, 1, 1]
    );
    assert_eq!(
        fit::absmean(&tensor(&[1, 2], &[0.0, 0.0])).unwrap().values,
        [0, 0]
    );
    assert!(fit::absmean(&tensor(&[1, 1], &[f32::NAN])).is_none());
}

/// Five layers: dense, dense, depthwise, ternary already, dense; the second and
/// a sixth share weights.
fn network() -> Graph {
    crate::ir::text::parse(
        "graph \"t\"\n\
         input %x \"x\" : f32[1,4,4,4]\n\
         constant %a \"a\" : f32[4,1,1,4] = random(1)\n\
         constant %b \"b\" : f32[4,3,3,4] = random(2)\n\
         constant %c \"c\" : f32[4,3,3,1] = random(3)\n\
         constant %d \"d\" : f32[4,1,1,4] = [0.5,0.5,0.0,-0.5,1.0,1.0,1.0,1.0,0.0,0.0,0.0,0.0,-2.0,0.0,0.0,2.0]\n\
         constant %e \"e\" : f32[3,4] = random(5)\n\
         %n1 \"stem\" = conv2d(%x, %a) kernel=[1,1]\n\
         %n2 \"block.0\" = conv2d(%n1, %b) kernel=[3,3] pads=[1,1,1,1]\n\
         %n3 \"block.1\" = depthwise_conv2d(%n2, %c) kernel=[3,3] pads=[1,1,1,1]\n\
         %n4 \"block.2\" = conv2d(%n3, %d) kernel=[1,1]\n\
         %n5 \"block.3\" = conv2d(%n4, %b) kernel=[3,3] pads=[1,1,1,1]\n\
         %n6 \"head\" = gemm(%n5, %e)\n\
         output \"y\" = %n6\n",
    )
    .unwrap()
}

/// Names of the layers that became ternary, sorted, with whether anything was lost.
fn ternarised(policy: &Policy) -> Vec<(String, bool)> {
    let mut graph = network();
    let errors = ternarise(&mut graph, policy).unwrap();
    crate::ir::verify(&graph).unwrap();
    let mut names: Vec<_> = errors.into_iter().map(|(n, e)| (n, e > 0.0)).collect();
    names.sort();
    names
}

#[test]
fn the_policy_names_the_layers() {
    let named = |names: &[(&str, bool)]| -> Vec<(String, bool)> {
        names
            .iter()
            .map(|&(n, lost)| (n.to_owned(), lost))
            .collect()
    };
    assert_eq!(ternarised(&Policy::default()), named(&[("block.2", false)]));
    for mode in [Mode::Absmean, Mode::Threshold] {
        let policy = |skip: &[&str], all| Policy {
            mode,
            skip: skip.iter().map(|s| s.to_string()).collect(),
            all,
            ..Policy::default()
        };
        // First, last and depthwise layers stay dense.
        assert_eq!(
            ternarised(&policy(&[], false)),
            named(&[("block.0", true), ("block.2", false), ("block.3", true)])
        );
        assert_eq!(ternarised(&policy(&[], true)).len(), 6);
        assert_eq!(
            ternarised(&policy(&["block.[02]", "h*"], true)),
            named(&[("block.1", true), ("block.3", true), ("stem", true)])
        );
        for (pattern, needle) in [("nothing*", "stem"), ("[", "glob")] {
            let error = ternarise(&mut network(), &policy(&[pattern], false)).unwrap_err();
            assert!(format!("{error:#}").contains(needle), "{error:#}");
        }
    }
}

#[test]
fn weights_that_are_no_numbers_are_refused() {
    for mode in [Mode::Absmean, Mode::Threshold] {
        let mut graph = network();
        let id = graph.nodes[1].inputs[1].unwrap();
        let mut values = vec![0.5; 144];
        values[3] = f32::NAN;
        let bad = Constant::Dense(tensor(&[4, 3, 3, 4], &values));
        graph.values[id.0].def = crate::ir::Def::Const(bad.into());
        let policy = Policy {
            mode,
            ..Policy::default()
        };
        let error = ternarise(&mut graph, &policy).unwrap_err().to_string();
        assert!(
            error.contains("block.0") && error.contains("--skip"),
            "{error}"
        );
    }
}

#[test]
fn shared_weights_stay_shared() {
    let mut graph = network();
    let policy = Policy {
        mode: Mode::Threshold,
        ..Policy::default()
    };
    ternarise(&mut graph, &policy).unwrap();
    assert_eq!(graph.nodes[1].inputs[1], graph.nodes[4].inputs[1]);
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
        let ours = error(&t.values, f64::from(t.scale[0]));
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
        prop_assert_eq!(&t.values, &trits);
        prop_assert_eq!(t.to_dense(), w);
    }
}

#[test]
fn one_of_two_keeps_the_larger_of_each_pair() {
    let w = tensor(&[2, 4], &[0.5, -1.5, -1.0, 1.0, 0.0, 0.0, 2.0, 3.0]);
    let t = fit::one_of_two(&w).unwrap();
    assert_eq!(t.values, [0, -1, -1, 0, 1, 0, 0, 1]);
    assert_eq!(t.scale, [1.25, 1.5]);
    assert!(Pattern::OneOfTwo.is_in(&t) && !Pattern::ThreeOfFour.is_in(&t));
    assert_eq!(fit::one_of_two(&tensor(&[1, 3], &[1.0; 3])), None);
    assert_eq!(fit::one_of_two(&tensor(&[1, 2], &[f32::NAN, 1.0])), None);
}

#[test]
fn three_of_four_drops_the_smallest_of_each_four() {
    let w = tensor(&[2, 4], &[0.5, -1.5, -1.0, 0.5, 0.0, 3.0, -0.0, -3.0]);
    let t = fit::three_of_four(&w).unwrap();
    assert_eq!(t.values, [1, -1, -1, 0, 1, 1, 0, -1]);
    assert_eq!(t.scale, [1.0, 2.0]);
    assert!(Pattern::ThreeOfFour.is_in(&t) && !Pattern::OneOfTwo.is_in(&t));
    assert_eq!(fit::three_of_four(&tensor(&[1, 6], &[1.0; 6])), None);
    let nan = tensor(&[1, 4], &[1.0, f32::NAN, 1.0, 1.0]);
    assert_eq!(fit::three_of_four(&nan), None);
}

#[test]
fn int8_weights_are_within_half_a_step() {
    let values: Vec<f32> = (0..40)
        .map(|i| ((i * 37 % 41) as f32 - 20.0) * 0.013)
        .collect();
    let mut values = [values, vec![0.0; 20]].concat();
    values[7] = 1e-30;
    let w = tensor(&[3, 20], &values);
    let t = fit::int8(&w).unwrap();
    for (i, v) in values.iter().enumerate() {
        let scale = t.scale[i / 20];
        assert!((f32::from(t.values[i]) * scale - v).abs() <= 0.5001 * scale.max(1e-29));
    }
    assert_eq!(t.scale[2], 0.0);
    assert!(t.values.iter().any(|v| v.abs() == 127) && !t.is_ternary());
    assert_eq!(fit::int8(&tensor(&[1, 1], &[f32::INFINITY])), None);
}

/// Which layers `Policy::sparsify` and `Policy::int8` reach.
#[test]
fn patterns_and_8_bit_weights_go_where_the_policy_says() {
    let graph = || {
        crate::ir::text::parse(
            "graph \"t\"\n\
             input %x \"x\" : f32[1,4,4,4]\n\
             constant %a \"a\" : f32[8,1,1,4] = random(1)\n\
             constant %b \"b\" : f32[8,3,3,8] = random(2)\n\
             constant %c \"c\" : f32[8,3,3,1] = random(3)\n\
             constant %d \"d\" : f32[7,1,1,8] = random(4)\n\
             constant %e \"e\" : f32[4,1,1,7] = random(5)\n\
             constant %f \"f\" : f32[4,1,1,4] = random(6)\n\
             %1 \"a\" = conv2d(%x, %a) kernel=[1,1]\n\
             %2 \"b\" = conv2d(%1, %b) kernel=[3,3] pads=[1,1,1,1]\n\
             %3 \"c\" = depthwise_conv2d(%2, %c) kernel=[3,3] pads=[1,1,1,1]\n\
             %4 \"d\" = conv2d(%3, %d) kernel=[1,1]\n\
             %5 \"e\" = conv2d(%4, %e) kernel=[1,1]\n\
             %6 \"f\" = conv2d(%5, %f) kernel=[1,1]\n\
             output \"y\" = %6\n",
        )
        .unwrap()
    };
    let codecs = |policy: Policy, choice| {
        let mut graph = graph();
        ternarise(&mut graph, &policy).unwrap();
        crate::pack::choose_codecs(&mut graph, choice, crate::pack::Dense::F32);
        let of = |n: &crate::ir::Node| graph.value(n.inputs[1].unwrap()).codec.unwrap().name();
        graph.nodes.iter().map(of).collect::<Vec<_>>().join(" ")
    };
    use crate::pack::CodecChoice::{Auto, N12, N34, T2};
    let policy = Policy {
        mode: Mode::Threshold,
        sparsify: Some(Pattern::OneOfTwo),
        ..Policy::default()
    };
    assert_eq!(codecs(policy.clone(), Auto), "f32 n12 f32 n12 t2 f32");
    assert_eq!(codecs(policy.clone(), N34), "f32 t2 f32 t2 t2 f32");
    let fours = Policy {
        sparsify: Some(Pattern::ThreeOfFour),
        ..policy.clone()
    };
    assert_eq!(codecs(fours.clone(), Auto), "f32 n34 f32 n34 t2 f32");
    assert_eq!(codecs(fours.clone(), N34), "f32 n34 f32 n34 t2 f32");
    assert_eq!(codecs(fours.clone(), N12), "f32 t2 f32 t2 t2 f32");
    let choices = [("b", Choice::N34), ("d", Choice::N12), ("e", Choice::N34)];
    let layers = choices
        .map(|(name, choice)| (name.to_owned(), choice))
        .into();
    let chosen = Policy { layers, ..fours };
    // The channels of "e" make no fours.
    assert_eq!(codecs(chosen, Auto), "f32 n34 f32 n12 f32 f32");
    let int8 = Policy {
        int8: true,
        ..policy.clone()
    };
    assert_eq!(codecs(int8.clone(), N12), "i8 n12 i8 n12 t2 i8");
    assert_eq!(codecs(int8, T2), "i8 t2 i8 t2 t2 i8");
    let detect = Policy {
        mode: Mode::Detect,
        ..policy.clone()
    };
    assert_eq!(codecs(detect, Auto), "f32 n12 f32 n12 f32 f32");
    let all = Policy {
        all: true,
        ..policy
    };
    assert_eq!(codecs(all, Auto), "n12 n12 t2 n12 t2 n12");
}

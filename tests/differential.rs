//! Whole networks, compiled and run, against independent engines: tract on the
//! ONNX file in f32 mode, the compiler's interpreter bit for bit in the integer
//! modes.

use tern_tests::models::{DIGITS, GRAPHS, Weights, filled};
use tern_tests::random::Random;
use tern_tests::{compile, relative_error, run, tract};
use ternc::ir::Tensor;
use ternc::ops;
use ternc::passes::ActivationMode;
use ternc::pipeline::CompileOptions;
use ternrt::Caps;

fn image(shape: &[usize], seed: u64) -> Vec<f32> {
    Random::new(seed).normals(shape.iter().product())
}

fn agrees_with_tract(graphs: &[(&str, [usize; 4])], weights: Weights) {
    for (name, shape) in graphs {
        let onnx = filled(name, weights, 7);
        let x = image(shape, 8);
        let expected = tract(&onnx, shape, &x);
        let compiled = compile(&onnx, &CompileOptions::default());
        if weights != Weights::Dense {
            assert_eq!(
                compiled.report.totals.weight_error, 0.0,
                "{name}: ternary weights are kept exactly"
            );
            let codec = match weights {
                Weights::ThreeOfFour => "n34",
                _ => "t2",
            };
            let layers = compiled.report.layers.iter();
            let ternary = layers.filter(|l| l.codec == codec).count();
            assert!(
                ternary >= 20,
                "{name}: {ternary} layers were found to be ternary"
            );
        }
        for caps in Caps::detect().levels() {
            if caps == Caps::SCALAR && shape[2] > 32 {
                continue; // the small network shows the scalar kernels; these take long
            }
            let y = run(&compiled.bytes, caps, 1, std::slice::from_ref(&x));
            let error = relative_error(&y[0], &expected);
            println!("{name} {weights:?} {caps}: relative error {error:.1e}");
            assert!(error <= 1e-4, "{name} {weights:?} {caps}: {error}");
        }
    }
}

#[test]
fn resnets_agree_with_tract() {
    agrees_with_tract(&GRAPHS[..4], Weights::Dense);
}

#[test]
fn mobile_networks_agree_with_tract() {
    agrees_with_tract(&GRAPHS[4..], Weights::Dense);
}

#[test]
fn ternary_networks_compile_without_loss() {
    agrees_with_tract(&GRAPHS[..2], Weights::TernaryPerChannel);
    agrees_with_tract(&GRAPHS[..1], Weights::TernaryPerTensor);
    agrees_with_tract(&GRAPHS[4..5], Weights::TernaryPerChannel);
    agrees_with_tract(&GRAPHS[7..], Weights::TernaryPerTensor);
}

#[test]
fn networks_with_one_zero_in_four_compile_without_loss() {
    agrees_with_tract(&GRAPHS[..1], Weights::ThreeOfFour);
}

#[test]
fn integer_modes_equal_the_interpreter_bit_for_bit() {
    let mode = |activations| CompileOptions {
        activations,
        ..CompileOptions::default()
    };
    let small = filled("resnet18_32.torchscript", Weights::TernaryPerChannel, 3);
    let fours = filled("resnet18_32.torchscript", Weights::ThreeOfFour, 3);
    let mobile = filled("mobilenet_v2.torchscript", Weights::TernaryPerChannel, 3);
    for activations in [ActivationMode::I16, ActivationMode::I8, ActivationMode::I7] {
        for (name, onnx, shape) in [
            ("digits", DIGITS, [1, 1, 8, 8]),
            ("resnet18_32", &small, [1, 3, 32, 32]),
            ("resnet18_32, n34", &fours, [1, 3, 32, 32]),
            ("mobilenet_v2", &mobile, [1, 3, 224, 224]),
        ] {
            if name == "mobilenet_v2" && activations != ActivationMode::I8 {
                continue; // one large network with one mode is enough of this
            }
            let compiled = compile(onnx, &mode(activations));
            let x = image(&shape, 4);
            let input = Tensor::f32(shape.to_vec(), x.clone());
            let expected = ops::run_graph(&compiled.graph, &[input]).unwrap();
            let y = run(&compiled.bytes, Caps::SCALAR, 1, std::slice::from_ref(&x));
            let bits = |v: &[f32]| v.iter().map(|f| f.to_bits()).collect::<Vec<_>>();
            assert_eq!(
                bits(&y[0]),
                bits(expected[0].as_f32().unwrap()),
                "{name} {activations:?}"
            );
            // Dense layers add in another order there, which can move a quantised
            // value by a step: near, not equal.
            let fast = run(&compiled.bytes, Caps::detect(), 2, &[x]);
            let error = relative_error(&fast[0], &y[0]);
            println!("{name} {activations:?}: SIMD against scalar {error:.1e}");
            assert!(error <= 0.1, "{name} {activations:?}: {error}");
        }
    }
}

#[test]
fn thread_counts_give_the_same_bits() {
    let onnx = filled("resnet18_32.dynamo", Weights::TernaryPerChannel, 5);
    for activations in [ActivationMode::F32, ActivationMode::I8] {
        let compiled = compile(
            &onnx,
            &CompileOptions {
                activations,
                ..CompileOptions::default()
            },
        );
        let x = image(&[1, 3, 32, 32], 6);
        let one = run(&compiled.bytes, Caps::detect(), 1, std::slice::from_ref(&x));
        for threads in [2, 3, 5] {
            assert_eq!(
                one,
                run(
                    &compiled.bytes,
                    Caps::detect(),
                    threads,
                    std::slice::from_ref(&x)
                ),
                "{threads} threads"
            );
        }
    }
}

#[test]
fn integer_modes_stay_near_f32() {
    let onnx = filled("resnet18_32.torchscript", Weights::TernaryPerChannel, 9);
    let x = image(&[1, 3, 32, 32], 10);
    let exact = tract(&onnx, &[1, 3, 32, 32], &x);
    for (activations, bound) in [
        (ActivationMode::I16, 2e-3),
        (ActivationMode::I8, 0.15),
        (ActivationMode::I7, 0.3),
    ] {
        let compiled = compile(
            &onnx,
            &CompileOptions {
                activations,
                ..CompileOptions::default()
            },
        );
        let y = run(&compiled.bytes, Caps::detect(), 1, std::slice::from_ref(&x));
        let error = relative_error(&y[0], &exact);
        println!("{activations:?}: {error:.1e}");
        assert!(error <= bound, "{activations:?}: {error}");
    }
}

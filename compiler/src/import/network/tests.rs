use super::*;
use crate::calibrate::Calibration;
use crate::ops::run_graph;
use crate::pack::CodecChoice;
use crate::passes::{ActivationMode, optimise};
use crate::pipeline::{CompileOptions, Silent, compile_graph};
use crate::ternarise::Policy;
use std::collections::HashMap;
use tern_network::Builder;

/// Two blocks with a pool between, and a head, as residual networks have them.
fn network() -> Network {
    let mut net = Builder::new("small", [2, 6, 6]);
    let x = net.input();
    let x = net.conv("conv1", x, 4, 3, 1);
    let x = net.batch_norm("bn1", x);
    let x = net.relu("relu", x);
    let x = net.max_pool("maxpool", x, 3, 2, 1);
    let y = net.conv("block.conv1", x, 4, 3, 1);
    let y = net.batch_norm("block.bn1", y);
    let y = net.relu6("block.relu1", y);
    let y = net.depthwise("block.conv2", y, 3, 1);
    let y = net.batch_norm("block.bn2", y);
    let x = net.add("block.add", y, x);
    let x = net.relu("block.relu2", x);
    let x = net.conv("last", x, 6, 1, 2);
    let x = net.flatten("flatten", x);
    let x = net.dropout("dropout", x, 0.5);
    net.linear("fc", x, 3);
    net.finish().unwrap()
}

fn parameters(network: &Network) -> HashMap<String, Vec<f32>> {
    let mut n = 0u32;
    let mut next = move || {
        n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (n >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    let mut all = HashMap::new();
    for p in network.parameters() {
        let positive = matches!(p.role, Role::NormWeight | Role::RunningVar);
        let value = |v: f32| if positive { v + 1.0 } else { v };
        all.insert(
            p.name.clone(),
            (0..p.len()).map(|_| value(next())).collect(),
        );
    }
    all
}

fn import_small() -> Graph {
    let net = network();
    let parameters = parameters(&net);
    import(&net, |name| parameters.get(name).map(Vec::as_slice)).unwrap()
}

/// PyTorch's definition of each layer, channels outermost.
fn reference(net: &Network, parameters: &HashMap<String, Vec<f32>>, image: &[f32]) -> Vec<f32> {
    let mut values: Vec<Vec<f32>> = Vec::new();
    for (n, node) in net.nodes().iter().enumerate() {
        let p = |suffix: &str| &parameters[&format!("{}.{suffix}", node.name)];
        let x = node.inputs.first().map(|id| values[id.0].clone());
        let x = x.unwrap_or_else(|| image.to_vec());
        let from = node
            .inputs
            .first()
            .map_or(net.input().to_vec(), |id| net.shape(*id).to_vec());
        let shape = net.shape(tern_network::NodeId(n));
        let y: Vec<f32> = match node.layer {
            Layer::Conv2d(c) => {
                let (w, each) = (p("weight"), c.inputs / c.groups);
                (0..shape.iter().product::<usize>())
                    .map(|i| {
                        let (o, oy, ox) = (
                            i / (shape[1] * shape[2]),
                            i / shape[2] % shape[1],
                            i % shape[2],
                        );
                        let mut sum = 0f64;
                        for t in 0..each * c.kernel * c.kernel {
                            let (ci, ky, kx) = (
                                t / (c.kernel * c.kernel),
                                t / c.kernel % c.kernel,
                                t % c.kernel,
                            );
                            let (y, x_at) = (oy * c.stride + ky, ox * c.stride + kx);
                            if y < c.padding
                                || x_at < c.padding
                                || y - c.padding >= from[1]
                                || x_at - c.padding >= from[2]
                            {
                                continue;
                            }
                            let channel = o / (c.outputs / c.groups) * each + ci;
                            let at =
                                (channel * from[1] + y - c.padding) * from[2] + x_at - c.padding;
                            sum +=
                                f64::from(x[at]) * f64::from(w[o * each * c.kernel * c.kernel + t]);
                        }
                        sum as f32
                    })
                    .collect()
            }
            Layer::BatchNorm2d { eps, .. } => {
                let plane = from[1] * from[2];
                let one = |(i, x): (usize, &f32)| {
                    let c = i / plane;
                    let deviation = (f64::from(p("running_var")[c]) + eps).sqrt();
                    let t = f64::from(x - p("running_mean")[c]) / deviation;
                    (t * f64::from(p("weight")[c]) + f64::from(p("bias")[c])) as f32
                };
                x.iter().enumerate().map(one).collect()
            }
            Layer::Relu => x.iter().map(|x| x.max(0.0)).collect(),
            Layer::Relu6 => x.iter().map(|x| x.clamp(0.0, 6.0)).collect(),
            Layer::Add => x
                .iter()
                .zip(&values[node.inputs[1].0])
                .map(|(a, b)| a + b)
                .collect(),
            Layer::MaxPool2d {
                kernel,
                stride,
                padding,
            } => (0..shape.iter().product::<usize>())
                .map(|i| {
                    let (c, oy, ox) = (
                        i / (shape[1] * shape[2]),
                        i / shape[2] % shape[1],
                        i % shape[2],
                    );
                    let mut best = f32::NEG_INFINITY;
                    for (y, x_at) in (0..kernel).flat_map(|ky| {
                        (0..kernel).map(move |kx| (oy * stride + ky, ox * stride + kx))
                    }) {
                        if y >= padding
                            && x_at >= padding
                            && y - padding < from[1]
                            && x_at - padding < from[2]
                        {
                            best =
                                best.max(x[(c * from[1] + y - padding) * from[2] + x_at - padding]);
                        }
                    }
                    best
                })
                .collect(),
            Layer::Linear { inputs, .. } => p("weight")
                .chunks(inputs)
                .zip(p("bias"))
                .map(|(w, b)| w.iter().zip(&x).map(|(w, x)| w * x).sum::<f32>() + b)
                .collect(),
            _ => x,
        };
        values.push(y);
    }
    values.pop().unwrap()
}

#[test]
fn the_graph_computes_what_the_layers_mean() {
    let net = network();
    let parameters = parameters(&net);
    let mut graph = import_small();
    let image: Vec<f32> = (0..72)
        .map(|i| ((i * 37 % 29) as f32 - 14.0) / 7.0)
        .collect();
    let wanted = reference(&net, &parameters, &image);
    for optimised in [false, true] {
        if optimised {
            optimise(&mut graph).unwrap();
        }
        let outputs = run_graph(&graph, &[Tensor::f32(vec![1, 2, 6, 6], image.clone())]).unwrap();
        let y = outputs[0].as_f32().unwrap();
        assert_eq!(outputs[0].shape, [1, 3]);
        for (a, b) in y.iter().zip(&wanted) {
            assert!((a - b).abs() < 1e-4, "{y:?} {wanted:?}");
        }
    }
    // Only products, pools and rearrangements are left.
    let left = |n: &&crate::ir::Node| matches!(n.op, Op::BinaryOp(_) | Op::UnaryOp(_));
    assert_eq!(graph.nodes.iter().find(left), None);
}

#[test]
fn names_survive_and_find_their_ranges() {
    let compile = |known: &[&str]| {
        let options = CompileOptions {
            ternarise: Policy {
                int8: true,
                ..Policy::default()
            },
            activations: ActivationMode::I8,
            calibrate: Some(Calibration::Known(
                known.iter().map(|name| (name.to_string(), 2.0)).collect(),
            )),
            codec: CodecChoice::Auto,
            ..CompileOptions::default()
        };
        compile_graph(import_small(), "small", &options, &Silent)
    };
    let all = ["image", "maxpool", "block.relu1", "block.relu2", "flatten"];
    let compiled = compile(&all).unwrap();
    let names: Vec<&str> = compiled
        .graph
        .nodes
        .iter()
        .map(|n| n.name.as_str())
        .collect();
    for layer in ["conv1", "block.conv1", "block.conv2", "last", "fc"] {
        assert!(names.contains(&layer), "{names:?}");
    }
    assert!(compiled.ir_text().contains("@ 0.015748031"));
    let error = compile(&all[1..]).unwrap_err().to_string();
    assert!(error.contains("no range is known"), "{error}");
}

#[test]
fn a_parameter_that_does_not_fit_is_named() {
    let net = network();
    let mut parameters = parameters(&net);
    parameters.get_mut("block.bn1.bias").unwrap().pop();
    let message = |parameters: &HashMap<String, Vec<f32>>| {
        let error = import(&net, |name| parameters.get(name).map(Vec::as_slice)).unwrap_err();
        format!("{error:#}")
    };
    let wrong = message(&parameters);
    assert!(
        wrong.contains("\"block.bn1.bias\" has 3 elements, must have [4]"),
        "{wrong}"
    );
    parameters.remove("block.bn1.bias");
    let missing = message(&parameters);
    assert!(
        missing.contains("\"block.bn1.bias\" is missing"),
        "{missing}"
    );
}

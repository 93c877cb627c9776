//! Where the arithmetic happens.

use crate::data::Batch;
use crate::policy::{Policy, Weights, before_dropout, rounded};
use crate::random::Random;
use crate::recipe::Distil;
use crate::{Error, Result};
use std::collections::BTreeMap;
use tern_network::{Layer, Network, Node, Parameter, Role};

/// An array with its dimensions, outermost first.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Dimensions.
    pub shape: Vec<usize>,
    /// Elements.
    pub data: Vec<f32>,
}

/// Arrays by name: parameters as the network names them, `momentum.NAME` for each
/// that is trained, `clip.NODE` for each result that is rounded.
pub type Tensors = BTreeMap<String, Tensor>;

/// What a step needs beside images and labels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Number of the step, from 0.
    pub step: u64,
    /// Of everything that is random.
    pub seed: u64,
    /// Learning rate.
    pub lr: f32,
    /// See [`Recipe`](crate::Recipe), here and below.
    pub momentum: f32,
    /// Weight decay.
    pub weight_decay: f32,
    /// Nesterov's momentum.
    pub nesterov: bool,
    /// Ternary share of weights.
    pub blend: f32,
    /// Label smoothing.
    pub label_smoothing: f32,
    /// How to learn from a teacher's logits.
    pub distil: Distil,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StepResult {
    /// Mean loss of the batch.
    pub loss: f64,
    /// Images whose largest logit was the right one.
    pub correct: usize,
}

/// A network in training on some device. The same state and the same batch give the
/// same bits, on the same device.
pub trait Engine {
    /// One step of the optimiser; `teacher` has another network's logits for the
    /// batch, `[count, classes]`.
    ///
    /// # Errors
    /// What the device says.
    fn step(
        &mut self,
        batch: &Batch,
        teacher: Option<&[f32]>,
        settings: &Settings,
    ) -> Result<StepResult>;

    /// Logits `[count, classes]` of normalised images `[count, channels, height,
    /// width]`, with the averages of batch norms, ternary and rounded as the policy
    /// says.
    ///
    /// # Errors
    /// What the device says.
    fn predict(&mut self, images: &[f32], count: usize) -> Result<Vec<f32>>;

    /// Everything that training has come to.
    ///
    /// # Errors
    /// What the device says.
    fn state(&self) -> Result<Tensors>;

    /// Takes parameters, and momenta and clips where they are given.
    ///
    /// # Errors
    /// A parameter that is missing or of another shape: the arrays are another
    /// network's.
    fn set_state(&mut self, tensors: &Tensors) -> Result<()>;
}

/// Steps in which clips follow the largest magnitude that was seen; from then on
/// they are trained.
pub(crate) const CLIP_STEPS: u64 = 20;

/// A network and its policy, as engines need them.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub network: Network,
    pub policy: Policy,
    /// Whether each node's result is rounded.
    pub rounded: Vec<bool>,
    /// Of each layer with weights: the batch norm that alone reads it, which a compiled
    /// network has in the layer's weights.
    pub norms: Vec<Option<usize>>,
    /// Of each layer with weights: the node whose rounded result has the units of the
    /// layer's op in a compiled network; the nodes between them are in the op, or move
    /// or choose what it computes.
    pub ends: Vec<Option<usize>>,
    pub qmax: i32,
    /// Of the input, which is not trained.
    pub input_clip: f32,
}

impl Plan {
    pub fn new(network: Network, policy: Policy, input_clip: f32) -> Plan {
        let nodes = network.nodes();
        let readers = network.readers();
        let norm = |n: usize| match readers[n][..] {
            [reader] if nodes[n].layer.has_weights() => {
                matches!(nodes[reader.0].layer, Layer::BatchNorm2d { .. }).then_some(reader.0)
            }
            _ => None,
        };
        let norms: Vec<_> = (0..nodes.len()).map(norm).collect();
        let rounded = rounded(&network, policy.activations);
        Plan {
            ends: ends(&network, &norms, &rounded),
            norms,
            rounded,
            qmax: policy.activations.qmax().unwrap_or(127),
            network,
            policy,
            input_clip,
        }
    }

    /// Whether activations are integers; dense weights are 8-bit ones then.
    pub fn has_integers(&self) -> bool {
        self.policy.activations.qmax().is_some()
    }

    /// What stands for a node's weights, and whether dense ones are 8-bit.
    pub fn kind(&self, node: usize) -> (Weights, bool) {
        (self.policy.weights[node], self.has_integers())
    }

    /// Whether weight decay applies.
    pub fn decays(parameter: &Parameter) -> bool {
        parameter.role == Role::Weight
    }

    pub fn clip_name(&self, node: usize) -> String {
        format!("clip.{}", self.network.nodes()[node].name)
    }
}

/// See [`Plan::ends`]; what fuses nodes are the compiler's passes `fuse_residual`,
/// `fuse_activation` and `quantize_activations`.
fn ends(network: &Network, norms: &[Option<usize>], rounded: &[bool]) -> Vec<Option<usize>> {
    let nodes = network.nodes();
    let readers: Vec<Vec<usize>> = (0..nodes.len())
        .map(|n| {
            // A dropout is not there: who reads it reads what it drops out of.
            let reads = |node: &Node| {
                let mut inputs = node.inputs.iter();
                inputs.any(|id| before_dropout(network, *id).0 == n)
            };
            let dropout = |node: &Node| matches!(node.layer, Layer::Dropout(_));
            let reader = |r: &usize| !dropout(&nodes[*r]) && reads(&nodes[*r]);
            (n + 1..nodes.len()).filter(reader).collect()
        })
        .collect();
    let result = |product: usize| norms[product].unwrap_or(product);
    let is_product = |n: usize| nodes[n].layer.has_weights();
    // The product whose op has an addition in it: the later one that nothing else reads.
    let adds = |add: usize| {
        let mut products = (0..add).filter(|&p| is_product(p) && readers[result(p)] == [add]);
        products.next_back()
    };
    let takes_integers = |reader: usize| match nodes[reader].layer {
        Layer::Add => adds(reader).is_some(),
        layer => layer.has_weights(),
    };
    let end = |product: usize| {
        let mut at = is_product(product).then(|| result(product))?;
        // Whether the op can still have an addition in it, and an activation.
        let (mut addition, mut activation) = (true, true);
        while !rounded[at] {
            let [reader] = readers[at][..] else {
                return None;
            };
            match nodes[reader].layer {
                Layer::Add if addition && adds(reader) == Some(product) => addition = false,
                Layer::Relu | Layer::Relu6 if activation => {
                    (addition, activation) = (false, false);
                }
                // These move or choose integers as well.
                Layer::MaxPool2d { .. } | Layer::Flatten => {
                    (addition, activation) = (false, false);
                }
                _ => return None,
            }
            at = reader;
        }
        readers[at].iter().all(|r| takes_integers(*r)).then_some(at)
    };
    (0..nodes.len()).map(end).collect()
}

/// Parameters to begin with, PyTorch's way: convolutions normal by their
/// outputs (Kaiming), matrix products uniform by their inputs.
pub fn initial_parameters(network: &Network, seed: u64) -> Tensors {
    let mut tensors = Tensors::new();
    for (n, node) in network.nodes().iter().enumerate() {
        for (p, parameter) in node.parameters().enumerate() {
            let mut random = Random::new(seed, &[1, n as u64, p as u64]);
            let mut fill = |f: &mut dyn FnMut(&mut Random) -> f64| {
                (0..parameter.len())
                    .map(|_| f(&mut random) as f32)
                    .collect::<Vec<f32>>()
            };
            let fan_in: usize = parameter.shape[1..].iter().product();
            let data = match (parameter.role, &node.layer) {
                (Role::Weight, Layer::Conv2d(c)) => {
                    let fan_out = c.kernel * c.kernel * c.outputs / c.groups;
                    let std = (2.0 / fan_out as f64).sqrt();
                    fill(&mut |r| r.normal() * std)
                }
                (Role::Weight, _) => {
                    let bound = 1.0 / (fan_in as f64).sqrt();
                    fill(&mut |r| (2.0 * r.uniform() - 1.0) * bound)
                }
                (Role::NormWeight | Role::RunningVar, _) => vec![1.0; parameter.len()],
                _ => vec![0.0; parameter.len()],
            };
            let shape = parameter.shape.clone();
            tensors.insert(parameter.name.clone(), Tensor { shape, data });
        }
    }
    tensors
}

/// The parameters of `tensors`, checked, in the network's order.
///
/// # Errors
/// One that is missing or of another shape: the arrays are another network's.
pub fn check_parameters<'t>(
    network: &Network,
    tensors: &'t Tensors,
) -> Result<Vec<(Parameter, &'t Tensor)>> {
    let find = |parameter: Parameter| {
        let name = network.name();
        match tensors.get(&parameter.name) {
            Some(t) if t.shape == parameter.shape && t.data.len() == parameter.len() => {
                Ok((parameter, t))
            }
            Some(t) => Err(Error::new(format!(
                "{:?} has the shape {:?}, and {:?} in the network {name:?}: it is another network's, or has other classes",
                parameter.name, t.shape, parameter.shape
            ))),
            None => Err(Error::new(format!(
                "there is no {:?}, which the network {name:?} has: it is another network's",
                parameter.name
            ))),
        }
    };
    network.parameters().map(find).collect()
}

/// Of a batch's logits: the loss, its gradient, and how many are right.
pub(crate) fn loss(
    logits: &[f32],
    labels: &[u8],
    teacher: Option<&[f32]>,
    settings: &Settings,
    gradient: &mut [f32],
) -> StepResult {
    let classes = logits.len() / labels.len().max(1);
    let each = 1.0 / labels.len().max(1) as f64;
    let Distil { share, temperature } = settings.distil;
    let share = f64::from(if teacher.is_some() { share } else { 0.0 });
    let smooth = f64::from(settings.label_smoothing);
    let mut result = StepResult::default();
    let softmax = |z: &[f32], temperature: f64| -> (Vec<f64>, f64) {
        let max = z.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let e = |z: &f32| ((f64::from(*z) - f64::from(max)) / temperature).exp();
        let e: Vec<f64> = z.iter().map(e).collect();
        let sum: f64 = e.iter().sum();
        let log_sum = sum.ln() + f64::from(max) / temperature;
        (e.into_iter().map(|e| e / sum).collect(), log_sum)
    };
    for (i, label) in labels.iter().enumerate() {
        let z = &logits[i * classes..][..classes];
        let label = usize::from(*label);
        let (p, log_sum) = softmax(z, 1.0);
        let best = (0..classes).max_by(|&a, &b| z[a].total_cmp(&z[b]).then(b.cmp(&a)));
        result.correct += usize::from(best == Some(label));
        let target =
            |c: usize| smooth / classes as f64 + if c == label { 1.0 - smooth } else { 0.0 };
        let hard: f64 = (0..classes)
            .map(|c| target(c) * (log_sum - f64::from(z[c])))
            .sum();
        result.loss += (1.0 - share) * hard * each;
        let g = &mut gradient[i * classes..][..classes];
        for c in 0..classes {
            g[c] = ((1.0 - share) * (p[c] - target(c)) * each) as f32;
        }
        if let Some(teacher) = teacher {
            let t = f64::from(temperature);
            let (q, q_sum) = softmax(&teacher[i * classes..][..classes], t);
            let (p, p_sum) = softmax(z, t);
            for c in 0..classes {
                let log_q = f64::from(teacher[i * classes + c]) / t - q_sum;
                let log_p = f64::from(z[c]) / t - p_sum;
                if q[c] > 0.0 {
                    result.loss += share * t * t * q[c] * (log_q - log_p) * each;
                }
                g[c] += (share * t * (p[c] - q[c]) * each) as f32;
            }
        }
    }
    result
}

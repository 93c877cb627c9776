//! The engine for CPUs: images in NHWC, products by the crate `gemm`, work split by
//! samples.
//!
//! Sums over a batch are those of [`GROUPS`] groups of samples, added in order: so
//! the number of threads does not change a bit.

mod conv;
mod exact;
mod layers;
mod norm;

use crate::data::Batch;
use crate::engine::{
    CLIP_STEPS, Engine, Plan, Settings, StepResult, Tensor, Tensors, check_parameters,
    initial_parameters, loss,
};
use crate::policy::{Policy, Weights};
use crate::quantise::{quantise, taps};
use crate::random::Random;
use crate::{Error, Result};
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use tern_network::{Layer, Network, Role, fit};

/// Added and taken away, it rounds magnitudes below 2^22 to integers.
const ROUND: f32 = 12_582_912.0;
/// Groups of samples whose sums are made apart.
const GROUPS: usize = 8;
/// Elements that one task of an element-wise step has.
const CHUNK: usize = 1 << 14;

/// The samples of each group.
fn groups(count: usize) -> Vec<Range<usize>> {
    (0..GROUPS)
        .map(|g| count * g / GROUPS..count * (g + 1) / GROUPS)
        .collect()
}

/// A parameter in training.
struct Trained {
    name: String,
    shape: Vec<usize>,
    role: Role,
    value: Vec<f32>,
    gradient: Vec<f32>,
    momentum: Vec<f32>,
    /// Where the gradient goes nowhere: far from what stands for the weight.
    far: Vec<bool>,
    decays: bool,
}

/// Buffers that are used again: fresh memory costs more than the arithmetic.
#[derive(Default)]
struct Buffers(HashMap<usize, Vec<Vec<f32>>>);

impl Buffers {
    /// A buffer of some former contents.
    fn take(&mut self, len: usize) -> Vec<f32> {
        let free = self.0.get_mut(&len).and_then(Vec::pop);
        free.unwrap_or_else(|| vec![0.0; len])
    }

    fn give(&mut self, buffer: Vec<f32>) {
        if !buffer.is_empty() {
            self.0.entry(buffer.len()).or_default().push(buffer);
        }
    }
}

/// What a node left for the way back.
#[derive(Default)]
struct Kept {
    /// Its result; of a node whose result is rounded, the rounded one.
    value: Vec<f32>,
    /// What an evaluation with integers has multiplied the result with until it is rounded.
    unit: Option<f32>,
    /// The result before it was rounded.
    exact: Vec<f32>,
    /// What dropout multiplied by.
    mask: Vec<f32>,
    /// Mean and inverse deviation of a batch norm.
    norm: (Vec<f32>, Vec<f32>),
    /// Where the largest of each window was.
    largest: Vec<u32>,
    /// What stands for the weights, `[taps * inputs, outputs]` for products.
    weights: Vec<f32>,
}

/// Trains on the processor.
pub struct Cpu {
    plan: Plan,
    /// By node.
    parameters: Vec<Vec<Trained>>,
    /// The largest magnitude that each rounded result can have, and its momentum.
    clips: Vec<(f32, f32)>,
    buffers: Buffers,
}

impl Cpu {
    /// A network with random parameters. `largest` is the largest magnitude of its
    /// input ([`Images::largest`](crate::Images::largest)).
    pub fn new(network: &Network, policy: &Policy, seed: u64, largest: f32) -> Cpu {
        let plan = Plan::new(network.clone(), policy.clone(), largest);
        let initial = initial_parameters(&plan.network, seed);
        let parameters = network.nodes().iter().map(|node| {
            let trained = |p: tern_network::Parameter| {
                let value = initial[&p.name].data.clone();
                let trained = if p.role.is_trained() { p.len() } else { 0 };
                Trained {
                    decays: Plan::decays(&p),
                    gradient: vec![0.0; trained],
                    momentum: vec![0.0; trained],
                    far: Vec::new(),
                    name: p.name,
                    shape: p.shape,
                    role: p.role,
                    value,
                }
            };
            node.parameters().map(trained).collect()
        });
        let parameters = parameters.collect();
        let mut clips = vec![(0.0, 0.0); network.nodes().len()];
        clips[0].0 = plan.input_clip;
        Cpu {
            plan,
            parameters,
            clips,
            buffers: Buffers::default(),
        }
    }

    fn parameter(&self, node: usize, role: Role) -> &[f32] {
        let found = self.parameters[node].iter().find(|p| p.role == role);
        found.map_or(&[], |p| &p.value)
    }

    fn gradient(&mut self, node: usize, role: Role) -> &mut [f32] {
        let found = self.parameters[node].iter_mut().find(|p| p.role == role);
        found.map_or(&mut [], |p| &mut p.gradient)
    }

    /// What stands for a node's weights, as kernels take them, and which of them are
    /// too far away to follow.
    fn weights(&mut self, node: usize, blend: f32) -> Vec<f32> {
        let layer = self.plan.network.nodes()[node].layer;
        let (kind, int8) = self.plan.kind(node);
        let Some(p) = self.parameters[node]
            .iter_mut()
            .find(|p| p.role == Role::Weight)
        else {
            return Vec::new();
        };
        let outputs = p.shape[0];
        let mut out = self.buffers.take(p.value.len());
        let mut scales = vec![0.0; outputs];
        let each = p.value.len() / outputs;
        let rows = out
            .par_chunks_exact_mut(each)
            .zip(p.value.par_chunks_exact(each));
        rows.zip(scales.par_iter_mut())
            .for_each(|((out, w), scale)| {
                let scale = std::slice::from_mut(scale);
                quantise(w, 1, taps(&layer), kind, int8, out, scale);
            });
        p.far.clear();
        if kind != Weights::F32 {
            if blend < 1.0 {
                for (t, w) in out.iter_mut().zip(&p.value) {
                    *t = (1.0 - blend) * w + blend * *t;
                }
            }
            let limits = scales
                .iter()
                .flat_map(|s| std::iter::repeat_n(3.0 * s, each));
            p.far
                .extend(p.value.iter().zip(limits).map(|(w, l)| w.abs() > l));
        }
        conv::for_kernels(&layer, &out)
    }

    /// Computes all nodes; what each left for the way back.
    fn forward(&mut self, images: &[f32], count: usize, step: Option<&Settings>) -> Vec<Kept> {
        let network = self.plan.network.clone();
        let mut kept: Vec<Kept> = Vec::with_capacity(network.nodes().len());
        let blend = step.map_or(1.0, |s| s.blend);
        for (n, node) in network.nodes().iter().enumerate() {
            let shape = &network.shape(tern_network::NodeId(n));
            let len = count * shape.iter().product::<usize>();
            let mut new = Kept {
                value: self.buffers.take(len),
                ..Kept::default()
            };
            let exact = step.is_none() && self.plan.has_integers();
            if node.layer.has_weights() && !exact {
                new.weights = self.weights(n, blend);
            }
            let x = node.inputs.first().map(|id| kept[id.0].value.as_slice());
            let x = x.unwrap_or_default();
            let x_shape = node.inputs.first().map(|id| network.shape(*id));
            let x_shape = x_shape.unwrap_or_default();
            new.unit = match node.layer {
                Layer::Conv2d(_) | Layer::Linear { .. } if exact => self.unit(n),
                _ => node.inputs.iter().find_map(|id| kept[id.0].unit),
            };
            let unit = new.unit;
            let y = &mut new.value;
            match &node.layer {
                Layer::Input(shape) => layers::to_nhwc(images, *shape, y),
                Layer::Conv2d(c) => {
                    let geometry = conv::Geometry::new(c, x_shape, shape);
                    if exact {
                        self.sum_integers(n, x, y, |x, weights, y| {
                            conv::forward(&geometry, x, weights, &[], y);
                        });
                    } else {
                        let bias = self.parameter(n, Role::Bias);
                        conv::forward(&geometry, x, &new.weights, bias, y);
                    }
                }
                Layer::Linear {
                    inputs, outputs, ..
                } => {
                    let sizes = [*inputs, *outputs];
                    if exact {
                        self.sum_integers(n, x, y, |x, weights, y| {
                            layers::linear(x, weights, &[], sizes, y);
                        });
                    } else {
                        let bias = self.parameter(n, Role::Bias);
                        layers::linear(x, &new.weights, bias, sizes, y);
                    }
                }
                Layer::BatchNorm2d { .. } if exact && self.plan.norms.contains(&Some(n)) => {
                    y.copy_from_slice(x); // it is in the product before it
                }
                Layer::BatchNorm2d { eps, momentum, .. } => {
                    let statistics = if step.is_some() {
                        let (mean, variance) = norm::statistics(x, shape[0], count);
                        let rows = x.len() / shape[0];
                        let unbiased = rows as f64 / (rows as f64 - 1.0).max(1.0);
                        for p in &mut self.parameters[n] {
                            let (new, factor) = match p.role {
                                Role::RunningMean => (&mean, 1.0),
                                Role::RunningVar => (&variance, unbiased),
                                _ => continue,
                            };
                            for (old, new) in p.value.iter_mut().zip(new) {
                                let new = new * factor * momentum;
                                *old = (f64::from(*old) * (1.0 - momentum) + new) as f32;
                            }
                        }
                        (mean, variance)
                    } else {
                        let wide = |role| self.parameter(n, role).iter().map(|v| f64::from(*v));
                        (
                            wide(Role::RunningMean).collect(),
                            wide(Role::RunningVar).collect::<Vec<f64>>(),
                        )
                    };
                    let inverse = |v: &f64| (1.0 / (v + eps).sqrt()) as f32;
                    let mean: Vec<f32> = statistics.0.iter().map(|m| *m as f32).collect();
                    let inverse: Vec<f32> = statistics.1.iter().map(inverse).collect();
                    let (w, b) = (
                        self.parameter(n, Role::NormWeight),
                        self.parameter(n, Role::NormBias),
                    );
                    norm::forward(x, &mean, &inverse, w, b, y);
                    new.norm = (mean, inverse);
                }
                Layer::Relu => layers::map(x, y, |x| x.max(0.0)),
                Layer::Relu6 => {
                    let most = 6.0 * unit.unwrap_or(1.0);
                    layers::map(x, y, |x| x.clamp(0.0, most));
                }
                Layer::Add => {
                    let [a, b] = [0, 1].map(|i| {
                        let (id, from) = (node.inputs[i], &kept[node.inputs[i].0]);
                        match unit {
                            Some(unit) if from.unit.is_none() => {
                                Cow::Owned(self.residual(id, &from.value, unit))
                            }
                            _ => Cow::Borrowed(&from.value[..]),
                        }
                    });
                    layers::add(&a, &b, y);
                }
                Layer::MaxPool2d {
                    kernel,
                    stride,
                    padding,
                } => {
                    let window = [*kernel, *stride, *padding];
                    layers::max_pool(x, x_shape, shape, window, y, &mut new.largest);
                }
                Layer::GlobalAveragePool => layers::average(x, x_shape, y),
                Layer::Flatten => layers::flatten(x, x_shape, y),
                Layer::Dropout(p) => match step {
                    Some(s) => {
                        let mut random = Random::new(s.seed, &[4, s.step, n as u64]);
                        let scale = (1.0 / (1.0 - p)) as f32;
                        new.mask = self.buffers.take(len);
                        for m in &mut new.mask {
                            *m = if random.uniform() < *p { 0.0 } else { scale };
                        }
                        layers::multiply(x, &new.mask, y);
                    }
                    None => y.copy_from_slice(x),
                },
            }
            if self.plan.rounded[n] {
                self.round(n, &mut new, step);
            }
            kept.push(new);
        }
        kept
    }

    /// The scale of a rounded result.
    fn scale(&self, node: usize) -> f32 {
        fit::activation_scale(self.clips[node].0, self.plan.qmax)
    }

    /// Rounds a result to integers times a scale.
    fn round(&mut self, node: usize, kept: &mut Kept, step: Option<&Settings>) {
        if node > 0 && step.is_some_and(|s| s.step < CLIP_STEPS) {
            let largest = layers::largest(&kept.value);
            self.clips[node].0 = self.clips[node].0.max(largest);
        }
        // As the runtime does it: by the inverse.
        let scale = self.scale(node);
        let inverse = match kept.unit.take() {
            Some(_) => 1.0,
            None => 1.0 / scale,
        };
        let most = self.plan.qmax as f32;
        let mut rounded = self.buffers.take(kept.value.len());
        layers::map(&kept.value, &mut rounded, |x| {
            // Half to even, as `round_ties_even` does, which is a call without SSE4.1.
            ((x * inverse).clamp(-most, most) + ROUND - ROUND) * scale
        });
        kept.exact = std::mem::replace(&mut kept.value, rounded);
    }

    /// Goes back from the gradient of the last node's result.
    fn backward(&mut self, kept: &[Kept], last: Vec<f32>, count: usize, settings: &Settings) {
        let network = self.plan.network.clone();
        let nodes = network.nodes();
        let mut gradients: Vec<Option<Vec<f32>>> = vec![None; nodes.len()];
        if let Some(slot) = gradients.last_mut() {
            *slot = Some(last);
        }
        for (n, node) in nodes.iter().enumerate().rev() {
            let Some(mut dy) = gradients[n].take() else {
                continue;
            };
            if self.plan.rounded[n] {
                self.unround(n, &kept[n], &mut dy, settings);
            }
            let Some(input) = node.inputs.first() else {
                self.buffers.give(dy);
                continue;
            };
            let shape = network.shape(tern_network::NodeId(n));
            let (x, x_shape) = (kept[input.0].value.as_slice(), network.shape(*input));
            let exact = if self.plan.rounded[n] {
                &kept[n].exact
            } else {
                &kept[n].value
            };
            let mut dx = self.buffers.take(x.len());
            // Nobody asks for the gradient of the input.
            let wanted = input.0 > 0;
            match &node.layer {
                Layer::Input(_) => {}
                Layer::Conv2d(c) => {
                    let geometry = conv::Geometry::new(c, x_shape, shape);
                    let (dw, db) = conv::backward(
                        &geometry,
                        x,
                        &kept[n].weights,
                        &dy,
                        wanted.then_some(&mut dx[..]),
                    );
                    let dw = conv::from_kernels(&node.layer, &dw);
                    self.gradient(n, Role::Weight).copy_from_slice(&dw);
                    if c.bias {
                        self.gradient(n, Role::Bias).copy_from_slice(&db);
                    }
                }
                Layer::Linear {
                    inputs, outputs, ..
                } => {
                    let sizes = [*inputs, *outputs];
                    let (dw, db) = layers::linear_back(x, &kept[n].weights, &dy, sizes, &mut dx);
                    let dw = conv::from_kernels(&node.layer, &dw);
                    self.gradient(n, Role::Weight).copy_from_slice(&dw);
                    self.gradient(n, Role::Bias).copy_from_slice(&db);
                }
                Layer::BatchNorm2d { .. } => {
                    let (mean, inverse) = &kept[n].norm;
                    let w = self.parameter(n, Role::NormWeight);
                    let (dw, db) = norm::backward(x, mean, inverse, w, &dy, count, &mut dx);
                    self.gradient(n, Role::NormWeight).copy_from_slice(&dw);
                    self.gradient(n, Role::NormBias).copy_from_slice(&db);
                }
                Layer::Relu => layers::where_(exact, &dy, &mut dx, |y| y > 0.0),
                Layer::Relu6 => layers::where_(exact, &dy, &mut dx, |y| y > 0.0 && y < 6.0),
                Layer::Add => {
                    dx.copy_from_slice(&dy);
                    let mut second = self.buffers.take(dy.len());
                    second.copy_from_slice(&dy);
                    self.gather(&mut gradients, node.inputs[1].0, second);
                }
                Layer::MaxPool2d { .. } => {
                    layers::max_pool_back(&kept[n].largest, &dy, count, &mut dx);
                }
                Layer::GlobalAveragePool => layers::average_back(&dy, x_shape, &mut dx),
                Layer::Flatten => layers::flatten_back(&dy, x_shape, &mut dx),
                Layer::Dropout(_) => layers::multiply(&dy, &kept[n].mask, &mut dx),
            }
            self.buffers.give(dy);
            if wanted {
                self.gather(&mut gradients, input.0, dx);
            } else {
                self.buffers.give(dx);
            }
        }
    }

    /// Adds to a node's gradient.
    fn gather(&mut self, gradients: &mut [Option<Vec<f32>>], node: usize, dx: Vec<f32>) {
        match &mut gradients[node] {
            Some(sum) => {
                layers::add_to(sum, &dx);
                self.buffers.give(dx);
            }
            empty => *empty = Some(dx),
        }
    }

    /// The way back through rounding: nothing beyond the clip, which learns from
    /// that.
    fn unround(&mut self, node: usize, kept: &Kept, dy: &mut [f32], settings: &Settings) {
        let clip = self.clips[node].0;
        let towards = layers::cut(&kept.exact, dy, clip);
        if node > 0 && settings.step >= CLIP_STEPS {
            let (clip, momentum) = &mut self.clips[node];
            *momentum = settings.momentum * *momentum + towards;
            let ahead = if settings.nesterov {
                towards + settings.momentum * *momentum
            } else {
                *momentum
            };
            *clip = (*clip - settings.lr * ahead).max(1e-3);
        }
    }

    fn update(&mut self, s: &Settings) {
        for p in self.parameters.iter_mut().flatten() {
            if !p.role.is_trained() {
                continue;
            }
            let decay = if p.decays { s.weight_decay } else { 0.0 };
            let each = p.value.iter_mut().zip(&p.gradient).zip(&mut p.momentum);
            for (i, ((w, g), m)) in each.enumerate() {
                let g = if p.far.get(i) == Some(&true) { 0.0 } else { *g };
                let g = g + decay * *w;
                // PyTorch begins with the gradient itself, which is the same.
                *m = s.momentum * *m + g;
                *w -= s.lr * if s.nesterov { g + s.momentum * *m } else { *m };
            }
        }
    }

    fn give_back(&mut self, kept: Vec<Kept>) {
        for k in kept {
            for buffer in [k.value, k.exact, k.mask, k.weights] {
                self.buffers.give(buffer);
            }
        }
    }
}

impl Engine for Cpu {
    fn step(
        &mut self,
        batch: &Batch,
        teacher: Option<&[f32]>,
        settings: &Settings,
    ) -> Result<StepResult> {
        let kept = self.forward(&batch.images, batch.count, Some(settings));
        let logits = kept.last().map_or(&[][..], |k| &k.value);
        let mut gradient = vec![0.0; logits.len()];
        let result = loss(logits, &batch.labels, teacher, settings, &mut gradient);
        if result.loss.is_finite() {
            self.backward(&kept, gradient, batch.count, settings);
            self.update(settings);
        }
        self.give_back(kept);
        Ok(result)
    }

    fn predict(&mut self, images: &[f32], count: usize) -> Result<Vec<f32>> {
        let mut kept = self.forward(images, count, None);
        let logits = kept.pop().map(|k| k.value).unwrap_or_default();
        self.give_back(kept);
        Ok(logits)
    }

    fn state(&self) -> Result<Tensors> {
        let mut tensors = Tensors::new();
        for p in self.parameters.iter().flatten() {
            let tensor = |data: &Vec<f32>| Tensor {
                shape: p.shape.clone(),
                data: data.clone(),
            };
            tensors.insert(p.name.clone(), tensor(&p.value));
            if p.role.is_trained() {
                tensors.insert(format!("momentum.{}", p.name), tensor(&p.momentum));
            }
        }
        for (n, (clip, momentum)) in self.clips.iter().enumerate() {
            if self.plan.rounded[n] {
                let data = vec![*clip, *momentum];
                let shape = vec![2];
                tensors.insert(self.plan.clip_name(n), Tensor { shape, data });
            }
        }
        Ok(tensors)
    }

    fn set_state(&mut self, tensors: &Tensors) -> Result<()> {
        check_parameters(&self.plan.network, tensors)?;
        for p in self.parameters.iter_mut().flatten() {
            p.value.clone_from(&tensors[&p.name].data);
            if p.role.is_trained() {
                match tensors.get(&format!("momentum.{}", p.name)) {
                    Some(m) if m.data.len() == p.value.len() => p.momentum.clone_from(&m.data),
                    Some(_) => {
                        return Err(Error::new(format!("momentum of {:?}: wrong size", p.name)));
                    }
                    None => p.momentum.fill(0.0),
                }
            }
        }
        for n in 1..self.clips.len() {
            let clip = tensors
                .get(&self.plan.clip_name(n))
                .map(|t| t.data.as_slice());
            self.clips[n] = match clip {
                Some([clip, momentum]) => (*clip, *momentum),
                _ => (0.0, 0.0),
            };
        }
        Ok(())
    }
}

//! The engine for GPUs, through libtorch: the same mathematics as [`Cpu`](crate::Cpu),
//! with libtorch's kernels and its derivatives.

use crate::data::Batch;
use crate::engine::{
    CLIP_STEPS, Engine, Plan, Settings, StepResult, Tensors, check_parameters, initial_parameters,
};
use crate::policy::{Policy, Weights};
use crate::quantise::taps;
use crate::random::Random;
use crate::{Error, Result};
use std::collections::BTreeMap;
use tch::{Device, Kind, Reduction, TchError};
use tern_network::{Layer, Network, Parameter, Role};

type Array = tch::Tensor;

impl From<TchError> for Error {
    fn from(e: TchError) -> Error {
        let text = e.to_string();
        Error::new(format!(
            "libtorch: {}",
            text.lines().next().unwrap_or_default()
        ))
    }
}

/// A parameter that is trained: a part of the array of all of them.
struct Trained {
    parameter: Parameter,
    node: usize,
    from: i64,
    len: i64,
    value: Array,
}

/// Trains on a GPU.
pub struct Torch {
    plan: Plan,
    device: Device,
    /// All trained parameters one after the other, their momenta, and where weight
    /// decay applies.
    all: Array,
    momentum: Array,
    decay: Array,
    trained: Vec<Trained>,
    /// Averages of batch norms, by name.
    measured: BTreeMap<String, Array>,
    /// Of each rounded node: the clip and its momentum.
    clips: BTreeMap<usize, (Array, Array)>,
}

impl Torch {
    /// A network with random parameters on the first GPU. `largest` is the largest
    /// magnitude of its input.
    ///
    /// # Errors
    /// No GPU; a GPU without the memory.
    pub fn new(network: &Network, policy: &Policy, seed: u64, largest: f32) -> Result<Torch> {
        if !tch::Cuda::is_available() {
            return Err(Error::new(
                "there is no GPU that libtorch can use: train with --device cpu, or check the driver and LD_LIBRARY_PATH",
            ));
        }
        Torch::on(Device::Cuda(0), network, policy, seed, largest)
    }

    /// The same on the processor, to compare with.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn on_cpu(network: &Network, policy: &Policy, seed: u64, largest: f32) -> Result<Torch> {
        Torch::on(Device::Cpu, network, policy, seed, largest)
    }

    fn on(
        device: Device,
        network: &Network,
        policy: &Policy,
        seed: u64,
        largest: f32,
    ) -> Result<Torch> {
        let plan = Plan::new(network.clone(), policy.clone(), largest);
        let initial = initial_parameters(&plan.network, seed);
        let mut listed = Vec::new();
        for (node, n) in network.nodes().iter().enumerate() {
            for parameter in n.parameters().filter(|p| p.role.is_trained()) {
                listed.push((node, parameter));
            }
        }
        let total: i64 = listed.iter().map(|(_, p)| p.len() as i64).sum();
        let floats = (Kind::Float, device);
        let mut decay: Vec<f32> = Vec::with_capacity(total as usize);
        for (_, p) in &listed {
            let share = if Plan::decays(p) { 1.0 } else { 0.0 };
            decay.extend(std::iter::repeat_n(share, p.len()));
        }
        let all = Array::f_zeros([total], floats)?;
        let mut trained = Vec::new();
        let mut from = 0;
        for (node, parameter) in listed {
            let len = parameter.len() as i64;
            let shape: Vec<i64> = parameter.shape.iter().map(|d| *d as i64).collect();
            let value = all.f_narrow(0, from, len)?.f_view(&shape[..])?.f_detach()?;
            let value = value.f_set_requires_grad(true)?;
            trained.push(Trained {
                parameter,
                node,
                from,
                len,
                value,
            });
            from += len;
        }
        let mut torch = Torch {
            momentum: Array::f_zeros([total], floats)?,
            decay: Array::f_from_slice(&decay)?.f_to_device(device)?,
            plan,
            device,
            all,
            trained,
            measured: BTreeMap::new(),
            clips: BTreeMap::new(),
        };
        torch.set_state(&initial)?;
        Ok(torch)
    }

    fn upload(&self, data: &[f32], shape: &[usize]) -> Result<Array> {
        let shape: Vec<i64> = shape.iter().map(|d| *d as i64).collect();
        let array = Array::f_from_slice(data)?.f_view(&shape[..])?;
        Ok(array.f_to_device(self.device)?)
    }

    fn parameter(&self, node: usize, role: Role) -> Option<&Array> {
        let found = self
            .trained
            .iter()
            .find(|t| t.node == node && t.parameter.role == role);
        found.map(|t| &t.value)
    }

    /// What stands for a node's weights, and which of them are too far away to
    /// follow.
    fn weights(&self, node: usize, blend: f32) -> Result<(Array, Option<Array>)> {
        let layer = self.plan.network.nodes()[node].layer;
        let w = self
            .parameter(node, Role::Weight)
            .ok_or_else(|| Error::new("a layer without weights"))?;
        let (kind, int8) = self.plan.kind(node);
        if kind == Weights::F32 && !int8 {
            return Ok((w.shallow_clone(), None));
        }
        let exact = w.f_detach()?.f_flatten(1, -1)?;
        let (rows, each) = exact.size2()?;
        let (integers, scale) = match kind {
            Weights::F32 => {
                let scale = exact.f_abs()?.f_amax([1], true)?.f_div_scalar(127.0)?;
                let scale = scale.f_clamp_min(f64::from(f32::MIN_POSITIVE))?;
                let q = exact.f_div(&scale)?.f_round()?.f_clamp(-127.0, 127.0)?;
                (q, scale)
            }
            Weights::T2 => {
                let rows = Some([1].as_slice());
                let size = exact.f_abs()?;
                let mean = size.f_mean_dim(rows, true, Kind::Double)?;
                let kept = size.f_ge_tensor(&mean.f_mul_scalar(0.7)?)?;
                let kept = kept.f_to_kind(Kind::Float)?;
                let q = exact.f_sign()?.f_mul(&kept)?;
                let count = q.f_abs()?.f_sum_dim_intlist(rows, true, Kind::Double)?;
                let sum = size.f_mul(&kept)?;
                let sum = sum.f_sum_dim_intlist(rows, true, Kind::Double)?;
                let scale = sum.f_div(&count.f_clamp_min(1.0)?)?;
                (q, scale.f_to_kind(Kind::Float)?)
            }
            Weights::N12 => {
                let taps = taps(&layer) as i64;
                let pairs = exact.f_view([rows, -1, 2, taps])?;
                let size = pairs.f_abs()?;
                let (first, second) = (size.f_select(2, 0)?, size.f_select(2, 1)?);
                let stays = second.f_gt_tensor(&first)?;
                let mask = Array::f_stack(&[stays.f_logical_not()?, stays], 2)?;
                let scale = size.f_amax([2], false)?.f_flatten(1, -1)?;
                let scale = scale.f_mean_dim([1].as_slice(), true, Kind::Float)?;
                let negative = pairs.f_lt(0.0)?.f_to_kind(Kind::Float)?;
                let sign = negative.f_mul_scalar(-2.0)?.f_add_scalar(1.0)?;
                let q = sign.f_mul(&mask.f_to_kind(Kind::Float)?)?;
                (q.f_view([rows, each])?, scale)
            }
            Weights::N34 => {
                let taps = taps(&layer) as i64;
                let fours = exact.f_view([rows, -1, 4, taps])?;
                let size = fours.f_abs()?;
                let smallest = size.f_le_tensor(&size.f_amin([2], true)?)?;
                // Of equals the last: none is behind it.
                let from_here = smallest.f_to_kind(Kind::Float)?.f_flip([2])?;
                let from_here = from_here.f_cumsum(2, Kind::Float)?.f_flip([2])?;
                let drops = smallest.f_logical_and(&from_here.f_eq(1.0)?)?;
                let mask = drops.f_logical_not()?.f_to_kind(Kind::Float)?;
                let sum = size.f_mul(&mask)?.f_flatten(1, -1)?;
                let sum = sum.f_sum_dim_intlist([1].as_slice(), true, Kind::Float)?;
                let scale = sum.f_div_scalar((each / 4 * 3) as f64)?;
                let negative = fours.f_lt(0.0)?.f_to_kind(Kind::Float)?;
                let sign = negative.f_mul_scalar(-2.0)?.f_add_scalar(1.0)?;
                let q = sign.f_mul(&mask)?;
                (q.f_view([rows, each])?, scale)
            }
        };
        let mut stands = integers.f_mul(&scale)?;
        let mut far = None;
        if kind != Weights::F32 {
            if blend < 1.0 {
                stands = exact.f_lerp(&stands, f64::from(blend))?;
            }
            let beyond = exact.f_abs()?.f_gt_tensor(&scale.f_mul_scalar(3.0)?)?;
            far = Some(beyond);
        }
        let moved = stands.f_sub(&exact)?.f_view_as(w)?;
        Ok((w.f_add(&moved)?, far))
    }

    /// Logits, and the weights that are too far away, by the number in `trained`.
    fn forward(
        &mut self,
        images: &Array,
        step: Option<&Settings>,
    ) -> Result<(Array, Vec<(i64, Array)>)> {
        let network = self.plan.network.clone();
        let blend = step.map_or(1.0, |s| s.blend);
        let mut values: Vec<Array> = Vec::with_capacity(network.nodes().len());
        let mut far = Vec::new();
        for (n, node) in network.nodes().iter().enumerate() {
            let x = node.inputs.first().map(|id| values[id.0].shallow_clone());
            let x = x.unwrap_or_else(|| images.shallow_clone());
            let mut weights = || -> Result<Array> {
                let (w, beyond) = self.weights(n, blend)?;
                if let Some(beyond) = beyond {
                    let own = |t: &&Trained| t.node == n && t.parameter.role == Role::Weight;
                    let from = self.trained.iter().find(own).map_or(0, |t| t.from);
                    far.push((from, beyond));
                }
                Ok(w)
            };
            let y = match &node.layer {
                Layer::Input(_) => x,
                Layer::Conv2d(c) => {
                    let w = weights()?;
                    let bias = self.parameter(n, Role::Bias);
                    let (s, p) = (c.stride as i64, c.padding as i64);
                    x.f_conv2d(&w, bias, [s, s], [p, p], [1, 1], c.groups as i64)?
                }
                Layer::Linear { .. } => {
                    let w = weights()?;
                    x.f_linear(&w, self.parameter(n, Role::Bias))?
                }
                Layer::BatchNorm2d { eps, momentum, .. } => {
                    let name = |role: Role| format!("{}.{}", node.name, role.suffix());
                    x.f_batch_norm(
                        self.parameter(n, Role::NormWeight),
                        self.parameter(n, Role::NormBias),
                        self.measured.get(&name(Role::RunningMean)),
                        self.measured.get(&name(Role::RunningVar)),
                        step.is_some(),
                        *momentum,
                        *eps,
                        true,
                    )?
                }
                Layer::Relu => x.f_relu()?,
                Layer::Relu6 => x.f_clamp(0.0, 6.0)?,
                Layer::Add => x.f_add(&values[node.inputs[1].0])?,
                Layer::MaxPool2d {
                    kernel,
                    stride,
                    padding,
                } => {
                    let [k, s, p] = [*kernel, *stride, *padding].map(|v| v as i64);
                    x.f_max_pool2d([k, k], [s, s], [p, p], [1, 1], false)?
                }
                Layer::GlobalAveragePool => x.f_mean_dim([2, 3].as_slice(), true, Kind::Float)?,
                Layer::Flatten => x.f_flatten(1, -1)?,
                Layer::Dropout(p) => match step {
                    Some(s) => {
                        let mut random = Random::new(s.seed, &[4, s.step, n as u64]);
                        let scale = (1.0 / (1.0 - p)) as f32;
                        let mut keep = || if random.uniform() < *p { 0.0 } else { scale };
                        let mask: Vec<f32> = (0..x.numel()).map(|_| keep()).collect();
                        let mask = Array::f_from_slice(&mask)?.f_view_as(&x)?;
                        x.f_mul(&mask.f_to_device(self.device)?)?
                    }
                    None => x,
                },
            };
            let y = if self.plan.rounded[n] {
                self.round(n, y, step)?
            } else {
                y
            };
            values.push(y);
        }
        let last = values
            .pop()
            .ok_or_else(|| Error::new("a network without nodes"))?;
        Ok((last, far))
    }

    /// Rounds a result to integers times a scale.
    fn round(&mut self, node: usize, x: Array, step: Option<&Settings>) -> Result<Array> {
        let Some((clip, _)) = self.clips.get_mut(&node) else {
            return Ok(x);
        };
        if node > 0 && step.is_some_and(|s| s.step < CLIP_STEPS) {
            let _guard = tch::no_grad_guard();
            let seen = x.f_abs()?.f_max()?.f_maximum(clip)?;
            clip.f_copy_(&seen)?;
        }
        // Nothing is below a ReLU's zero: no lower bound to look for, nor its gradient.
        let layer = &self.plan.network.nodes()[node].layer;
        let least = match layer {
            Layer::Relu | Layer::Relu6 => None,
            _ => Some(clip.f_neg()?),
        };
        let mut x = x.f_clamp_tensor(least.as_ref(), Some(&*clip))?;
        // Rounded in place, behind the derivative's back: it is the cut's.
        let _guard = tch::no_grad_guard();
        // As the runtime does it: by the inverse.
        let scale = clip.f_div_scalar(f64::from(self.plan.qmax))?;
        let _ = x
            .f_mul_(&scale.f_reciprocal()?)?
            .f_round_()?
            .f_mul_(&scale)?;
        Ok(x)
    }

    fn update(&mut self, far: &[(i64, Array)], s: &Settings) -> Result<()> {
        let _guard = tch::no_grad_guard();
        let (lr, momentum) = (f64::from(s.lr), f64::from(s.momentum));
        let gradients = self.trained.iter().map(|t| {
            let g = t.value.grad();
            if g.defined() {
                g.f_flatten(0, -1)
            } else {
                Array::f_zeros([t.len], (Kind::Float, self.device))
            }
        });
        let gradients = gradients.collect::<std::result::Result<Vec<_>, _>>()?;
        let mut g = Array::f_cat(&gradients, 0)?;
        for (from, beyond) in far {
            let beyond = beyond.f_flatten(0, -1)?;
            let mut part = g.f_narrow(0, *from, beyond.size1()?)?;
            let _ = part.f_masked_fill_(&beyond, 0.0)?;
        }
        let decay = self
            .decay
            .f_mul(&self.all)?
            .f_mul_scalar(f64::from(s.weight_decay))?;
        let _ = g.f_add_(&decay)?;
        let _ = self.momentum.f_mul_scalar_(momentum)?;
        let _ = self.momentum.f_add_(&g)?;
        let ahead = if s.nesterov {
            g.f_add(&self.momentum.f_mul_scalar(momentum)?)?
        } else {
            self.momentum.shallow_clone()
        };
        let _ = self.all.f_sub_(&ahead.f_mul_scalar(lr)?)?;
        for t in &mut self.trained {
            t.value.zero_grad();
        }
        for (node, (clip, speed)) in &mut self.clips {
            let g = clip.grad();
            if *node > 0 && g.defined() {
                if s.step >= CLIP_STEPS {
                    let _ = speed.f_mul_scalar_(momentum)?;
                    let _ = speed.f_add_(&g)?;
                    let ahead = if s.nesterov {
                        g.f_add(&speed.f_mul_scalar(momentum)?)?
                    } else {
                        speed.shallow_clone()
                    };
                    let _ = clip.f_sub_(&ahead.f_mul_scalar(lr)?)?;
                    let _ = clip.f_clamp_min_(1e-3)?;
                }
                clip.zero_grad();
            }
        }
        Ok(())
    }
}

fn download(array: &Array) -> Result<Vec<f32>> {
    let flat = array
        .f_detach()?
        .f_to_device(Device::Cpu)?
        .f_contiguous()?
        .f_flatten(0, -1)?;
    Ok(Vec::<f32>::try_from(&flat)?)
}

impl Engine for Torch {
    fn step(&mut self, batch: &Batch, teacher: Option<&[f32]>, s: &Settings) -> Result<StepResult> {
        let [channels, height, width] = self.plan.network.input();
        let images = self.upload(&batch.images, &[batch.count, channels, height, width])?;
        let labels: Vec<i64> = batch.labels.iter().map(|l| i64::from(*l)).collect();
        let labels = Array::f_from_slice(&labels)?.f_to_device(self.device)?;
        let (logits, far) = self.forward(&images, Some(s))?;
        let smooth = f64::from(s.label_smoothing);
        let mut loss =
            logits.f_cross_entropy_loss::<Array>(&labels, None, Reduction::Mean, -100, smooth)?;
        if let Some(teacher) = teacher {
            let t = f64::from(s.distil.temperature);
            let share = f64::from(s.distil.share);
            let teacher = self.upload(teacher, &[batch.count, self.plan.network.classes()])?;
            let soft = teacher.f_div_scalar(t)?.f_log_softmax(1, Kind::Float)?;
            let own = logits.f_div_scalar(t)?.f_log_softmax(1, Kind::Float)?;
            let apart = own.f_kl_div(&soft, Reduction::Sum, true)?;
            let apart = apart.f_mul_scalar(share * t * t / batch.count.max(1) as f64)?;
            loss = loss.f_mul_scalar(1.0 - share)?.f_add(&apart)?;
        }
        let right = logits
            .f_argmax(1, false)?
            .f_eq_tensor(&labels)?
            .f_sum(Kind::Float)?;
        loss.f_backward()?;
        let numbers = Array::f_stack(&[loss.f_detach()?, right], 0)?;
        let numbers = download(&numbers)?;
        let result = StepResult {
            loss: f64::from(numbers[0]),
            correct: numbers[1] as usize,
        };
        if result.loss.is_finite() {
            self.update(&far, s)?;
        }
        Ok(result)
    }

    fn predict(&mut self, images: &[f32], count: usize) -> Result<Vec<f32>> {
        let [channels, height, width] = self.plan.network.input();
        let _guard = tch::no_grad_guard();
        let images = self.upload(images, &[count, channels, height, width])?;
        download(&self.forward(&images, None)?.0)
    }

    fn state(&self) -> Result<Tensors> {
        let mut tensors = Tensors::new();
        let momentum = download(&self.momentum)?;
        for t in &self.trained {
            let shape = t.parameter.shape.clone();
            let data = download(&t.value)?;
            tensors.insert(
                t.parameter.name.clone(),
                crate::Tensor {
                    shape: shape.clone(),
                    data,
                },
            );
            let data = momentum[t.from as usize..(t.from + t.len) as usize].to_vec();
            let name = format!("momentum.{}", t.parameter.name);
            tensors.insert(name, crate::Tensor { shape, data });
        }
        for (name, array) in &self.measured {
            let data = download(array)?;
            let shape = vec![data.len()];
            tensors.insert(name.clone(), crate::Tensor { shape, data });
        }
        for (node, (clip, speed)) in &self.clips {
            let data = [download(clip)?, download(speed)?].concat();
            let tensor = crate::Tensor {
                shape: vec![2],
                data,
            };
            tensors.insert(self.plan.clip_name(*node), tensor);
        }
        Ok(tensors)
    }

    fn set_state(&mut self, tensors: &Tensors) -> Result<()> {
        let parameters = check_parameters(&self.plan.network, tensors)?;
        let measured = parameters.iter().filter(|(p, _)| !p.role.is_trained());
        let measured = measured
            .map(|(p, t)| Ok((p.name.clone(), self.upload(&t.data, &t.shape)?)))
            .collect::<Result<BTreeMap<_, _>>>()?;
        let (mut values, mut momenta) = (Vec::new(), Vec::new());
        for t in &self.trained {
            let name = &t.parameter.name;
            values.extend_from_slice(&tensors[name].data);
            match tensors.get(&format!("momentum.{name}")) {
                Some(m) if m.data.len() == t.parameter.len() => momenta.extend_from_slice(&m.data),
                Some(_) => return Err(Error::new(format!("momentum of {name:?}: wrong size"))),
                None => momenta.extend(std::iter::repeat_n(0.0, t.parameter.len())),
            }
        }
        let mut clips = BTreeMap::new();
        for node in 0..self.plan.rounded.len() {
            if !self.plan.rounded[node] {
                continue;
            }
            let stored = tensors
                .get(&self.plan.clip_name(node))
                .map(|t| t.data.as_slice());
            let (clip, speed) = match stored {
                Some([clip, speed]) => (*clip, *speed),
                _ => (if node == 0 { self.plan.input_clip } else { 0.0 }, 0.0),
            };
            let scalar = |v: f32| -> Result<Array> { Ok(self.upload(&[v], &[1])?.f_squeeze()?) };
            clips.insert(
                node,
                (scalar(clip)?.f_set_requires_grad(node > 0)?, scalar(speed)?),
            );
        }
        let _guard = tch::no_grad_guard();
        self.all.f_copy_(&self.upload(&values, &[values.len()])?)?;
        self.momentum
            .f_copy_(&self.upload(&momenta, &[momenta.len()])?)?;
        (self.measured, self.clips) = (measured, clips);
        Ok(())
    }
}

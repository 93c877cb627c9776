//! What a model needs of flash and of memory, layer by layer and step by step,
//! and what it would need as f32, f16 or int8.

mod page;

use super::arena::{self, Span};
use super::layers::{Layer, layers, op_name};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use ternrt::format::header::Section;
use ternrt::{Caps, DType, Model};

/// The number formats that models are compared in.
///
/// Parameters: every weight and bias as 4 or 2 bytes; `int8` has a byte a weight,
/// an f32 scale an output channel and biases of 4 bytes, as most 8-bit tools
/// store them. Activations: each number as 4, 2 or 1 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Formats {
    /// This file.
    pub here: u64,
    /// All f32.
    pub f32: u64,
    /// All f16.
    pub f16: u64,
    /// 8-bit.
    pub int8: u64,
}

impl Formats {
    /// Names in order, with the numbers.
    fn named(&self) -> [(&'static str, u64); 4] {
        [
            ("this file", self.here),
            ("int8", self.int8),
            ("f16", self.f16),
            ("f32", self.f32),
        ]
    }

    fn add(&mut self, other: &Formats) {
        self.here += other.here;
        self.f32 += other.f32;
        self.f16 += other.f16;
        self.int8 += other.int8;
    }
}

/// Bytes of one layer.
#[derive(Clone, Debug, Serialize)]
pub struct LayerMemory {
    /// Name of the ONNX node.
    pub name: String,
    /// Op.
    pub op: &'static str,
    /// Shape of the result, images as NHWC.
    pub output_shape: Vec<usize>,
    /// How the weights are stored.
    pub codec: &'static str,
    /// Number of weights.
    pub weights: u64,
    /// Bits of the file for each weight, padding included, scales not.
    pub bits_per_weight: f64,
    /// Bytes of the weights.
    pub weight_bytes: u64,
    /// Bytes of their scales.
    pub scale_bytes: u64,
    /// Bytes of the bias.
    pub bias_bytes: u64,
    /// Weights, scales and bias in each format.
    pub parameters: Formats,
    /// Bytes of the result in the arena.
    pub output_bytes: u64,
    /// Whether an earlier layer has the same weights; sums count them once.
    pub shared: bool,
    /// Multiply-accumulates.
    pub macs: u64,
}

/// Bytes of the data section by what they are.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Constants {
    /// Weights.
    pub weights: u64,
    /// Scales of weights.
    pub scales: u64,
    /// Biases.
    pub biases: u64,
    /// Other constants, and padding.
    pub other: u64,
}

/// What is alive at a step.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// The op; `inputs` for step 0.
    pub name: String,
    /// Bytes that are needed.
    pub live_bytes: u64,
}

/// A tensor that is alive at the step where most bytes are.
#[derive(Clone, Debug, Serialize)]
pub struct Alive {
    /// Tensor id.
    pub id: u32,
    /// Element type.
    pub dtype: &'static str,
    /// Dimensions.
    pub shape: Vec<usize>,
    /// Bytes.
    pub bytes: u64,
    /// Step that writes it.
    pub first: usize,
    /// Last step that reads it.
    pub last: usize,
}

/// The working memory.
#[derive(Clone, Debug, Serialize)]
pub struct Arena {
    /// Bytes that the compiler planned.
    pub plan_bytes: u64,
    /// Bytes that kernels need on this CPU, and what aligning the start may cost.
    pub scratch_bytes: u64,
    /// Both: what a host must supply.
    pub total_bytes: u64,
    /// Instruction sets that this holds for.
    pub instruction_sets: String,
    /// Threads that this holds for.
    pub threads: usize,
    /// The step with the most bytes alive.
    pub peak_step: usize,
    /// What is alive there, largest first.
    pub peak: Vec<Alive>,
    /// The most bytes alive at one step, with activations as they are and in
    /// each format: what no plan can go below.
    pub live: Formats,
    /// Every step.
    pub steps: Vec<Step>,
}

/// The whole report.
#[derive(Clone, Debug, Serialize)]
pub struct Memory {
    /// The model's name.
    pub name: String,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Bytes of its sections.
    pub sections: BTreeMap<&'static str, u64>,
    /// Bytes of its constants.
    pub constants: Constants,
    /// Number of weights and biases.
    pub parameter_count: u64,
    /// Weights, scales and biases in each format.
    pub parameters: Formats,
    /// The working memory.
    pub arena: Arena,
    /// Layers with weights, in order.
    pub layers: Vec<LayerMemory>,
}

impl LayerMemory {
    fn new(layer: &Layer<'_>) -> LayerMemory {
        let (dims, rank) = layer.output.shape();
        let (weights, bias) = (layer.weight_count(), layer.bias_count());
        let weight_bytes = layer.weights.len;
        let scale_bytes = layer.scale.map_or(0, |s| s.len);
        let bias_bytes = layer.bias.map_or(0, |b| b.len);
        LayerMemory {
            name: layer.name.clone(),
            op: layer.op.name(),
            output_shape: dims[..rank].to_vec(),
            codec: layer.weights.codec.name(),
            weights,
            bits_per_weight: 8.0 * weight_bytes as f64 / weights.max(1) as f64,
            weight_bytes,
            scale_bytes,
            bias_bytes,
            parameters: Formats {
                here: weight_bytes + scale_bytes + bias_bytes,
                f32: 4 * (weights + bias),
                f16: 2 * (weights + bias),
                int8: weights + 4 * (layer.outputs() as u64 + bias),
            },
            output_bytes: layer.output.len,
            shared: layer.shared,
            macs: layer.macs,
        }
    }
}

/// Bytes alive at a step, as they are and in each format. Tensors at one place
/// are names of the same bytes.
fn live(spans: &[Span], step: usize) -> Formats {
    let mut places: HashMap<u64, Formats> = HashMap::new();
    for span in spans {
        if !(span.first..=span.last).contains(&step) {
            continue;
        }
        let t = &span.tensor;
        let number = t.dtype == DType::F32 || t.qmax > 0;
        let as_bytes = |size: u64| {
            if number {
                size * t.elements() as u64
            } else {
                t.len
            }
        };
        let place = places.entry(t.offset).or_default();
        place.here = place.here.max(t.len);
        place.f32 = place.f32.max(as_bytes(4));
        place.f16 = place.f16.max(as_bytes(2));
        place.int8 = place.int8.max(as_bytes(1));
    }
    let mut sum = Formats::default();
    places.values().for_each(|place| sum.add(place));
    sum
}

fn measure_arena(model: &Model<'_>, caps: Caps, threads: usize) -> Arena {
    let (spans, count) = arena::spans(model);
    let all: Vec<Formats> = (0..count).map(|step| live(&spans, step)).collect();
    let most = |of: fn(&Formats) -> u64| all.iter().map(of).max().unwrap_or(0);
    // The first of equals.
    let peak_step = (0..count)
        .rev()
        .max_by_key(|&s| all[s].here)
        .unwrap_or_default();
    let alive = spans
        .iter()
        .filter(|s| (s.first..=s.last).contains(&peak_step));
    let mut peak: Vec<Alive> = alive
        .map(|span| {
            let (dims, rank) = span.tensor.shape();
            Alive {
                id: span.id,
                dtype: span.tensor.dtype.name(),
                shape: dims[..rank].to_vec(),
                bytes: span.tensor.len,
                first: span.first,
                last: span.last,
            }
        })
        .collect();
    peak.sort_by_key(|a| std::cmp::Reverse(a.bytes));
    let names = std::iter::once("inputs".to_owned())
        .chain(model.ops(0).map(|step| op_name(model, step.number)));
    let plan_bytes = model.header().arena_bytes;
    let total_bytes = model.arena_len_for(caps, threads) as u64;
    Arena {
        plan_bytes,
        scratch_bytes: total_bytes.saturating_sub(plan_bytes),
        total_bytes,
        instruction_sets: caps.to_string(),
        threads,
        peak_step,
        peak,
        live: Formats {
            here: most(|f| f.here),
            f32: most(|f| f.f32),
            f16: most(|f| f.f16),
            int8: most(|f| f.int8),
        },
        steps: names
            .zip(&all)
            .map(|(name, live)| Step {
                name,
                live_bytes: live.here,
            })
            .collect(),
    }
}

/// Looks at a model; `name` is for people, the rest says what it would run on.
pub fn measure(model: &Model<'_>, name: &str, caps: Caps, threads: usize) -> Memory {
    let layers: Vec<LayerMemory> = layers(model).iter().map(LayerMemory::new).collect();
    let mut constants = Constants::default();
    let (mut parameters, mut parameter_count) = (Formats::default(), 0);
    for layer in layers.iter().filter(|l| !l.shared) {
        constants.weights += layer.weight_bytes;
        constants.scales += layer.scale_bytes;
        constants.biases += layer.bias_bytes;
        parameters.add(&layer.parameters);
        parameter_count += layer.weights + layer.bias_bytes / 4;
    }
    let known = constants.weights + constants.scales + constants.biases;
    let header = model.header();
    constants.other = header.section(Section::Data).len.saturating_sub(known);
    Memory {
        name: name.to_owned(),
        file_bytes: header.file_len,
        sections: Section::ALL
            .into_iter()
            .map(|s| (s.name(), header.section(s).len))
            .collect(),
        constants,
        parameter_count,
        parameters,
        arena: measure_arena(model, caps, threads),
        layers,
    }
}

#[cfg(test)]
mod tests;

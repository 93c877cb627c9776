//! What a model needs of flash and of memory, layer by layer and step by step,
//! and what it would need as f32, f16 or int8.

use super::arena::{self, Span};
use super::layers::{Layer, layers, op_name, short_name};
use super::page::{Fact, Page};
use crate::text_table as table;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use tern_charts::{Bar, Bars, Chart, NARROW, Unit};
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

/// `12.3x`, how many times `small` is in `large`.
fn times(large: u64, small: u64) -> String {
    match small {
        0 => String::new(),
        _ => format!("{:.1}x", large as f64 / small as f64),
    }
}

const LAYER_HEADER: [&str; 11] = [
    "layer",
    "op",
    "output",
    "codec",
    "bits/weight",
    "weights",
    "scales",
    "bias",
    "as f32",
    "smaller",
    "output bytes",
];
const LAYER_RIGHT: [usize; 7] = [4, 5, 6, 7, 8, 9, 10];
const PEAK_HEADER: [&str; 5] = ["tensor", "dtype", "shape", "bytes", "steps"];

impl Memory {
    fn layer_rows(&self) -> Vec<Vec<String>> {
        let row = |l: &LayerMemory| {
            vec![
                l.name.clone(),
                l.op.to_owned(),
                table::shape(&l.output_shape),
                format!("{}{}", l.codec, if l.shared { ", shared" } else { "" }),
                format!("{:.2}", l.bits_per_weight),
                table::grouped(l.weight_bytes),
                table::grouped(l.scale_bytes),
                table::grouped(l.bias_bytes),
                table::grouped(l.parameters.f32),
                times(l.parameters.f32, l.parameters.here),
                table::grouped(l.output_bytes),
            ]
        };
        self.layers.iter().map(row).collect()
    }

    fn peak_rows(&self) -> Vec<Vec<String>> {
        let row = |a: &Alive| {
            vec![
                format!("%{}", a.id),
                a.dtype.to_owned(),
                table::shape(&a.shape),
                table::grouped(a.bytes),
                format!("{} to {}", a.first, a.last),
            ]
        };
        self.arena.peak.iter().map(row).collect()
    }

    fn peak_name(&self) -> String {
        let step = self.arena.steps.get(self.arena.peak_step);
        format!(
            "step {}, {}",
            self.arena.peak_step,
            step.map_or("", |s| &s.name)
        )
    }

    fn file_rows(&self) -> Vec<Vec<String>> {
        let data = [
            ("weights", self.constants.weights),
            ("scales", self.constants.scales),
            ("biases", self.constants.biases),
            ("other constants, padding", self.constants.other),
        ];
        let sections = self.sections.iter().filter(|(name, _)| **name != "data");
        let used: u64 = self.sections.values().sum();
        data.into_iter()
            .chain(sections.map(|(name, len)| (*name, *len)))
            .chain([("header, padding", self.file_bytes.saturating_sub(used))])
            .filter(|(_, len)| *len > 0)
            .map(|(name, len)| {
                vec![
                    name.to_owned(),
                    table::grouped(len),
                    format!("{:.1}%", 100.0 * len as f64 / self.file_bytes.max(1) as f64),
                ]
            })
            .collect()
    }

    fn format_rows(&self) -> Vec<Vec<String>> {
        let (p, a) = (self.parameters, self.arena.live);
        p.named()
            .into_iter()
            .zip(a.named())
            .map(|((name, parameters), (_, live))| {
                vec![
                    name.to_owned(),
                    table::grouped(parameters),
                    times(parameters, p.here),
                    table::grouped(live),
                    times(live, a.here),
                ]
            })
            .collect()
    }

    /// Tables for a terminal.
    pub fn to_text(&self) -> String {
        let mut out = table::render(&LAYER_HEADER, &LAYER_RIGHT, &self.layer_rows());
        let mut part = |header: &[&str], right: &[usize], rows: &[Vec<String>]| {
            // A String takes everything.
            let _ = write!(out, "\n{}", table::render(header, right, rows));
        };
        part(&["file", "bytes", "share"], &[1, 2], &self.file_rows());
        part(&FORMAT_HEADER, &[1, 2, 3, 4], &self.format_rows());
        part(&PEAK_HEADER, &[3], &self.peak_rows());
        let a = &self.arena;
        let _ = writeln!(
            out,
            "\nmost bytes alive at {}\n\
             file {} bytes ({}), {} parameters\n\
             arena {} bytes: {} planned, {} scratch and alignment for {} on {} thread{}",
            self.peak_name(),
            table::grouped(self.file_bytes),
            table::bytes(self.file_bytes),
            table::grouped(self.parameter_count),
            table::grouped(a.total_bytes),
            table::grouped(a.plan_bytes),
            table::grouped(a.scratch_bytes),
            a.instruction_sets,
            a.threads,
            if a.threads == 1 { "" } else { "s" },
        );
        out
    }

    /// The page; the picture of the arena comes from the model itself.
    pub fn to_html(&self, model: &Model<'_>) -> String {
        let mut page = Page::new(
            &format!("Memory of {}", self.name),
            &format!(
                "Arena for {} kernels on {} thread{}.",
                self.arena.instruction_sets,
                self.arena.threads,
                if self.arena.threads == 1 { "" } else { "s" }
            ),
        );
        let (p, a) = (self.parameters, &self.arena);
        page.facts(&[
            Fact {
                name: "File",
                value: table::bytes(self.file_bytes),
                note: format!("{} bytes", table::grouped(self.file_bytes)),
            },
            Fact {
                name: "Parameters",
                value: table::bytes(p.here),
                note: format!("{} numbers", table::grouped(self.parameter_count)),
            },
            Fact {
                name: "Smaller than as f32",
                value: times(p.f32, p.here),
                note: format!(
                    "f16 {}, int8 {}",
                    times(p.f16, p.here),
                    times(p.int8, p.here)
                ),
            },
            Fact {
                name: "Arena",
                value: table::bytes(a.total_bytes),
                note: format!(
                    "{} planned, {} scratch",
                    table::bytes(a.plan_bytes),
                    table::bytes(a.scratch_bytes)
                ),
            },
            Fact {
                name: "Peak",
                value: table::bytes(a.live.here),
                note: self.peak_name(),
            },
        ]);
        page.heading("Against f32, f16 and int8");
        page.charts(&[
            formats_chart("Parameters", "weights, scales and biases", &p),
            formats_chart(
                "Activations",
                "the most bytes alive at one step: what no plan can go below",
                &a.live,
            ),
        ]);
        page.table(
            "In other formats",
            &FORMAT_HEADER,
            &[1, 2, 3, 4],
            &self.format_rows(),
        );
        page.note(
            "int8 counts a byte a weight, an f32 scale an output channel and 4 bytes a bias; \
             activations one byte each.",
        );
        page.heading("Working memory");
        page.charts(&[arena::chart(model)]);
        page.table("Alive at the peak", &PEAK_HEADER, &[3], &self.peak_rows());
        page.heading("Layers");
        page.charts(&[self.layer_chart()]);
        page.table(
            "Bytes by layer",
            &LAYER_HEADER,
            &LAYER_RIGHT,
            &self.layer_rows(),
        );
        page.heading("File");
        page.table(
            "Where its bytes go",
            &["what", "bytes", "share"],
            &[1, 2],
            &self.file_rows(),
        );
        page.html()
    }

    fn layer_chart(&self) -> Chart {
        let bar = |l: &LayerMemory| Bar {
            name: short_name(&l.name),
            parts: vec![
                l.weight_bytes as f64,
                l.scale_bytes as f64,
                l.bias_bytes as f64,
            ],
            note: l.codec.to_owned(),
        };
        Bars {
            title: "Bytes of each layer".into(),
            subtitle: "with its codec".into(),
            width: NARROW,
            parts: ["weights", "scales", "bias"].map(str::to_owned).to_vec(),
            unit: Unit::Bytes,
            bars: self.layers.iter().map(bar).collect(),
        }
        .draw()
    }
}

const FORMAT_HEADER: [&str; 5] = ["format", "parameters", "times", "activations", "times"];

fn formats_chart(title: &str, subtitle: &str, formats: &Formats) -> Chart {
    Bars {
        title: title.into(),
        subtitle: subtitle.into(),
        width: NARROW,
        parts: Vec::new(),
        unit: Unit::Bytes,
        bars: formats
            .named()
            .into_iter()
            .map(|(name, bytes)| Bar {
                name: name.to_owned(),
                parts: vec![bytes as f64],
                note: table::bytes(bytes),
            })
            .collect(),
    }
    .draw()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Aligned;
    use crate::ir::text::parse;
    use crate::pipeline::{CompileOptions, Silent, compile_graph};

    /// Two layers that share ternary weights, a dense one, and a reshape between.
    fn compiled() -> Aligned {
        let graph = parse(
            "graph \"t\"\n\
             input %x \"x\" : f32[4,64]\n\
             constant %w \"w\" : ternary[64,64] = ternary(2)\n\
             constant %c \"c\" : f32[10,256] = random(3)\n\
             constant %b \"b\" : f32[10] = random(4)\n\
             %i \"first\" = gemm(%x, %w)\n\
             %j \"second\" = gemm(%i, %w)\n\
             %r \"flat\" = reshape(%j) : f32[1,256]\n\
             %k \"head\" = gemm(%r, %c, %b)\n\
             output \"y\" = %k\n",
        )
        .unwrap();
        let compiled = compile_graph(graph, "t", &CompileOptions::default(), &Silent).unwrap();
        Aligned::new(&compiled.bytes)
    }

    #[test]
    fn bytes_add_up() {
        let file = compiled();
        let model = Model::new(file.bytes()).unwrap();
        let m = measure(&model, "t", Caps::SCALAR, 1);
        assert_eq!(m.file_bytes, file.bytes().len() as u64);
        let names: Vec<&str> = m.layers.iter().map(|l| l.name.as_str()).collect();
        assert_eq!(names, ["first", "second", "head"]);
        // Shared weights count once: 4096 trits, 2560 floats and 10 biases.
        assert_eq!(
            m.layers.iter().map(|l| l.shared).collect::<Vec<_>>(),
            [false, true, false]
        );
        assert_eq!(m.parameter_count, 4096 + 2560 + 10);
        assert_eq!(m.parameters.f32, 4 * m.parameter_count);
        assert_eq!(m.parameters.int8, 4096 + 4 * 64 + 2560 + 4 * 20);
        assert_eq!(m.layers[0].weight_bytes, 1024);
        assert_eq!(m.layers[0].scale_bytes, 256);
        let c = m.constants;
        let sum = c.weights + c.scales + c.biases + c.other;
        assert_eq!(sum, m.sections["data"]);
        // Rows of 1 KiB: input and first result, then first and second.
        let live: Vec<u64> = m.arena.steps.iter().map(|s| s.live_bytes).collect();
        assert_eq!(live, [1024, 2048, 2048, 1024 + 40]);
        assert_eq!((m.arena.peak_step, m.arena.live.here), (1, 2048));
        assert_eq!(m.arena.live.int8, 512);
        assert!(m.arena.live.here <= m.arena.plan_bytes);
        assert_eq!(
            m.arena.total_bytes,
            m.arena.plan_bytes + m.arena.scratch_bytes
        );
    }

    #[test]
    fn text_and_page_name_every_layer() {
        let file = compiled();
        let model = Model::new(file.bytes()).unwrap();
        let m = measure(&model, "t", Caps::SCALAR, 1);
        for text in [m.to_text(), m.to_html(&model)] {
            for layer in &m.layers {
                assert!(text.contains(&layer.name), "{text}");
            }
            assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        }
    }
}

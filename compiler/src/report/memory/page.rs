//! The report as tables for a terminal and as a page.

use super::{Alive, Formats, LayerMemory, Memory};
use crate::report::arena;
use crate::report::layers::short_name;
use crate::report::page::{Fact, Page};
use crate::text_table as table;
use std::fmt::Write;
use tern_charts::{Bar, Bars, Chart, NARROW, Unit};
use ternrt::Model;

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

//! What a compilation did, for people and for machines.

use crate::ir::{Constant, Graph};
use crate::pack::matrix;
use crate::sensitivity::choose::Selection;
use crate::ternarise::Errors;
use crate::text_table as table;
use serde::Serialize;
use std::fmt::Write;
use ternrt::Codec;

/// One layer with weights.
#[derive(Clone, Debug, Serialize)]
pub struct Layer {
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
    /// Bits of the file for each of them, padding included, scales not.
    pub bits_per_weight: f64,
    /// Bytes of weights, scales and bias.
    pub bytes: u64,
    /// `|w - stored| / |w|` in the Frobenius norm.
    pub weight_error: f64,
    /// Multiply-accumulates.
    pub macs: u64,
}

/// Sums over the model.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Totals {
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Bytes of its constants: weights, scales, biases and the like.
    pub weight_bytes: u64,
    /// Bytes of the model's parameters as f32.
    pub f32_bytes: u64,
    /// `f32_bytes / file_bytes`.
    pub times_smaller: f64,
    /// Bytes of the arena's plan.
    pub arena_bytes: u64,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// Largest weight error of a layer.
    pub weight_error: f64,
    /// Layers with ternary weights.
    pub ternary_layers: usize,
}

/// The whole report.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Layers in order.
    pub layers: Vec<Layer>,
    /// Sums.
    pub totals: Totals,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// Codecs that were picked by measuring, and the accuracy with them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selection: Option<Selection>,
}

impl Report {
    /// Looks at a graph whose codecs are chosen. File and arena bytes are filled in later.
    pub fn new(graph: &Graph, errors: &Errors) -> Report {
        let mut report = Report::default();
        for node in &graph.nodes {
            report.totals.macs += macs(graph, node);
            let Some((id, matrix)) = matrix(graph, node) else {
                continue;
            };
            let value = graph.value(id);
            let codec = value.codec.unwrap_or(Codec::F32);
            let packed = codec.packed_len(&matrix).unwrap_or(0) as u64;
            let (scales, ternary) = match graph.constant(id).map(|c| c.as_ref()) {
                Some(Constant::Scaled(t)) => (t.scale.len(), t.is_ternary()),
                _ => (0, false),
            };
            let bias = node
                .inputs
                .get(2)
                .copied()
                .flatten()
                .map_or(0, |b| graph.ty(b).elements());
            let weights = value.ty.elements() as u64;
            let weight_error = errors
                .get(&node.name)
                .copied()
                .unwrap_or_else(|| dense_error(graph, id, codec));
            report.totals.f32_bytes += 4 * (weights + bias as u64);
            report.totals.weight_error = report.totals.weight_error.max(weight_error);
            report.totals.ternary_layers += ternary as usize;
            report.layers.push(Layer {
                name: node.name.clone(),
                op: node.op.name(),
                output_shape: graph.ty(node.outputs[0]).shape.clone(),
                codec: codec.name(),
                weights,
                bits_per_weight: 8.0 * packed as f64 / weights.max(1) as f64,
                bytes: packed + 4 * (scales + bias) as u64,
                weight_error,
                macs: macs(graph, node),
            });
        }
        if report.totals.ternary_layers == 0 && !report.layers.is_empty() {
            report.warnings.push(
                "no layer has ternary weights: the file is as large as a dense one. Train with ternary weights, \
                 or see what --ternarise threshold does to the accuracy"
                    .into(),
            );
        }
        let fitted = report
            .layers
            .iter()
            .filter(|l| l.weight_error > 0.0 && matches!(l.codec, "t2" | "t5" | "n12" | "n34"))
            .count();
        if fitted > 0 {
            report.warnings.push(format!(
                "{fitted} layers were made ternary after training, with a weight error of up to {:.0}%: a network that \
                 was not trained for this loses most of its accuracy. Check it, or train with ternary weights",
                100.0 * report.totals.weight_error
            ));
        }
        report
    }

    /// The table that `ternc compile` prints.
    pub fn to_text(&self) -> String {
        let rows: Vec<Vec<String>> = self
            .layers
            .iter()
            .map(|l| {
                vec![
                    l.name.clone(),
                    l.op.into(),
                    table::shape(&l.output_shape),
                    l.codec.into(),
                    format!("{:.2}", l.bits_per_weight),
                    table::grouped(l.bytes),
                    if l.weight_error == 0.0 {
                        "0".into()
                    } else {
                        format!("{:.2e}", l.weight_error)
                    },
                    table::grouped(l.macs),
                ]
            })
            .collect();
        let header = [
            "layer",
            "op",
            "output",
            "codec",
            "bits/weight",
            "bytes",
            "weight error",
            "MAC",
        ];
        let mut out = table::render(&header, &[4, 5, 6, 7], &rows);
        let t = &self.totals;
        // A graph without weights has nothing to be smaller than.
        let smaller = match t.f32_bytes {
            0 => String::new(),
            n => format!(
                ", {:.1} times smaller than its parameters as f32 ({})",
                t.times_smaller,
                table::bytes(n)
            ),
        };
        let _ = writeln!(
            out,
            "\nfile {} bytes ({}){smaller}\n\
             arena {} bytes ({}), {} multiply-accumulates, {} of {} layers ternary",
            table::grouped(t.file_bytes),
            table::bytes(t.file_bytes),
            table::grouped(t.arena_bytes),
            table::bytes(t.arena_bytes),
            table::grouped(t.macs),
            t.ternary_layers,
            self.layers.len()
        );
        for warning in &self.warnings {
            let _ = writeln!(out, "warning: {warning}");
        }
        if let Some(selection) = &self.selection {
            out += &selection.to_text();
        }
        out
    }
}

/// What is lost by storing dense weights in `codec`.
fn dense_error(graph: &Graph, id: crate::ir::ValueId, codec: Codec) -> f64 {
    let (Codec::F16, Some(Constant::Dense(t))) = (codec, graph.constant(id).map(|c| c.as_ref()))
    else {
        return 0.0;
    };
    let Some(values) = t.as_f32() else { return 0.0 };
    let (mut error, mut size) = (0f64, 0f64);
    for &v in values {
        error += f64::from(v - half::f16::from_f32(v).to_f32()).powi(2);
        size += f64::from(v).powi(2);
    }
    if size == 0.0 {
        0.0
    } else {
        (error / size).sqrt()
    }
}

/// Multiply-accumulates of a node.
fn macs(graph: &Graph, node: &crate::ir::Node) -> u64 {
    let outputs = graph.ty(node.outputs[0]).elements() as u64;
    match &node.op {
        crate::ir::Op::MatMul(op) => {
            let shape = node.inputs[0]
                .map(|a| graph.ty(a).shape.as_slice())
                .unwrap_or_default();
            let k = if op.transpose_a {
                shape.iter().rev().nth(1)
            } else {
                shape.last()
            };
            outputs * k.copied().unwrap_or(0) as u64
        }
        crate::ir::Op::Conv2d(op) if op.transposed => {
            // Every input element meets every tap and output channel of its group.
            let inputs = node.inputs[0].map_or(0, |x| graph.ty(x).elements()) as u64;
            matrix(graph, node).map_or(0, |(_, m)| inputs * (m.taps * m.outputs) as u64)
        }
        _ => matrix(graph, node).map_or(0, |(_, m)| outputs * (m.taps * m.channels) as u64),
    }
}

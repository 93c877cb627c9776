//! Layers with integer weights get integer operands.
//!
//! With dynamic scales every operand is quantised right before its layer, and
//! the layer's result is f32. With static scales (from calibration) a product
//! whose readers all take integers writes them itself, and images stay
//! integers from layer to layer; layers with float weights compute in f32.

use crate::ir::{Constant, Def, Graph, Node, Op, Type, Value, ValueId, verify};
use crate::ops::has_weights;
use crate::pack::matrix;
use anyhow::{Context, Result, ensure};
use std::collections::{HashMap, HashSet};
use tern_network::fit::activation_scale;
use ternrt::kernels::max_k;
use ternrt::{Codec, DType};

/// What layers with integer weights compute with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ActivationMode {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit integers with dynamic scales.
    I16,
    /// 8-bit integers.
    I8,
    /// 8-bit integers within -63..63.
    I7,
}

impl ActivationMode {
    /// Lower-case name.
    pub fn name(self) -> &'static str {
        match self {
            ActivationMode::F32 => "f32",
            ActivationMode::I16 => "i16",
            ActivationMode::I8 => "i8",
            ActivationMode::I7 => "i7",
        }
    }

    /// Integer type and largest magnitude; `None` for f32.
    fn integers(self) -> Option<(DType, i32)> {
        match self {
            ActivationMode::F32 => None,
            ActivationMode::I16 => Some((DType::I16, 32767)),
            ActivationMode::I8 => Some((DType::I8, 127)),
            ActivationMode::I7 => Some((DType::I8, 63)),
        }
    }
}

/// Largest magnitudes of values over the calibration samples.
pub type Ranges = HashMap<ValueId, f32>;

/// Whether operand 0 of a node becomes integers of this type: not where 8-bit
/// weights are more an output than an exact 32-bit sum allows.
fn takes_integers(graph: &Graph, node: &Node, dtype: DType) -> bool {
    let weights = matrix(graph, node).filter(|_| has_weights(&node.op));
    weights.is_some_and(|(id, m)| match graph.constant(id).map(|c| c.as_ref()) {
        Some(Constant::Scaled(w)) => {
            w.is_ternary() || m.taps * m.channels <= max_k(dtype, Codec::I8)
        }
        _ => false,
    })
}

/// The values that will be quantised: calibration has to watch these.
pub fn quantised_values(graph: &Graph, mode: ActivationMode) -> HashSet<ValueId> {
    let Some((dtype, _)) = mode.integers() else {
        return HashSet::new();
    };
    let layers = graph
        .nodes
        .iter()
        .filter(|n| takes_integers(graph, n, dtype));
    layers.filter_map(|n| n.inputs[0]).collect()
}

/// Rewrites the graph for a mode; static scales where there are ranges.
///
/// # Errors
/// A layer with more weights an output than an exact 32-bit sum allows, by name.
pub fn run(graph: &mut Graph, mode: ActivationMode, ranges: Option<&Ranges>) -> Result<()> {
    let Some((dtype, qmax)) = mode.integers() else {
        return Ok(());
    };
    for node in graph
        .nodes
        .iter()
        .filter(|n| takes_integers(graph, n, dtype))
    {
        let k = matrix(graph, node).map_or(0, |(_, m)| m.taps * m.channels);
        ensure!(
            k <= max_k(dtype, Codec::T2),
            "layer {:?} sums {k} products, more than the {} that --activations {} adds up exactly; keep it f32 with --skip",
            node.name,
            max_k(dtype, Codec::T2),
            mode.name()
        );
    }
    let mut quantised: HashMap<ValueId, ValueId> = HashMap::new();
    for node in std::mem::take(&mut graph.nodes) {
        let mut node = node;
        if let (true, Some(x)) = (takes_integers(graph, &node, dtype), node.inputs[0]) {
            let q = match quantised.get(&x) {
                Some(&q) => q,
                None => {
                    let scale = ranges.map(|r| r.get(&x).map(|&max| activation_scale(max, qmax)));
                    let scale = match scale {
                        None => None,
                        Some(scale) => Some(scale.with_context(|| {
                            format!("no calibration for the input of {:?}", node.name)
                        })?),
                    };
                    let name = format!("{}.quantize", node.name);
                    let q = graph.emit_quantize(&name, x, qmax, scale)?;
                    quantised.insert(x, q);
                    q
                }
            };
            node.inputs[0] = Some(q);
        }
        graph.nodes.push(node);
    }
    if ranges.is_some() {
        add_integers(graph);
        hoist_above_pools(graph);
        fuse_into_products(graph);
    }
    verify::verify(graph).context("after quantize_activations")
}

/// A value that is read by one quantize, and otherwise added by products, is
/// added as integers: then nothing needs it in f32.
fn add_integers(graph: &mut Graph) {
    let quantised: Vec<(ValueId, ValueId)> = graph
        .nodes
        .iter()
        .filter(|n| matches!(n.op, Op::Quantize(_)))
        .filter_map(|n| Some((n.inputs[0]?, n.outputs[0])))
        .collect();
    for (y, q) in quantised {
        let added = |node: &Node| {
            let mut uses = node.inputs.iter().enumerate();
            uses.all(|(i, id)| *id != Some(y) || i == 3 && has_weights(&node.op))
        };
        let is_output = graph.outputs.iter().any(|(_, id)| *id == y);
        let mut readers = graph.nodes.iter().filter(|n| n.outputs[0] != q);
        if is_output || !readers.all(added) {
            continue;
        }
        // Some of them may come before the quantize: it moves to where `y` is computed.
        let Some(at) = graph.nodes.iter().position(|n| n.outputs[0] == q) else {
            continue;
        };
        let quantize = graph.nodes.remove(at);
        graph.replace_uses(y, q);
        let producer = graph.nodes.iter().position(|n| n.outputs.contains(&y));
        graph.nodes.insert(producer.map_or(0, |p| p + 1), quantize);
    }
}

/// A max-pool or reshape between a value and its quantize works on integers as
/// well: the quantize moves before it. (Rounding is monotone, so the largest stays.)
fn hoist_above_pools(graph: &mut Graph) {
    for _ in 0..graph.nodes.len() {
        let (producers, consumers) = (graph.producers(), graph.consumers());
        let found = graph.nodes.iter().enumerate().find_map(|(n, node)| {
            let (Op::Quantize(_), Some(y)) = (&node.op, node.inputs[0]) else {
                return None;
            };
            let p = super::sole_producer(&producers, &consumers, y)?;
            if consumers[graph.nodes[p].inputs[0]?.0].len() != 1 {
                return None; // others want it in f32
            }
            let takes_integers = match &graph.nodes[p].op {
                Op::MaxPool(_) => every_window_meets_the_image(graph, &graph.nodes[p]),
                Op::Reshape(_) | Op::Transpose(_) => true,
                _ => false,
            };
            takes_integers.then_some((n, p))
        });
        let Some((n, p)) = found else { return };
        let Some(x) = graph.nodes[p].inputs[0] else {
            return;
        };
        let q = graph.nodes[n].outputs[0];
        let ty = graph.ty(q).clone();
        let shape = graph.ty(x).shape.clone();
        let inner = graph.push(Value {
            name: graph.nodes[n].name.clone(),
            ty: Type { shape, ..ty },
            def: Def::Node,
            codec: None,
        });
        let mut quantize = graph.nodes.remove(n);
        quantize.inputs[0] = Some(x);
        quantize.outputs[0] = inner;
        graph.nodes[p].inputs[0] = Some(inner);
        graph.nodes[p].outputs[0] = q;
        graph.nodes.insert(p, quantize);
    }
}

/// A window that lies in padding alone would give the lowest integer of the
/// dtype, below `-qmax`.
pub(crate) fn every_window_meets_the_image(graph: &Graph, node: &Node) -> bool {
    let (Op::MaxPool(op), Some(x)) = (&node.op, node.inputs[0]) else {
        return false;
    };
    let (x, y) = (&graph.ty(x).shape, &graph.ty(node.outputs[0]).shape);
    [0, 1].into_iter().all(|axis| {
        let (stride, pad) = (op.stride[axis] as usize, op.pads[axis] as usize);
        let (taps, dilation) = (op.kernel[axis] as usize, op.dilation[axis] as usize);
        let image = pad..pad + x[axis + 1];
        (0..y[axis + 1]).all(|o| (0..taps).any(|k| image.contains(&(o * stride + k * dilation))))
    })
}

/// A product whose result only a quantize reads writes the integers itself.
fn fuse_into_products(graph: &mut Graph) {
    let mut n = 0;
    while n < graph.nodes.len() {
        if fuse(graph, n).is_none() {
            n += 1;
        }
    }
}

fn fuse(graph: &mut Graph, n: usize) -> Option<()> {
    let Op::Quantize(_) = graph.nodes[n].op else {
        return None;
    };
    let y = graph.nodes[n].inputs[0]?;
    let p = super::sole_producer(&graph.producers(), &graph.consumers(), y)?;
    if !has_weights(&graph.nodes[p].op) {
        return None;
    }
    graph.nodes[p].outputs[0] = graph.nodes[n].outputs[0];
    graph.nodes.remove(n);
    Some(())
}

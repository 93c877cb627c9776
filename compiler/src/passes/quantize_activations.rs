//! Layers with ternary weights get integer operands.
//!
//! With dynamic scales every operand is quantised right before its layer, and
//! the layer's result is f32. With static scales (from calibration) a product
//! whose readers all take integers writes them itself, and images stay
//! integers from layer to layer; layers with dense weights compute in f32.

use crate::ir::{Constant, Def, Graph, Node, Op, Quant, Scale, Type, Value, ValueId, verify};
use crate::pack::matrix;
use crate::ternarise::has_weights;
use anyhow::{Context, Result, ensure};
use std::collections::{HashMap, HashSet};
use ternrt::DType;
use ternrt::kernels::max_k;
use ternrt::ops::table::Quantize;

/// What layers with ternary weights compute with.
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

/// Whether operand 0 of a node becomes integers.
fn takes_integers(graph: &Graph, node: &Node) -> bool {
    let ternary = |id: ValueId| {
        matches!(
            graph.constant(id).map(|c| c.as_ref()),
            Some(Constant::Ternary(_))
        )
    };
    has_weights(&node.op) && node.inputs.get(1).copied().flatten().is_some_and(ternary)
}

/// The values that will be quantised: calibration has to watch these.
pub fn quantised_values(graph: &Graph) -> HashSet<ValueId> {
    let layers = graph.nodes.iter().filter(|n| takes_integers(graph, n));
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
    for node in graph.nodes.iter().filter(|n| takes_integers(graph, n)) {
        let k = matrix(graph, node).map_or(0, |(_, m)| m.taps * m.channels);
        ensure!(
            k <= max_k(dtype),
            "layer {:?} sums {k} products, more than the {} that --activations {} adds up exactly; keep it f32 with --skip",
            node.name,
            max_k(dtype),
            mode.name()
        );
    }
    let mut quantised: HashMap<ValueId, ValueId> = HashMap::new();
    for node in std::mem::take(&mut graph.nodes) {
        let mut node = node;
        if let (true, Some(x)) = (takes_integers(graph, &node), node.inputs[0]) {
            let q = match quantised.get(&x) {
                Some(&q) => q,
                None => {
                    let scale = ranges.map(|r| r.get(&x).map(|&max| static_scale(max, qmax)));
                    let scale = match scale {
                        None => None,
                        Some(scale) => Some(scale.with_context(|| {
                            format!("no calibration for the input of {:?}", node.name)
                        })?),
                    };
                    let q = quantize(graph, &node.name, x, dtype, qmax, scale);
                    quantised.insert(x, q);
                    q
                }
            };
            node.inputs[0] = Some(q);
        }
        graph.nodes.push(node);
    }
    if ranges.is_some() {
        hoist_above_pools(graph);
        fuse_into_products(graph);
    }
    verify::verify(graph).context("after quantize_activations")
}

/// As the runtime computes dynamic ones: 1 where there is nothing to scale.
fn static_scale(max: f32, qmax: i32) -> f32 {
    let scale = max / qmax as f32;
    if scale > 0.0 && scale.is_finite() && (1.0 / scale).is_finite() {
        scale
    } else {
        1.0
    }
}

/// Adds a quantize node and returns the integers.
fn quantize(
    graph: &mut Graph,
    reader: &str,
    x: ValueId,
    dtype: DType,
    qmax: i32,
    scale: Option<f32>,
) -> ValueId {
    let name = format!("{reader}.quantize");
    let mut outputs = Vec::new();
    let scale = match scale {
        Some(scale) => Scale::Static(scale),
        None => Scale::Dynamic(ValueId(graph.values.len() + 1)),
    };
    let shape = graph.ty(x).shape.clone();
    let ty = Type {
        dtype,
        shape,
        quant: Some(Quant { qmax, scale }),
    };
    outputs.push(graph.push(Value {
        name: name.clone(),
        ty,
        def: Def::Node,
        codec: None,
    }));
    if let Scale::Dynamic(_) = scale {
        let ty = Type::new(DType::F32, [1]);
        outputs.push(graph.push(Value {
            name: format!("{name}.scale"),
            ty,
            def: Def::Node,
            codec: None,
        }));
    }
    let q = outputs[0];
    graph.nodes.push(Node {
        name,
        op: Quantize {}.into(),
        inputs: vec![Some(x)],
        outputs,
    });
    q
}

/// A max-pool or reshape that only a quantize reads works on integers as well:
/// the quantize moves before it. (Rounding is monotone, so the largest stays.)
fn hoist_above_pools(graph: &mut Graph) {
    for _ in 0..graph.nodes.len() {
        let (producers, consumers) = (graph.producers(), graph.consumers());
        let found = graph.nodes.iter().enumerate().find_map(|(n, node)| {
            let (Op::Quantize(_), Some(y)) = (&node.op, node.inputs[0]) else {
                return None;
            };
            let p = super::sole_producer(&producers, &consumers, y)?;
            matches!(
                graph.nodes[p].op,
                Op::MaxPool(_) | Op::Reshape(_) | Op::Transpose(_)
            )
            .then_some((n, p))
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

/// A product whose result is read by one static quantize, and otherwise as the
/// residual of products, writes the integers itself.
fn fuse_into_products(graph: &mut Graph) {
    let mut n = 0;
    while n < graph.nodes.len() {
        if !fuse(graph, n) {
            n += 1;
        }
    }
}

fn fuse(graph: &mut Graph, n: usize) -> bool {
    let node = &graph.nodes[n];
    let (Op::Quantize(_), Some(y), 1) = (&node.op, node.inputs[0], node.outputs.len()) else {
        return false;
    };
    let q = node.outputs[0];
    let Some(p) = graph.producers()[y.0] else {
        return false;
    };
    if !has_weights(&graph.nodes[p.0].op) || graph.outputs.iter().any(|(_, o)| *o == y) {
        return false;
    }
    let all_integers =
        graph
            .nodes
            .iter()
            .enumerate()
            .filter(|(i, _)| *i != n)
            .all(|(_, reader)| {
                let uses = reader
                    .inputs
                    .iter()
                    .enumerate()
                    .filter(|(_, i)| **i == Some(y));
                uses.map(|(position, _)| position)
                    .all(|position| position == 3 && has_weights(&reader.op))
            });
    if !all_integers {
        return false;
    }
    graph.nodes[p.0].outputs[0] = q;
    graph.nodes.remove(n);
    graph.replace_uses(y, q);
    true
}

//! Constants as bytes of the file: trits and numbers in the kernels' layouts.

use crate::ir::{Constant, Graph, Node, Op, Scaled, ValueId};
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::collections::{HashMap, HashSet};
use ternrt::Codec;
use ternrt::kernels::Matrix;

/// How trits are packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CodecChoice {
    /// `n12` or `n34` for weights that have its pattern, otherwise `t2`; `t5` for
    /// the largest of these where the file would be too large.
    #[default]
    Auto,
    /// 2 bits a weight.
    T2,
    /// 1.6 bits a weight.
    T5,
    /// 1 bit a weight where exactly one of each pair of input channels is not
    /// zero; `t2` elsewhere.
    N12,
    /// 1.25 bits a weight where exactly one of each four input channels is zero;
    /// `t2` elsewhere.
    N34,
}

/// How weights that stay floats are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dense {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit floats.
    F16,
}

/// The packed array that a node's weights (operand 1) are, if it has any.
pub fn matrix(graph: &Graph, node: &Node) -> Option<(ValueId, Matrix)> {
    let id = node.inputs.get(1).copied().flatten()?;
    let shape = &graph.ty(id).shape;
    let product =
        |range: std::ops::Range<usize>| shape.get(range).map(|d| d.iter().product::<usize>());
    let matrix = match &node.op {
        Op::Conv2d(op) => {
            let groups = op.group as usize;
            Matrix {
                groups,
                outputs: shape.first()?.checked_div(groups)?,
                taps: product(1..3)?,
                channels: *shape.get(3)?,
            }
        }
        Op::DepthwiseConv2d(_) => Matrix {
            groups: 1,
            outputs: *shape.first()?,
            taps: 1,
            channels: product(1..3)?,
        },
        Op::Gemm(_) => Matrix {
            groups: 1,
            outputs: *shape.first()?,
            taps: 1,
            channels: *shape.get(1)?,
        },
        _ => return None,
    };
    Some((id, matrix))
}

/// A constant that layers of different shapes share, or that other ops read as
/// plain numbers, becomes one for each: a packed array has one layout.
fn separate_weights(graph: &mut Graph) {
    let mut role: HashMap<ValueId, Matrix> = HashMap::new();
    let mut plain: HashSet<ValueId> = graph.outputs.iter().map(|(_, id)| *id).collect();
    for node in &graph.nodes {
        let packed = matrix(graph, node).is_some();
        let operands = node.inputs.iter().enumerate();
        plain.extend(operands.filter_map(|(i, id)| id.filter(|_| !packed || i != 1)));
    }
    for n in 0..graph.nodes.len() {
        let Some((id, matrix)) = matrix(graph, &graph.nodes[n]) else {
            continue;
        };
        if plain.contains(&id) || role.get(&id).is_some_and(|m| *m != matrix) {
            let copy = graph.push(graph.value(id).clone());
            graph.nodes[n].inputs[1] = Some(copy);
            role.insert(copy, matrix);
        } else {
            role.insert(id, matrix);
        }
    }
}

/// Gives every weight its codec.
pub fn choose_codecs(graph: &mut Graph, choice: CodecChoice, dense: Dense) {
    separate_weights(graph);
    for n in 0..graph.nodes.len() {
        let Some((id, matrix)) = matrix(graph, &graph.nodes[n]) else {
            continue;
        };
        let codec = match (graph.constant(id).map(|c| c.as_ref()), choice, dense) {
            (Some(Constant::Scaled(w)), _, _) if !w.is_ternary() => Codec::I8,
            (Some(Constant::Scaled(_)), CodecChoice::T5, _) => Codec::T5,
            (Some(Constant::Scaled(_)), CodecChoice::T2, _) => Codec::T2,
            (Some(Constant::Scaled(w)), _, _) => {
                let patterns: &[Codec] = match choice {
                    CodecChoice::N12 => &[Codec::N12],
                    CodecChoice::N34 => &[Codec::N34],
                    _ => &[Codec::N12, Codec::N34],
                };
                let mut held = patterns
                    .iter()
                    .filter(|c| c.holds_trits(&matrix, &w.values));
                held.next().copied().unwrap_or(Codec::T2)
            }
            (_, _, Dense::F32) => Codec::F32,
            (_, _, Dense::F16) => Codec::F16,
        };
        graph.values[id.0].codec = Some(codec);
    }
}

/// Moves the largest `t2` layer that gains by it to `t5`; false if there is none.
pub fn shrink_one(graph: &mut Graph) -> bool {
    let gain = |n: usize| {
        let (id, m) = matrix(graph, &graph.nodes[n])?;
        let saved = Codec::T2
            .packed_len(&m)?
            .checked_sub(Codec::T5.packed_len(&m)?)?;
        (graph.value(id).codec == Some(Codec::T2) && saved > 0).then_some((saved, id))
    };
    let best = (0..graph.nodes.len()).filter_map(gain).max();
    if let Some((_, id)) = best {
        graph.values[id.0].codec = Some(Codec::T5);
    }
    best.is_some()
}

/// The bytes of weights in their codec; unpacked again, they must be the same.
pub fn pack_weights(graph: &Graph, id: ValueId, matrix: &Matrix) -> Result<Vec<u8>> {
    let value = graph.value(id);
    let codec = value
        .codec
        .with_context(|| format!("weights {:?} have no codec", value.name))?;
    let len = codec
        .packed_len(matrix)
        .with_context(|| format!("weights {:?} are too large", value.name))?;
    let mut bytes = vec![0u8; len];
    let failed = || {
        anyhow!(
            "weights {:?} cannot be packed as {}",
            value.name,
            codec.name()
        )
    };
    match graph.constant(id).map(|c| c.as_ref()) {
        Some(Constant::Scaled(Scaled { values, .. })) => {
            codec
                .pack_i8(matrix, values, &mut bytes)
                .map_err(|_| failed())?;
            let mut back = vec![0i8; values.len()];
            codec
                .unpack_i8(matrix, &bytes, &mut back)
                .map_err(|_| failed())?;
            ensure!(
                back == *values,
                "weights {:?} changed when packed as {}",
                value.name,
                codec.name()
            );
        }
        Some(Constant::Dense(tensor)) => {
            let values = tensor.as_f32().with_context(failed)?;
            codec.pack_f32(matrix, values, &mut bytes).map_err(|_| {
                anyhow!(
                    "weights {:?} do not fit {}: use --dense f32",
                    value.name,
                    codec.name()
                )
            })?;
            let mut back = vec![0f32; values.len()];
            codec
                .unpack_f32(matrix, &bytes, &mut back)
                .map_err(|_| failed())?;
            let stored = |v: f32| match codec {
                Codec::F16 => half::f16::from_f32(v).to_f32(),
                _ => v,
            };
            let same = |(a, b): (&f32, &f32)| {
                stored(*a).to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
            };
            ensure!(
                values.iter().zip(&back).all(same),
                "weights {:?} changed when packed as {}",
                value.name,
                codec.name()
            );
        }
        None => bail!("weights {:?} are not constant", value.name),
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;

//! Rewrites of the graph. [`PASSES`] is the ordered list; the verifier runs
//! after each, and the list is repeated until nothing changes.

pub mod quantize_activations;

mod affine;
mod fold_constants;
mod fold_operand_scale;
mod fold_scale_and_shift;
mod fuse_activation;
mod fuse_pad;
mod fuse_residual;
mod move_transposes;
mod remove_dead;
mod remove_identity;
mod share_equal_nodes;
mod simplify_reshapes;

pub use quantize_activations::ActivationMode;

use crate::ir::{Constant, Graph, Node, NodeId, Op, Tensor, ValueId, verify};
use anyhow::{Context, Result, ensure};
use ternrt::kernels::eltwise::{Unary, UnaryKind};

/// A rewrite.
pub struct Pass {
    /// Name, that of its file.
    pub name: &'static str,
    /// What it is for.
    pub why: &'static str,
    /// Rewrites, and tells whether anything changed.
    pub run: fn(&mut Graph) -> Result<bool>,
}

macro_rules! passes {
    ($($name:ident: $why:literal;)*) => {
        /// The passes, in order.
        pub const PASSES: &[Pass] = &[$(Pass { name: stringify!($name), why: $why, run: $name::run }),*];
    };
}
passes! {
    fold_constants: "what depends on constants alone is computed now";
    move_transposes: "the inside becomes NHWC: transposes meet and cancel";
    share_equal_nodes: "what is computed twice, such as an input's transpose, is computed once";
    simplify_reshapes: "chains of reshapes, and transposes that move nothing, become one reshape";
    remove_identity: "ops that change nothing go";
    fuse_pad: "zeros around an image become the convolution's own padding";
    fold_scale_and_shift: "batch norms and biases become part of weights and bias";
    fold_operand_scale: "so do scales before a product, such as an image's normalisation";
    fuse_residual: "an addition becomes part of the product before it";
    fuse_activation: "so does an activation";
    remove_dead: "what nothing reads goes";
}

/// Runs all passes until none changes anything.
///
/// # Errors
/// An error of the verifier, which names the pass.
pub fn optimise(graph: &mut Graph) -> Result<()> {
    // Every pass removes nodes or moves transposes towards the outputs, so this ends.
    for _ in 0..16 {
        let mut changed = false;
        for pass in PASSES {
            changed |= apply(pass, graph)?;
        }
        if !changed {
            return Ok(());
        }
    }
    Ok(())
}

/// Runs one pass and verifies what it left.
pub fn apply(pass: &Pass, graph: &mut Graph) -> Result<bool> {
    let changed = (pass.run)(graph).with_context(|| format!("pass {}", pass.name))?;
    if changed {
        verify::verify(graph).with_context(|| format!("after pass {}", pass.name))?;
    }
    Ok(changed)
}

/// The pass with this name.
///
/// # Errors
/// There is none.
pub fn by_name(name: &str) -> Result<&'static Pass> {
    let pass = PASSES.iter().find(|p| p.name == name);
    ensure!(pass.is_some(), "there is no pass {name:?}");
    pass.context("no such pass")
}

/// The node that computes `id` if `consumer` is the only reader of `id`.
fn sole_producer(
    producers: &[Option<NodeId>],
    consumers: &[Vec<NodeId>],
    id: ValueId,
) -> Option<usize> {
    let producer = producers[id.0]?;
    (consumers[id.0].len() == 1).then_some(producer.0)
}

/// The activation that a node applies last, if it has that attribute.
fn activation(op: &mut Op) -> Option<&mut Unary> {
    match op {
        Op::Conv2d(a) => Some(&mut a.activation),
        Op::DepthwiseConv2d(a) => Some(&mut a.activation),
        Op::Gemm(a) => Some(&mut a.activation),
        Op::BinaryOp(a) if !a.function.is_comparison() => Some(&mut a.activation),
        _ => None,
    }
}

/// Whether a product applies nothing after its bias: no residual, no activation.
fn is_bare_product(node: &Node) -> bool {
    let mut op = node.op;
    crate::ops::has_weights(&op)
        && node.inputs.get(3).copied().flatten().is_none()
        && activation(&mut op).is_some_and(|a| a.kind == UnaryKind::Identity)
}

/// Gives product `n` a bias.
fn set_bias(graph: &mut Graph, n: usize, bias: Vec<f32>) {
    let name = format!("{}.bias", graph.nodes[n].name);
    let bias = Constant::Dense(Tensor::f32(vec![bias.len()], bias));
    let id = graph.add_constant(&name, bias);
    let inputs = &mut graph.nodes[n].inputs;
    inputs.resize(3.max(inputs.len()), None);
    inputs[2] = Some(id);
}

/// The elements of a dense f32 constant.
fn f32_constant(graph: &Graph, id: ValueId) -> Option<&[f32]> {
    match graph.constant(id)?.as_ref() {
        Constant::Dense(t) => t.as_f32(),
        Constant::Scaled(_) => None,
    }
}

#[cfg(test)]
mod tests;

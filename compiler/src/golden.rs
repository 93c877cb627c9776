//! Golden cases: inputs by seed, and what the runtime computed from them when
//! the file was made. `ternc verify` compares every kernel variant with them.

use crate::emit::GoldenCase;
use crate::host::{Aligned, Host};
use crate::ir::{Graph, Node, Op};
use crate::passes::ActivationMode;
use crate::pipeline::{CompileOptions, Progress};
use anyhow::{Result, anyhow};
use ternrt::format::golden::fill;
use ternrt::kernels::movement::ResizeMode;
use ternrt::{Caps, DType, Model};

/// Networks up to this many multiply-accumulates get their golden outputs from
/// the scalar kernels; for larger ones that would take long, and the best ones serve.
const SCALAR_MACS: u64 = 50_000_000;
/// Outputs larger than this are not stored.
const GOLDEN_BYTES: usize = 64 * 1024;

/// Runs the file `bytes` on seeded inputs. No cases where the outputs are large,
/// or where random inputs mean nothing to the model.
///
/// # Errors
/// The runtime's, if it refuses the file.
pub fn cases(
    graph: &Graph,
    bytes: &[u8],
    macs: u64,
    options: &CompileOptions,
    progress: &dyn Progress,
) -> Result<Vec<GoldenCase>> {
    let size: usize = graph
        .outputs
        .iter()
        .map(|(_, id)| graph.ty(*id).bytes())
        .sum();
    if size > GOLDEN_BYTES {
        return Ok(Vec::new());
    }
    progress.stage("computing golden outputs", None);
    let aligned = Aligned::new(bytes);
    let model = Model::new(aligned.bytes())
        .map_err(|e| anyhow!("the runtime refuses the file that was made: {e}"))?;
    let small = macs <= SCALAR_MACS;
    let mut host = Host::with_caps(&model, 1, if small { Caps::SCALAR } else { Caps::detect() })?;
    let mut cases = Vec::new();
    for case in 0..if small { 2 } else { 1 } {
        let mut session = host.session()?;
        let mut seeds = Vec::new();
        for (i, info) in model.inputs(0).enumerate() {
            let seed = 1000 * case + i as u64 + 1;
            fill(info.dtype, seed, session.input_mut(i)?);
            seeds.push(seed);
        }
        // Random integers may be no indices: then there is nothing to compare with.
        if session.run(0).is_err() {
            return Ok(Vec::new());
        }
        let outputs = (0..model.outputs(0).len())
            .map(|i| session.output(i).map(<[u8]>::to_vec))
            .collect::<Result<_, _>>()?;
        cases.push(GoldenCase {
            seeds,
            outputs,
            tolerance: tolerance(graph, options.activations),
        });
    }
    Ok(cases)
}

/// How far kernels for different instruction sets may be apart, relative to
/// the largest output.
///
/// They give the same bits but for sums of f32, which they may add in different
/// orders (1e-4). Where such a sum is quantised afterwards, a value between two
/// steps can go to either: then the outputs are as far apart as a few steps of
/// the mode move them.
fn tolerance(graph: &Graph, activations: ActivationMode) -> f32 {
    // Values that may differ in their last bits.
    let mut vague = vec![false; graph.values.len()];
    let (mut any, mut quantised) = (false, false);
    for node in &graph.nodes {
        let sums = sums_f32(graph, node);
        any |= sums;
        if sums || node.inputs.iter().flatten().any(|x| vague[x.0]) {
            node.outputs.iter().for_each(|y| vague[y.0] = true);
            quantised |= node.outputs.iter().any(|y| graph.ty(*y).quant.is_some());
        }
    }
    match activations {
        _ if !any => 1e-6,
        _ if !quantised => 1e-4,
        ActivationMode::F32 => 1e-4,
        ActivationMode::I16 => 1e-3,
        ActivationMode::I8 => 0.1,
        ActivationMode::I7 => 0.2,
    }
}

/// Whether a node adds floats, in an order that is the kernel's choice.
fn sums_f32(graph: &Graph, node: &Node) -> bool {
    let f32_operand = || {
        let x = node.inputs.first().copied().flatten();
        x.is_some_and(|x| graph.ty(x).dtype == DType::F32)
    };
    match &node.op {
        Op::Conv2d(_) | Op::DepthwiseConv2d(_) | Op::Gemm(_) | Op::Reduce(_) => f32_operand(),
        Op::MatMul(_) | Op::Softmax(_) | Op::AveragePool(_) => true,
        Op::Resize(op) => op.mode == ResizeMode::Linear && f32_operand(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::text::parse;

    /// Stem, product and head; `stem` and `head` take dense or ternary weights.
    fn graph(stem: &str, head: &str) -> Graph {
        parse(&format!(
            "graph \"t\"\n\
             input %x \"x\" : f32[1,8]\n\
             constant %a \"a\" : {stem}[8,8] = {stem_data}(1)\n\
             constant %b \"b\" : ternary[8,8] = ternary(2)\n\
             constant %c \"c\" : {head}[8,8] = {head_data}(3)\n\
             %i \"stem\" = gemm(%x, %a)\n\
             %j \"middle\" = gemm(%i, %b)\n\
             %k \"head\" = gemm(%j, %c)\n\
             output \"y\" = %k\n",
            stem_data = if stem == "f32" { "random" } else { "ternary" },
            head_data = if head == "f32" { "random" } else { "ternary" },
        ))
        .unwrap()
    }

    #[test]
    fn only_quantised_float_sums_are_far_apart() {
        for (stem, head, mode, expected) in [
            ("f32", "f32", ActivationMode::F32, 1e-4),
            ("ternary", "ternary", ActivationMode::F32, 1e-4),
            ("ternary", "ternary", ActivationMode::I8, 1e-6),
            ("ternary", "f32", ActivationMode::I8, 1e-4),
            ("f32", "f32", ActivationMode::I8, 0.1),
            ("f32", "ternary", ActivationMode::I7, 0.2),
            ("f32", "ternary", ActivationMode::I16, 1e-3),
        ] {
            let mut graph = graph(stem, head);
            crate::passes::quantize_activations::run(&mut graph, mode, None).unwrap();
            assert_eq!(tolerance(&graph, mode), expected, "{stem} {head} {mode:?}");
        }
    }
}

//! Which values of a graph are never negative and never NaN, whatever its inputs are:
//! kernels have a faster way for such activations where they are quantised, and a NaN
//! becomes the least integer.

use crate::ir::{Constant, Data, Def, Graph};
use crate::passes::quantize_activations::every_window_meets_the_image;
use ternrt::kernels::eltwise::{BinaryKind, Unary, UnaryKind};
use ternrt::kernels::movement::ResizeMode;
use ternrt::ops::Op;

/// For each value, whether all of its elements are known to be neither negative nor NaN.
pub fn non_negative(graph: &Graph) -> Vec<bool> {
    let constant = |constant: &Constant| match constant {
        Constant::Dense(t) => match &t.data {
            Data::F32(values) => values.iter().all(|v| *v >= 0.0),
            _ => false,
        },
        Constant::Scaled(_) => false,
    };
    let mut signs: Vec<bool> = graph
        .values
        .iter()
        .map(|value| match &value.def {
            Def::Const(data) => constant(data),
            _ => false,
        })
        .collect();
    for node in &graph.nodes {
        let operand = |i: usize| {
            let id = node.inputs.get(i).copied().flatten();
            id.is_some_and(|id| signs[id.0])
        };
        let all = || node.inputs.iter().flatten().all(|id| signs[id.0]);
        let sign = match &node.op {
            Op::Conv2d(op) => of_function(&op.activation, false),
            Op::DepthwiseConv2d(op) => of_function(&op.activation, false),
            Op::Gemm(op) => of_function(&op.activation, false),
            Op::UnaryOp(op) => of_function(&op.function, operand(0)),
            Op::BinaryOp(op) => {
                let sums = matches!(op.function, BinaryKind::Add | BinaryKind::Max);
                of_function(&op.activation, sums && all())
            }
            // A window that lies in padding alone has the lowest value there is.
            Op::MaxPool(_) => operand(0) && every_window_meets_the_image(graph, node),
            Op::Pad(op) => operand(0) && op.value >= 0.0,
            // Between infinities lies NaN.
            Op::Resize(op) => operand(0) && op.mode != ResizeMode::Linear,
            Op::AveragePool(_)
            | Op::Quantize(_)
            | Op::Dequantize(_)
            | Op::Transpose(_)
            | Op::Slice(_)
            | Op::Gather(_)
            | Op::Broadcast(_)
            | Op::Reshape(_) => operand(0),
            Op::Concat(_) => all(),
            _ => false,
        };
        // A dynamic scale, the second result of a `quantize`, is no activation.
        if let Some(result) = node.outputs.first() {
            signs[result.0] = sign;
        }
    }
    signs
}

/// Whether a function is never negative nor NaN, of numbers that are not either or of any.
fn of_function(f: &Unary, of_non_negative: bool) -> bool {
    match f.kind {
        // A NaN becomes the lower bound.
        UnaryKind::Relu => true,
        UnaryKind::Clip => f.alpha >= 0.0 && f.beta >= 0.0,
        UnaryKind::Identity
        | UnaryKind::HardSwish
        | UnaryKind::Silu
        | UnaryKind::Sigmoid
        | UnaryKind::HardSigmoid
        | UnaryKind::Softplus
        | UnaryKind::Abs
        | UnaryKind::Exp
        | UnaryKind::Square => of_non_negative,
        _ => false,
    }
}

#[cfg(test)]
mod tests;

//! The reference interpreter: what every op means, computed naively and
//! without the kernels' code (elementary functions aside, see
//! [`unary`](super::unary)).
//!
//! - f32: separate multiplications and additions; sums start at 0 and add in
//!   ascending order of taps, then channels; reductions add in row-major order;
//! - quantised operands: exact i32 sums, then the epilogue of
//!   [`ternrt::kernels::epilogue`].
//!
//! The runtime on the scalar kernels gives the same bits; other kernels give
//! the same bits in all integer results.

use super::*;
use crate::ir::{Constant, Data, Graph, Scale, Scaled, Tensor, Type, ValueId};
use std::borrow::Cow;
use ternrt::Codec;

/// An operand's elements.
#[derive(Clone, Copy, Debug)]
pub enum Elements<'a> {
    /// Numbers.
    Dense(&'a Tensor),
    /// Ternary weights.
    Scaled(&'a Scaled),
}

/// An operand.
#[derive(Clone, Copy, Debug)]
pub struct Arg<'a> {
    /// The elements.
    pub elements: Elements<'a>,
    /// Scale of a quantised operand, as a number; 1.0 for others.
    pub scale: f32,
}

impl<'a> Arg<'a> {
    /// An operand that is not quantised.
    pub fn dense(tensor: &'a Tensor) -> Arg<'a> {
        Arg {
            elements: Elements::Dense(tensor),
            scale: 1.0,
        }
    }

    /// A quantised operand.
    pub fn quantised(tensor: &'a Tensor, scale: f32) -> Arg<'a> {
        Arg {
            elements: Elements::Dense(tensor),
            scale,
        }
    }

    /// Ternary weights.
    pub fn scaled(weights: &'a Scaled) -> Arg<'a> {
        Arg {
            elements: Elements::Scaled(weights),
            scale: 1.0,
        }
    }
}

/// What the op modules compute from.
pub(crate) struct Io<'a> {
    op: &'a Op,
    args: &'a [Option<Arg<'a>>],
    results: &'a [Type],
}

/// Computes an op: `args` are the operands in the op table's order, `results`
/// the types that [`infer`](super::infer) gave.
///
/// Fails on values that the op cannot work with (an index out of range), on
/// operands that do not fit `results`, and where ternary weights stand in
/// another place than a product's weights.
pub fn interpret(op: &Op, args: &[Option<Arg<'_>>], results: &[Type]) -> Result<Vec<Tensor>> {
    let io = Io { op, args, results };
    let outputs = for_each_op!(op, interpret, &io).map_err(|e| anyhow!("{}: {e:#}", op.name()))?;
    ensure!(
        outputs.len() == results.len()
            && outputs
                .iter()
                .zip(results)
                .all(|(t, ty)| t.shape == ty.shape && t.dtype() == ty.dtype),
        "{}: the results do not have the types {results:?}",
        op.name()
    );
    Ok(outputs)
}

impl<'a> Io<'a> {
    /// Operand `i`, if present.
    pub fn optional(&self, i: usize) -> Option<Arg<'a>> {
        self.args.get(i).copied().flatten()
    }

    /// Operand `i`.
    pub fn arg(&self, i: usize) -> Result<Arg<'a>> {
        self.optional(i)
            .ok_or_else(|| anyhow!("operand {i} is missing"))
    }

    /// Operand `i`, which must not be ternary weights.
    pub fn dense(&self, i: usize) -> Result<&'a Tensor> {
        match self.arg(i)?.elements {
            Elements::Dense(t) => Ok(t),
            Elements::Scaled(_) => bail!(
                "operand {:?} cannot be ternary weights",
                self.op.row().operands[i]
            ),
        }
    }

    /// The f32 elements of operand `i`.
    pub fn f32(&self, i: usize) -> Result<&'a [f32]> {
        let t = self.dense(i)?;
        t.as_f32().ok_or_else(|| {
            anyhow!(
                "operand {:?} is {}, must be f32",
                self.op.row().operands[i],
                t.dtype().name()
            )
        })
    }

    /// Operands in order, up to the last that is present.
    pub fn all_dense(&self) -> Result<Vec<&'a Tensor>> {
        let count = self.args.iter().rposition(|a| a.is_some());
        (0..count.map_or(0, |i| i + 1))
            .map(|i| self.dense(i))
            .collect()
    }

    /// Number of results that are wanted.
    pub fn result_count(&self) -> usize {
        self.results.len()
    }

    /// Type of the first result.
    pub fn result(&self) -> &'a Type {
        &self.results[0]
    }

    /// The only result, of the expected type.
    pub fn give(&self, data: Data) -> Result<Vec<Tensor>> {
        let ty = self.result();
        ensure!(
            data.len() == ty.elements(),
            "{} elements for the result {ty}",
            data.len()
        );
        Ok(vec![Tensor::new(ty.shape.clone(), data)])
    }
}

/// Computes a graph's outputs. `inputs` have the types and the order of
/// [`Graph::inputs`]. Errors name the node.
pub fn run_graph(graph: &Graph, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    run_graph_observing(graph, inputs, &mut |_, _| {})
}

/// As [`run_graph`], and shows every input and every node's results to
/// `observe` as they appear, in execution order.
pub fn run_graph_observing(
    graph: &Graph,
    inputs: &[Tensor],
    observe: &mut dyn FnMut(ValueId, &Tensor),
) -> Result<Vec<Tensor>> {
    ensure!(
        inputs.len() == graph.inputs.len(),
        "{} inputs, the graph has {}",
        inputs.len(),
        graph.inputs.len()
    );
    let mut values: Vec<Option<Cow<'_, Tensor>>> = vec![None; graph.values.len()];
    for ((name, id), tensor) in graph.inputs.iter().zip(inputs) {
        let ty = graph.ty(*id);
        ensure!(
            tensor.dtype() == ty.dtype && tensor.shape == ty.shape,
            "input {name:?} is {}{:?}, must be {ty}",
            tensor.dtype().name(),
            tensor.shape
        );
        observe(*id, tensor);
        values[id.0] = Some(Cow::Borrowed(tensor));
    }
    // Values are dropped behind their last use.
    let mut last_use = vec![0; graph.values.len()];
    for (n, node) in graph.nodes.iter().enumerate() {
        for id in node.inputs.iter().flatten().chain(&node.outputs) {
            graph.with_scale(*id).for_each(|v| last_use[v.0] = n);
        }
    }
    for (_, id) in &graph.outputs {
        last_use[id.0] = usize::MAX;
    }
    let mut dying: Vec<Vec<usize>> = vec![Vec::new(); graph.nodes.len()];
    for (value, &n) in last_use.iter().enumerate() {
        if let Some(list) = dying.get_mut(n) {
            list.push(value);
        }
    }

    for (n, node) in graph.nodes.iter().enumerate() {
        let computed =
            run_node(graph, &values, n).map_err(|e| anyhow!("node {:?}: {e:#}", node.name))?;
        for (id, tensor) in node.outputs.iter().zip(computed) {
            observe(*id, &tensor);
            values[id.0] = Some(Cow::Owned(tensor));
        }
        for &value in &dying[n] {
            values[value] = None;
        }
    }
    let output = |(name, id): &(String, ValueId)| match &values[id.0] {
        Some(t) => Ok(t.as_ref().clone()),
        None => match graph.constant(*id).map(|c| c.as_ref()) {
            Some(Constant::Dense(t)) => Ok(t.clone()),
            _ => bail!("output {name:?} is not defined"),
        },
    };
    graph.outputs.iter().map(output).collect()
}

fn run_node(graph: &Graph, values: &[Option<Cow<'_, Tensor>>], n: usize) -> Result<Vec<Tensor>> {
    let node = &graph.nodes[n];
    let constants: Vec<Option<Cow<'_, Constant>>> =
        node.inputs.iter().map(|id| stored(graph, (*id)?)).collect();
    let mut args = Vec::with_capacity(node.inputs.len());
    for (id, constant) in node.inputs.iter().zip(&constants) {
        let Some(id) = *id else {
            args.push(None);
            continue;
        };
        let elements = match (constant.as_deref(), &values[id.0]) {
            (Some(Constant::Dense(t)), _) => Elements::Dense(t),
            (Some(Constant::Scaled(t)), _) => Elements::Scaled(t),
            (None, Some(t)) => Elements::Dense(t),
            (None, None) => bail!("%{} is used before it is defined", id.0),
        };
        let scale = match graph.ty(id).quant.map(|q| q.scale) {
            None => 1.0,
            Some(Scale::Static(scale)) => scale,
            Some(Scale::Dynamic(scale)) => match values[scale.0].as_deref().map(|t| &t.data) {
                Some(Data::F32(v)) if v.len() == 1 => v[0],
                _ => bail!(
                    "the scale %{} of %{} is not one computed f32",
                    scale.0,
                    id.0
                ),
            },
        };
        args.push(Some(Arg { elements, scale }));
    }
    let results: Vec<Type> = node.outputs.iter().map(|o| graph.ty(*o).clone()).collect();
    interpret(&node.op, &args, &results)
}

/// A constant as the file will hold it: with the f16 codec, rounded.
fn stored(graph: &Graph, id: ValueId) -> Option<Cow<'_, Constant>> {
    let constant = graph.constant(id)?.as_ref();
    match (graph.value(id).codec, constant) {
        (
            Some(Codec::F16),
            Constant::Dense(Tensor {
                shape,
                data: Data::F32(v),
            }),
        ) => {
            let rounded = v.iter().map(|&x| half::f16::from_f32(x).to_f32()).collect();
            Some(Cow::Owned(Constant::Dense(Tensor::f32(
                shape.clone(),
                rounded,
            ))))
        }
        _ => Some(Cow::Borrowed(constant)),
    }
}

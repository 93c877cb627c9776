//! A [`Network`] with its parameters, as a graph.
//!
//! Nodes and values have the network's names; the input is `image`, f32 `[1,
//! channels, height, width]`, the output `logits`, f32 `[1, classes]`. Batch norms
//! become a factor and a summand, which the passes fold into what is before them.

use crate::ir::{Constant, Graph, Op, Tensor, Type, ValueId};
use anyhow::{Context, Result, ensure};
use tern_network::{Layer, Network, Node, Role, fit};
use ternrt::DType;
use ternrt::kernels::eltwise::{BinaryKind, Unary, UnaryKind};
use ternrt::ops::table::{
    AveragePool, BinaryOp, Conv2d, DepthwiseConv2d, Gemm, MaxPool, Reshape, Transpose, UnaryOp,
};

/// Name of the graph's input.
pub const INPUT: &str = "image";
/// Name of the graph's output.
pub const OUTPUT: &str = "logits";

/// Builds the graph. `parameter` gives the elements of a parameter by its name,
/// in PyTorch's order (`[outputs, inputs, height, width]`).
///
/// # Errors
/// A parameter that is missing or of another length; sizes that the format
/// cannot hold.
pub fn import<'p>(
    network: &Network,
    parameter: impl Fn(&str) -> Option<&'p [f32]>,
) -> Result<Graph> {
    let mut lowering = Lowering {
        network,
        parameter: &parameter,
        graph: Graph {
            name: network.name().to_owned(),
            ..Graph::default()
        },
    };
    let mut values: Vec<ValueId> = Vec::with_capacity(network.nodes().len());
    for node in network.nodes() {
        let inputs: Vec<ValueId> = node.inputs.iter().map(|id| values[id.0]).collect();
        let value = lowering
            .node(node, &inputs)
            .with_context(|| format!("network {:?}", network.name()))?;
        values.push(value);
    }
    let mut graph = lowering.graph;
    let last = values.last().context("a network without nodes")?;
    graph.outputs.push((OUTPUT.to_owned(), *last));
    Ok(graph)
}

struct Lowering<'n, F> {
    network: &'n Network,
    parameter: &'n F,
    graph: Graph,
}

impl<'p, F: Fn(&str) -> Option<&'p [f32]>> Lowering<'_, F> {
    fn elements(&self, node: &Node, role: Role) -> Result<Option<&'p [f32]>> {
        let Some(parameter) = node.parameters().find(|p| p.role == role) else {
            return Ok(None);
        };
        let values = (self.parameter)(&parameter.name)
            .with_context(|| format!("parameter {:?} is missing", parameter.name))?;
        ensure!(
            values.len() == parameter.len(),
            "parameter {:?} has {} elements, must have {:?}",
            parameter.name,
            values.len(),
            parameter.shape
        );
        Ok(Some(values))
    }

    fn constant(&mut self, name: String, shape: Vec<usize>, values: Vec<f32>) -> ValueId {
        let tensor = Tensor::f32(shape, values);
        self.graph.add_constant(&name, Constant::Dense(tensor))
    }

    fn bias(&mut self, node: &Node) -> Result<Option<ValueId>> {
        Ok(self.elements(node, Role::Bias)?.map(|values| {
            let name = format!("{}.bias", node.name);
            self.constant(name, vec![values.len()], values.to_vec())
        }))
    }

    /// A step of one constant a channel.
    fn step(
        &mut self,
        name: &str,
        function: BinaryKind,
        x: ValueId,
        values: Vec<f32>,
    ) -> Result<ValueId> {
        let constant = self.constant(format!("{name}.constant"), vec![values.len()], values);
        let op = BinaryOp {
            function,
            activation: Unary::IDENTITY,
        };
        self.graph.emit(name, op, &[Some(x), Some(constant)])
    }

    fn node(&mut self, node: &Node, inputs: &[ValueId]) -> Result<ValueId> {
        let name = node.name.as_str();
        let x = inputs.first().copied();
        match node.layer {
            Layer::Input([c, h, w]) => {
                let image = self
                    .graph
                    .add_input(INPUT, Type::new(DType::F32, [1, c, h, w]));
                let perm = [0, 2, 3, 1, 0, 0];
                self.graph.emit(name, Transpose { perm }, &[Some(image)])
            }
            Layer::Conv2d(c) => {
                let weights = self.elements(node, Role::Weight)?.unwrap_or_default();
                let (taps, each) = (c.kernel * c.kernel, c.inputs / c.groups);
                // [outputs, inputs, taps] to [outputs, taps, inputs].
                let from =
                    |i: usize| i / (taps * each) * taps * each + i % each * taps + i / each % taps;
                let weights = (0..weights.len()).map(|i| weights[from(i)]).collect();
                let shape = vec![c.outputs, c.kernel, c.kernel, each];
                let w = self.constant(format!("{name}.weight"), shape, weights);
                let bias = self.bias(node)?;
                let small = |what: &str, n: usize| {
                    u16::try_from(n)
                        .with_context(|| format!("Conv2d {name:?}: {what} of {n} is too large"))
                };
                let (kernel, stride) = (small("a window", c.kernel)?, small("a stride", c.stride)?);
                let pads = [small("padding", c.padding)?; 4];
                let op: Op = if c.is_depthwise() {
                    DepthwiseConv2d {
                        kernel: [kernel; 2],
                        stride: [stride; 2],
                        dilation: [1; 2],
                        pads,
                        activation: Unary::IDENTITY,
                    }
                    .into()
                } else {
                    Conv2d {
                        kernel: [kernel; 2],
                        stride: [stride; 2],
                        dilation: [1; 2],
                        pads,
                        group: u32::try_from(c.groups)?,
                        transposed: false,
                        activation: Unary::IDENTITY,
                    }
                    .into()
                };
                self.graph.emit(name, op, &[x, Some(w), bias])
            }
            Layer::Linear {
                inputs, outputs, ..
            } => {
                let weights = self.elements(node, Role::Weight)?.unwrap_or_default();
                let shape = vec![outputs, inputs];
                let w = self.constant(format!("{name}.weight"), shape, weights.to_vec());
                let bias = self.bias(node)?;
                let op = Gemm {
                    activation: Unary::IDENTITY,
                };
                self.graph.emit(name, op, &[x, Some(w), bias])
            }
            Layer::BatchNorm2d { eps, .. } => {
                let roles = [
                    Role::NormWeight,
                    Role::NormBias,
                    Role::RunningMean,
                    Role::RunningVar,
                ];
                let mut columns = [&[][..]; 4];
                for (column, role) in columns.iter_mut().zip(roles) {
                    *column = self.elements(node, role)?.unwrap_or_default();
                }
                let [weight, bias, mean, variance] = columns;
                let (factor, summand) = (0..weight.len())
                    .map(|i| fit::batch_norm(weight[i], bias[i], mean[i], variance[i], eps))
                    .unzip();
                let x = x.context("a batch norm reads a value")?;
                let scaled = self.step(&format!("{name}.scale"), BinaryKind::Mul, x, factor)?;
                self.step(name, BinaryKind::Add, scaled, summand)
            }
            Layer::Relu => self.unary(name, Unary::new(UnaryKind::Relu), x),
            Layer::Relu6 => {
                let clip = Unary {
                    kind: UnaryKind::Clip,
                    alpha: 0.0,
                    beta: 6.0,
                };
                self.unary(name, clip, x)
            }
            Layer::Add => {
                let op = BinaryOp {
                    function: BinaryKind::Add,
                    activation: Unary::IDENTITY,
                };
                self.graph.emit(name, op, &[x, inputs.get(1).copied()])
            }
            Layer::MaxPool2d {
                kernel,
                stride,
                padding,
            } => {
                let op = MaxPool {
                    kernel: [u16::try_from(kernel)?; 2],
                    stride: [u16::try_from(stride)?; 2],
                    dilation: [1; 2],
                    pads: [u16::try_from(padding)?; 4],
                };
                let wanted = self.image_type(node)?;
                self.graph.emit_as(name, op, &[x], wanted)
            }
            Layer::GlobalAveragePool => {
                let (height, width) = match self.network.shape(node.inputs[0]) {
                    [_, height, width] => (u16::try_from(*height)?, u16::try_from(*width)?),
                    other => anyhow::bail!("{name:?} averages {other:?}"),
                };
                let op = AveragePool {
                    kernel: [height, width],
                    stride: [1; 2],
                    dilation: [1; 2],
                    pads: [0; 4],
                    count_include_pad: false,
                };
                let wanted = self.image_type(node)?;
                self.graph.emit_as(name, op, &[x], wanted)
            }
            Layer::Flatten => {
                let length = self.network.shape(node.inputs[0]).iter().product();
                let mut x = x;
                // PyTorch's vectors have channels outermost.
                if matches!(self.network.shape(node.inputs[0]), [_, h, w] if h * w > 1) {
                    let perm = [0, 3, 1, 2, 0, 0];
                    x = Some(self.graph.emit(
                        &format!("{name}.planes"),
                        Transpose { perm },
                        &[x],
                    )?);
                }
                let wanted = Type::new(DType::F32, [1, length]);
                self.graph.emit_as(name, Reshape {}, &[x], wanted)
            }
            Layer::Dropout(_) => x.context("dropout reads a value"),
        }
    }

    fn unary(&mut self, name: &str, function: Unary, x: Option<ValueId>) -> Result<ValueId> {
        self.graph.emit(name, UnaryOp { function }, &[x])
    }

    /// The type of an image that a node gives.
    fn image_type(&self, node: &Node) -> Result<Type> {
        let id = self
            .network
            .node(&node.name)
            .context("a node by its name")?;
        match self.network.shape(id) {
            &[c, h, w] => Ok(Type::new(DType::F32, [1, h, w, c])),
            other => anyhow::bail!("{:?} gives {other:?}", node.name),
        }
    }
}

#[cfg(test)]
mod tests;

//! Building a network node by node.

use crate::{Conv2d, Error, Layer, Network, Node, NodeId};

/// Adds nodes at the end. Channels come from the shape of what is read; what
/// does not fit is reported by [`finish`](Self::finish).
#[derive(Clone, Debug)]
pub struct Builder {
    name: String,
    nodes: Vec<Node>,
    /// Empty for a node that does not fit.
    shapes: Vec<Vec<usize>>,
}

impl Builder {
    /// A network of this name for images `[channels, height, width]`.
    pub fn new(name: &str, input: [usize; 3]) -> Builder {
        let mut new = Builder {
            name: name.to_owned(),
            nodes: Vec::new(),
            shapes: Vec::new(),
        };
        new.push("input", Layer::Input(input), &[]);
        new
    }

    /// The input.
    pub fn input(&self) -> NodeId {
        NodeId(0)
    }

    /// Adds a node.
    pub fn push(&mut self, name: &str, layer: Layer, inputs: &[NodeId]) -> NodeId {
        let shapes: Vec<&[usize]> = inputs.iter().map(|id| self.shape(*id)).collect();
        let shape = layer.infer(&shapes).unwrap_or_default();
        self.shapes.push(shape);
        self.nodes.push(Node {
            name: name.to_owned(),
            layer,
            inputs: inputs.to_vec(),
        });
        NodeId(self.nodes.len() - 1)
    }

    /// The shape of a result; empty where something did not fit.
    pub fn shape(&self, id: NodeId) -> &[usize] {
        self.shapes.get(id.0).map_or(&[], Vec::as_slice)
    }

    /// The channels of an image, or the length of a vector.
    pub fn channels(&self, id: NodeId) -> usize {
        self.shape(id).first().copied().unwrap_or(0)
    }

    /// A convolution without groups and bias, padded by half its window.
    pub fn conv(
        &mut self,
        name: &str,
        x: NodeId,
        outputs: usize,
        kernel: usize,
        stride: usize,
    ) -> NodeId {
        let layer = Layer::Conv2d(Conv2d {
            inputs: self.channels(x),
            outputs,
            kernel,
            stride,
            padding: kernel / 2,
            groups: 1,
            bias: false,
        });
        self.push(name, layer, &[x])
    }

    /// As [`conv`](Self::conv), with a filter for each channel.
    pub fn depthwise(&mut self, name: &str, x: NodeId, kernel: usize, stride: usize) -> NodeId {
        let channels = self.channels(x);
        let layer = Layer::Conv2d(Conv2d {
            inputs: channels,
            outputs: channels,
            kernel,
            stride,
            padding: kernel / 2,
            groups: channels,
            bias: false,
        });
        self.push(name, layer, &[x])
    }

    /// A batch norm with PyTorch's defaults: eps 1e-5, momentum 0.1.
    pub fn batch_norm(&mut self, name: &str, x: NodeId) -> NodeId {
        let layer = Layer::BatchNorm2d {
            features: self.channels(x),
            eps: 1e-5,
            momentum: 0.1,
        };
        self.push(name, layer, &[x])
    }

    /// `max(x, 0)`.
    pub fn relu(&mut self, name: &str, x: NodeId) -> NodeId {
        self.push(name, Layer::Relu, &[x])
    }

    /// `min(max(x, 0), 6)`.
    pub fn relu6(&mut self, name: &str, x: NodeId) -> NodeId {
        self.push(name, Layer::Relu6, &[x])
    }

    /// The sum of two.
    pub fn add(&mut self, name: &str, a: NodeId, b: NodeId) -> NodeId {
        self.push(name, Layer::Add, &[a, b])
    }

    /// The largest of each window.
    pub fn max_pool(
        &mut self,
        name: &str,
        x: NodeId,
        kernel: usize,
        stride: usize,
        padding: usize,
    ) -> NodeId {
        let layer = Layer::MaxPool2d {
            kernel,
            stride,
            padding,
        };
        self.push(name, layer, &[x])
    }

    /// The mean of each channel.
    pub fn global_average_pool(&mut self, name: &str, x: NodeId) -> NodeId {
        self.push(name, Layer::GlobalAveragePool, &[x])
    }

    /// An image as a vector.
    pub fn flatten(&mut self, name: &str, x: NodeId) -> NodeId {
        self.push(name, Layer::Flatten, &[x])
    }

    /// Dropout.
    pub fn dropout(&mut self, name: &str, x: NodeId, probability: f64) -> NodeId {
        self.push(name, Layer::Dropout(probability), &[x])
    }

    /// A matrix product with bias.
    pub fn linear(&mut self, name: &str, x: NodeId, outputs: usize) -> NodeId {
        let layer = Layer::Linear {
            inputs: self.channels(x),
            outputs,
            bias: true,
        };
        self.push(name, layer, &[x])
    }

    /// The network.
    ///
    /// # Errors
    /// What does not fit, naming the first such node.
    pub fn finish(self) -> Result<Network, Error> {
        Network::new(&self.name, self.nodes)
    }
}

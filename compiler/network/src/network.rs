//! Nodes and the network.

use crate::{Error, Layer, Parameter};
use std::collections::HashSet;

/// Index of a node in its network's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub usize);

/// A layer with a name and what it reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Unique in the network; as torchvision or timm name the module.
    pub name: String,
    /// What is computed.
    pub layer: Layer,
    /// Earlier nodes, whose results are read.
    pub inputs: Vec<NodeId>,
}

impl Node {
    /// Its parameters, in PyTorch's order.
    pub fn parameters(&self) -> impl Iterator<Item = Parameter> {
        let parameter = |(role, shape): (crate::Role, Vec<usize>)| Parameter {
            name: format!("{}.{}", self.name, role.suffix()),
            role,
            shape,
        };
        self.layer.parameters().into_iter().map(parameter)
    }
}

/// A checked network: every node reads earlier nodes of shapes that fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    name: String,
    nodes: Vec<Node>,
    shapes: Vec<Vec<usize>>,
}

impl Network {
    /// Checks the nodes: the first is the input, the last gives a vector with a
    /// number for each class, and each one's result but the last's is read.
    ///
    /// # Errors
    /// What is wrong, naming the node.
    pub fn new(name: &str, nodes: Vec<Node>) -> Result<Network, Error> {
        let mut shapes: Vec<Vec<usize>> = Vec::with_capacity(nodes.len());
        let mut names = HashSet::new();
        let mut read = vec![false; nodes.len()];
        for (n, node) in nodes.iter().enumerate() {
            let wrong = |what: String| {
                Error(format!(
                    "network {name:?}: {} {:?}: {what}",
                    node.layer.kind(),
                    node.name
                ))
            };
            if !names.insert(node.name.as_str()) {
                return Err(wrong("another node has the same name".into()));
            }
            if matches!(node.layer, Layer::Input(_)) != (n == 0) {
                return Err(wrong(
                    "the input must be the first node, and no other".into(),
                ));
            }
            let mut inputs = Vec::new();
            for id in &node.inputs {
                match shapes.get(id.0) {
                    Some(shape) => inputs.push(shape.as_slice()),
                    None => return Err(wrong(format!("reads node {}, a later one", id.0))),
                }
                read[id.0] = true;
            }
            let shape = node.layer.infer(&inputs).map_err(|e| wrong(e.0))?;
            shapes.push(shape);
        }
        match shapes.last().map(Vec::as_slice) {
            None => return Err(Error(format!("network {name:?} has no nodes"))),
            Some([_]) => {}
            Some(other) => {
                return Err(Error(format!(
                    "network {name:?} ends in {other:?}, not in a vector with a number for each class"
                )));
            }
        }
        read.pop();
        if let Some(n) = read.iter().position(|read| !read) {
            return Err(Error(format!(
                "network {name:?}: nothing reads {:?}",
                nodes[n].name
            )));
        }
        Ok(Network {
            name: name.to_owned(),
            nodes,
            shapes,
        })
    }

    /// Name of the architecture.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The nodes, in an order in which they can be computed.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The shape of a node's result, without the batch.
    pub fn shape(&self, id: NodeId) -> &[usize] {
        &self.shapes[id.0]
    }

    /// Channels, height and width of the input.
    pub fn input(&self) -> [usize; 3] {
        match self.nodes.first().map(|n| n.layer) {
            Some(Layer::Input(shape)) => shape,
            _ => unreachable!("checked when built"),
        }
    }

    /// Numbers that come out, one for each class.
    pub fn classes(&self) -> usize {
        self.shapes.last().map_or(0, |s| s[0])
    }

    /// All parameters, in the nodes' order.
    pub fn parameters(&self) -> impl Iterator<Item = Parameter> {
        self.nodes.iter().flat_map(Node::parameters)
    }

    /// Elements of the parameters that are trained, as frameworks count them.
    pub fn parameter_count(&self) -> u64 {
        self.parameters()
            .filter(|p| p.role.is_trained())
            .map(|p| p.len() as u64)
            .sum()
    }

    /// Multiplications for one image; only those with weights count.
    pub fn macs(&self) -> u64 {
        let each = self.nodes.iter().zip(&self.shapes);
        each.map(|(node, shape)| node.layer.macs(shape)).sum()
    }

    /// The nodes that multiply with weights, in order.
    pub fn weight_layers(&self) -> impl Iterator<Item = NodeId> {
        let nodes = self.nodes.iter().enumerate();
        nodes
            .filter(|(_, n)| n.layer.has_weights())
            .map(|(i, _)| NodeId(i))
    }

    /// The node of this name.
    pub fn node(&self, name: &str) -> Option<NodeId> {
        self.nodes.iter().position(|n| n.name == name).map(NodeId)
    }

    /// The nodes that read each node's result, once for each operand.
    pub fn readers(&self) -> Vec<Vec<NodeId>> {
        let mut readers = vec![Vec::new(); self.nodes.len()];
        for (n, node) in self.nodes.iter().enumerate() {
            for id in &node.inputs {
                readers[id.0].push(NodeId(n));
            }
        }
        readers
    }
}

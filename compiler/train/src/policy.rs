//! Which layers get which weights, and what activations are rounded to.

use crate::{Error, Result};
use globset::{Glob, GlobSetBuilder};
use serde::{Deserialize, Serialize};
use tern_network::{Layer, Network, NodeId};

/// Weights of a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weights {
    /// 32-bit floats.
    #[default]
    F32,
    /// -1, 0 or 1 times a scale of each output channel; 0 what is below 0.7 times the
    /// mean magnitude ([`fit::mean_threshold`](tern_network::fit::mean_threshold)).
    T2,
    /// The same; of each pair of input channels exactly one is not 0.
    N12,
    /// The same; of each four input channels exactly one is 0.
    N34,
}

impl Weights {
    /// Name, as users write it.
    pub fn name(self) -> &'static str {
        match self {
            Weights::F32 => "f32",
            Weights::T2 => "t2",
            Weights::N12 => "n12",
            Weights::N34 => "n34",
        }
    }

    /// How many consecutive input channels belong together.
    pub fn channels(self) -> usize {
        match self {
            Weights::F32 | Weights::T2 => 1,
            Weights::N12 => 2,
            Weights::N34 => 4,
        }
    }
}

/// What layers multiply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activations {
    /// 32-bit floats.
    #[default]
    F32,
    /// Integers within -127..127; dense weights are 8-bit as well.
    I8,
    /// Integers within -63..63; dense weights are 8-bit.
    I7,
}

impl Activations {
    /// Name, as users write it.
    pub fn name(self) -> &'static str {
        match self {
            Activations::F32 => "f32",
            Activations::I8 => "i8",
            Activations::I7 => "i7",
        }
    }

    /// The largest integer, if there are integers.
    pub fn qmax(self) -> Option<i32> {
        match self {
            Activations::F32 => None,
            Activations::I8 => Some(127),
            Activations::I7 => Some(63),
        }
    }
}

/// The weights of every layer and the activations of all.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// One for each node of the network; `F32` where a node has no weights.
    pub weights: Vec<Weights>,
    /// What layers multiply.
    pub activations: Activations,
}

impl Policy {
    /// `weights` for every layer but the first, the last, depthwise ones and those
    /// whose names match a pattern of `skip`, which stay dense. A layer whose input
    /// channels make no pairs gets [`Weights::T2`] for [`Weights::N12`], one whose make
    /// no fours for [`Weights::N34`].
    ///
    /// # Errors
    /// A pattern that is none, or that matches no layer with weights.
    pub fn new(
        network: &Network,
        weights: Weights,
        activations: Activations,
        skip: &[String],
    ) -> Result<Policy> {
        let layers: Vec<_> = network.weight_layers().collect();
        let mut globs = GlobSetBuilder::new();
        for pattern in skip {
            let glob = Glob::new(pattern)
                .map_err(|e| Error::new(format!("--skip {pattern:?} is not a pattern: {e}")))?;
            let matcher = glob.compile_matcher();
            let name = |id: &tern_network::NodeId| network.nodes()[id.0].name.as_str();
            if !layers.iter().any(|id| matcher.is_match(name(id))) {
                let names: Vec<_> = layers.iter().map(name).collect();
                return Err(Error::new(format!(
                    "--skip {pattern:?} matches no layer; there are {}",
                    names.join(", ")
                )));
            }
            globs.add(glob);
        }
        let skipped = globs
            .build()
            .map_err(|e| Error::new(format!("--skip: {e}")))?;
        let mut policy = Policy {
            weights: vec![Weights::F32; network.nodes().len()],
            activations,
        };
        for id in layers.iter().skip(1).take(layers.len().saturating_sub(2)) {
            let node = &network.nodes()[id.0];
            let depthwise = matches!(node.layer, Layer::Conv2d(c) if c.is_depthwise());
            if !depthwise && !skipped.is_match(&node.name) {
                let whole = channels(&node.layer).is_multiple_of(weights.channels());
                policy.weights[id.0] = if whole { weights } else { Weights::T2 };
            }
        }
        Ok(policy)
    }

    /// Whether any layer is ternary.
    pub fn is_ternary(&self) -> bool {
        self.weights.iter().any(|w| *w != Weights::F32)
    }
}

/// Input channels that each output of a layer with weights reads.
fn channels(layer: &Layer) -> usize {
    match layer {
        Layer::Conv2d(c) => c.inputs / c.groups,
        Layer::Linear { inputs, .. } => *inputs,
        _ => 1,
    }
}

/// The node itself, or what it drops out of.
pub(crate) fn before_dropout(network: &Network, node: NodeId) -> NodeId {
    let mut node = node;
    while let Layer::Dropout(_) = network.nodes()[node.0].layer {
        node = network.nodes()[node.0].inputs[0];
    }
    node
}

/// For every node, whether its result is rounded to integers: where a layer with
/// weights reads it. Such layers and additions then read the integers; so do the
/// compiler's ([`Activations::I8`] with static scales). A dropout is not there when
/// a network runs: what it reads is rounded in its place.
pub fn rounded(network: &Network, activations: Activations) -> Vec<bool> {
    let mut rounded = vec![false; network.nodes().len()];
    if activations != Activations::F32 {
        for id in network.weight_layers() {
            for input in &network.nodes()[id.0].inputs {
                rounded[before_dropout(network, *input).0] = true;
            }
        }
    }
    rounded
}

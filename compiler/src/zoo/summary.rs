//! What a network of the zoo costs, in all and layer by layer.

use super::{Architecture, Config, architecture};
use anyhow::Result;
use serde::Serialize;
use tern_network::{Layer, Network, Node, NodeId, Parameter, Role};
use tern_train::{Activations, Policy, Weights};

/// An architecture with its sizes.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Its name.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// What it was built with.
    pub config: Config,
    /// Elements of the parameters that are trained.
    pub parameters: u64,
    /// Multiplications for one image; only those with weights count.
    pub macs: u64,
    /// What its weights take.
    pub bytes: Sizes,
}

/// Bytes of weights, scales and biases as a file stores them: batch norms are folded.
/// A file has some kilobytes more, for names and ops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sizes {
    /// All weights are 32-bit floats.
    pub f32: u64,
    /// Two bits a weight; the first and the last layer and depthwise ones have 8 bits.
    pub t2: u64,
    /// The same with one bit a weight, where channels form pairs.
    pub n12: u64,
    /// The same with 1.25 bits a weight, where channels form fours.
    pub n34: u64,
}

/// A node of a network.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// What it computes, with its attributes.
    pub layer: String,
    /// Its result without the batch: channels, height and width, or a length.
    pub shape: Vec<usize>,
    /// Elements of its parameters that are trained.
    pub parameters: u64,
    /// Multiplications with weights.
    pub macs: u64,
    /// Whether its weights become ternary where the network's do.
    pub ternary: bool,
    /// Its parameters' names and shapes.
    pub tensors: Vec<(String, Vec<usize>)>,
}

/// Builds an architecture and counts.
///
/// # Errors
/// As [`architecture`].
pub fn summary(found: &Architecture, config: Config) -> Result<(Summary, Network)> {
    let network = architecture(found.name, &config)?;
    let summary = Summary {
        name: found.name,
        about: found.about,
        config,
        parameters: network.parameter_count(),
        macs: network.macs(),
        bytes: sizes(&network)?,
    };
    Ok((summary, network))
}

/// What a network's weights take.
///
/// # Errors
/// None, for a network that was checked.
pub fn sizes(network: &Network) -> Result<Sizes> {
    let of = |weights| -> Result<u64> {
        let policy = Policy::new(network, weights, Activations::I8, &[])?;
        let nodes = network.nodes().iter().zip(&policy.weights);
        let bytes = nodes.flat_map(|(node, kind)| {
            let int8 = weights != Weights::F32;
            node.parameters().map(move |p| stored(&p, *kind, int8))
        });
        Ok(bytes.sum())
    };
    Ok(Sizes {
        f32: of(Weights::F32)?,
        t2: of(Weights::T2)?,
        n12: of(Weights::N12)?,
        n34: of(Weights::N34)?,
    })
}

/// Bytes of a parameter in a file, with a scale for each output.
fn stored(parameter: &Parameter, kind: Weights, int8: bool) -> u64 {
    let len = parameter.len() as u64;
    match parameter.role {
        Role::Weight => {
            let scales = 4 * parameter.shape[0] as u64;
            match kind {
                Weights::T2 => len.div_ceil(4) + scales,
                Weights::N12 => len.div_ceil(8) + scales,
                Weights::N34 => (5 * len).div_ceil(32) + scales,
                Weights::F32 if int8 => len + scales,
                Weights::F32 => 4 * len,
            }
        }
        Role::Bias | Role::NormBias => 4 * len,
        // Folded into the weights, or into their scales and the bias.
        Role::NormWeight | Role::RunningMean | Role::RunningVar => 0,
    }
}

/// A network layer by layer.
///
/// # Errors
/// None, for a network that was checked.
pub fn rows(network: &Network) -> Result<Vec<Row>> {
    let policy = Policy::new(network, Weights::T2, Activations::F32, &[])?;
    let nodes = network.nodes().iter().zip(&policy.weights).enumerate();
    let row = |(n, (node, kind)): (usize, (&Node, &Weights))| {
        let shape = network.shape(NodeId(n)).to_vec();
        let trained = node.parameters().filter(|p| p.role.is_trained());
        Row {
            name: node.name.clone(),
            layer: describe(&node.layer),
            parameters: trained.map(|p| p.len() as u64).sum(),
            macs: node.layer.macs(&shape),
            ternary: *kind != Weights::F32,
            tensors: node.parameters().map(|p| (p.name, p.shape)).collect(),
            shape,
        }
    };
    Ok(nodes.map(row).collect())
}

/// A layer in a few words.
fn describe(layer: &Layer) -> String {
    let window = |kernel: usize, stride: usize, padding: usize| {
        let mut text = format!(" {kernel}x{kernel}");
        if stride != 1 {
            text += &format!(", stride {stride}");
        }
        if padding != 0 {
            text += &format!(", padding {padding}");
        }
        text
    };
    let details = match *layer {
        Layer::Conv2d(c) => {
            let mut text = window(c.kernel, c.stride, c.padding);
            if c.is_depthwise() {
                text += ", depthwise";
            } else if c.groups > 1 {
                text += &format!(", {} groups", c.groups);
            }
            text
        }
        Layer::MaxPool2d {
            kernel,
            stride,
            padding,
        } => window(kernel, stride, padding),
        Layer::Dropout(share) => format!(" {share}"),
        _ => String::new(),
    };
    layer.kind().to_owned() + &details
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Aligned;
    use crate::zoo::find;

    #[test]
    fn sizes_are_those_of_trained_files() {
        for (name, file, n12) in [
            ("resnet18", "resnet18-fashion-mnist-n12-i7", true),
            ("resnet18", "resnet18-fashion-mnist-t2-i8", false),
            ("resnet20", "resnet20-fashion-mnist-n12-i7", true),
            ("resnet20", "resnet20-fashion-mnist-t2-i8", false),
            ("resnet8", "resnet8-fashion-mnist-n12-i8", true),
            ("resnet8", "resnet8-fashion-mnist-t2-i8", false),
        ] {
            let found = find(name).unwrap();
            let config = Config {
                channels: 1,
                ..found.default
            };
            let (summary, _) = summary(found, config).unwrap();
            let counted = if n12 {
                summary.bytes.n12
            } else {
                summary.bytes.t2
            };
            let path = format!("{}/assets/zoo/{file}.tern", env!("CARGO_MANIFEST_DIR"));
            let bytes = Aligned::new(&std::fs::read(path).unwrap());
            let model = ternrt::Model::new(bytes.bytes()).unwrap();
            let data = model
                .tensors()
                .filter(|t| t.place == ternrt::format::tensor::Place::Data);
            let stored: u64 = data.map(|t| t.len).sum();
            let off = (stored as f64 - counted as f64).abs() / stored as f64;
            assert!(
                off < 0.05,
                "{file}: {counted} counted, {stored} in the file"
            );
        }
    }

    #[test]
    fn rows_add_up() {
        let found = find("mobilenetv2").unwrap();
        let (summary, network) = summary(found, found.default).unwrap();
        let rows = rows(&network).unwrap();
        let sum = |f: fn(&Row) -> u64| rows.iter().map(f).sum::<u64>();
        assert_eq!(sum(|r| r.parameters), summary.parameters);
        assert_eq!(sum(|r| r.macs), summary.macs);
        let row = |name: &str| rows.iter().find(|r| r.name == name).unwrap();
        let depthwise = row("features.1.conv.0.0");
        assert_eq!(depthwise.layer, "Conv2d 3x3, padding 1, depthwise");
        assert!(!depthwise.ternary && row("features.1.conv.1").ternary);
        assert_eq!(depthwise.shape, [32, 112, 112]);
        assert_eq!(
            row("features.0.1").tensors[0],
            ("features.0.1.weight".to_owned(), vec![32])
        );
    }
}

//! What a neural network is made of: layers, how they are wired, the shapes
//! between them, their parameters and their cost. Neither values nor arithmetic:
//! the trainer, the compiler and the zoo share this description.
//!
//! A [`Network`] is a list of named [`Node`]s in an order in which they can be
//! computed. The first is the input, an image `[channels, height, width]`; the
//! last one's result is the network's, a number for each class. Names and
//! parameters are those of torchvision and timm (`layer1.0.conv1.weight`), so
//! that their checkpoints can be read. A network is checked when it is built;
//! behind that nothing fails.
//!
//! ```
//! use tern_network::Builder;
//!
//! let mut net = Builder::new("tiny", [1, 28, 28]);
//! let x = net.input();
//! let x = net.conv("conv1", x, 16, 3, 1);
//! let x = net.batch_norm("bn1", x);
//! let x = net.relu("relu", x);
//! let x = net.global_average_pool("avgpool", x);
//! let x = net.flatten("flatten", x);
//! net.linear("fc", x, 10);
//! let net = net.finish()?;
//!
//! assert_eq!(net.parameter_count(), 16 * 9 + 2 * 16 + 16 * 10 + 10);
//! assert_eq!(net.macs(), 28 * 28 * 16 * 9 + 16 * 10);
//! assert_eq!(net.parameters().next().unwrap().name, "conv1.weight");
//! # Ok::<(), tern_network::Error>(())
//! ```
//!
//! [`fit`] holds the fits of ternary and 8-bit weights to floats.

mod build;
pub mod fit;
mod layer;
mod network;

pub use build::Builder;
pub use layer::{Conv2d, Layer, Parameter, Role};
pub use network::{Network, Node, NodeId};

/// What is wrong with a network, naming the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(pub String);

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests;

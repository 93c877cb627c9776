//! Trains networks with ternary, 8-bit and 32-bit weights.
//!
//! A [`Network`](tern_network::Network) says what is computed, a [`Policy`] which
//! of its layers become ternary and what activations are rounded to, a [`Recipe`]
//! how it is trained. An [`Engine`] does the arithmetic: [`Cpu`], or libtorch on a
//! GPU (the feature `libtorch`). A [`Trainer`] is the loop around it; a loop of
//! one's own calls [`Trainer::step`], or the engine itself.
//!
//! Weights are kept as floats. Each step computes with what stands for them, and
//! changes the floats by the gradient of that, straight through, but for those that
//! are more than three scales from 0. Rounding of activations is simulated the same
//! way, with the scales that the compiler uses.
//!
//! ```
//! use tern_network::Builder;
//! use tern_train::{Activations, Cpu, Images, Policy, Recipe, Trainer, Weights};
//! use tern_train::quantise_weights;
//!
//! // A small network, its middle layer ternary.
//! let mut net = Builder::new("tiny", [1, 8, 8]);
//! let x = net.input();
//! let x = net.conv("conv1", x, 8, 3, 1);
//! let x = net.batch_norm("bn1", x);
//! let x = net.relu("relu1", x);
//! let x = net.conv("conv2", x, 8, 3, 2);
//! let x = net.batch_norm("bn2", x);
//! let x = net.relu("relu2", x);
//! let x = net.global_average_pool("pool", x);
//! let x = net.flatten("flatten", x);
//! net.linear("fc", x, 2);
//! let net = net.finish()?;
//! let policy = Policy::new(&net, Weights::N12, Activations::I8, &[])?;
//!
//! // Dark images and bright ones.
//! let labels: Vec<u8> = (0..64).map(|i| i % 2).collect();
//! let pixels = labels.iter().flat_map(|l| [100 + 80 * l; 64]).collect();
//! let images = Images::new([1, 8, 8], pixels, labels, &[0.5], &[0.2])?;
//!
//! let recipe = Recipe { epochs: 8, batch_size: 16, lr: 0.1, ..Recipe::default() };
//! let engine = Cpu::new(&net, &policy, recipe.seed, images.largest());
//! let mut trainer = Trainer::new(recipe, &images, Box::new(engine))?;
//! let mut losses = Vec::new();
//! while let Some(step) = trainer.step()? {
//!     losses.push(step.result.loss); // a loop's own business between steps
//! }
//! assert!(losses.last() < losses.first());
//!
//! // What the compiler takes: weights of which half are 0, and the rest of one size.
//! let mut tensors = trainer.checkpoint()?.tensors;
//! quantise_weights(&net, &policy, &mut tensors)?;
//! let zeros = tensors["conv2.weight"].data.iter().filter(|w| **w == 0.0);
//! assert_eq!(zeros.count(), 8 * 8 * 9 / 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cpu;
mod data;
mod engine;
mod error;
mod policy;
mod quantise;
mod random;
mod recipe;
mod state;
#[cfg(feature = "libtorch")]
mod torch;
mod trainer;

pub use cpu::Cpu;
pub use data::{Batch, Images};
pub use engine::{
    Engine, Settings, StepResult, Tensor, Tensors, check_parameters, initial_parameters,
};
pub use error::{Error, Result};
pub use policy::{Activations, Policy, Weights, rounded};
pub use quantise::{quantise, quantise_weights};
pub use random::Random;
pub use recipe::{Augment, Distil, Recipe, Schedule};
pub use state::Checkpoint;
#[cfg(feature = "libtorch")]
pub use torch::Torch;
pub use trainer::{Step, Trainer, predict};

#[cfg(test)]
mod tests;

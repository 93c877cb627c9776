//! The networks that are known by name. An architecture is a file here and a line
//! in [`ARCHITECTURES`]; parameters have the names that torchvision and timm give
//! them. Trained ones are in the [`registry`].

mod efficientnet_lite;
mod mobilenet_v2;
pub mod onnx;
pub mod parameters;
pub mod registry;
mod resnet;
pub mod summary;
mod tiny;

use crate::nearest;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use tern_network::Network;

/// What an architecture leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// What numbers of channels are multiplied by.
    pub width: f64,
    /// Channels of an image.
    pub channels: usize,
    /// Height and width of an image.
    pub image_size: usize,
    /// Classes.
    pub classes: usize,
}

impl Config {
    const fn new(channels: usize, image_size: usize, classes: usize) -> Config {
        Config {
            width: 1.0,
            channels,
            image_size,
            classes,
        }
    }
}

/// Hyper-parameters that depend on the architecture.
pub struct Training {
    /// The learning rate of its dense form; the ternary one has half of it.
    pub lr: f64,
    /// Weight decay of the ternary form.
    pub ternary_weight_decay: f64,
    /// Share of the dense twin's answers in the ternary form's loss.
    pub distil_share: f32,
}

impl Training {
    /// Of most architectures.
    pub const USUAL: Training = Training {
        lr: 0.2,
        ternary_weight_decay: 1e-4,
        distil_share: 0.7,
    };
    /// At a learning rate of 0.2 one of six trainings of ResNet-18 and one of three of
    /// MobileNetV2 ended 3 points below the others (Fashion-MNIST, batches of 256).
    const LARGE: Training = Training {
        lr: 0.1,
        ..Training::USUAL
    };
    /// Too small to fit its twin's answers as well as the labels: with one bit a weight,
    /// some 0.2 points better so than with the usual ones (Fashion-MNIST).
    const SMALL: Training = Training {
        ternary_weight_decay: 0.0,
        distil_share: 0.3,
        ..Training::USUAL
    };
}

/// An architecture of the zoo.
pub struct Architecture {
    /// As users write it.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// What it is built with where nothing else is asked for.
    pub default: Config,
    /// How it is trained where nothing else is asked for.
    pub training: Training,
    build: fn(&str, &Config) -> Result<Network, tern_network::Error>,
}

/// All architectures.
#[rustfmt::skip]
pub const ARCHITECTURES: [Architecture; 7] = [
    Architecture { name: "tiny", about: "three 3x3 convolutions, for 8x8 digits", default: Config::new(1, 8, 10), training: Training::USUAL, build: tiny::build },
    Architecture { name: "resnet8", about: "ResNet of three blocks, for 32x32 images", default: Config::new(3, 32, 10), training: Training::SMALL, build: resnet::resnet8 },
    Architecture { name: "resnet20", about: "ResNet of nine blocks, for 32x32 images", default: Config::new(3, 32, 10), training: Training::USUAL, build: resnet::resnet20 },
    Architecture { name: "resnet18", about: "ResNet-18 with a 3x3 stem, for 32x32 images", default: Config::new(3, 32, 10), training: Training::LARGE, build: resnet::resnet18 },
    Architecture { name: "resnet18-imagenet", about: "ResNet-18 as in torchvision", default: Config::new(3, 224, 1000), training: Training::LARGE, build: resnet::resnet18_imagenet },
    Architecture { name: "mobilenetv2", about: "MobileNetV2 as in torchvision; below 96x96 its first stages keep the size", default: Config::new(3, 224, 1000), training: Training::LARGE, build: mobilenet_v2::build },
    Architecture { name: "efficientnet-lite0", about: "EfficientNet-Lite0 as in timm", default: Config::new(3, 224, 1000), training: Training::LARGE, build: efficientnet_lite::build },
];

/// The architecture of this name.
///
/// # Errors
/// There is none; the nearest name is suggested.
pub fn find(name: &str) -> Result<&'static Architecture> {
    ARCHITECTURES
        .iter()
        .find(|a| a.name == name)
        .with_context(|| {
            let names = ARCHITECTURES.map(|a| a.name);
            let hint = match nearest::nearest(name, names.iter().copied()) {
                Some(near) => format!("; did you mean {near:?}?"),
                None => ".".to_owned(),
            };
            format!(
                "there is no network {name:?}{hint} There are {}",
                names.join(", ")
            )
        })
}

/// Builds a network by its name.
///
/// # Errors
/// A name that is not known, with the nearest one; sizes that the network cannot have.
pub fn architecture(name: &str, config: &Config) -> Result<Network> {
    let found = find(name)?;
    ensure!(
        config.width.is_finite() && config.width > 0.0 && config.width <= 16.0,
        "a width of {}: must be above 0 and at most 16",
        config.width
    );
    for (what, n, most) in [
        ("channels", config.channels, 1024),
        ("an image size", config.image_size, 4096),
        ("classes", config.classes, 1 << 20),
    ] {
        ensure!(
            (1..=most).contains(&n),
            "{what} of {n}: must be within 1..{most}"
        );
    }
    Ok((found.build)(name, config)?)
}

/// Channels times the width multiplier, as multiples of 8 that are not more than a
/// tenth too few.
fn scaled(channels: usize, width: f64) -> usize {
    let wanted = channels as f64 * width;
    let near = ((wanted + 4.0) / 8.0).floor() * 8.0;
    let near = near.max(8.0);
    (if near < 0.9 * wanted {
        near + 8.0
    } else {
        near
    }) as usize
}

#[cfg(test)]
mod tests;

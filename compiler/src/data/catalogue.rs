//! The data sets that are known by name: one row each.

use super::memory::InMemory;
use super::{Info, Split, digits, idx};
use anyhow::{Result, bail};
use std::path::Path;

/// A data set, and how to read it.
pub struct Entry {
    /// Its name on the command line.
    pub name: &'static str,
    /// Other names that are understood.
    pub aliases: &'static [&'static str],
    /// What it shows, in a few words.
    pub about: &'static str,
    /// Licence or terms, as far as its makers state them.
    pub licence: &'static str,
    /// Where it comes from.
    pub homepage: &'static str,
    /// Channels, height and width of an image.
    pub shape: [usize; 3],
    /// Images to train with and held out.
    pub images: [usize; 2],
    /// Names of the classes, by label.
    pub classes: &'static [&'static str],
    /// Mean of each channel over the training images, for pixels in 0..=1.
    pub mean: &'static [f32],
    /// Standard deviation, as `mean`.
    pub std: &'static [f32],
    /// Folders below a data folder that torchvision or the set's archive makes.
    pub folders: &'static [&'static str],
    /// Where packages of the system put the files.
    pub system: &'static [&'static str],
    /// The Debian package that does.
    pub package: Option<&'static str>,
    /// The reader.
    pub open: fn(&Entry, Split, Option<&Path>) -> Result<InMemory>,
}

/// All of them.
pub const CATALOGUE: &[Entry] = &[
    Entry {
        name: "digits",
        aliases: &[],
        about: "handwritten digits, built in",
        licence: "CC BY 4.0",
        homepage: "https://doi.org/10.24432/C50P49",
        shape: [1, 8, 8],
        images: [1437, 360],
        classes: DIGITS,
        mean: &[0.0],
        std: &[1.0],
        folders: &[],
        system: &[],
        package: None,
        open: digits::open,
    },
    Entry {
        name: "mnist",
        aliases: &[],
        about: "handwritten digits",
        licence: "CC BY-SA 3.0",
        homepage: "http://yann.lecun.com/exdb/mnist/",
        shape: [1, 28, 28],
        images: [60_000, 10_000],
        classes: DIGITS,
        mean: &[0.1307],
        std: &[0.3081],
        folders: &["MNIST/raw"],
        system: &[],
        package: None,
        open: idx::open,
    },
    Entry {
        name: "fashion-mnist",
        aliases: &["fashion_mnist", "fashionmnist", "fmnist"],
        about: "pieces of clothing",
        licence: "MIT",
        homepage: "https://github.com/zalandoresearch/fashion-mnist",
        shape: [1, 28, 28],
        images: [60_000, 10_000],
        classes: &[
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ],
        mean: &[0.2860],
        std: &[0.3530],
        folders: &["FashionMNIST/raw"],
        system: &["/usr/share/datasets/fashion-mnist"],
        package: Some("dataset-fashion-mnist"),
        open: idx::open,
    },
];

const DIGITS: &[&str] = &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// The set with this name or alias.
///
/// # Errors
/// There is none: the nearest name, and all of them.
pub fn find(name: &str) -> Result<&'static Entry> {
    let lower = name.to_ascii_lowercase();
    let known = |e: &&Entry| e.name == lower || e.aliases.contains(&lower.as_str());
    if let Some(entry) = CATALOGUE.iter().find(known) {
        return Ok(entry);
    }
    let names = || CATALOGUE.iter().map(|e| e.name);
    let all = names().collect::<Vec<_>>().join(", ");
    match crate::nearest::nearest(&lower, names()) {
        Some(near) => bail!("there is no data set {name:?}; did you mean {near:?}? Known: {all}"),
        None => bail!("there is no data set {name:?}; known: {all}"),
    }
}

/// What all images of a set share.
pub(super) fn info(entry: &Entry, split: Split) -> Info {
    Info {
        name: entry.name.into(),
        split,
        shape: entry.shape,
        classes: entry.classes.iter().map(|&c| c.into()).collect(),
        mean: entry.mean.to_vec(),
        std: entry.std.to_vec(),
    }
}

//! The data sets that are known by name: one row each.

use super::download::Remote;
use super::memory::InMemory;
use super::{Info, Split, cifar, digits, idx};
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
    /// Names of the files of a split, without `.gz`.
    pub names: fn(Split) -> &'static [&'static str],
    /// What to download; an archive (`.tar.gz`) is unpacked.
    pub remote: &'static [Remote<'static>],
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
        names: |_| &[],
        remote: &[],
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
        names: idx::file_names,
        remote: &[
            Remote {
                name: "train-images-idx3-ubyte.gz",
                urls: &[
                    "https://ossci-datasets.s3.amazonaws.com/mnist/train-images-idx3-ubyte.gz",
                    "https://storage.googleapis.com/cvdf-datasets/mnist/train-images-idx3-ubyte.gz",
                ],
                bytes: 9_912_422,
                sha256: "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            },
            Remote {
                name: "train-labels-idx1-ubyte.gz",
                urls: &[
                    "https://ossci-datasets.s3.amazonaws.com/mnist/train-labels-idx1-ubyte.gz",
                    "https://storage.googleapis.com/cvdf-datasets/mnist/train-labels-idx1-ubyte.gz",
                ],
                bytes: 28_881,
                sha256: "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            },
            Remote {
                name: "t10k-images-idx3-ubyte.gz",
                urls: &[
                    "https://ossci-datasets.s3.amazonaws.com/mnist/t10k-images-idx3-ubyte.gz",
                    "https://storage.googleapis.com/cvdf-datasets/mnist/t10k-images-idx3-ubyte.gz",
                ],
                bytes: 1_648_877,
                sha256: "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            },
            Remote {
                name: "t10k-labels-idx1-ubyte.gz",
                urls: &[
                    "https://ossci-datasets.s3.amazonaws.com/mnist/t10k-labels-idx1-ubyte.gz",
                    "https://storage.googleapis.com/cvdf-datasets/mnist/t10k-labels-idx1-ubyte.gz",
                ],
                bytes: 4_542,
                sha256: "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            },
        ],
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
        names: idx::file_names,
        remote: &[
            Remote {
                name: "train-images-idx3-ubyte.gz",
                urls: &[
                    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/train-images-idx3-ubyte.gz",
                    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/train-images-idx3-ubyte.gz",
                ],
                bytes: 26_421_880,
                sha256: "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            },
            Remote {
                name: "train-labels-idx1-ubyte.gz",
                urls: &[
                    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/train-labels-idx1-ubyte.gz",
                    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/train-labels-idx1-ubyte.gz",
                ],
                bytes: 29_515,
                sha256: "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            },
            Remote {
                name: "t10k-images-idx3-ubyte.gz",
                urls: &[
                    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/t10k-images-idx3-ubyte.gz",
                    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/t10k-images-idx3-ubyte.gz",
                ],
                bytes: 4_422_102,
                sha256: "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            },
            Remote {
                name: "t10k-labels-idx1-ubyte.gz",
                urls: &[
                    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/t10k-labels-idx1-ubyte.gz",
                    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/t10k-labels-idx1-ubyte.gz",
                ],
                bytes: 5_148,
                sha256: "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            },
        ],
        open: idx::open,
    },
    Entry {
        name: "cifar-10",
        aliases: &["cifar10"],
        about: "photographs of animals and vehicles",
        licence: "not stated by its makers",
        homepage: "https://www.cs.toronto.edu/~kriz/cifar.html",
        shape: [3, 32, 32],
        images: [50_000, 10_000],
        classes: &[
            "airplane",
            "automobile",
            "bird",
            "cat",
            "deer",
            "dog",
            "frog",
            "horse",
            "ship",
            "truck",
        ],
        mean: &[0.4914, 0.4822, 0.4465],
        std: &[0.2470, 0.2435, 0.2616],
        folders: &["cifar-10-batches-bin"],
        system: &[],
        package: None,
        names: cifar::cifar10_files,
        remote: &[Remote {
            name: "cifar-10-binary.tar.gz",
            urls: &["https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"],
            bytes: 170_052_171,
            sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        }],
        open: cifar::open10,
    },
    Entry {
        name: "cifar-100",
        aliases: &["cifar100"],
        about: "photographs, a hundred fine classes",
        licence: "not stated by its makers",
        homepage: "https://www.cs.toronto.edu/~kriz/cifar.html",
        shape: [3, 32, 32],
        images: [50_000, 10_000],
        classes: CIFAR100,
        mean: &[0.5071, 0.4865, 0.4409],
        std: &[0.2673, 0.2564, 0.2762],
        folders: &["cifar-100-binary"],
        system: &[],
        package: None,
        names: cifar::cifar100_files,
        remote: &[Remote {
            name: "cifar-100-binary.tar.gz",
            urls: &["https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"],
            bytes: 168_513_733,
            sha256: "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        }],
        open: cifar::open100,
    },
];

const DIGITS: &[&str] = &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// The fine classes, in the order of `fine_label_names.txt`.
const CIFAR100: &[&str] = &[
    "apple",
    "aquarium_fish",
    "baby",
    "bear",
    "beaver",
    "bed",
    "bee",
    "beetle",
    "bicycle",
    "bottle",
    "bowl",
    "boy",
    "bridge",
    "bus",
    "butterfly",
    "camel",
    "can",
    "castle",
    "caterpillar",
    "cattle",
    "chair",
    "chimpanzee",
    "clock",
    "cloud",
    "cockroach",
    "couch",
    "crab",
    "crocodile",
    "cup",
    "dinosaur",
    "dolphin",
    "elephant",
    "flatfish",
    "forest",
    "fox",
    "girl",
    "hamster",
    "house",
    "kangaroo",
    "keyboard",
    "lamp",
    "lawn_mower",
    "leopard",
    "lion",
    "lizard",
    "lobster",
    "man",
    "maple_tree",
    "motorcycle",
    "mountain",
    "mouse",
    "mushroom",
    "oak_tree",
    "orange",
    "orchid",
    "otter",
    "palm_tree",
    "pear",
    "pickup_truck",
    "pine_tree",
    "plain",
    "plate",
    "poppy",
    "porcupine",
    "possum",
    "rabbit",
    "raccoon",
    "ray",
    "road",
    "rocket",
    "rose",
    "sea",
    "seal",
    "shark",
    "shrew",
    "skunk",
    "skyscraper",
    "snail",
    "snake",
    "spider",
    "squirrel",
    "streetcar",
    "sunflower",
    "sweet_pepper",
    "table",
    "tank",
    "telephone",
    "television",
    "tiger",
    "tractor",
    "train",
    "trout",
    "tulip",
    "turtle",
    "wardrobe",
    "whale",
    "willow_tree",
    "wolf",
    "woman",
    "worm",
];

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
    let all = names();
    match crate::nearest::nearest(&lower, CATALOGUE.iter().map(|e| e.name)) {
        Some(near) => bail!("there is no data set {name:?}; did you mean {near:?}? Known: {all}"),
        None => bail!("there is no data set {name:?}; known: {all}"),
    }
}

/// What can be given for a data set, for people.
pub fn names() -> String {
    let names = CATALOGUE.iter().map(|e| e.name);
    names.collect::<Vec<_>>().join(", ") + ", or the path of a folder of pictures"
}

/// What all images of a set share.
pub(crate) fn info(entry: &Entry, split: Split) -> Info {
    Info {
        name: entry.name.into(),
        split,
        shape: entry.shape,
        classes: entry.classes.iter().map(|&c| c.into()).collect(),
        mean: entry.mean.to_vec(),
        std: entry.std.to_vec(),
    }
}

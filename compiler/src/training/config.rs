//! What to train, as a file and with its defaults.

use crate::data::{self, Split};
use crate::emit::write_atomically;
use crate::zoo;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tern_network::Network;
use tern_train::{Activations, Augment, Checkpoint, Recipe, Weights};

/// Where the arithmetic happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// A GPU, through libtorch (a ternc built with the feature `libtorch`).
    Gpu,
}

/// What to train. What is left out follows from the data set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Config {
    /// The architecture's name in the zoo.
    pub model: String,
    /// The data set's name, or a folder of pictures.
    pub dataset: String,
    /// Where the data set's files are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// The architecture's sizes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<zoo::Config>,
    /// Weights between the first and the last layer.
    pub weights: Weights,
    /// What layers multiply.
    pub activations: Activations,
    /// Layers that stay dense: patterns of names.
    pub skip: Vec<String>,
    /// A checkpoint of the same architecture to begin with and to learn from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distil: Option<PathBuf>,
    /// A checkpoint to learn from in place of that, of any architecture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher: Option<PathBuf>,
    /// Whether a ternary network learns without a dense twin.
    pub from_scratch: bool,
    /// Where the arithmetic happens.
    pub device: Device,
    /// How it is trained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training: Option<Recipe>,
    /// The same, resolved.
    #[serde(skip)]
    pub recipe: Recipe,
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// A file that cannot be read; an entry that is not known or makes no sense.
    pub fn read(path: &Path) -> Result<Config> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
        let config: Config = toml::from_str(&text)
            .map_err(|e| anyhow::anyhow!("{shown}: {}", e.to_string().trim().replace('\n', " ")))?;
        Ok(config)
    }

    /// Writes it, to be read again.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let text = toml::to_string(self).context("writing the configuration")?;
        write_atomically(path, text.as_bytes())
    }

    /// The recipe where none is given, of an architecture (where the name is empty, of
    /// the default one). Ternary weights begin where their dense twin ended: they need
    /// half its learning rate, and decay less.
    pub fn default_recipe(model: &str, dataset: &str, weights: Weights) -> Recipe {
        let training = zoo::find(model).map_or(&zoo::Training::USUAL, |found| &found.training);
        let mut recipe = Config::dense_recipe(dataset);
        recipe.lr = training.lr;
        if weights != Weights::F32 {
            recipe.lr /= 2.0;
            recipe.weight_decay = training.ternary_weight_decay;
            recipe.distil.share = training.distil_share;
        }
        recipe
    }

    fn dense_recipe(dataset: &str) -> Recipe {
        match dataset {
            "digits" => Recipe {
                epochs: 30,
                batch_size: 32,
                augment: Augment {
                    flip: false,
                    shift: 0,
                },
                ..Recipe::default()
            },
            "mnist" => Recipe {
                augment: Augment {
                    flip: false,
                    shift: 2,
                },
                ..Recipe::default()
            },
            _ => Recipe {
                augment: Augment {
                    flip: true,
                    shift: 2,
                },
                ..Recipe::default()
            },
        }
    }

    /// With every default filled in, and checked.
    ///
    /// # Errors
    /// A network or data set that is not known, with the nearest name; numbers that
    /// make no sense.
    pub fn resolved(&self) -> Result<Config> {
        let mut config = self.clone();
        if config.dataset.is_empty() {
            bail!("which data set? --dataset NAME; ternc data list shows them");
        }
        if config.model.is_empty() {
            config.model = if config.dataset == "digits" {
                "tiny"
            } else {
                "resnet20"
            }
            .into();
        }
        let architecture = zoo::find(&config.model)?;
        if config.network.is_none() {
            let options = data::Options {
                data_dir: config.data_dir.clone(),
                shape: None,
            };
            let set = data::open(&config.dataset, Split::Test, &options)?;
            let [channels, height, width] = set.info().shape;
            config.network = Some(zoo::Config {
                width: architecture.default.width,
                channels,
                image_size: height.max(width).next_multiple_of(8),
                classes: set.info().classes.len(),
            });
        }
        let recipe = config.training.clone();
        config.recipe = recipe.unwrap_or_else(|| {
            Config::default_recipe(&config.model, &config.dataset, config.weights)
        });
        config.recipe.check()?;
        config.training = Some(config.recipe.clone());
        config.network()?;
        Ok(config)
    }

    /// The same network with nothing rounded.
    pub(super) fn dense(&self) -> Config {
        Config {
            weights: Weights::F32,
            activations: Activations::F32,
            skip: Vec::new(),
            ..self.clone()
        }
    }

    /// The dense network that this one begins with.
    pub(super) fn twin(&self) -> Config {
        let mut twin = self.dense();
        twin.from_scratch = true;
        // The student begins where the twin ends: it needs half the rate.
        twin.recipe.weight_decay = self.recipe.weight_decay.max(5e-4);
        twin.recipe.lr = 2.0 * self.recipe.lr;
        twin.recipe.blend = 0.0;
        twin.training = Some(twin.recipe.clone());
        twin
    }

    /// The network.
    ///
    /// # Errors
    /// As [`zoo::architecture`].
    pub fn network(&self) -> Result<Network> {
        let config = self.network.context("a configuration that is resolved")?;
        zoo::architecture(&self.model, &config)
    }

    /// What a checkpoint says of where it is from.
    pub(crate) fn metadata(&self) -> Result<BTreeMap<String, String>> {
        let config = serde_json::to_string(self)?;
        Ok([
            ("model".to_owned(), self.model.clone()),
            ("config".to_owned(), config),
        ]
        .into())
    }

    /// How a checkpoint says that it was trained; `None` where it holds weights alone.
    ///
    /// # Errors
    /// A configuration that cannot be read.
    pub fn of(checkpoint: &Checkpoint) -> Result<Option<Config>> {
        let json = checkpoint.metadata.get("config");
        json.map(|json| serde_json::from_str(json).context("its configuration"))
            .transpose()
    }

    /// Whether a checkpoint is of this very training.
    pub(super) fn check_same(&self, checkpoint: &Checkpoint) -> Result<()> {
        let theirs = Config::of(checkpoint)?;
        let mut theirs = theirs.context("the checkpoint does not say how it was trained")?;
        // Another device goes on as well, though not bit by bit.
        (theirs.device, theirs.data_dir) = (self.device, self.data_dir.clone());
        theirs.recipe = self.recipe.clone();
        if theirs != *self {
            bail!(
                "it was trained in another way; take another --out, or --resume without other options"
            );
        }
        Ok(())
    }
}

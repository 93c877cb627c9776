//! A network of the zoo with parameters: those of a checkpoint, or random ones.

use super::{Config, architecture, find, onnx};
use crate::data::{Info, Split, catalogue};
use crate::training;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::path::Path;
use tern_network::{Network, NodeId};
use tern_train::{
    Activations, Checkpoint, Policy, Tensors, Weights, check_parameters, initial_parameters,
    quantise_weights,
};
use ternrt::format::metadata::key as keys;

/// A network and what it computes with.
pub struct Filled {
    /// The network.
    pub network: Network,
    /// Weights and activations, as its training had them.
    pub weights: Weights,
    /// See `weights`.
    pub activations: Activations,
    policy: Policy,
    /// Parameters as they are trained, as floats, and clips.
    tensors: Tensors,
    config: training::Config,
    /// What is known of the images and classes: [`Info::metadata`].
    about: BTreeMap<String, String>,
}

impl Filled {
    /// A network with random parameters and f32 weights.
    ///
    /// # Errors
    /// As [`architecture`].
    pub fn random(name: &str, config: Config, seed: u64) -> Result<Filled> {
        let network = architecture(name, &config)?;
        let tensors = initial_parameters(&network, seed);
        let config = training::Config {
            model: name.to_owned(),
            network: Some(config),
            ..training::Config::default()
        };
        Filled::new(network, tensors, config, &BTreeMap::new())
    }

    /// A network with the parameters of a checkpoint: one of `ternc train`, or a
    /// safetensors file of f32 arrays with torchvision's or timm's names. `sizes` may
    /// change what the checkpoint says of the network's sizes, or the
    /// architecture's own where it says nothing.
    ///
    /// # Errors
    /// A file that cannot be read, or is another network's; as [`architecture`].
    pub fn load(name: &str, sizes: impl FnOnce(Config) -> Config, path: &Path) -> Result<Filled> {
        let found = find(name)?;
        let checkpoint = Checkpoint::load(path)?;
        let about = || format!("checkpoint {}", path.display());
        let config = training::Config::of(&checkpoint).with_context(about)?;
        let mut config = config.unwrap_or_else(|| training::Config {
            model: name.to_owned(),
            ..training::Config::default()
        });
        ensure!(
            config.model == name,
            "{} is of the network {:?}, not {name:?}",
            about(),
            config.model
        );
        let network = sizes(config.network.unwrap_or(found.default));
        config.network = Some(network);
        let network = architecture(name, &network)?;
        check_parameters(&network, &checkpoint.tensors).with_context(about)?;
        Filled::new(network, checkpoint.tensors, config, &checkpoint.metadata)
    }

    /// What the checkpoint's metadata does not tell of the images, the data set that it
    /// names may.
    fn new(
        network: Network,
        tensors: Tensors,
        config: training::Config,
        told: &BTreeMap<String, String>,
    ) -> Result<Filled> {
        let (weights, activations) = (config.weights, config.activations);
        let mut about = catalogue::find(&config.dataset)
            .map(|entry| catalogue::info(entry, Split::Test).metadata())
            .unwrap_or_default();
        let told = Info::KEYS.iter().filter_map(|key| told.get_key_value(*key));
        about.extend(told.map(|(key, text)| (key.clone(), text.clone())));
        about.retain(|key, text| key != keys::LABELS || text.lines().count() == network.classes());
        Ok(Filled {
            policy: Policy::new(&network, weights, activations, &config.skip)?,
            network,
            weights,
            activations,
            tensors,
            config,
            about,
        })
    }

    /// As an ONNX model: ternary weights are what they stand for, activations f32.
    ///
    /// # Errors
    /// As [`onnx::encode`].
    pub fn onnx(&self) -> Result<Vec<u8>> {
        let mut tensors = self.tensors.clone();
        quantise_weights(&self.network, &self.policy, &mut tensors)?;
        onnx::encode(&self.network, &self.about, |name| {
            tensors.get(name).map(|t| t.data.as_slice())
        })
    }

    /// Compiled, as `ternc train` does at its end.
    ///
    /// # Errors
    /// As [`training::compile`].
    pub fn tern(&self) -> Result<Vec<u8>> {
        let input = &self.network.nodes()[NodeId(0).0].name;
        let clip = self.tensors.get(&format!("clip.{input}"));
        let clip = clip.and_then(|t| t.data.first()).copied();
        ensure!(
            self.activations == Activations::F32 || clip.is_some(),
            "the checkpoint does not say how large inputs are, which {} activations need",
            self.activations.name()
        );
        training::compile(
            &self.network,
            &self.policy,
            &self.tensors,
            clip.unwrap_or(1.0),
            &self.about,
        )
    }

    /// Parameters and clips as they are trained: a checkpoint to begin another
    /// training with, and not to go on from, as it has no momenta.
    ///
    /// # Errors
    /// None.
    pub fn checkpoint(&self) -> Result<Checkpoint> {
        let kept = |name: &str| !name.starts_with("momentum.");
        let tensors = self.tensors.iter().filter(|(name, _)| kept(name));
        let mut metadata = self.config.metadata()?;
        metadata.extend(self.about.clone());
        Ok(Checkpoint {
            tensors: tensors.map(|(n, t)| (n.clone(), t.clone())).collect(),
            metadata,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asset(file: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("assets/zoo")
            .join(file)
    }

    #[test]
    fn a_trained_file_is_made_from_its_checkpoint() {
        for variant in ["n12-i8", "t2-i8"] {
            let name = format!("resnet8-fashion-mnist-{variant}");
            let path = asset(&format!("{name}.safetensors"));
            let filled = Filled::load("resnet8", |sizes| sizes, &path).unwrap();
            let shipped = std::fs::read(asset(&format!("{name}.tern"))).unwrap();
            assert!(filled.tern().unwrap() == shipped, "{name}");
        }
    }

    #[test]
    fn a_checkpoint_survives() {
        let path = asset("resnet8-fashion-mnist-n12-i8.safetensors");
        let filled = Filled::load("resnet8", |sizes| sizes, &path).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let copy = dir.path().join("copy.safetensors");
        filled.checkpoint().unwrap().save(&copy).unwrap();
        let again = Filled::load("resnet8", |sizes| sizes, &copy).unwrap();
        assert_eq!(again.tensors, filled.tensors);
        assert_eq!(again.config, filled.config);
        assert_eq!(again.about, filled.about);
        assert_eq!(again.about[keys::INPUT_MEAN], "0.286");
        // A folder's classes are known by the checkpoint alone; too few are no names.
        let mut told = Checkpoint::load(&copy).unwrap();
        for (classes, kept) in [(10, true), (9, false)] {
            let classes: Vec<String> = (0..classes).map(|c| format!("class {c}")).collect();
            let labels = classes.join("\n");
            told.metadata.insert(keys::LABELS.into(), labels.clone());
            let path = dir.path().join("told.safetensors");
            told.save(&path).unwrap();
            let told = Filled::load("resnet8", |sizes| sizes, &path).unwrap();
            assert_eq!(told.about.get(keys::LABELS), kept.then_some(&labels));
        }
        let same: fn(Config) -> Config = |c| c;
        let other: fn(Config) -> Config = |c| Config { classes: 9, ..c };
        for (name, sizes, needle) in [
            ("resnet20", same, "is of the network \"resnet8\""),
            ("resnet8", other, "\"fc.weight\" has the shape"),
        ] {
            let error = Filled::load(name, sizes, &copy).err().unwrap();
            assert!(format!("{error:#}").contains(needle), "{error:#}");
        }
    }
}

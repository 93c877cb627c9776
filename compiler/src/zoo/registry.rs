//! Trained networks by name: those of `registry.toml`, which are built in, and those
//! of a user's own file of the same form.

use super::{Config, architecture};
use crate::nearest::nearest;
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use tern_train::{Activations, Weights};

/// Names a registry of the user's own, for every command.
pub const VARIABLE: &str = "TERNC_REGISTRY";

/// The registry that is built in.
const BUILT_IN: &str = include_str!("registry.toml");

macro_rules! embedded {
    ($($file:literal),* $(,)?) => {
        &[$(($file, include_bytes!(concat!("../../assets/zoo/", $file)))),*]
    };
}

/// Its files.
const FILES: &[(&str, &[u8])] = embedded![
    "resnet8-fashion-mnist-n12-i8.tern",
    "resnet8-fashion-mnist-t2-i8.tern",
    "resnet20-fashion-mnist-n12-i7.tern",
    "resnet20-fashion-mnist-t2-i8.tern",
    "resnet18-fashion-mnist-n12-i7.tern",
    "resnet18-fashion-mnist-t2-i8.tern",
    "mobilenetv2-fashion-mnist-n12-i7.tern",
    "mobilenetv2-fashion-mnist-t2-i8.tern",
    "tiny-digits-t2-f32.tern",
];

/// A trained network. `registry.toml` says what each field is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[allow(missing_docs)]
pub struct Entry {
    pub name: String,
    pub version: String,
    pub architecture: String,
    pub config: Config,
    pub dataset: String,
    pub accuracy: f64,
    pub images: u64,
    pub weights: Weights,
    pub activations: Activations,
    pub file: PathBuf,
    pub bytes: u64,
    pub sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
    pub licence: String,
    pub source: String,
    pub command: String,
    /// The registry's folder; none for what is built in.
    #[serde(skip)]
    folder: Option<PathBuf>,
}

/// The file's form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    model: Vec<Entry>,
}

/// All that is known: the user's own entries, of `file` or of the file that
/// [`VARIABLE`] names, and those that are built in. Where two have the same name, the
/// user's counts.
///
/// # Errors
/// A registry that cannot be read, or an entry that cannot be.
pub fn entries(file: Option<&Path>) -> Result<Vec<Entry>> {
    let variable = std::env::var_os(VARIABLE).filter(|v| !v.is_empty());
    let mut all = match (file, &variable) {
        (Some(file), _) => read(file)?,
        (None, Some(file)) => read(Path::new(file)).context(VARIABLE)?,
        (None, None) => Vec::new(),
    };
    let own: HashSet<String> = all.iter().map(|e| e.name.clone()).collect();
    let built_in = parse(BUILT_IN, None).context("the registry that is built in")?;
    all.extend(built_in.into_iter().filter(|e| !own.contains(&e.name)));
    Ok(all)
}

/// The entry of this name.
///
/// # Errors
/// There is none; the nearest name is suggested.
pub fn find<'e>(entries: &'e [Entry], name: &str) -> Result<&'e Entry> {
    if let Some(entry) = entries.iter().find(|e| e.name == name) {
        return Ok(entry);
    }
    let hint = match nearest(name, entries.iter().map(|e| e.name.as_str())) {
        Some(near) => format!("did you mean {near:?}?"),
        None => "ternc zoo list shows them".to_owned(),
    };
    bail!("there is no trained network {name:?}; {hint}")
}

fn read(path: &Path) -> Result<Vec<Entry>> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the registry {shown}"))?;
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    parse(&text, Some(folder)).with_context(|| format!("registry {shown}"))
}

fn parse(text: &str, folder: Option<PathBuf>) -> Result<Vec<Entry>> {
    let file: File = toml::from_str(text).map_err(|e| {
        let line = e
            .span()
            .map(|s| text[..s.start.min(text.len())].matches('\n').count() + 1);
        let line = line.map_or(String::new(), |n| format!("line {n}: "));
        anyhow::anyhow!("{line}{}", e.message().replace('\n', " "))
    })?;
    let mut names = HashSet::new();
    let mut entries = file.model;
    for entry in &mut entries {
        entry.folder.clone_from(&folder);
        entry
            .check()
            .with_context(|| format!("model {:?}", entry.name))?;
        ensure!(
            names.insert(entry.name.clone()),
            "two models have the name {:?}",
            entry.name
        );
    }
    Ok(entries)
}

impl Entry {
    fn check(&self) -> Result<()> {
        let pattern = format!(
            "{}-{}-{}",
            self.architecture,
            self.dataset,
            self.weights.name()
        );
        let rest = self.name.strip_prefix(&pattern);
        ensure!(
            rest.is_some_and(|r| r.is_empty() || r.starts_with('-') && r.len() > 1),
            "by its architecture, data set and weights its name must be {pattern:?}, or begin with \"{pattern}-\""
        );
        let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        ensure!(
            self.name.chars().all(letter),
            "a name has small letters, digits, - and _ alone"
        );
        architecture(&self.architecture, &self.config)?;
        ensure!(
            (0.0..=100.0).contains(&self.accuracy),
            "an accuracy of {}: must be within 0..100 (percent)",
            self.accuracy
        );
        ensure!(self.images > 0, "an accuracy on no images");
        ensure!(self.bytes > 0, "a file of no bytes");
        let hexadecimal = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        ensure!(
            self.sha256.len() == 64 && self.sha256.chars().all(hexadecimal),
            "sha256 must be 64 digits of 0-9 and a-f: sha256sum prints them"
        );
        for (what, text) in [
            ("version", &self.version),
            ("licence", &self.licence),
            ("source", &self.source),
            ("command", &self.command),
        ] {
            ensure!(!text.trim().is_empty(), "{what} is empty");
        }
        Ok(())
    }

    /// Whether it comes with ternc.
    pub fn is_built_in(&self) -> bool {
        self.folder.is_none()
    }

    /// The file, checked to be the one that the entry speaks of.
    ///
    /// # Errors
    /// A file that is missing, or has another size or SHA-256.
    pub fn read(&self) -> Result<Vec<u8>> {
        let bytes = match &self.folder {
            None => FILES
                .iter()
                .find(|(name, _)| Path::new(name) == self.file)
                .map(|(_, bytes)| bytes.to_vec())
                .with_context(|| format!("{}: is not built in", self.file.display())),
            Some(folder) => {
                let path = folder.join(&self.file);
                std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
            }
        };
        let bytes = bytes.with_context(|| format!("trained network {:?}", self.name))?;
        let sha256: String = Sha256::digest(&bytes)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        ensure!(
            bytes.len() as u64 == self.bytes && sha256 == self.sha256,
            "trained network {:?}: {} is not the file that the registry speaks of: it has {} bytes and the SHA-256 {sha256}, must have {} and {}",
            self.name,
            self.file.display(),
            bytes.len(),
            self.bytes,
            self.sha256
        );
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trained_file_is_registered_and_is_what_it_says() {
        let entries = parse(BUILT_IN, None).unwrap();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/zoo");
        let mut registered = HashSet::new();
        for entry in &entries {
            let bytes = crate::host::Aligned::new(&entry.read().unwrap());
            let model = ternrt::Model::new(bytes.bytes()).unwrap();
            let shape = crate::evaluate::Input::of(&model).unwrap().shape;
            let Config {
                channels,
                image_size,
                ..
            } = entry.config;
            assert_eq!(shape, Some([channels, image_size, image_size]));
            let dataset = crate::data::catalogue::find(&entry.dataset).unwrap();
            let about = crate::data::catalogue::info(dataset, crate::data::Split::Test).metadata();
            for (key, text) in about {
                assert_eq!(model.metadata(&key), Some(text.as_str()), "{}", entry.name);
            }
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
            let report = root.join(entry.report.as_ref().unwrap());
            let report = std::fs::read_to_string(report).unwrap();
            for said in [entry.name.clone(), format!("{:.2}%", entry.accuracy)] {
                assert!(report.contains(&said), "{}: {said}", entry.name);
            }
            if let Some(checkpoint) = &entry.checkpoint {
                let path = root.join(checkpoint);
                let filled =
                    crate::zoo::parameters::Filled::load(&entry.architecture, |c| c, &path);
                let filled = filled.unwrap();
                assert_eq!(
                    (filled.weights, filled.activations),
                    (entry.weights, entry.activations)
                );
            }
            registered.insert(entry.file.clone());
        }
        let files = std::fs::read_dir(folder)
            .unwrap()
            .map(|f| PathBuf::from(f.unwrap().file_name()))
            .filter(|f| f.extension().is_some_and(|e| e == "tern"));
        assert_eq!(files.collect::<HashSet<_>>(), registered);
        assert_eq!(FILES.len(), registered.len());
    }

    #[test]
    fn entries_that_cannot_be_are_refused() {
        let name = "[[model]]\nname = \"resnet8-fashion-mnist-n12\"";
        let one = BUILT_IN.find(name).unwrap();
        let next = one + 1 + BUILT_IN[one + 1..].find("[[model]]").unwrap();
        let one = &BUILT_IN[one..next];
        assert_eq!(parse(one, None).unwrap().len(), 1);
        for (from, to, needle) in [
            ("93.42", "934.2", "accuracy of 934.2"),
            ("93.42", "\"much\"", "line 7: "),
            (
                "architecture = \"resnet8\"",
                "architecture = \"resnet9\"",
                "resnet9",
            ),
            (
                "dataset = \"fashion-mnist\"",
                "dataset = \"mnist\"",
                "resnet8-mnist-n12",
            ),
            ("weights = \"n12\"", "weights = \"n13\"", "n13"),
            ("classes = 10", "classes = 0", "classes of 0"),
            ("sha256 = \"", "sha256 = \"G", "sha256 must be"),
            ("licence = \"MIT\"", "licence = \"\"", "licence is empty"),
            ("licence = \"MIT\"", "license = \"MIT\"", "license"),
            ("licence = \"MIT\"\n", "", "licence"),
            ("n12\"\nversion", "n12x\"\nversion", "name must be"),
            ("images = 10000", "images = 0", "no images"),
        ] {
            let spoilt = one.replacen(from, to, 1);
            assert_ne!(spoilt, one, "{from}");
            let error = format!("{:#}", parse(&spoilt, None).unwrap_err());
            assert!(error.contains(needle), "{to}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
        let twice = format!("{one}{one}");
        let error = format!("{:#}", parse(&twice, None).unwrap_err());
        assert!(error.contains("two models have the name"), "{error}");
    }
}

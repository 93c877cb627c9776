//! Data sets of labelled images: built in, read from files, or from a folder of pictures.
//!
//! [`open`] finds a set by name and gives it as a [`Dataset`]: pixels as bytes,
//! one plane a channel, and a label for each image. A data set's files are input
//! from anywhere: what is truncated, miscounted or out of range is an error that
//! names the file and what to do about it, never a panic.
//!
//! [`catalogue`] is the table of sets known by name, [`locate`] says where their
//! files are looked for.

pub mod catalogue;
pub mod download;
pub mod fetch;
pub mod fit;
pub mod folder;
pub mod locate;
pub mod memory;
pub mod picture;

mod cifar;
mod digits;
mod idx;

use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use ternrt::format::metadata::key as keys;

/// Numbers as `input_mean` and `input_std` in a model's metadata.
pub fn numbers(of: &[f32]) -> String {
    let texts: Vec<String> = of.iter().map(f32::to_string).collect();
    texts.join(",")
}

/// The numbers of such a text; `None` where it is none.
pub fn numbers_of(text: &str) -> Option<Vec<f32>> {
    let finite = |word: &str| word.trim().parse::<f32>().ok().filter(|v| v.is_finite());
    text.split(',').map(finite).collect()
}

/// One value, or one a channel, as one a channel.
///
/// # Errors
/// Another number of values.
pub fn per_channel(values: &[f32], channels: usize) -> Result<Vec<f32>> {
    match values {
        [value] => Ok(vec![*value; channels]),
        values if values.len() == channels => Ok(values.to_vec()),
        values => bail!(
            "{} values for {channels} channels; give one, or one a channel",
            values.len()
        ),
    }
}

/// Which part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// What a network learns from.
    Train,
    /// What is held out to measure it.
    Test,
}

impl Split {
    /// Name: `train` or `test`.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Test => "test",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is the same for all images of a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct Info {
    /// The name that [`open`] knows it by.
    pub name: String,
    /// Which part of it.
    pub split: Split,
    /// Channels, height and width of every image.
    pub shape: [usize; 3],
    /// Names of the classes, by label.
    pub classes: Vec<String>,
    /// Mean of each channel over the training images, for pixels in 0..=1.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, as `mean`.
    pub std: Vec<f32>,
}

impl Info {
    /// Bytes of an image.
    pub fn pixels(&self) -> usize {
        self.shape.iter().product()
    }

    /// The keys of [`metadata`](Self::metadata).
    pub const KEYS: [&str; 3] = [keys::LABELS, keys::INPUT_MEAN, keys::INPUT_STD];

    /// What a model's file says of such images.
    pub fn metadata(&self) -> BTreeMap<String, String> {
        let class = |name: &String| name.replace(['\n', '\r'], " ");
        let classes: Vec<String> = self.classes.iter().map(class).collect();
        let texts = [classes.join("\n"), numbers(&self.mean), numbers(&self.std)];
        Self::KEYS
            .map(str::to_owned)
            .into_iter()
            .zip(texts)
            .collect()
    }

    /// What a network is given for an image: `(pixel / 255 - mean) / std`, by channel.
    /// Panics where `pixels` or `out` is not one image long.
    pub fn normalise(&self, pixels: &[u8], out: &mut [f32]) {
        assert_eq!(pixels.len(), self.pixels());
        assert_eq!(out.len(), self.pixels());
        let plane = (self.shape[1] * self.shape[2]).max(1);
        let planes = pixels.chunks_exact(plane).zip(out.chunks_exact_mut(plane));
        for ((from, to), (&mean, &std)) in planes.zip(self.mean.iter().zip(&self.std)) {
            for (x, &p) in to.iter_mut().zip(from) {
                *x = (p as f32 / 255.0 - mean) / std;
            }
        }
    }
}

/// Labelled images of one size.
pub trait Dataset: Send + Sync {
    /// What all images share.
    fn info(&self) -> &Info;

    /// Number of images; at least one.
    fn len(&self) -> usize;

    /// Class of an image: an index into [`Info::classes`]. Panics where `index`
    /// is not less than [`len`](Self::len).
    fn label(&self, index: usize) -> usize;

    /// Writes an image's bytes, 0..=255, one plane a channel, rows from the top.
    /// Panics where `index` is out of range or `pixels` not one image long.
    ///
    /// # Errors
    /// A picture file that cannot be read or decoded.
    fn read(&self, index: usize, pixels: &mut [u8]) -> Result<()>;

    /// Always false; for the sake of completeness.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Where to look and what to make of it.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The folder that holds the files (`--data-dir`); see [`locate`].
    pub data_dir: Option<PathBuf>,
    /// Channels, height and width that the images shall have; see [`fit`].
    pub shape: Option<[usize; 3]>,
}

/// Opens a data set by its name in the [`catalogue`], or a [`folder`] of pictures by
/// its path (or by the name `folder` or `imagenet`, with [`Options::data_dir`]).
///
/// # Errors
/// A name that is not known, with the nearest one; files that are not there, with
/// how to get them; files that are damaged; images that cannot be made to fit.
pub fn open(name: &str, split: Split, options: &Options) -> Result<Box<dyn Dataset>> {
    let data_dir = options.data_dir.as_deref();
    if let Some(root) = folder_of(name, data_dir)? {
        return folder::open(root, split, options.shape);
    }
    let entry = catalogue::find(name)?;
    let set = Box::new((entry.open)(entry, split, data_dir)?);
    match options.shape {
        Some(shape) => fit::fit(set, shape).with_context(|| format!("data set {name:?}")),
        None => Ok(set),
    }
}

/// The folder of pictures that a data set's name stands for, if it stands for one.
fn folder_of<'a>(name: &'a str, data_dir: Option<&'a Path>) -> Result<Option<&'a Path>> {
    if ["folder", "imagenet"].contains(&name.to_ascii_lowercase().as_str()) {
        let root = data_dir.with_context(|| {
            format!("the data set {name:?} is a folder of pictures: give it with --data-dir DIR")
        })?;
        ensure!(
            root.is_dir(),
            "--data-dir {}: there is no such folder",
            root.display()
        );
        return Ok(Some(root));
    }
    let path = Path::new(name);
    // Other names are the catalogue's, even where a folder is called so.
    if path.components().count() > 1 || path.is_absolute() || name.starts_with('.') {
        ensure!(
            path.is_dir(),
            "{name}: there is no such folder of pictures; for a data set that is known by name give {}",
            catalogue::names()
        );
        return Ok(Some(path));
    }
    Ok(None)
}

#[cfg(test)]
mod tests;

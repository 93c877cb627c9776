//! An image file as a model's input, for a quick look.

use crate::data::{self, picture};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::path::Path;
use ternrt::Model;
use ternrt::format::metadata::key as keys;

const HEADING: &str = "How pixels are normalised";

/// How pixels are normalised.
#[derive(clap::Args)]
pub struct Pixels {
    /// Subtracted from pixels in 0..1: one value, or one a channel; `compile` and `prune` keep it
    /// in the file
    /// [default: the data set's mean; for `run`, what the model's file says, or 0]
    #[arg(
        long,
        help_heading = HEADING,
        value_name = "M,..",
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    pub(super) mean: Option<Vec<f32>>,
    /// Divides what the mean was subtracted from: one value, or one a channel [default: as for
    /// --mean, or 1]
    #[arg(
        long,
        help_heading = HEADING,
        value_name = "S,..",
        value_delimiter = ','
    )]
    pub(super) std: Option<Vec<f32>>,
}

impl Pixels {
    /// What was given, for a model's file.
    ///
    /// # Errors
    /// Numbers that nothing can be normalised by.
    pub fn metadata(&self) -> Result<BTreeMap<String, String>> {
        let mut metadata = BTreeMap::new();
        for (key, given) in [(keys::INPUT_MEAN, &self.mean), (keys::INPUT_STD, &self.std)] {
            let Some(numbers) = given else {
                continue;
            };
            let wrong = |v: &&f32| !v.is_finite() || key == keys::INPUT_STD && **v == 0.0;
            if let Some(wrong) = numbers.iter().find(wrong) {
                bail!("--mean and --std must be finite numbers, --std not 0: {wrong}");
            }
            metadata.insert(key.to_owned(), data::numbers(numbers));
        }
        Ok(metadata)
    }

    /// Mean and standard deviation: those given, those that the model's file states, or
    /// those that change nothing.
    ///
    /// # Errors
    /// A file that states something else than numbers.
    pub fn of_model(&self, model: &Model) -> Result<(Vec<f32>, Vec<f32>)> {
        let find = |given: &Option<Vec<f32>>, key: &str, neutral: f32| {
            match (given, model.metadata(key)) {
                (Some(given), _) => Ok(given.clone()),
                (None, Some(text)) => data::numbers_of(text).with_context(|| {
                    format!("the model's file says {key} = {text:?}, which are no numbers: give --mean and --std")
                }),
                (None, None) => Ok(vec![neutral]),
            }
        };
        Ok((
            find(&self.mean, keys::INPUT_MEAN, 0.0)?,
            find(&self.std, keys::INPUT_STD, 1.0)?,
        ))
    }
}

/// Reads a JPEG or PNG in the model's size ([`picture::read`]) and returns
/// `(pixel / 255 - mean) / std` as f32 in the input's own layout: `[1, 3, h, w]`,
/// `[1, h, w, 3]` or with one channel. `mean` and `std` have one value or one a channel.
pub fn load(path: &Path, shape: &[usize], mean: &[f32], std: &[f32]) -> Result<Vec<f32>> {
    let (channels, height, width, channels_last) = match *shape {
        [1, c @ (1 | 3), h, w] => (c, h, w, false),
        [1, h, w, c @ (1 | 3)] => (c, h, w, true),
        _ => bail!(
            "--image: the model's input has shape {shape:?}, not one image of 1 or 3 channels; use --input"
        ),
    };
    let (mean, std) = (
        data::per_channel(mean, channels).context("--mean, or the model's own")?,
        data::per_channel(std, channels).context("--std, or the model's own")?,
    );
    if std.contains(&0.0) {
        bail!("--std, or the model's own, must not be 0");
    }
    let pixels = picture::read(path, [channels, height, width])?;
    let value = |y: usize, x: usize, c: usize| {
        (pixels[(c * height + y) * width + x] as f32 / 255.0 - mean[c]) / std[c]
    };
    let mut out = Vec::with_capacity(pixels.len());
    if channels_last {
        for y in 0..height {
            for x in 0..width {
                out.extend((0..channels).map(|c| value(y, x, c)));
            }
        }
    } else {
        for c in 0..channels {
            for y in 0..height {
                out.extend((0..width).map(|x| value(y, x, c)));
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::load;

    #[test]
    fn both_layouts_and_the_normalisation() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.png");
        image::RgbImage::from_fn(4, 4, |_, _| image::Rgb([255, 0, 51]))
            .save(&path)
            .unwrap();
        let planar = load(&path, &[1, 3, 2, 2], &[0.5], &[0.5]).unwrap();
        assert_eq!(planar[..4], [1.0; 4]);
        assert_eq!(planar[4..8], [-1.0; 4]);
        let interleaved = load(&path, &[1, 2, 2, 3], &[0.0, 0.0, 0.2], &[1.0, 1.0, 1.0]).unwrap();
        assert_eq!(interleaved[..2], [1.0, 0.0]);
        assert!(interleaved[2].abs() < 1e-6);
        assert!(load(&path, &[1, 10], &[0.0], &[1.0]).is_err());
        assert!(load(&path, &[1, 3, 2, 2], &[0.0, 0.0], &[1.0]).is_err());
        assert!(load(&path, &[1, 3, 2, 2], &[0.0], &[0.0]).is_err());
    }
}

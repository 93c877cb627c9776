//! An image file as a model's input, for a quick look.

use crate::data::picture;
use anyhow::{Result, bail};
use std::path::Path;

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
    let per_channel = |name: &str, v: &[f32]| -> Result<Vec<f32>> {
        match v.len() {
            1 => Ok(vec![v[0]; channels]),
            n if n == channels => Ok(v.to_vec()),
            n => bail!(
                "--{name}, or the model's own: {n} values for {channels} channels; give one, or one a channel"
            ),
        }
    };
    let (mean, std) = (per_channel("mean", mean)?, per_channel("std", std)?);
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

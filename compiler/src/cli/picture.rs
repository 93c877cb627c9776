//! An image file as a model's input, for a quick look.

use anyhow::{Context, Result, bail};
use std::path::Path;

/// Reads a JPEG or PNG, resizes its shorter side to 256/224 of the model's size,
/// crops the centre (as torchvision's ImageNet evaluation does), and returns
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
            n => bail!("--{name}: {n} values for {channels} channels; give one, or one a channel"),
        }
    };
    let (mean, std) = (per_channel("mean", mean)?, per_channel("std", std)?);
    if std.contains(&0.0) {
        bail!("--std must not be 0");
    }
    let picture =
        image::open(path).with_context(|| format!("cannot read the image {}", path.display()))?;
    let (w, h) = (picture.width() as f64, picture.height() as f64);
    // Small inputs (digits) are scaled to fit; photographs keep the usual border.
    let border = if height.min(width) >= 64 {
        256.0 / 224.0
    } else {
        1.0
    };
    let scale = (height as f64 / h).max(width as f64 / w) * border;
    let (rw, rh) = (
        ((w * scale).round() as u32).max(width as u32),
        ((h * scale).round() as u32).max(height as u32),
    );
    let resized = picture.resize_exact(rw, rh, image::imageops::FilterType::CatmullRom);
    let crop = resized.crop_imm(
        (rw - width as u32) / 2,
        (rh - height as u32) / 2,
        width as u32,
        height as u32,
    );
    let pixels = if channels == 3 {
        crop.to_rgb8().into_raw()
    } else {
        crop.to_luma8().into_raw()
    };
    let value = |y: usize, x: usize, c: usize| {
        (pixels[(y * width + x) * channels + c] as f32 / 255.0 - mean[c]) / std[c]
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

//! Picture files (JPEG, PNG) as images of a given size.

use anyhow::{Context, Result, bail};
use image::{ImageReader, imageops::FilterType};
use std::path::Path;

/// Reads a picture as `shape` (1 or 3 channels, height, width): its shorter side is
/// resized to 256/224 of the target's, or to fit where the target is smaller than 64
/// pixels (digits and the like have no border to lose), and the centre cropped, as
/// torchvision's ImageNet evaluation does. Bytes, one plane a channel. What kind of
/// file it is, its contents tell, not its name.
///
/// # Errors
/// A file that cannot be read or decoded, by name.
pub fn read(path: &Path, shape: [usize; 3]) -> Result<Vec<u8>> {
    let [channels, height, width] = shape;
    let picture = ImageReader::open(path)
        .and_then(ImageReader::with_guessed_format)
        .with_context(|| format!("cannot open the picture {}", path.display()))?
        .decode()
        .with_context(|| format!("cannot decode the picture {}", path.display()))?;
    let (w, h) = (picture.width() as f64, picture.height() as f64);
    if w == 0.0 || h == 0.0 {
        bail!("the picture {} has no pixels", path.display());
    }
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
    let resized = picture.resize_exact(rw, rh, FilterType::CatmullRom);
    let crop = resized.crop_imm(
        (rw - width as u32) / 2,
        (rh - height as u32) / 2,
        width as u32,
        height as u32,
    );
    let interleaved = match channels {
        1 => crop.to_luma8().into_raw(),
        3 => crop.to_rgb8().into_raw(),
        _ => bail!("a picture has 1 or 3 channels, not {channels}"),
    };
    let plane = |c| interleaved.iter().skip(c).step_by(channels).copied();
    Ok((0..channels).flat_map(plane).collect())
}

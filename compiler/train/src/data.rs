//! Images, and the batches that are made of them.

use crate::random::Random;
use crate::recipe::Augment;
use crate::{Error, Result};
use rayon::prelude::*;

/// Labelled images of one shape.
#[derive(Clone, Debug)]
pub struct Images {
    shape: [usize; 3],
    pixels: Vec<u8>,
    labels: Vec<u8>,
    /// Of a pixel of 0 in each channel, and of each step up: `offset + pixel * step`.
    normal: Vec<(f32, f32)>,
}

/// Some images, ready for a network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// `[count, channels, height, width]`, normalised.
    pub images: Vec<f32>,
    /// A class for each.
    pub labels: Vec<u8>,
    /// How many.
    pub count: usize,
}

impl Images {
    /// Images of `shape` (channels, height, width), one byte a pixel, planes one
    /// after the other; a network is given `(pixel / 255 - mean) / std`, by channel.
    ///
    /// # Errors
    /// Pixels, labels, means or deviations that are not as many as they must be.
    pub fn new(
        shape: [usize; 3],
        pixels: Vec<u8>,
        labels: Vec<u8>,
        mean: &[f32],
        std: &[f32],
    ) -> Result<Images> {
        let each: usize = shape.iter().product();
        if labels.is_empty() || labels.len().checked_mul(each) != Some(pixels.len()) {
            return Err(Error::new(format!(
                "{} bytes of pixels are not {} images of {shape:?}",
                pixels.len(),
                labels.len()
            )));
        }
        if mean.len() != shape[0] || std.len() != shape[0] || std.iter().any(|s| *s <= 0.0) {
            return Err(Error::new(format!(
                "{} means and {} deviations (above 0) are not one for each of {} channels",
                mean.len(),
                std.len(),
                shape[0]
            )));
        }
        let normal = mean.iter().zip(std).map(|(m, s)| (*m, *s)).collect();
        Ok(Images {
            shape,
            pixels,
            labels,
            normal,
        })
    }

    /// Channels, height and width.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// How many; at least one.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Always false; for the sake of completeness.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The classes, image by image.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// The largest magnitude that a pixel can have once it is normalised.
    pub fn largest(&self) -> f32 {
        let ends = |(m, s): &(f32, f32)| (-m / s).abs().max(((1.0 - m) / s).abs());
        self.normal.iter().map(ends).fold(0.0, f32::max)
    }

    /// Images by their numbers, as they are.
    pub fn batch(&self, indices: &[usize]) -> Batch {
        self.make(indices, |_| (false, 0, 0))
    }

    /// Images by their numbers, augmented as `seed` and `epoch` have it.
    pub fn augmented(&self, indices: &[usize], augment: Augment, seed: u64, epoch: u64) -> Batch {
        self.make(indices, |index| {
            let mut random = Random::new(seed, &[2, epoch, index as u64]);
            let flip = augment.flip && random.below(2) == 1;
            let range = 2 * augment.shift as u64 + 1;
            let mut shift = || random.below(range) as isize - augment.shift as isize;
            (flip, shift(), shift())
        })
    }

    fn make(
        &self,
        indices: &[usize],
        change: impl Fn(usize) -> (bool, isize, isize) + Sync,
    ) -> Batch {
        let [channels, height, width] = self.shape;
        let (plane, each) = (height * width, channels * height * width);
        let mut images = vec![0.0; indices.len() * each];
        let one = |(out, &index): (&mut [f32], &usize)| {
            let (flip, down, across) = change(index);
            let pixels = &self.pixels[index * each..][..each];
            for (c, out) in out.chunks_exact_mut(plane).enumerate() {
                let (mean, std) = self.normal[c];
                let from = &pixels[c * plane..][..plane];
                for (y, line) in out.chunks_exact_mut(width).enumerate() {
                    let line_from = y
                        .checked_add_signed(-down)
                        .filter(|y| *y < height)
                        .map(|y| &from[y * width..][..width]);
                    for (x, out) in line.iter_mut().enumerate() {
                        let x = if flip { width - 1 - x } else { x };
                        let x = x.checked_add_signed(-across);
                        let pixel = line_from.zip(x).and_then(|(line, x)| line.get(x));
                        *out = (f32::from(pixel.copied().unwrap_or(0)) / 255.0 - mean) / std;
                    }
                }
            }
        };
        images
            .par_chunks_exact_mut(each)
            .zip(indices.par_iter())
            .for_each(one);
        Batch {
            images,
            labels: indices.iter().map(|&i| self.labels[i]).collect(),
            count: indices.len(),
        }
    }
}

//! A data set whose images are all in memory.

use super::{Dataset, Info};
use anyhow::{Result, ensure};

/// Images and labels of a data set.
#[derive(Clone, Debug)]
pub struct InMemory {
    info: Info,
    images: Vec<u8>,
    labels: Vec<u8>,
}

impl InMemory {
    /// A data set of these images, one after the other, each as
    /// [`Dataset::read`] gives it. Every label is an index into the classes.
    ///
    /// # Errors
    /// Bytes that are not one image for each label, no images, a label that is no class.
    pub fn new(info: Info, images: Vec<u8>, labels: Vec<u8>) -> Result<InMemory> {
        ensure!(!labels.is_empty(), "there are no images");
        ensure!(
            labels.len().checked_mul(info.pixels()) == Some(images.len()),
            "{} bytes of pixels are not {} images of {:?}",
            images.len(),
            labels.len(),
            info.shape
        );
        check_labels(&labels, info.classes.len())?;
        Ok(InMemory {
            info,
            images,
            labels,
        })
    }
}

/// Whether every label is a class.
pub fn check_labels(labels: &[u8], classes: usize) -> Result<()> {
    if let Some(i) = labels.iter().position(|&l| l as usize >= classes) {
        anyhow::bail!(
            "label {i} is {}, and there are {classes} classes (0 to {})",
            labels[i],
            classes - 1
        );
    }
    Ok(())
}

impl Dataset for InMemory {
    fn info(&self) -> &Info {
        &self.info
    }

    fn len(&self) -> usize {
        self.labels.len()
    }

    fn label(&self, index: usize) -> usize {
        self.labels[index] as usize
    }

    fn read(&self, index: usize, pixels: &mut [u8]) -> Result<()> {
        let len = self.info.pixels();
        pixels.copy_from_slice(&self.images[index * len..][..len]);
        Ok(())
    }
}

//! Images in the size that a network takes.
//!
//! Smaller images are padded with black on all sides alike (28x28 becomes 32x32),
//! grey ones become three equal channels. Nothing is cropped, scaled or turned
//! grey: a network for other images is another network.

use super::{Dataset, Info};
use anyhow::{Result, ensure};

struct Fitted {
    inner: Box<dyn Dataset>,
    info: Info,
}

/// `set` with images of `shape` (channels, height, width).
///
/// # Errors
/// Images that are larger, or whose channels cannot become these.
pub fn fit(set: Box<dyn Dataset>, shape: [usize; 3]) -> Result<Box<dyn Dataset>> {
    let have = set.info().shape;
    if have == shape {
        return Ok(set);
    }
    let [channels, height, width] = shape;
    ensure!(
        have[0] == channels || have[0] == 1,
        "its images have {} channels, the network takes {channels}",
        have[0]
    );
    ensure!(
        have[1] <= height && have[2] <= width,
        "its images have {}x{} pixels, the network takes {height}x{width}: it needs at least as many",
        have[1],
        have[2]
    );
    let mut info = set.info().clone();
    info.shape = shape;
    if have[0] < channels {
        info.mean = vec![info.mean[0]; channels];
        info.std = vec![info.std[0]; channels];
    }
    Ok(Box::new(Fitted { inner: set, info }))
}

impl Dataset for Fitted {
    fn info(&self) -> &Info {
        &self.info
    }

    fn len(&self) -> usize {
        self.inner.len()
    }

    fn label(&self, index: usize) -> usize {
        self.inner.label(index)
    }

    fn read(&self, index: usize, pixels: &mut [u8]) -> Result<()> {
        let [channels, height, width] = self.info.shape;
        let [from_channels, h, w] = self.inner.info().shape;
        assert_eq!(pixels.len(), channels * height * width);
        let mut small = vec![0; from_channels * h * w];
        self.inner.read(index, &mut small)?;
        pixels.fill(0);
        let (top, left) = ((height - h) / 2, (width - w) / 2);
        for (c, plane) in pixels.chunks_exact_mut(height * width).enumerate() {
            let from = &small[c % from_channels * h * w..][..h * w];
            for (y, row) in from.chunks_exact(w).enumerate() {
                plane[(top + y) * width + left..][..w].copy_from_slice(row);
            }
        }
        Ok(())
    }
}

//! The data set that is built in: handwritten digits of 8x8 pixels.
//! `assets/digits/README.md` tells where they are from.

use super::catalogue::Entry;
use super::memory::InMemory;
use super::{Split, catalogue};
use anyhow::Result;
use std::path::Path;

const TRAIN: [&[u8]; 2] = [
    include_bytes!("../../assets/digits/train_images.bin"),
    include_bytes!("../../assets/digits/train_labels.bin"),
];
const TEST: [&[u8]; 2] = [
    include_bytes!("../../assets/digits/test_images.bin"),
    include_bytes!("../../assets/digits/test_labels.bin"),
];

/// The built-in images. There is nothing to look for, so `_data_dir` is not read.
pub(super) fn open(entry: &Entry, split: Split, _data_dir: Option<&Path>) -> Result<InMemory> {
    let [images, labels] = match split {
        Split::Train => TRAIN,
        Split::Test => TEST,
    };
    // The file's pixels are 0 to 16.
    let images = images.iter().map(|&p| (p as u16 * 255 / 16) as u8);
    InMemory::new(
        catalogue::info(entry, split),
        images.collect(),
        labels.to_vec(),
    )
}

//! CIFAR-10 and CIFAR-100 in their binary form.
//!
//! A file is a row of records without a header: the label (one byte; CIFAR-100 has
//! the coarse label before the fine one, which is the class here), then 3,072 pixels:
//! 32x32 for red, green and blue.
//! Source: <https://www.cs.toronto.edu/~kriz/cifar.html>.

use super::catalogue::{self, Entry};
use super::memory::{self, InMemory};
use super::{Split, locate};
use anyhow::{Context, Result, ensure};
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Pixels of an image.
const PIXELS: usize = 3 * 32 * 32;
/// More than any file has (30 million bytes).
const MAX_BYTES: u64 = 1 << 30;

/// The files of CIFAR-10.
pub(super) fn cifar10_files(split: Split) -> &'static [&'static str] {
    match split {
        Split::Train => &[
            "data_batch_1.bin",
            "data_batch_2.bin",
            "data_batch_3.bin",
            "data_batch_4.bin",
            "data_batch_5.bin",
        ],
        Split::Test => &["test_batch.bin"],
    }
}

/// The file of CIFAR-100.
pub(super) fn cifar100_files(split: Split) -> &'static [&'static str] {
    match split {
        Split::Train => &["train.bin"],
        Split::Test => &["test.bin"],
    }
}

/// Reads CIFAR-10.
pub(super) fn open10(entry: &Entry, split: Split, data_dir: Option<&Path>) -> Result<InMemory> {
    open(entry, split, data_dir, 1)
}

/// Reads CIFAR-100.
pub(super) fn open100(entry: &Entry, split: Split, data_dir: Option<&Path>) -> Result<InMemory> {
    open(entry, split, data_dir, 2)
}

/// Reads records with `labels` bytes before the pixels, the last of them the class.
fn open(entry: &Entry, split: Split, data_dir: Option<&Path>, labels: usize) -> Result<InMemory> {
    let (mut images, mut classes) = (Vec::new(), Vec::new());
    for path in locate::files(entry, (entry.names)(split), data_dir)? {
        let mut read = || -> Result<()> {
            let bytes = read(&path)?;
            let record = labels + PIXELS;
            ensure!(!bytes.is_empty(), "it is empty");
            ensure!(
                bytes.len() % record == 0,
                "it has {} bytes, which is no whole number of records of {record}",
                bytes.len()
            );
            let first = classes.len();
            for record in bytes.chunks_exact(record) {
                classes.push(record[labels - 1]);
                images.extend(&record[labels..]);
            }
            memory::check_labels(&classes[first..], entry.classes.len())
        };
        read().with_context(|| locate::damaged(entry, &path))?;
    }
    InMemory::new(catalogue::info(entry, split), images, classes)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let file = File::open(path).context("cannot open it")?;
    let mut bytes = Vec::new();
    let source: &mut dyn Read = if path.extension().is_some_and(|e| e == "gz") {
        &mut MultiGzDecoder::new(file)
    } else {
        &mut { file }
    };
    source
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .context("cannot read it to the end")?;
    ensure!(
        bytes.len() as u64 <= MAX_BYTES,
        "it has more bytes than any such file"
    );
    Ok(bytes)
}

#[cfg(test)]
mod tests;

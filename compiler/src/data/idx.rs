//! IDX, the format of MNIST and of the data sets that copied it, plain or gzipped.
//!
//! A file starts with two zero bytes, the element type (8: unsigned bytes) and the
//! number of dimensions, then each dimension as a big-endian `u32`, then the
//! elements. Source: <http://yann.lecun.com/exdb/mnist/>.

use super::Split;
use super::catalogue::{self, Entry};
use super::locate;
use super::memory::{self, InMemory};
use anyhow::{Context, Result, bail, ensure};
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// Largest number of bytes that a file may declare: far above any real one
/// (MNIST has 47 million), and small enough to be read into memory.
const MAX_BYTES: u64 = 1 << 32;

/// Names of images and labels in a folder, without `.gz`.
pub(super) fn file_names(split: Split) -> &'static [&'static str] {
    match split {
        Split::Train => &["train-images-idx3-ubyte", "train-labels-idx1-ubyte"],
        Split::Test => &["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"],
    }
}

/// Reads the two files of a split.
pub(super) fn open(entry: &Entry, split: Split, data_dir: Option<&Path>) -> Result<InMemory> {
    let paths = locate::files(entry, (entry.names)(split), data_dir)?;
    let [images_path, labels_path] = <[_; 2]>::try_from(paths)
        .ok()
        .context("two files were asked for")?;
    let remedy = |path: &Path| locate::damaged(entry, path);
    let (dims, images) = read(&images_path, 3).with_context(|| remedy(&images_path))?;
    let [_, height, width] = entry.shape;
    ensure!(
        dims[1..] == [height, width],
        "{}: its images have {}x{} pixels, those of {:?} {height}x{width}; {}",
        images_path.display(),
        dims[1],
        dims[2],
        entry.name,
        locate::replace(entry)
    );
    let (count, labels) = read(&labels_path, 1).with_context(|| remedy(&labels_path))?;
    ensure!(
        count[0] == dims[0],
        "{} has {} images, {} has {} labels: they do not belong together; {}",
        images_path.display(),
        dims[0],
        labels_path.display(),
        count[0],
        locate::replace(entry)
    );
    memory::check_labels(&labels, entry.classes.len()).with_context(|| remedy(&labels_path))?;
    InMemory::new(catalogue::info(entry, split), images, labels)
}

/// Dimensions and bytes of a file of unsigned bytes with `rank` dimensions.
fn read(path: &Path, rank: usize) -> Result<(Vec<usize>, Vec<u8>)> {
    let file = File::open(path).context("cannot open it")?;
    let file = BufReader::new(file);
    if path.extension().is_some_and(|e| e == "gz") {
        parse(MultiGzDecoder::new(file), rank)
    } else {
        parse(file, rank)
    }
}

/// As [`read`], from any source. Never holds more than the header declares.
fn parse(mut source: impl Read, rank: usize) -> Result<(Vec<usize>, Vec<u8>)> {
    let mut word = || -> Result<u32> {
        let mut bytes = [0; 4];
        source
            .read_exact(&mut bytes)
            .context("its header ends early")?;
        Ok(u32::from_be_bytes(bytes))
    };
    let (magic, expected) = (word()?, 0x800 | rank as u32);
    ensure!(
        magic == expected,
        "it starts with {magic:#010x}, an IDX file of bytes in {rank} dimensions with {expected:#010x}"
    );
    let dims: Vec<usize> = (0..rank)
        .map(|_| Ok(word()? as usize))
        .collect::<Result<_>>()?;
    let len = dims
        .iter()
        .try_fold(1u64, |len, &d| len.checked_mul(d as u64))
        .filter(|&len| len <= MAX_BYTES);
    let Some(len) = len else {
        bail!("its header says {dims:?}, more than any such file has");
    };
    ensure!(len > 0, "its header says {dims:?}: it holds nothing");
    let mut bytes = Vec::new();
    // One byte more, so that a longer file is noticed and a gzip checksum read.
    source
        .take(len + 1)
        .read_to_end(&mut bytes)
        .context("its data cannot be read to the end")?;
    ensure!(
        bytes.len() as u64 >= len,
        "its header says {len} bytes of data, and {} are there",
        bytes.len()
    );
    ensure!(
        bytes.len() as u64 == len,
        "its header says {len} bytes of data, and more are there"
    );
    Ok((dims, bytes))
}

#[cfg(test)]
mod tests;

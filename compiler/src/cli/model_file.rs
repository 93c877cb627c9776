//! Opening a `.tern` file for a command.

use anyhow::{Context, Result, bail};
use memmap2::Mmap;
use std::fs::File;
use std::path::Path;
use ternrt::Model;

/// Maps a file into memory.
pub fn map(path: &Path) -> Result<Mmap> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let meta = file
        .metadata()
        .with_context(|| format!("cannot read {}", path.display()))?;
    if meta.is_dir() {
        bail!("{} is a directory; give a .tern file", path.display());
    }
    if meta.len() == 0 {
        bail!("{} is empty; compile the model again", path.display());
    }
    // SAFETY: the map is read-only. Another process that changes the file while
    // it is mapped could change the bytes under us; every command documents that
    // a model must not be altered while it is in use.
    unsafe { Mmap::map(&file) }.with_context(|| format!("cannot map {}", path.display()))
}

/// Checks a mapped file.
pub fn model<'a>(path: &Path, bytes: &'a [u8]) -> Result<Model<'a>> {
    Model::new(bytes).map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))
}

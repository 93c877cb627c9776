//! Downloads of the [`catalogue`](super::catalogue)'s data sets.

use super::catalogue::Entry;
use super::download::{self, Patience};
use super::{Split, locate};
use crate::pipeline::Progress;
use anyhow::{Context, Result, bail, ensure};
use flate2::read::GzDecoder;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

/// Largest member of an archive that is unpacked; the real ones have 150 million bytes.
const MAX_MEMBER: u64 = 1 << 30;

/// Downloads a set's files to `data_dir/NAME`, by default to
/// the cache ([`locate::cache_dir`]), and unpacks archives. Returns the folder. What is
/// there and right is not downloaded again.
///
/// # Errors
/// A set that is built in, an address that fails, a file that is not the expected one.
pub fn fetch(
    entry: &Entry,
    data_dir: Option<&Path>,
    patience: &Patience,
    progress: &dyn Progress,
) -> Result<PathBuf> {
    ensure!(
        !entry.remote.is_empty(),
        "the data set {:?} is built in: there is nothing to fetch",
        entry.name
    );
    let root = match data_dir {
        Some(dir) => dir.to_path_buf(),
        None => locate::cache_dir("data")?,
    };
    let folder = root.join(entry.name);
    for remote in entry.remote {
        let wanted: Vec<&str> = [Split::Train, Split::Test]
            .into_iter()
            .flat_map(|s| (entry.names)(s))
            .copied()
            .collect();
        let archive = remote.name.ends_with(".tar.gz");
        if archive && wanted.iter().all(|name| folder.join(name).is_file()) {
            continue;
        }
        let path = download::fetch(remote, &folder, patience, progress)?;
        if archive {
            progress.stage(&format!("unpacking {}", remote.name), None);
            unpack(&path, &wanted, &folder)
                .with_context(|| format!("cannot unpack {}", path.display()))?;
            // What was in it is there, and the archive as large again.
            std::fs::remove_file(&path)
                .with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(folder)
}

/// Writes the members of an archive whose file names are `wanted` into `folder`,
/// whatever folders the archive has them in.
fn unpack(archive: &Path, wanted: &[&str], folder: &Path) -> Result<()> {
    let file = BufReader::new(File::open(archive)?);
    let mut archive = tar::Archive::new(GzDecoder::new(file));
    let mut missing = wanted.to_vec();
    for member in archive.entries()? {
        let member = member?;
        let path = member.path()?.into_owned();
        let name = path
            .file_name()
            .and_then(|n| n.to_str())
            .unwrap_or_default();
        if !member.header().entry_type().is_file() || !wanted.contains(&name) {
            continue;
        }
        let size = member.size();
        ensure!(size <= MAX_MEMBER, "{name} would have {size} bytes");
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        let written = std::io::copy(&mut member.take(size), &mut file)?;
        ensure!(written == size, "{name} ends early");
        file.flush()?;
        file.persist(folder.join(name)).map_err(|e| e.error)?;
        missing.retain(|m| *m != name);
    }
    if let Some(name) = missing.first() {
        bail!("there is no {name} in it");
    }
    Ok(())
}

#[cfg(test)]
mod tests;

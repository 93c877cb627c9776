//! Where the files of a data set are.
//!
//! With `--data-dir DIR`: in `DIR/NAME`, in `DIR` itself, or in the folder below it
//! that torchvision or the set's own archive makes, and nowhere else. Without: in
//! the cache ([`cache_dir`] for `data`), then where the system's packages put them. A file may be
//! gzipped wherever its name with `.gz` is looked for too.

use super::catalogue::Entry;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// Where downloads of a kind are kept: `$XDG_CACHE_HOME/tern/KIND`, by default
/// `~/.cache/tern/KIND`.
///
/// # Errors
/// Neither `XDG_CACHE_HOME` nor `HOME` is an absolute path.
pub fn cache_dir(kind: &str) -> Result<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|p| p.is_absolute())
    };
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join("tern").join(kind))
        .context("there is no cache directory: set HOME or XDG_CACHE_HOME")
}

/// The folders that may hold a set's files, in the order they are looked at.
fn folders(entry: &Entry, data_dir: Option<&Path>) -> Result<Vec<PathBuf>> {
    let below = |dir: &Path| {
        let inner = entry.folders.iter().map(|f| dir.join(f));
        [dir.join(entry.name), dir.to_path_buf()]
            .into_iter()
            .chain(inner)
            .collect::<Vec<_>>()
    };
    if let Some(dir) = data_dir {
        if !dir.is_dir() {
            bail!("--data-dir {}: there is no such folder", dir.display());
        }
        return Ok(below(dir));
    }
    let mut all = cache_dir("data")
        .map(|d| below(&d.join(entry.name)))
        .unwrap_or_default();
    all.extend(entry.system.iter().map(PathBuf::from));
    Ok(all)
}

/// Paths of these files of a set, all in one folder.
///
/// # Errors
/// No folder has them all: how to get them.
pub fn files(entry: &Entry, names: &[&str], data_dir: Option<&Path>) -> Result<Vec<PathBuf>> {
    let mut partly = None;
    for folder in folders(entry, data_dir)? {
        let found: Vec<Option<PathBuf>> = names
            .iter()
            .map(|name| {
                let plain = folder.join(name);
                let gzipped = folder.join(format!("{name}.gz"));
                [plain, gzipped].into_iter().find(|p| p.is_file())
            })
            .collect();
        if let Some(all) = found.iter().cloned().collect() {
            return Ok(all);
        }
        let missing = names.iter().zip(&found).find(|(_, f)| f.is_none());
        if let (Some((name, _)), true) = (missing, found.iter().any(Option::is_some)) {
            partly.get_or_insert_with(|| folder.join(name));
        }
    }
    let what = match (&partly, data_dir) {
        (Some(path), _) => format!("{} is missing", path.display()),
        (None, Some(dir)) => format!(
            "the data set {:?} is not in {} (looked for {} there, plain or .gz)",
            entry.name,
            dir.display(),
            names[0]
        ),
        (None, None) => format!("the data set {:?} is not on this machine", entry.name),
    };
    bail!("{what}: {}", obtain(entry))
}

/// How to get a set's files, as the end of a sentence.
fn obtain(entry: &Entry) -> String {
    let package = entry
        .package
        .map(|p| format!(", on Debian `apt install {p}`"))
        .unwrap_or_default();
    format!(
        "`ternc data fetch {}` gets it{package}, or give --data-dir the folder that holds its files",
        entry.name
    )
}

/// What is wrong with a damaged file, as the beginning of a sentence.
pub fn damaged(entry: &Entry, path: &Path) -> String {
    format!(
        "{} is damaged or no file of {:?} ({})",
        path.display(),
        entry.name,
        replace(entry)
    )
}

/// What to do about a damaged file.
pub fn replace(entry: &Entry) -> String {
    format!("delete it; {}", obtain(entry))
}

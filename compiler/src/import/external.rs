//! External data: weights that lie in files next to the model.

use anyhow::{Result, anyhow, bail, ensure};
use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path};
use tract_onnx::pb::TensorProto;

/// Checks that a tensor's external data is there and long enough for `bytes`.
pub(super) fn check(tensor: &TensorProto, bytes: u64, directory: Option<&Path>) -> Result<()> {
    let entry = |key: &str| {
        tensor
            .external_data
            .iter()
            .find(|e| e.key == key)
            .map(|e| e.value.as_str())
    };
    let location = entry("location").ok_or_else(|| anyhow!("is external but names no file"))?;
    let Some(directory) = directory else {
        bail!("is stored in the external file \"{location}\": import the model by its path");
    };
    let inside = Path::new(location)
        .components()
        .all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    ensure!(
        inside,
        "is stored in \"{location}\", which is outside of the model's directory"
    );
    let path = directory.join(location);
    let length = match fs::metadata(&path) {
        Ok(m) if m.is_file() => m.len(),
        Ok(_) => bail!("is stored in {}, which is not a file", path.display()),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            bail!(
                "is stored in {}, which does not exist: keep the model's external data next to it",
                path.display()
            )
        }
        Err(e) => bail!("is stored in {}, which cannot be read: {e}", path.display()),
    };
    let number = |key: &str| match entry(key) {
        Some(text) => text
            .parse::<u64>()
            .map(Some)
            .map_err(|_| anyhow!("has external data with {key} \"{text}\"")),
        None => Ok(None),
    };
    let offset = number("offset")?.unwrap_or(0);
    let stored = number("length")?.unwrap_or_else(|| length.saturating_sub(offset));
    ensure!(
        offset.checked_add(stored).is_some_and(|end| end <= length),
        "is stored in {} from byte {offset}, {stored} bytes, but the file has {length} bytes",
        path.display()
    );
    ensure!(
        stored == bytes,
        "has dimensions {:?}, {bytes} bytes, but {} stores {stored} for it",
        tensor.dims,
        path.display()
    );
    Ok(())
}

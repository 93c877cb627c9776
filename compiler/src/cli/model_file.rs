//! Opening a model for a command: a file, or a trained network by its name.

use crate::host::Aligned;
use crate::pipeline::{self, CompileOptions, Silent};
use crate::zoo::registry;
use anyhow::{Context, Result, bail};
use memmap2::Mmap;
use std::fs::File;
use std::path::{Path, PathBuf};
use ternrt::Model;

/// A compiled model: a `.tern` file, one made from an ONNX file, or a trained network.
pub struct Opened {
    path: PathBuf,
    bytes: Bytes,
}

enum Bytes {
    Mapped(Mmap),
    Made(Aligned),
}

/// Maps a `.tern` file, takes a trained network by its name, or compiles an `.onnx`
/// file with all activations as f32.
pub fn open(path: &Path) -> Result<Opened> {
    open_shaped(path, &[])
}

/// As [`open`], with shapes for inputs whose dimensions an `.onnx` file leaves open.
pub fn open_shaped(path: &Path, input_shapes: &[(String, Vec<usize>)]) -> Result<Opened> {
    let is_onnx = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("onnx"));
    if !is_onnx {
        return open_compiled(path);
    }
    let options = CompileOptions {
        golden: false,
        input_shapes: input_shapes.to_vec(),
        ..CompileOptions::default()
    };
    let compiled = pipeline::compile(path, &options, &Silent)?;
    Ok(Opened {
        path: path.to_owned(),
        bytes: Bytes::Made(Aligned::new(&compiled.bytes)),
    })
}

/// Maps a `.tern` file, or takes a trained network by its name.
pub fn open_compiled(path: &Path) -> Result<Opened> {
    let bytes = match name(path) {
        Some(name) => {
            let entries = registry::entries(None)?;
            let entry = registry::find(&entries, name)
                .with_context(|| format!("there is no file {name:?}"))?;
            Bytes::Made(Aligned::new(&entry.read()?))
        }
        None => Bytes::Mapped(map(path)?),
    };
    Ok(Opened {
        path: path.to_owned(),
        bytes,
    })
}

/// What may be a trained network's name: no such file is there, nor could it be meant,
/// for want of a folder and an extension.
fn name(path: &Path) -> Option<&str> {
    let name = path.to_str()?;
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (!name.is_empty() && name.chars().all(letter) && !path.exists()).then_some(name)
}

impl Opened {
    /// The file's bytes.
    pub fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Mapped(map) => map,
            Bytes::Made(aligned) => aligned.bytes(),
        }
    }

    /// The checked model.
    pub fn model(&self) -> Result<Model<'_>> {
        Model::new(self.bytes()).map_err(|e| anyhow::anyhow!("{}: {e}", self.path.display()))
    }
}

/// Maps a file into memory.
fn map(path: &Path) -> Result<Mmap> {
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

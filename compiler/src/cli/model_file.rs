//! Opening a model for a command.

use crate::host::Aligned;
use crate::pipeline::{self, CompileOptions, Silent};
use anyhow::{Context, Result, bail};
use memmap2::Mmap;
use std::fs::File;
use std::path::{Path, PathBuf};
use ternrt::Model;

/// A compiled model, from a `.tern` file or made from an ONNX file.
pub struct Opened {
    path: PathBuf,
    bytes: Bytes,
}

enum Bytes {
    Mapped(Mmap),
    Made(Aligned),
}

/// Maps a `.tern` file, or compiles an `.onnx` file with all activations as f32.
pub fn open(path: &Path) -> Result<Opened> {
    open_shaped(path, &[])
}

/// As [`open`], with shapes for inputs whose dimensions an `.onnx` file leaves open.
pub fn open_shaped(path: &Path, input_shapes: &[(String, Vec<usize>)]) -> Result<Opened> {
    let is_onnx = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("onnx"));
    let bytes = if is_onnx {
        let options = CompileOptions {
            golden: false,
            input_shapes: input_shapes.to_vec(),
            ..CompileOptions::default()
        };
        let compiled = pipeline::compile(path, &options, &Silent)?;
        Bytes::Made(Aligned::new(&compiled.bytes))
    } else {
        Bytes::Mapped(map(path)?)
    };
    Ok(Opened {
        path: path.to_owned(),
        bytes,
    })
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
        model(&self.path, self.bytes())
    }
}

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

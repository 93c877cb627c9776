//! Checkpoints: a training's whole state in a safetensors file.

use crate::engine::{Tensor, Tensors};
use crate::{Error, Result};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;

/// Everything that a training goes on from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    /// Parameters, momenta and clips.
    pub tensors: Tensors,
    /// Texts by name: `step`, and what the program adds.
    pub metadata: BTreeMap<String, String>,
}

impl Checkpoint {
    /// Writes a file beside `path` and, once all of it is on the disk, gives it that
    /// name: whoever is killed meanwhile leaves the file before.
    ///
    /// # Errors
    /// What the file system says, with the path.
    pub fn save(&self, path: &Path) -> Result<()> {
        let fail = |e: &dyn std::fmt::Display| {
            Error::new(format!(
                "cannot write the checkpoint {}: {e}",
                path.display()
            ))
        };
        let bytes: Vec<(&String, &Tensor, Vec<u8>)> = self
            .tensors
            .iter()
            .map(|(name, t)| {
                (
                    name,
                    t,
                    t.data.iter().flat_map(|v| v.to_le_bytes()).collect(),
                )
            })
            .collect();
        let views = bytes
            .iter()
            .map(|(name, t, bytes)| {
                TensorView::new(Dtype::F32, t.shape.clone(), bytes).map(|view| (*name, view))
            })
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(|e| fail(&e))?;
        let metadata: HashMap<String, String> = self.metadata.clone().into_iter().collect();
        let file = safetensors::serialize(views, Some(metadata)).map_err(|e| fail(&e))?;
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let mut temporary = tempfile::NamedTempFile::new_in(folder).map_err(|e| fail(&e))?;
        temporary.write_all(&file).map_err(|e| fail(&e))?;
        temporary.as_file().sync_all().map_err(|e| fail(&e))?;
        temporary.persist(path).map_err(|e| fail(&e.error))?;
        Ok(())
    }

    /// Reads a file.
    ///
    /// # Errors
    /// A file that is missing, cut off or no safetensors file, or has other elements
    /// than 32-bit floats.
    pub fn load(path: &Path) -> Result<Checkpoint> {
        let fail = |what: String| Error::new(format!("checkpoint {}: {what}", path.display()));
        let bytes = std::fs::read(path).map_err(|e| fail(format!("cannot be read: {e}")))?;
        let damaged = |e: safetensors::SafeTensorError| {
            fail(format!(
                "is damaged or no safetensors file ({e}); go on from another one"
            ))
        };
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let file = SafeTensors::deserialize(&bytes).map_err(damaged)?;
        let mut tensors = Tensors::new();
        for (name, view) in file.iter() {
            if view.dtype() != Dtype::F32 {
                return Err(fail(format!(
                    "{name:?} has elements of type {:?}, must have F32",
                    view.dtype()
                )));
            }
            let data = view.data().as_chunks::<4>().0.iter();
            let tensor = Tensor {
                shape: view.shape().to_vec(),
                data: data.map(|b| f32::from_le_bytes(*b)).collect(),
            };
            tensors.insert(name.to_owned(), tensor);
        }
        Ok(Checkpoint {
            tensors,
            metadata: metadata.into_iter().collect(),
        })
    }

    /// The steps that were made.
    ///
    /// # Errors
    /// A file that is not from a training.
    pub fn step(&self) -> Result<u64> {
        let step = self.metadata.get("step").and_then(|s| s.parse().ok());
        step.ok_or_else(|| {
            Error::new(
                "the checkpoint does not say at what step it was made: it holds weights alone",
            )
        })
    }
}

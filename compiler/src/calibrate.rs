//! Ranges of activations over samples, for static scales.

use crate::ir::{Graph, Op, Tensor, ValueId};
use crate::ops::run_graph_observing;
use crate::passes::quantize_activations::Ranges;
use crate::pipeline::Progress;
use anyhow::{Context, Result, bail, ensure};
use npyz::{NpyFile, Order};
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use ternrt::DType;

/// Where the largest magnitudes of values come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Calibration {
    /// Inputs of the model to compute them with: an `.npz` file with an array for
    /// each input (of the input's shape, or with a leading dimension that counts
    /// samples), an `.npy` file for a model of one input, or a directory of such files.
    Samples(PathBuf),
    /// They are known, as after training: by the value's name, which is that of
    /// the node that computes it or of the graph's input.
    Known(BTreeMap<String, f32>),
}

impl Calibration {
    /// Largest magnitude of each watched value.
    ///
    /// # Errors
    /// A file that cannot be read, an array that is missing or does not fit; a
    /// value of which nothing is known.
    pub fn ranges(
        &self,
        graph: &Graph,
        watched: &HashSet<ValueId>,
        progress: &dyn Progress,
    ) -> Result<Ranges> {
        match self {
            Calibration::Samples(path) => sampled(graph, path, watched, progress),
            Calibration::Known(known) => {
                let range = |&id: &ValueId| {
                    let range = known_range(graph, known, id).with_context(|| {
                        format!("no range is known for {:?}", graph.value(id).name)
                    })?;
                    Ok((id, range))
                };
                watched.iter().map(range).collect()
            }
        }
    }
}

/// The range of a value, or of the one that it is a rearrangement or pool of.
fn known_range(graph: &Graph, known: &BTreeMap<String, f32>, id: ValueId) -> Option<f32> {
    let producers = graph.producers();
    let mut at = id;
    loop {
        let input = graph.inputs.iter().find(|(_, id)| *id == at);
        let name = input.map_or(&graph.value(at).name, |(name, _)| name);
        if let Some(&range) = known.get(name) {
            return Some(range);
        }
        let node = &graph.nodes[producers[at.0]?.0];
        match node.op {
            Op::Transpose(_) | Op::Reshape(_) | Op::MaxPool(_) => at = node.inputs[0]?,
            _ => return None,
        }
    }
}

/// An array of a file.
struct Array {
    shape: Vec<usize>,
    values: Vec<f32>,
}

fn sampled(
    graph: &Graph,
    path: &Path,
    watched: &HashSet<ValueId>,
    progress: &dyn Progress,
) -> Result<Ranges> {
    let samples = samples(graph, path)?;
    ensure!(
        !samples.is_empty(),
        "--calibrate {}: no samples",
        path.display()
    );
    progress.stage("calibrating", Some(samples.len() as u64));
    let mut ranges = Ranges::new();
    for (i, inputs) in samples.iter().enumerate() {
        run_graph_observing(graph, inputs, &mut |id, tensor| {
            if let (true, Some(values)) = (watched.contains(&id), tensor.as_f32()) {
                let max = values
                    .iter()
                    .fold(0f32, |m, v| if v.abs() > m { v.abs() } else { m });
                let range = ranges.entry(id).or_insert(0.0);
                *range = range.max(max);
            }
        })
        .with_context(|| format!("--calibrate {}: sample {i}", path.display()))?;
        progress.advance(i as u64 + 1);
    }
    Ok(ranges)
}

/// The inputs of each sample.
fn samples(graph: &Graph, path: &Path) -> Result<Vec<Vec<Tensor>>> {
    let meta = std::fs::metadata(path)
        .with_context(|| format!("--calibrate: cannot read {}", path.display()))?;
    let mut files = vec![path.to_path_buf()];
    if meta.is_dir() {
        files = std::fs::read_dir(path)
            .with_context(|| format!("--calibrate: cannot read {}", path.display()))?
            .filter_map(|e| Some(e.ok()?.path()))
            .filter(|p| p.extension().is_some_and(|e| e == "npy" || e == "npz"))
            .collect();
        files.sort();
        ensure!(
            !files.is_empty(),
            "--calibrate {}: the directory has no .npy or .npz files",
            path.display()
        );
    }
    let mut samples = Vec::new();
    for file in files {
        samples.extend(file_samples(graph, &file)?);
    }
    Ok(samples)
}

fn file_samples(graph: &Graph, path: &Path) -> Result<Vec<Vec<Tensor>>> {
    let at = || format!("--calibrate {}", path.display());
    let mut arrays = BTreeMap::new();
    if path.extension().is_some_and(|e| e == "npz") {
        let mut npz = npyz::npz::NpzArchive::open(path).with_context(at)?;
        let names: Vec<String> = npz.array_names().map(|n| format!("{n:?}")).collect();
        for (name, _) in &graph.inputs {
            let found = npz.by_name(name).with_context(at)?;
            let Some(npy) = found else {
                bail!(
                    "{}: no array for input {name:?}; the file has {}",
                    at(),
                    names.join(", ")
                );
            };
            arrays.insert(name.clone(), read(npy).with_context(at)?);
        }
    } else {
        let [(name, _)] = graph.inputs.as_slice() else {
            bail!(
                "{}: an .npy file serves a model of one input; this has {}: use .npz",
                at(),
                graph.inputs.len()
            );
        };
        let npy =
            NpyFile::new(BufReader::new(File::open(path).with_context(at)?)).with_context(at)?;
        arrays.insert(name.clone(), read(npy).with_context(at)?);
    }
    let mut counts = Vec::new();
    for (name, id) in &graph.inputs {
        let (ty, array) = (graph.ty(*id), &arrays[name]);
        ensure!(
            ty.dtype == DType::F32,
            "{}: input {name:?} is {}, calibration takes f32 inputs",
            at(),
            ty.dtype.name()
        );
        let count = match array.shape.split_first() {
            _ if array.shape == ty.shape => 1,
            Some((&n, rest)) if rest == ty.shape => n,
            // A batch of one in the model: the samples may stand in its place.
            Some((&n, rest)) if ty.shape.split_first() == Some((&1, rest)) => n,
            _ => bail!(
                "{}: input {name:?} has shape {:?}, the array {:?}",
                at(),
                ty.shape,
                array.shape
            ),
        };
        counts.push(count);
    }
    let count = counts.iter().copied().min().unwrap_or(0);
    ensure!(
        counts.iter().all(|&c| c == count),
        "{}: the arrays hold {counts:?} samples: not the same number",
        at()
    );
    let sample = |i: usize| {
        let part = |(name, id): &(String, ValueId)| {
            let ty = graph.ty(*id);
            let len = ty.elements();
            Tensor::f32(
                ty.shape.clone(),
                arrays[name].values[i * len..(i + 1) * len].to_vec(),
            )
        };
        graph.inputs.iter().map(part).collect()
    };
    Ok((0..count).map(sample).collect())
}

fn read(npy: NpyFile<impl Read>) -> Result<Array> {
    let shape: Vec<usize> = npy.shape().iter().map(|&d| d as usize).collect();
    ensure!(
        npy.order() == Order::C || shape.len() < 2,
        "Fortran order; save it with numpy.ascontiguousarray"
    );
    let values = match npy.dtype().descr().trim_matches('\'') {
        "<f4" => npy.into_vec::<f32>()?,
        "<f8" => npy
            .into_vec::<f64>()?
            .into_iter()
            .map(|v| v as f32)
            .collect(),
        "|u1" => npy.into_vec::<u8>()?.into_iter().map(f32::from).collect(),
        other => bail!("dtype {other}; calibration takes float32, float64 or uint8"),
    };
    Ok(Array { shape, values })
}

//! From a trained network to a file, measured by the runtime.

use super::Config;
use crate::calibrate::Calibration;
use crate::data::Dataset;
use crate::emit::write_atomically;
use crate::evaluate;
use crate::import::network::import;
use crate::passes::ActivationMode;
use crate::pipeline::{CompileOptions, Silent, compile_graph};
use crate::report::accuracy::{Named, measure};
use anyhow::{Context, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tern_network::Network;
use tern_train::{Activations, Cpu, Engine, Policy, Tensors, predict, quantise_weights, rounded};

/// What a training came to.
#[derive(Clone, Debug, Serialize)]
pub struct Finished {
    /// The compiled model.
    pub model: PathBuf,
    /// Its size.
    pub file_bytes: u64,
    /// Held-out images.
    pub images: usize,
    /// Share of them that the compiled model sees as what they are.
    pub top1: f64,
    /// The same of the trainer's own evaluation.
    pub trainer_top1: f64,
    /// Images that the two see as different classes.
    pub disagree: usize,
    /// The largest distance between the two best classes' logits, as the trainer has
    /// them, of those images; 0 without any.
    pub widest_disagreement: f32,
}

/// Compiles a network with its parameters (as trained: dense) and clips. `metadata`
/// goes into the file.
///
/// # Errors
/// A parameter or a clip that is missing.
pub fn compile(
    network: &Network,
    policy: &Policy,
    tensors: &Tensors,
    input_clip: f32,
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>> {
    let mut tensors = tensors.clone();
    quantise_weights(network, policy, &mut tensors)?;
    let graph = import(network, |name| tensors.get(name).map(|t| t.data.as_slice()))?;
    let mut options = CompileOptions {
        activations: match policy.activations {
            Activations::F32 => ActivationMode::F32,
            Activations::I8 => ActivationMode::I8,
            Activations::I7 => ActivationMode::I7,
        },
        metadata: metadata.clone(),
        ..CompileOptions::default()
    };
    if policy.activations != Activations::F32 {
        options.ternarise.int8 = true;
        let mut known = BTreeMap::new();
        let rounded = rounded(network, policy.activations);
        for (n, node) in network.nodes().iter().enumerate() {
            if n == 0 {
                known.insert(crate::import::network::INPUT.to_owned(), input_clip);
            } else if rounded[n] {
                let clip = tensors.get(&format!("clip.{}", node.name));
                let clip = clip.and_then(|t| t.data.first());
                let clip = clip.with_context(|| format!("no range of {:?} is known", node.name))?;
                known.insert(node.name.clone(), *clip);
            }
        }
        options.calibrate = Some(Calibration::Known(known));
    }
    Ok(compile_graph(graph, network.name(), &options, &Silent)?.bytes)
}

pub(super) fn finish(
    config: &Config,
    dir: &Path,
    network: &Network,
    policy: &Policy,
    state: &Tensors,
    test: &dyn Dataset,
) -> Result<Finished> {
    let images = super::images(test)?;
    let metadata = test.info().metadata();
    let bytes = compile(network, policy, state, images.largest(), &metadata)?;
    let model = dir.join("model.tern");
    let predictions = evaluate::evaluate(&bytes, test, &evaluate::Options::default(), &Silent)?;
    // A GPU may multiply with fewer bits than the runtime: the processor does not.
    let mut engine = Cpu::new(network, policy, 0, images.largest());
    engine.set_state(state)?;
    let logits = predict(&mut engine, &images)?;
    let mut finished = Finished {
        model: model.clone(),
        file_bytes: bytes.len() as u64,
        images: images.len(),
        top1: predictions.correct() as f64 / images.len() as f64,
        trainer_top1: 0.0,
        disagree: 0,
        widest_disagreement: 0.0,
    };
    let mut right = 0;
    let rows = logits.chunks_exact(network.classes());
    for ((z, label), seen) in rows.zip(images.labels()).zip(predictions.seen()) {
        let own = evaluate::largest(z);
        right += usize::from(own == usize::from(*label));
        if own != seen {
            finished.disagree += 1;
            let apart = z[own] - z[seen];
            finished.widest_disagreement = finished.widest_disagreement.max(apart);
        }
    }
    finished.trainer_top1 = right as f64 / images.len() as f64;
    let named = Named {
        name: format!("{} on {}", config.model, config.dataset),
        file_bytes: finished.file_bytes,
    };
    let report = measure(test.info(), (&named, &predictions), None)?;
    let json = serde_json::to_string_pretty(&report.to_json()?)? + "\n";
    write_atomically(&dir.join("accuracy.json"), json.as_bytes())?;
    write_atomically(&dir.join("accuracy.html"), report.to_html(test)?.as_bytes())?;
    let json = serde_json::to_string_pretty(&finished)? + "\n";
    write_atomically(&dir.join("result.json"), json.as_bytes())?;
    // Last: a folder with a model is a training that is finished.
    write_atomically(&model, &bytes)?;
    Ok(finished)
}

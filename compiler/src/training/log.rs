//! A training's log: JSON lines.

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;
use tern_network::Network;
use tern_train::{Policy, Step, Tensors, Weights, quantise_weights};

/// What an epoch came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Epoch {
    /// Number, from 1.
    pub epoch: u64,
    /// Mean loss of its steps.
    pub loss: f64,
    /// Share of the training images that were seen as what they are, on the way.
    pub accuracy: f64,
    /// Learning rate of the last step.
    pub lr: f64,
    /// Ternary share of weights at the last step.
    pub blend: f64,
    /// Share of ternary weights that are 0.
    pub zeros: Option<f64>,
    /// Share of ternary weights that are not what they were an epoch ago.
    pub flips: Option<f64>,
    /// Images a second.
    pub images_per_s: f64,
}

/// The file, and the epoch so far.
pub(super) struct Log {
    path: PathBuf,
    file: BufWriter<File>,
    sum: Epoch,
    images: usize,
    correct: usize,
    began: Instant,
    /// Number of the last step.
    last: u64,
    /// Of the last epoch.
    trits: Vec<i8>,
}

impl Log {
    /// The log, without what it says of step `done` and later ones: they will be
    /// made again.
    pub(super) fn open(path: &Path, done: u64) -> Result<Log> {
        let about = || format!("cannot write {}", path.display());
        let old = std::fs::read_to_string(path).unwrap_or_default();
        let kept = old.lines().filter(|line| {
            let line = serde_json::from_str::<Value>(line).unwrap_or_default();
            line["step"].as_u64().is_some_and(|step| step < done)
        });
        let kept: String = kept.map(|line| format!("{line}\n")).collect();
        crate::emit::write_atomically(path, kept.as_bytes())?;
        let file = File::options()
            .append(true)
            .open(path)
            .with_context(about)?;
        Ok(Log {
            path: path.to_owned(),
            file: BufWriter::new(file),
            sum: Epoch::default(),
            images: 0,
            correct: 0,
            began: Instant::now(),
            last: 0,
            trits: Vec::new(),
        })
    }

    fn line(&mut self, value: &Value) -> Result<()> {
        writeln!(self.file, "{value}")
            .with_context(|| format!("cannot write {}", self.path.display()))
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        self.file
            .flush()
            .with_context(|| format!("cannot write {}", self.path.display()))
    }

    pub(super) fn step(&mut self, step: &Step) -> Result<()> {
        self.sum.loss += step.result.loss * step.images as f64;
        (self.sum.lr, self.sum.blend) = (step.lr, step.blend);
        (self.sum.epoch, self.last) = (step.epoch + 1, step.step);
        self.images += step.images;
        self.correct += step.result.correct;
        self.line(&json!({ "step": step.step, "loss": step.result.loss, "lr": step.lr }))
    }

    /// Closes an epoch, given the parameters after it.
    pub(super) fn epoch(
        &mut self,
        network: &Network,
        policy: &Policy,
        mut state: Tensors,
    ) -> Result<Epoch> {
        let mut epoch = std::mem::take(&mut self.sum);
        let images = self.images.max(1) as f64;
        epoch.loss /= images;
        epoch.accuracy = self.correct as f64 / images;
        epoch.images_per_s = images / self.began.elapsed().as_secs_f64().max(1e-9);
        if policy.is_ternary() {
            quantise_weights(network, policy, &mut state)?;
            let mut trits = Vec::new();
            for (node, _) in network
                .nodes()
                .iter()
                .zip(&policy.weights)
                .filter(|(_, w)| **w != Weights::F32)
            {
                let weights = &state[&format!("{}.weight", node.name)].data;
                trits.extend(
                    weights
                        .iter()
                        .map(|w| if *w == 0.0 { 0 } else { w.signum() as i8 }),
                );
            }
            let share = |n: usize| n as f64 / trits.len().max(1) as f64;
            epoch.zeros = Some(share(trits.iter().filter(|t| **t == 0).count()));
            if self.trits.len() == trits.len() {
                let changed = self.trits.iter().zip(&trits).filter(|(a, b)| a != b);
                epoch.flips = Some(share(changed.count()));
            }
            self.trits = trits;
        }
        let mut value = serde_json::to_value(&epoch)?;
        // The step that it follows, by which a training that goes on finds its place.
        value["step"] = json!(self.last);
        self.line(&value)?;
        self.flush()?;
        (self.images, self.correct, self.began) = (0, 0, Instant::now());
        Ok(epoch)
    }
}

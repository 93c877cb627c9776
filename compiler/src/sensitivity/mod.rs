//! What each layer loses by ternary weights: made ternary alone, measured by the
//! runtime on a data set. [`choose`] picks a codec for each layer from that.

pub mod choose;

use crate::data::Dataset;
use crate::evaluate::{self, Predictions, evaluate};
use crate::ir::Graph;
use crate::pipeline::{CompileOptions, Compiled, Progress, Silent, compile_graph};
use crate::ternarise::{Choice, Mode, Policy};
use anyhow::{Result, ensure};
use serde::Serialize;
use std::cell::Cell;
use std::collections::BTreeMap;

/// What is measured, and with what.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The imported model.
    pub graph: &'a Graph,
    /// Its name, for people.
    pub name: &'a str,
    /// How it is compiled. Its `ternarise.mode`, `all` and `sparsify` do not count;
    /// the limits of arena and file neither.
    pub options: &'a CompileOptions,
    /// What it is measured on.
    pub data: &'a dyn Dataset,
    /// How.
    pub evaluate: &'a evaluate::Options,
}

/// How good a model is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Quality {
    /// Images that are seen as what they are.
    pub correct: usize,
    /// Their share, in 0..=1.
    pub top1: f64,
    /// Cross-entropy, which tells small changes that top 1 does not.
    pub loss: f64,
}

impl From<&Predictions> for Quality {
    fn from(predictions: &Predictions) -> Quality {
        Quality {
            correct: predictions.correct(),
            top1: predictions.top1(),
            loss: predictions.cross_entropy(),
        }
    }
}

/// One layer in one codec, all others as they were.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Candidate {
    /// The codec.
    #[serde(skip)]
    pub choice: Choice,
    /// Its name.
    pub codec: &'static str,
    /// Bytes of the layer's weights, scales and bias.
    pub bytes: u64,
    /// Fewer than before by so many.
    pub saved: u64,
    /// `|w - stored| / |w|` of the layer's weights, in the Frobenius norm.
    pub weight_error: f64,
    /// The whole model with it.
    #[serde(flatten)]
    pub quality: Quality,
    /// Points of top 1 that are lost against the model as it was (a gain is negative).
    pub drop: f64,
}

/// A layer with weights.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerSensitivity {
    /// Name of the node.
    pub name: String,
    /// Op.
    pub op: &'static str,
    /// Number of weights.
    pub weights: u64,
    /// How they are stored as the model is.
    pub codec: &'static str,
    /// Bytes of weights, scales and bias so.
    pub bytes: u64,
    /// What else was tried: that which saves bytes.
    pub candidates: Vec<Candidate>,
}

/// The whole measurement.
#[derive(Clone, Debug, Serialize)]
pub struct Sensitivity {
    /// The model.
    pub model: String,
    /// Data set.
    pub dataset: String,
    /// Part of it.
    pub split: &'static str,
    /// Images.
    pub images: usize,
    /// What layers compute with.
    pub activations: &'static str,
    /// The model as it is, only what is ternary already ternary.
    #[serde(flatten)]
    pub before: Quality,
    /// Bytes of its file.
    pub file_bytes: u64,
    /// Its layers in order.
    pub layers: Vec<LayerSensitivity>,
}

/// A model that was compiled and measured.
pub struct Trial {
    /// The file and what was done.
    pub compiled: Compiled,
    /// How good it is.
    pub quality: Quality,
}

impl Subject<'_> {
    /// Options under which these layers become what is chosen, and all others stay.
    pub fn options_with(&self, layers: &BTreeMap<String, Choice>) -> CompileOptions {
        CompileOptions {
            ternarise: Policy {
                mode: Mode::Detect,
                sparsify: None,
                layers: layers.clone(),
                ..self.options.ternarise.clone()
            },
            max_arena: None,
            max_file: None,
            golden: false,
            ..self.options.clone()
        }
    }

    /// Compiles with these choices.
    ///
    /// # Errors
    /// Those of [`compile_graph`].
    pub fn compile(&self, layers: &BTreeMap<String, Choice>) -> Result<Compiled> {
        let options = self.options_with(layers);
        compile_graph(self.graph.clone(), self.name, &options, &Silent)
    }

    /// Measures a compiled model.
    ///
    /// # Errors
    /// Those of [`evaluate()`].
    pub fn quality(&self, compiled: &Compiled, progress: &dyn Progress) -> Result<Quality> {
        let predictions = evaluate(&compiled.bytes, self.data, self.evaluate, progress)?;
        Ok(Quality::from(&predictions))
    }

    /// Both.
    ///
    /// # Errors
    /// Those of both.
    pub fn trial(
        &self,
        layers: &BTreeMap<String, Choice>,
        progress: &dyn Progress,
    ) -> Result<Trial> {
        let compiled = self.compile(layers)?;
        let quality = self.quality(&compiled, progress)?;
        Ok(Trial { compiled, quality })
    }
}

/// One bar over many evaluations.
struct Overall<'a> {
    inner: &'a dyn Progress,
    images: u64,
    done: Cell<u64>,
}

impl<'a> Overall<'a> {
    fn new(inner: &'a dyn Progress, name: &str, evaluations: usize, images: usize) -> Overall<'a> {
        let images = images as u64;
        inner.stage(name, Some(images * evaluations as u64));
        Overall {
            inner,
            images,
            done: Cell::new(0),
        }
    }

    /// An evaluation is over, or was not needed.
    fn next(&self) {
        self.done.set(self.done.get() + 1);
        self.inner.advance(self.images * self.done.get());
    }
}

impl Progress for Overall<'_> {
    fn stage(&self, _: &str, _: Option<u64>) {}

    fn advance(&self, position: u64) {
        self.inner.advance(self.images * self.done.get() + position);
    }
}

/// Makes each layer ternary alone, in each of the codecs that makes it smaller.
///
/// # Errors
/// A model that cannot be compiled or does not fit the data set.
pub fn measure(
    subject: &Subject<'_>,
    choices: &[Choice],
    progress: &dyn Progress,
) -> Result<Sensitivity> {
    let as_it_is = BTreeMap::new();
    let before = subject.trial(&as_it_is, progress)?;
    let report = &before.compiled.report;
    ensure!(
        !report.layers.is_empty(),
        "the model has no layers with weights"
    );
    let images = evaluate::image_count(subject.data, subject.evaluate);
    let overall = Overall::new(
        progress,
        "making each layer ternary alone",
        report.layers.len() * choices.len(),
        images,
    );
    let mut layers = Vec::new();
    for (position, layer) in report.layers.iter().enumerate() {
        let mut candidates = Vec::new();
        for &choice in choices {
            let chosen = BTreeMap::from([(layer.name.clone(), choice)]);
            let compiled = subject.compile(&chosen)?;
            let made = &compiled.report.layers[position];
            // A layer that the choice does not suit stays what it is.
            if made.codec == choice.name() && made.codec != layer.codec && made.bytes < layer.bytes
            {
                let quality = subject.quality(&compiled, &overall)?;
                candidates.push(Candidate {
                    choice,
                    codec: choice.name(),
                    bytes: made.bytes,
                    saved: layer.bytes - made.bytes,
                    weight_error: made.weight_error,
                    quality,
                    drop: 100.0 * (before.quality.top1 - quality.top1),
                });
            }
            overall.next();
        }
        layers.push(LayerSensitivity {
            name: layer.name.clone(),
            op: layer.op,
            weights: layer.weights,
            codec: layer.codec,
            bytes: layer.bytes,
            candidates,
        });
    }
    let info = subject.data.info();
    Ok(Sensitivity {
        model: subject.name.to_owned(),
        dataset: info.name.clone(),
        split: info.split.name(),
        images,
        activations: subject.options.activations.name(),
        before: before.quality,
        file_bytes: before.compiled.bytes.len() as u64,
        layers,
    })
}

#[cfg(test)]
mod tests;

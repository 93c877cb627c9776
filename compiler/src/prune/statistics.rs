//! What layers see of images: mean and square of each index along the last dimension of
//! what they read.

use super::groups::Groups;
use super::select::{constant, indices, replace};
use crate::data::Dataset;
use crate::evaluate::{self, Input};
use crate::ir::{Constant, Graph, Op, Tensor, ValueId};
use crate::ops::{has_weights, run_graph_observing};
use crate::pipeline::Progress;
use anyhow::{Context, Result};
use std::collections::{BTreeMap, HashMap};

/// Sums over the samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    count: usize,
    sum: Vec<f64>,
    squares: Vec<f64>,
}

impl Seen {
    fn add(&mut self, values: &[f32], width: usize) {
        self.sum.resize(width, 0.0);
        self.squares.resize(width, 0.0);
        for row in values.chunks_exact(width) {
            self.count += 1;
            for (i, &v) in row.iter().enumerate() {
                self.sum[i] += f64::from(v);
                self.squares[i] += f64::from(v) * f64::from(v);
            }
        }
    }

    /// Mean of each index.
    pub fn mean(&self) -> Vec<f64> {
        let n = self.count.max(1) as f64;
        self.sum.iter().map(|s| s / n).collect()
    }

    /// Mean square of each index.
    pub fn square(&self) -> Vec<f64> {
        let n = self.count.max(1) as f64;
        self.squares.iter().map(|s| s / n).collect()
    }

    /// Variance of each index.
    pub fn variance(&self) -> Vec<f64> {
        let means = self.mean().into_iter();
        let both = means.zip(self.square());
        both.map(|(m, s)| (s - m * m).max(0.0)).collect()
    }
}

/// Adds to a layer's bias, which it gets if it has none.
pub fn shift_bias(graph: &mut Graph, node: usize, shifts: &[f64]) {
    let old = match constant(graph, node, 2).as_deref() {
        Some(Constant::Dense(b)) => b.as_f32().map(<[f32]>::to_vec),
        _ => None,
    };
    let mut bias = old.unwrap_or_else(|| vec![0f32; shifts.len()]);
    for (b, &shift) in bias.iter_mut().zip(shifts) {
        *b = (f64::from(*b) + shift) as f32;
    }
    replace(graph, node, 2, Tensor::f32(vec![shifts.len()], bias));
}

/// What every layer of a graph sees.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    seen: HashMap<ValueId, Seen>,
    /// Images that were looked at.
    pub samples: usize,
}

impl Statistics {
    /// Runs the graph, as the passes left it, on images spread over a data set, with the
    /// reference interpreter. Of the options the mean and the deviation count.
    ///
    /// # Errors
    /// An image that cannot be read; the interpreter's.
    pub fn collect(
        graph: &Graph,
        data: &dyn Dataset,
        input: &Input,
        options: &evaluate::Options,
        samples: usize,
        progress: &dyn Progress,
    ) -> Result<Statistics> {
        let mut statistics = Statistics {
            samples: samples.min(data.len()),
            ..Statistics::default()
        };
        let layers = graph.nodes.iter().filter(|n| has_weights(&n.op));
        let read: Vec<ValueId> = layers.filter_map(|n| n.inputs[0]).collect();
        progress.stage("looking at samples", Some(statistics.samples as u64));
        let info = evaluate::normalisation(data.info(), options)?;
        let (_, first) = graph.inputs.first().context("the model has no input")?;
        let shape = graph.ty(*first).shape.clone();
        let elements: usize = shape.iter().product();
        let each = elements / input.batch;
        let mut pixels = vec![0; info.pixels()];
        let mut planes = vec![0f32; info.pixels()];
        for sample in 0..statistics.samples {
            data.read(sample * data.len() / statistics.samples, &mut pixels)?;
            info.normalise(&pixels, &mut planes);
            let mut values = vec![0f32; elements];
            // A model that takes several images gets the same one.
            for image in values.chunks_exact_mut(each) {
                input.write(&planes, image);
            }
            let tensor = Tensor::f32(shape.clone(), values);
            run_graph_observing(graph, &[tensor], &mut |id, value| {
                if let (true, Some(v)) = (read.contains(&id), value.as_f32()) {
                    let width = value.shape.last().copied().unwrap_or(1);
                    statistics.seen.entry(id).or_default().add(v, width);
                }
            })?;
            progress.advance(sample as u64 + 1);
        }
        Ok(statistics)
    }

    /// What is known of a value.
    pub fn of(&self, id: ValueId) -> Option<&Seen> {
        self.seen.get(&id)
    }

    /// Adds to the biases of those who read channels that go what these channels gave
    /// them on average. At a padded border that is a little too much.
    pub fn move_means(
        &self,
        graph: &mut Graph,
        groups: &Groups,
        orders: &BTreeMap<usize, Vec<usize>>,
    ) {
        for (&g, order) in orders {
            let group = &groups.all[g];
            let gone: Vec<usize> = (0..group.channels).filter(|c| !order.contains(c)).collect();
            if gone.is_empty() {
                continue;
            }
            for &n in &group.readers {
                let transposed = matches!(&graph.nodes[n].op, Op::Conv2d(op) if op.transposed);
                let (Some(x), Some(w)) = (graph.nodes[n].inputs[0], constant(graph, n, 1)) else {
                    continue;
                };
                let (Some(place), Some(seen)) = (groups.places[x.0], self.of(x)) else {
                    continue;
                };
                let Constant::Dense(w) = &*w else { continue };
                let (Some(weights), Some(&width)) = (w.as_f32(), w.shape.last()) else {
                    continue;
                };
                // How many taps reach a pixel of a transposed convolution varies.
                if transposed {
                    continue;
                }
                let mean = seen.mean();
                let gone = indices(place, group.channels, width, &gone);
                let rows = weights.chunks_exact(weights.len() / w.shape[0]);
                let moved = rows.map(|row| {
                    let taps = row.chunks_exact(width);
                    let gives = |tap: &[f32]| -> f64 {
                        gone.iter().map(|&i| f64::from(tap[i]) * mean[i]).sum()
                    };
                    taps.map(gives).sum()
                });
                let moved: Vec<f64> = moved.collect();
                shift_bias(graph, n, &moved);
            }
        }
    }
}

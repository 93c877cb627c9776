//! Evaluation with rounded activations, to the bit as a compiled network computes it:
//! sums of integers, batch norms within the products before them, and what follows in
//! units of the scale of the result.

use super::{Cpu, ROUND, conv, layers};
use crate::policy::{Weights, before_dropout};
use crate::quantise::{integers, taps};
use tern_network::{Layer, NodeId, Role, fit};

/// What stands for a layer with weights and the batch norm behind it.
struct Product {
    /// Integers, as kernels take them.
    weights: Vec<f32>,
    /// Of each output.
    scale: Vec<f32>,
    bias: Vec<f32>,
}

impl Cpu {
    /// The result `y` of a layer with weights, and of the batch norm behind it, for
    /// `x`, which is rounded. `sums` computes the layer from integers (`x`, weights).
    pub(super) fn sum_integers(
        &mut self,
        node: usize,
        x: &[f32],
        y: &mut [f32],
        sums: impl FnOnce(&[f32], &[f32], &mut [f32]),
    ) {
        let product = self.product(node);
        let network = &self.plan.network;
        let input = before_dropout(network, network.nodes()[node].inputs[0]);
        let scale = self.scale(input.0);
        let mut q = self.buffers.take(x.len());
        layers::map(x, &mut q, |x| x / scale + ROUND - ROUND);
        sums(&q, &product.weights, y);
        self.buffers.give(q);
        let unit = self.unit(node).unwrap_or(1.0);
        let factors: Vec<f32> = product.scale.iter().map(|s| scale * unit * s).collect();
        let summands: Vec<f32> = product.bias.iter().map(|b| b * unit).collect();
        layers::scale_and_shift(y, &factors, &summands);
    }

    /// What the op of a layer with weights multiplies everything with.
    pub(super) fn unit(&self, node: usize) -> Option<f32> {
        self.plan.ends[node].map(|end| 1.0 / self.scale(end))
    }

    /// A node's result as a product in these units adds it.
    pub(super) fn residual(&self, node: NodeId, x: &[f32], unit: f32) -> Vec<f32> {
        let rounded = before_dropout(&self.plan.network, node).0;
        if !self.plan.rounded[rounded] {
            return x.iter().map(|x| x * unit).collect();
        }
        let scale = self.scale(rounded);
        let factor = scale * unit;
        (x.iter().map(|x| (x / scale + ROUND - ROUND) * factor)).collect()
    }

    fn product(&self, node: usize) -> Product {
        let layer = &self.plan.network.nodes()[node].layer;
        let (kind, _) = self.plan.kind(node);
        let weights = self.parameter(node, Role::Weight);
        let old_bias = self.parameter(node, Role::Bias);
        let steps = self.plan.norms[node].map(|norm| self.norm_steps(norm));
        let outputs = self.plan.network.shape(NodeId(node))[0];
        let each = weights.len() / outputs;
        let mut product = Product {
            weights: Vec::with_capacity(weights.len()),
            scale: Vec::with_capacity(outputs),
            bias: Vec::with_capacity(outputs),
        };
        let mut row = vec![0i8; each];
        for (o, w) in weights.chunks_exact(each).enumerate() {
            let (gain, shift) = steps.as_ref().map_or((1.0, 0.0), |steps| steps[o]);
            // Ternary weights are there before the batch norm, 8-bit ones are made of
            // its products.
            let (before, after) = match kind {
                Weights::F32 => (gain, 1.0),
                _ => (1.0, gain),
            };
            let w: Vec<f32> = w.iter().map(|w| w * before).collect();
            let scale = integers(&w, taps(layer), kind, &mut row);
            product.scale.push(scale * after);
            product.weights.extend(row.iter().map(|q| f32::from(*q)));
            let bias = old_bias.get(o).map_or(0.0, |bias| bias * gain);
            product.bias.push(bias + shift);
        }
        product.weights = conv::for_kernels(layer, &product.weights);
        product
    }

    /// A batch norm's factor and summand of each channel.
    fn norm_steps(&self, norm: usize) -> Vec<(f32, f32)> {
        let Layer::BatchNorm2d { eps, .. } = self.plan.network.nodes()[norm].layer else {
            return Vec::new();
        };
        let [weight, bias, mean, variance] = [
            Role::NormWeight,
            Role::NormBias,
            Role::RunningMean,
            Role::RunningVar,
        ]
        .map(|role| self.parameter(norm, role));
        (0..weight.len())
            .map(|c| fit::batch_norm(weight[c], bias[c], mean[c], variance[c], eps))
            .collect()
    }
}

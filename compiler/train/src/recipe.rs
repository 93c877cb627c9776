//! Hyper-parameters, and what they are at each step.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// How the learning rate falls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// To zero along half a cosine.
    #[default]
    Cosine,
    /// To a tenth after half of the epochs, and to a hundredth after three quarters.
    Step,
    /// Up along a cosine for three tenths of the epochs, from a 25th, then down to
    /// (nearly) zero: Smith's one cycle. There is no other warm-up.
    OneCycle,
}

/// Learning from another network's answers as well.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distil {
    /// Share of the other network's answers in the loss; the labels have the rest. With
    /// 0 the other network is where training begins, and no more.
    pub share: f32,
    /// What logits are divided by before their softmax.
    pub temperature: f32,
}

impl Default for Distil {
    fn default() -> Distil {
        Distil {
            share: 0.7,
            temperature: 2.0,
        }
    }
}

/// What is done to images while training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augment {
    /// Half of the images are mirrored, left to right.
    pub flip: bool,
    /// Images are moved by up to so many pixels, in both directions; black follows.
    pub shift: usize,
}

/// How a network is trained: stochastic gradient descent with momentum, as
/// PyTorch's `SGD` with a dampening of 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Recipe {
    /// Times that every image is seen.
    pub epochs: usize,
    /// Images of a step.
    pub batch_size: usize,
    /// The highest learning rate.
    pub lr: f64,
    /// Share of the last step in this one.
    pub momentum: f64,
    /// Share of a weight in its gradient; batch norms and biases have none.
    pub weight_decay: f64,
    /// Whether the gradient is taken ahead of the momentum.
    pub nesterov: bool,
    /// How the learning rate falls.
    pub schedule: Schedule,
    /// Epochs in which the learning rate rises from 0.
    pub warmup: f64,
    /// Share of a label that is spread over all classes.
    pub label_smoothing: f64,
    /// What is done to images.
    pub augment: Augment,
    /// Share of the epochs over which weights turn from dense to ternary, evenly;
    /// 0: they are ternary from the first step.
    pub blend: f64,
    /// How to learn from another network, where one is given.
    pub distil: Distil,
    /// Of everything that is random.
    pub seed: u64,
}

impl Default for Recipe {
    fn default() -> Recipe {
        Recipe {
            epochs: 24,
            batch_size: 256,
            lr: 0.2,
            momentum: 0.9,
            weight_decay: 5e-4,
            nesterov: true,
            schedule: Schedule::Cosine,
            warmup: 1.0,
            label_smoothing: 0.0,
            augment: Augment::default(),
            blend: 0.0,
            distil: Distil::default(),
            seed: 1,
        }
    }
}

impl Recipe {
    /// Checks every value.
    ///
    /// # Errors
    /// The first that makes no sense, by name.
    pub fn check(&self) -> Result<()> {
        let within = |name: &str, value: f64, low: f64, high: f64| {
            if value >= low && value <= high {
                Ok(())
            } else {
                Err(Error::new(format!(
                    "{name} is {value}, must be within {low}..{high}"
                )))
            }
        };
        if self.epochs == 0 || self.batch_size == 0 {
            return Err(Error::new("epochs and batch-size must be at least 1"));
        }
        within("lr", self.lr, 0.0, 1e3)?;
        within("momentum", self.momentum, 0.0, 0.9999)?;
        within("weight-decay", self.weight_decay, 0.0, 1.0)?;
        within("warmup", self.warmup, 0.0, self.epochs as f64)?;
        within("label-smoothing", self.label_smoothing, 0.0, 0.99)?;
        within("blend", self.blend, 0.0, 1.0)?;
        within("distil.share", self.distil.share.into(), 0.0, 1.0)?;
        within(
            "distil.temperature",
            self.distil.temperature.into(),
            0.01,
            100.0,
        )
    }

    /// The learning rate at a step.
    pub fn lr_at(&self, step: u64, steps_an_epoch: u64) -> f64 {
        let total = (self.epochs as u64 * steps_an_epoch).max(1) as f64;
        let step = step as f64;
        // From 1 to 0 as `t` goes from 0 to 1.
        let half_cosine = |t: f64| 0.5 * (1.0 + (PI * t.clamp(0.0, 1.0)).cos());
        if self.schedule == Schedule::OneCycle {
            let top = 0.3 * total;
            let (low, end) = (self.lr / 25.0, self.lr / 25e4);
            return if step < top {
                low + (self.lr - low) * (1.0 - half_cosine(step / top))
            } else {
                end + (self.lr - end) * half_cosine((step - top) / (total - top))
            };
        }
        let warmup = self.warmup * steps_an_epoch as f64;
        if step < warmup {
            return self.lr * (step + 1.0) / warmup.max(1.0);
        }
        match self.schedule {
            Schedule::Step if step >= 0.75 * total => self.lr / 100.0,
            Schedule::Step if step >= 0.5 * total => self.lr / 10.0,
            Schedule::Step => self.lr,
            _ => self.lr * half_cosine((step - warmup) / (total - warmup).max(1.0)),
        }
    }

    /// The ternary share of weights at a step.
    pub fn blend_at(&self, step: u64, steps_an_epoch: u64) -> f64 {
        let over = self.blend * (self.epochs as u64 * steps_an_epoch) as f64;
        if over > 0.0 {
            (step as f64 / over).min(1.0)
        } else {
            1.0
        }
    }
}

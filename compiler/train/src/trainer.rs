//! The loop: batches, schedules, steps, checkpoints.

use crate::data::Images;
use crate::engine::{Engine, Settings, StepResult, Tensors};
use crate::random::Random;
use crate::recipe::Recipe;
use crate::state::Checkpoint;
use crate::{Error, Result};

/// What a step was, and what it came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Number, from 0.
    pub step: u64,
    /// Epoch, from 0.
    pub epoch: u64,
    /// Images.
    pub images: usize,
    /// Learning rate.
    pub lr: f64,
    /// Ternary share of weights.
    pub blend: f64,
    /// Loss and hits.
    pub result: StepResult,
}

/// A training: a recipe, images, and a network on a device. Which images a step
/// sees and what is random in it follow from the seed and the step's number alone.
pub struct Trainer<'d> {
    recipe: Recipe,
    images: &'d Images,
    engine: Box<dyn Engine>,
    teacher: Option<Box<dyn Engine>>,
    step: u64,
    /// The epoch and its order of images.
    order: Option<(u64, Vec<usize>)>,
}

impl<'d> Trainer<'d> {
    /// A training that begins.
    ///
    /// # Errors
    /// A recipe that makes no sense.
    pub fn new(recipe: Recipe, images: &'d Images, engine: Box<dyn Engine>) -> Result<Trainer<'d>> {
        recipe.check()?;
        Ok(Trainer {
            recipe,
            images,
            engine,
            teacher: None,
            step: 0,
            order: None,
        })
    }

    /// Learns from this network's answers too.
    pub fn set_teacher(&mut self, teacher: Box<dyn Engine>) {
        self.teacher = Some(teacher);
    }

    /// The network.
    pub fn engine(&mut self) -> &mut dyn Engine {
        &mut *self.engine
    }

    /// Steps of an epoch; the last one may have fewer images.
    pub fn steps_an_epoch(&self) -> u64 {
        self.images.len().div_ceil(self.recipe.batch_size) as u64
    }

    /// Steps of the whole training.
    pub fn steps(&self) -> u64 {
        self.steps_an_epoch() * self.recipe.epochs as u64
    }

    /// Steps that were made.
    pub fn done(&self) -> u64 {
        self.step
    }

    /// Makes the next step; `None` after the last one.
    ///
    /// # Errors
    /// A loss that is no number, with the step; the network is of no use from then on,
    /// the last checkpoint is.
    pub fn step(&mut self) -> Result<Option<Step>> {
        if self.step >= self.steps() {
            return Ok(None);
        }
        let an_epoch = self.steps_an_epoch();
        let (epoch, within) = (self.step / an_epoch, (self.step % an_epoch) as usize);
        let recipe = &self.recipe;
        if self.order.as_ref().is_none_or(|(e, _)| *e != epoch) {
            let order = Random::new(recipe.seed, &[3, epoch]).shuffled(self.images.len());
            self.order = Some((epoch, order));
        }
        let order = self.order.as_ref().map_or(&[][..], |(_, order)| order);
        let from = within * recipe.batch_size;
        let indices = &order[from..order.len().min(from + recipe.batch_size)];
        let batch = self
            .images
            .augmented(indices, recipe.augment, recipe.seed, epoch);
        let teacher = match &mut self.teacher {
            Some(teacher) if recipe.distil.share > 0.0 => {
                Some(teacher.predict(&batch.images, batch.count)?)
            }
            _ => None,
        };
        let (lr, blend) = (
            recipe.lr_at(self.step, an_epoch),
            recipe.blend_at(self.step, an_epoch),
        );
        let settings = Settings {
            step: self.step,
            seed: recipe.seed,
            lr: lr as f32,
            momentum: recipe.momentum as f32,
            weight_decay: recipe.weight_decay as f32,
            nesterov: recipe.nesterov,
            blend: blend as f32,
            label_smoothing: recipe.label_smoothing as f32,
            distil: recipe.distil,
        };
        let result = self.engine.step(&batch, teacher.as_deref(), &settings)?;
        if !result.loss.is_finite() {
            return Err(Error::new(format!(
                "the loss is {} at step {} (epoch {}): go on from the last checkpoint with a smaller lr",
                result.loss,
                self.step,
                epoch + 1
            )));
        }
        let step = Step {
            step: self.step,
            epoch,
            images: batch.count,
            lr,
            blend,
            result,
        };
        self.step += 1;
        Ok(Some(step))
    }

    /// The whole state, to go on from.
    ///
    /// # Errors
    /// What the device says.
    pub fn checkpoint(&self) -> Result<Checkpoint> {
        Ok(Checkpoint {
            tensors: self.engine.state()?,
            metadata: [("step".to_owned(), self.step.to_string())].into(),
        })
    }

    /// Goes on from a checkpoint of a training with the same recipe, images and
    /// network: every step that follows has the same bits as without the stop.
    ///
    /// # Errors
    /// A checkpoint of another network, or of no training.
    pub fn resume(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let step = checkpoint.step()?;
        if step > self.steps() {
            return Err(Error::new(format!(
                "the checkpoint was made after {step} steps, and this training has {}: it is another one's",
                self.steps()
            )));
        }
        self.engine.set_state(&checkpoint.tensors)?;
        self.step = step;
        Ok(())
    }

    /// Begins with another training's parameters, with momenta of 0.
    ///
    /// # Errors
    /// Another network's.
    pub fn begin_with(&mut self, tensors: &Tensors) -> Result<()> {
        let parameters = tensors
            .iter()
            .filter(|(name, _)| !name.starts_with("momentum.") && !name.starts_with("clip."))
            .map(|(name, tensor)| (name.clone(), tensor.clone()))
            .collect();
        self.engine.set_state(&parameters)
    }
}

/// Logits of all of these images, one after the other.
///
/// # Errors
/// What the device says.
pub fn predict(engine: &mut dyn Engine, images: &Images) -> Result<Vec<f32>> {
    let mut logits = Vec::new();
    let all: Vec<usize> = (0..images.len()).collect();
    for indices in all.chunks(256) {
        let batch = images.batch(indices);
        logits.extend(engine.predict(&batch.images, batch.count)?);
    }
    Ok(logits)
}

//! Training: from a data set and an architecture's name to a compiled model.
//!
//! [`run`] keeps everything in one folder: `config.toml`, what was asked for with
//! every default filled in; `checkpoint.safetensors`, written now and then and always
//! whole; `log.jsonl`, a line a step and a line an epoch; `training.html`, its curves,
//! as fresh as the checkpoint; in the end `model.tern`, measured by the runtime, with
//! `result.json` and the report `accuracy.html`, `accuracy.json`. A network with ternary weights learns from its dense
//! twin, which is trained first, in the folder `f32`, where no other is given.

mod config;
mod finish;
mod log;

pub use config::{Config, Device};
pub use finish::{Finished, compile};

use crate::data::{self, Dataset, Split};
use crate::emit::write_atomically;
use crate::report;
use anyhow::{Context, Result, anyhow, bail, ensure};
use log::Log;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tern_network::Network;
use tern_train::{Checkpoint, Cpu, Engine, Images, Policy, Step, Trainer, Weights};

/// Name of the checkpoint in a training's folder.
pub const CHECKPOINT: &str = "checkpoint.safetensors";
/// Time between checkpoints.
const EVERY: Duration = Duration::from_secs(60);

/// Who watches a training.
pub trait Watch {
    /// Training begins, or goes on at step `done` of `steps`.
    fn begin(&self, about: &str, done: u64, steps: u64);
    /// A step was made.
    fn step(&self, step: &Step);
    /// An epoch is over.
    fn epoch(&self, epoch: &log::Epoch);
    /// Whether to stop; the state is saved then.
    fn stop(&self) -> bool {
        false
    }
}

pub use log::Epoch;

/// Trains as `config` says, or goes on with what is in `dir`.
///
/// # Errors
/// What is wrong with the configuration, the data or the folder; a loss that is no
/// number; that it was stopped.
pub fn run(config: &Config, dir: &Path, watch: &dyn Watch) -> Result<Finished> {
    let config = config.resolved()?;
    std::fs::create_dir_all(dir)
        .with_context(|| format!("cannot make the directory {}", dir.display()))?;
    let twin = match &config.distil {
        _ if config.weights == Weights::F32 && config.distil.is_none() => None,
        Some(path) => Some(path.clone()),
        None if config.from_scratch => None,
        None => {
            let path = dir.join("f32");
            if !path.join("model.tern").is_file() {
                run(&config.twin(), &path, watch)?;
            }
            Some(path.join(CHECKPOINT))
        }
    };
    stage(&config, dir, twin.as_deref(), watch)
}

/// One network's training.
fn stage(config: &Config, dir: &Path, twin: Option<&Path>, watch: &dyn Watch) -> Result<Finished> {
    config.write(&dir.join("config.toml"))?;
    let network = config.network()?;
    let open = |split| open(config, &network, split);
    let (train, test) = (open(Split::Train)?, open(Split::Test)?);
    let images = images(train.as_ref())?;
    let policy = Policy::new(&network, config.weights, config.activations, &config.skip)?;
    let mut trainer = Trainer::new(
        config.recipe.clone(),
        &images,
        engine(config, &network, &policy, images.largest())?,
    )?;
    let load = |path| Checkpoint::load(path).map(|checkpoint| (path, checkpoint));
    let twin = twin.map(load).transpose()?;
    if let Some((path, checkpoint)) = &twin {
        trainer
            .begin_with(&checkpoint.tensors)
            .with_context(|| format!("--distil {}", path.display()))?;
    }
    let other = config.teacher.as_deref().map(load).transpose()?;
    if let Some((path, checkpoint)) = other.or(twin) {
        let teacher = teacher(config, &network, &checkpoint, images.largest())
            .with_context(|| format!("learning from {}", path.display()))?;
        trainer.set_teacher(teacher);
    }
    let path = dir.join(CHECKPOINT);
    if path.is_file() {
        let about = || format!("going on in {}", dir.display());
        let checkpoint = Checkpoint::load(&path).with_context(about)?;
        config.check_same(&checkpoint).with_context(about)?;
        trainer.resume(&checkpoint).with_context(about)?;
    }
    let about = format!(
        "{}, {} weights, {} activations",
        config.model,
        config.weights.name(),
        config.activations.name()
    );
    watch.begin(&about, trainer.done(), trainer.steps());
    let mut log = Log::open(&dir.join("log.jsonl"), trainer.done())?;
    let an_epoch = trainer.steps_an_epoch();
    let page = |finished: Option<&Finished>| write_page(config, dir, an_epoch, finished);
    let save = |trainer: &Trainer<'_>, log: &mut Log| -> Result<()> {
        log.flush()?;
        let mut checkpoint = trainer.checkpoint()?;
        checkpoint.metadata.extend(config.metadata()?);
        checkpoint.metadata.extend(train.info().metadata());
        checkpoint.save(&path)?;
        page(None)
    };
    let mut saved = Instant::now();
    while let Some(step) = trainer.step()? {
        log.step(&step)?;
        watch.step(&step);
        let over = trainer.done().is_multiple_of(an_epoch);
        if over {
            let state = trainer.checkpoint()?.tensors;
            let epoch = log.epoch(&network, &policy, state)?;
            watch.epoch(&epoch);
        }
        if watch.stop() {
            save(&trainer, &mut log)?;
            bail!(
                "stopped after step {} of {}; nothing is lost: go on with ternc train --resume {}",
                trainer.done(),
                trainer.steps(),
                dir.display()
            );
        }
        if saved.elapsed() > EVERY {
            save(&trainer, &mut log)?;
            saved = Instant::now();
        }
    }
    save(&trainer, &mut log)?;
    let state = trainer.checkpoint()?.tensors;
    let finished = finish::finish(config, dir, &network, &policy, &state, test.as_ref())?;
    page(Some(&finished))?;
    Ok(finished)
}

/// The log as a page: what a resumed training did before is in it.
fn write_page(
    config: &Config,
    dir: &Path,
    an_epoch: u64,
    finished: Option<&Finished>,
) -> Result<()> {
    let path = dir.join("log.jsonl");
    let log = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let training = report::training::Training {
        config,
        an_epoch,
        log: &log,
        finished,
    };
    let html = training.to_html()?;
    write_atomically(&dir.join("training.html"), html.as_bytes())
}

fn open(config: &Config, network: &Network, split: Split) -> Result<Box<dyn Dataset>> {
    let options = data::Options {
        data_dir: config.data_dir.clone(),
        shape: Some(network.input()),
    };
    let set = data::open(&config.dataset, split, &options)?;
    let classes = set.info().classes.len();
    if classes != network.classes() {
        bail!(
            "{} has {classes} classes, the network {}: leave --classes out",
            config.dataset,
            network.classes()
        );
    }
    Ok(set)
}

/// A data set's images in memory.
fn images(set: &dyn Dataset) -> Result<Images> {
    let info = set.info();
    let each = info.pixels();
    let mut pixels = vec![0; each * set.len()];
    for (i, image) in pixels.chunks_exact_mut(each).enumerate() {
        set.read(i, image)?;
    }
    let labels = (0..set.len()).map(|i| {
        let label = set.label(i);
        u8::try_from(label)
            .map_err(|_| anyhow!("class {label}: training takes 256 classes at most"))
    });
    let labels = labels.collect::<Result<Vec<u8>>>()?;
    Ok(Images::new(
        info.shape, pixels, labels, &info.mean, &info.std,
    )?)
}

/// The network of a checkpoint, to be learned from: the one that it names, or this one
/// in f32.
fn teacher(
    config: &Config,
    network: &Network,
    checkpoint: &Checkpoint,
    largest: f32,
) -> Result<Box<dyn Engine>> {
    let theirs = Config::of(checkpoint)?.unwrap_or_else(|| config.dense());
    let teacher = theirs.network()?;
    ensure!(
        (teacher.input(), teacher.classes()) == (network.input(), network.classes()),
        "{} takes images of {:?} and has {} classes, {} takes {:?} and has {}: a teacher must have the same",
        theirs.model,
        teacher.input(),
        teacher.classes(),
        config.model,
        network.input(),
        network.classes()
    );
    let policy = Policy::new(&teacher, theirs.weights, theirs.activations, &theirs.skip)?;
    let mut engine = engine(config, &teacher, &policy, largest)?;
    engine.set_state(&checkpoint.tensors)?;
    Ok(engine)
}

/// The one place that knows devices.
fn engine(
    config: &Config,
    network: &Network,
    policy: &Policy,
    largest: f32,
) -> Result<Box<dyn Engine>> {
    let seed = config.recipe.seed;
    match config.device {
        Device::Cpu => Ok(Box::new(Cpu::new(network, policy, seed, largest))),
        #[cfg(feature = "libtorch")]
        Device::Gpu => Ok(Box::new(tern_train::Torch::new(
            network, policy, seed, largest,
        )?)),
        #[cfg(not(feature = "libtorch"))]
        Device::Gpu => bail!(
            "--device gpu: this ternc was built without libtorch; build it with --features libtorch, or train with --device cpu"
        ),
    }
}

/// Where a configuration is in a training's folder.
pub fn config_of(dir: &Path) -> PathBuf {
    dir.join("config.toml")
}

#[cfg(test)]
mod tests;

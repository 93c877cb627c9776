//! `ternc train`: a network of the zoo, from a data set to a compiled model.

use crate::training::{self, Config, Device, Epoch, Watch};
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::cell::RefCell;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tern_train::{Activations, Schedule, Step, Weights};

/// Train a network of the zoo, and compile it
///
/// A network with ternary weights begins with, and learns from, its dense twin, which is trained
/// first (into DIR/f32) unless --distil names one. Ctrl-C saves; --resume goes on, to the same bits.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A file with the same options, as training writes it: DIR/config.toml
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// Go on with the training in this folder
    #[arg(long, value_name = "DIR", exclusive = true)]
    resume: Option<PathBuf>,
    /// Architecture [default: tiny for the digits, otherwise resnet20]
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Data set: a name that `ternc data list` knows, or a folder of pictures
    #[arg(long, value_name = "NAME|DIR")]
    dataset: Option<String>,
    /// Where the data set's files are, in place of the cache
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Weights of all layers but the first, the last and depthwise ones [default: t2]
    #[arg(long, value_name = "WEIGHTS")]
    weights: Option<WeightsArg>,
    /// What layers multiply [default: f32]
    #[arg(long, value_name = "ACTIVATIONS")]
    activations: Option<ActivationsArg>,
    /// Layers that stay dense: a glob on their names (repeatable)
    #[arg(long, value_name = "GLOB")]
    skip: Vec<String>,
    /// Width multiplier of the network's channels
    #[arg(long, value_name = "W")]
    width: Option<f64>,
    /// A checkpoint to begin with and, unless there is a --teacher, to learn from
    #[arg(long, value_name = "CHECKPOINT", conflicts_with = "from_scratch")]
    distil: Option<PathBuf>,
    /// A checkpoint to learn from, of any architecture for the same images and classes
    #[arg(long, value_name = "CHECKPOINT")]
    teacher: Option<PathBuf>,
    /// Share of that network's answers in the loss; 0: learn from labels alone [default: 0.7, or
    /// 0.3 for resnet8]
    #[arg(long, value_name = "SHARE")]
    distil_share: Option<f32>,
    /// What logits are divided by before they are compared [default: 2]
    #[arg(long, value_name = "T")]
    distil_temperature: Option<f32>,
    /// Learn without a dense twin
    #[arg(long)]
    from_scratch: bool,
    /// Times that every image is seen
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Images of a step
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// Highest learning rate; a twin that is trained first has twice that [default: 0.1, or
    /// 0.05 for larger networks than resnet20; with f32 weights 0.2 and 0.1]
    #[arg(long, value_name = "LR")]
    lr: Option<f64>,
    /// Share of the last step in the next
    #[arg(long, value_name = "M")]
    momentum: Option<f64>,
    /// Share of weights in their gradients [default: 5e-4 for f32 weights, 1e-4 for others, or 0 for
    /// resnet8's]
    #[arg(long, value_name = "D")]
    weight_decay: Option<f64>,
    /// Nesterov's momentum: true or false
    #[arg(long, value_name = "BOOL")]
    nesterov: Option<bool>,
    /// How the learning rate falls
    #[arg(long, value_name = "SCHEDULE")]
    schedule: Option<ScheduleArg>,
    /// Epochs in which the learning rate rises
    #[arg(long, value_name = "EPOCHS")]
    warmup: Option<f64>,
    /// Share of a label that is spread over all classes
    #[arg(long, value_name = "SHARE")]
    label_smoothing: Option<f64>,
    /// What is done to images: none, flip, shift or flip,shift
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    augment: Option<Vec<AugmentArg>>,
    /// Share of the epochs over which weights turn from dense to ternary
    #[arg(long, value_name = "SHARE")]
    blend: Option<f64>,
    /// Of everything that is random
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Where the arithmetic happens
    #[arg(long, value_enum)]
    device: Option<Device>,
    /// Write everything into this folder: config.toml, checkpoint.safetensors, log.jsonl, its curves
    /// as training.html, model.tern with accuracy.html [default: MODEL-DATASET-WEIGHTS]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  ternc train --dataset digits                       the quick start's network, in seconds
  ternc train --model resnet20 --dataset fashion-mnist --weights n12 --activations i8 --out run
  ternc train --resume run
  ternc train --config run/config.toml --out again";

#[derive(Clone, Copy, ValueEnum)]
enum WeightsArg {
    /// 32-bit floats
    F32,
    /// -1, 0 or 1 times a scale: two bits a weight
    T2,
    /// Of each pair one is 0: one bit a weight
    N12,
    /// Of each four one is 0: 1.25 bits a weight
    N34,
}

#[derive(Clone, Copy, ValueEnum)]
enum ActivationsArg {
    F32,
    I8,
    I7,
}

#[derive(Clone, Copy, ValueEnum)]
enum ScheduleArg {
    Cosine,
    Step,
    OneCycle,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum AugmentArg {
    None,
    Flip,
    Shift,
}

impl Args {
    fn config(&self) -> Result<Config> {
        let mut config = match &self.config {
            Some(path) => Config::read(path)?,
            None => Config {
                weights: Weights::T2,
                ..Config::default()
            },
        };
        let model = self.model.clone().unwrap_or(config.model.clone());
        let dataset = self.dataset.clone().unwrap_or(config.dataset.clone());
        if model != config.model || dataset != config.dataset {
            config.network = None;
        }
        (config.model, config.dataset) = (model, dataset);
        config.data_dir = self.data_dir.clone().or(config.data_dir);
        config.weights = match self.weights {
            None => config.weights,
            Some(WeightsArg::F32) => Weights::F32,
            Some(WeightsArg::T2) => Weights::T2,
            Some(WeightsArg::N12) => Weights::N12,
            Some(WeightsArg::N34) => Weights::N34,
        };
        config.activations = match self.activations {
            None => config.activations,
            Some(ActivationsArg::F32) => Activations::F32,
            Some(ActivationsArg::I8) => Activations::I8,
            Some(ActivationsArg::I7) => Activations::I7,
        };
        if !self.skip.is_empty() {
            config.skip.clone_from(&self.skip);
        }
        config.distil = self.distil.clone().or(config.distil);
        config.teacher = self.teacher.clone().or(config.teacher);
        config.from_scratch |= self.from_scratch;
        config.device = self.device.unwrap_or(config.device);
        let mut recipe = config.training.unwrap_or_else(|| {
            Config::default_recipe(&config.model, &config.dataset, config.weights)
        });
        recipe.epochs = self.epochs.unwrap_or(recipe.epochs);
        recipe.batch_size = self.batch_size.unwrap_or(recipe.batch_size);
        recipe.momentum = self.momentum.unwrap_or(recipe.momentum);
        recipe.nesterov = self.nesterov.unwrap_or(recipe.nesterov);
        recipe.warmup = self.warmup.unwrap_or(recipe.warmup);
        recipe.label_smoothing = self.label_smoothing.unwrap_or(recipe.label_smoothing);
        recipe.blend = self.blend.unwrap_or(recipe.blend);
        recipe.distil.share = self.distil_share.unwrap_or(recipe.distil.share);
        recipe.distil.temperature = self.distil_temperature.unwrap_or(recipe.distil.temperature);
        recipe.seed = self.seed.unwrap_or(recipe.seed);
        recipe.weight_decay = self.weight_decay.unwrap_or(recipe.weight_decay);
        recipe.lr = self.lr.unwrap_or(recipe.lr);
        recipe.schedule = match self.schedule {
            None => recipe.schedule,
            Some(ScheduleArg::Cosine) => Schedule::Cosine,
            Some(ScheduleArg::Step) => Schedule::Step,
            Some(ScheduleArg::OneCycle) => Schedule::OneCycle,
        };
        if let Some(augment) = &self.augment {
            recipe.augment.flip = augment.contains(&AugmentArg::Flip);
            recipe.augment.shift = if augment.contains(&AugmentArg::Shift) {
                2
            } else {
                0
            };
        }
        config.training = Some(recipe);
        if let Some(width) = self.width {
            config = config.resolved()?;
            if let Some(network) = &mut config.network {
                network.width = width;
            }
        }
        Ok(config)
    }
}

/// The bar, and Ctrl-C.
struct Bar {
    bar: RefCell<ProgressBar>,
    quiet: bool,
    stop: Arc<AtomicBool>,
}

impl Watch for Bar {
    fn begin(&self, about: &str, done: u64, steps: u64) {
        let target = if self.quiet {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let bar = ProgressBar::with_draw_target(Some(steps), target);
        let template = "{prefix} [{bar:24}] {pos}/{len} {msg} {eta} left";
        bar.set_style(
            ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("=> "),
        );
        bar.set_prefix(about.to_owned());
        bar.set_position(done);
        bar.reset_eta();
        self.bar.borrow().finish_and_clear();
        *self.bar.borrow_mut() = bar;
        if !self.quiet {
            eprintln!("training {about}");
        }
    }

    fn step(&self, step: &Step) {
        let bar = self.bar.borrow();
        bar.set_message(format!(
            "loss {:.3}, {:.1}% right, {:.0} images/s,",
            step.result.loss,
            100.0 * step.result.correct as f64 / step.images.max(1) as f64,
            bar.per_sec() * step.images as f64
        ));
        bar.inc(1);
    }

    fn epoch(&self, e: &Epoch) {
        if self.quiet {
            return;
        }
        let share = |name: &str, share: Option<f64>| {
            share.map_or(String::new(), |s| format!(", {:.2}% {name}", 100.0 * s))
        };
        let line = format!(
            "epoch {}: loss {:.4}, {:.2}% right{}{}, {:.0} images/s",
            e.epoch,
            e.loss,
            100.0 * e.accuracy,
            share("zeros", e.zeros),
            share("flipped", e.flips),
            e.images_per_s
        );
        self.bar.borrow().suspend(|| eprintln!("{line}"));
    }

    fn stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

pub(super) fn run(args: Args) -> Result<()> {
    let (config, dir) = match &args.resume {
        Some(dir) => {
            let path = training::config_of(dir);
            let config = Config::read(&path)
                .with_context(|| format!("--resume {}: no training is there", dir.display()))?;
            (config, dir.clone())
        }
        None => {
            let config = args.config()?.resolved()?;
            let name = |text: &str| {
                Path::new(text)
                    .file_name()
                    .map(|n| n.to_string_lossy().into_owned())
            };
            let dataset = name(&config.dataset).unwrap_or_default();
            let folder = format!("{}-{dataset}-{}", config.model, config.weights.name());
            let dir = args.out.clone().unwrap_or_else(|| folder.into());
            if dir.join(training::CHECKPOINT).exists() {
                bail!(
                    "{} holds a training already: go on with --resume {}, or take another --out",
                    dir.display(),
                    dir.display()
                );
            }
            (config, dir)
        }
    };
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(130); // asked twice
        }
    })
    .context("cannot listen for Ctrl-C")?;
    let bar = Bar {
        bar: RefCell::new(ProgressBar::hidden()),
        quiet: args.quiet,
        stop,
    };
    let result = training::run(&config, &dir, &bar);
    bar.bar.borrow().finish_and_clear();
    let finished = result?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:.2}% of {} held-out images by the runtime, {:.2}% by the trainer; {} seen differently{}",
        100.0 * finished.top1,
        finished.images,
        100.0 * finished.trainer_top1,
        finished.disagree,
        if finished.disagree > 0 {
            format!(
                ", their two best classes up to {:.4} apart",
                finished.widest_disagreement
            )
        } else {
            String::new()
        }
    )?;
    writeln!(
        out,
        "wrote {} ({} bytes), {} and {}",
        finished.model.display(),
        crate::text_table::grouped(finished.file_bytes),
        dir.join("accuracy.html").display(),
        dir.join("training.html").display()
    )?;
    Ok(())
}

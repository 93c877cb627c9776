//! What a compiled model says about the images of a data set, computed by the
//! runtime: one session a thread, the model's own batch at a time.
//!
//! [`evaluate`] gives the numbers of every image as [`Predictions`]; what is made of
//! them is the caller's ([`crate::report`], the trainer).

use crate::data::{self, Dataset, Info};
use crate::host::{Aligned, Host};
use crate::pipeline::Progress;
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use ternrt::{Caps, DType, Model, caps_from_env};

/// How to evaluate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// Threads; 0 for as many as the machine runs at once.
    pub threads: usize,
    /// At most so many images, evenly spread over the data set; all without.
    pub limit: Option<usize>,
    /// Mean of each channel in place of the data set's: one value, or one a channel.
    pub mean: Option<Vec<f32>>,
    /// Standard deviation, as `mean`.
    pub std: Option<Vec<f32>>,
}

/// What a model said about images, in the data set's order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Predictions {
    /// Numbers that the model gives an image: one a class.
    pub classes: usize,
    /// Index into the data set of each image.
    pub images: Vec<usize>,
    /// Class of each image.
    pub labels: Vec<usize>,
    /// The model's output: `classes` numbers an image.
    pub logits: Vec<f32>,
}

impl Predictions {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The output of each image.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.logits.chunks_exact(self.classes.max(1))
    }

    /// The class that each image is seen as: that of the largest number, of equal
    /// ones the first. A number that is NaN counts as the smallest.
    pub fn seen(&self) -> Vec<usize> {
        self.rows().map(largest).collect()
    }

    /// How many images are seen as what they are.
    pub fn correct(&self) -> usize {
        let seen = self.rows().map(largest);
        seen.zip(&self.labels).filter(|(s, l)| s == *l).count()
    }

    /// Whether the numbers of every image are probabilities already.
    pub fn are_probabilities(&self) -> bool {
        let distribution = |row: &[f32]| {
            let sum: f32 = row.iter().sum();
            row.iter().all(|p| (0.0..=1.0).contains(p)) && (sum - 1.0).abs() < 1e-3
        };
        self.rows().all(distribution)
    }

    /// Mean over the images of the negative logarithm of the probability that the model
    /// gives to what they are. Scores become probabilities by softmax.
    pub fn cross_entropy(&self) -> f64 {
        let known = self.are_probabilities();
        let loss = |(row, &label): (&[f32], &usize)| {
            let own = f64::from(row[label]);
            if known {
                return -own.max(1e-12).ln();
            }
            let high = f64::from(row[largest(row)]);
            let sum: f64 = row.iter().map(|&x| (f64::from(x) - high).exp()).sum();
            high + sum.ln() - own
        };
        let sum: f64 = self.rows().zip(&self.labels).map(loss).sum();
        sum / self.len().max(1) as f64
    }

    /// Share of the images that are seen as what they are, in 0..=1.
    pub fn top1(&self) -> f64 {
        self.correct() as f64 / self.len().max(1) as f64
    }
}

/// Position of the largest number, of equal ones the first; NaN is the smallest.
pub fn largest(row: &[f32]) -> usize {
    let mut best = 0;
    for (i, &x) in row.iter().enumerate() {
        if x > row[best] || row[best].is_nan() && !x.is_nan() {
            best = i;
        }
    }
    best
}

/// How a model takes images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input {
    /// Images that it takes at a time.
    pub batch: usize,
    /// Channels, height and width; none where it takes pixels in a row.
    pub shape: Option<[usize; 3]>,
    /// Numbers an image.
    len: usize,
    /// Whether the channels of a pixel lie together.
    channels_last: bool,
}

impl Input {
    /// Of a model with one f32 input of images: `[n, c, h, w]` or `[n, h, w, c]` with
    /// 1 or 3 channels, or `[n, pixels]`.
    ///
    /// # Errors
    /// Any other input.
    pub fn of(model: &Model<'_>) -> Result<Input> {
        let mut inputs = model.inputs(0);
        let count = inputs.len();
        let (Some(info), 1) = (inputs.next(), count) else {
            bail!("the model has {count} inputs: one that takes images is needed");
        };
        ensure!(
            info.dtype == DType::F32,
            "the model's input {:?} is {}: images are given as f32",
            info.name,
            info.dtype.name()
        );
        let input = |batch: usize, shape: Option<[usize; 3]>, len, channels_last| Input {
            batch,
            shape,
            len,
            channels_last,
        };
        Ok(match *info.dims() {
            [n, c @ (1 | 3), h, w] => input(n, Some([c, h, w]), c * h * w, false),
            [n, h, w, c @ (1 | 3)] => input(n, Some([c, h, w]), c * h * w, true),
            [n, len] => input(n, None, len, false),
            ref dims => bail!(
                "the model's input {:?} has shape {dims:?}: images of 1 or 3 channels are \
                 [n, c, h, w] or [n, h, w, c], or their pixels [n, pixels]",
                info.name
            ),
        })
    }

    /// Writes an image, one plane a channel, as the model takes it.
    pub fn write(&self, planes: &[f32], out: &mut [f32]) {
        match self.shape {
            Some([channels, h, w]) if self.channels_last => {
                for (c, plane) in planes.chunks_exact(h * w).enumerate() {
                    for (pixel, &value) in out.chunks_exact_mut(channels).zip(plane) {
                        pixel[c] = value;
                    }
                }
            }
            _ => out.copy_from_slice(planes),
        }
    }
}

/// Runs the model (the bytes of a `.tern` file) on the images of a data set.
///
/// The data set's images must have the shape that the model takes ([`Input::of`],
/// [`crate::data::Options::shape`]). They are normalised as [`Info::normalise`] says.
///
/// # Errors
/// A model that the runtime refuses, or whose input or output does not fit the data
/// set; an image that cannot be read.
pub fn evaluate(
    model: &[u8],
    data: &dyn Dataset,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Predictions> {
    let copy;
    let bytes = if (model.as_ptr() as usize).is_multiple_of(ternrt::format::ALIGN) {
        model
    } else {
        copy = Aligned::new(model);
        copy.bytes()
    };
    let model = Model::new(bytes).map_err(|e| anyhow!("the model: {e}"))?;
    let input = Input::of(&model)?;
    let info = normalisation(data.info(), options)?;
    fits(&input, &info)?;
    let classes = outputs(&model, input.batch)?;
    ensure!(
        classes == info.classes.len(),
        "the model tells {classes} classes apart, and the data set {:?} has {}",
        info.name,
        info.classes.len()
    );
    let images = chosen(data.len(), options.limit);
    let mut predictions = Predictions {
        classes,
        labels: images.iter().map(|&i| data.label(i)).collect(),
        logits: vec![0.0; images.len() * classes],
        images,
    };
    let work = Work {
        model: &model,
        data,
        info: &info,
        input,
        classes,
        images: &predictions.images,
        caps: caps_from_env()?,
        next: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
    };
    let threads = match options.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n,
    };
    let threads = threads.min(work.batches()).max(1);
    progress.stage("evaluating", Some(work.images.len() as u64));
    let logits = &mut predictions.logits;
    std::thread::scope(|scope| {
        let (send, receive) = mpsc::channel();
        for _ in 0..threads {
            let (work, send) = (&work, send.clone());
            scope.spawn(move || {
                if let Err(error) = work.run(&send) {
                    work.stop.store(true, Ordering::Relaxed);
                    // The receiver goes on until all senders are gone.
                    let _ = send.send(Err(error));
                }
            });
        }
        drop(send);
        let (mut done, mut result) = (0, Ok(()));
        for message in receive {
            match message {
                Ok((first, values)) => {
                    logits[first * classes..][..values.len()].copy_from_slice(&values);
                    done += values.len() / classes;
                    progress.advance(done as u64);
                }
                Err(error) if result.is_ok() => result = Err(error),
                Err(_) => {}
            }
        }
        result
    })?;
    Ok(predictions)
}

/// What the threads share.
struct Work<'a> {
    model: &'a Model<'a>,
    data: &'a dyn Dataset,
    info: &'a Info,
    input: Input,
    classes: usize,
    images: &'a [usize],
    caps: Caps,
    /// The batch that is begun next.
    next: AtomicUsize,
    /// Whether a thread failed.
    stop: AtomicBool,
}

/// Position of a batch's first image, and the model's numbers for all of them.
type Message = Result<(usize, Vec<f32>)>;

impl Work<'_> {
    fn batches(&self) -> usize {
        self.images.len().div_ceil(self.input.batch)
    }

    /// One thread's part: batches until none are left.
    fn run(&self, send: &mpsc::Sender<Message>) -> Result<()> {
        let mut host = Host::with_caps(self.model, 1, self.caps)?;
        let mut session = host.session()?;
        let Input { batch, len, .. } = self.input;
        let mut pixels = vec![0u8; self.info.pixels()];
        let mut planes = vec![0f32; self.info.pixels()];
        while !self.stop.load(Ordering::Relaxed) {
            let first = self.next.fetch_add(1, Ordering::Relaxed) * batch;
            let Some(images) = self.images.get(first..) else {
                break;
            };
            let images = &images[..images.len().min(batch)];
            if images.is_empty() {
                break;
            }
            let values = session.input_f32_mut(0)?;
            for (i, &image) in images.iter().enumerate() {
                self.data
                    .read(image, &mut pixels)
                    .with_context(|| format!("image {image} of {:?}", self.info.name))?;
                self.info.normalise(&pixels, &mut planes);
                self.input.write(&planes, &mut values[i * len..][..len]);
            }
            // Of a last batch that is not full: nobody reads what becomes of these.
            values[images.len() * len..].fill(0.0);
            session.run(0)?;
            let out = &session.output_f32(0)?[..images.len() * self.classes];
            if send.send(Ok((first, out.to_vec()))).is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// What all images share, with the caller's mean and standard deviation.
///
/// # Errors
/// Values that are not one or one a channel, or a deviation that is not above 0.
pub fn normalisation(info: &Info, options: &Options) -> Result<Info> {
    let mut info = info.clone();
    let channels = info.shape[0];
    let own = |name: &str, given: &Option<Vec<f32>>, own: &mut Vec<f32>| -> Result<()> {
        if let Some(given) = given {
            *own = data::per_channel(given, channels).with_context(|| format!("--{name}"))?;
        }
        Ok(())
    };
    own("mean", &options.mean, &mut info.mean)?;
    own("std", &options.std, &mut info.std)?;
    ensure!(
        info.std.iter().all(|s| *s > 0.0 && s.is_finite())
            && info.mean.iter().all(|m| m.is_finite()),
        "--mean and --std must be finite, and --std greater than 0"
    );
    Ok(info)
}

fn fits(input: &Input, info: &Info) -> Result<()> {
    let [c, h, w] = info.shape;
    match input.shape {
        Some(shape) => ensure!(
            shape == info.shape,
            "the images of {:?} are {c}x{h}x{w}, and the model takes {}x{}x{}",
            info.name,
            shape[0],
            shape[1],
            shape[2]
        ),
        None => ensure!(
            input.len == info.pixels(),
            "the images of {:?} are {c}x{h}x{w}, {} numbers, and the model takes {}",
            info.name,
            info.pixels(),
            input.len
        ),
    }
    Ok(())
}

/// Numbers that the model's first output has for each image.
fn outputs(model: &Model<'_>, batch: usize) -> Result<usize> {
    let output = model.outputs(0).next();
    let output = output.context("the model has no outputs")?;
    ensure!(
        output.dtype == DType::F32,
        "the model's output {:?} is {}, not f32 scores",
        output.name,
        output.dtype.name()
    );
    let dims = output.dims();
    let elements: usize = dims.iter().product();
    ensure!(
        dims.first() == Some(&batch) && dims.iter().skip(1).filter(|d| **d != 1).count() <= 1,
        "the model's output {:?} has shape {dims:?}: one score a class is needed for each of {batch} images",
        output.name
    );
    Ok(elements / batch)
}

/// How many images of a data set are looked at.
pub fn image_count(data: &dyn Dataset, options: &Options) -> usize {
    options.limit.map_or(data.len(), |n| n.min(data.len()))
}

/// Images to look at: all, or `limit` of them evenly spread, since folders hold
/// one class after the other.
fn chosen(len: usize, limit: Option<usize>) -> Vec<usize> {
    match limit {
        Some(limit) if limit < len => (0..limit).map(|i| i * len / limit).collect(),
        _ => (0..len).collect(),
    }
}

#[cfg(test)]
mod tests;

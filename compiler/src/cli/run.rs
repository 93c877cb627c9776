//! `ternc run`: one inference on files.

use super::picture::{self, Pixels};
use super::{model_file, npy};
use crate::host::Host;
use crate::text_table as table;
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use std::io::Write;
use std::path::PathBuf;
use ternrt::DType;
use ternrt::format::metadata::key as keys;

/// Run a .tern model on NumPy files or on an image
#[derive(clap::Args)]
pub struct Args {
    /// The compiled model, or the name of a trained one (ternc zoo list)
    model: PathBuf,
    /// An input, as NAME=FILE.npy; dtype and shape must be the model's
    #[arg(long = "input", value_name = "NAME=FILE")]
    inputs: Vec<String>,
    /// Where to write NAME.npy for each output (made if missing)
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
    /// A JPEG or PNG as the only input; prints the five highest outputs
    #[arg(long, value_name = "FILE", conflicts_with = "inputs")]
    image: Option<PathBuf>,
    #[command(flatten)]
    pixels: Pixels,
    /// What computes
    #[arg(long, value_enum, default_value_t = Backend::Cpu)]
    backend: Backend,
    /// Threads
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,
}

/// Backends of this build.
#[derive(Clone, Copy, ValueEnum)]
pub enum Backend {
    /// The CPU's best instruction set (TERNRT_CAPS=scalar|avx2 restricts it)
    Cpu,
}

pub(super) fn run(args: Args) -> Result<()> {
    let Backend::Cpu = args.backend;
    if args.inputs.is_empty() && args.image.is_none() {
        bail!("nothing to run on: give --input NAME=FILE.npy for each input, or --image FILE");
    }
    if args.image.is_none() && args.output_dir.is_none() {
        bail!("give --output-dir DIR for the results");
    }
    let file = model_file::open_compiled(&args.model)?;
    let model = file.model()?;
    let mut host = Host::new(&model, args.threads as usize)?;
    let mut session = host.session()?;

    let infos: Vec<_> = model.inputs(0).collect();
    let known = || {
        infos
            .iter()
            .map(|i| format!("{:?}", i.name))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut filled = vec![false; infos.len()];
    if let Some(image) = &args.image {
        let [info] = infos.as_slice() else {
            bail!(
                "--image needs a model with one input; this has {}: use --input for {}",
                infos.len(),
                known()
            );
        };
        if info.dtype != DType::F32 {
            bail!(
                "--image needs an f32 input; {:?} is {}: use --input",
                info.name,
                info.dtype.name()
            );
        }
        let (mean, std) = args.pixels.of_model(&model)?;
        let pixels = picture::load(image, info.dims(), &mean, &std)?;
        session.input_f32_mut(0)?.copy_from_slice(&pixels);
        filled[0] = true;
    }
    for input in &args.inputs {
        let (name, file) = input
            .split_once('=')
            .with_context(|| format!("--input {input:?}: write NAME=FILE.npy"))?;
        let Some(i) = infos.iter().position(|info| info.name == name) else {
            bail!(
                "--input: the model has no input {name:?}; it has {}",
                known()
            );
        };
        if filled[i] {
            bail!("--input: {name:?} is given twice");
        }
        let values = npy::read(file.as_ref(), name, infos[i].dtype, infos[i].dims())?;
        session.input_mut(i)?.copy_from_slice(&values);
        filled[i] = true;
    }
    if let Some(i) = filled.iter().position(|f| !f) {
        bail!(
            "input {:?} is not given: add --input {}=FILE.npy",
            infos[i].name,
            infos[i].name
        );
    }
    session.run(0)?;

    if let Some(dir) = &args.output_dir {
        std::fs::create_dir_all(dir)
            .with_context(|| format!("cannot make the directory {}", dir.display()))?;
        for (i, info) in model.outputs(0).enumerate() {
            npy::write(
                &npy::output_path(dir, info.name),
                info.dtype,
                info.dims(),
                session.output(i)?,
            )?;
        }
    }
    if args.image.is_some() {
        let labels: Vec<&str> = model
            .metadata(keys::LABELS)
            .map(|l| l.lines().collect())
            .unwrap_or_default();
        let info = model
            .outputs(0)
            .next()
            .context("the model has no outputs")?;
        if info.dtype != DType::F32 {
            bail!(
                "output {:?} is {}, not f32 scores",
                info.name,
                info.dtype.name()
            );
        }
        let mut out = std::io::stdout().lock();
        write!(out, "{}", top(session.output_f32(0)?, &labels, 5))?;
    }
    Ok(())
}

/// The `n` highest scores with their labels.
fn top(scores: &[f32], labels: &[&str], n: usize) -> String {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    let rows: Vec<Vec<String>> = order
        .into_iter()
        .take(n)
        .map(|i| {
            let label = labels.get(i).copied().unwrap_or("");
            vec![i.to_string(), format!("{:.4}", scores[i]), label.to_owned()]
        })
        .collect();
    table::render(&["class", "score", "label"], &[0, 1], &rows)
}

//! `ternc quickstart`: the whole path on a model that is built in.

use super::progress::Bar;
use crate::emit::write_atomically;
use crate::host::Host;
use crate::passes::ActivationMode;
use crate::pipeline::{self, CompileOptions};
use crate::text_table as table;
use anyhow::{Context, Result};
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;
use ternrt::Model;

/// Compile and run a small classifier of handwritten digits that is built in
#[derive(clap::Args)]
pub struct Args {
    /// Keep the compiled model (default: a file in the system's temporary directory)
    #[arg(short, long, value_name = "OUT.tern")]
    output: Option<PathBuf>,
}

/// The classifier and its test images; their README tells where they are from.
const ONNX: &[u8] = include_bytes!("../../assets/digits/digits.onnx");
const IMAGES: &[u8] = include_bytes!("../../assets/digits/test_images.bin");
const LABELS: &[u8] = include_bytes!("../../assets/digits/test_labels.bin");
const PIXELS: usize = 64;

pub(super) fn run(args: Args) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "A ternary classifier of handwritten digits (8x8 pixels), from ONNX to results.\n"
    )?;
    let path = args
        .output
        .unwrap_or_else(|| std::env::temp_dir().join("digits.tern"));
    let mut rows = Vec::new();
    let mut last = None;
    for mode in [ActivationMode::F32, ActivationMode::I16, ActivationMode::I8] {
        let bar = Bar::new(false);
        let options = CompileOptions {
            activations: mode,
            ..CompileOptions::default()
        };
        let compiled = pipeline::compile_bytes(ONNX, "digits.onnx", &options, &bar)?;
        bar.finish();
        if mode == ActivationMode::F32 {
            write!(out, "{}", compiled.report.to_text())?;
            write_atomically(&path, &compiled.bytes)?;
        }
        let result = classify(&compiled.bytes)?;
        rows.push(vec![
            mode.name().to_owned(),
            format!(
                "{:.1}%  ({} of {})",
                100.0 * result.right as f64 / result.all as f64,
                result.right,
                result.all
            ),
            table::grouped(compiled.bytes.len() as u64),
            format!(
                "{:.1}x",
                compiled.report.totals.f32_bytes as f64
                    / compiled.report.totals.weight_bytes as f64
            ),
            table::grouped(result.arena as u64),
            format!("{:.1} us", result.micros),
        ]);
        last = Some(result);
    }
    writeln!(
        out,
        "\nRun on {} held-out images with the runtime, one thread:\n",
        LABELS.len()
    )?;
    let header = [
        "activations",
        "accuracy",
        "file bytes",
        "weights vs f32",
        "arena bytes",
        "median latency",
    ];
    write!(out, "{}", table::render(&header, &[2, 3, 4, 5], &rows))?;
    let example = last.context("no result")?.first;
    writeln!(
        out,
        "\nThe first test image, seen as {example}:\n{}",
        picture(&IMAGES[..PIXELS])
    )?;
    writeln!(
        out,
        "The compiled model is {}. What to try next:",
        path.display()
    )?;
    writeln!(out, "  ternc inspect {}", path.display())?;
    writeln!(out, "  ternc verify {}", path.display())?;
    writeln!(out, "  ternc compile your-model.onnx -o your-model.tern")?;
    writeln!(
        out,
        "  ternrt-bench {} --profile      (cargo run --release -p ternrt-bench -- ...)",
        path.display()
    )?;
    Ok(())
}

struct Outcome {
    right: usize,
    all: usize,
    arena: usize,
    micros: f64,
    first: usize,
}

fn classify(bytes: &[u8]) -> Result<Outcome> {
    let model = Model::new(bytes)?;
    let mut host = Host::new(&model, 1)?;
    let arena = model.arena_len();
    let mut session = host.session()?;
    let mut seen = Vec::new();
    let mut micros = Vec::new();
    for image in IMAGES.chunks_exact(PIXELS) {
        for (x, &pixel) in session.input_f32_mut(0)?.iter_mut().zip(image) {
            *x = pixel as f32 / 16.0;
        }
        let start = Instant::now();
        session.run(0)?;
        micros.push(start.elapsed().as_secs_f64() * 1e6);
        let logits = session.output_f32(0)?;
        seen.push(
            (0..logits.len())
                .max_by(|&a, &b| logits[a].total_cmp(&logits[b]))
                .unwrap_or(0),
        );
    }
    micros.sort_by(f64::total_cmp);
    let right = seen
        .iter()
        .zip(LABELS)
        .filter(|(s, l)| **s == **l as usize)
        .count();
    Ok(Outcome {
        right,
        all: LABELS.len(),
        arena,
        micros: micros[micros.len() / 2],
        first: seen[0],
    })
}

/// 8x8 pixels of 0 to 16 as text.
fn picture(image: &[u8]) -> String {
    let shade = |p: &u8| ["  ", "..", "++", "##"][(*p as usize * 4 / 17).min(3)];
    image
        .chunks(8)
        .map(|row| "    ".to_owned() + &row.iter().map(shade).collect::<String>() + "\n")
        .collect()
}

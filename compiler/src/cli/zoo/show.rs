//! `ternc zoo show`.

use super::{Registry, Sizes, find};
use crate::text_table as table;
use crate::zoo::registry::{self, Entry};
use crate::zoo::summary::{Row, Summary, rows, summary};
use anyhow::{Result, ensure};
use serde::Serialize;
use std::fmt::Write as _;
use std::io::Write as _;

/// Show a network layer by layer: shapes, parameters, multiplications; and where a trained one is
/// from
#[derive(clap::Args)]
pub(super) struct Args {
    /// Its name in `ternc zoo list`
    name: String,
    #[command(flatten)]
    sizes: Sizes,
    #[command(flatten)]
    registry: Registry,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    summary: Summary,
    layers: Vec<Row>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trained: Option<Entry>,
}

pub(super) fn run(args: Args) -> Result<()> {
    let entries = registry::entries(args.registry.registry.as_deref())?;
    let trained = entries.iter().find(|e| e.name == args.name);
    let (found, config) = match trained {
        Some(entry) => {
            ensure!(
                !args.sizes.any(),
                "{:?} is trained: its sizes are fixed",
                args.name
            );
            (find(&entry.architecture, &entries)?, entry.config)
        }
        None => {
            let found = find(&args.name, &entries)?;
            (found, args.sizes.or(found.default))
        }
    };
    let (summary, network) = summary(found, config)?;
    let shown = Shown {
        summary,
        layers: rows(&network)?,
        trained: trained.cloned(),
    };
    let text = if args.json {
        serde_json::to_string_pretty(&shown)? + "\n"
    } else {
        render(&shown)
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}

fn render(shown: &Shown) -> String {
    let s = &shown.summary;
    let count = |n: u64| {
        if n == 0 {
            String::new()
        } else {
            table::grouped(n)
        }
    };
    let cells: Vec<Vec<String>> = shown
        .layers
        .iter()
        .map(|row| {
            let shapes: Vec<String> = row.tensors.iter().map(|t| table::shape(&t.1)).collect();
            let weights = match (row.macs > 0, row.ternary) {
                (false, _) => "",
                (true, true) => "ternary",
                (true, false) => "dense",
            };
            vec![
                row.name.clone(),
                row.layer.clone(),
                table::shape(&row.shape),
                // Those of a batch norm are alike.
                shapes.first().cloned().unwrap_or_default(),
                count(row.parameters),
                count(row.macs),
                weights.into(),
            ]
        })
        .collect();
    let mut out = format!("{}: {}\n\n", s.name, s.about);
    let header = [
        "layer",
        "what",
        "result",
        "weight",
        "parameters",
        "MAC",
        "in t2, n34, n12",
    ];
    out += &table::render(&header, &[4, 5], &cells);
    let _ = writeln!(
        out,
        "\n{} parameters, {} MAC; weights {} as f32, {} as t2, {} as n34, {} as n12",
        table::grouped(s.parameters),
        table::grouped(s.macs),
        table::bytes(s.bytes.f32),
        table::bytes(s.bytes.t2),
        table::bytes(s.bytes.n34),
        table::bytes(s.bytes.n12)
    );
    if let Some(e) = &shown.trained {
        let images = table::grouped(e.images);
        let place = if e.is_built_in() { ", built in" } else { "" };
        let _ = writeln!(
            out,
            "\n{}, version {}: {} weights, {} activations\n  \
             top 1       {:.2}% of {images} held-out images of {}\n  \
             file        {}, {} bytes{place}\n  \
             sha256      {}\n  \
             licence     {}\n  \
             source      {}\n  \
             command     {}",
            e.name,
            e.version,
            e.weights.name(),
            e.activations.name(),
            e.accuracy,
            e.dataset,
            e.file.display(),
            table::grouped(e.bytes),
            e.sha256,
            e.licence,
            e.source,
            e.command
        );
        if let Some(checkpoint) = &e.checkpoint {
            let _ = writeln!(out, "  checkpoint  {checkpoint}");
        }
        if let Some(report) = &e.report {
            let _ = writeln!(out, "  report      {report}");
        }
    }
    out
}

//! `ternc zoo list`.

use super::Registry;
use crate::text_table as table;
use crate::zoo::ARCHITECTURES;
use crate::zoo::registry::{self, Entry};
use crate::zoo::summary::{Summary, summary};
use anyhow::Result;
use serde::Serialize;
use std::io::Write;

/// List the networks: parameters, multiplications, sizes; and trained ones with their accuracy
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    registry: Registry,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Listing {
    architectures: Vec<Summary>,
    trained: Vec<Entry>,
}

pub(super) fn run(args: Args) -> Result<()> {
    let summaries = ARCHITECTURES
        .iter()
        .map(|a| Ok(summary(a, a.default)?.0))
        .collect::<Result<_>>()?;
    let listing = Listing {
        architectures: summaries,
        trained: registry::entries(args.registry.registry.as_deref())?,
    };
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&listing)?)?;
    } else {
        out.write_all(render(&listing).as_bytes())?;
    }
    Ok(())
}

fn render(listing: &Listing) -> String {
    let cells: Vec<Vec<String>> = listing
        .architectures
        .iter()
        .map(|s| {
            vec![
                s.name.into(),
                table::shape(&[s.config.channels, s.config.image_size, s.config.image_size]),
                s.config.classes.to_string(),
                table::grouped(s.parameters),
                table::grouped(s.macs),
                table::bytes(s.bytes.f32),
                table::bytes(s.bytes.t2),
                table::bytes(s.bytes.n34),
                table::bytes(s.bytes.n12),
                s.about.into(),
            ]
        })
        .collect();
    let header = [
        "network",
        "image",
        "classes",
        "parameters",
        "MAC",
        "f32",
        "t2",
        "n34",
        "n12",
        "what",
    ];
    let architectures = table::render(&header, &[2, 3, 4, 5, 6, 7, 8], &cells);
    let cells: Vec<Vec<String>> = listing
        .trained
        .iter()
        .map(|e| {
            vec![
                e.name.clone(),
                e.dataset.clone(),
                format!("{:.2}%", e.accuracy),
                e.weights.name().into(),
                e.activations.name().into(),
                table::grouped(e.bytes),
                e.licence.clone(),
            ]
        })
        .collect();
    let header = [
        "trained network",
        "data set",
        "top 1",
        "weights",
        "activations",
        "bytes",
        "licence",
    ];
    let trained = table::render(&header, &[2, 5], &cells);
    format!(
        "{architectures}\n\
         f32, t2, n34, n12: bytes of weights, scales and biases; ternary ones with 8 bits in the first and the last\n\
         layer and in depthwise ones. ternc zoo show NAME --classes 10 counts with other sizes.\n\n\
         {trained}\n\
         A trained network's name stands wherever a command takes a .tern file.\n"
    )
}

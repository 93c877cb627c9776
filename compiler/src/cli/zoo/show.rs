//! `ternc zoo show`.

use super::Sizes;
use crate::text_table as table;
use crate::zoo::find;
use crate::zoo::summary::{Row, Summary, rows, summary};
use anyhow::Result;
use serde::Serialize;
use std::fmt::Write as _;
use std::io::Write as _;

/// Show a network layer by layer: shapes, parameters, multiplications
#[derive(clap::Args)]
pub(super) struct Args {
    /// Its name in `ternc zoo list`
    name: String,
    #[command(flatten)]
    sizes: Sizes,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    summary: Summary,
    layers: Vec<Row>,
}

pub(super) fn run(args: Args) -> Result<()> {
    let found = find(&args.name)?;
    let (summary, network) = summary(found, args.sizes.or(found.default))?;
    let shown = Shown {
        summary,
        layers: rows(&network)?,
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
        "in t2 and n12",
    ];
    out += &table::render(&header, &[4, 5], &cells);
    let _ = writeln!(
        out,
        "\n{} parameters, {} MAC; weights {} as f32, {} as t2, {} as n12",
        table::grouped(s.parameters),
        table::grouped(s.macs),
        table::bytes(s.bytes.f32),
        table::bytes(s.bytes.t2),
        table::bytes(s.bytes.n12)
    );
    out
}

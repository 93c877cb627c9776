//! `ternc inspect`: what is in a file.

use super::model_file;
use crate::report::arena;
use crate::text_table as table;
use anyhow::{Context, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use ternrt::format::NONE;
use ternrt::format::header::{Header, Section};
use ternrt::format::tensor::{Place, Tensor};
use ternrt::{Model, TensorInfo};

/// Show what is in a .tern file: header, entry points, ops, tensors, where the
/// bytes go, the arena plan, metadata
#[derive(clap::Args)]
pub struct Args {
    /// The compiled model, or the name of a trained one (ternc zoo list)
    model: PathBuf,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
    /// Draw the arena over time into this SVG file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

#[derive(Serialize)]
struct Inspection {
    format_version: String,
    file_bytes: u64,
    arena_plan_bytes: u64,
    arena_bytes_here: u64,
    sections: BTreeMap<&'static str, u64>,
    entries: Vec<EntryInfo>,
    ops: Vec<OpInfo>,
    tensors: Vec<TensorRow>,
    bytes_by_codec: BTreeMap<String, u64>,
    golden_cases: usize,
    metadata: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct EntryInfo {
    name: String,
    first_op: usize,
    ops: usize,
    inputs: Vec<PortInfo>,
    outputs: Vec<PortInfo>,
}

#[derive(Serialize)]
struct PortInfo {
    name: String,
    dtype: &'static str,
    shape: Vec<usize>,
}

#[derive(Serialize)]
struct OpInfo {
    name: String,
    op: String,
    inputs: Vec<Option<u32>>,
    outputs: Vec<Option<u32>>,
    macs: u64,
}

#[derive(Serialize)]
struct TensorRow {
    id: usize,
    name: String,
    place: &'static str,
    dtype: &'static str,
    codec: &'static str,
    shape: Vec<usize>,
    offset: u64,
    bytes: u64,
    qmax: u32,
    non_negative: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    scale_tensor: Option<u32>,
}

pub(super) fn run(args: Args) -> Result<()> {
    let file = model_file::open_compiled(&args.model)?;
    let model = file.model()?;
    let inspection = inspect(&model, file.bytes().len() as u64);
    if let Some(path) = &args.svg {
        crate::emit::write_atomically(path, arena::chart(&model).document().as_bytes())?;
    }
    let text = if args.json {
        serde_json::to_string_pretty(&inspection).context("writing JSON")? + "\n"
    } else {
        render(&inspection)
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}

fn place(tensor: &Tensor) -> &'static str {
    match tensor.place {
        Place::Arena => "arena",
        Place::Data => "data",
    }
}

fn inspect(model: &Model<'_>, file_bytes: u64) -> Inspection {
    let port = |info: TensorInfo<'_>| PortInfo {
        name: info.name.to_owned(),
        dtype: info.dtype.name(),
        shape: info.dims().to_vec(),
    };
    let tensors: Vec<TensorRow> = model
        .tensors()
        .enumerate()
        .map(|(id, t)| {
            let (dims, rank) = t.shape();
            TensorRow {
                id,
                name: model.tensor_name(&t).to_owned(),
                place: place(&t),
                dtype: t.dtype.name(),
                codec: t.codec.name(),
                shape: dims[..rank].to_vec(),
                offset: t.offset,
                bytes: t.len,
                qmax: t.qmax,
                non_negative: t.non_negative,
                scale_tensor: (t.scale != NONE).then_some(t.scale),
            }
        })
        .collect();
    let mut bytes_by_codec = BTreeMap::new();
    for t in tensors.iter().filter(|t| t.place == "data") {
        let kind = if t.codec == "plain" { t.dtype } else { t.codec };
        *bytes_by_codec.entry(kind.to_owned()).or_insert(0) += t.bytes;
    }
    let mut entries = Vec::new();
    let mut ops = Vec::new();
    for e in 0..model.entry_count() {
        let first_op = ops.len();
        ops.extend(model.ops(e).map(|step| OpInfo {
            name: model.op_name(step.number).unwrap_or_default().to_owned(),
            op: step.record.op.to_string(),
            inputs: step.record.inputs.iter().collect(),
            outputs: step.record.outputs.iter().collect(),
            macs: step.record.op.macs(&step.operands),
        }));
        entries.push(EntryInfo {
            name: model.entry_name(e).unwrap_or_default().to_owned(),
            first_op,
            ops: ops.len() - first_op,
            inputs: model.inputs(e).map(port).collect(),
            outputs: model.outputs(e).map(port).collect(),
        });
    }
    let header = model.header();
    Inspection {
        format_version: format!("{}.{}", Header::MAJOR, Header::MINOR),
        file_bytes,
        arena_plan_bytes: header.arena_bytes,
        arena_bytes_here: model.arena_len() as u64,
        sections: Section::ALL
            .into_iter()
            .map(|s| (s.name(), header.section(s).len))
            .collect(),
        entries,
        ops,
        tensors,
        bytes_by_codec,
        golden_cases: model.golden().count(),
        metadata: model
            .metadata_pairs()
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect(),
    }
}

fn render(i: &Inspection) -> String {
    let mut out = String::new();
    let ids = |v: &[Option<u32>]| {
        v.iter()
            .map(|id| id.map_or("_".to_owned(), |id| format!("%{id}")))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let _ = writeln!(
        out,
        "format {}, file {} ({} bytes), arena plan {}, arena here {}, {} golden cases\n",
        i.format_version,
        table::bytes(i.file_bytes),
        table::grouped(i.file_bytes),
        table::bytes(i.arena_plan_bytes),
        table::bytes(i.arena_bytes_here),
        i.golden_cases
    );
    for e in &i.entries {
        let _ = writeln!(
            out,
            "entry {:?}: ops {}..{}",
            e.name,
            e.first_op,
            e.first_op + e.ops
        );
        for (kind, ports) in [("input", &e.inputs), ("output", &e.outputs)] {
            for p in ports {
                let _ = writeln!(
                    out,
                    "  {kind:<6} {:?} {} {}",
                    p.name,
                    p.dtype,
                    table::shape(&p.shape)
                );
            }
        }
    }
    let rows: Vec<Vec<String>> = i
        .ops
        .iter()
        .enumerate()
        .map(|(n, o)| {
            vec![
                n.to_string(),
                o.name.clone(),
                format!("{} <- {}", ids(&o.outputs), ids(&o.inputs)),
                table::grouped(o.macs),
                o.op.clone(),
            ]
        })
        .collect();
    let _ = write!(
        out,
        "\n{}",
        table::render(
            &["op", "name", "tensors", "MAC", "attributes"],
            &[0, 3],
            &rows
        )
    );
    let rows: Vec<Vec<String>> = i
        .tensors
        .iter()
        .map(|t| {
            vec![
                format!("%{}", t.id),
                t.name.clone(),
                t.place.into(),
                t.dtype.into(),
                t.codec.into(),
                table::shape(&t.shape),
                t.offset.to_string(),
                table::grouped(t.bytes),
                match (t.qmax, t.non_negative) {
                    (0, _) => String::new(),
                    (qmax, true) => format!("0..q{qmax}"),
                    (qmax, false) => format!("q{qmax}"),
                },
                t.scale_tensor.map_or(String::new(), |s| format!("%{s}")),
            ]
        })
        .collect();
    let header = [
        "tensor", "name", "place", "dtype", "codec", "shape", "offset", "bytes", "quant", "scale",
    ];
    let _ = write!(out, "\n{}", table::render(&header, &[6, 7], &rows));
    let total: u64 = i.file_bytes.max(1);
    let rows: Vec<Vec<String>> = i
        .bytes_by_codec
        .iter()
        .map(|(k, v)| (format!("data, {k}"), *v))
        .chain(
            i.sections
                .iter()
                .filter(|(k, _)| **k != "data")
                .map(|(k, v)| ((*k).to_owned(), *v)),
        )
        .map(|(k, v)| {
            vec![
                k,
                table::grouped(v),
                format!("{:.1}%", 100.0 * v as f64 / total as f64),
            ]
        })
        .collect();
    let _ = write!(
        out,
        "\n{}",
        table::render(&["where the bytes go", "bytes", "share"], &[1, 2], &rows)
    );
    out.push('\n');
    for (k, v) in &i.metadata {
        let shown: String = v.lines().next().unwrap_or("").chars().take(70).collect();
        let more = if shown.len() < v.len() {
            format!(" ... ({} bytes)", v.len())
        } else {
            String::new()
        };
        let _ = writeln!(out, "metadata {k}: {shown}{more}");
    }
    out
}

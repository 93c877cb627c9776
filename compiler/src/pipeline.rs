//! The whole flow: ONNX in, the bytes of a `.tern` file out.

use crate::calibrate::Calibration;
use crate::emit::{self, GoldenCase};
use crate::host::Aligned;
use crate::import::onnx::{self, ImportOptions};
use crate::ir::text::{self, Constants};
use crate::ir::{Graph, verify};
use crate::pack::{self, CodecChoice, Dense};
use crate::passes::{self, ActivationMode, quantize_activations};
use crate::plan::{self, Plan};
use crate::report::Report;
use crate::ternarise::{self, Policy};
use crate::{golden, text_table as table};
use anyhow::{Context, Result, anyhow, bail};
use std::collections::BTreeMap;
use std::path::Path;
use ternrt::Model;
use ternrt::format::metadata::key as keys;

/// What `ternc compile` can be told.
#[derive(Clone, Debug)]
pub struct CompileOptions {
    /// Which layers become ternary, and how.
    pub ternarise: Policy,
    /// How weights that stay floats are stored.
    pub dense: Dense,
    /// What layers with integer weights compute with.
    pub activations: ActivationMode,
    /// Where static scales (i8, i7) come from; without, they are dynamic.
    pub calibrate: Option<Calibration>,
    /// How trits are packed.
    pub codec: CodecChoice,
    /// Shapes of inputs whose dimensions the file leaves open.
    pub input_shapes: Vec<(String, Vec<usize>)>,
    /// Largest arena plan allowed, in bytes.
    pub max_arena: Option<u64>,
    /// Largest file allowed, in bytes.
    pub max_file: Option<u64>,
    /// Whether to store golden inputs and outputs.
    pub golden: bool,
    /// Metadata, by key; in place of the ONNX file's own.
    pub metadata: BTreeMap<String, String>,
}

impl Default for CompileOptions {
    fn default() -> Self {
        CompileOptions {
            ternarise: Policy::default(),
            dense: Dense::default(),
            activations: ActivationMode::default(),
            calibrate: None,
            codec: CodecChoice::default(),
            input_shapes: Vec::new(),
            max_arena: None,
            max_file: None,
            golden: true,
            metadata: BTreeMap::new(),
        }
    }
}

/// Who watches a compilation.
pub trait Progress {
    /// A stage begins; `total` steps, if they can be counted.
    fn stage(&self, name: &str, total: Option<u64>);
    /// A stage begins whose steps are bytes.
    fn bytes(&self, name: &str, total: u64) {
        self.stage(name, Some(total));
    }
    /// So many steps of the stage are done.
    fn advance(&self, position: u64);
}

/// Nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn stage(&self, _: &str, _: Option<u64>) {}
    fn advance(&self, _: u64) {}
}

/// A file that is larger than [`CompileOptions::max_file`].
#[derive(Clone, Debug)]
pub struct TooLarge(String);

impl std::fmt::Display for TooLarge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TooLarge {}

/// What a compilation gives.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The file.
    pub bytes: Vec<u8>,
    /// What was done.
    pub report: Report,
    /// The graph that the file holds.
    pub graph: Graph,
}

impl Compiled {
    /// The graph in text form, large constants elided.
    pub fn ir_text(&self) -> String {
        text::print(&self.graph, Constants::Elided)
    }
}

/// Compiles the ONNX file at `path`.
///
/// # Errors
/// One line that names what is wrong and what to do about it.
pub fn compile(path: &Path, options: &CompileOptions, progress: &dyn Progress) -> Result<Compiled> {
    progress.stage("reading the model", None);
    let import = ImportOptions {
        input_shapes: options.input_shapes.clone(),
    };
    let graph = onnx::import(path, &import)?;
    let name = path
        .file_stem()
        .map(|s| s.to_string_lossy().into_owned())
        .unwrap_or_default();
    compile_graph(graph, &name, options, progress)
}

/// As [`compile`], from a file's bytes; `name` is for people.
///
/// # Errors
/// As [`compile`].
pub fn compile_bytes(
    bytes: &[u8],
    name: &str,
    options: &CompileOptions,
    progress: &dyn Progress,
) -> Result<Compiled> {
    progress.stage("reading the model", None);
    let import = ImportOptions {
        input_shapes: options.input_shapes.clone(),
    };
    let graph = onnx::import_bytes(bytes, &import).with_context(|| name.to_owned())?;
    compile_graph(graph, name.trim_end_matches(".onnx"), options, progress)
}

/// As [`compile`], from a graph: all that follows the import.
///
/// # Errors
/// As [`compile`].
pub fn compile_graph(
    mut graph: Graph,
    name: &str,
    options: &CompileOptions,
    progress: &dyn Progress,
) -> Result<Compiled> {
    verify::verify(&graph).context("after the import")?;
    progress.stage("simplifying the graph", None);
    passes::optimise(&mut graph)?;

    progress.stage("ternarising weights", None);
    let errors = ternarise::ternarise(&mut graph, &options.ternarise)?;
    let ranges = match &options.calibrate {
        None => None,
        Some(_)
            if matches!(
                options.activations,
                ActivationMode::F32 | ActivationMode::I16
            ) =>
        {
            bail!(
                "--calibrate gives i8 and i7 their static scales; --activations {} has none: add --activations i8, or leave --calibrate out",
                options.activations.name()
            )
        }
        Some(calibration) => {
            let watched = quantize_activations::quantised_values(&graph, options.activations);
            Some(calibration.ranges(&graph, &watched, progress)?)
        }
    };
    quantize_activations::run(&mut graph, options.activations, ranges.as_ref())?;
    pack::choose_codecs(&mut graph, options.codec, options.dense);

    progress.stage("planning memory", None);
    check_addresses(&graph)?;
    let plan = plan::plan(&graph);
    plan::verify::verify(&graph, &plan).context("the memory plan is wrong")?;
    check_arena(&graph, &plan, options.max_arena)?;

    progress.stage("packing", None);
    let mut metadata = file_metadata(&graph, &plan, name, options);
    let mut write = |graph: &Graph, cases: &[GoldenCase]| -> Result<(Report, Vec<u8>)> {
        let report = Report::new(graph, &errors);
        metadata.insert(keys::LEDGER.into(), serde_json::to_string(&report.layers)?);
        let bytes = emit::emit(graph, &plan, &metadata, cases)?;
        Ok((report, bytes))
    };
    let (mut report, mut bytes) = write(&graph, &[])?;
    let mut cases = Vec::new();
    if options.golden {
        cases = golden::cases(&graph, &bytes, report.totals.macs, options, progress)?;
        if !cases.is_empty() {
            (report, bytes) = write(&graph, &cases)?;
        }
    }
    while options.max_file.is_some_and(|max| bytes.len() as u64 > max)
        && options.codec == CodecChoice::Auto
        && pack::shrink_one(&mut graph)
    {
        (report, bytes) = write(&graph, &cases)?;
    }
    check_file(&bytes, &report, options.max_file)?;

    let aligned = Aligned::new(&bytes);
    let model = Model::new(aligned.bytes())
        .map_err(|e| anyhow!("the runtime refuses the file that was made: {e}"))?;
    let totals = &mut report.totals;
    totals.file_bytes = bytes.len() as u64;
    totals.weight_bytes = model.section(ternrt::format::header::Section::Data).len() as u64;
    totals.times_smaller = totals.f32_bytes as f64 / bytes.len() as f64;
    totals.arena_bytes = plan.arena_bytes;
    Ok(Compiled {
        bytes,
        report,
        graph,
    })
}

/// Values that are larger together than any machine's memory would overflow
/// the planner's sums.
fn check_addresses(graph: &Graph) -> Result<()> {
    let results = graph.nodes.iter().flat_map(|n| &n.outputs);
    let sizes = || {
        let ports = graph.inputs.iter().map(|(_, id)| id);
        results
            .clone()
            .chain(ports)
            .map(|id| (graph.ty(*id).bytes(), *id))
    };
    let total: u128 = sizes().map(|(bytes, _)| bytes as u128).sum();
    match sizes().max() {
        Some((_, id)) if total >= 1 << 48 => bail!(
            "the values of this graph are larger than memory can be; the largest is {:?}, {}",
            graph.value(id).name,
            graph.ty(id)
        ),
        _ => Ok(()),
    }
}

fn check_arena(graph: &Graph, plan: &Plan, max: Option<u64>) -> Result<()> {
    let Some(max) = max.filter(|&max| plan.arena_bytes > max) else {
        return Ok(());
    };
    let (step, blocks) = plan.heaviest_step();
    let at = step
        .checked_sub(1)
        .and_then(|s| plan.steps.get(s))
        .map_or("the inputs", |&n| graph.nodes[n].name.as_str());
    let heaviest: Vec<String> = blocks
        .iter()
        .take(5)
        .map(|b| {
            let value = graph.value(b.value);
            format!(
                "{:?} {} {} ({})",
                value.name,
                value.ty.dtype.name(),
                table::shape(&value.ty.shape),
                table::grouped(b.len)
            )
        })
        .collect();
    bail!(
        "the arena needs {} bytes, {} over --max-arena {}; at its peak ({at}) it holds {}",
        table::grouped(plan.arena_bytes),
        table::grouped(plan.arena_bytes - max),
        table::grouped(max),
        heaviest.join(", ")
    )
}

fn check_file(bytes: &[u8], report: &Report, max: Option<u64>) -> Result<()> {
    let Some(max) = max.filter(|&max| bytes.len() as u64 > max) else {
        return Ok(());
    };
    let mut layers: Vec<_> = report.layers.iter().collect();
    layers.sort_by_key(|l| std::cmp::Reverse(l.bytes));
    let heaviest: Vec<String> = layers
        .iter()
        .take(5)
        .map(|l| format!("{:?} {} ({})", l.name, l.codec, table::grouped(l.bytes)))
        .collect();
    let text = format!(
        "the file has {} bytes, {} over --max-file {}; the largest layers are {}",
        table::grouped(bytes.len() as u64),
        table::grouped(bytes.len() as u64 - max),
        table::grouped(max),
        heaviest.join(", ")
    );
    Err(TooLarge(text).into())
}

fn file_metadata(
    graph: &Graph,
    plan: &Plan,
    name: &str,
    options: &CompileOptions,
) -> BTreeMap<String, String> {
    let mut metadata = graph.metadata.clone();
    metadata.extend(options.metadata.clone());
    metadata
        .entry(keys::NAME.into())
        .or_insert_with(|| name.to_owned());
    metadata.insert(
        keys::PRODUCER.into(),
        format!("ternc {}", env!("CARGO_PKG_VERSION")),
    );
    metadata.insert(keys::ACTIVATIONS.into(), options.activations.name().into());
    let names: Vec<&str> = plan
        .steps
        .iter()
        .map(|&n| graph.nodes[n].name.as_str())
        .collect();
    metadata.insert(keys::OP_NAMES.into(), names.join("\n").replace('\r', " "));
    metadata
}

#[cfg(test)]
mod tests;

//! Import of ONNX files.

use super::builder::Builder;
use super::{check, inputs, prepare, recognise, registry, shield};
use crate::ir::Graph;
use anyhow::{Context, Error, Result, anyhow, bail};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use tract_onnx::pb::ModelProto;
use tract_onnx::tract_hir::internal::*;

/// What the caller knows about the model that the file does not say.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Shapes of inputs by name (`--input-shape`); needed where the file leaves
    /// a dimension open.
    pub input_shapes: Vec<(String, Vec<usize>)>,
}

/// Reads an ONNX file. External data is looked for in the file's directory.
///
/// Inputs and outputs of the graph have the file's names and order
/// (initializers are no inputs). Node names are those of the ONNX nodes; where
/// one becomes several, the others add a suffix.
///
/// Errors are one line each: a file that cannot be read or is not ONNX, external
/// data that is missing, a node that is not supported (with its name, operator
/// and reason), an input whose shape must be given, an input shape that
/// contradicts the file. None of them is a panic.
pub fn import(path: &Path, options: &ImportOptions) -> Result<Graph> {
    let bytes = fs::read(path).map_err(|e| match e.kind() {
        ErrorKind::NotFound => anyhow!("{}: no such file", path.display()),
        _ => anyhow!("{}: cannot be read: {e}", path.display()),
    })?;
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut graph = import_from(&bytes, Some(directory), options)
        .with_context(|| path.display().to_string())?;
    if graph.name.is_empty() {
        graph.name = path
            .file_stem()
            .map(|s| s.to_string_lossy().into_owned())
            .unwrap_or_default();
    }
    Ok(graph)
}

/// As [`import`], from a file's bytes. External data cannot be found this way.
pub fn import_bytes(bytes: &[u8], options: &ImportOptions) -> Result<Graph> {
    import_from(bytes, None, options)
}

fn import_from(bytes: &[u8], directory: Option<&Path>, options: &ImportOptions) -> Result<Graph> {
    // All of it is shielded: decoding recurses, tract and our lowering may meet
    // shapes that neither foresaw.
    shield::shielded(|| {
        let mut proto = check::decode(bytes)?;
        check::check(&proto, directory)?;
        inputs::fix_shapes(&mut proto, options)?;
        let outputs: Vec<String> = proto
            .graph
            .iter()
            .flat_map(|g| &g.output)
            .map(|o| o.name.clone())
            .collect();
        let nodes = prepare::prepare(&mut proto)?;
        let model = typed(&proto, directory)?;
        let mut builder = Builder::new(&model, nodes);
        builder.run(&proto, &outputs)?;
        let mut graph = builder.finish()?;
        recognise::recognise(&mut graph);
        describe(&mut graph, &proto);
        Ok(graph)
    })
    // Names in a malformed file may hold anything.
    .map_err(|e| anyhow!("{}", one_line(&format!("{e:#}"))))
}

/// tract's typed model: all shapes and types known.
fn typed(proto: &ModelProto, directory: Option<&Path>) -> Result<TypedModel> {
    let directory = match directory {
        Some(d) => Some(
            d.to_str()
                .ok_or_else(|| anyhow!("the directory's name is not UTF-8"))?,
        ),
        None => None,
    };
    let parsed = registry::framework()
        .parse(proto, directory)
        .map_err(tract_error)?;
    if let Some(name) = parsed.unresolved_inputs.first() {
        bail!("a node reads \"{name}\", which nothing defines");
    }
    parsed.model.into_typed().map_err(tract_error)
}

/// tract's chain of causes on one line, without its debug dumps.
fn tract_error(error: TractError) -> Error {
    let mut parts: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = one_line(&cause.to_string());
        let text = if text.chars().count() > 200 {
            text.chars().take(200).chain("...".chars()).collect()
        } else {
            text
        };
        if !parts.contains(&text) {
            parts.push(text);
        }
    }
    anyhow!("shape inference failed: {}", parts.join(": "))
}

/// Any text without line breaks, runs of blanks and control characters.
pub(super) fn one_line(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn describe(graph: &mut Graph, proto: &ModelProto) {
    if let Some(g) = &proto.graph {
        graph.name = g.name.clone();
    }
    let version = check::opset(proto).to_string();
    let known = [
        ("onnx.producer_name", &proto.producer_name),
        ("onnx.producer_version", &proto.producer_version),
        ("onnx.domain", &proto.domain),
        ("onnx.opset", &version),
    ];
    for (key, value) in known.into_iter().filter(|(_, v)| !v.is_empty()) {
        graph.metadata.insert(key.into(), value.clone());
    }
    for entry in &proto.metadata_props {
        graph
            .metadata
            .insert(entry.key.clone(), entry.value.clone());
    }
}

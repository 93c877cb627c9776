//! What is refused before tract sees the model.
//!
//! Errors name nodes, operators and tensors as the file does. The checks also
//! keep tract from panicking or allocating without bound on a malformed file,
//! as far as that can be told from the file alone.

use super::{external, operators};
use anyhow::{Result, anyhow, bail, ensure};
use prost::Message;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};

/// Operator sets whose semantics are known here.
const OPSETS: std::ops::RangeInclusive<i64> = 7..=26;
/// The most elements that a shape written in the file may ask for.
const MAX_ELEMENTS: u64 = 1 << 31;
/// Operators with an operand that is a shape, sizes, or counts: the operand's index.
const SHAPE_OPERANDS: &[(&str, usize)] = &[
    ("ConstantOfShape", 0),
    ("Expand", 1),
    ("Tile", 1),
    ("Pad", 1),
    ("OneHot", 1),
    ("Range", 1),
    ("Resize", 3),
];

/// Decodes a model.
pub(super) fn decode(bytes: &[u8]) -> Result<ModelProto> {
    let proto = ModelProto::decode(bytes).map_err(|e| anyhow!("not an ONNX model: {e}"))?;
    ensure!(
        proto.graph.is_some(),
        "not an ONNX model: it holds no graph"
    );
    Ok(proto)
}

/// The version of the default operator set.
pub(super) fn opset(proto: &ModelProto) -> i64 {
    proto
        .opset_import
        .iter()
        .find(|o| is_default_domain(&o.domain))
        .map_or(0, |o| o.version)
}

/// Refuses what cannot be imported; `directory` is where external data lies.
pub(super) fn check(proto: &ModelProto, directory: Option<&Path>) -> Result<()> {
    let graph = proto
        .graph
        .as_ref()
        .ok_or_else(|| anyhow!("not an ONNX model: it holds no graph"))?;
    let version = opset(proto);
    ensure!(
        OPSETS.contains(&version),
        "operator set {version} is not supported, only {} to {}: export with another opset_version or convert the model",
        OPSETS.start(),
        OPSETS.end()
    );
    ensure!(
        graph.sparse_initializer.is_empty(),
        "sparse initializers are not supported: store the weights densely"
    );
    check_tensors(graph, directory)?;
    check_names(graph)?;
    let constants = small_integers(graph);
    for node in &graph.node {
        check_node(node, version).map_err(|reason| anyhow!("{}: {reason}", label(node)))?;
        check_shape_operands(node, &constants)?;
    }
    Ok(())
}

/// `node "x"`, or by its first output where it has no name.
pub(super) fn label(node: &NodeProto) -> String {
    match node.output.iter().find(|o| !o.is_empty()) {
        Some(output) if node.name.is_empty() => format!("node with output \"{output}\""),
        _ => format!("node \"{}\"", node.name),
    }
}

fn is_default_domain(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// Initializers and tensor attributes, with the words that name them.
fn tensors(graph: &GraphProto) -> impl Iterator<Item = (String, &TensorProto)> {
    let initializers = graph
        .initializer
        .iter()
        .map(|t| (format!("initializer \"{}\"", t.name), t));
    let attributes = graph.node.iter().flat_map(|node| {
        node.attribute.iter().flat_map(move |a| {
            let tensors = a.t.iter().chain(&a.tensors);
            tensors.map(move |t| (format!("{}: attribute \"{}\"", label(node), a.name), t))
        })
    });
    initializers.chain(attributes)
}

fn check_tensors(graph: &GraphProto, directory: Option<&Path>) -> Result<()> {
    for (name, tensor) in tensors(graph) {
        check_tensor(tensor, directory).map_err(|e| anyhow!("{name} {e:#}"))?;
    }
    Ok(())
}

/// The stored elements must be as many as the dimensions say.
fn check_tensor(tensor: &TensorProto, directory: Option<&Path>) -> Result<()> {
    let dtype = DataType::try_from(tensor.data_type).unwrap_or(DataType::Undefined);
    let size: u64 = match dtype {
        DataType::Float | DataType::Int32 => 4,
        DataType::Double | DataType::Int64 => 8,
        DataType::Float16 | DataType::Int16 | DataType::Uint16 => 2,
        DataType::Int8 | DataType::Uint8 | DataType::Bool => 1,
        other => bail!(
            "has elements of type {} ({}), which is not supported: use float32, float16 or int64",
            other.as_str_name().to_lowercase(),
            tensor.data_type
        ),
    };
    let elements = tensor
        .dims
        .iter()
        .try_fold(1u64, |n, &d| n.checked_mul(u64::try_from(d).ok()?))
        .filter(|n| n.checked_mul(size).is_some_and(|b| b <= isize::MAX as u64))
        .ok_or_else(|| anyhow!("has impossible dimensions {:?}", tensor.dims))?;
    let bytes = elements * size;
    if tensor.data_location == Some(DataLocation::External as i32) && tensor.raw_data.is_empty() {
        return external::check(tensor, bytes, directory);
    }
    if !tensor.raw_data.is_empty() {
        let found = tensor.raw_data.len();
        ensure!(
            found as u64 == bytes,
            "has dimensions {:?}, {bytes} bytes, but stores {found}",
            tensor.dims
        );
        return Ok(());
    }
    let found = match dtype {
        DataType::Float => tensor.float_data.len(),
        DataType::Double => tensor.double_data.len(),
        DataType::Int64 => tensor.int64_data.len(),
        _ => tensor.int32_data.len(),
    };
    ensure!(
        found as u64 == elements,
        "has dimensions {:?}, {elements} elements, but stores {found}",
        tensor.dims
    );
    Ok(())
}

/// Every value is defined once, and before anything asks for it.
fn check_names(graph: &GraphProto) -> Result<()> {
    let mut defined: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    ensure!(
        defined.len() == graph.initializer.len(),
        "two initializers have the same name"
    );
    let mut inputs = HashSet::new();
    for input in &graph.input {
        ensure!(
            inputs.insert(input.name.as_str()),
            "two inputs are called \"{}\"",
            input.name
        );
    }
    defined.extend(inputs);
    for node in &graph.node {
        for input in node.input.iter().filter(|n| !n.is_empty()) {
            ensure!(
                defined.contains(input.as_str()),
                "{}: its input \"{input}\" is defined by nothing before it",
                label(node)
            );
        }
        for output in node.output.iter().filter(|n| !n.is_empty()) {
            ensure!(
                defined.insert(output),
                "{}: \"{output}\" is defined twice",
                label(node)
            );
        }
    }
    ensure!(!graph.output.is_empty(), "the model has no outputs");
    for output in &graph.output {
        ensure!(
            defined.contains(output.name.as_str()),
            "output \"{}\" is defined by nothing",
            output.name
        );
    }
    Ok(())
}

fn check_node(node: &NodeProto, version: i64) -> Result<(), String> {
    let op = &node.op_type;
    if !is_default_domain(&node.domain) {
        return Err(format!(
            "op \"{op}\" of domain \"{}\" is not supported: only ONNX's own operators are; export without custom operators, or inline the model's functions",
            node.domain
        ));
    }
    let Some(operator) = operators::find(op) else {
        return Err(format!(
            "op \"{op}\" is not supported: {}",
            operators::remedy(op)
        ));
    };
    for attribute in &node.attribute {
        let name = attribute.name.as_str();
        if !operator.attributes.contains(&name) {
            return Err(format!(
                "op \"{op}\" is not supported with attribute \"{name}\""
            ));
        }
        if !attribute.ref_attr_name.is_empty() {
            return Err(format!(
                "op \"{op}\": attribute \"{name}\" refers to a function's attribute; inline the functions"
            ));
        }
        check_attribute(node, attribute)?;
    }
    if node.output.iter().all(|o| o.is_empty()) {
        return Err(format!("op \"{op}\" has no output"));
    }
    let extra = node.output.iter().skip(1).filter(|o| !o.is_empty()).count();
    match op.as_str() {
        "BatchNormalization" if extra > 0 => Err(format!(
            "op \"{op}\" is not supported in training mode; export the model in evaluation mode"
        )),
        "ConvTranspose" | "Conv"
            if attribute_is_set(node, "auto_pad", b"NOTSET") && has_pads(node) =>
        {
            Err(format!("op \"{op}\" has both \"auto_pad\" and \"pads\""))
        }
        // ONNX's formula and onnxruntime disagree about it.
        "MaxPool" | "AveragePool" if same_padding(node) && dilated(node) => Err(format!(
            "op \"{op}\" is not supported with both \"auto_pad\" and \"dilations\": state the pads"
        )),
        "Resize" if version < 10 => Err(format!(
            "op \"{op}\" does not exist in operator set {version}"
        )),
        _ => Ok(()),
    }
}

fn attribute_is_set(node: &NodeProto, name: &str, default: &[u8]) -> bool {
    node.attribute
        .iter()
        .any(|a| a.name == name && !a.s.is_empty() && a.s != default)
}

fn same_padding(node: &NodeProto) -> bool {
    node.attribute
        .iter()
        .any(|a| a.name == "auto_pad" && a.s.starts_with(b"SAME"))
}

fn dilated(node: &NodeProto) -> bool {
    node.attribute
        .iter()
        .any(|a| a.name == "dilations" && a.ints.iter().any(|&d| d != 1))
}

fn has_pads(node: &NodeProto) -> bool {
    node.attribute
        .iter()
        .any(|a| a.name == "pads" && a.ints.iter().any(|&p| p != 0))
}

/// Values that tract would take wrongly or that would make it panic.
fn check_attribute(node: &NodeProto, a: &AttributeProto) -> Result<(), String> {
    let (op, name) = (node.op_type.as_str(), a.name.as_str());
    let bad = |value: String, why: &str| {
        Err(format!(
            "op \"{op}\": {name}={value} is not supported: {why}"
        ))
    };
    match (op, name) {
        (_, "kernel_shape" | "strides" | "dilations")
            if a.ints.iter().any(|v| !(1..=65535).contains(v)) =>
        {
            bad(format!("{:?}", a.ints), "values must lie in 1..=65535")
        }
        ("Conv" | "ConvTranspose" | "MaxPool" | "AveragePool", "pads" | "output_padding")
            if a.ints.iter().any(|v| !(0..=65535).contains(v)) =>
        {
            bad(
                format!("{:?}", a.ints),
                "values must lie in 0..=65535; use Pad or Slice",
            )
        }
        (_, "group" | "blocksize" | "num_groups" | "num_outputs" | "p")
            if !(1..=1 << 24).contains(&a.i) =>
        {
            bad(a.i.to_string(), "it must be positive")
        }
        ("BatchNormalization", "training_mode") if a.i != 0 => {
            bad(a.i.to_string(), "export the model in evaluation mode")
        }
        ("BatchNormalization", "spatial") if a.i != 1 => bad(a.i.to_string(), "only 1 is"),
        ("Dropout", "is_test") if a.i == 0 => {
            bad(a.i.to_string(), "export the model in evaluation mode")
        }
        (_, "stash_type") if a.i != 1 => bad(a.i.to_string(), "only 1 (float32) is"),
        ("Swish", "alpha") if a.f != 1.0 => bad(a.f.to_string(), "only 1 is"),
        ("Gelu", "approximate") if a.s != b"none" && a.s != b"tanh" => bad(
            String::from_utf8_lossy(&a.s).into_owned(),
            "only none and tanh are",
        ),
        ("Cast", "to") if !castable(a.i) => {
            bad(a.i.to_string(), "elements of that type are not supported")
        }
        ("Resize" | "Upsample", "mode") if a.s != b"nearest" && a.s != b"linear" => bad(
            String::from_utf8_lossy(&a.s).into_owned(),
            "only nearest and linear are",
        ),
        ("Transpose", "perm") if !is_permutation(&a.ints) => {
            bad(format!("{:?}", a.ints), "it is no permutation")
        }
        _ => Ok(()),
    }
}

fn castable(dtype: i64) -> bool {
    i32::try_from(dtype)
        .ok()
        .and_then(|d| DataType::try_from(d).ok())
        .is_some_and(|d| {
            use DataType::*;
            matches!(
                d,
                Float | Float16 | Double | Int8 | Uint8 | Int16 | Int32 | Int64 | Bool
            )
        })
}

fn is_permutation(perm: &[i64]) -> bool {
    let mut seen = vec![false; perm.len()];
    perm.iter().all(|&p| {
        usize::try_from(p)
            .ok()
            .and_then(|p| seen.get_mut(p))
            .is_some_and(|s| !std::mem::replace(s, true))
    })
}

/// Integer constants of a few elements, by the value's name.
fn small_integers(graph: &GraphProto) -> HashMap<&str, Vec<i64>> {
    let initializers = graph.initializer.iter().map(|t| (t.name.as_str(), t));
    let constants = graph
        .node
        .iter()
        .filter(|n| n.op_type == "Constant")
        .filter_map(|n| {
            let tensor = n.attribute.iter().find(|a| a.name == "value")?.t.as_ref()?;
            Some((n.output.first()?.as_str(), tensor))
        });
    initializers
        .chain(constants)
        .filter_map(|(name, t)| Some((name, integers(t)?)))
        .collect()
}

fn integers(t: &TensorProto) -> Option<Vec<i64>> {
    if t.data_type != DataType::Int64 as i32 || t.raw_data.len() > 128 || t.int64_data.len() > 16 {
        return None;
    }
    let raw = t
        .raw_data
        .chunks_exact(8)
        .filter_map(|c| Some(i64::from_le_bytes(c.try_into().ok()?)));
    Some(if t.raw_data.is_empty() {
        t.int64_data.clone()
    } else {
        raw.collect()
    })
}

fn check_shape_operands(node: &NodeProto, constants: &HashMap<&str, Vec<i64>>) -> Result<()> {
    for (_, index) in SHAPE_OPERANDS.iter().filter(|(op, _)| *op == node.op_type) {
        let Some(values) = node
            .input
            .get(*index)
            .and_then(|name| constants.get(name.as_str()))
        else {
            continue;
        };
        let elements = values
            .iter()
            .filter(|v| **v != 0)
            .try_fold(1u64, |n, v| n.checked_mul(v.unsigned_abs()));
        ensure!(
            elements.is_some_and(|n| n <= MAX_ELEMENTS),
            "{}: op \"{}\": {values:?} asks for too many elements",
            label(node),
            node.op_type
        );
    }
    Ok(())
}

//! Rewrites of the decoded model that make tract's work, and its names, predictable.

use super::check::label;
use anyhow::{Result, ensure};
use std::collections::{HashMap, HashSet};
use tract_onnx::pb::type_proto::Value;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto};

/// The ONNX nodes by their (now unique) names: their operators.
pub(super) type Nodes = HashMap<String, String>;

/// Gives every node a unique name, removes Dropout, drops the shapes that the
/// file states for inner values and outputs, which tract infers itself, and
/// renames outputs that are inputs or initializers.
pub(super) fn prepare(proto: &mut ModelProto) -> Result<Nodes> {
    let Some(graph) = proto.graph.as_mut() else {
        return Ok(Nodes::new());
    };
    graph.value_info.clear();
    separate_outputs(graph);
    for output in &mut graph.output {
        if let Some(Value::TensorType(tensor)) =
            output.r#type.as_mut().and_then(|t| t.value.as_mut())
        {
            tensor.shape = None;
        }
    }
    let nodes = name_nodes(graph);
    remove_dropout(graph)?;
    Ok(nodes)
}

/// tract forgets the type of an input that is an output as well: these get a
/// name and a node of their own.
fn separate_outputs(graph: &mut GraphProto) {
    let computed: HashSet<&str> = graph
        .node
        .iter()
        .flat_map(|n| &n.output)
        .map(|o| o.as_str())
        .collect();
    let mut copies = vec![];
    for output in &mut graph.output {
        if !computed.contains(output.name.as_str()) {
            let source = std::mem::take(&mut output.name);
            // No ONNX name holds a line break.
            output.name = format!("{source}\n{}", copies.len());
            copies.push(NodeProto {
                op_type: "Identity".into(),
                name: format!("{source}.copy"),
                input: vec![source],
                output: vec![output.name.clone()],
                ..NodeProto::default()
            });
        }
    }
    graph.node.extend(copies);
}

fn name_nodes(graph: &mut GraphProto) -> Nodes {
    let mut taken: HashSet<String> = graph.input.iter().map(|i| i.name.clone()).collect();
    taken.extend(graph.initializer.iter().map(|t| t.name.clone()));
    let mut nodes = Nodes::new();
    for (i, node) in graph.node.iter_mut().enumerate() {
        let wanted = match node.output.iter().find(|o| !o.is_empty()) {
            Some(output) if node.name.is_empty() => output.clone(),
            _ if node.name.is_empty() => format!("{}_{i}", node.op_type),
            _ => node.name.clone(),
        };
        let mut name = wanted.clone();
        let mut n = 1;
        while !taken.insert(name.clone()) {
            n += 1;
            name = format!("{wanted}_{n}");
        }
        nodes.insert(name.clone(), node.op_type.clone());
        node.name = name;
    }
    nodes
}

/// In inference, dropout is the identity.
fn remove_dropout(graph: &mut GraphProto) -> Result<()> {
    let read: HashSet<String> = graph
        .node
        .iter()
        .flat_map(|n| n.input.iter().cloned())
        .collect();
    let outputs: HashSet<String> = graph.output.iter().map(|o| o.name.clone()).collect();
    let mut falses: HashSet<String> = graph
        .initializer
        .iter()
        .filter(|t| is_false(t))
        .map(|t| t.name.clone())
        .collect();
    for node in graph.node.iter().filter(|n| n.op_type == "Constant") {
        let value = node
            .attribute
            .iter()
            .find(|a| a.name == "value")
            .and_then(|a| a.t.as_ref());
        if let (Some(name), true) = (node.output.first(), value.is_some_and(is_false)) {
            falses.insert(name.clone());
        }
    }
    for node in graph.node.iter_mut().filter(|n| n.op_type == "Dropout") {
        if let Some(mask) = node.output.get(1) {
            ensure!(
                mask.is_empty() || !(read.contains(mask) || outputs.contains(mask)),
                "{}: op \"Dropout\" is not supported with its mask as an output",
                label(node)
            );
        }
        if let Some(mode) = node.input.get(2).filter(|m| !m.is_empty()) {
            ensure!(
                falses.contains(mode),
                "{}: op \"Dropout\" is not supported in training mode; export the model in evaluation mode",
                label(node)
            );
        }
        node.op_type = "Identity".into();
        node.attribute.clear();
        node.input.truncate(1);
        node.output.truncate(1);
    }
    Ok(())
}

/// A boolean constant that is false.
fn is_false(t: &TensorProto) -> bool {
    t.raw_data.iter().all(|&b| b == 0)
        && t.int32_data.iter().all(|&v| v == 0)
        && t.external_data.is_empty()
}

//! Of nodes that compute the same from the same operands, the first serves all.

use crate::ir::{Graph, Node, ValueId};
use anyhow::Result;
use std::collections::HashMap;

/// What the results depend on.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    code: u16,
    attributes: Vec<u8>,
    operands: Vec<Option<ValueId>>,
    /// Some ops are told the result's shape or dtype by its type alone.
    types: Vec<String>,
}

impl Key {
    fn new(graph: &Graph, node: &Node) -> Key {
        let mut attributes = vec![0; node.op.attributes_len()];
        node.op.encode(&mut attributes);
        Key {
            code: node.op.code(),
            attributes,
            operands: node.inputs.clone(),
            types: node
                .outputs
                .iter()
                .map(|o| graph.ty(*o).to_string())
                .collect(),
        }
    }
}

pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    let mut first: HashMap<Key, Vec<ValueId>> = HashMap::new();
    let mut same: HashMap<ValueId, ValueId> = HashMap::new();
    let before = graph.nodes.len();
    for mut node in std::mem::take(&mut graph.nodes) {
        for id in node.inputs.iter_mut().flatten() {
            *id = same.get(id).copied().unwrap_or(*id);
        }
        let quantised = node.outputs.iter().any(|o| graph.ty(*o).quant.is_some());
        let key = Key::new(graph, &node);
        match first.get(&key) {
            // Dynamic scales belong to one node: those are shared where they are made.
            Some(results) if !quantised => {
                same.extend(node.outputs.iter().copied().zip(results.iter().copied()));
            }
            _ => {
                first.insert(key, node.outputs.clone());
                graph.nodes.push(node);
            }
        }
    }
    for (_, id) in &mut graph.outputs {
        *id = same.get(id).copied().unwrap_or(*id);
    }
    Ok(graph.nodes.len() < before)
}

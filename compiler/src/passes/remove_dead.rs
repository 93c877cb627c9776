//! Removes nodes whose results nobody reads.

use crate::ir::Graph;
use crate::plan::with_scale;
use anyhow::Result;

pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    let mut live = vec![false; graph.values.len()];
    for (_, id) in &graph.outputs {
        with_scale(graph, *id).for_each(|v| live[v.0] = true);
    }
    let mut keep = vec![false; graph.nodes.len()];
    for (n, node) in graph.nodes.iter().enumerate().rev() {
        if node.outputs.iter().any(|o| live[o.0]) {
            keep[n] = true;
            for id in node.inputs.iter().flatten() {
                with_scale(graph, *id).for_each(|v| live[v.0] = true);
            }
        }
    }
    let before = graph.nodes.len();
    let mut keep = keep.into_iter();
    graph.nodes.retain(|_| keep.next().unwrap_or(true));
    Ok(graph.nodes.len() < before)
}

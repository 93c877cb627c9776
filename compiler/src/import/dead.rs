//! What no output needs.

use crate::ir::Graph;

/// Removes nodes whose results nothing reads.
pub(super) fn remove_dead(graph: &mut Graph) {
    let mut live = vec![false; graph.values.len()];
    for (_, v) in &graph.outputs {
        live[v.0] = true;
    }
    let keep: Vec<bool> = graph
        .nodes
        .iter()
        .rev()
        .map(|node| {
            let keep = node.outputs.iter().any(|o| live[o.0]);
            if keep {
                node.inputs.iter().flatten().for_each(|i| live[i.0] = true);
            }
            keep
        })
        .collect();
    let mut keep = keep.into_iter().rev();
    graph.nodes.retain(|_| keep.next().unwrap_or(true));
}

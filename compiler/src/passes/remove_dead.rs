//! Removes nodes whose results nobody reads.

use crate::ir::Graph;
use anyhow::Result;

pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    Ok(graph.remove_dead())
}

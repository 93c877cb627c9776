//! Computes nodes whose operands are all constant.

use crate::ir::{Constant, Def, Graph};
use crate::ops::{Arg, interpret};
use anyhow::{Result, anyhow};
use std::sync::Arc;

/// Results of more bytes are left to the run: a few bytes of a damaged model
/// can state a constant that no memory holds.
const LARGEST: usize = 1 << 30;

pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    let mut changed = false;
    let nodes = std::mem::take(&mut graph.nodes);
    for node in nodes {
        let constants: Option<Vec<_>> = node
            .inputs
            .iter()
            .map(|i| match i {
                None => Some(None),
                Some(id) => match graph.constant(*id)?.as_ref() {
                    Constant::Dense(t) => Some(Some(t.clone())),
                    Constant::Scaled(_) => None,
                },
            })
            .collect();
        let Some(constants) = constants else {
            graph.nodes.push(node);
            continue;
        };
        let args: Vec<_> = constants
            .iter()
            .map(|c| c.as_ref().map(Arg::dense))
            .collect();
        let types: Vec<_> = node.outputs.iter().map(|o| graph.ty(*o).clone()).collect();
        let vast = types.iter().any(|t| t.bytes() > LARGEST);
        if vast || types.iter().any(|t| t.quant.is_some()) {
            graph.nodes.push(node);
            continue;
        }
        let results = interpret(&node.op, &args, &types)
            .map_err(|e| anyhow!("node {:?}: {e:#}", node.name))?;
        for (id, tensor) in node.outputs.iter().zip(results) {
            graph.values[id.0].def = Def::Const(Arc::new(Constant::Dense(tensor)));
        }
        changed = true;
    }
    Ok(changed)
}

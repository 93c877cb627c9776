//! Where each value lives in the arena.
//!
//! Time is counted in steps: step 0 fills the inputs, step `i + 1` is the `i`th
//! op, and outputs live to the step behind the last. A value lives from the
//! step that writes it to the last that reads it; two that are alive at the
//! same step never share a byte, which [`verify`](verify::verify) shows again
//! by other means. A `reshape` only renames its operand's bytes and leaves the
//! list of ops wherever that is possible.

pub mod verify;

use crate::ir::{Def, Graph, Op, ValueId};
use std::collections::HashMap;

/// Offsets and lengths are multiples of this.
pub const ALIGN: u64 = 64;

/// One stretch of the arena for one value (and those that rename it).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// The value whose bytes these are.
    pub value: ValueId,
    /// First byte.
    pub offset: u64,
    /// Length in bytes, without padding.
    pub len: u64,
    /// The step that writes it.
    pub first: usize,
    /// The last step that reads it.
    pub last: usize,
}

/// The plan of a graph.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Indices of the nodes that become ops, in order.
    pub steps: Vec<usize>,
    /// The blocks.
    pub blocks: Vec<Block>,
    /// Bytes of the arena.
    pub arena_bytes: u64,
    /// For each value in the arena: its block's index.
    block_of: HashMap<ValueId, usize>,
}

impl Plan {
    /// The block that holds a value; `None` for constants and unused values.
    pub fn block(&self, value: ValueId) -> Option<&Block> {
        self.block_of.get(&value).map(|&i| &self.blocks[i])
    }

    /// The blocks alive at the step where most bytes are, largest first.
    pub fn heaviest_step(&self) -> (usize, Vec<&Block>) {
        let alive = |step: usize| {
            self.blocks
                .iter()
                .filter(move |b| (b.first..=b.last).contains(&step))
        };
        let total = |step: usize| alive(step).map(|b| b.len).sum::<u64>();
        let step = (0..self.steps.len() + 2)
            .max_by_key(|&s| total(s))
            .unwrap_or(0);
        let mut blocks: Vec<&Block> = alive(step).collect();
        blocks.sort_by_key(|b| std::cmp::Reverse(b.len));
        (step, blocks)
    }
}

/// Plans a graph.
pub fn plan(graph: &Graph) -> Plan {
    let is_constant = |id: ValueId| matches!(graph.value(id).def, Def::Const(_));
    // The value whose bytes each value is.
    let mut root: Vec<ValueId> = (0..graph.values.len()).map(ValueId).collect();
    let mut steps = Vec::new();
    for (n, node) in graph.nodes.iter().enumerate() {
        let renamed = match (&node.op, node.inputs.first()) {
            (Op::Reshape(_), Some(&Some(x))) if !is_constant(x) => Some(x),
            _ => None,
        };
        match renamed {
            // An output must not be the very bytes of an input, which the host writes.
            Some(x) if !is_input(graph, root[x.0]) || !is_output(graph, node.outputs[0]) => {
                root[node.outputs[0].0] = root[x.0];
            }
            _ => steps.push(n),
        }
    }

    let mut life: HashMap<ValueId, (usize, usize)> = HashMap::new();
    let mut touch = |id: ValueId, step: usize| {
        for id in graph.with_scale(id).filter(|&id| !is_constant(id)) {
            let span = life.entry(root[id.0]).or_insert((step, step));
            *span = (span.0.min(step), span.1.max(step));
        }
    };
    graph.inputs.iter().for_each(|(_, id)| touch(*id, 0));
    for (i, &n) in steps.iter().enumerate() {
        let node = &graph.nodes[n];
        node.inputs
            .iter()
            .flatten()
            .chain(&node.outputs)
            .for_each(|id| touch(*id, i + 1));
    }
    graph
        .outputs
        .iter()
        .for_each(|(_, id)| touch(*id, steps.len() + 1));

    let mut blocks: Vec<Block> = life
        .into_iter()
        .map(|(value, (first, last))| Block {
            value,
            offset: 0,
            len: graph.ty(value).bytes() as u64,
            first,
            last,
        })
        .collect();
    blocks.sort_by_key(|b| b.value);
    let arena_bytes = place(&mut blocks);
    let index: HashMap<ValueId, usize> = blocks
        .iter()
        .enumerate()
        .map(|(i, b)| (b.value, i))
        .collect();
    let block_of = (0..graph.values.len())
        .filter_map(|v| Some((ValueId(v), *index.get(&root[v])?)))
        .collect();
    Plan {
        steps,
        blocks,
        arena_bytes,
        block_of,
    }
}

fn is_input(graph: &Graph, id: ValueId) -> bool {
    graph.inputs.iter().any(|(_, i)| *i == id)
}

fn is_output(graph: &Graph, id: ValueId) -> bool {
    graph.outputs.iter().any(|(_, o)| *o == id)
}

/// Gives every block an offset and returns the arena's length: each in turn
/// into the smallest gap that holds it, in several orders of which the best
/// counts. (The general problem is NP-hard; largest first is the usual guide,
/// as in TensorFlow Lite's planner.)
fn place(blocks: &mut [Block]) -> u64 {
    type Order = fn(&Block) -> (u64, u64);
    let orders: [Order; 4] = [
        |b| (u64::MAX - b.len, b.first as u64),
        |b| (b.first as u64, u64::MAX - b.len),
        |b| {
            (
                u64::MAX - b.len * (b.last - b.first + 1) as u64,
                b.first as u64,
            )
        },
        |b| (u64::MAX - (b.last - b.first) as u64, u64::MAX - b.len),
    ];
    let mut best: Option<(u64, Vec<u64>)> = None;
    for order in orders {
        let mut queue: Vec<usize> = (0..blocks.len()).collect();
        queue.sort_by_key(|&i| (order(&blocks[i]), i));
        let (end, offsets) = place_in_order(blocks, &queue);
        if best.as_ref().is_none_or(|(b, _)| end < *b) {
            best = Some((end, offsets));
        }
    }
    let (end, offsets) = best.unwrap_or_default();
    for (block, offset) in blocks.iter_mut().zip(offsets) {
        block.offset = offset;
    }
    end
}

fn place_in_order(blocks: &[Block], queue: &[usize]) -> (u64, Vec<u64>) {
    let padded = |b: &Block| b.len.next_multiple_of(ALIGN);
    let mut offsets = vec![0; blocks.len()];
    let mut placed: Vec<usize> = Vec::new();
    let mut end = 0;
    for &i in queue {
        let block = &blocks[i];
        let mut taken: Vec<(u64, u64)> = placed
            .iter()
            .filter(|&&p| blocks[p].first <= block.last && block.first <= blocks[p].last)
            .map(|&p| (offsets[p], offsets[p] + padded(&blocks[p])))
            .collect();
        taken.sort_unstable();
        let mut at = 0;
        let mut gap: Option<(u64, u64)> = None;
        for (start, stop) in taken {
            if start >= at + padded(block) && gap.is_none_or(|(size, _)| start - at < size) {
                gap = Some((start - at, at));
            }
            at = at.max(stop);
        }
        offsets[i] = gap.map_or(at, |(_, at)| at);
        end = end.max(offsets[i] + padded(block));
        placed.push(i);
    }
    (end, offsets)
}

#[cfg(test)]
mod tests;

//! Shows that a plan is sound, by playing it: every write claims its bytes,
//! and takes them from whoever had them; every read must find its bytes still
//! its own. Nothing of the planner's reckoning is used but its result.

use super::{ALIGN, Plan};
use crate::ir::{Def, Graph, Op, ValueId};
use anyhow::{Result, bail, ensure};
use std::collections::HashMap;
use std::ops::Range;

/// Bytes of the arena and whose they are: the value that was written there.
#[derive(Default)]
struct Memory(Vec<(Range<u64>, ValueId)>);

impl Memory {
    fn write(&mut self, bytes: Range<u64>, value: ValueId) {
        self.0
            .retain(|(b, _)| b.end <= bytes.start || bytes.end <= b.start);
        if !bytes.is_empty() {
            self.0.push((bytes, value));
        }
    }

    fn holds(&self, bytes: &Range<u64>, value: ValueId) -> bool {
        bytes.is_empty() || self.0.iter().any(|(b, v)| b == bytes && *v == value)
    }
}

/// An error names the value, the op and the bytes.
pub fn verify(graph: &Graph, plan: &Plan) -> Result<()> {
    let mut memory = Memory::default();
    // Which written value a renamed one stands for.
    let mut origin: HashMap<ValueId, ValueId> = HashMap::new();
    let bytes = |id: ValueId| -> Result<Range<u64>> {
        let block = plan.block(id);
        ensure!(block.is_some(), "value %{} has no place", id.0);
        let offset = block.map_or(0, |b| b.offset);
        let end = offset + graph.ty(id).bytes() as u64;
        ensure!(
            offset.is_multiple_of(ALIGN),
            "value %{} is not aligned",
            id.0
        );
        ensure!(
            end <= plan.arena_bytes,
            "value %{} ends at {end}, beyond the arena's {}",
            id.0,
            plan.arena_bytes
        );
        Ok(offset..end)
    };
    let is_constant = |id: ValueId| matches!(graph.value(id).def, Def::Const(_));
    for (_, id) in &graph.inputs {
        ensure!(
            memory
                .0
                .iter()
                .all(|(b, _)| bytes(*id).is_ok_and(|i| b.end <= i.start || i.end <= b.start)),
            "inputs overlap at value %{}",
            id.0
        );
        memory.write(bytes(*id)?, *id);
        origin.insert(*id, *id);
    }
    let mut emitted = plan.steps.iter().peekable();
    for (n, node) in graph.nodes.iter().enumerate() {
        let name = &node.name;
        if emitted.next_if_eq(&&n).is_none() {
            // Nothing is read or written here; who reads the new name finds the old bytes, or not.
            let (Op::Reshape(_), Some(&Some(from))) = (&node.op, node.inputs.first()) else {
                bail!("node {name:?} is left out");
            };
            let to = node.outputs[0];
            if plan.block(from).is_some() || plan.block(to).is_some() {
                ensure!(
                    bytes(from)? == bytes(to)?,
                    "node {name:?}: a renamed value moved"
                );
            }
            origin.insert(to, origin.get(&from).copied().unwrap_or(from));
            continue;
        }
        let mut operands = Vec::new();
        let reads = node.inputs.iter().flatten();
        for id in reads.flat_map(|id| graph.with_scale(*id)) {
            if is_constant(id) {
                continue;
            }
            let at = bytes(id)?;
            let from = origin.get(&id).copied().unwrap_or(id);
            ensure!(
                memory.holds(&at, from),
                "node {name:?}: bytes {at:?} of operand %{} were overwritten",
                id.0
            );
            operands.push(at);
        }
        let mut results: Vec<Range<u64>> = Vec::new();
        for &id in &node.outputs {
            let at = bytes(id)?;
            let clear = |b: &Range<u64>| b.end <= at.start || at.end <= b.start || at.is_empty();
            ensure!(
                operands.iter().chain(&results).all(clear),
                "node {name:?}: result %{} lies over an operand",
                id.0
            );
            memory.write(at.clone(), id);
            origin.insert(id, id);
            results.push(at);
        }
    }
    ensure!(
        emitted.next().is_none(),
        "the plan has steps that are no nodes"
    );
    for (name, id) in graph.outputs.iter().filter(|(_, id)| !is_constant(*id)) {
        let from = origin.get(id).copied().unwrap_or(*id);
        ensure!(
            memory.holds(&bytes(*id)?, from),
            "output {name:?} was overwritten"
        );
    }
    Ok(())
}

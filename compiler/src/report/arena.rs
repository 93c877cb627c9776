//! The arena over time: which tensor lies where, and when.

use crate::text_table as table;
use tern_charts::{Block, Blocks, Chart, Unit};
use ternrt::Model;
use ternrt::format::NONE;
use ternrt::format::tensor::{Place, Tensor};

/// A tensor in the arena, with the steps at which it is alive.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Its id.
    pub id: u32,
    /// Its record.
    pub tensor: Tensor,
    /// The step that writes it.
    pub first: usize,
    /// The last step that reads it.
    pub last: usize,
}

/// When each arena tensor is written first and read last, over the first entry
/// point's steps, and the number of steps. Step 0 fills the inputs, step `i + 1`
/// is the `i`th op. A tensor that no op writes renames the bytes of another: it
/// lives from the step at which that one was used last.
pub fn spans(model: &Model<'_>) -> (Vec<Span>, usize) {
    let steps = model.ops(0).count() + 1;
    let mut spans: Vec<Option<Span>> = vec![None; model.tensor_count()];
    let mut touch = |id: u32, step: usize, written: bool| {
        let mut next = Some(id);
        while let Some(tensor) = next.and_then(|id| model.tensor(id)) {
            let id = next.unwrap_or_default();
            next = (tensor.scale != NONE).then_some(tensor.scale);
            if tensor.place != Place::Arena {
                continue;
            }
            if spans[id as usize].is_none() {
                let same = spans.iter().flatten();
                let same = same.filter(|s| !written && s.tensor.offset == tensor.offset);
                let first = same.map(|s| s.last).max().unwrap_or(step);
                spans[id as usize] = Some(Span {
                    id,
                    tensor,
                    first,
                    last: step,
                });
            }
            if let Some(span) = &mut spans[id as usize] {
                span.last = step;
            }
        }
    };
    let (inputs, outputs) = model.ids(0);
    inputs.iter().flatten().for_each(|id| touch(id, 0, true));
    for (step, op) in model.ops(0).enumerate() {
        let (read, written) = (op.record.inputs.iter(), op.record.outputs.iter());
        read.flatten().for_each(|id| touch(id, step + 1, false));
        written.flatten().for_each(|id| touch(id, step + 1, true));
    }
    let end = steps - 1;
    outputs
        .iter()
        .flatten()
        .for_each(|id| touch(id, end, false));
    (spans.into_iter().flatten().collect(), steps)
}

/// Steps to the right, addresses upwards, a rectangle for each tensor while it
/// is alive.
pub fn chart(model: &Model<'_>) -> Chart {
    let (spans, steps) = spans(model);
    let top = model.header().arena_bytes;
    let blocks = spans.iter().map(|span| {
        let t = &span.tensor;
        let (dims, rank) = t.shape();
        Block {
            x: [span.first as f64, (span.last + 1) as f64],
            y: [t.offset as f64, (t.offset + t.len) as f64],
            name: format!(
                "%{} {} {} {}, {} bytes at {}, steps {} to {}",
                span.id,
                model.tensor_name(t),
                t.dtype.name(),
                table::shape(&dims[..rank]),
                table::grouped(t.len),
                t.offset,
                span.first,
                span.last
            ),
            colour: span.id as usize,
        }
    });
    Blocks {
        title: format!(
            "Arena over time: {} at its peak, {steps} steps",
            table::bytes(top)
        ),
        subtitle: "a rectangle is a tensor: where it lies, and while it is needed".into(),
        x_title: "step (0 fills the inputs)".into(),
        width: tern_charts::WIDE,
        steps,
        top: top as f64,
        unit: Unit::Bytes,
        blocks: blocks.collect(),
    }
    .draw()
}

//! What the targets share.
#![warn(missing_docs)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use ternrt::Model;
use ternrt::ops::{Op, Operands};

/// The most work of a model that runs, in elements and multiply-accumulates.
/// Slow inputs are no finding, and take time from others.
const MAX_WORK: u64 = 1 << 22;

/// A copy of bytes, at an address that the runtime accepts and just as long, so
/// that AddressSanitizer sees a read of the byte behind them.
pub struct Aligned {
    start: NonNull<u8>,
    layout: Layout,
}

impl Aligned {
    /// Copies; `None` for no bytes.
    pub fn new(bytes: &[u8]) -> Option<Aligned> {
        let layout = Layout::from_size_align(bytes.len(), 64).ok()?;
        if bytes.is_empty() {
            return None;
        }
        // SAFETY: the layout's size is not zero.
        let start = unsafe { alloc(layout) };
        let start = NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout));
        // SAFETY: `start` is the start of as many new bytes.
        unsafe { start.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
        Some(Aligned { start, layout })
    }

    /// The copy.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: all bytes were written, and live as long as `self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.layout.size()) }
    }
}

impl Drop for Aligned {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and not freed before.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}

/// Whether running all of a model's entry points is quick.
pub fn is_quick(model: &Model<'_>) -> bool {
    let mut work = 0u64;
    (0..model.entry_count()).all(|entry| {
        model.ops(entry).all(|step| {
            work = work.saturating_add(cost(&step.record.op, &step.operands));
            work <= MAX_WORK
        })
    })
}

/// Elements read and written, multiply-accumulates, and what windows look at.
fn cost(op: &Op, io: &Operands<'_>) -> u64 {
    let inputs = (0..io.input_count()).filter_map(|i| io.optional(i));
    let outputs = (0..io.output_count()).filter_map(|i| io.output(i).ok());
    let elements: u64 = inputs.chain(outputs).map(|t| t.elements() as u64).sum();
    let window = match op {
        Op::MaxPool(pool) => pool.kernel,
        Op::AveragePool(pool) => pool.kernel,
        _ => [1, 1],
    };
    let [height, width] = window.map(u64::from);
    elements
        .saturating_mul(height * width)
        .saturating_add(op.macs(io))
}

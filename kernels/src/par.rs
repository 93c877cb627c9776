//! Splitting work without owning threads.

use crate::Caps;
use core::marker::PhantomData;
use core::ops::Range;

/// What a host supplies to run pieces of a kernel side by side.
///
/// Results never depend on the number of threads: kernels split outputs, not
/// sums.
pub trait ParallelFor: Sync {
    /// How many pieces can run at the same time; at least 1.
    fn threads(&self) -> usize;
    /// Calls `f(0)` to `f(tasks - 1)`, each exactly once, in any order, and
    /// returns when all have returned. Kernels ask for at most
    /// [`threads`](Self::threads) tasks, so a task's number also names its
    /// share of the scratch buffer.
    fn run(&self, tasks: usize, f: &(dyn Fn(usize) + Sync));
}

/// The calling thread alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Serial;

impl ParallelFor for Serial {
    fn threads(&self) -> usize {
        1
    }

    fn run(&self, tasks: usize, f: &(dyn Fn(usize) + Sync)) {
        (0..tasks).for_each(f);
    }
}

/// What every kernel call is given.
pub struct Ctx<'a> {
    /// Instruction sets that may be used.
    pub caps: Caps,
    /// The host's threads.
    pub par: &'a dyn ParallelFor,
    /// At least as long as the family's `scratch` function says for the same
    /// shape, `caps` and thread count; contents undefined; aligned to 64 bytes.
    pub scratch: &'a mut [u8],
}

/// Work below this many elements stays on one thread: handing it over costs more.
const MIN_ELEMENTS: usize = 16 * 1024;

/// How many tasks to split `items` pieces of `elements` elements each into.
pub(crate) fn tasks(par: &dyn ParallelFor, items: usize, elements: usize) -> usize {
    let by_size = items.saturating_mul(elements.max(1)) / MIN_ELEMENTS;
    par.threads().min(items).min(by_size).max(1)
}

/// The share of `items` that is task `t`'s of `tasks`.
pub(crate) fn share(items: usize, tasks: usize, t: usize) -> Range<usize> {
    // In 128 bits, so that no count overflows.
    let at = |t: usize| (items as u128 * t as u128 / tasks as u128) as usize;
    at(t)..at(t + 1)
}

/// A mutable slice that several tasks write disjoint parts of.
pub(crate) struct Shared<'a, T> {
    start: *mut T,
    len: usize,
    life: PhantomData<&'a mut [T]>,
}

// SAFETY: parts are handed out through `part`, whose callers keep them disjoint.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Shared {
            start: slice.as_mut_ptr(),
            len: slice.len(),
            life: PhantomData,
        }
    }

    /// Elements `range` of the slice; empty if it does not lie within.
    ///
    /// # Safety
    /// No other part that is alive overlaps `range`.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &mut [T] {
        if range.start > range.end || range.end > self.len {
            return &mut [];
        }
        // SAFETY: the range lies within the slice, which is borrowed for 'a, and
        // the caller promises that parts do not overlap.
        unsafe { core::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }
}

/// Calls `f(range, part)` for shares of `y`, cut at multiples of `row`
/// elements, side by side where that pays.
pub(crate) fn for_rows<T: Send>(
    par: &dyn ParallelFor,
    y: &mut [T],
    row: usize,
    f: &(dyn Fn(Range<usize>, &mut [T]) + Sync),
) {
    let row = row.max(1);
    let rows = y.len() / row;
    let tasks = tasks(par, rows, row);
    let y = Shared::new(y);
    par.run(tasks, &|t| {
        let rows = share(rows, tasks, t);
        // SAFETY: the shares of different tasks do not overlap.
        let part = unsafe { y.part(rows.start * row..rows.end * row) };
        f(rows, part);
    });
}

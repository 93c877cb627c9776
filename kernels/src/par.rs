//! Splitting work without owning threads.

use crate::Caps;

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

//! Room of their own for tasks that run side by side.

use crate::Invalid;
use crate::par::{SCRATCH_ALIGN, Shared, check_scratch};

/// Scratch of tasks that run side by side. A task's part lies in the same place in every
/// kernel's call, as far as there is room: it is in the core's cache then, and no other's.
pub(crate) struct TaskScratch<'a> {
    all: Shared<'a, u8>,
    /// Bytes of a task, and from one's to the next one's.
    len: usize,
    step: usize,
}

impl<'a> TaskScratch<'a> {
    /// `len` bytes, a multiple of [`SCRATCH_ALIGN`], for each of `tasks`; `Invalid` where
    /// scratch is too short or not aligned, or there are more tasks than `threads`.
    pub(crate) fn new(
        scratch: &'a mut [u8],
        threads: usize,
        tasks: usize,
        len: usize,
    ) -> Result<Self, Invalid> {
        if tasks > threads {
            return Err(Invalid);
        }
        check_scratch(scratch, len.checked_mul(tasks).ok_or(Invalid)?)?;
        let step = scratch.len() / threads.max(1) / SCRATCH_ALIGN * SCRATCH_ALIGN;
        Ok(TaskScratch {
            all: Shared::new(scratch),
            len,
            step: step.max(len),
        })
    }

    /// A task's part, aligned; `None` for a task too many.
    ///
    /// # Safety
    /// The task has no other.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn part(&self, task: usize) -> Option<&mut [u8]> {
        let start = task.checked_mul(self.step)?;
        // SAFETY: parts of different tasks do not overlap; the caller's promise.
        let part = unsafe { self.all.part(start..start.checked_add(self.len)?) };
        (part.len() == self.len).then_some(part)
    }
}

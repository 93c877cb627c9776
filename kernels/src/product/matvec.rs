//! Products of a single row, which read every weight once: packed weights are
//! multiplied as they come from memory, without panels. What differs between
//! instruction sets is a [`Vector`]; this is the loop around it.

use super::{Problem, Rows, Size};
use crate::Ctx;
use crate::epilogue::Finish;
use crate::layout::BLOCK;
use crate::par::{SCRATCH_ALIGN, each_once, share, tasks_for};

/// What one instruction set does with one kind of activations and weights.
pub(crate) trait Vector {
    /// Elements of the input.
    type X: Copy + Sync;

    /// Bytes of the prepared activations; `None` where that overflows.
    fn prepared(k: usize) -> Option<usize>;

    /// Brings the activations into the form in which they meet the weights.
    ///
    /// # Safety
    ///
    /// The CPU has what the variant needs; `to` has the bytes that
    /// [`prepared`](Self::prepared) says, aligned to 64.
    unsafe fn prepare(x: &[Self::X], to: &mut [u8]);

    /// The sums of a block's 16 outputs.
    ///
    /// # Safety
    ///
    /// The CPU has what the variant needs; `x` was prepared and `block` has the
    /// weights for all of it.
    unsafe fn block(block: &[u8], x: &[u8], sums: &mut [f32; BLOCK]);

    /// The epilogue of the outputs from `first` on.
    ///
    /// # Safety
    ///
    /// The CPU has what the variant needs; no other task has these outputs.
    unsafe fn finish(finish: &Finish<'_>, first: usize, sums: &mut [f32]);
}

/// Whether a product has a single row of a single tap and group.
pub(crate) fn fits(size: &Size) -> bool {
    size.rows == 1 && size.matrix.taps == 1 && size.matrix.groups == 1
}

/// Scratch bytes; `usize::MAX` where that overflows.
pub(crate) fn scratch<V: Vector>(size: &Size) -> usize {
    V::prepared(size.matrix.channels)
        .and_then(|len| len.checked_next_multiple_of(SCRATCH_ALIGN))
        .unwrap_or(usize::MAX)
}

/// Computes a product that [`fits`].
///
/// # Safety
///
/// The CPU has what `V` needs.
pub(crate) unsafe fn run<V: Vector, R: Rows>(
    ctx: &mut Ctx<'_>,
    problem: &Problem<'_, R>,
    x: &[V::X],
) {
    let size = &problem.size;
    let position = problem.rows.position(0);
    let at = problem
        .rows
        .line(position, 0)
        .and_then(|line| problem.rows.source(line, position, 0));
    let x = at.and_then(|at| x.get(at..)?.get(..size.matrix.channels));
    let (Some(x), Some(len)) = (x, V::prepared(size.matrix.channels)) else {
        return;
    };
    let tasks = tasks_for(ctx.threads(), size.matrix.blocks());
    let Some(prepared) = ctx.scratch.get_mut(..len) else {
        return;
    };
    // SAFETY: the caller's promise; scratch is aligned.
    unsafe { V::prepare(x, prepared) };
    let prepared = &*prepared;
    each_once(ctx.par, tasks, &|task| {
        for unit in share(size.matrix.blocks(), tasks, task) {
            let (first, outputs) = problem.outputs(unit);
            let mut sums = [0.0; BLOCK];
            // SAFETY: the caller's promise; tasks have disjoint units.
            unsafe {
                V::block(problem.block(unit), prepared, &mut sums);
                V::finish(&problem.finish, first, &mut sums[..outputs]);
            }
        }
    });
}

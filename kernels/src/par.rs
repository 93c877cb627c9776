//! Splitting work without owning threads.

use crate::{Caps, Invalid};
use core::marker::PhantomData;
use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};

/// What a host supplies to run pieces of a kernel side by side.
///
/// Results depend neither on the number of threads nor on who computes what: kernels
/// split outputs, not sums.
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

/// Alignment of scratch.
pub(crate) const SCRATCH_ALIGN: usize = 64;

impl Ctx<'_> {
    /// How many tasks may run at the same time.
    pub(crate) fn threads(&self) -> usize {
        self.par.threads().max(1)
    }
}

/// Whether scratch has this many bytes and the alignment.
pub(crate) fn check_scratch(scratch: &[u8], len: usize) -> Result<(), Invalid> {
    let aligned = scratch.as_ptr().addr().is_multiple_of(SCRATCH_ALIGN);
    if scratch.len() < len || len > 0 && !aligned {
        return Err(Invalid);
    }
    Ok(())
}

/// Tasks that [`each_piece`] takes at most.
const MAX_TASKS: usize = 128;

/// How many tasks to split `items` into that are worth one each.
pub(crate) fn tasks_for(threads: usize, items: usize) -> usize {
    threads.min(items).clamp(1, MAX_TASKS)
}

/// Pieces that a task's share is cut into where nothing says how many there are.
pub(crate) const PIECES: usize = 8;

/// Work in shares of some pieces each: share `t` is task `t`'s. A task takes its
/// own pieces one by one, then what other tasks have left, so that none waits long
/// for one that began late or was held up. What a task reads is still for the most
/// part what it wrote in the call before.
struct Shares<'a> {
    tasks: usize,
    /// How many pieces a share has.
    pieces: &'a (dyn Fn(usize) -> usize + Sync),
    /// How many are taken, or more, with [`STARTED`] and [`USED_UP`]; of share `t` at `t *
    /// (MAX_TASKS / tasks)`, so that those of a few tasks lie in different cache lines,
    /// which others look at before they write.
    taken: [AtomicUsize; MAX_TASKS],
}

/// Says that the share's task was called.
const STARTED: usize = 1 << (usize::BITS - 1);
/// Its task says that all pieces are taken, so that others need not count them. A task adds
/// at most one too many, so that what is below does not overflow.
const USED_UP: usize = STARTED >> 1;

impl Shares<'_> {
    fn taken(&self, share: usize) -> &AtomicUsize {
        &self.taken[share * (MAX_TASKS / self.tasks)]
    }
}

/// The pieces that a task takes, each as its share and its number therein.
pub(crate) struct Pieces<'a> {
    /// `None` for a task that is alone.
    shares: Option<&'a Shares<'a>>,
    /// The share whose pieces are next, and how many it has, once that is known.
    share: usize,
    count: Option<usize>,
    /// Shares that are not yet used up.
    left: usize,
    /// The next piece of a task that is alone.
    next: usize,
}

impl Iterator for Pieces<'_> {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<(usize, usize)> {
        let Some(shares) = self.shares else {
            let piece = self.next;
            self.next += 1;
            return self.count.filter(|n| piece < *n).map(|_| (0, piece));
        };
        while self.left > 0 {
            let taken = shares.taken(self.share);
            // Relaxed: nobody reads what another piece wrote.
            let seen = taken.load(Ordering::Relaxed) & !STARTED;
            if seen < USED_UP {
                let count = *self
                    .count
                    .get_or_insert_with(|| (shares.pieces)(self.share));
                if seen < count {
                    let piece = taken.fetch_add(1, Ordering::Relaxed) & !STARTED;
                    if piece < count {
                        return Some((self.share, piece));
                    }
                }
            }
            // The first share is the task's own.
            if self.left == shares.tasks {
                taken.fetch_or(USED_UP, Ordering::Relaxed);
            }
            self.left -= 1;
            self.share = (self.share + 1) % shares.tasks;
            self.count = None;
        }
        None
    }
}

/// Calls `f(task, pieces)` for every task, through the host, at most once whatever the
/// host does, so that tasks may write to memory of their own through [`Shared`]; all pieces
/// of all shares are taken once, as long as it calls one task. `tasks` is at most
/// [`MAX_TASKS`], as [`tasks`] and [`tasks_for`] see to; share `t` has `pieces(t)` pieces.
pub(crate) fn each_piece(
    par: &dyn ParallelFor,
    tasks: usize,
    pieces: &(dyn Fn(usize) -> usize + Sync),
    f: &(dyn Fn(usize, &mut Pieces<'_>) + Sync),
) {
    if tasks <= 1 {
        let mut alone = Pieces {
            shares: None,
            share: 0,
            count: Some(pieces(0)),
            left: 1,
            next: 0,
        };
        return f(0, &mut alone);
    }
    let shares = Shares {
        tasks,
        pieces,
        taken: [const { AtomicUsize::new(0) }; MAX_TASKS],
    };
    par.run(tasks, &|t| {
        if t >= tasks || shares.taken(t).fetch_or(STARTED, Ordering::Relaxed) & STARTED != 0 {
            return;
        }
        let mut pieces = Pieces {
            shares: Some(&shares),
            share: t,
            count: None,
            left: tasks,
            next: 0,
        };
        f(t, &mut pieces);
    });
}

/// Fewer elements than this are not worth a task: handing it over costs some
/// hundred nanoseconds, as much as fetching a few kilobytes that another core wrote.
const MIN_ELEMENTS: usize = 4 * 1024;
/// And fewer than this not a piece: who takes another's waits for it to travel.
const MIN_PIECE: usize = 16 * 1024;

/// How many tasks to split `items` pieces of `elements` elements each into.
fn tasks(par: &dyn ParallelFor, items: usize, elements: usize) -> usize {
    let by_size = items.saturating_mul(elements.max(1)) / MIN_ELEMENTS;
    tasks_for(par.threads(), items.min(by_size))
}

/// The share of `items` that is task `t`'s of `tasks`.
pub(crate) fn share(items: usize, tasks: usize, t: usize) -> Range<usize> {
    // `items * t / tasks`, without a product that overflows.
    let at = |t: usize| items / tasks * t + items % tasks * t / tasks;
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

    /// The first element, for writes that need no check any more; what holds for
    /// [`part`](Self::part) holds for them.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn start(&self) -> *mut T {
        self.start
    }

    /// The slice cut down to `range`; to nothing where that does not lie within.
    pub(crate) fn narrow(&self, range: Range<usize>) -> Shared<'_, T> {
        let fits = range.start <= range.end && range.end <= self.len;
        let range = if fits { range } else { 0..0 };
        Shared {
            // SAFETY: `range` was just checked.
            start: unsafe { self.start.add(range.start) },
            len: range.len(),
            life: PhantomData,
        }
    }

    /// Elements `range` of the slice; empty if it does not lie within.
    ///
    /// # Safety
    /// No other part that is alive overlaps `range`.
    #[allow(clippy::mut_from_ref)]
    #[inline(always)]
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &mut [T] {
        if range.start > range.end || range.end > self.len {
            return &mut [];
        }
        // SAFETY: the range lies within the slice, which is borrowed for 'a, and
        // the caller promises that parts do not overlap.
        unsafe { core::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }
}

/// Calls `f` for ranges that make up `items` of `elements` elements each, side by
/// side where that pays.
pub(crate) fn for_ranges(
    par: &dyn ParallelFor,
    items: usize,
    elements: usize,
    f: &(dyn Fn(Range<usize>) + Sync),
) {
    let tasks = tasks(par, items, elements);
    if tasks <= 1 {
        return f(0..items);
    }
    let worth = (items.saturating_mul(elements.max(1)) / tasks / MIN_PIECE).clamp(1, PIECES);
    let count = |t: usize| share(items, tasks, t).len().min(worth);
    each_piece(par, tasks, &count, &|_, pieces| {
        for (t, piece) in pieces {
            let mine = share(items, tasks, t);
            let range = share(mine.len(), count(t), piece);
            f(mine.start + range.start..mine.start + range.end);
        }
    });
}

/// Calls `f(range, part)` for parts of `y`, cut at multiples of `row`
/// elements, side by side where that pays.
pub(crate) fn for_rows<T: Send>(
    par: &dyn ParallelFor,
    y: &mut [T],
    row: usize,
    f: &(dyn Fn(Range<usize>, &mut [T]) + Sync),
) {
    let row = row.max(1);
    let rows = y.len() / row;
    let y = Shared::new(y);
    for_ranges(par, rows, row, &|rows| {
        // SAFETY: ranges do not overlap.
        let part = unsafe { y.part(rows.start * row..rows.end * row) };
        f(rows, part);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Reversed, Threads};
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn shares_cover_everything_once() {
        for items in [0, 1, 5, 7, 128, 1000] {
            for tasks in 1..20 {
                let mut next = 0;
                for t in 0..tasks {
                    let range = share(items, tasks, t);
                    assert_eq!(range.start, next);
                    next = range.end;
                }
                assert_eq!(next, items);
            }
        }
        assert_eq!(share(usize::MAX, 2, 1).end, usize::MAX);
    }

    /// `Reversed` calls tasks twice, and some that there are not.
    #[test]
    fn tasks_run_once_whatever_the_host_does() {
        for wanted in [1, 2, 31, 32, 33, 127, 128, 129, 5000] {
            let tasks = tasks_for(wanted, wanted);
            assert!(tasks <= MAX_TASKS);
            let hosts: [&dyn ParallelFor; 3] = [&Serial, &Reversed(wanted), &Threads(wanted)];
            for host in hosts {
                let mut counts = vec![0u8; tasks];
                let shared = Shared::new(&mut counts);
                each_piece(host, tasks, &|_| 0, &|t, _| {
                    // SAFETY: each task has one element of its own.
                    let mine = unsafe { shared.part(t..t + 1) };
                    mine[0] += 1;
                });
                assert!(counts.iter().all(|c| *c == 1), "{wanted}");
            }
        }
    }

    /// Whoever takes them, and whether or not shares are alike or empty.
    #[test]
    fn pieces_are_taken_once() {
        for tasks in [1, 2, 3, 7, 33, 128] {
            let count = |t: usize| t * 5 % 7;
            let starts: Vec<usize> = (0..=tasks).map(|t| (0..t).map(count).sum()).collect();
            let hosts: [&dyn ParallelFor; 3] = [&Serial, &Reversed(tasks), &Threads(tasks)];
            for host in hosts {
                let mut counts = vec![0u8; starts[tasks]];
                let shared = Shared::new(&mut counts);
                each_piece(host, tasks, &count, &|_, pieces| {
                    for (t, piece) in pieces {
                        let at = starts[t] + piece;
                        assert!(at < starts[t + 1]);
                        // SAFETY: each piece has one element of its own.
                        let mine = unsafe { shared.part(at..at + 1) };
                        mine[0] += 1;
                    }
                });
                assert!(counts.iter().all(|c| *c == 1), "{tasks}: {counts:?}");
            }
        }
    }

    /// A task that stops after its first piece leaves the other one to the next task.
    #[test]
    fn tasks_begin_with_their_own_share_and_go_on_with_others() {
        let order = std::sync::Mutex::new(vec![]);
        each_piece(&Reversed(3), 3, &|_| 2, &|task, pieces| {
            if task == 2 {
                order.lock().unwrap().extend(pieces.next());
                return;
            }
            order.lock().unwrap().extend(pieces);
        });
        let expected = [(2, 0), (1, 0), (1, 1), (2, 1), (0, 0), (0, 1)];
        assert_eq!(*order.lock().unwrap(), expected);
    }

    #[test]
    fn ranges_cover_everything_once() {
        for (items, elements) in [(0, 1), (1, 9000), (5, 4000), (70_001, 1), (129, 1000)] {
            for host in [&Serial as &dyn ParallelFor, &Reversed(3), &Threads(4)] {
                let mut counts = vec![0u8; items];
                let shared = Shared::new(&mut counts);
                for_ranges(host, items, elements, &|range| {
                    // SAFETY: ranges do not overlap, which is what the counts show.
                    let mine = unsafe { shared.part(range) };
                    mine.iter_mut().for_each(|c| *c += 1);
                });
                assert!(counts.iter().all(|c| *c == 1), "{items} of {elements}");
            }
        }
    }

    #[test]
    fn parts_stay_inside() {
        let mut data = [1, 2, 3, 4, 5];
        let shared = Shared::new(&mut data);
        // SAFETY: one part lives at a time.
        unsafe {
            assert_eq!(shared.part(1..3), [2, 3]);
            assert!(shared.part(4..6).is_empty());
            assert!(shared.part(usize::MAX..usize::MAX).is_empty());
            let narrow = shared.narrow(2..4);
            assert_eq!(narrow.part(0..2), [3, 4]);
            assert!(narrow.part(1..3).is_empty());
            assert!(shared.narrow(3..9).part(0..1).is_empty());
        }
    }
}

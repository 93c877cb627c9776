//! A thread pool for hosts that have an operating system.
//!
//! The threads start once; a run allocates nothing. The caller works as well,
//! so a pool of `n` has `n - 1` threads of its own. They look out for work for
//! some microseconds after the last task, then sleep.
//!
//! How a run goes:
//! ```text
//! caller    writes the job, sets state = (tasks, next 0), wakes sleepers
//! everyone  claims task `next` by a compare-and-swap of (tasks, next) to
//!           (tasks, next + 1); calls it; adds 1 to `done`
//! caller    when next = tasks: waits until done = tasks, returns
//! ```
//! The job is only read by someone who has claimed one of its tasks and has not
//! yet added it to `done`, and `run` does not return before `done` is complete:
//! so the job outlives every use. A thread that wakes late finds nothing left
//! to claim, or a task of a later job, which is as good.

use core::any::Any;
use core::cell::UnsafeCell;
use core::hint;
use core::mem;
use core::num::NonZeroUsize;
use std::boxed::Box;
use std::format;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::vec::Vec;
use tern_kernels::ParallelFor;

/// Most threads of a pool, and most tasks that are handed out at a time.
pub const MAX_THREADS: usize = 1024;
/// How often a thread looks for work before it sleeps.
const SPINS: usize = 2000;
/// `state` holds the number of tasks above this many bits, and the next task below.
const HALF: u32 = usize::BITS / 2;
const NEXT: usize = (1 << HALF) - 1;

type Task<'f> = dyn Fn(usize) + Sync + 'f;

/// What the caller and the threads share.
struct Shared {
    /// Number of tasks and the next one to claim.
    state: AtomicUsize,
    /// How many claimed tasks have returned.
    done: AtomicUsize,
    /// The function of the current job.
    job: UnsafeCell<Option<*const Task<'static>>>,
    /// What a task panicked with, to be passed on to the caller.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    stop: AtomicBool,
    /// Threads that sleep or are about to.
    sleepers: AtomicUsize,
    work: Signal,
    /// Whether the caller sleeps or is about to.
    caller_sleeps: AtomicBool,
    finished: Signal,
}

// SAFETY: every field but `job` is Sync. `job` is written by the one caller
// that holds `ThreadPool::submit`, while no task of an earlier job is claimed
// and not done; it is read by those who have claimed a task, which they can
// only after the write (release on `state`, acquire on claiming). What it
// points to is Sync.
unsafe impl Sync for Shared {}
// SAFETY: as above; the pointer in `job` is only followed while its job lives.
unsafe impl Send for Shared {}

/// A place to sleep.
#[derive(Default)]
struct Signal {
    lock: Mutex<()>,
    condition: Condvar,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What the mutexes guard is valid at any time, so a panic elsewhere does no harm.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Signal {
    /// Sleeps until `ready`, which whoever makes it true follows by [`notify`](Self::notify).
    fn wait(&self, ready: impl Fn() -> bool) {
        let mut guard = lock(&self.lock);
        while !ready() {
            guard = self
                .condition
                .wait(guard)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Wakes everyone. The lock makes sure that nobody is between looking and sleeping.
    fn notify(&self) {
        drop(lock(&self.lock));
        self.condition.notify_all();
    }
}

impl Shared {
    /// Whether a task can be claimed.
    fn has_work(&self) -> bool {
        let state = self.state.load(Ordering::SeqCst);
        state & NEXT < state >> HALF
    }

    /// The number of a task that is now the caller's to run.
    fn claim(&self) -> Option<usize> {
        let mut state = self.state.load(Ordering::SeqCst);
        while state & NEXT < state >> HALF {
            match self.state.compare_exchange_weak(
                state,
                state + 1,
                Ordering::SeqCst,
                Ordering::SeqCst,
            ) {
                Ok(_) => return Some(state & NEXT),
                Err(now) => state = now,
            }
        }
        None
    }

    /// Runs tasks until there is none left to claim.
    fn work(&self) {
        while let Some(task) = self.claim() {
            // SAFETY: a task is claimed and not yet done, so the job is the one
            // that this task belongs to and nobody writes it.
            let job = unsafe { *self.job.get() };
            let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
                if let Some(job) = job {
                    // SAFETY: `run` waits for this task before it gives up the
                    // borrow that the pointer was made from.
                    (unsafe { &*job })(task)
                }
            }));
            if let Err(payload) = outcome {
                lock(&self.panic).get_or_insert(payload);
            }
            self.done.fetch_add(1, Ordering::SeqCst);
            if self.caller_sleeps.load(Ordering::SeqCst) {
                self.finished.notify();
            }
        }
    }

    fn thread(&self) {
        while !self.stop.load(Ordering::SeqCst) {
            self.work();
            let mut spins = 0;
            while spins < SPINS && !self.has_work() {
                hint::spin_loop();
                spins += 1;
            }
            if spins == SPINS {
                self.sleepers.fetch_add(1, Ordering::SeqCst);
                self.work
                    .wait(|| self.has_work() || self.stop.load(Ordering::SeqCst));
                self.sleepers.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }

    /// Runs `tasks` tasks, at most [`MAX_THREADS`].
    fn run(&self, tasks: usize, f: &Task<'_>) {
        // SAFETY: only the lifetime changes, and the pointer is followed by
        // claimed tasks alone, all of which are done when this returns.
        let job: *const Task<'static> = unsafe { mem::transmute::<&Task<'_>, &Task<'static>>(f) };
        // SAFETY: all tasks of earlier jobs are done, so nobody reads.
        unsafe { *self.job.get() = Some(job) };
        self.done.store(0, Ordering::SeqCst);
        self.state.store(tasks << HALF, Ordering::SeqCst);
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            self.work.notify();
        }
        self.work();
        let finished = || self.done.load(Ordering::SeqCst) == tasks;
        let mut spins = 0;
        while spins < SPINS && !finished() {
            hint::spin_loop();
            spins += 1;
        }
        if !finished() {
            self.caller_sleeps.store(true, Ordering::SeqCst);
            self.finished.wait(finished);
            self.caller_sleeps.store(false, Ordering::SeqCst);
        }
    }
}

/// Threads that wait for work; see the module.
///
/// A task that panics does not stop the others; when all have returned, the
/// panic goes on in the thread that called [`run`](ParallelFor::run).
pub struct ThreadPool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    /// Held while a job runs: the pool has one at a time.
    submit: Mutex<()>,
}

impl ThreadPool {
    /// A pool that runs up to `threads` tasks side by side (at most
    /// [`MAX_THREADS`]), the caller's included; 0 for as many as the machine
    /// has processors for this program.
    ///
    /// # Errors
    /// What the operating system says where it refuses to start a thread.
    pub fn new(threads: usize) -> io::Result<ThreadPool> {
        let threads = match threads {
            0 => thread::available_parallelism().map_or(1, NonZeroUsize::get),
            n => n,
        };
        let mut pool = ThreadPool {
            shared: Arc::new(Shared {
                state: AtomicUsize::new(0),
                done: AtomicUsize::new(0),
                job: UnsafeCell::new(None),
                panic: Mutex::new(None),
                stop: AtomicBool::new(false),
                sleepers: AtomicUsize::new(0),
                work: Signal::default(),
                caller_sleeps: AtomicBool::new(false),
                finished: Signal::default(),
            }),
            threads: Vec::new(),
            submit: Mutex::new(()),
        };
        for i in 1..threads.min(MAX_THREADS) {
            let shared = Arc::clone(&pool.shared);
            let thread = thread::Builder::new().name(format!("ternrt-{i}"));
            // If one cannot start, dropping the pool ends the others.
            pool.threads.push(thread.spawn(move || shared.thread())?);
        }
        Ok(pool)
    }
}

impl ParallelFor for ThreadPool {
    fn threads(&self) -> usize {
        self.threads.len() + 1
    }

    /// Runs alone, on the calling thread, where another run of this pool is in
    /// progress, for example that of the task that calls this.
    fn run(&self, tasks: usize, f: &(dyn Fn(usize) + Sync)) {
        if tasks <= 1 || self.threads.is_empty() {
            return (0..tasks).for_each(f);
        }
        let Ok(turn) = self.submit.try_lock() else {
            return (0..tasks).for_each(f);
        };
        for first in (0..tasks).step_by(MAX_THREADS) {
            let batch = MAX_THREADS.min(tasks - first);
            self.shared.run(batch, &|i| f(first + i));
        }
        drop(turn);
        let panicked = lock(&self.shared.panic).take();
        if let Some(payload) = panicked {
            panic::resume_unwind(payload);
        }
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.work.notify();
        for thread in self.threads.drain(..) {
            // Tasks' panics were caught, so a thread has nothing to report.
            let _ = thread.join();
        }
    }
}

impl core::fmt::Debug for ThreadPool {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ThreadPool")
            .field("threads", &self.threads())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;
    use std::time::Duration;

    fn counted(pool: &ThreadPool, tasks: usize) {
        let counts: Vec<AtomicU32> = (0..tasks).map(|_| AtomicU32::new(0)).collect();
        pool.run(tasks, &|i| {
            counts[i].fetch_add(1, Ordering::Relaxed);
        });
        assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 1));
    }

    #[test]
    fn every_task_runs_exactly_once() {
        for threads in [1, 2, 3, 8] {
            let pool = ThreadPool::new(threads).unwrap();
            assert_eq!(pool.threads(), threads);
            for tasks in [0, 1, 2, 3, 7, 64, 1000, 2 * MAX_THREADS + 1] {
                counted(&pool, tasks);
            }
        }
        assert!(ThreadPool::new(0).unwrap().threads() >= 1);
    }

    #[test]
    fn many_short_runs_and_sleeps_between() {
        let pool = ThreadPool::new(3).unwrap();
        for round in 0..2000 {
            counted(&pool, 3);
            if round % 200 == 0 {
                thread::sleep(Duration::from_millis(2));
            }
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        let pool = ThreadPool::new(4).unwrap();
        let finished = AtomicU32::new(0);
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
            pool.run(16, &|i| {
                assert_ne!(i, 5, "task five");
                finished.fetch_add(1, Ordering::Relaxed);
            });
        }));
        assert!(outcome.is_err());
        assert_eq!(finished.load(Ordering::Relaxed), 15);
        counted(&pool, 16);
    }

    #[test]
    fn runs_inside_and_beside_a_run() {
        let pool = ThreadPool::new(2).unwrap();
        let sum = AtomicUsize::new(0);
        pool.run(4, &|_| {
            pool.run(4, &|j| {
                sum.fetch_add(j, Ordering::Relaxed);
            });
        });
        assert_eq!(sum.load(Ordering::Relaxed), 24);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..200).for_each(|_| counted(&pool, 5)));
            }
        });
    }
}

//! A thread pool for hosts that have an operating system.
//!
//! The threads start once; a run allocates nothing. The caller works as well,
//! so a pool of `n` has `n - 1` threads of its own. They look out for work for
//! some microseconds after the last task, then sleep.
//!
//! Every thread has a desk. How a run goes:
//! ```text
//! caller    task 0 is its own; puts task i on the desk of thread i: Empty -> Posted;
//!           wakes who sleeps; calls task 0
//! thread i  takes the task from its desk: Posted -> Taken; calls it; Taken -> Empty
//! caller    takes every task that is still posted: Posted -> Empty; calls it;
//!           waits until all desks are Empty, returns
//! ```
//! So task `i` is thread `i`'s, run after run, unless that comes late. Kernels
//! split alike: what a thread reads is for the most part what it wrote before,
//! and in its core's cache.
//!
//! On Linux, who sleeps may then wake on any processor but the caller's, where there
//! are enough for all threads.
//!
//! A desk's job is written where the desk is Empty and read by the one who made
//! it Taken. `run` does not return before all desks are Empty: so the job
//! outlives every use.

use core::any::Any;
use core::cell::UnsafeCell;
use core::hint;
use core::mem;
use core::num::NonZeroUsize;
use std::boxed::Box;
use std::format;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::vec::Vec;
use tern_kernels::ParallelFor;

use crate::steer::Steering;

/// Most threads of a pool.
pub const MAX_THREADS: usize = 1024;
/// How often a thread looks for work before it sleeps: some 30 to 100
/// microseconds, as long as the CPU pauses.
const SPINS: usize = 2000;

type Task<'f> = dyn Fn(usize) + Sync + 'f;

/// A desk's states.
const EMPTY: u8 = 0;
const POSTED: u8 = 1;
const TAKEN: u8 = 2;

/// Where a thread finds its work. In cache lines of its own (CPUs fetch two at a
/// time), so that looking out disturbs nobody.
#[repr(align(128))]
struct Desk {
    state: AtomicU8,
    /// Whether the thread sleeps or is about to.
    asleep: AtomicBool,
    /// The processor that the thread was last kept off.
    kept_off: AtomicUsize,
    /// What to call, with what number.
    job: UnsafeCell<Option<(*const Task<'static>, usize)>>,
}

/// What the caller and the threads share.
struct Shared {
    desks: Box<[Desk]>,
    steering: Option<Steering>,
    /// What a task panicked with, to be passed on to the caller.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    stop: AtomicBool,
    /// Whether the caller sleeps or is about to.
    caller_sleeps: AtomicBool,
    /// Where it sleeps.
    lock: Mutex<()>,
    finished: Condvar,
}

// SAFETY: every field but the jobs is Sync. A job is written by the one caller
// that holds `ThreadPool::submit` while its desk is Empty, and read by the desk's
// thread after it took the desk from Posted (acquire, of the caller's release)
// and before it makes it Empty again. What it points to is Sync.
unsafe impl Sync for Shared {}
// SAFETY: as above; the pointer in a job is only followed while that job lives.
unsafe impl Send for Shared {}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What the mutexes guard is valid at any time, so a panic elsewhere does no harm.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    fn new() -> Desk {
        Desk {
            state: AtomicU8::new(EMPTY),
            asleep: AtomicBool::new(false),
            kept_off: AtomicUsize::new(usize::MAX),
            job: UnsafeCell::new(None),
        }
    }

    /// Whether the desk was Posted, and now is `state`. Takes hold of the desk's
    /// cache line even where it fails, so that a thread that looks out has it at
    /// hand when there is work.
    fn take(&self, state: u8) -> bool {
        let taken = self
            .state
            .compare_exchange(POSTED, state, Ordering::SeqCst, Ordering::Relaxed);
        taken.is_ok()
    }

    fn is_empty(&self) -> bool {
        self.state.load(Ordering::SeqCst) == EMPTY
    }
}

impl Shared {
    /// Calls a task, and keeps what it may panic with.
    fn call(&self, f: &Task<'_>, task: usize) {
        if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(|| f(task))) {
            lock(&self.panic).get_or_insert(payload);
        }
    }

    /// Does the work on a desk, if there is any.
    fn work(&self, desk: &Desk) -> bool {
        if !desk.take(TAKEN) {
            return false;
        }
        // SAFETY: this took the desk, so nobody writes the job before it is Empty.
        if let Some((job, task)) = unsafe { *desk.job.get() } {
            // SAFETY: `run` waits for this desk before it gives up the borrow that
            // the pointer was made from.
            self.call(unsafe { &*job }, task);
        }
        desk.state.store(EMPTY, Ordering::SeqCst);
        if self.caller_sleeps.load(Ordering::SeqCst) {
            // With the lock, so that the caller is not between looking and sleeping.
            drop(lock(&self.lock));
            self.finished.notify_all();
        }
        true
    }

    /// What the thread of a desk does.
    fn thread(&self, desk: &Desk) {
        loop {
            let mut spins = 0;
            while spins < SPINS && !self.work(desk) {
                hint::spin_loop();
                spins += 1;
            }
            if spins < SPINS {
                continue;
            }
            desk.asleep.store(true, Ordering::SeqCst);
            while !self.work(desk) {
                if self.stop.load(Ordering::SeqCst) {
                    return;
                }
                thread::park();
            }
            desk.asleep.store(false, Ordering::SeqCst);
        }
    }

    /// Keeps the thread of a desk off the processor that the caller is on.
    fn keep_off(&self, desk: &Desk, thread: &JoinHandle<()>) {
        let Some(steering) = &self.steering else {
            return;
        };
        if let Some(here) = Steering::here()
            && desk.kept_off.swap(here, Ordering::Relaxed) != here
        {
            steering.keep_off(thread, here);
        }
    }

    /// Calls `f(first)` and, on the desks of `threads`, the numbers that follow.
    fn run(&self, first: usize, threads: &[JoinHandle<()>], f: &Task<'_>) {
        // SAFETY: only the lifetime changes, and the pointer is followed by those
        // who took a desk alone, all of whom are done when this returns.
        let job: *const Task<'static> = unsafe { mem::transmute::<&Task<'_>, &Task<'static>>(f) };
        let desks = self.desks.get(..threads.len()).unwrap_or(&self.desks);
        for (desk, task) in desks.iter().zip(first + 1..) {
            // SAFETY: the desk is Empty, so nobody reads.
            unsafe { *desk.job.get() = Some((job, task)) };
            desk.state.store(POSTED, Ordering::Release);
        }
        // A thread says that it sleeps before it looks at its desk once more: one
        // of the two sees what the other wrote.
        fence(Ordering::SeqCst);
        for (desk, thread) in desks.iter().zip(threads) {
            if desk.asleep.load(Ordering::SeqCst) {
                self.keep_off(desk, thread);
                thread.thread().unpark();
            }
        }
        self.call(f, first);
        for (desk, task) in desks.iter().zip(first + 1..) {
            if desk.take(EMPTY) {
                self.call(f, task);
            }
        }
        let finished = || desks.iter().all(Desk::is_empty);
        let mut spins = 0;
        while spins < SPINS && !finished() {
            hint::spin_loop();
            spins += 1;
        }
        if !finished() {
            self.caller_sleeps.store(true, Ordering::SeqCst);
            let mut guard = lock(&self.lock);
            while !finished() {
                guard = self
                    .finished
                    .wait(guard)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            self.caller_sleeps.store(false, Ordering::SeqCst);
        }
    }
}

/// Threads that wait for work; see the module.
///
/// A task that panics does not stop the others; when all have returned, the
/// panic goes on in the thread that called [`run`](ParallelFor::run).
///
/// On Linux it sets its threads' affinity (`pthread_setaffinity_np`), within the
/// processors that the thread that made the pool was allowed; its callers' stays.
pub struct ThreadPool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    /// Held while a job runs: the pool has one at a time.
    submit: Mutex<()>,
}

impl ThreadPool {
    /// A pool that runs up to `threads` tasks side by side (at most
    /// [`MAX_THREADS`]), the caller's included; 0 for as many as the machine
    /// has processors for this program. Returns when its threads have started.
    ///
    /// # Errors
    /// What the operating system says where it refuses to start a thread.
    pub fn new(threads: usize) -> io::Result<ThreadPool> {
        let threads = match threads {
            0 => thread::available_parallelism().map_or(1, NonZeroUsize::get),
            n => n,
        };
        let more = threads.min(MAX_THREADS) - 1;
        let mut pool = ThreadPool {
            shared: Arc::new(Shared {
                desks: (0..more).map(|_| Desk::new()).collect(),
                steering: Steering::new(more + 1),
                panic: Mutex::new(None),
                stop: AtomicBool::new(false),
                caller_sleeps: AtomicBool::new(false),
                lock: Mutex::new(()),
                finished: Condvar::new(),
            }),
            threads: Vec::with_capacity(more),
            submit: Mutex::new(()),
        };
        let started = Arc::new((Mutex::new(0), Condvar::new()));
        for i in 0..more {
            let (shared, started) = (Arc::clone(&pool.shared), Arc::clone(&started));
            let thread = thread::Builder::new().name(format!("ternrt-{}", i + 1));
            // If one cannot start, dropping the pool ends the others.
            pool.threads.push(thread.spawn(move || {
                *lock(&started.0) += 1;
                started.1.notify_one();
                drop(started);
                shared.thread(&shared.desks[i]);
            })?);
        }
        // What starting takes, memory for one, is not left to the first runs.
        let all = started
            .1
            .wait_while(lock(&started.0), |count| *count < more);
        drop(all.unwrap_or_else(PoisonError::into_inner));
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
        for first in (0..tasks).step_by(self.threads()) {
            let more = self.threads.len().min(tasks - first - 1);
            self.shared.run(first, &self.threads[..more], f);
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
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
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
    use std::sync::atomic::{AtomicU32, AtomicUsize};
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
            for tasks in [0, 1, 2, 3, 7, 64, 1000, 2049] {
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

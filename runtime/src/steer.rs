//! Keeps a pool's threads off the processor that their caller is on.
//!
//! Linux likes to wake a thread where its waker runs, as if that were about to
//! sleep. The caller of a pool goes on working, so that the two would share a
//! processor until the next balancing, milliseconds later: a whole inference of a
//! small network, and often many. Where the operating system says nothing of
//! processors, nothing is done.

#[cfg(target_os = "linux")]
pub(crate) use linux::Steering;

#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::Steering;

#[cfg(target_os = "linux")]
mod linux {
    use core::mem;
    use libc::{CPU_CLR, CPU_COUNT, cpu_set_t};
    use std::os::unix::thread::JoinHandleExt;
    use std::thread::JoinHandle;

    /// The processors that the program may use.
    pub(crate) struct Steering {
        allowed: cpu_set_t,
    }

    impl Steering {
        /// Of the calling thread, for a pool that runs `threads` tasks side by side.
        /// `None` where there are fewer processors: threads will share them.
        pub(crate) fn new(threads: usize) -> Option<Steering> {
            // SAFETY: a set of bits, for which zeros are a value.
            let mut allowed: cpu_set_t = unsafe { mem::zeroed() };
            // SAFETY: the size is that of the set, which lives through the call.
            let failed = unsafe { libc::sched_getaffinity(0, size_of_val(&allowed), &mut allowed) };
            // SAFETY: counts bits.
            let count = unsafe { CPU_COUNT(&allowed) };
            let enough = usize::try_from(count).is_ok_and(|count| count >= threads);
            (failed == 0 && enough).then_some(Steering { allowed })
        }

        /// The processor that the calling thread is on.
        pub(crate) fn here() -> Option<usize> {
            // SAFETY: takes nothing, and gives a number or -1.
            usize::try_from(unsafe { libc::sched_getcpu() }).ok()
        }

        /// Lets a thread run on every processor but this one.
        pub(crate) fn keep_off(&self, thread: &JoinHandle<()>, processor: usize) {
            let mut set = self.allowed;
            if processor < 8 * size_of_val(&set) {
                // SAFETY: the bit is within the set.
                unsafe { CPU_CLR(processor, &mut set) };
            }
            // SAFETY: the thread is not joined while its handle lives; the size is that
            // of the set. A set that is refused changes nothing.
            unsafe {
                libc::pthread_setaffinity_np(thread.as_pthread_t(), size_of_val(&set), &set);
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use std::thread::JoinHandle;

    /// Nothing is known of processors.
    pub(crate) struct Steering;

    impl Steering {
        pub(crate) fn new(_: usize) -> Option<Steering> {
            None
        }

        pub(crate) fn here() -> Option<usize> {
            None
        }

        pub(crate) fn keep_off(&self, _: &JoinHandle<()>, _: usize) {}
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::Steering;
    use std::sync::mpsc;
    use std::thread;

    #[test]
    fn a_thread_keeps_off_a_processor_and_may_come_back() {
        assert!(Steering::new(usize::MAX).is_none());
        let Some(steering) = Steering::new(2) else {
            return; // nowhere else to go
        };
        let (ask, asked) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            for () in asked {
                tell.send(Steering::here()).unwrap();
            }
        });
        let here = Steering::here().unwrap();
        for off in [here, usize::MAX, here] {
            steering.keep_off(&thread, off);
            for _ in 0..20 {
                ask.send(()).unwrap();
                assert_ne!(told.recv().unwrap(), Some(off));
            }
        }
        drop(ask);
        thread.join().unwrap();
    }
}

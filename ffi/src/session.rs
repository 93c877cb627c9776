//! Sessions: running a model.

use crate::model::{Loaded, Model};
use crate::pointer::{self, Out};
use crate::{Status, guard};
use rt::{Caps, Options, ParallelFor, Serial, ThreadPool, caps_from_env};
use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::slice;
use std::sync::Arc;
use std::thread;

/// A model with the memory and the threads that it runs with.
pub struct Session {
    // Fields are dropped in this order, the borrower before what it borrows from.
    session: rt::Session<'static, 'static>,
    _pool: Option<Arc<ThreadPool>>,
    _loaded: Arc<Loaded>,
}

/// 0 stands for as many as there are processors.
fn thread_count(threads: usize) -> usize {
    match threads {
        0 => thread::available_parallelism().map_or(1, NonZeroUsize::get),
        n => n,
    }
    .min(rt::pool::MAX_THREADS)
}

/// Bytes of memory that a session of this model needs with so many threads (1
/// for the calling thread alone, 0 for one a processor); 0 for a null model.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ternrt_arena_len(model: *const Model, threads: usize) -> usize {
    let mut len = 0;
    guard(|| {
        // SAFETY: the caller's promise.
        let model = unsafe { pointer::shared(model) }?;
        let caps = caps_from_env().unwrap_or_else(|_| Caps::detect());
        len = model.0.model().arena_len_for(caps, thread_count(threads));
        Ok(())
    });
    len
}

/// Makes a session that runs in `arena`, at least `ternrt_arena_len` bytes for
/// as many threads, at any address. They belong to the session until it is
/// freed: nobody else may use them. The environment variable TERNRT_CAPS limits
/// the instruction sets, for tests.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ternrt_session_new(
    model: *const Model,
    arena: *mut c_void,
    arena_len: usize,
    threads: usize,
    session: *mut *mut Session,
) -> Status {
    guard(|| {
        // SAFETY: the caller's promise.
        let (model, out) = unsafe { (pointer::shared(model)?, Out::new(session)?) };
        let start = arena.cast::<u8>();
        pointer::check_buffer(start, arena_len)?;
        let caps = caps_from_env().map_err(|_| Status::Caps)?;
        let threads = thread_count(threads);
        let loaded = Arc::clone(&model.0);
        if arena_len < loaded.model().plan_len() {
            return Err(Status::ArenaTooSmall);
        }
        let pool = match threads {
            1 => None,
            n => Some(Arc::new(ThreadPool::new(n).map_err(|_| Status::Threads)?)),
        };
        let parallel: &'static dyn ParallelFor = match &pool {
            None => &Serial,
            // SAFETY: the pool stays at its place while an `Arc` of it is kept,
            // which the session's own struct does for longer than it is used.
            Some(pool) => unsafe { &*Arc::as_ptr(pool) },
        };
        // SAFETY: neither null nor longer than memory; valid and the session's
        // alone until it is freed, by the caller's promise.
        let arena: &'static mut [u8] = unsafe { slice::from_raw_parts_mut(start, arena_len) };
        let options = Options { caps, parallel };
        let session = rt::Session::with_options(loaded.model(), arena, options)?;
        out.put(Box::into_raw(Box::new(Session {
            session,
            _pool: pool,
            _loaded: loaded,
        })));
        Ok(())
    })
}

/// Frees a session; null is allowed. The arena is the caller's again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ternrt_session_free(session: *mut Session) {
    guard(|| {
        if !session.is_null() {
            // SAFETY: `Box::into_raw` made it, by the caller's promise, and once.
            drop(unsafe { Box::from_raw(session) });
        }
        Ok(())
    });
}

/// Where input `i` of an entry point lies, and its length in bytes. Write it
/// before every run: a run may overwrite inputs. The place stays the same as
/// long as the session lives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ternrt_input(
    session: *mut Session,
    entry: usize,
    i: usize,
    data: *mut *mut c_void,
    len: *mut usize,
) -> Status {
    guard(|| {
        // SAFETY: the caller's promise.
        let (session, data, len) = unsafe {
            (
                pointer::exclusive(session)?,
                Out::new(data)?,
                Out::new(len)?,
            )
        };
        let input = session.session.input_mut_of(entry, i)?;
        data.put(input.as_mut_ptr().cast());
        len.put(input.len());
        Ok(())
    })
}

/// Runs an entry point: computes its outputs from its inputs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ternrt_run(session: *mut Session, entry: usize) -> Status {
    guard(|| {
        // SAFETY: the caller's promise.
        let session = unsafe { pointer::exclusive(session) }?;
        Ok(session.session.run(entry)?)
    })
}

/// Where output `i` of an entry point lies, and its length in bytes. What is
/// there is valid from a run of that entry point until the next run or the
/// writing of an input.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ternrt_output(
    session: *const Session,
    entry: usize,
    i: usize,
    data: *mut *const c_void,
    len: *mut usize,
) -> Status {
    guard(|| {
        // SAFETY: the caller's promise.
        let (session, data, len) =
            unsafe { (pointer::shared(session)?, Out::new(data)?, Out::new(len)?) };
        let output = session.session.output_of(entry, i)?;
        data.put(output.as_ptr().cast());
        len.put(output.len());
        Ok(())
    })
}

//! The compiler's own use of the runtime: an arena on the heap, threads, and
//! the instruction sets that `TERNRT_CAPS` allows.

use anyhow::{Result, anyhow};
use ternrt::pool::ThreadPool;
use ternrt::{Caps, Model, Options, Session, caps_from_env};

/// What a session borrows.
pub struct Host<'m> {
    model: &'m Model<'m>,
    arena: Vec<u8>,
    pool: ThreadPool,
    caps: Caps,
}

impl<'m> Host<'m> {
    /// An arena and threads for a model, with the CPU's instruction sets or
    /// those of them that the environment variable `TERNRT_CAPS` names.
    ///
    /// # Errors
    /// As [`with_caps`](Self::with_caps), and an unknown name in `TERNRT_CAPS`.
    pub fn new(model: &'m Model<'m>, threads: usize) -> Result<Host<'m>> {
        Self::with_caps(model, threads, caps_from_env()?)
    }

    /// The same with these instruction sets.
    ///
    /// # Errors
    /// No memory for the arena, or no threads.
    pub fn with_caps(model: &'m Model<'m>, threads: usize, caps: Caps) -> Result<Host<'m>> {
        let pool =
            ThreadPool::new(threads).map_err(|e| anyhow!("cannot start {threads} threads: {e}"))?;
        let len = model.arena_len_for(caps, threads);
        let mut arena = Vec::new();
        arena
            .try_reserve_exact(len)
            .map_err(|_| anyhow!("no memory for the model's arena of {len} bytes"))?;
        arena.resize(len, 0);
        Ok(Host {
            model,
            arena,
            pool,
            caps,
        })
    }

    /// A session in this arena.
    ///
    /// # Errors
    /// The runtime's.
    pub fn session(&mut self) -> Result<Session<'m, '_>> {
        let options = Options {
            caps: self.caps,
            parallel: &self.pool,
        };
        Ok(Session::with_options(self.model, &mut self.arena, options)?)
    }
}

/// Bytes at an address that the runtime accepts.
pub struct Aligned(Vec<u64>, usize);

impl Aligned {
    /// Copies.
    pub fn new(bytes: &[u8]) -> Aligned {
        let words = bytes.chunks(8).map(|c| {
            let mut w = [0u8; 8];
            w[..c.len()].copy_from_slice(c);
            u64::from_ne_bytes(w)
        });
        Aligned(words.collect(), bytes.len())
    }

    /// The copy.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the vector holds at least that many initialised bytes.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.1) }
    }
}

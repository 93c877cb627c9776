//! What one core, or several, could do at most: multiply-accumulates a second
//! for each activation dtype, and bytes read from memory a second.
//!
//! A multiply loop repeats one instruction (with the add it needs) on registers
//! alone, over enough independent sums to hide its latency:
//!
//! ```text
//! repeat:  sum[0] += a * b;  sum[1] += a * b;  ...  sum[SUMS - 1] += a * b
//! ```
//!
//! The loops are assembly, so that the compiler can neither fold nor reorder
//! them. No kernel that multiplies each weight can be faster. A kernel that looks sums up
//! in tables, as those for `n12` weights do, does not multiply and can be, and so can one
//! that shares products between outputs, as that for 3x3 kernels does.

use serde::Serialize;
use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;
use tern_kernels::Caps;

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
use aarch64::LOOPS;
#[cfg(target_arch = "x86_64")]
use x86_64::LOOPS;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
static LOOPS: &[Loop] = &[];

/// What was measured, with this many threads at the same time.
#[derive(Clone, Debug, Serialize)]
pub struct Ceiling {
    /// Threads that ran the multiply loops.
    pub threads: usize,
    /// One entry for each instruction that this CPU has.
    pub multiply: Vec<Multiply>,
    /// With one thread, with two, and with [`threads`](Self::threads).
    pub memory: Vec<Memory>,
}

/// Rate of one multiply loop, all threads together.
#[derive(Clone, Debug, Serialize)]
pub struct Multiply {
    /// Activation dtype that the instruction serves: `f32`, `i16` or `i8`.
    pub activations: &'static str,
    /// Instruction, and the width of its registers in bits.
    pub instruction: &'static str,
    /// Billions of multiply-accumulates a second.
    pub gmac_per_s: f64,
}

/// Rate of reading memory, all threads together.
#[derive(Clone, Debug, Serialize)]
pub struct Memory {
    /// Threads, each with a part of the buffer of its own.
    pub threads: usize,
    /// Bytes of the whole buffer.
    pub buffer_bytes: usize,
    /// Billions of bytes a second.
    pub gb_per_s: f64,
}

impl Ceiling {
    /// Measures for some tenths of a second, with such of the instruction sets as
    /// this CPU has.
    pub fn measure(threads: usize, caps: Caps) -> Ceiling {
        let caps = caps.intersection(Caps::detect());
        let multiply = LOOPS
            .iter()
            .filter(|l| caps.has(l.needs))
            .map(|l| Multiply {
                activations: l.activations,
                instruction: l.instruction,
                gmac_per_s: multiply_rate(l, threads),
            })
            .collect();
        let mut counts = vec![1, 2, threads];
        counts.sort_unstable();
        counts.dedup();
        let buffer = Buffer::new();
        Ceiling {
            threads,
            multiply,
            memory: counts.iter().map(|n| buffer.rate(*n)).collect(),
        }
    }

    /// The best rate for an activation dtype, GMAC/s; `i7` counts as `i8`.
    /// `None` where no instruction set has a loop for it.
    pub fn gmac_per_s(&self, activations: &str) -> Option<f64> {
        let wanted = if activations == "i7" {
            "i8"
        } else {
            activations
        };
        self.multiply
            .iter()
            .filter(|m| m.activations == wanted)
            .map(|m| m.gmac_per_s)
            .max_by(f64::total_cmp)
    }

    /// What [`threads`](Self::threads) threads read from memory, GB/s.
    pub fn gb_per_s(&self) -> Option<f64> {
        let of_threads = self.memory.iter().find(|m| m.threads == self.threads);
        of_threads.map(|m| m.gb_per_s)
    }

    /// One line for each figure.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for dtype in ["f32", "i16", "i8"] {
            let found = self.multiply.iter().filter(|m| m.activations == dtype);
            let rates: Vec<String> = found
                .map(|m| format!("{:.1} GMAC/s ({})", m.gmac_per_s, m.instruction))
                .collect();
            let text = match rates.is_empty() {
                true => format!(
                    "not measured: no multiply loop for these instruction sets on {}",
                    std::env::consts::ARCH
                ),
                false => rates.join(", "),
            };
            lines.push(format!("{dtype:<6}  {text}, {} thread(s)", self.threads));
        }
        for m in &self.memory {
            lines.push(format!(
                "memory  {:.1} GB/s read, {} thread(s), {} MiB",
                m.gb_per_s,
                m.threads,
                m.buffer_bytes >> 20
            ));
        }
        lines
    }
}

/// One multiply loop.
struct Loop {
    activations: &'static str,
    instruction: &'static str,
    /// Multiply-accumulates of one repetition.
    macs: u64,
    /// What the instruction belongs to.
    needs: Caps,
    /// Runs this many repetitions, at least one. Unsafe to call without what it needs.
    run: unsafe fn(u64),
}

/// Repetitions of a timed run: some 10 ms.
const REPETITIONS: u64 = 4_000_000;
/// Timed runs; the fastest counts.
const ROUNDS: usize = 5;

fn multiply_rate(l: &Loop, threads: usize) -> f64 {
    let seconds = fastest(threads, |_| {
        // SAFETY: only loops that have what they need are measured.
        unsafe { (l.run)(REPETITIONS) };
    });
    (threads as u64 * l.macs * REPETITIONS) as f64 / seconds / 1e9
}

/// Seconds from the common start of `threads` threads to the last one's end;
/// the fastest of some rounds, after one that does not count.
fn fastest(threads: usize, work: impl Fn(usize) + Sync) -> f64 {
    let barrier = Barrier::new(threads);
    let (work, barrier) = (&work, &barrier);
    // When each of a thread's rounds began and ended.
    let one = move |t: usize| -> Vec<[Instant; 2]> {
        let round = |_| {
            barrier.wait();
            let start = Instant::now();
            work(t);
            [start, Instant::now()]
        };
        (0..=ROUNDS).map(round).collect()
    };
    let rounds: Vec<Vec<[Instant; 2]>> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|t| scope.spawn(move || one(t))).collect();
        let mut all = vec![one(0)];
        // A thread that panicked has no rounds; none of the loops can.
        all.extend(others.into_iter().filter_map(|o| o.join().ok()));
        all
    });
    let seconds = |i: usize| {
        let start = rounds.iter().map(|r| r[i][0]).min();
        let end = rounds.iter().map(|r| r[i][1]).max();
        match (start, end) {
            (Some(start), Some(end)) => (end - start).as_secs_f64(),
            _ => f64::INFINITY,
        }
    };
    (1..=ROUNDS).map(seconds).fold(f64::INFINITY, f64::min)
}

/// Memory that no cache holds.
struct Buffer(Vec<u64>);

/// Elements that a reader adds up at a time.
const LANES: usize = 16;
/// How far ahead of a read its line is asked for, in elements. Fastest of 0.5,
/// 1, 2 and 4 KiB; the hardware's own prefetch stops at the end of a page.
const AHEAD: usize = 128;
/// Elements that a stream reads before all go on to the next piece of memory.
const PIECE: usize = 2048;
/// Streams that are read side by side, at most. More are no faster.
const STREAMS: usize = 4;

impl Buffer {
    /// Every page written.
    fn new() -> Buffer {
        Buffer(vec![1; beyond_caches() / size_of::<u64>()])
    }

    /// The best of some ways to read: one stream as it comes, with prefetches, and
    /// several streams with prefetches.
    fn rate(&self, threads: usize) -> Memory {
        const WHOLE: usize = STREAMS * PIECE;
        let part = self.0.len() / threads / WHOLE * WHOLE;
        let seconds = |read: fn(&[u64]) -> [u64; LANES]| {
            fastest(threads, |t| {
                black_box(read(&self.0[t * part..][..part]));
            })
        };
        let ways = [read::<1, false>, read::<1, true>, read::<STREAMS, true>];
        let seconds = ways.map(seconds).into_iter().fold(f64::INFINITY, f64::min);
        let bytes = threads * part * size_of::<u64>();
        Memory {
            threads,
            buffer_bytes: bytes,
            gb_per_s: bytes as f64 / seconds / 1e9,
        }
    }
}

/// Reads everything, as long as that is whole pieces of every stream.
fn read<const STREAMS: usize, const PREFETCH: bool>(part: &[u64]) -> [u64; LANES] {
    let mut sums = [0; LANES];
    for pieces in part.chunks_exact(STREAMS * PIECE) {
        let pieces = pieces.as_chunks::<LANES>().0;
        let streams: [_; STREAMS] =
            std::array::from_fn(|s| &pieces[s * PIECE / LANES..][..PIECE / LANES]);
        for i in 0..PIECE / LANES {
            for stream in streams {
                if PREFETCH {
                    ahead(&stream[i]);
                }
                for (sum, value) in sums.iter_mut().zip(&stream[i]) {
                    *sum ^= value;
                }
            }
        }
    }
    sums
}

#[cfg(target_arch = "x86_64")]
fn ahead(lanes: &[u64; LANES]) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    for line in [0, LANES / 2] {
        let address = lanes.as_ptr().wrapping_add(AHEAD + line).cast();
        // SAFETY: SSE is part of x86-64, and a prefetch may have any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address) };
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn ahead(_: &[u64; LANES]) {}

/// How many bytes no cache holds: four times the last-level cache, 128 MiB to 1 GiB.
pub fn beyond_caches() -> usize {
    let bytes = last_level_cache().map_or(256 << 20, |c| c.saturating_mul(4));
    bytes.clamp(128 << 20, 1 << 30)
}

/// Bytes of the largest cache of the first CPU, where the system tells (Linux).
fn last_level_cache() -> Option<usize> {
    let folder = std::fs::read_dir("/sys/devices/system/cpu/cpu0/cache").ok()?;
    let size = |entry: std::fs::DirEntry| -> Option<usize> {
        let text = std::fs::read_to_string(entry.path().join("size")).ok()?;
        let (number, unit) = text.trim().split_at_checked(text.trim().len() - 1)?;
        let factor = match unit {
            "K" => 1 << 10,
            "M" => 1 << 20,
            _ => return None,
        };
        number.parse::<usize>().ok()?.checked_mul(factor)
    };
    folder.filter_map(|e| size(e.ok()?)).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_is_there() {
        let c = Ceiling::measure(2, Caps::detect());
        let supported = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));
        for dtype in ["f32", "i16", "i8", "i7"] {
            assert_eq!(c.gmac_per_s(dtype).is_some_and(|r| r > 0.1), supported);
        }
        assert_eq!(c.gmac_per_s("f16"), None);
        assert!(c.gb_per_s().is_some_and(|r| r > 0.1));
        assert_eq!(c.memory.len(), 2);
        assert_eq!(c.lines().len(), 5);
    }
}

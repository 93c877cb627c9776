//! Blocks whose weights are decoded as they are used: up to four tiles of rows
//! by one of a block at a time.
//!
//! Packed weights are an eighth or a sixteenth of the decoded ones, so that they
//! come from the second-level cache, or from further away, in time; decoded ones
//! stay in the first level, a few chunks of them in a ring, and so do 64 rows of
//! the input while all blocks meet them. Every 64 rows decode all blocks again,
//! on pipes that the multiplier leaves free.
//!
//! ```text
//! for each 64 output rows, block, chunk:  multiply (chunk), decode (chunk + AHEAD)
//! ```
//!
//! Registers: 0 to 3 are the sums of sixteen rows each, 4 to 6 rows of the input,
//! 7 weights.

use super::panel::Chunks;
use super::plan::{CHUNK, STREAM_ROWS, STREAM_SLOTS, TILE_BYTES};
use super::rest::{Any, Known, Pending, Rest};
use super::stage::Strip;
use super::tile;
use crate::epilogue::{Common, Finish, common};
use crate::layout::BLOCK;
use core::arch::asm;
use core::arch::x86_64::*;
use core::ops::Range;

/// Rows of a tile.
const TILE: usize = STREAM_ROWS / 4;
/// How many chunks decoding is ahead of their use: stores have left the core's
/// buffers before tiles load what they stored.
const AHEAD: usize = STREAM_SLOTS - 1;
/// Bytes that packed weights are fetched ahead.
const FETCH: usize = 1024;

/// A staged strip by blocks that lie one behind another.
pub(super) struct Job<'a> {
    pub(super) strip: &'a Strip,
    /// How far each chunk of k is from a row's start.
    pub(super) offsets: &'a [usize],
    /// The blocks' packed weights.
    pub(super) packed: &'a [u8],
    /// Room for `STREAM_SLOTS` tiles, aligned to 64 bytes.
    pub(super) ring: *mut u8,
    /// Room for the sums of two times `STREAM_ROWS` rows of a block, aligned to
    /// 64 bytes.
    pub(super) sums: *mut i32,
    pub(super) finish: &'a Finish<'a>,
    /// Outputs over all groups.
    pub(super) outputs: Range<usize>,
}

impl<'a> Job<'a> {
    /// Multiplies and finishes.
    ///
    /// # Safety
    ///
    /// The CPU has AMX and AVX-512 VBMI, tiles are configured for whole chunks,
    /// every part is as it says, and no other task has these rows' outputs.
    pub(super) unsafe fn run<C: Chunks>(&self) {
        // SAFETY: the caller's promises.
        unsafe {
            let done = self.finish.common().is_some_and(|kind| {
                common!(kind, true, K => self.known::<C, K>())
                    || common!(kind, false, K => self.known::<C, K>())
            });
            if !done {
                self.all::<C, Any<'_>>();
            }
        }
    }

    /// # Safety
    ///
    /// As for [`run`](Self::run).
    unsafe fn known<C: Chunks, K: Common>(&self) {
        // SAFETY: the caller's promises.
        unsafe { self.all::<C, Known<'_, K, 1>>() };
    }

    /// # Safety
    ///
    /// As for [`run`](Self::run).
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
    unsafe fn all<C: Chunks, R: Rest<'a>>(&self) {
        let strip = self.strip;
        let blocks = self.outputs.len().div_ceil(BLOCK);
        let outputs = |block: usize| {
            let first = self.outputs.start + block * BLOCK;
            first..self.outputs.end.min(first + BLOCK)
        };
        // SAFETY: the caller's promises.
        unsafe {
            let mut source = Source::<C>::new(self, blocks * self.offsets.len());
            let mut rows = Pending::none(strip, BLOCK);
            let mut pending = rows;
            let mut rest = R::new(self.finish, outputs(0));
            let mut half = 0;
            for first in (0..strip.rows).step_by(STREAM_ROWS) {
                let count = STREAM_ROWS.min(strip.rows - first);
                let last = strip.rows - 1;
                let x = core::array::from_fn(|i| strip.row((first + i * TILE).min(last)));
                for block in 0..blocks {
                    let sums = self.sums.add(half * STREAM_ROWS * BLOCK);
                    half = 1 - half;
                    let mut beside = Beside {
                        source: &mut source,
                        rows: STREAM_ROWS.div_ceil(self.offsets.len()),
                        rest: &rest,
                        pending: &mut pending,
                    };
                    match count.div_ceil(TILE) {
                        1 => self.tiles::<1, C, R>(x, sums, &mut beside),
                        2 => self.tiles::<2, C, R>(x, sums, &mut beside),
                        3 => self.tiles::<3, C, R>(x, sums, &mut beside),
                        _ => self.tiles::<4, C, R>(x, sums, &mut beside),
                    }
                    pending.finish(&rest, STREAM_ROWS);
                    rest = R::new(self.finish, outputs(block));
                    pending = rows;
                    pending.next(sums, count);
                }
                rows.skip(count);
            }
            pending.finish(&rest, STREAM_ROWS);
        }
    }

    /// `A` times 16 rows by a block, over all of k; stores the sums.
    ///
    /// # Safety
    ///
    /// As for [`run`](Self::run); `x` are the first rows of each tile, and `sums`
    /// have room.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
    #[inline]
    unsafe fn tiles<const A: usize, C: Chunks, R: Rest<'a>>(
        &self,
        x: [*const u8; 4],
        sums: *mut i32,
        beside: &mut Beside<'_, 'a, C, R>,
    ) {
        // SAFETY: tiles are configured.
        unsafe { tile::clear() };
        for offset in self.offsets {
            let x = x.map(|x| x.wrapping_add(*offset));
            // SAFETY: 16 rows at this distance are staged for each of A tiles, and
            // the chunk's weights are decoded.
            unsafe {
                asm!(
                    "tileloadd tmm7, [{w} + {w_stride}]",
                    "tileloadd tmm4, [{x} + {x_stride}]",
                    "tdpbssd tmm0, tmm4, tmm7",
                    w = in(reg) beside.source.weights(),
                    x = in(reg) x[0],
                    x_stride = in(reg) self.strip.stride,
                    w_stride = in(reg) CHUNK,
                    options(readonly, nostack, preserves_flags)
                );
                if A > 1 {
                    asm!(
                        "tileloadd tmm5, [{x} + {x_stride}]",
                        "tdpbssd tmm1, tmm5, tmm7",
                        x = in(reg) x[1],
                        x_stride = in(reg) self.strip.stride,
                        options(readonly, nostack, preserves_flags)
                    );
                }
                if A > 2 {
                    asm!(
                        "tileloadd tmm6, [{x} + {x_stride}]",
                        "tdpbssd tmm2, tmm6, tmm7",
                        x = in(reg) x[2],
                        x_stride = in(reg) self.strip.stride,
                        options(readonly, nostack, preserves_flags)
                    );
                }
                if A > 3 {
                    asm!(
                        "tileloadd tmm4, [{x} + {x_stride}]",
                        "tdpbssd tmm3, tmm4, tmm7",
                        x = in(reg) x[3],
                        x_stride = in(reg) self.strip.stride,
                        options(readonly, nostack, preserves_flags)
                    );
                }
                beside.step();
            }
        }
        // SAFETY: `sums` has 16 rows at each of these places.
        unsafe {
            tile::store::<0>(sums, BLOCK);
            if A > 1 {
                tile::store::<1>(sums.add(TILE * BLOCK), BLOCK);
            }
            if A > 2 {
                tile::store::<2>(sums.add(2 * TILE * BLOCK), BLOCK);
            }
            if A > 3 {
                tile::store::<3>(sums.add(3 * TILE * BLOCK), BLOCK);
            }
        }
    }
}

/// Decoded weights, one chunk after another, from the first block's again after
/// the last block's.
struct Source<'a, C> {
    chunks: C,
    packed: &'a [u8],
    /// Where the chunk begins that is decoded next.
    at: usize,
    end: usize,
    ring: *mut u8,
    /// How many chunks were used.
    used: usize,
}

impl<'a, C: Chunks> Source<'a, C> {
    /// With the first chunks decoded.
    ///
    /// # Safety
    ///
    /// The CPU has AVX-512 VBMI; the job is as it says, with so many chunks.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    unsafe fn new(job: &Job<'a>, chunks: usize) -> Self {
        let mut source = Source {
            // SAFETY: the caller's promise.
            chunks: unsafe { C::new() },
            packed: job.packed,
            at: 0,
            end: chunks * C::BYTES,
            ring: job.ring,
            used: 0,
        };
        for slot in 0..AHEAD {
            // SAFETY: the ring has more slots.
            unsafe { source.decode(slot) };
        }
        source
    }

    /// The weights of the chunk that is used next.
    #[inline(always)]
    fn weights(&self) -> *const u8 {
        let slot = self.used % STREAM_SLOTS;
        self.ring.wrapping_add(slot * TILE_BYTES).cast_const()
    }

    /// Decodes the next chunk.
    ///
    /// # Safety
    ///
    /// The CPU has AVX-512 VBMI; `slot` is one of the ring's.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    #[inline]
    unsafe fn decode(&mut self, slot: usize) {
        let Some(from) = self.packed.get(self.at..self.at + C::BYTES) else {
            return;
        };
        _mm_prefetch::<_MM_HINT_T0>(from.as_ptr().wrapping_add(FETCH).cast());
        // SAFETY: the caller's promises; `from` has a chunk.
        unsafe {
            self.chunks
                .decode(from.as_ptr(), self.ring.add(slot * TILE_BYTES))
        };
        self.at += C::BYTES;
        if self.at == self.end {
            self.at = 0;
        }
    }
}

/// What the vector and load pipes do while the multiplier is busy with a chunk.
struct Beside<'b, 'a, C, R> {
    source: &'b mut Source<'a, C>,
    /// Rows that are finished.
    rows: usize,
    rest: &'b R,
    pending: &'b mut Pending<'a>,
}

impl<'a, C: Chunks, R: Rest<'a>> Beside<'_, 'a, C, R> {
    /// # Safety
    ///
    /// As for [`Rest::rows`] and [`Source::decode`].
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
    #[inline]
    unsafe fn step(&mut self) {
        // SAFETY: the caller's promises.
        unsafe {
            self.source
                .decode((self.source.used + AHEAD) % STREAM_SLOTS);
            self.source.used += 1;
            self.pending.finish(self.rest, self.rows);
        }
    }
}

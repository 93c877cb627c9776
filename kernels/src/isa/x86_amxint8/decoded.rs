//! Blocks whose weights were decoded before: two tiles of rows by two of blocks
//! at a time.
//!
//! Registers: sums of the first and second sixteen rows, by two blocks each; 4
//! and 5 are rows of the input, 6 and 7 weights.

use super::plan::{BLOCKS, CHUNK, ROWS, TILE_BYTES};
use super::rest::{Any, Known, Pending, Rest};
use super::stage::Strip;
use super::tile;
use crate::epilogue::{Common, Finish, common};
use crate::layout::BLOCK;
use core::arch::asm;
use core::arch::x86_64::*;
use core::ops::Range;

/// Sums of a row, over all blocks.
const ROW_SUMS: usize = BLOCKS * BLOCK;
/// Bytes of a cache line.
const LINE: usize = 64;

/// What the vector and load pipes do while the multiplier is busy with a chunk.
struct Beside<'b, 'a, T> {
    rest: &'b T,
    /// Rows that are finished.
    rows: usize,
    pending: Pending<'a>,
    /// Bytes of `next` that are brought into the second-level cache.
    bytes: usize,
    next: &'a [u8],
}

impl<'a, T: Rest<'a>> Beside<'_, 'a, T> {
    /// # Safety
    ///
    /// As for [`Rest::rows`].
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    unsafe fn step(&mut self) {
        let (now, later) = self.next.split_at(self.bytes.min(self.next.len()));
        for line in now.chunks(LINE) {
            _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast());
        }
        self.next = later;
        // SAFETY: the caller's promises.
        unsafe { self.pending.finish(self.rest, self.rows) };
    }
}

/// A staged strip by at most [`BLOCKS`] blocks.
pub(super) struct Job<'a> {
    pub(super) strip: &'a Strip,
    /// How far each chunk of k is from a row's start.
    pub(super) offsets: &'a [usize],
    /// A block's panel every `stride` bytes.
    pub(super) panels: &'a [u8],
    pub(super) stride: usize,
    /// The packed blocks that are decoded next, which are fetched meanwhile.
    pub(super) next: &'a [u8],
    /// Room for two times [`ROWS`] rows of sums, aligned to 64 bytes.
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
    /// The CPU has AMX and AVX-512 F, BW and VL, tiles are [`Configured`], every
    /// part is as it says, and no other task has these rows' outputs.
    pub(super) unsafe fn run(&self) {
        // SAFETY: the caller's promises.
        unsafe {
            let done = match self.outputs.len().div_ceil(BLOCK) {
                1 => self.common::<1>(),
                2 => self.common::<2>(),
                _ => self.common::<4>(),
            };
            if !done {
                self.all::<Any<'_>>();
            }
        }
    }

    /// [`run`](Self::run), if the epilogue is known when compiling.
    ///
    /// # Safety
    ///
    /// As for [`run`](Self::run).
    unsafe fn common<const N: usize>(&self) -> bool {
        let Some(kind) = self.finish.common() else {
            return false;
        };
        // SAFETY: the caller's promises.
        unsafe {
            common!(kind, true, C => self.known::<C, N>())
                || common!(kind, false, C => self.known::<C, N>())
        }
    }

    /// # Safety
    ///
    /// As for [`run`](Self::run).
    unsafe fn known<C: Common, const N: usize>(&self) {
        // SAFETY: the caller's promises.
        unsafe { self.all::<Known<'_, C, N>>() };
    }

    /// # Safety
    ///
    /// As for [`run`](Self::run).
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn all<T: Rest<'a>>(&self) {
        let strip = self.strip;
        // SAFETY: the caller's promise.
        let rest = &unsafe { T::new(self.finish, self.outputs.clone()) };
        let blocks = self.outputs.len().div_ceil(BLOCK);
        let passes = blocks.div_ceil(2) * self.offsets.len();
        let tiles = strip.rows.div_ceil(ROWS);
        let mut beside = Beside {
            rest,
            rows: ROWS.div_ceil(passes),
            pending: Pending::none(strip, ROW_SUMS),
            bytes: self.next.len().div_ceil(LINE).div_ceil(passes * tiles) * LINE,
            next: self.next,
        };
        for (i, first) in (0..strip.rows).step_by(ROWS).enumerate() {
            let rows = ROWS.min(strip.rows - first);
            let x = strip.row(first);
            let sums = self.sums.wrapping_add(i % 2 * ROWS * ROW_SUMS);
            for block in (0..blocks).step_by(2) {
                let panel = self.panels[block * self.stride..].as_ptr();
                let to = sums.wrapping_add(block * BLOCK);
                // SAFETY: the caller's promises.
                unsafe {
                    match (rows > ROWS / 2, blocks - block > 1) {
                        (true, true) => self.tiles::<2, 2, T>(x, panel, to, &mut beside),
                        (true, false) => self.tiles::<2, 1, T>(x, panel, to, &mut beside),
                        (false, true) => self.tiles::<1, 2, T>(x, panel, to, &mut beside),
                        (false, false) => self.tiles::<1, 1, T>(x, panel, to, &mut beside),
                    }
                }
            }
            // SAFETY: the caller's promises; the sums were stored.
            unsafe { beside.pending.finish(rest, ROWS) };
            beside.pending.next(sums, rows);
        }
        // SAFETY: as above.
        unsafe { beside.pending.finish(rest, ROWS) };
    }

    /// `A` times 16 rows by `B` blocks, over all of k; stores the sums.
    ///
    /// # Safety
    ///
    /// As for [`run`](Self::run); `x` is the first row, `panel` the first block's
    /// and `sums` have room.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    unsafe fn tiles<const A: usize, const B: usize, T: Rest<'a>>(
        &self,
        x: *const u8,
        panel: *const u8,
        sums: *mut i32,
        beside: &mut Beside<'_, 'a, T>,
    ) {
        let second = x.wrapping_add(ROWS / 2 * self.strip.stride);
        // SAFETY: tiles are configured.
        unsafe { tile::clear() };
        for (i, offset) in self.offsets.iter().enumerate() {
            let weights = panel.wrapping_add(i * TILE_BYTES);
            let (x, second) = (x.wrapping_add(*offset), second.wrapping_add(*offset));
            // SAFETY: 16 rows at this distance are staged, and each block has a
            // tile of weights for every chunk.
            unsafe {
                if A == 2 && B == 2 {
                    asm!(
                        "tileloadd tmm4, [{x} + {x_stride}]",
                        "tileloadd tmm6, [{w} + {w_stride}]",
                        "tdpbssd tmm0, tmm4, tmm6",
                        "tileloadd tmm7, [{v} + {w_stride}]",
                        "tdpbssd tmm1, tmm4, tmm7",
                        "tileloadd tmm5, [{second} + {x_stride}]",
                        "tdpbssd tmm2, tmm5, tmm6",
                        "tdpbssd tmm3, tmm5, tmm7",
                        x = in(reg) x,
                        second = in(reg) second,
                        w = in(reg) weights,
                        v = in(reg) weights.wrapping_add(self.stride),
                        x_stride = in(reg) self.strip.stride,
                        w_stride = in(reg) CHUNK,
                        options(readonly, nostack, preserves_flags)
                    );
                } else if A == 2 {
                    asm!(
                        "tileloadd tmm4, [{x} + {x_stride}]",
                        "tileloadd tmm6, [{w} + {w_stride}]",
                        "tdpbssd tmm0, tmm4, tmm6",
                        "tileloadd tmm5, [{second} + {x_stride}]",
                        "tdpbssd tmm2, tmm5, tmm6",
                        x = in(reg) x,
                        second = in(reg) second,
                        w = in(reg) weights,
                        x_stride = in(reg) self.strip.stride,
                        w_stride = in(reg) CHUNK,
                        options(readonly, nostack, preserves_flags)
                    );
                } else if B == 2 {
                    asm!(
                        "tileloadd tmm4, [{x} + {x_stride}]",
                        "tileloadd tmm6, [{w} + {w_stride}]",
                        "tdpbssd tmm0, tmm4, tmm6",
                        "tileloadd tmm7, [{v} + {w_stride}]",
                        "tdpbssd tmm1, tmm4, tmm7",
                        x = in(reg) x,
                        w = in(reg) weights,
                        v = in(reg) weights.wrapping_add(self.stride),
                        x_stride = in(reg) self.strip.stride,
                        w_stride = in(reg) CHUNK,
                        options(readonly, nostack, preserves_flags)
                    );
                } else {
                    asm!(
                        "tileloadd tmm4, [{x} + {x_stride}]",
                        "tileloadd tmm6, [{w} + {w_stride}]",
                        "tdpbssd tmm0, tmm4, tmm6",
                        x = in(reg) x,
                        w = in(reg) weights,
                        x_stride = in(reg) self.strip.stride,
                        w_stride = in(reg) CHUNK,
                        options(readonly, nostack, preserves_flags)
                    );
                }
                beside.step();
            }
        }
        // SAFETY: `sums` has 16 rows of a block at each of these places.
        unsafe {
            tile::store::<0>(sums, ROW_SUMS);
            if B == 2 {
                tile::store::<1>(sums.wrapping_add(BLOCK), ROW_SUMS);
            }
            if A == 2 {
                let second = sums.wrapping_add(ROWS / 2 * ROW_SUMS);
                tile::store::<2>(second, ROW_SUMS);
                if B == 2 {
                    tile::store::<3>(second.wrapping_add(BLOCK), ROW_SUMS);
                }
            }
        }
    }
}

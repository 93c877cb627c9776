//! The tiles' instructions, and the loop that multiplies and finishes.
//!
//! Registers: tmm0 to tmm3 are sums (of the first and second sixteen rows, by two
//! blocks each), tmm4 and tmm5 rows of the input, tmm6 and tmm7 weights. They keep
//! what they hold from one block of assembly to the next: the compiler has no
//! type that lives in them, so it never uses them.

use super::panel::STEP;
use super::plan::{BLOCKS, CHUNK, ROWS, TILE_BYTES};
use super::stage::Strip;
use crate::epilogue::x86_avx512::{Columns, LANES};
use crate::epilogue::{Common, Finish, common};
use crate::layout::BLOCK;
use core::arch::asm;
use core::arch::x86_64::*;
use core::marker::PhantomData;
use core::ops::Range;

/// Sums of a row, over all blocks.
const ROW_SUMS: usize = BLOCKS * BLOCK;
/// Bytes of a cache line.
const LINE: usize = 64;
/// Bytes from one row's sums to the next's.
const SUM_STRIDE: usize = ROW_SUMS * 4;

/// Tiles of 16 rows, released when dropped.
pub(super) struct Configured(());

/// What `ldtilecfg` reads: Intel's manual, volume 1, chapter 18.
#[repr(C, align(64))]
struct Config {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

impl Configured {
    /// For chunks of so many k, a multiple of [`STEP`] and at most [`CHUNK`].
    ///
    /// # Safety
    ///
    /// The CPU has AMX, and the process may use it.
    pub(super) unsafe fn new(k: usize) -> Configured {
        const ALL: usize = 16;
        let config = Config {
            palette: 1,
            start_row: 0,
            reserved: [0; 14],
            row_bytes: core::array::from_fn(|tile| match tile {
                4 | 5 => k as u16,
                0..8 => CHUNK as u16,
                _ => 0,
            }),
            rows: core::array::from_fn(|tile| match tile {
                6 | 7 => (k / STEP) as u8,
                0..8 => ALL as u8,
                _ => 0,
            }),
        };
        // SAFETY: 64 bytes, which describe tiles that palette 1 has.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const config, options(readonly, nostack, preserves_flags));
        }
        Configured(())
    }
}

impl Drop for Configured {
    fn drop(&mut self) {
        // SAFETY: tiles are configured, so the CPU has them.
        unsafe { asm!("tilerelease", options(nomem, nostack, preserves_flags)) };
    }
}

/// What finishes rows of sums.
trait Rest {
    /// # Safety
    ///
    /// The CPU has AVX-512 F, BW and VL; `sums` has the rows' sums, and no other
    /// task has their outputs.
    unsafe fn rows(&self, rows: Range<usize>, sums: *const i32);
}

/// Any epilogue.
struct Any<'a> {
    finish: &'a Finish<'a>,
    outputs: Range<usize>,
}

impl Rest for Any<'_> {
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn rows(&self, rows: Range<usize>, sums: *const i32) {
        let outputs = self.outputs.clone();
        // SAFETY: the caller's promises.
        unsafe {
            self.finish
                .x86_avx512_rows::<true>(rows, outputs, sums, ROW_SUMS)
        };
    }
}

/// An epilogue known when compiling, for at most `N` registers of outputs.
struct Known<'a, C, const N: usize>(Columns<'a, N>, PhantomData<C>);

impl<C: Common, const N: usize> Rest for Known<'_, C, N> {
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    unsafe fn rows(&self, rows: Range<usize>, mut sums: *const i32) {
        for row in rows {
            let mut t = [_mm512_setzero_ps(); N];
            for (n, t) in t.iter_mut().enumerate() {
                // SAFETY: a row has sums for all blocks.
                let sums = unsafe { _mm512_load_si512(sums.add(n * LANES).cast()) };
                *t = _mm512_cvtepi32_ps(sums);
            }
            // SAFETY: the caller's promises.
            unsafe { self.0.common_row::<C>(row, t) };
            sums = sums.wrapping_add(ROW_SUMS);
        }
    }
}

/// Sums that wait for their epilogue: some rows of a strip.
struct Pending<'a> {
    strip: &'a Strip,
    sums: *const i32,
    /// The next of the rows, and how many there are.
    at: usize,
    count: usize,
    /// Where in its line the next row is, and the next that is an output's.
    column: usize,
    row: usize,
}

impl Pending<'_> {
    /// Finishes the next `count` rows, or as many as are left.
    ///
    /// # Safety
    ///
    /// As for [`Rest::rows`].
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    unsafe fn finish<T: Rest>(&mut self, rest: &T, count: usize) {
        let end = self.count.min(self.at + count);
        while self.at < end {
            let real = self.column < self.strip.real;
            let line_end = if real {
                self.strip.real
            } else {
                self.strip.width
            };
            let count = (line_end - self.column).min(end - self.at);
            if real {
                let sums = self.sums.wrapping_add(self.at * ROW_SUMS);
                // SAFETY: the caller's promises.
                unsafe { rest.rows(self.row..self.row + count, sums) };
                self.row += count;
            }
            self.at += count;
            self.column += count;
            if self.column == self.strip.width {
                self.column = 0;
            }
        }
    }

    /// Takes the rows after these.
    fn next(&mut self, sums: *const i32, count: usize) {
        (self.sums, self.at, self.count) = (sums, 0, count);
    }
}

/// What the vector and load pipes do while the multiplier is busy with a chunk.
struct Beside<'a, T> {
    rest: &'a T,
    /// Rows that are finished.
    rows: usize,
    pending: Pending<'a>,
    /// Bytes of `next` that are brought into the second-level cache.
    bytes: usize,
    next: &'a [u8],
}

impl<T: Rest> Beside<'_, T> {
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

impl Job<'_> {
    /// Multiplies and finishes.
    ///
    /// # Safety
    ///
    /// The CPU has AMX and AVX-512 F, BW and VL, tiles are [`Configured`], every
    /// part is as it says, and no other task has these rows' outputs.
    pub(super) unsafe fn run(&self) {
        let any = Any {
            finish: self.finish,
            outputs: self.outputs.clone(),
        };
        // SAFETY: the caller's promises.
        unsafe {
            let done = match self.outputs.len().div_ceil(BLOCK) {
                1 => self.common::<1>(),
                2 => self.common::<2>(),
                _ => self.common::<4>(),
            };
            if !done {
                self.all(&any);
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
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn known<C: Common, const N: usize>(&self) {
        let columns = Columns::<N>::new(self.finish, self.outputs.start, self.outputs.len());
        // SAFETY: the caller's promises.
        unsafe { self.all(&Known::<C, N>(columns, PhantomData)) };
    }

    /// # Safety
    ///
    /// As for [`run`](Self::run).
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    unsafe fn all<T: Rest>(&self, rest: &T) {
        let strip = self.strip;
        let blocks = self.outputs.len().div_ceil(BLOCK);
        let passes = blocks.div_ceil(2) * self.offsets.len();
        let tiles = strip.rows.div_ceil(ROWS);
        let mut beside = Beside {
            rest,
            rows: ROWS.div_ceil(passes),
            pending: Pending {
                strip,
                sums: self.sums,
                at: 0,
                count: 0,
                column: 0,
                row: strip.first,
            },
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
    unsafe fn tiles<const A: usize, const B: usize, T: Rest>(
        &self,
        x: *const u8,
        panel: *const u8,
        sums: *mut i32,
        beside: &mut Beside<'_, T>,
    ) {
        let second = x.wrapping_add(ROWS / 2 * self.strip.stride);
        // SAFETY: tiles are configured.
        unsafe {
            asm!(
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                options(nomem, nostack, preserves_flags)
            );
        }
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
            store::<0>(sums);
            if B == 2 {
                store::<1>(sums.wrapping_add(BLOCK));
            }
            if A == 2 {
                let second = sums.wrapping_add(ROWS / 2 * ROW_SUMS);
                store::<2>(second);
                if B == 2 {
                    store::<3>(second.wrapping_add(BLOCK));
                }
            }
        }
    }
}

/// Stores tmm`T`.
///
/// # Safety
///
/// Tiles are configured; there is room for 16 rows of a block.
#[inline(always)]
unsafe fn store<const T: usize>(sums: *mut i32) {
    // SAFETY: the caller's promise.
    unsafe {
        match T {
            0 => {
                asm!("tilestored [{} + {}], tmm0", in(reg) sums, in(reg) SUM_STRIDE, options(nostack, preserves_flags))
            }
            1 => {
                asm!("tilestored [{} + {}], tmm1", in(reg) sums, in(reg) SUM_STRIDE, options(nostack, preserves_flags))
            }
            2 => {
                asm!("tilestored [{} + {}], tmm2", in(reg) sums, in(reg) SUM_STRIDE, options(nostack, preserves_flags))
            }
            _ => {
                asm!("tilestored [{} + {}], tmm3", in(reg) sums, in(reg) SUM_STRIDE, options(nostack, preserves_flags))
            }
        }
    }
}

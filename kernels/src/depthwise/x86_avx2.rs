//! AVX2: weights are expanded once; then every few output positions, 16 channels
//! at a time, walk over the kernel's taps.
//!
//! ```text
//! for each POSITIONS output positions:
//!     point at the input of every tap
//!     for each 16 channels:                 // the last overlap those before
//!         for each position: sum over the taps, epilogue
//! ```
//!
//! Integers: two taps at a time. Their activations, widened to i16, are
//! interleaved, and `madd` multiplies them with pairs of i16 weights and adds both
//! products: exact in i32 for every codec, `|pair| <= 2 * 32768 * 128`. Expanded
//! weights are `[16 channels][pair][half][8][2]` i16, in the order in which
//! `unpack` leaves the channels. A tap outside of the input points to zeros.
//!
//! f32: `[16 channels][tap][16]`; a tap outside of the input is left out.

use super::{Kernel, Problem, scalar};
use crate::conv2d::Conv2dShape;
use crate::epilogue::{Columns, Common, common};
use crate::layout::{BLOCK, Block};
use crate::par::{SCRATCH_ALIGN, Shared, each_once, share, tasks_for};
use crate::product::scalar::Element;
use crate::product::{Rows, Size};
use crate::{Caps, Ctx, DType, Variant, View};
use core::arch::x86_64::*;
use core::ops::Range;

/// Row of the family's table.
pub(super) const VARIANT: Variant<Kernel> = Variant {
    name: "x86_avx2",
    needs: Caps::AVX2,
    run: Kernel { scratch, run },
};

/// Output positions that share the epilogue's preparations.
const POSITIONS: usize = 8;

/// Parts of scratch.
struct Plan {
    /// Bytes of 16 channels' expanded weights.
    block: usize,
    /// Blocks of 16 channels; the last one ends with the channels.
    blocks: usize,
    /// Where zeros for a tap begin, the taps' offsets, and the tasks' pointers.
    zeros: usize,
    offsets: usize,
    pointers: usize,
    /// Bytes of a task's pointers.
    task: usize,
    tasks: usize,
}

impl Plan {
    /// `None` where the size overflows.
    fn new(size: &Size, threads: usize) -> Option<Plan> {
        let (channels, taps) = (size.matrix.outputs, size.matrix.channels);
        let blocks = channels.div_ceil(BLOCK);
        // An odd tap is paired with nothing; f32 and pairs of i16 are four bytes a
        // channel each.
        let steps = match size.x {
            DType::F32 => taps,
            _ => taps.div_ceil(2),
        };
        let block = steps.checked_mul(BLOCK * 4)?;
        let aligned = |len: usize| len.checked_next_multiple_of(SCRATCH_ALIGN);
        let zeros = aligned(block.checked_mul(blocks)?)?;
        let offsets = aligned(zeros.checked_add(channels.checked_mul(size.x.size())?)?)?;
        let pointers = aligned(offsets.checked_add(taps.checked_mul(size_of::<usize>())?)?)?;
        Some(Plan {
            block,
            blocks,
            zeros,
            offsets,
            pointers,
            task: aligned(taps.checked_mul(POSITIONS * size_of::<*const u8>())?)?,
            tasks: tasks_for(threads, size.rows.div_ceil(POSITIONS)),
        })
    }

    fn len(&self) -> Option<usize> {
        self.task
            .checked_mul(self.tasks)?
            .checked_add(self.pointers)
    }

    /// The first channel of a block.
    fn first(&self, block: usize, channels: usize) -> usize {
        (block * BLOCK).min(channels - BLOCK)
    }
}

fn scratch(size: &Size, _: &Conv2dShape, threads: usize) -> usize {
    if size.matrix.outputs < BLOCK {
        return 0;
    }
    Plan::new(size, threads)
        .and_then(|plan| plan.len())
        .unwrap_or(usize::MAX)
}

/// # Safety
///
/// The CPU has AVX2.
unsafe fn run(ctx: &mut Ctx<'_>, problem: &Problem<'_>) {
    if problem.size.matrix.outputs < BLOCK {
        return scalar::run(ctx, problem);
    }
    // SAFETY: the caller's promise.
    unsafe {
        match problem.x {
            View::F32(x) => run_typed(ctx, problem, x),
            View::I16(x) => run_typed(ctx, problem, x),
            View::I8(x) => run_typed(ctx, problem, x),
            _ => {}
        }
    }
}

/// # Safety
///
/// The CPU has AVX2; there are 16 channels.
unsafe fn run_typed<T: Lanes>(ctx: &mut Ctx<'_>, problem: &Problem<'_>, x: &[T]) {
    let Some(plan) = Plan::new(&problem.size, ctx.threads()) else {
        return;
    };
    let Some((shared, pointers)) = ctx.scratch.split_at_mut_checked(plan.pointers) else {
        return;
    };
    let (shared, offsets) = shared.split_at_mut(plan.offsets);
    let (weights, zeros) = shared.split_at_mut(plan.zeros);
    expand::<T>(problem, &plan, weights);
    zeros.fill(0);
    // SAFETY: numbers can be any bytes.
    let (_, offsets, _) = unsafe { offsets.align_to_mut::<usize>() };
    let [height, width] = problem.kernel;
    let taps = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
    for (offset, (y, x)) in offsets.iter_mut().zip(taps) {
        *offset = problem.rows.offset(y, x);
    }
    let offsets = offsets.get(..height * width).unwrap_or(&[]);
    let (weights, zeros) = (&*weights, &*zeros);
    let pointers = Shared::new(pointers);
    each_once(ctx.par, plan.tasks, &|i| {
        // SAFETY: every task has a range of its own, and `each_once` runs a task
        // no more than once.
        let pointers = unsafe { pointers.part(i * plan.task..(i + 1) * plan.task) };
        // SAFETY: pointers can be written anywhere.
        let (_, pointers, _) = unsafe { pointers.align_to_mut::<*const T>() };
        let mut task = Task {
            problem,
            plan: &plan,
            x,
            weights,
            zeros,
            offsets,
            pointers,
        };
        let rows = problem.size.rows;
        for few in share(rows.div_ceil(POSITIONS), plan.tasks, i) {
            let first = few * POSITIONS;
            // SAFETY: the caller's promise; tasks have disjoint rows.
            unsafe { task.run(first..rows.min(first + POSITIONS)) };
        }
    });
}

/// Writes the weights of all channels.
fn expand<T: Lanes>(problem: &Problem<'_>, plan: &Plan, to: &mut [u8]) {
    let matrix = &problem.size.matrix;
    let (channels, taps) = (matrix.outputs, matrix.channels);
    // The other half of the last pair of taps.
    to.fill(0);
    for b in 0..plan.blocks {
        let first = plan.first(b, channels);
        let block = |packed| Block::new(problem.size.codec, matrix, problem.block(packed));
        let (packed, shift) = (block(first / BLOCK), first % BLOCK);
        let to = &mut to[b * plan.block..][..plan.block];
        for tap in 0..taps {
            let mut weights = T::weights(&packed, 0, tap);
            if shift > 0 {
                let next = T::weights(&block(first / BLOCK + 1), 0, tap);
                weights = core::array::from_fn(|i| match (i + shift).checked_sub(BLOCK) {
                    None => weights[i + shift],
                    Some(i) => next[i],
                });
            }
            T::put(to, tap, &weights);
        }
    }
}

/// One task.
struct Task<'a, T> {
    problem: &'a Problem<'a>,
    plan: &'a Plan,
    x: &'a [T],
    weights: &'a [u8],
    /// A tap's channels.
    zeros: &'a [u8],
    /// How far each tap is from the first.
    offsets: &'a [usize],
    /// `[POSITIONS][taps]`.
    pointers: &'a mut [*const T],
}

impl<T: Lanes> Task<'_, T> {
    /// At most [`POSITIONS`] output positions.
    ///
    /// # Safety
    ///
    /// The CPU has AVX2; no other task has these rows.
    unsafe fn run(&mut self, rows: Range<usize>) {
        self.point(rows.clone());
        for block in 0..self.plan.blocks {
            // SAFETY: the caller's promises; the pointers were just written.
            unsafe { self.block(block, rows.clone()) };
        }
    }

    /// Points at every tap's input.
    fn point(&mut self, rows: Range<usize>) {
        let source = &self.problem.rows;
        let channels = self.problem.size.matrix.outputs;
        let [height, width] = self.problem.kernel;
        let outside = if T::SKIPS {
            core::ptr::null()
        } else {
            self.zeros.as_ptr().cast()
        };
        let reach = source.offset(height - 1, width - 1) + channels;
        let mut position = source.position(rows.start);
        let taps = self.pointers.chunks_exact_mut(height * width);
        for (_, taps) in rows.zip(taps) {
            let whole = source.interior(position);
            let whole = whole.and_then(|at| self.x.get(at..at + reach));
            if let Some(whole) = whole {
                for (tap, offset) in taps.iter_mut().zip(self.offsets) {
                    *tap = whole.as_ptr().wrapping_add(*offset);
                }
                position = source.after(position);
                continue;
            }
            for (y, line) in taps.chunks_exact_mut(width).enumerate() {
                let from = source.line(position, y);
                for (x, tap) in line.iter_mut().enumerate() {
                    let at = from.and_then(|line| source.source(line, position, x));
                    let x = at.and_then(|at| self.x.get(at..at + channels));
                    *tap = x.map_or(outside, <[T]>::as_ptr);
                }
            }
            position = source.after(position);
        }
    }

    /// Sixteen channels.
    ///
    /// # Safety
    ///
    /// As for [`run`](Self::run), with the pointers written.
    #[target_feature(enable = "avx2")]
    unsafe fn block(&self, block: usize, rows: Range<usize>) {
        let finish = &self.problem.finish;
        let first = self.plan.first(block, self.problem.size.matrix.outputs);
        let columns = Columns::<2>::new(finish, first);
        let weights = self.weights[block * self.plan.block..].as_ptr();
        // SAFETY: the caller's promises.
        unsafe {
            if let Some(kind) = finish.common()
                && (common!(kind, true, C => self.each::<C>(&columns, weights, first, rows.clone()))
                    || common!(kind, false, C => self.each::<C>(&columns, weights, first, rows.clone())))
            {
                return;
            }
            let taps = self.problem.size.matrix.channels;
            for (pointers, row) in self.pointers.chunks_exact(taps).zip(rows) {
                columns.row(row, T::sum::<0>(pointers, first, weights));
            }
        }
    }

    /// [`block`](Self::block) with an epilogue known when compiling.
    ///
    /// # Safety
    ///
    /// As for [`block`](Self::block).
    #[target_feature(enable = "avx2")]
    unsafe fn each<C: Common>(
        &self,
        columns: &Columns<'_, 2>,
        weights: *const u8,
        first: usize,
        rows: Range<usize>,
    ) {
        let taps = self.problem.size.matrix.channels;
        // SAFETY: the caller's promises.
        unsafe {
            if taps == 9 {
                for (pointers, row) in self.pointers.chunks_exact(9).zip(rows) {
                    columns.common_row::<C>(row, T::sum::<9>(pointers, first, weights));
                }
            } else {
                for (pointers, row) in self.pointers.chunks_exact(taps).zip(rows) {
                    columns.common_row::<C>(row, T::sum::<0>(pointers, first, weights));
                }
            }
        }
    }
}

/// An activation's type, sixteen at a time.
trait Lanes: Element {
    /// Whether a tap outside of the input is left out: its pointer is null.
    const SKIPS: bool;

    /// Writes a tap's expanded weights to a block of 16 channels.
    fn put(block: &mut [u8], tap: usize, weights: &[Self::Weight; BLOCK]);

    /// The sums of 16 channels from `first` on, over `TAPS` taps, or all that
    /// there are where that is 0.
    ///
    /// # Safety
    ///
    /// The CPU has AVX2; there is a pointer for every tap, with 16 elements from
    /// `first` on, and `weights` has all taps.
    unsafe fn sum<const TAPS: usize>(
        pointers: &[*const Self],
        first: usize,
        weights: *const u8,
    ) -> [__m256; 2];
}

impl Lanes for f32 {
    const SKIPS: bool = true;

    fn put(block: &mut [u8], tap: usize, weights: &[f32; BLOCK]) {
        let to = block[tap * BLOCK * 4..].as_chunks_mut::<4>().0;
        for (to, w) in to.iter_mut().zip(weights) {
            *to = w.to_ne_bytes();
        }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn sum<const TAPS: usize>(
        pointers: &[*const f32],
        first: usize,
        weights: *const u8,
    ) -> [__m256; 2] {
        let mut sum = [_mm256_setzero_ps(); 2];
        for (tap, x) in pointers.iter().enumerate() {
            if x.is_null() {
                continue;
            }
            for (half, sum) in sum.iter_mut().enumerate() {
                // SAFETY: the caller's promises.
                let (x, w) = unsafe {
                    (
                        _mm256_loadu_ps(x.add(first + 8 * half)),
                        _mm256_loadu_ps(weights.cast::<f32>().add(tap * BLOCK + 8 * half)),
                    )
                };
                *sum = _mm256_add_ps(*sum, _mm256_mul_ps(x, w));
            }
        }
        sum
    }
}

macro_rules! integer {
    ($t:ty, $load:expr) => {
        impl Lanes for $t {
            const SKIPS: bool = false;

            fn put(block: &mut [u8], tap: usize, weights: &[i16; BLOCK]) {
                let pair = &mut block[tap / 2 * BLOCK * 4..][..BLOCK * 4];
                let to = pair[tap % 2 * 2..].chunks_mut(4);
                // Channels 0..4 and 8..12 come first, then the others.
                let (fours, _) = weights.as_chunks::<4>();
                let order = [fours[0], fours[2], fours[1], fours[3]];
                for (to, w) in to.zip(order.as_flattened()) {
                    to[..2].copy_from_slice(&w.to_ne_bytes());
                }
            }

            #[target_feature(enable = "avx2")]
            #[inline]
            unsafe fn sum<const TAPS: usize>(
                pointers: &[*const $t],
                first: usize,
                weights: *const u8,
            ) -> [__m256; 2] {
                let taps = if TAPS == 0 { pointers.len() } else { TAPS };
                let mut low = _mm256_setzero_si256();
                let mut high = _mm256_setzero_si256();
                for pair in 0..taps.div_ceil(2) {
                    // SAFETY: the caller's promises.
                    let (a, b, w) = unsafe {
                        let a = $load(pointers.get_unchecked(2 * pair).add(first));
                        let b = if 2 * pair + 1 < taps {
                            $load(pointers.get_unchecked(2 * pair + 1).add(first))
                        } else {
                            _mm256_setzero_si256()
                        };
                        let w = weights.add(pair * 64).cast::<__m256i>();
                        (a, b, [_mm256_loadu_si256(w), _mm256_loadu_si256(w.add(1))])
                    };
                    let products = _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), w[0]);
                    low = _mm256_add_epi32(low, products);
                    let products = _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), w[1]);
                    high = _mm256_add_epi32(high, products);
                }
                // Lanes hold channels 0..4, 8..12 and 4..8, 12..16.
                [
                    _mm256_cvtepi32_ps(_mm256_permute2x128_si256::<0x20>(low, high)),
                    _mm256_cvtepi32_ps(_mm256_permute2x128_si256::<0x31>(low, high)),
                ]
            }
        }
    };
}
integer!(i16, |x: *const i16| _mm256_loadu_si256(x.cast()));
integer!(i8, |x: *const i8| _mm256_cvtepi8_epi16(_mm_loadu_si128(
    x.cast()
)));

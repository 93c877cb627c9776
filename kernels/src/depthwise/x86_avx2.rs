//! AVX2: weights are expanded once to `[tap][channel]`, then every output
//! position lists the taps that lie in the input and runs over the channels, 32,
//! then 8, then one at a time.
//!
//! Expanded weights have four bytes each: an f32, or for integer activations a
//! zero-extended i16, so that `madd` on activations widened to i32 multiplies
//! exactly: `x.lo * w.lo + x.hi * 0`. `|sum| <= 2 * 32768 * taps`, in i32.

use super::{Kernel, Problem};
use crate::layout::{BLOCK, Block};
use crate::par::{SCRATCH_ALIGN, Shared, each_once, share, tasks_for};
use crate::product::scalar::Element;
use crate::product::{Rows, Size};
use crate::{Caps, Ctx, Variant, View};
use core::arch::x86_64::*;

/// Row of the family's table.
pub(super) const VARIANT: Variant<Kernel> = Variant {
    name: "x86_avx2",
    needs: Caps::AVX2,
    run: Kernel { scratch, run },
};

/// Channels of a register.
const LANES: usize = 8;
/// Registers that the widest loop sums in.
const WIDE: usize = 4;

/// A tap that lies in the input: where `x` and the weights of channel 0 begin.
type Source = (usize, usize);

/// Parts of scratch.
struct Plan {
    /// Channels, filled up to whole blocks.
    stride: usize,
    /// Bytes of the expanded weights.
    weights: usize,
    /// Bytes of a task's list of [`Source`]s.
    sources: usize,
    tasks: usize,
}

impl Plan {
    /// `None` where the size overflows.
    fn new(size: &Size, threads: usize) -> Option<Plan> {
        let taps = size.matrix.channels;
        let stride = size.matrix.outputs.checked_next_multiple_of(BLOCK)?;
        Some(Plan {
            stride,
            weights: stride
                .checked_mul(taps)?
                .checked_mul(4)?
                .checked_next_multiple_of(SCRATCH_ALIGN)?,
            sources: taps
                .checked_mul(size_of::<Source>())?
                .checked_next_multiple_of(SCRATCH_ALIGN)?,
            tasks: tasks_for(threads, size.rows),
        })
    }

    fn len(&self) -> Option<usize> {
        self.sources
            .checked_mul(self.tasks)?
            .checked_add(self.weights)
    }
}

fn scratch(size: &Size, threads: usize) -> usize {
    Plan::new(size, threads)
        .and_then(|plan| plan.len())
        .unwrap_or(usize::MAX)
}

/// # Safety
///
/// The CPU has AVX2.
unsafe fn run(ctx: &mut Ctx<'_>, problem: &Problem<'_>) {
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
/// The CPU has AVX2.
unsafe fn run_typed<T: Lanes>(ctx: &mut Ctx<'_>, problem: &Problem<'_>, x: &[T]) {
    let Some(plan) = Plan::new(&problem.size, ctx.threads()) else {
        return;
    };
    let Some((weights, sources)) = ctx.scratch.split_at_mut_checked(plan.weights) else {
        return;
    };
    let weights = expand::<T>(problem, plan.stride, weights);
    let sources = Shared::new(sources);
    each_once(ctx.par, plan.tasks, &|task| {
        // SAFETY: every task has a range of its own, and `each_once` runs a task
        // no more than once.
        let sources = unsafe { sources.part(task * plan.sources..(task + 1) * plan.sources) };
        // SAFETY: a pair of numbers can be any bytes.
        let (_, sources, _) = unsafe { sources.align_to_mut::<Source>() };
        for row in share(problem.size.rows, plan.tasks, task) {
            let sources = list(problem, row, plan.stride, sources);
            // SAFETY: the caller's promise; tasks have disjoint rows.
            unsafe { channels(problem, row, sources, x, weights) };
        }
    });
}

/// Writes the weights as `[tap][stride]`, four bytes each.
fn expand<'s, T: Lanes>(
    problem: &Problem<'_>,
    stride: usize,
    scratch: &'s mut [u8],
) -> &'s [T::Word] {
    // SAFETY: both kinds of word can be any bytes.
    let (_, weights, _) = unsafe { scratch.align_to_mut::<T::Word>() };
    let matrix = &problem.size.matrix;
    for block in 0..matrix.blocks() {
        let packed = Block::new(problem.size.codec, matrix, problem.block(block));
        for tap in 0..matrix.channels {
            let at = tap * stride + block * BLOCK;
            if let Some(to) = weights.get_mut(at..at + BLOCK) {
                for (to, w) in to.iter_mut().zip(T::weights(&packed, 0, tap)) {
                    *to = T::word(w);
                }
            }
        }
    }
    weights
}

/// The taps of an output position that lie in the input.
fn list<'s>(
    problem: &Problem<'_>,
    row: usize,
    stride: usize,
    sources: &'s mut [Source],
) -> &'s [Source] {
    let position = problem.rows.position(row);
    let [height, width] = problem.kernel;
    let mut count = 0;
    for y in 0..height {
        let Some(line) = problem.rows.line(position, y) else {
            continue;
        };
        for x in 0..width {
            let at = problem.rows.source(line, position, x);
            if let (Some(at), Some(to)) = (at, sources.get_mut(count)) {
                *to = (at, (y * width + x) * stride);
                count += 1;
            }
        }
    }
    &sources[..count]
}

/// All channels of one output position.
///
/// # Safety
///
/// The CPU has AVX2; no other task has this row.
#[target_feature(enable = "avx2")]
unsafe fn channels<T: Lanes>(
    problem: &Problem<'_>,
    row: usize,
    sources: &[Source],
    x: &[T],
    weights: &[T::Word],
) {
    let channels = problem.size.matrix.outputs;
    let mut c = 0;
    while channels - c >= WIDE * LANES {
        let mut sums = [0.0; WIDE * LANES];
        // SAFETY: the caller's promise.
        unsafe {
            T::sum::<WIDE>(sources, c, x, weights, &mut sums);
            problem.finish.x86_avx2(row, c, &mut sums);
        }
        c += WIDE * LANES;
    }
    while channels - c >= LANES {
        let mut sums = [0.0; LANES];
        // SAFETY: the caller's promise.
        unsafe {
            T::sum::<1>(sources, c, x, weights, &mut sums);
            problem.finish.x86_avx2(row, c, &mut sums);
        }
        c += LANES;
    }
    for c in c..channels {
        let sum = sources
            .iter()
            .fold(T::Sum::default(), |sum, &(x_at, w_at)| {
                match (x.get(x_at + c), weights.get(w_at + c)) {
                    (Some(x), Some(w)) => x.multiply_add(T::weight(*w), sum),
                    _ => sum,
                }
            });
        // SAFETY: the caller's promise.
        unsafe { problem.finish.scalar(row, c, &mut [T::finish(sum)]) };
    }
}

/// An activation's type, eight at a time.
trait Lanes: Element {
    /// An expanded weight.
    type Word: Copy + Sync;
    fn word(w: Self::Weight) -> Self::Word;
    fn weight(word: Self::Word) -> Self::Weight;

    /// Sums of `8 * N` channels from `c` on, as f32.
    ///
    /// # Safety
    ///
    /// The CPU has AVX2.
    unsafe fn sum<const N: usize>(
        sources: &[Source],
        c: usize,
        x: &[Self],
        weights: &[Self::Word],
        sums: &mut [f32],
    );
}

impl Lanes for f32 {
    type Word = f32;

    fn word(w: f32) -> f32 {
        w
    }

    fn weight(word: f32) -> f32 {
        word
    }

    #[target_feature(enable = "avx2")]
    unsafe fn sum<const N: usize>(
        sources: &[Source],
        c: usize,
        x: &[f32],
        weights: &[f32],
        sums: &mut [f32],
    ) {
        let mut sum = [_mm256_setzero_ps(); N];
        for &(x_at, w_at) in sources {
            let x = x[x_at + c..][..N * LANES].as_ptr();
            let w = weights[w_at + c..][..N * LANES].as_ptr();
            for (n, sum) in sum.iter_mut().enumerate() {
                // SAFETY: both have 8 * N elements.
                let (x, w) = unsafe {
                    (
                        _mm256_loadu_ps(x.add(n * LANES)),
                        _mm256_loadu_ps(w.add(n * LANES)),
                    )
                };
                *sum = _mm256_add_ps(*sum, _mm256_mul_ps(x, w));
            }
        }
        let sums = sums[..N * LANES].as_mut_ptr();
        for (n, sum) in sum.iter().enumerate() {
            // SAFETY: 8 * N elements.
            unsafe { _mm256_storeu_ps(sums.add(n * LANES), *sum) };
        }
    }
}

macro_rules! integer {
    ($t:ty, $load:expr) => {
        impl Lanes for $t {
            type Word = i32;

            fn word(w: i16) -> i32 {
                i32::from(w as u16)
            }

            fn weight(word: i32) -> i16 {
                word as i16
            }

            #[target_feature(enable = "avx2")]
            unsafe fn sum<const N: usize>(
                sources: &[Source],
                c: usize,
                x: &[$t],
                weights: &[i32],
                sums: &mut [f32],
            ) {
                let mut sum = [_mm256_setzero_si256(); N];
                for &(x_at, w_at) in sources {
                    let x = x[x_at + c..][..N * LANES].as_ptr();
                    let w = weights[w_at + c..][..N * LANES].as_ptr();
                    for (n, sum) in sum.iter_mut().enumerate() {
                        // SAFETY: both have 8 * N elements.
                        let (x, w) = unsafe {
                            (
                                $load(x.add(n * LANES)),
                                _mm256_loadu_si256(w.add(n * LANES).cast()),
                            )
                        };
                        *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(x, w));
                    }
                }
                let sums = sums[..N * LANES].as_mut_ptr();
                for (n, sum) in sum.iter().enumerate() {
                    let sum = _mm256_cvtepi32_ps(*sum);
                    // SAFETY: 8 * N elements.
                    unsafe { _mm256_storeu_ps(sums.add(n * LANES), sum) };
                }
            }
        }
    };
}
integer!(i16, |x: *const i16| _mm256_cvtepi16_epi32(_mm_loadu_si128(
    x.cast()
)));
integer!(i8, |x: *const i8| _mm256_cvtepi8_epi32(_mm_loadl_epi64(
    x.cast()
)));

//! The reference. The loops are `inline(always)` so that the variants of an
//! instruction set compile the same source for it: a vector's worth of channels
//! at a time, whose values so far stay in registers over the taps of a position.
//! The order of additions is that of the taps, row by row, in every variant.

use super::{Kernels, Pool};
use core::ops::Range;

pub(super) const KERNELS: Kernels = Kernels {
    max_f32: positions::<f32, Max, 16>,
    max_i8: positions::<i8, Max, 64>,
    max_i16: positions::<i16, Max, 32>,
    average: positions::<f32, Mean, 16>,
};

/// What becomes of the values under the kernel.
pub(super) trait Fold<T> {
    /// Of no values.
    const START: T;
    /// With one more value.
    fn add(so_far: T, x: T) -> T;
    /// The result where `count` values count.
    fn end(all: T, count: f32) -> T;
}

/// The largest; a NaN is passed over.
pub(super) enum Max {}

macro_rules! max {
    ($($t:ty: $lowest:expr),*) => {$(
        impl Fold<$t> for Max {
            const START: $t = $lowest;

            #[inline(always)]
            fn add(so_far: $t, x: $t) -> $t {
                if x > so_far { x } else { so_far }
            }

            #[inline(always)]
            fn end(all: $t, _: f32) -> $t {
                all
            }
        }
    )*};
}
max!(f32: f32::NEG_INFINITY, i8: i8::MIN, i16: i16::MIN);

/// The sum by the count; 0 where nothing counts.
pub(super) enum Mean {}

impl Fold<f32> for Mean {
    const START: f32 = 0.0;

    #[inline(always)]
    fn add(so_far: f32, x: f32) -> f32 {
        so_far + x
    }

    #[inline(always)]
    fn end(all: f32, count: f32) -> f32 {
        if count > 0.0 { all / count } else { 0.0 }
    }
}

/// Computes output positions `range`, which are `y`; `N` elements are a vector's
/// worth.
#[inline(always)]
pub(super) fn positions<T: Copy, F: Fold<T>, const N: usize>(
    pool: &Pool<'_>,
    range: Range<usize>,
    x: &[T],
    y: &mut [T],
) {
    let s = pool.shape;
    let (channels, width) = (s.in_channels, s.output[1]);
    let steps = [s.input[1] * channels, channels];
    let mut positions = range;
    let mut y = y.chunks_exact_mut(channels);
    while !positions.is_empty() {
        let (line, first) = (positions.start / width, positions.start % width);
        let (image, oh) = (line / s.output[0], line % s.output[0]);
        let rows = pool.taps(0, oh);
        let from = image * s.input[0] * steps[0];
        let last = width.min(first + positions.len());
        for ow in first..last {
            let columns = pool.taps(1, ow);
            let window = Window {
                start: from + rows.start * steps[0] + columns.start * steps[1],
                taps: [rows.count, columns.count],
                steps: [steps[0] * s.dilation[0], steps[1] * s.dilation[1]],
            };
            if let Some(y) = y.next() {
                let count = (rows.divisor * columns.divisor) as f32;
                window.fold::<T, F, N>(x, y, count);
            }
        }
        positions.start += last - first;
    }
}

/// The taps of an output position that lie inside of the input.
struct Window {
    /// Index of the first one's channel 0.
    start: usize,
    /// How many rows and columns of them.
    taps: [usize; 2],
    /// Elements from one row to the next, and from one column to the next.
    steps: [usize; 2],
}

impl Window {
    /// Folds the taps of every channel.
    #[inline(always)]
    fn fold<T: Copy, F: Fold<T>, const N: usize>(&self, x: &[T], y: &mut [T], count: f32) {
        let channels = y.len();
        let last = |axis: usize| self.taps[axis].saturating_sub(1) * self.steps[axis];
        let empty = self.taps.contains(&0);
        if !empty && self.start + last(0) + last(1) + channels > x.len() {
            return;
        }
        // SAFETY: the last tap's channels lie within `x`, and so do those of the
        // others, which are before it.
        unsafe {
            // Loops of known lengths for the usual kernels.
            match self.taps {
                [3, 3] => self.channels::<T, F, N>([3, 3], x, y, count),
                [2, 2] => self.channels::<T, F, N>([2, 2], x, y, count),
                taps => self.channels::<T, F, N>(taps, x, y, count),
            }
        }
    }

    /// # Safety
    ///
    /// In `x` there are as many channels as in `y` for every tap.
    #[inline(always)]
    unsafe fn channels<T: Copy, F: Fold<T>, const N: usize>(
        &self,
        taps: [usize; 2],
        x: &[T],
        y: &mut [T],
        count: f32,
    ) {
        let channels = y.len();
        let whole = channels / N * N;
        // SAFETY: the caller's promise; all that is asked for is below `channels`.
        unsafe {
            for from in (0..whole).step_by(N) {
                self.lanes::<T, F, N>(taps, x, y, from, count);
            }
            if whole < channels {
                // The last channels once more, where there are enough.
                match channels.checked_sub(N) {
                    Some(from) => self.lanes::<T, F, N>(taps, x, y, from, count),
                    None => {
                        for from in 0..channels {
                            self.lanes::<T, F, 1>(taps, x, y, from, count);
                        }
                    }
                }
            }
        }
    }

    /// Folds the taps of `N` channels.
    ///
    /// # Safety
    ///
    /// There are `N` channels from `from` on in `y`, and in `x` for every tap.
    #[inline(always)]
    unsafe fn lanes<T: Copy, F: Fold<T>, const N: usize>(
        &self,
        taps: [usize; 2],
        x: &[T],
        y: &mut [T],
        from: usize,
        count: f32,
    ) {
        let mut all = [F::START; N];
        for row in 0..taps[0] {
            let mut at = self.start + row * self.steps[0] + from;
            for _ in 0..taps[1] {
                // SAFETY: the caller's promise.
                let x = unsafe { &*x.as_ptr().add(at).cast::<[T; N]>() };
                for i in 0..N {
                    all[i] = F::add(all[i], x[i]);
                }
                at += self.steps[1];
            }
        }
        // SAFETY: the caller's promise.
        let y = unsafe { &mut *y.as_mut_ptr().add(from).cast::<[T; N]>() };
        for i in 0..N {
            y[i] = F::end(all[i], count);
        }
    }
}

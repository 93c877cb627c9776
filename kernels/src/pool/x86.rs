//! The loops of `scalar.rs` compiled for AVX2 and for AVX-512.

use super::scalar::{Fold, Max, Mean, positions};
use super::{Kernels, Pool};
use core::ops::Range;

macro_rules! compiled {
    ($name:ident, $features:literal) => {
        pub(super) const $name: Kernels = {
            fn run<T: Copy, F: Fold<T>, const N: usize>(
                pool: &Pool<'_>,
                range: Range<usize>,
                x: &[T],
                y: &mut [T],
            ) {
                /// # Safety
                /// The CPU has what it is compiled for.
                #[target_feature(enable = $features)]
                unsafe fn inner<T: Copy, F: Fold<T>, const N: usize>(
                    pool: &Pool<'_>,
                    range: Range<usize>,
                    x: &[T],
                    y: &mut [T],
                ) {
                    positions::<T, F, N>(pool, range, x, y);
                }
                // SAFETY: the variants table asks for this, and dispatch obeys it.
                unsafe { inner::<T, F, N>(pool, range, x, y) }
            }
            Kernels {
                max_f32: run::<f32, Max, 16>,
                max_i8: run::<i8, Max, 64>,
                max_i16: run::<i16, Max, 32>,
                average: run::<f32, Mean, 16>,
            }
        };
    };
}
compiled!(AVX2, "avx2");
compiled!(AVX512, "avx512f,avx512bw,avx512dq,avx512vl");

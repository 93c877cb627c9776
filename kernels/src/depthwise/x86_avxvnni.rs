//! AVX-VNNI: as AVX2, with integers multiplied and added in one instruction.
//!
//! ```text
//! i8     sums[0..32] += (x[0..32][4 lines] + 128) * w[0..32][4 lines]    unsigned times signed
//! i16    sums[0..32] += x[0..32][2 lines] * w[0..32][2 lines]            signed
//! ```
//!
//! i8: sums begin with -128 times the sum of the channel's weights.

use super::lines::{self, Lanes, Place, Source, Walk, make, walk};
use super::x86_avx2::{BYTES, CHANNELS, F32, N, bytes, common, fours, pairs, words, zeros};
use super::{Kernel, Problem, direct};
use crate::epilogue::{ANY, FLOATS, Finish, Line, Lines, PACKED};
use crate::layout::{BLOCK, each};
use crate::{Caps, Ctx, DType, Invalid, Variant, View};
use core::arch::x86_64::*;
use core::ops::Range;

/// Row of the family's table.
pub(super) const VARIANT: Variant<Kernel> = Variant {
    name: "x86_avxvnni",
    needs: Caps::AVXVNNI,
    run: Kernel {
        scratch: |size, shape, threads| match size.x {
            DType::F32 => direct::scratch::<F32>(size, shape, threads),
            DType::I16 => lines::scratch::<I16>(size, shape, threads),
            _ => lines::scratch::<I8>(size, shape, threads),
        },
        run,
    },
};

/// # Safety
///
/// The CPU has AVX-VNNI.
unsafe fn run(ctx: &mut Ctx<'_>, problem: &Problem<'_>) -> Result<(), Invalid> {
    // SAFETY: the caller's promise.
    unsafe {
        match problem.x {
            View::F32(x) => direct::run::<F32>(ctx, problem, x),
            View::I16(x) => lines::run::<I16>(ctx, problem, x),
            View::I8(x) => lines::run::<I8>(ctx, problem, x),
            _ => Err(Invalid),
        }
    }
}

/// i16 activations.
enum I16 {}
/// i8 activations.
enum I8 {}

impl Lanes for I16 {
    type X = i16;

    words!("avx2,avxvnni", |sum, x, w| _mm256_dpwssd_avx_epi32(
        sum, x, w
    ));

    fn weights(row: [i16; BLOCK]) -> Option<[i16; BLOCK]> {
        Some(row)
    }
}

impl Lanes for I8 {
    common!(
        "avx2,avxvnni",
        __m256i,
        4,
        |sum| _mm256_cvtepi32_ps(sum),
        |at: *const __m256i| _mm256_loadu_si256(at),
        |sum, x, w| _mm256_dpbusd_avx_epi32(sum, x, w),
        [3 1 1 2, 3 1 2 1, 5 2 1 2, 5 2 2 1]
    );

    bytes!();

    #[target_feature(enable = "avx2,avxvnni")]
    unsafe fn start(weights: *const u8, groups: usize, to: *mut u8) {
        let offset = _mm256_set1_epi8(i8::MIN);
        for n in 0..N {
            let mut sum = _mm256_setzero_si256();
            for g in 0..groups {
                // SAFETY: the caller's promises.
                let w = unsafe { _mm256_loadu_si256(weights.add((g * N + n) * BYTES).cast()) };
                sum = _mm256_dpbusd_avx_epi32(sum, offset, w);
            }
            sum = _mm256_sub_epi32(_mm256_setzero_si256(), sum);
            // SAFETY: the caller's promises.
            unsafe { _mm256_storeu_si256(to.add(n * BYTES).cast(), sum) };
        }
    }
}

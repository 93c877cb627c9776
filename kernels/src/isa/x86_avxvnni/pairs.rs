//! Two lines of a 3x3 convolution at a time: AVX2's, with products that are added in i32.

use super::tile::{I8, I16};
use crate::isa::x86_avx2::pair_panel::{Words, decode};
use crate::isa::x86_avx2::pairs::{self as avx2, Add, ROWS, all};
use crate::isa::x86_avx2::tile::load_group;
use crate::product::winograd::by_tile::by_tile;
use crate::product::winograd::{Kernels, LINES, PairTile, Pairs, QUAD, Starts};
use core::arch::x86_64::*;

by_tile!("avx2,fma,avxvnni", WordPairs, I16, i16, decode::<Words>);

/// u8 activations and i8 weights, 32 products at a time.
pub(crate) enum BytePairs {}

impl Pairs for BytePairs {
    type Tile = I8;
    const ROWS: usize = ROWS;

    unsafe fn transform(lines: [Option<&[i8]>; LINES], len: usize, to: [*mut u8; LINES]) {
        // SAFETY: the caller's promises are the same.
        unsafe { avx2::BytePairs::transform(lines, len, to) };
    }

    unsafe fn decode(kernels: &Kernels<'_>, quads: *mut u8, panel: *mut u8, starts: &mut Starts) {
        // SAFETY: the caller's promises are the same.
        unsafe { avx2::BytePairs::decode(kernels, quads, panel, starts) };
    }

    #[target_feature(enable = "avx2,avxvnni")]
    unsafe fn sums(tile: &PairTile, sums: [*mut f32; 2]) {
        // SAFETY: the caller's promises.
        unsafe { all::<BytePairs>(tile, sums) };
    }
}

impl Add for BytePairs {
    #[inline(always)]
    unsafe fn add<const R: usize>(
        mut sums: [[__m256i; 2]; R],
        x: [*const u8; R],
        panel: *const u8,
        groups: usize,
    ) -> [[__m256i; 2]; R] {
        // SAFETY: the caller's promises.
        unsafe {
            for group in 0..groups {
                let u = load_group(panel.add(group * QUAD));
                for r in 0..R {
                    let v = x[r].cast::<i32>().add(group).read_unaligned();
                    let v = _mm256_set1_epi32(v);
                    for h in 0..2 {
                        sums[r][h] = _mm256_dpbusd_avx_epi32(sums[r][h], v, u[h]);
                    }
                }
            }
            sums
        }
    }
}

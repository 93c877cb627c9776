//! Few rows: AVX2's registers, and bytes multiplied by `vpdpbusd`, which adds
//! four products in i32.

use crate::isa::matvec::{Lanes, Multiply, vector};
use crate::isa::v128::operations;
use crate::isa::x86_avx2::matvec::Ymm;
use crate::isa::x86_avx2::nibbles::Rows;
use core::arch::x86_64::*;

/// i8 activations.
pub(crate) enum Dot {}

impl Multiply<Ymm> for Dot {
    type X = i8;
    type Sum = __m256i;
    const UNIT: usize = 4;
    const NARROW: usize = usize::MAX;

    #[inline(always)]
    fn pack(x: [i8; 4], to: &mut [u8]) {
        to.copy_from_slice(&x.map(|x| x as u8));
    }

    operations! {
        fn zero() -> __m256i { _mm256_setzero_si256() }
        fn add(sum: __m256i, codes: __m256i, x: *const u8) -> __m256i {
            _mm256_dpbusd_avx_epi32(sum, codes, Ymm::splat(x))
        }
        fn look_up(sum: __m256i, tables: *const u8, index: __m256i) -> __m256i {
            let values = Ymm::look_up(Ymm::table(tables), index);
            _mm256_dpbusd_avx_epi32(sum, _mm256_set1_epi8(1), values)
        }
        fn widen(sum: __m256i) -> __m256i { sum }
    }
}

/// i8 activations.
pub(crate) enum Bytes {}

vector!("avx2,avxvnni", Bytes, Rows<Dot>, x86_avx2_rows);

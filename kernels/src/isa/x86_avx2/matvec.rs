//! Few rows: registers of 256 bits, and bytes multiplied by `maddubs`, which adds
//! two products with codes in i16: `|pair| <= 768`.

use super::nibbles::Rows;
use crate::isa::matvec::{Lanes, Multiply, vector};
use crate::isa::v128::operations;
use core::arch::x86_64::*;

/// The registers.
pub(crate) enum Ymm {}

impl Lanes for Ymm {
    type I = __m256i;
    type Parts<T: Copy> = [T; 2];
    const PARTS: usize = 2;
    const SUMS: usize = 8;

    #[inline(always)]
    fn parts<T: Copy>(value: T) -> [T; 2] {
        [value; 2]
    }

    operations! {
        fn fetch(at: *const u8) { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
        fn load(from: *const u8) -> __m256i { _mm256_loadu_si256(from.cast()) }
        fn store(to: *mut u8, bytes: __m256i) { _mm256_storeu_si256(to.cast(), bytes) }
        fn splat(from: *const u8) -> __m256i {
            _mm256_set1_epi32(from.cast::<i32>().read_unaligned())
        }
        fn table(from: *const u8) -> __m256i {
            _mm256_broadcastsi128_si256(_mm_loadu_si128(from.cast()))
        }
        fn look_up(table: __m256i, index: __m256i) -> __m256i {
            _mm256_shuffle_epi8(table, index)
        }
        fn and(a: __m256i, b: __m256i) -> __m256i { _mm256_and_si256(a, b) }
        fn or(a: __m256i, b: __m256i) -> __m256i { _mm256_or_si256(a, b) }
        fn add_8(a: __m256i, b: __m256i) -> __m256i { _mm256_add_epi8(a, b) }
        fn sub_8(a: __m256i, b: __m256i) -> __m256i { _mm256_sub_epi8(a, b) }
        fn add_32(a: __m256i, b: __m256i) -> __m256i { _mm256_add_epi32(a, b) }
        fn right_16<const BITS: i32>(a: __m256i) -> __m256i { _mm256_srli_epi16::<BITS>(a) }
        fn left_16<const BITS: i32>(a: __m256i) -> __m256i { _mm256_slli_epi16::<BITS>(a) }
        fn ninth_8(a: __m256i) -> __m256i {
            // a / 9 = a * 57 >> 9 for every byte.
            let even = _mm256_maddubs_epi16(a, _mm256_set1_epi16(57));
            let odd = _mm256_maddubs_epi16(a, _mm256_set1_epi16(57 << 8));
            let upper = _mm256_set1_epi16(0xff00_u16 as i16);
            Self::or(Self::right_16::<9>(even), Self::and(Self::right_16::<1>(odd), upper))
        }
    }
}

/// i8 activations: a sum is 16 lanes, two pairs of each output.
pub(crate) enum Narrow {}

impl Multiply<Ymm> for Narrow {
    type X = i8;
    type Sum = __m256i;
    const UNIT: usize = 4;
    const NARROW: usize = 42;

    #[inline(always)]
    fn pack(x: [i8; 4], to: &mut [u8]) {
        to.copy_from_slice(&x.map(|x| x as u8));
    }

    operations! {
        fn zero() -> __m256i { _mm256_setzero_si256() }
        fn add(sum: __m256i, codes: __m256i, x: *const u8) -> __m256i {
            _mm256_add_epi16(sum, _mm256_maddubs_epi16(codes, Ymm::splat(x)))
        }
        fn look_up(sum: __m256i, tables: *const u8, index: __m256i) -> __m256i {
            let values = Ymm::look_up(Ymm::table(tables), index);
            _mm256_add_epi16(sum, _mm256_maddubs_epi16(_mm256_set1_epi8(1), values))
        }
        fn widen(sum: __m256i) -> __m256i { _mm256_madd_epi16(sum, _mm256_set1_epi16(1)) }
    }
}

/// i8 activations.
pub(crate) enum Bytes {}

vector!("avx2", Bytes, Rows<Narrow>, x86_avx2_rows);

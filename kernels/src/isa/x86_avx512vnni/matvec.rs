//! Few rows: registers of 512 bits, one for a panel, and bytes multiplied by
//! `vpdpbusd`, which adds four products in i32.

use crate::isa::matvec::{Integers, Lanes, Multiply, vector};
use crate::isa::v128::operations;
use core::arch::x86_64::*;

/// The registers.
pub(crate) enum Zmm {}

impl Lanes for Zmm {
    type I = __m512i;
    type Parts<T: Copy> = [T; 1];
    const PARTS: usize = 1;
    const SUMS: usize = 16;

    #[inline(always)]
    fn parts<T: Copy>(value: T) -> [T; 1] {
        [value]
    }

    operations! {
        fn fetch(at: *const u8) { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
        fn load(from: *const u8) -> __m512i { _mm512_loadu_si512(from.cast()) }
        fn store(to: *mut u8, bytes: __m512i) { _mm512_storeu_si512(to.cast(), bytes) }
        fn splat(from: *const u8) -> __m512i {
            _mm512_set1_epi32(from.cast::<i32>().read_unaligned())
        }
        fn table(from: *const u8) -> __m512i {
            _mm512_broadcast_i32x4(_mm_loadu_si128(from.cast()))
        }
        fn look_up(table: __m512i, index: __m512i) -> __m512i {
            _mm512_shuffle_epi8(table, index)
        }
        fn and(a: __m512i, b: __m512i) -> __m512i { _mm512_and_si512(a, b) }
        fn or(a: __m512i, b: __m512i) -> __m512i { _mm512_or_si512(a, b) }
        fn add_8(a: __m512i, b: __m512i) -> __m512i { _mm512_add_epi8(a, b) }
        fn sub_8(a: __m512i, b: __m512i) -> __m512i { _mm512_sub_epi8(a, b) }
        fn add_32(a: __m512i, b: __m512i) -> __m512i { _mm512_add_epi32(a, b) }
        fn ninth_8(a: __m512i) -> __m512i {
            // a / 9 = a * 57 >> 9 for every byte.
            let even = _mm512_maddubs_epi16(a, _mm512_set1_epi16(57));
            let odd = _mm512_maddubs_epi16(a, _mm512_set1_epi16(57 << 8));
            let upper = _mm512_set1_epi16(0xff00_u16 as i16);
            Self::or(Self::right_16::<9>(even), Self::and(Self::right_16::<1>(odd), upper))
        }
    }

    #[inline(always)]
    unsafe fn right_16<const BITS: i32>(a: __m512i) -> __m512i {
        // SAFETY: the caller's promise.
        unsafe { _mm512_srl_epi16(a, _mm_cvtsi32_si128(BITS)) }
    }

    #[inline(always)]
    unsafe fn left_16<const BITS: i32>(a: __m512i) -> __m512i {
        // SAFETY: the caller's promise.
        unsafe { _mm512_sll_epi16(a, _mm_cvtsi32_si128(BITS)) }
    }
}

/// i8 activations.
pub(crate) enum Dot {}

impl Multiply<Zmm> for Dot {
    type X = i8;
    type Sum = __m512i;
    const UNIT: usize = 4;
    const NARROW: usize = usize::MAX;

    #[inline(always)]
    fn pack(x: [i8; 4], to: &mut [u8]) {
        to.copy_from_slice(&x.map(|x| x as u8));
    }

    operations! {
        fn zero() -> __m512i { _mm512_setzero_si512() }
        fn add(sum: __m512i, codes: __m512i, x: *const u8) -> __m512i {
            _mm512_dpbusd_epi32(sum, codes, Zmm::splat(x))
        }
        fn look_up(sum: __m512i, tables: *const u8, index: __m512i) -> __m512i {
            let values = Zmm::look_up(Zmm::table(tables), index);
            _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(1), values)
        }
        fn widen(sum: __m512i) -> __m512i { sum }
    }
}

/// i8 activations.
pub(crate) enum Bytes {}

vector!("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2", Bytes, Integers<Zmm, Dot>, x86_avx2_rows);

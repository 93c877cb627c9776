//! AVX-512 VNNI: 64 channels at once, in four registers of sums.
//!
//! ```text
//! i8     sums[0..64] += (x[0..64][4 lines] + 128) * w[0..64][4 lines]    unsigned times signed
//! i16    sums[0..64] += x[0..64][2 lines] * w[0..64][2 lines]            signed
//! f32    sums[0..64] += x[0..64] * w[0..64]                              two roundings
//! ```
//!
//! i8: sums begin with -128 times the sum of the channel's weights. i32 sums wrap,
//! which [`max_k`](crate::max_k) excludes for valid weights.
//!
//! What is inlined into a function that has the features has none itself.

use super::lines::{self, Lanes, Place, Source, Walk, make, walk};
use super::x86_avx512vnni_i8::slide;
use super::{Kernel, Problem, direct};
use crate::epilogue::x86_avx512::{self as epilogue, Columns, Line};
use crate::epilogue::{ANY, FLOATS, Finish, PACKED};
use crate::layout::{BLOCK, each};
use crate::{Caps, Ctx, DType, Invalid, Variant, View};
use core::arch::x86_64::*;
use core::ops::Range;

/// Row of the family's table.
pub(super) const VARIANT: Variant<Kernel> = Variant {
    name: "x86_avx512vnni",
    needs: Caps::AVX512VNNI,
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
/// The CPU has AVX-512 VNNI.
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

/// Registers of sums.
pub(super) const N: usize = 4;
/// Channels of them.
pub(super) const CHANNELS: usize = N * epilogue::LANES;
/// Bytes of a register.
pub(super) const BYTES: usize = 64;

/// f32 activations.
pub(super) enum F32 {}
/// i16 activations.
enum I16 {}
/// i8 activations.
pub(super) enum I8 {}

/// What the types have in common: `$unpacked` for the order of sums, `$float` to
/// convert one, and the kernels of
/// common layers as width, groups, output lines, and positions at a time.
macro_rules! common {
    (
        $sum:ty, $unpacked:literal, |$t:ident| $float:expr, $begin:expr, $add:expr,
        [$($width:literal $groups:literal $lines:literal $at_once:literal),*]
    ) => {
        type Sums = [$sum; N];
        type Columns<'a> = Columns<'a, N, $unpacked>;
        type Line = Line<N>;

        const CHANNELS: usize = CHANNELS;

        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
        unsafe fn columns<'a>(
            finish: &'a Finish<'a>,
            first: usize,
            copies: usize,
        ) -> Self::Columns<'a> {
            Columns::of_rows(finish, first, copies)
        }

        #[inline(always)]
        unsafe fn begin(start: *const u8) -> [$sum; N] {
            // SAFETY: the caller promises N registers.
            unsafe {
                [
                    $begin(start.cast()),
                    $begin(start.add(BYTES).cast()),
                    $begin(start.add(2 * BYTES).cast()),
                    $begin(start.add(3 * BYTES).cast()),
                ]
            }
        }

        #[inline(always)]
        unsafe fn add(mut sums: [$sum; N], column: *const u8, weights: *const u8) -> [$sum; N] {
            for (n, sum) in sums.iter_mut().enumerate() {
                // SAFETY: the caller promises N registers of both.
                unsafe {
                    let x = $begin(column.add(n * BYTES).cast());
                    let w = $begin(weights.add(n * BYTES).cast());
                    *sum = $add(*sum, x, w);
                }
            }
            sums
        }

        #[inline(always)]
        fn line(columns: &Self::Columns<'_>, place: &Place) -> Line<N> {
            columns.to(&epilogue::Place {
                at: place.at,
                mask: place.mask,
            })
        }

        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
        #[inline]
        unsafe fn finish<const WAY: u8, const WHOLE: bool>(
            columns: &Self::Columns<'_>,
            line: &Line<N>,
            offset: usize,
            sums: [$sum; N],
        ) {
            // Not `map`, which may call a closure with features.
            let mut floats = [_mm512_setzero_ps(); N];
            for (float, $t) in floats.iter_mut().zip(sums) {
                *float = $float;
            }
            // SAFETY: the caller's promises.
            unsafe { columns.line::<WAY, WHOLE>(line, offset, floats) };
        }

        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
        unsafe fn make<const WEIGHTS: bool>(
            lines: &[Source<Self::X>],
            copies: usize,
            inside: Range<usize>,
            columns: Range<usize>,
            to: *mut u8,
        ) {
            // SAFETY: the caller's promises.
            unsafe { make::<Self, WEIGHTS>(lines, copies, inside, columns, to) };
        }

        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
        unsafe fn walk(job: &Walk<Self::X>, columns: &Self::Columns<'_>) {
            // SAFETY: the caller's promises.
            if unsafe { Self::slide(job, columns) } {
                return;
            }
            let whole = columns.whole(job.places[..job.lines].iter().map(|place| place.mask));
            let width = if job.dilation == 1 { job.width } else { 0 };
            // SAFETY: the caller's promises.
            unsafe {
                match (width, job.groups, job.lines, columns.way(job.largest), whole) {
                    $(
                        ($width, $groups, $lines, PACKED, true) if $unpacked > 1 => {
                            walk::<Self, $width, $groups, $lines, $at_once, PACKED, true>(
                                job, columns,
                            );
                        }
                        ($width, $groups, $lines, PACKED, _) if $unpacked > 1 => {
                            walk::<Self, $width, $groups, $lines, $at_once, PACKED, false>(
                                job, columns,
                            );
                        }
                        ($width, $groups, $lines, FLOATS, true) => {
                            walk::<Self, $width, $groups, $lines, $at_once, FLOATS, true>(
                                job, columns,
                            );
                        }
                        ($width, $groups, $lines, FLOATS, _) => {
                            walk::<Self, $width, $groups, $lines, $at_once, FLOATS, false>(
                                job, columns,
                            );
                        }
                    )*
                    (_, _, 1, _, _) => walk::<Self, 0, 0, 1, 1, ANY, false>(job, columns),
                    _ => walk::<Self, 0, 0, { lines::LINES }, 1, ANY, false>(job, columns),
                }
            }
        }
    };
}

impl Lanes for I8 {
    type X = i8;
    const TAPS: usize = 4;

    common!(
        __m512i,
        4,
        |sum| _mm512_cvtepi32_ps(sum),
        |at: *const __m512i| _mm512_loadu_si512(at),
        |sum, x, w| _mm512_dpbusd_epi32(sum, x, w),
        [3 1 1 2, 3 1 2 1, 5 2 1 2, 5 2 2 1]
    );

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn slide(job: &Walk<i8>, columns: &Columns<'_, N, 4>) -> bool {
        // SAFETY: the caller's promises are the same.
        unsafe { slide(job, columns) }
    }

    fn weights(row: [i16; BLOCK]) -> Option<[i8; BLOCK]> {
        Some(each(row, |w| w as i8))
    }

    #[inline(always)]
    unsafe fn groups<const WEIGHTS: bool>(
        lines: &[Source<i8>],
        copies: usize,
        columns: Range<usize>,
        to: *mut u8,
        step: usize,
    ) {
        // SAFETY: the caller's promises.
        unsafe {
            match (copies, lines.len()) {
                (1, 1) => bytes::<1, 1, WEIGHTS>(lines, columns, to, step),
                (1, 2) => bytes::<1, 2, WEIGHTS>(lines, columns, to, step),
                (1, 3) => bytes::<1, 3, WEIGHTS>(lines, columns, to, step),
                (1, _) => bytes::<1, 4, WEIGHTS>(lines, columns, to, step),
                (2, 1) => bytes::<2, 1, WEIGHTS>(lines, columns, to, step),
                (2, 2) => bytes::<2, 2, WEIGHTS>(lines, columns, to, step),
                (2, 3) => bytes::<2, 3, WEIGHTS>(lines, columns, to, step),
                (2, _) => bytes::<2, 4, WEIGHTS>(lines, columns, to, step),
                (_, 1) => bytes::<4, 1, WEIGHTS>(lines, columns, to, step),
                (_, 2) => bytes::<4, 2, WEIGHTS>(lines, columns, to, step),
                (_, 3) => bytes::<4, 3, WEIGHTS>(lines, columns, to, step),
                _ => bytes::<4, 4, WEIGHTS>(lines, columns, to, step),
            }
        }
    }

    #[inline(always)]
    unsafe fn outside(to: *mut u8) {
        // SAFETY: the caller promises room for the group.
        unsafe {
            for n in 0..N {
                _mm512_storeu_si512(to.add(n * BYTES).cast(), _mm512_set1_epi8(i8::MIN));
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn start(weights: *const u8, groups: usize, to: *mut u8) {
        let offset = _mm512_set1_epi8(i8::MIN);
        for n in 0..N {
            let mut sum = _mm512_setzero_si512();
            for g in 0..groups {
                // SAFETY: the caller's promises.
                let w = unsafe { _mm512_loadu_si512(weights.add((g * N + n) * BYTES).cast()) };
                sum = _mm512_dpbusd_epi32(sum, offset, w);
            }
            sum = _mm512_sub_epi32(_mm512_setzero_si512(), sum);
            // SAFETY: the caller's promises.
            unsafe { _mm512_storeu_si512(to.add(n * BYTES).cast(), sum) };
        }
    }
}

/// Interleaves the bytes of four lines, of which `R` are there, 128 added to them
/// unless they are weights.
///
/// # Safety
///
/// As for [`Lanes::groups`].
#[inline(always)]
unsafe fn bytes<const COPIES: usize, const R: usize, const WEIGHTS: bool>(
    lines: &[Source<i8>],
    columns: Range<usize>,
    to: *mut u8,
    step: usize,
) {
    let mut to = to;
    for column in columns {
        // SAFETY: the caller's promises.
        unsafe {
            let group = group::<COPIES, R, WEIGHTS>(lines, column);
            for (n, four) in group.into_iter().enumerate() {
                _mm512_storeu_si512(to.add(n * BYTES).cast(), four);
            }
        }
        to = to.wrapping_add(step);
    }
}

/// The group of a column: as [`bytes`] writes it.
///
/// # Safety
///
/// As for [`Lanes::groups`].
#[inline(always)]
pub(super) unsafe fn group<const COPIES: usize, const R: usize, const WEIGHTS: bool>(
    lines: &[Source<i8>],
    column: usize,
) -> [__m512i; N] {
    // SAFETY: the caller's promises, to the end.
    unsafe {
        let flip = _mm512_set1_epi8(if WEIGHTS { 0 } else { i8::MIN });
        let mut x = [_mm512_setzero_si512(); 4];
        for (x, line) in x.iter_mut().zip(lines).take(R) {
            let bytes = match COPIES {
                1 => _mm512_loadu_si512(line.at(0, column).cast()),
                2 => halves(line.at(0, column), line.at(1, column)),
                _ => {
                    let low = _mm_loadu_si128(line.at(0, column).cast());
                    let four = _mm512_castsi128_si512(low);
                    let next = _mm_loadu_si128(line.at(1, column).cast());
                    let four = _mm512_inserti32x4::<1>(four, next);
                    let next = _mm_loadu_si128(line.at(2, column).cast());
                    let four = _mm512_inserti32x4::<2>(four, next);
                    let next = _mm_loadu_si128(line.at(3, column).cast());
                    _mm512_inserti32x4::<3>(four, next)
                }
            };
            *x = _mm512_xor_si512(bytes, flip);
        }
        let low = _mm512_unpacklo_epi8(x[0], x[1]);
        let high = _mm512_unpackhi_epi8(x[0], x[1]);
        let next_low = _mm512_unpacklo_epi8(x[2], x[3]);
        let next_high = _mm512_unpackhi_epi8(x[2], x[3]);
        [
            _mm512_unpacklo_epi16(low, next_low),
            _mm512_unpackhi_epi16(low, next_low),
            _mm512_unpacklo_epi16(high, next_high),
            _mm512_unpackhi_epi16(high, next_high),
        ]
    }
}

/// Twice 32 bytes.
///
/// # Safety
///
/// They are there.
#[inline(always)]
unsafe fn halves<X>(low: *const X, high: *const X) -> __m512i {
    // SAFETY: the caller's promise.
    unsafe {
        let low = _mm512_castsi256_si512(_mm256_loadu_si256(low.cast()));
        _mm512_inserti64x4::<1>(low, _mm256_loadu_si256(high.cast()))
    }
}

impl Lanes for I16 {
    type X = i16;
    const TAPS: usize = 2;

    common!(
        __m512i,
        2,
        |sum| _mm512_cvtepi32_ps(sum),
        |at: *const __m512i| _mm512_loadu_si512(at),
        |sum, x, w| _mm512_dpwssd_epi32(sum, x, w),
        [3 2 1 2, 3 2 2 1, 5 3 1 2, 5 3 2 1]
    );

    fn weights(row: [i16; BLOCK]) -> Option<[i16; BLOCK]> {
        Some(row)
    }

    #[inline(always)]
    unsafe fn groups<const WEIGHTS: bool>(
        lines: &[Source<i16>],
        copies: usize,
        columns: Range<usize>,
        to: *mut u8,
        step: usize,
    ) {
        // SAFETY: the caller's promises.
        unsafe {
            match (copies, lines.len()) {
                (1, 1) => words::<1, 1>(lines, columns, to, step),
                (1, _) => words::<1, 2>(lines, columns, to, step),
                (2, 1) => words::<2, 1>(lines, columns, to, step),
                (2, _) => words::<2, 2>(lines, columns, to, step),
                (_, 1) => words::<4, 1>(lines, columns, to, step),
                _ => words::<4, 2>(lines, columns, to, step),
            }
        }
    }

    #[inline(always)]
    unsafe fn outside(to: *mut u8) {
        // SAFETY: the caller promises room for the group.
        unsafe { zeros(to) };
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn start(_: *const u8, _: usize, to: *mut u8) {
        // SAFETY: the caller promises room for N registers.
        unsafe { zeros(to) };
    }
}

/// Interleaves the words of two lines, of which `R` are there.
///
/// # Safety
///
/// As for [`Lanes::groups`].
#[inline(always)]
unsafe fn words<const COPIES: usize, const R: usize>(
    lines: &[Source<i16>],
    columns: Range<usize>,
    to: *mut u8,
    step: usize,
) {
    // SAFETY: the caller's promises, to the end.
    unsafe {
        let mut to = to;
        for column in columns {
            for half in 0..2 {
                let mut x = [_mm512_setzero_si512(); 2];
                for (x, line) in x.iter_mut().zip(lines).take(R) {
                    // Of four copies each half has two.
                    *x = match COPIES {
                        1 => _mm512_loadu_si512(line.at(0, column).add(half * 32).cast()),
                        2 => _mm512_loadu_si512(line.at(half, column).cast()),
                        _ => halves(line.at(2 * half, column), line.at(2 * half + 1, column)),
                    };
                }
                let to = to.add(2 * half * BYTES);
                _mm512_storeu_si512(to.cast(), _mm512_unpacklo_epi16(x[0], x[1]));
                _mm512_storeu_si512(to.add(BYTES).cast(), _mm512_unpackhi_epi16(x[0], x[1]));
            }
            to = to.wrapping_add(step);
        }
    }
}

/// Writes four registers of zeros.
///
/// # Safety
///
/// There is room for them.
#[inline(always)]
unsafe fn zeros(to: *mut u8) {
    // SAFETY: the caller's promise.
    unsafe {
        for n in 0..N {
            _mm512_storeu_si512(to.add(n * BYTES).cast(), _mm512_setzero_si512());
        }
    }
}

impl Lanes for F32 {
    type X = f32;
    const TAPS: usize = 1;

    common!(
        __m512,
        1,
        |sum| sum,
        |at: *const f32| _mm512_loadu_ps(at),
        |sum, x, w| _mm512_add_ps(sum, _mm512_mul_ps(x, w)),
        [3 3 1 2, 5 5 1 2]
    );

    const ANY_WEIGHTS: bool = false;

    fn weights(row: [f32; BLOCK]) -> Option<[f32; BLOCK]> {
        row.iter().all(|w| w.is_finite()).then_some(row)
    }

    #[inline(always)]
    unsafe fn groups<const WEIGHTS: bool>(
        lines: &[Source<f32>],
        copies: usize,
        columns: Range<usize>,
        to: *mut u8,
        step: usize,
    ) {
        // SAFETY: the caller's promises.
        unsafe {
            match (copies, lines.first()) {
                (1, Some(line)) => floats::<1>(line, columns, to, step),
                (2, Some(line)) => floats::<2>(line, columns, to, step),
                (_, Some(line)) => floats::<4>(line, columns, to, step),
                _ => {}
            }
        }
    }

    #[inline(always)]
    unsafe fn outside(to: *mut u8) {
        // SAFETY: the caller promises room for the group.
        unsafe { zeros(to) };
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn start(_: *const u8, _: usize, to: *mut u8) {
        // SAFETY: the caller promises room for N registers.
        unsafe { zeros(to) };
    }
}

/// Copies the floats of a line.
///
/// # Safety
///
/// As for [`Lanes::groups`].
#[inline(always)]
unsafe fn floats<const COPIES: usize>(
    line: &Source<f32>,
    columns: Range<usize>,
    to: *mut u8,
    step: usize,
) {
    let each = N / COPIES;
    let mut to = to;
    for column in columns {
        for n in 0..N {
            let from = line
                .at(n / each, column)
                .wrapping_add(n % each * epilogue::LANES);
            // SAFETY: the caller's promises.
            unsafe { _mm512_storeu_ps(to.add(n * BYTES).cast(), _mm512_loadu_ps(from)) };
        }
        to = to.wrapping_add(step);
    }
}

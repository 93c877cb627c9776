//! AVX2: 32 channels at once, in four registers of sums.
//!
//! ```text
//! i8, i16    sums[0..32] += x[0..32][2 lines] * w[0..32][2 lines]    as i16, two taps a madd
//! ternary    sums[0..32] += (x[0..32][4 lines] + 128) * w[0..32][4 lines]    in i16
//! f32        sums[0..32] += x[0..32] * w[0..32]                      two roundings
//! ```
//!
//! A pair of products is exact in i32 for every codec, `|pair| <= 2 * 32768 * 128`;
//! sums wrap, which [`max_k`](crate::max_k) excludes for valid weights.
//!
//! Ternary weights, codes that are no trits included, add at most `2 * 255 * 2` to
//! each half of a sum in a group, and sums begin with -128 times the sum of these
//! weights, at most `2 * 128 * 2` a group: an i16 has room for [`GROUPS`].
//!
//! What is inlined into a function that has the features has none itself.

use super::lines::{self, Lanes, Place, Source, Walk, make, walk};
use super::{Kernel, Problem, direct};
use crate::conv2d::Conv2dShape;
use crate::epilogue::{ANY, FLOATS, Finish, Line, Lines, PACKED};
use crate::layout::{BLOCK, each};
use crate::product::Size;
use crate::{Caps, Ctx, DType, Invalid, Variant, View};
use core::arch::x86_64::*;
use core::ops::Range;

/// Row of the family's table.
pub(super) const VARIANT: Variant<Kernel> = Variant {
    name: "x86_avx2",
    needs: Caps::AVX2,
    run: Kernel {
        scratch: |size, shape, threads| match size.x {
            DType::F32 => direct::scratch::<F32>(size, shape, threads),
            DType::I16 => lines::scratch::<I16>(size, shape, threads),
            _ if ternary(size, shape) => lines::scratch::<Ternary>(size, shape, threads),
            _ => lines::scratch::<I8>(size, shape, threads),
        },
        run,
    },
};

/// # Safety
///
/// The CPU has AVX2.
unsafe fn run(ctx: &mut Ctx<'_>, problem: &Problem<'_>) -> Result<(), Invalid> {
    // SAFETY: the caller's promise.
    unsafe {
        match problem.x {
            View::F32(x) => direct::run::<F32>(ctx, problem, x),
            View::I16(x) => lines::run::<I16>(ctx, problem, x),
            View::I8(x) if ternary(&problem.size, problem.rows.shape()) => {
                lines::run::<Ternary>(ctx, problem, x)
            }
            View::I8(x) => lines::run::<I8>(ctx, problem, x),
            _ => Err(Invalid),
        }
    }
}

/// Registers of sums.
pub(super) const N: usize = 4;
/// Channels of them.
pub(super) const CHANNELS: usize = 32;
/// Channels of two of them, which belong to one line.
pub(super) const UNIT: usize = CHANNELS / 2;
/// Bytes of a register.
pub(super) const BYTES: usize = 32;

/// Groups whose sums fit i16.
const GROUPS: usize = i16::MAX as usize / (2 * 255 * 2 + 2 * 128 * 2);

/// Whether [`Ternary`] computes this.
fn ternary(size: &Size, shape: &Conv2dShape) -> bool {
    // A band of two lines has no more groups than one of its lines.
    let groups = shape.kernel[0].div_ceil(Ternary::TAPS);
    size.codec.is_ternary() && groups.saturating_mul(shape.kernel[1]) <= GROUPS
}

/// f32 activations.
pub(super) enum F32 {}
/// i16 activations.
enum I16 {}
/// i8 activations.
enum I8 {}
/// i8 activations and few ternary weights.
enum Ternary {}

/// What the types have in common: the instruction set's features, `$unpacked` for the
/// order of sums, `$float` to convert one, and the kernels of common layers as width,
/// groups, output lines, and positions at a time.
macro_rules! common {
    (
        $features:literal, $sum:ty, $unpacked:literal, |$t:ident| $float:expr, $begin:expr,
        $add:expr, [$($width:literal $groups:literal $lines:literal $at_once:literal),*]
    ) => {
        type Sums = [$sum; N];
        type Columns<'a> = Lines<'a, $unpacked>;
        type Line = Line;

        const CHANNELS: usize = CHANNELS;

        #[target_feature(enable = $features)]
        unsafe fn columns<'a>(
            finish: &'a Finish<'a>,
            first: usize,
            copies: usize,
        ) -> Self::Columns<'a> {
            Lines::new(finish, first, copies)
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
        fn line(columns: &Self::Columns<'_>, place: &Place) -> Line {
            columns.to([place.at[0], place.at[1]], place.mask)
        }

        #[target_feature(enable = $features)]
        #[inline]
        unsafe fn finish<const WAY: u8, const WHOLE: bool>(
            columns: &Self::Columns<'_>,
            line: &Line,
            offset: usize,
            sums: [$sum; N],
        ) {
            // Not `map`, which may call a closure with features.
            let mut floats = [_mm256_setzero_ps(); N];
            for (float, $t) in floats.iter_mut().zip(sums) {
                *float = $float;
            }
            // SAFETY: the caller's promises.
            unsafe { columns.line::<WAY, WHOLE>(line, offset, floats) };
        }

        #[target_feature(enable = $features)]
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

        #[target_feature(enable = $features)]
        unsafe fn walk(job: &Walk<Self::X>, columns: &Self::Columns<'_>) {
            let masks = || job.places[..job.lines].iter().map(|place| place.mask);
            let (way, whole) = (columns.way(job.largest, masks()), columns.whole(masks()));
            let width = if job.dilation == 1 { job.width } else { 0 };
            // SAFETY: the caller's promises.
            unsafe {
                match (width, job.groups, job.lines, way, whole) {
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
pub(super) use common;

/// [`common!`] for pairs of words, and what else they take.
macro_rules! words {
    ($features:literal, $add:expr) => {
        const TAPS: usize = 2;
        const GROUP: usize = CHANNELS * 4;

        common!(
            $features,
            __m256i,
            2,
            |sum| _mm256_cvtepi32_ps(sum),
            |at: *const __m256i| _mm256_loadu_si256(at),
            $add,
            [3 2 1 1, 3 2 2 1, 5 3 1 1, 5 3 2 1]
        );

        #[inline(always)]
        unsafe fn groups<const WEIGHTS: bool>(
            lines: &[Source<Self::X>],
            copies: usize,
            columns: Range<usize>,
            to: *mut u8,
            step: usize,
        ) {
            // SAFETY: the caller's promises.
            unsafe {
                match (copies, lines.len()) {
                    (1, 1) => pairs::<Self::X, 1, 1>(lines, columns, to, step),
                    (1, _) => pairs::<Self::X, 1, 2>(lines, columns, to, step),
                    (_, 1) => pairs::<Self::X, 2, 1>(lines, columns, to, step),
                    _ => pairs::<Self::X, 2, 2>(lines, columns, to, step),
                }
            }
        }

        #[inline(always)]
        unsafe fn outside(to: *mut u8) {
            // SAFETY: the caller promises room for the group.
            unsafe { zeros(to) };
        }

        #[target_feature(enable = $features)]
        unsafe fn start(_: *const u8, _: usize, to: *mut u8) {
            // SAFETY: the caller promises room for N registers.
            unsafe { zeros(to) };
        }
    };
}
pub(super) use words;

impl Lanes for I8 {
    type X = i8;
    const TOGETHER: bool = false;

    words!("avx2", |sum, x, w| _mm256_add_epi32(
        sum,
        _mm256_madd_epi16(x, w)
    ));

    fn weights(row: [i16; BLOCK]) -> Option<[i8; BLOCK]> {
        Some(each(row, |w| w as i8))
    }
}

impl Lanes for I16 {
    type X = i16;
    const TOGETHER: bool = false;

    words!("avx2", |sum, x, w| _mm256_add_epi32(
        sum,
        _mm256_madd_epi16(x, w)
    ));

    fn weights(row: [i16; BLOCK]) -> Option<[i16; BLOCK]> {
        Some(row)
    }
}

/// What 16 words are read from.
pub(super) trait Words: Sized {
    /// # Safety
    ///
    /// There are 16.
    unsafe fn load(at: *const Self) -> __m256i;
}

impl Words for i8 {
    #[inline(always)]
    unsafe fn load(at: *const i8) -> __m256i {
        // SAFETY: the caller's promise.
        unsafe { _mm256_cvtepi8_epi16(_mm_loadu_si128(at.cast())) }
    }
}

impl Words for i16 {
    #[inline(always)]
    unsafe fn load(at: *const i16) -> __m256i {
        // SAFETY: the caller's promise.
        unsafe { _mm256_loadu_si256(at.cast()) }
    }
}

/// Interleaves the words of two lines, of which `R` are there.
///
/// # Safety
///
/// As for [`Lanes::groups`].
#[inline(always)]
pub(super) unsafe fn pairs<X: Words, const COPIES: usize, const R: usize>(
    lines: &[Source<X>],
    columns: Range<usize>,
    to: *mut u8,
    step: usize,
) {
    // SAFETY: the caller's promises, to the end.
    unsafe {
        let mut to = to;
        for column in columns {
            for unit in 0..2 {
                let mut x = [_mm256_setzero_si256(); 2];
                for (x, line) in x.iter_mut().zip(lines).take(R) {
                    *x = X::load(match COPIES {
                        1 => line.at(0, column).add(unit * UNIT),
                        _ => line.at(unit, column),
                    });
                }
                let to = to.add(2 * unit * BYTES);
                _mm256_storeu_si256(to.cast(), _mm256_unpacklo_epi16(x[0], x[1]));
                _mm256_storeu_si256(to.add(BYTES).cast(), _mm256_unpackhi_epi16(x[0], x[1]));
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
pub(super) unsafe fn zeros(to: *mut u8) {
    // SAFETY: the caller's promise.
    unsafe {
        for n in 0..N {
            _mm256_storeu_si256(to.add(n * BYTES).cast(), _mm256_setzero_si256());
        }
    }
}

/// What lanes of bytes take.
macro_rules! bytes {
    () => {
        type X = i8;
        const TAPS: usize = 4;

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
                    (1, 1) => fours::<1, 1, WEIGHTS>(lines, columns, to, step),
                    (1, 2) => fours::<1, 2, WEIGHTS>(lines, columns, to, step),
                    (1, 3) => fours::<1, 3, WEIGHTS>(lines, columns, to, step),
                    (1, _) => fours::<1, 4, WEIGHTS>(lines, columns, to, step),
                    (_, 1) => fours::<2, 1, WEIGHTS>(lines, columns, to, step),
                    (_, 2) => fours::<2, 2, WEIGHTS>(lines, columns, to, step),
                    (_, 3) => fours::<2, 3, WEIGHTS>(lines, columns, to, step),
                    _ => fours::<2, 4, WEIGHTS>(lines, columns, to, step),
                }
            }
        }

        #[inline(always)]
        unsafe fn outside(to: *mut u8) {
            // SAFETY: the caller promises room for the group.
            unsafe {
                for n in 0..N {
                    _mm256_storeu_si256(to.add(n * BYTES).cast(), _mm256_set1_epi8(i8::MIN));
                }
            }
        }
    };
}
pub(super) use bytes;

/// Interleaves the bytes of four lines, of which `R` are there, 128 added to them
/// unless they are weights.
///
/// # Safety
///
/// As for [`Lanes::groups`].
#[inline(always)]
pub(super) unsafe fn fours<const COPIES: usize, const R: usize, const WEIGHTS: bool>(
    lines: &[Source<i8>],
    columns: Range<usize>,
    to: *mut u8,
    step: usize,
) {
    // SAFETY: the caller's promises, to the end.
    unsafe {
        let flip = _mm256_set1_epi8(if WEIGHTS { 0 } else { i8::MIN });
        let mut to = to;
        for column in columns {
            let mut x = [_mm256_setzero_si256(); 4];
            for (x, line) in x.iter_mut().zip(lines).take(R) {
                let bytes = match COPIES {
                    1 => _mm256_loadu_si256(line.at(0, column).cast()),
                    _ => {
                        let low = _mm_loadu_si128(line.at(0, column).cast());
                        let high = _mm_loadu_si128(line.at(1, column).cast());
                        _mm256_set_m128i(high, low)
                    }
                };
                *x = _mm256_xor_si256(bytes, flip);
            }
            let low = _mm256_unpacklo_epi8(x[0], x[1]);
            let high = _mm256_unpackhi_epi8(x[0], x[1]);
            let next_low = _mm256_unpacklo_epi8(x[2], x[3]);
            let next_high = _mm256_unpackhi_epi8(x[2], x[3]);
            let fours = [
                _mm256_unpacklo_epi16(low, next_low),
                _mm256_unpackhi_epi16(low, next_low),
                _mm256_unpacklo_epi16(high, next_high),
                _mm256_unpackhi_epi16(high, next_high),
            ];
            for (n, four) in fours.into_iter().enumerate() {
                _mm256_storeu_si256(to.add(n * BYTES).cast(), four);
            }
            to = to.wrapping_add(step);
        }
    }
}

impl Lanes for Ternary {
    bytes!();

    common!(
        "avx2",
        __m256i,
        4,
        |sum| _mm256_cvtepi32_ps(_mm256_madd_epi16(sum, _mm256_set1_epi16(1))),
        |at: *const __m256i| _mm256_loadu_si256(at),
        |sum, x, w| _mm256_add_epi16(sum, _mm256_maddubs_epi16(x, w)),
        [3 1 1 1, 3 1 2 1, 5 2 1 1, 5 2 2 1]
    );
    const TOGETHER: bool = false;

    #[target_feature(enable = "avx2")]
    unsafe fn start(weights: *const u8, groups: usize, to: *mut u8) {
        let offset = _mm256_set1_epi8(i8::MIN);
        for n in 0..N {
            let mut sum = _mm256_setzero_si256();
            for g in 0..groups {
                // SAFETY: the caller's promises.
                let w = unsafe { _mm256_loadu_si256(weights.add((g * N + n) * BYTES).cast()) };
                sum = _mm256_sub_epi16(sum, _mm256_maddubs_epi16(offset, w));
            }
            // SAFETY: the caller's promises.
            unsafe { _mm256_storeu_si256(to.add(n * BYTES).cast(), sum) };
        }
    }
}

impl Lanes for F32 {
    type X = f32;
    const TAPS: usize = 1;

    common!(
        "avx2",
        __m256,
        1,
        |sum| sum,
        |at: *const f32| _mm256_loadu_ps(at),
        |sum, x, w| _mm256_add_ps(sum, _mm256_mul_ps(x, w)),
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
                (_, Some(line)) => floats::<2>(line, columns, to, step),
                _ => {}
            }
        }
    }

    #[inline(always)]
    unsafe fn outside(to: *mut u8) {
        // SAFETY: the caller promises room for the group.
        unsafe { zeros(to) };
    }

    #[target_feature(enable = "avx2")]
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
    let mut to = to;
    for column in columns {
        for n in 0..N {
            let unit = n / 2;
            let from = match COPIES {
                1 => line.at(0, column).wrapping_add(n * UNIT / 2),
                _ => line.at(unit, column).wrapping_add(n % 2 * UNIT / 2),
            };
            // SAFETY: the caller's promises.
            unsafe { _mm256_storeu_ps(to.add(n * BYTES).cast(), _mm256_loadu_ps(from)) };
        }
        to = to.wrapping_add(step);
    }
}

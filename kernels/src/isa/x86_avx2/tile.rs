//! Register tiles: up to 6 input rows times a decoded panel of 16 outputs.
//!
//! ```text
//! sums[0..R][0..16] = 0
//! for each segment s:                        // a tap, or all of k at once
//!     for k in 0..len:
//!         sums[r][o] += rows[s][r][k] * panel[s * len + k][o]
//! ```
//!
//! 12 of the 16 registers hold sums. Bounds on the way:
//! - f32: one fused multiply-add a product, k ascending;
//! - i16: `madd` adds two products, `|x * w| <= 2 * 32768`, exactly in i32;
//! - i8: `maddubs` adds two products of a code in 0..=3 and an i8 in i16,
//!   `|pair| <= 768`; 32 of them, at most 24576, are added in i16 before they
//!   are widened. As codes are trits plus one, the row's own sum is taken off at
//!   the end.
//!
//! i32 sums wrap, which [`max_k`](crate::max_k) excludes for valid weights.

use super::panel::Panel;
use crate::layout::BLOCK;
use core::arch::x86_64::*;
use core::array::from_fn;

/// Input rows of a tile.
pub(crate) const TILE: usize = 6;

/// Sums as the epilogue takes them.
pub(crate) type Sums = [[f32; BLOCK]; TILE];

/// Rows of a tile: `segments * TILE` pointers, of which the first `R` of each
/// segment are used, to `len` elements each.
#[derive(Clone, Copy)]
pub(crate) struct Segments<T> {
    /// `[segment][TILE]`.
    pub(crate) rows: *const *const T,
    /// How many.
    pub(crate) segments: usize,
    /// Elements of each, a multiple of `STEP`.
    pub(crate) len: usize,
}

impl<T> Segments<T> {
    /// The rows of one segment.
    ///
    /// # Safety
    ///
    /// `segment` is below `segments`, and the pointers were written.
    #[inline(always)]
    unsafe fn get<const R: usize>(&self, segment: usize) -> [*const T; R] {
        // SAFETY: R <= TILE pointers per segment.
        from_fn(|r| unsafe { *self.rows.add(segment * TILE + r) })
    }
}

/// The tile of one activation dtype.
pub(crate) trait Tile: Panel {
    /// The sum of each row's activations, where `tile` needs it.
    ///
    /// # Safety
    ///
    /// The CPU has AVX2; `rows` hold what [`Segments`] says.
    unsafe fn row_sums(rows: &Segments<Self>, count: usize) -> [i32; TILE];

    /// The first `R` rows' sums of products.
    ///
    /// # Safety
    ///
    /// The CPU has AVX2 and FMA; `rows` hold what [`Segments`] says, and the
    /// panel is decoded for `segments * len` k.
    unsafe fn tile<const R: usize>(
        rows: &Segments<Self>,
        panel: *const u8,
        row_sums: &[i32; TILE],
        sums: &mut Sums,
    );

    /// [`tile`](Self::tile) with `R` known when running.
    ///
    /// # Safety
    ///
    /// As for [`tile`](Self::tile).
    #[target_feature(enable = "avx2,fma")]
    unsafe fn tile_of(
        count: usize,
        rows: &Segments<Self>,
        panel: *const u8,
        row_sums: &[i32; TILE],
        sums: &mut Sums,
    ) {
        // SAFETY: the caller's promises are the same.
        unsafe {
            match count {
                1 => Self::tile::<1>(rows, panel, row_sums, sums),
                2 => Self::tile::<2>(rows, panel, row_sums, sums),
                3 => Self::tile::<3>(rows, panel, row_sums, sums),
                4 => Self::tile::<4>(rows, panel, row_sums, sums),
                5 => Self::tile::<5>(rows, panel, row_sums, sums),
                _ => Self::tile::<TILE>(rows, panel, row_sums, sums),
            }
        }
    }
}

impl Tile for f32 {
    unsafe fn row_sums(_: &Segments<f32>, _: usize) -> [i32; TILE] {
        [0; TILE]
    }

    #[target_feature(enable = "avx2,fma")]
    unsafe fn tile<const R: usize>(
        rows: &Segments<f32>,
        panel: *const u8,
        _: &[i32; TILE],
        sums: &mut Sums,
    ) {
        let mut sum = [[_mm256_setzero_ps(); 2]; R];
        let mut weights = panel.cast::<f32>();
        for segment in 0..rows.segments {
            // SAFETY: segment < segments.
            let x: [*const f32; R] = unsafe { rows.get(segment) };
            for k in 0..rows.len {
                // SAFETY: the panel has a row of 16 for every k of every segment.
                let w = unsafe { [_mm256_loadu_ps(weights), _mm256_loadu_ps(weights.add(8))] };
                // SAFETY: stays within the panel, or one past its end.
                weights = unsafe { weights.add(BLOCK) };
                for r in 0..R {
                    // SAFETY: every row has len elements.
                    let x = unsafe { _mm256_set1_ps(*x[r].add(k)) };
                    sum[r][0] = _mm256_fmadd_ps(x, w[0], sum[r][0]);
                    sum[r][1] = _mm256_fmadd_ps(x, w[1], sum[r][1]);
                }
            }
        }
        for r in 0..R {
            let out = sums[r].as_mut_ptr();
            // SAFETY: 16 floats.
            unsafe {
                _mm256_storeu_ps(out, sum[r][0]);
                _mm256_storeu_ps(out.add(8), sum[r][1]);
            }
        }
    }
}

/// Converts and stores 16 sums of a row.
#[target_feature(enable = "avx2")]
fn store_i32(sum: [__m256i; 2], out: &mut [f32; BLOCK]) {
    let out = out.as_mut_ptr();
    // SAFETY: 16 floats.
    unsafe {
        _mm256_storeu_ps(out, _mm256_cvtepi32_ps(sum[0]));
        _mm256_storeu_ps(out.add(8), _mm256_cvtepi32_ps(sum[1]));
    }
}

impl Tile for i16 {
    unsafe fn row_sums(_: &Segments<i16>, _: usize) -> [i32; TILE] {
        [0; TILE]
    }

    #[target_feature(enable = "avx2,fma")]
    unsafe fn tile<const R: usize>(
        rows: &Segments<i16>,
        panel: *const u8,
        _: &[i32; TILE],
        sums: &mut Sums,
    ) {
        let mut sum = [[_mm256_setzero_si256(); 2]; R];
        let mut weights = panel;
        for segment in 0..rows.segments {
            // SAFETY: segment < segments.
            let x: [*const i16; R] = unsafe { rows.get(segment) };
            for k in (0..rows.len).step_by(Self::STEP) {
                // SAFETY: the panel has 64 bytes for every two k of every segment.
                let w = unsafe { load_group(weights) };
                // SAFETY: stays within the panel, or one past its end.
                weights = unsafe { weights.add(64) };
                for r in 0..R {
                    // SAFETY: len is even, so that two elements are there.
                    let x = unsafe { x[r].add(k).cast::<i32>().read_unaligned() };
                    let x = _mm256_set1_epi32(x);
                    sum[r][0] = _mm256_add_epi32(sum[r][0], _mm256_madd_epi16(x, w[0]));
                    sum[r][1] = _mm256_add_epi32(sum[r][1], _mm256_madd_epi16(x, w[1]));
                }
            }
        }
        for r in 0..R {
            store_i32(sum[r], &mut sums[r]);
        }
    }
}

/// 64 bytes of an integer panel.
///
/// # Safety
///
/// They are there.
#[target_feature(enable = "avx2")]
unsafe fn load_group(weights: *const u8) -> [__m256i; 2] {
    // SAFETY: the caller promises 64 bytes.
    unsafe {
        [
            _mm256_loadu_si256(weights.cast()),
            _mm256_loadu_si256(weights.add(32).cast()),
        ]
    }
}

impl Tile for i8 {
    #[target_feature(enable = "avx2")]
    unsafe fn row_sums(rows: &Segments<i8>, count: usize) -> [i32; TILE] {
        let (ones, ones_16) = (_mm256_set1_epi8(1), _mm256_set1_epi16(1));
        let mut sums = [0i32; TILE];
        for (r, sum) in sums.iter_mut().enumerate().take(count) {
            let mut wide = _mm256_setzero_si256();
            for segment in 0..rows.segments {
                // SAFETY: segment < segments; every row has len elements.
                let x = unsafe {
                    let x = *rows.rows.add(segment * TILE + r);
                    core::slice::from_raw_parts(x, rows.len)
                };
                let (vectors, rest) = x.as_chunks::<32>();
                for x in vectors {
                    // SAFETY: 32 bytes.
                    let x = unsafe { _mm256_loadu_si256(x.as_ptr().cast()) };
                    let pairs = _mm256_maddubs_epi16(ones, x);
                    wide = _mm256_add_epi32(wide, _mm256_madd_epi16(pairs, ones_16));
                }
                for x in rest {
                    *sum = sum.wrapping_add(i32::from(*x));
                }
            }
            let mut lanes = [0i32; 8];
            // SAFETY: 32 bytes.
            unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), wide) };
            *sum = lanes.iter().fold(*sum, |a, b| a.wrapping_add(*b));
        }
        sums
    }

    #[target_feature(enable = "avx2,fma")]
    unsafe fn tile<const R: usize>(
        rows: &Segments<i8>,
        panel: *const u8,
        row_sums: &[i32; TILE],
        sums: &mut Sums,
    ) {
        /// Pairs that are added in i16.
        const NARROW: usize = 32;

        let ones = _mm256_set1_epi16(1);
        let mut wide = [[_mm256_setzero_si256(); 2]; R];
        let mut narrow = [[_mm256_setzero_si256(); 2]; R];
        let mut pending = 0;
        let mut weights = panel;
        for segment in 0..rows.segments {
            // SAFETY: segment < segments.
            let x: [*const i8; R] = unsafe { rows.get(segment) };
            let groups = rows.len / Self::STEP;
            let mut group = 0;
            while group < groups {
                let end = groups.min(group + NARROW - pending);
                pending += end - group;
                for group in group..end {
                    // SAFETY: the panel has 64 bytes for every four k of every segment.
                    let w = unsafe { load_group(weights) };
                    // SAFETY: stays within the panel, or one past its end.
                    weights = unsafe { weights.add(64) };
                    for r in 0..R {
                        let x = x[r].wrapping_add(group * Self::STEP).cast::<i32>();
                        // SAFETY: len is a multiple of four, so that four elements are there.
                        let x = unsafe { x.read_unaligned() };
                        let x = _mm256_set1_epi32(x);
                        narrow[r][0] =
                            _mm256_add_epi16(narrow[r][0], _mm256_maddubs_epi16(w[0], x));
                        narrow[r][1] =
                            _mm256_add_epi16(narrow[r][1], _mm256_maddubs_epi16(w[1], x));
                    }
                }
                group = end;
                if pending == NARROW {
                    pending = 0;
                    for r in 0..R {
                        widen(&mut wide[r], &mut narrow[r], ones);
                    }
                }
            }
        }
        for r in 0..R {
            widen(&mut wide[r], &mut narrow[r], ones);
            let row_sum = _mm256_set1_epi32(row_sums[r]);
            let sum = wide[r].map(|s| _mm256_sub_epi32(s, row_sum));
            store_i32(sum, &mut sums[r]);
        }
    }
}

/// Moves i16 sums, two an output, to the i32 ones.
#[target_feature(enable = "avx2")]
fn widen(wide: &mut [__m256i; 2], narrow: &mut [__m256i; 2], ones: __m256i) {
    for half in 0..2 {
        let pairs = _mm256_madd_epi16(narrow[half], ones);
        wide[half] = _mm256_add_epi32(wide[half], pairs);
        narrow[half] = _mm256_setzero_si256();
    }
}

//! Two lines of a 3x3 convolution at a time: see
//! [`product::winograd`](crate::product::winograd). f32 and i16 by the products of their
//! tiles; bytes: 6 places x one block, 12 registers of sums.
//!
//! ```text
//! narrow[6][16][2] = sum of v[6][4] * u[16][4]     unsigned times signed, pairs, in i16
//! m[6][16] += pairs of narrow                      in i32
//! ```
//!
//! A weight is at most 6 and an activation 255: `|pair| <= 3060`, and ten of them fit i16.
//!
//! What is inlined into a function that has the features has none itself.

use super::pair_panel::{Bytes, Floats, Words, decode};
use super::tile::{F32, I8, I16, load_group};
use crate::layout::BLOCK;
use crate::product::winograd::by_tile::by_tile;
use crate::product::winograd::{Kernels, LINES, PairTile, Pairs, QUAD, Starts};
use core::arch::x86_64::*;
use core::ops::Range;

/// Groups of four k whose pairs are added in i16.
const NARROW: usize = 10;
/// Bytes of a register.
const BYTES: usize = 32;
/// What is added to transformed lines so that they have no sign.
const EXCESS: [i32; LINES] = [128, 0, 128, 128];

/// Places of a tile.
pub(crate) const ROWS: usize = 6;

/// A tile's sums.
type Sums<const R: usize> = [[__m256i; 2]; R];

by_tile!("avx2,fma", FloatPairs, F32, f32, decode::<Floats>);
by_tile!("avx2,fma", WordPairs, I16, i16, decode::<Words>);

/// u8 activations and i8 weights.
pub(crate) enum BytePairs {}

impl Pairs for BytePairs {
    type Tile = I8;
    const ROWS: usize = ROWS;

    #[target_feature(enable = "avx2")]
    unsafe fn transform(lines: [Option<&[i8]>; LINES], len: usize, to: [*mut u8; LINES]) {
        let whole = len / BYTES * BYTES;
        for at in (0..whole).step_by(BYTES) {
            // SAFETY: the caller's promises.
            unsafe {
                let v = transformed::<false>(lines, at);
                for (to, v) in to.into_iter().zip(v) {
                    _mm256_storeu_si256(to.add(at).cast(), v);
                }
            }
        }
        // A multiple of 16, as channels are.
        if whole < len {
            // SAFETY: as above.
            unsafe {
                let v = transformed::<true>(lines, whole);
                for (to, v) in to.into_iter().zip(v) {
                    _mm_storeu_si128(to.add(whole).cast(), _mm256_castsi256_si128(v));
                }
            }
        }
    }

    #[target_feature(enable = "avx2")]
    unsafe fn decode(kernels: &Kernels<'_>, quads: *mut u8, panel: *mut u8, starts: &mut Starts) {
        // SAFETY: the caller's promises are the same.
        unsafe { decode::<Bytes>(kernels, quads, panel, starts, EXCESS) };
    }

    #[target_feature(enable = "avx2")]
    unsafe fn sums(tile: &PairTile, sums: [*mut f32; 2]) {
        // SAFETY: the caller's promises.
        unsafe { all::<BytePairs>(tile, sums) };
    }
}

/// 32 bytes of each line from `at` on, or 16 where `HALF`, transformed.
///
/// # Safety
///
/// The CPU has AVX2, and the bytes are there.
#[inline(always)]
unsafe fn transformed<const HALF: bool>(
    lines: [Option<&[i8]>; LINES],
    at: usize,
) -> [__m256i; LINES] {
    // SAFETY: the caller's promises.
    unsafe {
        let mut d = [_mm256_setzero_si256(); LINES];
        for (d, line) in d.iter_mut().zip(lines) {
            if let Some(line) = line {
                let from = line.as_ptr().add(at);
                *d = if HALF {
                    _mm256_castsi128_si256(_mm_loadu_si128(from.cast()))
                } else {
                    _mm256_loadu_si256(from.cast())
                };
            }
        }
        let excess = _mm256_set1_epi8(i8::MIN);
        [
            _mm256_xor_si256(_mm256_sub_epi8(d[0], d[2]), excess),
            _mm256_add_epi8(d[1], d[2]),
            _mm256_xor_si256(_mm256_sub_epi8(d[2], d[1]), excess),
            _mm256_xor_si256(_mm256_sub_epi8(d[3], d[1]), excess),
        ]
    }
}

/// What adds the products of a line.
pub(crate) trait Add {
    /// Adds `groups` groups of four k.
    ///
    /// # Safety
    ///
    /// The CPU has what the variant needs; the activations and the panel are there.
    unsafe fn add<const R: usize>(
        sums: Sums<R>,
        x: [*const u8; R],
        panel: *const u8,
        groups: usize,
    ) -> Sums<R>;
}

impl Add for BytePairs {
    #[inline(always)]
    unsafe fn add<const R: usize>(
        mut sums: Sums<R>,
        x: [*const u8; R],
        panel: *const u8,
        groups: usize,
    ) -> Sums<R> {
        // SAFETY: the caller's promises.
        unsafe {
            let mut at = 0;
            while at + NARROW <= groups {
                let narrow = narrow::<R>(x, panel, at..at + NARROW);
                widen(&mut sums, narrow);
                at += NARROW;
            }
            if at < groups {
                let narrow = narrow::<R>(x, panel, at..groups);
                widen(&mut sums, narrow);
            }
            sums
        }
    }
}

/// The sums of pairs of products, of at most [`NARROW`] groups.
///
/// # Safety
///
/// As for [`Add::add`].
#[inline(always)]
unsafe fn narrow<const R: usize>(
    x: [*const u8; R],
    panel: *const u8,
    groups: Range<usize>,
) -> Sums<R> {
    // SAFETY: the caller's promises.
    unsafe {
        let mut narrow = [[_mm256_setzero_si256(); 2]; R];
        for group in groups {
            let u = load_group(panel.add(group * QUAD));
            for r in 0..R {
                let v = x[r].cast::<i32>().add(group).read_unaligned();
                let v = _mm256_set1_epi32(v);
                for h in 0..2 {
                    let pairs = _mm256_maddubs_epi16(v, u[h]);
                    narrow[r][h] = _mm256_add_epi16(narrow[r][h], pairs);
                }
            }
        }
        narrow
    }
}

/// Adds the pairs of i16.
///
/// # Safety
///
/// The CPU has AVX2.
#[inline(always)]
unsafe fn widen<const R: usize>(sums: &mut Sums<R>, narrow: Sums<R>) {
    for r in 0..R {
        for h in 0..2 {
            // SAFETY: the caller's promise.
            unsafe {
                let wide = _mm256_madd_epi16(narrow[r][h], _mm256_set1_epi16(1));
                sums[r][h] = _mm256_add_epi32(sums[r][h], wide);
            }
        }
    }
}

/// [`Pairs::sums`].
///
/// # Safety
///
/// As for that; the CPU has what `A` needs.
#[inline(always)]
pub(crate) unsafe fn all<A: Add>(tile: &PairTile, sums: [*mut f32; 2]) {
    // SAFETY: the caller's promises.
    unsafe {
        match tile.rows {
            1 => pair::<A, 1>(tile, sums),
            2 => pair::<A, 2>(tile, sums),
            3 | 4 => pair::<A, 4>(tile, sums),
            _ => pair::<A, ROWS>(tile, sums),
        }
    }
}

/// Both lines' sums of `R` places.
///
/// # Safety
///
/// As for [`all`].
#[inline(always)]
unsafe fn pair<A: Add, const R: usize>(tile: &PairTile, [upper, lower]: [*mut f32; 2]) {
    // SAFETY: the caller's promises.
    unsafe {
        let starts = tile.starts.cast::<u8>();
        // In memory while m2 takes the registers.
        let m1 = line::<A, R>(tile, 1, 0, [load_group(starts); R]);
        for (r, m1) in m1.iter().enumerate() {
            for (h, m1) in m1.iter().enumerate() {
                _mm256_store_si256(place(lower, r, h), *m1);
            }
        }
        let starts = load_group(starts.add(QUAD));
        let mut sums = line::<A, R>(tile, 2, 1, [starts; R]);
        for (r, sums) in sums.iter_mut().enumerate() {
            for (h, sums) in sums.iter_mut().enumerate() {
                let at = place(lower, r, h);
                let (m1, m2) = (_mm256_load_si256(at), *sums);
                *sums = _mm256_add_epi32(m1, m2);
                _mm256_store_si256(at, _mm256_sub_epi32(m1, m2));
            }
        }
        store::<R>(upper, line::<A, R>(tile, 0, 2, sums));
        for (r, sums) in sums.iter_mut().enumerate() {
            for (h, sums) in sums.iter_mut().enumerate() {
                *sums = _mm256_load_si256(place(lower, r, h));
            }
        }
        store::<R>(lower, line::<A, R>(tile, 3, 3, sums));
    }
}

/// Where half of a row's sums is.
fn place(sums: *mut f32, row: usize, half: usize) -> *mut __m256i {
    sums.wrapping_add((2 * row + half) * BLOCK / 2).cast()
}

/// Adds the products of a line with part `part` of the panel.
///
/// # Safety
///
/// As for [`all`].
#[inline(always)]
unsafe fn line<A: Add, const R: usize>(
    tile: &PairTile,
    line: usize,
    part: usize,
    sums: Sums<R>,
) -> Sums<R> {
    let mut x = [core::ptr::null(); R];
    for (r, x) in x.iter_mut().enumerate() {
        *x = tile.places[r].wrapping_add(line * tile.line);
    }
    let panel = tile.panels.wrapping_add(part * (tile.stride / LINES));
    // SAFETY: the caller's promises.
    unsafe { A::add(sums, x, panel, tile.len / 4) }
}

/// Stores half of sums as f32.
///
/// # Safety
///
/// The CPU has AVX2; there is room for `R` rows.
#[inline(always)]
unsafe fn store<const R: usize>(to: *mut f32, sums: Sums<R>) {
    for (r, sums) in sums.into_iter().enumerate() {
        for (h, sums) in sums.into_iter().enumerate() {
            // SAFETY: the caller's promises.
            unsafe {
                let half = _mm256_cvtepi32_ps(_mm256_srai_epi32::<1>(sums));
                _mm256_store_ps(place(to, r, h).cast(), half);
            }
        }
    }
}

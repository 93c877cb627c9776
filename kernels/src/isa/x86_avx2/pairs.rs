//! Two lines of a 3x3 convolution at a time: see
//! [`product::winograd`](crate::product::winograd). 6 places x one block, 12 registers of
//! sums.
//!
//! ```text
//! narrow[6][16][2] = sum of v[6][4] * u[16][4]     unsigned times signed, pairs, in i16
//! m[6][16] += pairs of narrow                      in i32
//! ```
//!
//! A weight is at most 6 and an activation 255: `|pair| <= 3060`, and ten of them fit i16.
//!
//! What is inlined into a function that has the features has none itself.

use super::tile::{F32, I8, I16, load_group};
use crate::Codec;
use crate::layout::{BLOCK, PANEL_BYTES, t2};
use crate::product::winograd::by_tile::by_tile;
use crate::product::winograd::{
    Kernels, LINES, PairTile, Pairs, QUAD, Starts, decode_taps, tap_channels,
};
use core::arch::x86_64::*;
use core::ops::Range;

/// Groups of four k whose pairs are added in i16.
const NARROW: usize = 10;
/// Bytes of a register.
const BYTES: usize = 32;

/// Places of a tile.
pub(crate) const ROWS: usize = 6;

/// A tile's sums.
type Sums<const R: usize> = [[__m256i; 2]; R];

by_tile!("avx2,fma", FloatPairs, F32, f32);
by_tile!("avx2,fma", WordPairs, I16, i16);

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
        let Kernels { codec, block, .. } = *kernels;
        let channels = kernels.matrix.channels;
        *starts = [[0; BLOCK]; 2];
        if codec != Codec::T2 {
            let (part, column) = (3 * channels / 4 * QUAD, channels / 4 * QUAD);
            // SAFETY: the caller's promises.
            unsafe {
                for channels in tap_channels::<BytePairs>(kernels) {
                    let to = panel.wrapping_add(channels.start / 4 * QUAD);
                    let count = channels.len() / 4;
                    decode_taps::<BytePairs>(kernels, channels, quads);
                    weights(quads, count, to, part, column, starts);
                }
            }
            return;
        }
        let tap = channels / t2::PANEL_K * PANEL_BYTES;
        let part = 3 * 4 * tap;
        let nibble = _mm256_set1_epi8(15);
        // Of the lower and the upper field of a nibble.
        let lower = _mm256_set1_epi32(i32::from_le_bytes([-1i8 as u8, 0, 1, 2]));
        let upper = _mm256_setr_epi32(
            -1,
            0,
            0x0101_0101,
            0x0202_0202,
            -1,
            0,
            0x0101_0101,
            0x0202_0202,
        );
        for half in 0..2 {
            let mut less = [_mm256_setzero_si256(); 2];
            let mut to = panel.wrapping_add(half * BYTES);
            for x in 0..3 {
                let taps = [0, 1, 2].map(|y| block[(3 * y + x) * tap..][..tap].as_ptr());
                for at in (half * BYTES..tap).step_by(PANEL_BYTES) {
                    // SAFETY: 64 bytes of each tap, and the caller promises room.
                    unsafe {
                        let mut nibbles = [[nibble; 3]; 2];
                        for y in 0..3 {
                            let bytes = _mm256_loadu_si256(taps[y].add(at).cast());
                            nibbles[0][y] = _mm256_and_si256(bytes, nibble);
                            let bytes = _mm256_srli_epi16::<4>(bytes);
                            nibbles[1][y] = _mm256_and_si256(bytes, nibble);
                        }
                        let mut sums = [_mm256_setzero_si256(); 2];
                        for i in 0..4 {
                            let table = if i % 2 == 0 { lower } else { upper };
                            let mut g = nibbles[i / 2];
                            for g in &mut g {
                                *g = _mm256_shuffle_epi8(table, *g);
                            }
                            let m = store_weights(to.add(i * QUAD), part, g);
                            for (sum, m) in sums.iter_mut().zip(m) {
                                *sum = _mm256_add_epi8(*sum, m);
                            }
                        }
                        add_bytes(&mut less, sums);
                    }
                    to = to.wrapping_add(4 * QUAD);
                }
            }
            // SAFETY: the CPU has AVX2.
            unsafe { begin(starts, half, less) };
        }
    }

    #[target_feature(enable = "avx2")]
    unsafe fn sums(tile: &PairTile, sums: [*mut f32; 2]) {
        // SAFETY: the caller's promises.
        unsafe { all::<BytePairs>(tile, sums) };
    }
}

/// Transforms `count` quads of each of the kernel's nine taps, which are in `from` tap by
/// tap. Those of column `x` go to `to + x * column` in each of the four parts of a panel,
/// which are `part` bytes long.
///
/// # Safety
///
/// As for [`Pairs::decode`].
#[target_feature(enable = "avx2")]
unsafe fn weights(
    from: *const u8,
    count: usize,
    to: *mut u8,
    part: usize,
    column: usize,
    starts: &mut Starts,
) {
    let one = _mm256_set1_epi8(1);
    for half in 0..2 {
        let mut less = [_mm256_setzero_si256(); 2];
        for x in 0..3 {
            for i in 0..count {
                let (i, half) = (i * QUAD, half * BYTES);
                // SAFETY: the caller's promises.
                unsafe {
                    let mut g = [one; 3];
                    for (y, g) in g.iter_mut().enumerate() {
                        let quad = from.add((3 * y + x) * count * QUAD + i + half);
                        *g = _mm256_sub_epi8(_mm256_loadu_si256(quad.cast()), one);
                    }
                    let m = store_weights(to.add(x * column + i + half), part, g);
                    add_bytes(&mut less, m);
                }
            }
        }
        // SAFETY: the CPU has AVX2.
        unsafe { begin(starts, half, less) };
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

/// Transforms a column of three weights, and stores the four that it makes `part` bytes
/// apart. Tells what the excess of activations adds to m1 and m2, in terms of 128.
///
/// # Safety
///
/// The CPU has AVX2; there is room.
#[inline(always)]
unsafe fn store_weights(to: *mut u8, part: usize, [g0, g1, g2]: [__m256i; 3]) -> [__m256i; 2] {
    // SAFETY: the caller's promises.
    unsafe {
        let outer = _mm256_add_epi8(g0, g2);
        let twice = _mm256_add_epi8(g0, g0);
        let u = [
            _mm256_add_epi8(outer, g1),
            _mm256_sub_epi8(outer, g1),
            twice,
            _mm256_add_epi8(g2, g2),
        ];
        for (p, u) in u.into_iter().enumerate() {
            _mm256_storeu_si256(to.add(p * part).cast(), u);
        }
        [outer, _mm256_sub_epi8(twice, g1)]
    }
}

/// Adds the four bytes of each lane to its sum.
///
/// # Safety
///
/// The CPU has AVX2.
#[inline(always)]
unsafe fn add_bytes(sums: &mut [__m256i; 2], bytes: [__m256i; 2]) {
    for (sum, bytes) in sums.iter_mut().zip(bytes) {
        // SAFETY: the caller's promise.
        unsafe {
            let pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), bytes);
            let lanes = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
            *sum = _mm256_add_epi32(*sum, lanes);
        }
    }
}

/// Takes off the starts of half a block 128 times these sums.
///
/// # Safety
///
/// The CPU has AVX2.
#[inline(always)]
unsafe fn begin(starts: &mut Starts, half: usize, less: [__m256i; 2]) {
    for (start, less) in starts.iter_mut().zip(less) {
        let start = start[half * BLOCK / 2..].as_mut_ptr();
        // SAFETY: 8 of 16.
        unsafe {
            let started = _mm256_loadu_si256(start.cast());
            let less = _mm256_slli_epi32::<7>(less);
            _mm256_storeu_si256(start.cast(), _mm256_sub_epi32(started, less));
        }
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

//! Two lines of a 3x3 convolution at a time: see
//! [`product::winograd`](crate::product::winograd). Bytes: 6 places x 4 blocks, 24
//! registers of sums; others by the products of their tiles.
//!
//! What is inlined into a function that has the features has none itself.

use super::multiply::load;
use super::panel::{Bytes, Floats, Form, Words, tally, tally_t2};
use super::tile::{BLOCKS, BYTES, F32, I8, I16};
use crate::Codec;
use crate::layout::{BLOCK, t2};
use crate::product::winograd::by_tile::by_tile;
use crate::product::winograd::{
    self, Kernels, LINES, PairTile, Pairs, QUAD, Starts, decode_quads, steps,
};
use core::arch::x86_64::*;

/// What is added to transformed lines so that they have no sign.
const EXCESS: [i32; LINES] = [128, 0, 128, 128];
/// Places of a tile.
const ROWS: usize = 6;

/// A tile's sums.
type Sums<const R: usize, const B: usize> = [[__m512i; B]; R];

by_tile!(
    "avx512f,avx512bw,avx512vl,avx512vnni",
    FloatPairs,
    F32,
    f32,
    decode::<Floats>
);
by_tile!(
    "avx512f,avx512bw,avx512vl,avx512vnni",
    WordPairs,
    I16,
    i16,
    decode::<Words>
);

/// u8 activations and i8 weights, 64 products at a time.
pub(crate) enum BytePairs {}

impl Pairs for BytePairs {
    type Tile = I8;
    const ROWS: usize = ROWS;
    // Sums of 6 places by one block are too few to hide how long products take.
    const MIN_BLOCKS: usize = 2;

    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn transform(lines: [Option<&[i8]>; LINES], len: usize, to: [*mut u8; LINES]) {
        let excess = _mm512_set1_epi8(i8::MIN);
        for at in (0..len).step_by(BYTES) {
            let inside = u64::MAX >> (BYTES - (len - at).min(BYTES));
            let mut d = [_mm512_setzero_si512(); LINES];
            for (d, line) in d.iter_mut().zip(lines) {
                if let Some(line) = line {
                    let from = line.as_ptr().wrapping_add(at);
                    // SAFETY: the mask has no more than the line.
                    *d = unsafe { _mm512_maskz_loadu_epi8(inside, from) };
                }
            }
            let v = [
                _mm512_xor_si512(_mm512_sub_epi8(d[0], d[2]), excess),
                _mm512_add_epi8(d[1], d[2]),
                _mm512_xor_si512(_mm512_sub_epi8(d[2], d[1]), excess),
                _mm512_xor_si512(_mm512_sub_epi8(d[3], d[1]), excess),
            ];
            for (to, v) in to.into_iter().zip(v) {
                let to = to.wrapping_add(at).cast::<i8>();
                // SAFETY: as above. A store with a mask takes as long as two.
                unsafe {
                    if inside == u64::MAX {
                        _mm512_storeu_si512(to.cast(), v);
                    } else {
                        _mm512_mask_storeu_epi8(to, inside, v);
                    }
                }
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn decode(kernels: &Kernels<'_>, quads: *mut u8, panel: *mut u8, starts: &mut Starts) {
        // SAFETY: the caller's promises are the same.
        unsafe { decode::<Bytes>(kernels, quads, panel, starts, EXCESS) };
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn sums(tile: &PairTile, sums: [*mut f32; 2]) {
        let sums = sums.map(|sums| sums.cast::<i32>());
        // SAFETY: the caller's promises.
        unsafe {
            match tile.blocks {
                1 => rows::<1>(tile, sums),
                2 => rows::<2>(tile, sums),
                3 => rows::<3>(tile, sums),
                _ => rows::<BLOCKS>(tile, sums),
            }
        }
    }
}

/// [`Pairs::decode`], for an excess of transformed lines.
///
/// # Safety
///
/// As for that.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
#[inline]
unsafe fn decode<F: Form>(
    kernels: &Kernels<'_>,
    quads: *mut u8,
    panel: *mut u8,
    starts: &mut Starts,
    excess: [i32; LINES],
) {
    let Kernels { block, part, .. } = *kernels;
    let mut sums = [_mm512_setzero_si512(); 3];
    if kernels.codec == Codec::T2 {
        let tap = kernels.matrix.channels / t2::PANEL_K * BYTES;
        let from = kernels.channels.start / t2::PANEL_K * BYTES;
        let len = kernels.channels.len() / t2::PANEL_K * BYTES;
        let mut to = panel;
        for x in 0..3 {
            let taps = [0, 1, 2].map(|y| block[(3 * y + x) * tap + from..][..len].as_ptr());
            for at in (0..len).step_by(BYTES) {
                // SAFETY: 64 bytes of each tap, and the caller promises room.
                unsafe {
                    let mut packed = [_mm512_setzero_si512(); 3];
                    for (y, packed) in packed.iter_mut().enumerate() {
                        *packed = _mm512_loadu_si512(taps[y].add(at).cast());
                        sums[y] = tally_t2(sums[y], *packed);
                    }
                    macro_rules! quads {
                        ($($i:literal)*) => {$(
                            let mut g = packed;
                            for g in &mut g {
                                *g = Bytes::of_t2(*g, $i);
                            }
                            store_weights::<F>(to.add($i * F::QUAD), part, g);
                        )*};
                    }
                    // Not a loop, so that each quad has its own instructions.
                    quads!(0 1 2 3);
                }
                to = to.wrapping_add(4 * F::QUAD);
            }
        }
    } else {
        let column = kernels.channels.len() / 4 * F::QUAD;
        for channels in steps(&kernels.channels) {
            let count = channels.len() / 4;
            let first = (channels.start - kernels.channels.start) / 4 * F::QUAD;
            // SAFETY: the caller's promises.
            unsafe {
                decode_quads::<I8>(kernels, channels, quads);
                for x in 0..3 {
                    for i in 0..count {
                        let mut g = [_mm512_setzero_si512(); 3];
                        for (y, g) in g.iter_mut().enumerate() {
                            let from = quads.add(((3 * y + x) * count + i) * QUAD);
                            *g = _mm512_loadu_si512(from.cast());
                            sums[y] = tally(sums[y], *g);
                        }
                        store_weights::<F>(panel.add(first + x * column + i * F::QUAD), part, g);
                    }
                }
            }
        }
    }
    let mut lanes = [[0i32; BLOCK]; 3];
    for (lanes, sums) in lanes.iter_mut().zip(sums) {
        // SAFETY: 16 of 32 bits.
        unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), sums) };
    }
    *starts = winograd::starts(lanes, excess);
}

/// Transforms a column of three quads, and stores the four that it makes `part` bytes
/// apart.
///
/// # Safety
///
/// The CPU has AVX-512 F and BW; there is room.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
unsafe fn store_weights<F: Form>(to: *mut u8, part: usize, [g0, g1, g2]: [__m512i; 3]) {
    let outer = _mm512_add_epi8(g0, g2);
    let u = [
        _mm512_add_epi8(outer, g1),
        _mm512_sub_epi8(outer, g1),
        _mm512_add_epi8(g0, g0),
        _mm512_add_epi8(g2, g2),
    ];
    for (p, u) in u.into_iter().enumerate() {
        // SAFETY: the caller's promises.
        unsafe { F::store(to.add(p * part), u, 4) };
    }
}

/// The sums of `B` blocks.
///
/// # Safety
///
/// As for [`Pairs::sums`].
#[target_feature(enable = "avx512f,avx512vnni")]
#[inline]
unsafe fn rows<const B: usize>(tile: &PairTile, sums: [*mut i32; 2]) {
    // SAFETY: the caller's promises.
    unsafe {
        match tile.rows {
            1 => pair::<1, B>(tile, sums),
            2 => pair::<2, B>(tile, sums),
            3 | 4 => pair::<4, B>(tile, sums),
            _ => pair::<ROWS, B>(tile, sums),
        }
    }
}

/// The sums of `R` places and `B` blocks.
///
/// # Safety
///
/// As for [`Pairs::sums`].
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn pair<const R: usize, const B: usize>(tile: &PairTile, [upper, lower]: [*mut i32; 2]) {
    // SAFETY: the caller's promises.
    unsafe {
        let starts = tile.starts.cast::<u8>();
        // In memory while m2 takes the registers.
        let m1 = line(tile, 1, 0, [load::<B>(starts, 2 * BYTES); R]);
        for (r, m1) in m1.iter().enumerate() {
            for (b, m1) in m1.iter().enumerate() {
                _mm512_store_si512(place(lower, r, b), *m1);
            }
        }
        let starts = load::<B>(starts.add(BYTES), 2 * BYTES);
        let mut sum = line(tile, 2, 1, [starts; R]);
        for (r, sum) in sum.iter_mut().enumerate() {
            for (b, sum) in sum.iter_mut().enumerate() {
                let at = place(lower, r, b);
                let (m1, m2) = (_mm512_load_si512(at), *sum);
                *sum = _mm512_add_epi32(m1, m2);
                _mm512_store_si512(at, _mm512_sub_epi32(m1, m2));
            }
        }
        store(upper, line(tile, 0, 2, sum));
        for (r, sum) in sum.iter_mut().enumerate() {
            for (b, sum) in sum.iter_mut().enumerate() {
                *sum = _mm512_load_si512(place(lower, r, b));
            }
        }
        store(lower, line(tile, 3, 3, sum));
    }
}

/// Where the sums of a row and block are.
fn place(sums: *mut i32, row: usize, block: usize) -> *mut __m512i {
    sums.wrapping_add((row * BLOCKS + block) * BLOCK).cast()
}

/// Stores half of sums.
///
/// # Safety
///
/// The CPU has AVX-512 F; there is room for the rows.
#[inline(always)]
unsafe fn store<const R: usize, const B: usize>(to: *mut i32, sums: Sums<R, B>) {
    for (r, sums) in sums.into_iter().enumerate() {
        for (b, sums) in sums.into_iter().enumerate() {
            // SAFETY: the caller's promises.
            unsafe { _mm512_store_si512(place(to, r, b), _mm512_srai_epi32::<1>(sums)) };
        }
    }
}

/// Adds the products of a line with part `part` of the panels.
///
/// # Safety
///
/// As for [`Pairs::sums`].
#[inline(always)]
unsafe fn line<const R: usize, const B: usize>(
    tile: &PairTile,
    line: usize,
    part: usize,
    mut sums: Sums<R, B>,
) -> Sums<R, B> {
    let mut panels = tile.panels.wrapping_add(part * (tile.stride / LINES));
    let mut x = [core::ptr::null(); R];
    for (r, x) in x.iter_mut().enumerate() {
        *x = tile.places[r].wrapping_add(line * tile.line);
    }
    // SAFETY: the caller's promises: a panel has 64 bytes for every four activations.
    unsafe {
        for at in (0..tile.len).step_by(4) {
            let weights = load::<B>(panels, tile.stride);
            for r in 0..R {
                let x = _mm512_set1_epi32(x[r].add(at).cast::<i32>().read_unaligned());
                for b in 0..B {
                    sums[r][b] = _mm512_dpbusd_epi32(sums[r][b], x, weights[b]);
                }
            }
            panels = panels.add(QUAD);
        }
    }
    sums
}

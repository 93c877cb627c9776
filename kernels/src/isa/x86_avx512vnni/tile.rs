//! Tiles that multiply: 12 output rows x 4 blocks, at most 24 registers of sums at
//! a time.
//!
//! ```text
//! f32    sums[0..16] += weights[0..16] * x              fused, k ascending
//! i16    sums[0..16] += weights[0..16][2] * x[2]        signed, in i32
//! i8     sums[0..16] += (x[4] + 128) * weights[0..16][4]    unsigned times signed, in i32
//! ```
//!
//! What i8 activations have too much, 128 times the sum of an output's weights, is
//! known when these are decoded: sums begin with minus that. i32 sums wrap, which
//! [`max_k`](crate::max_k) excludes for the result with valid weights.

use super::panel::{Bytes, Floats, Words, decode};
use super::strip::{Sums, strip};
use crate::epilogue::Finish;
use crate::epilogue::x86_avx512::{Columns, FloatTile, LANES, PackedRows};
use crate::layout::BLOCK;
use crate::product::tiled::{Chunk, Part, Segments, Tile};
use crate::{Codec, Matrix};
use core::arch::asm;
use core::arch::x86_64::*;
use core::ops::Range;

/// Output rows of a tile; they share what an epilogue prepares.
const ROWS: usize = 12;
/// Blocks of a tile.
const BLOCKS: usize = 4;
/// Bytes of a register, and of the activations that meet one.
const BYTES: usize = 64;
const ACTIVATIONS: usize = 4;

/// f32 activations.
pub(crate) enum F32 {}
/// i16 activations.
pub(crate) enum I16 {}
/// i8 activations.
pub(crate) enum I8 {}

/// One instruction that multiplies.
pub(super) trait Multiply: Tile {
    /// Whether sums begin with the chunk's `starts`, rather than with 0.
    const STARTS: bool = false;

    /// Adds the products of a group of 16 outputs with the activations of a row,
    /// which are in every lane.
    ///
    /// # Safety
    ///
    /// The CPU has AVX-512 F and VNNI.
    unsafe fn multiply(sum: __m512i, weights: __m512i, x: __m512i) -> __m512i;
}

impl Multiply for F32 {
    #[target_feature(enable = "avx512f,avx512vnni")]
    #[inline]
    unsafe fn multiply(sum: __m512i, weights: __m512i, x: __m512i) -> __m512i {
        let float = |bits| _mm512_castsi512_ps(bits);
        _mm512_castps_si512(_mm512_fmadd_ps(float(x), float(weights), float(sum)))
    }
}

impl Multiply for I16 {
    #[target_feature(enable = "avx512f,avx512vnni")]
    #[inline]
    unsafe fn multiply(sum: __m512i, weights: __m512i, x: __m512i) -> __m512i {
        // As an intrinsic, LLVM makes two slower instructions of every second one in
        // a row, to shorten the chain.
        let mut out = sum;
        // SAFETY: the caller's promise; the instruction changes one register.
        unsafe {
            asm!(
                "vpdpwssd {sum}, {weights}, {x}",
                sum = inout(zmm_reg) out,
                weights = in(zmm_reg) weights,
                x = in(zmm_reg) x,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        out
    }
}

impl Multiply for I8 {
    const STARTS: bool = true;

    #[target_feature(enable = "avx512f,avx512vnni")]
    #[inline]
    unsafe fn multiply(sum: __m512i, weights: __m512i, x: __m512i) -> __m512i {
        _mm512_dpbusd_epi32(sum, x, weights)
    }
}

impl Sums for F32 {
    type Rows<const B: usize> = FloatTile<B>;

    #[inline(always)]
    unsafe fn sums<const R: usize, const B: usize>(
        chunk: &Chunk,
        segments: &Segments,
    ) -> [[__m512i; B]; R] {
        // SAFETY: the caller's promises.
        unsafe {
            let mut sum = [[_mm512_setzero_si512(); B]; R];
            multiply::<F32, R, B>(&mut sum, chunk, segments, 0);
            sum
        }
    }
}

impl Sums for I8 {
    type Rows<const B: usize> = PackedRows<B>;

    // Of weights, or the largest code less one, and of activations.
    const LARGEST: usize = 128 * 128;

    #[inline(always)]
    unsafe fn sums<const R: usize, const B: usize>(
        chunk: &Chunk,
        segments: &Segments,
    ) -> [[__m512i; B]; R] {
        // SAFETY: the caller's promises; 16 starts for each block.
        unsafe {
            let mut starts = [_mm512_setzero_si512(); B];
            for (b, start) in starts.iter_mut().enumerate() {
                *start = _mm512_loadu_si512(chunk.starts.add(b * BLOCK).cast());
            }
            let mut sum = [starts; R];
            multiply::<I8, R, B>(&mut sum, chunk, segments, 0);
            sum
        }
    }
}

/// Makes a tile: `tile!(NAME: X, STEP, FORM, INTEGER, DIRECT, PANELS, { ITEMS })`, with panels of
/// that form, sums that are integers or not, and activations that are the input's
/// or not, and so many KiB of panels in a chunk; the items go into the `impl`.
macro_rules! tile {
    (
        $name:ident: $x:ty, $step:literal, $form:ident, $integer:literal, $direct:literal,
        $panels:literal, { $($more:item)* }
    ) => {
        impl Tile for $name {
            type X = $x;
            type Columns<'a> = Outputs<'a>;
            const ROWS: usize = ROWS;
            const BLOCKS: usize = BLOCKS;
            const STEP: usize = $step;
            const GROUP: usize = BYTES;
            const UNIT: usize = size_of::<$x>();
            const DIRECT: bool = $direct;
            const PANELS: usize = $panels << 10;
            const STRIP: usize = 384;
            const WAITING: usize = Self::STRIP;
            const IMAGE: usize = 256 << 10;
            $($more)*

            #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
            unsafe fn decode(
                codec: Codec,
                matrix: &Matrix,
                block: &[u8],
                part: &Part,
                panel: *mut u8,
                starts: &mut [i32; BLOCK],
            ) {
                // SAFETY: the caller's promises are the same.
                unsafe { decode::<$form>(codec, matrix, block, part, panel, starts) };
            }

            #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
            unsafe fn add(chunk: &Chunk) {
                // SAFETY: the caller's promises are the same.
                unsafe { add::<$name>(chunk) };
            }

            #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
            unsafe fn columns<'a>(finish: &'a Finish<'a>, outputs: Range<usize>) -> Outputs<'a> {
                Outputs::new(finish, outputs)
            }

            #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
            unsafe fn finish(columns: &Outputs<'_>, rows: Range<usize>, sums: *mut f32) {
                // SAFETY: the caller's promises; a row of sums has BLOCKS blocks.
                unsafe { columns.rows::<$integer>(rows, sums.cast()) };
            }
        }
    };
}

tile!(F32: f32, 1, Floats, false, true, 288, {
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn strip(chunk: &Chunk, columns: &Outputs<'_>, rows: Range<usize>) -> bool {
        // SAFETY: the caller's promises are the same.
        unsafe { strip::<F32, 12, 12, 8, 6>(chunk, columns, rows) }
    }

    fn in_place(codec: Codec) -> bool {
        codec == Codec::F32
    }

    unsafe fn prepare(x: &[f32], to: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<f32>().copy_from_nonoverlapping(x.as_ptr(), x.len()) };
    }
});

tile!(I16: i16, 2, Words, true, true, 144, {
    unsafe fn prepare(x: &[i16], to: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<i16>().copy_from_nonoverlapping(x.as_ptr(), x.len()) };
    }
});

tile!(I8: i8, 4, Bytes, true, false, 144, {
    const ZERO: u8 = 128;

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn strip(chunk: &Chunk, columns: &Outputs<'_>, rows: Range<usize>) -> bool {
        // SAFETY: the caller's promises are the same.
        unsafe { strip::<I8, 8, 8, 4, 4>(chunk, columns, rows) }
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn prepare(x: &[i8], to: *mut u8) {
        let excess = _mm512_set1_epi8(i8::MIN);
        let (whole, rest) = x.as_chunks::<BYTES>();
        // SAFETY: 64 bytes each, then as many as the mask has bits; the caller
        // promises the same room.
        unsafe {
            for (i, x) in whole.iter().enumerate() {
                let x = _mm512_loadu_si512(x.as_ptr().cast());
                _mm512_storeu_si512(to.add(i * BYTES).cast(), _mm512_xor_si512(x, excess));
            }
            if !rest.is_empty() {
                let mask = (1 << rest.len()) - 1;
                let x = _mm512_maskz_loadu_epi8(mask, rest.as_ptr());
                let to = to.add(whole.len() * BYTES).cast();
                _mm512_mask_storeu_epi8(to, mask, _mm512_xor_si512(x, excess));
            }
        }
    }
});

/// The epilogue of at most [`BLOCKS`] blocks.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one at a time, on the stack"
)]
pub(crate) enum Outputs<'a> {
    One(Columns<'a, 1>),
    Two(Columns<'a, 2>),
    Four(Columns<'a, 4>),
}

impl<'a> Outputs<'a> {
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    pub(crate) fn new(finish: &'a Finish<'a>, outputs: Range<usize>) -> Self {
        let (first, len) = (outputs.start, outputs.len());
        match len.div_ceil(LANES) {
            1 => Outputs::One(Columns::new(finish, first, len)),
            2 => Outputs::Two(Columns::new(finish, first, len)),
            _ => Outputs::Four(Columns::new(finish, first, len)),
        }
    }

    /// Rows of sums, i32 or f32, `BLOCKS * 16` each.
    ///
    /// # Safety
    ///
    /// As for [`Columns::rows`].
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    pub(crate) unsafe fn rows<const INTEGER: bool>(&self, rows: Range<usize>, sums: *const i32) {
        // SAFETY: the caller's promises.
        unsafe {
            match self {
                Outputs::One(columns) => columns.rows::<INTEGER>(rows, sums, BLOCKS * BLOCK),
                Outputs::Two(columns) => columns.rows::<INTEGER>(rows, sums, BLOCKS * BLOCK),
                Outputs::Four(columns) => columns.rows::<INTEGER>(rows, sums, BLOCKS * BLOCK),
            };
        }
    }
}

/// A tile, of as many rows at a time as registers allow. Where fewer are left they
/// are computed as the next larger number; nobody reads those sums.
///
/// # Safety
///
/// As for [`Tile::add`].
#[target_feature(enable = "avx512f,avx512vnni")]
#[inline]
unsafe fn add<M: Multiply>(chunk: &Chunk) {
    // SAFETY: the caller's promises are the same; there is room for ROWS rows.
    unsafe {
        let _ = match (chunk.blocks, chunk.segments.rows) {
            (1, 1) => products::<M, 1, 1>(chunk, 0),
            (1, 2..=4) => products::<M, 4, 1>(chunk, 0),
            (1, 5..=8) => products::<M, 8, 1>(chunk, 0),
            (1, _) => products::<M, ROWS, 1>(chunk, 0),
            (2, 1) => products::<M, 1, 2>(chunk, 0),
            (2, 2) => products::<M, 2, 2>(chunk, 0),
            (2, 3..=4) => products::<M, 4, 2>(chunk, 0),
            (2, 5..=8) => products::<M, 8, 2>(chunk, 0),
            (2, _) => products::<M, ROWS, 2>(chunk, 0),
            (3, _) => halves::<M, 3>(chunk),
            _ => halves::<M, BLOCKS>(chunk),
        };
    }
}

/// A tile of three or four blocks; tells how many rows were computed.
///
/// # Safety
///
/// As for [`add`].
#[target_feature(enable = "avx512f,avx512vnni")]
#[inline]
unsafe fn halves<M: Multiply, const B: usize>(chunk: &Chunk) -> usize {
    let rows = chunk.segments.rows;
    let mut from = 0;
    while from < rows {
        // SAFETY: the caller's promises; ROWS is more than all of them together.
        from += unsafe {
            match rows - from {
                1 => products::<M, 1, B>(chunk, from),
                2 => products::<M, 2, B>(chunk, from),
                3..=4 | 7..=8 => products::<M, 4, B>(chunk, from),
                _ => products::<M, 6, B>(chunk, from),
            }
        };
    }
    from
}

/// Adds the products of `R` rows from row `from` on with `B` blocks; tells how many
/// rows that were.
///
/// # Safety
///
/// As for [`Tile::add`]; there is room for `from + R` rows, and as many pointers.
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn products<M: Multiply, const R: usize, const B: usize>(
    chunk: &Chunk,
    from: usize,
) -> usize {
    let place = |r: usize, b: usize| {
        let register = (from + r) * BLOCKS + b;
        chunk.sums.wrapping_add(register * BYTES).cast::<__m512i>()
    };
    let mut sum = [[_mm512_setzero_si512(); B]; R];
    for (r, sum) in sum.iter_mut().enumerate() {
        for (b, sum) in sum.iter_mut().enumerate() {
            // SAFETY: 16 starts for each block; the sums that wait are there.
            unsafe {
                if M::STARTS {
                    *sum = _mm512_loadu_si512(chunk.starts.add(b * BLOCK).cast());
                }
                if !chunk.first {
                    let waiting = _mm512_loadu_si512(place(r, b));
                    *sum = if M::STARTS {
                        _mm512_add_epi32(waiting, *sum)
                    } else {
                        waiting
                    };
                }
            }
        }
    }
    // SAFETY: the caller's promises.
    unsafe { multiply::<M, R, B>(&mut sum, chunk, &chunk.segments, from) };
    for (r, sum) in sum.iter().enumerate() {
        for (b, sum) in sum.iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { _mm512_storeu_si512(place(r, b), *sum) };
        }
    }
    R
}

/// Adds the products of `R` rows of `segments`, from row `from` on, with the chunk's
/// panels.
///
/// # Safety
///
/// The CPU has AVX-512 F and VNNI; everything in `chunk` is as it says, and so are the
/// segments, with as many pointers.
#[inline(always)]
pub(super) unsafe fn multiply<M: Multiply, const R: usize, const B: usize>(
    sum: &mut [[__m512i; B]; R],
    chunk: &Chunk,
    segments: &Segments,
    from: usize,
) {
    let mut weights = chunk.panels;
    let groups = segments.len / M::STEP;
    for segment in 0..segments.count {
        // SAFETY: segment < count.
        let x: [*const u8; R] =
            core::array::from_fn(|r| unsafe { segments.row(from + r, segment) });
        let mut at = 0;
        // SAFETY: a panel has 64 bytes for every group of every segment, and every
        // row the four bytes that meet one.
        unsafe {
            while at + 2 <= groups {
                step::<M, R, B>(sum, weights, chunk.stride, &x, at);
                step::<M, R, B>(sum, weights.add(BYTES), chunk.stride, &x, at + 1);
                weights = weights.add(2 * BYTES);
                at += 2;
            }
            if at < groups {
                step::<M, R, B>(sum, weights, chunk.stride, &x, at);
                weights = weights.add(BYTES);
            }
        }
    }
}

/// Adds the products of a group of every block.
///
/// # Safety
///
/// The groups are there, `stride` bytes from one to the next, and the rows'
/// activations of group `at`.
#[inline(always)]
unsafe fn step<M: Multiply, const R: usize, const B: usize>(
    sum: &mut [[__m512i; B]; R],
    weights: *const u8,
    stride: usize,
    x: &[*const u8; R],
    at: usize,
) {
    // SAFETY: the caller's promises.
    unsafe {
        let mut w = [_mm512_setzero_si512(); B];
        for (b, w) in w.iter_mut().enumerate() {
            *w = _mm512_loadu_si512(weights.add(b * stride).cast());
        }
        for r in 0..R {
            let x = x[r].add(at * ACTIVATIONS).cast::<i32>().read_unaligned();
            let x = _mm512_set1_epi32(x);
            for b in 0..B {
                sum[r][b] = M::multiply(sum[r][b], w[b], x);
            }
        }
    }
}

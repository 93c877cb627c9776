//! Tiles that multiply: 12 output rows x 4 blocks, at most 24 registers of sums at
//! a time.
//!
//! ```text
//! f32    sums[0..16] += weights[0..16] * x              fused, k ascending
//! i16    sums[0..16] += weights[0..16][2] * x[2]        signed, in i32
//! i8     sums[0..16] += (x[4] + 128) * weights[0..16][4]    unsigned times signed, in i32
//! u7     sums[0..16] += x[4] * weights[0..16][4]            the same for i8 not below 0
//! ```
//!
//! What i8 activations have too much, 128 times the sum of an output's weights, is
//! known when these are decoded: sums begin with minus that. i32 sums wrap, which
//! [`max_k`](crate::max_k) excludes for the result with valid weights.

use super::multiply::{Multiply, add, decoding_rows, load, multiply};
use super::panel::{Bytes, BytesAlone, Floats, Form, Words, decode};
use super::strip::{Sums, finish, strip};
use crate::epilogue::Finish;
use crate::epilogue::x86_avx512::{Columns, FloatTile, IntegerTile, LANES};
use crate::layout::BLOCK;
use crate::product::tiled::{Chunk, Part, Segments, Tile};
use crate::{Codec, Matrix};
use core::arch::asm;
use core::arch::x86_64::*;
use core::ops::Range;

/// Output rows of a tile; they share what an epilogue prepares.
pub(super) const ROWS: usize = 12;
/// Blocks of a tile.
pub(crate) const BLOCKS: usize = 4;
/// Bytes of a register.
pub(super) const BYTES: usize = 64;

/// f32 activations.
pub(crate) enum F32 {}
/// i16 activations.
pub(crate) enum I16 {}
/// i8 activations.
pub(crate) enum I8 {}
/// i8 activations that are not negative.
pub(crate) enum U7 {}

impl Multiply for F32 {
    type Panel = Floats;

    #[target_feature(enable = "avx512f,avx512vnni")]
    #[inline]
    unsafe fn multiply(sum: __m512i, weights: __m512i, x: __m512i) -> __m512i {
        let float = |bits| _mm512_castsi512_ps(bits);
        _mm512_castps_si512(_mm512_fmadd_ps(float(x), float(weights), float(sum)))
    }
}

impl Multiply for I16 {
    type Panel = Words;

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
    type Panel = Bytes;

    #[target_feature(enable = "avx512f,avx512vnni")]
    #[inline]
    unsafe fn multiply(sum: __m512i, weights: __m512i, x: __m512i) -> __m512i {
        _mm512_dpbusd_epi32(sum, x, weights)
    }
}

impl Multiply for U7 {
    type Panel = BytesAlone;

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
        _: [usize; 2],
    ) -> [[__m512i; B]; R] {
        // SAFETY: the caller's promises.
        unsafe {
            let mut sum = [[_mm512_setzero_si512(); B]; R];
            multiply::<F32, R, B>(&mut sum, chunk, segments, 0, [0; 2]);
            sum
        }
    }
}

impl Sums for I8 {
    type Rows<const B: usize> = IntegerTile<B>;

    // Of weights, or the largest code less one, and of activations.
    const LARGEST: usize = 128 * 128;

    #[inline(always)]
    unsafe fn sums<const R: usize, const B: usize>(
        chunk: &Chunk,
        segments: &Segments,
        _: [usize; 2],
    ) -> [[__m512i; B]; R] {
        // SAFETY: the caller's promises; 16 starts for each block.
        unsafe {
            let mut sum = [load(chunk.starts.cast(), BYTES); R];
            multiply::<I8, R, B>(&mut sum, chunk, segments, 0, [0; 2]);
            sum
        }
    }
}

impl Sums for U7 {
    type Rows<const B: usize> = IntegerTile<B>;

    const LARGEST: usize = I8::LARGEST;
    const WITHIN: bool = true;

    #[inline(always)]
    unsafe fn sums<const R: usize, const B: usize>(
        chunk: &Chunk,
        segments: &Segments,
        beyond: [usize; 2],
    ) -> [[__m512i; B]; R] {
        // SAFETY: the caller's promises.
        unsafe {
            let mut sum = [[_mm512_setzero_si512(); B]; R];
            multiply::<U7, R, B>(&mut sum, chunk, segments, 0, beyond);
            sum
        }
    }
}

/// Makes a tile: `tile!(NAME: X, STEP, FORM, DIRECT, PANELS, { ITEMS })`, with panels of
/// that form, activations that are the input's or not, and so many KiB of panels in a
/// chunk; the items go into the `impl`.
macro_rules! tile {
    (
        $name:ident: $x:ty, $step:literal, $form:ident, $direct:literal, $panels:literal,
        { $($more:item)* }
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
            const STARTS: bool = $form::SUMS;
            const PANELS: usize = $panels << 10;
            const STRIP: usize = 384;
            const WAITING: usize = Self::STRIP;
            const IMAGE: usize = 256 << 10;
            $($more)*

            fn decodes(codec: Codec, blocks: usize) -> Option<usize> {
                (codec == Codec::T2).then_some(decoding_rows(blocks))
            }

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
        }
    };
}

tile!(F32: f32, 1, Floats, true, 288, {
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn strip(chunk: &Chunk, columns: &Outputs<'_>, rows: Range<usize>) -> bool {
        // SAFETY: the caller's promises are the same.
        unsafe { strip::<F32, 12, 12, 8, 6>(chunk, columns, rows) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn finish(columns: &Outputs<'_>, rows: Range<usize>, sums: *mut f32, k: usize) {
        // SAFETY: the caller's promises; a row of sums has BLOCKS blocks.
        unsafe { finish::<F32, false>(columns, rows, sums.cast(), k) };
    }

    fn in_place(codec: Codec) -> bool {
        codec == Codec::F32
    }

    unsafe fn prepare(x: &[f32], to: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<f32>().copy_from_nonoverlapping(x.as_ptr(), x.len()) };
    }
});

tile!(I16: i16, 2, Words, true, 144, {
    const INTEGERS: bool = true;

    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn finish(columns: &Outputs<'_>, rows: Range<usize>, sums: *mut f32, _: usize) {
        // SAFETY: the caller's promises; a row of sums has BLOCKS blocks.
        unsafe { columns.rows::<true>(rows, sums.cast()) };
    }

    unsafe fn prepare(x: &[i16], to: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<i16>().copy_from_nonoverlapping(x.as_ptr(), x.len()) };
    }
});

tile!(I8: i8, 4, Bytes, false, 288, {
    const ZERO: u8 = 128;
    const INTEGERS: bool = true;

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn strip(chunk: &Chunk, columns: &Outputs<'_>, rows: Range<usize>) -> bool {
        // SAFETY: the caller's promises are the same.
        unsafe { strip::<I8, 8, 8, 4, 4>(chunk, columns, rows) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn finish(columns: &Outputs<'_>, rows: Range<usize>, sums: *mut f32, k: usize) {
        // SAFETY: the caller's promises; a row of sums has BLOCKS blocks.
        unsafe { finish::<I8, true>(columns, rows, sums.cast(), k) };
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

tile!(U7: i8, 4, BytesAlone, true, 288, {
    const INTEGERS: bool = true;

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn strip(chunk: &Chunk, columns: &Outputs<'_>, rows: Range<usize>) -> bool {
        // SAFETY: the caller's promises are the same.
        unsafe { strip::<U7, 8, 8, 4, 4>(chunk, columns, rows) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn finish(columns: &Outputs<'_>, rows: Range<usize>, sums: *mut f32, k: usize) {
        // SAFETY: the caller's promises are the same.
        unsafe { I8::finish(columns, rows, sums, k) };
    }

    unsafe fn prepare(x: &[i8], to: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<i8>().copy_from_nonoverlapping(x.as_ptr(), x.len()) };
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

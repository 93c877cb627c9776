//! The epilogue in registers of 512 bits, several of them at a time. The same
//! bits as [`Finish::scalar`]; what differs is where values are bounded:
//!
//! ```text
//! i8 and i16 outputs
//!     activation known to be low..high of q    ([`Finish::bounds`])
//!         q = round(min(high, t))                     NaN stays, and becomes i32::MIN
//!         q = max(low, saturate(q))                   i8 or i16, after packing
//!     otherwise
//!         activation on f32, then the same of t * inverse_scale with -qmax..qmax
//! f32 outputs
//!         activation on f32
//! ```
//!
//! Rounding never puts two values out of order and leaves integers as they are, so
//! it can change places with a bound that is an integer. Sums below -2^31 round to
//! i32::MIN as NaN does, which packing saturates below every `low`.

use super::{CLIP, Common, Finish, Out, RELU, Residual, common};
use crate::View;
use crate::eltwise::{Unary, UnaryKind, x86_avx2 as eltwise};
use core::arch::x86_64::*;
use core::ops::Range;

mod floats;
mod integers;
mod line;
mod order;
mod store;

pub(crate) use floats::FloatTile;
pub(crate) use integers::IntegerTile;
pub(crate) use line::Line;

use order::{pack, unpack};
use store::{add_f32, add_i8, add_i16, store_f32};

/// Lanes of a register.
pub(crate) const LANES: usize = 16;

/// An epilogue of `B` registers of outputs straight from registers of sums.
pub(crate) trait SumRows<const B: usize>: Sized {
    /// That of the first `B` registers of `columns`, `N` or one less, if integer sums are
    /// at most `largest` in magnitude; `None` where the epilogue is another one.
    ///
    /// # Safety
    ///
    /// The CPU has AVX-512 F, BW and VL.
    unsafe fn new<const N: usize>(columns: &Columns<'_, N>, largest: f32) -> Option<Self>;

    /// Whether there is a residual.
    fn has_residual(&self) -> bool;

    /// Rows `row..row + R`, from their sums, i32 or the bits of f32; `RESIDUAL` as
    /// [`has_residual`](Self::has_residual) says.
    ///
    /// # Safety
    ///
    /// The CPU has AVX-512 F, BW and VL; the outputs lie in `y`, and no other task has
    /// them.
    unsafe fn rows<const R: usize, const RESIDUAL: bool>(
        &self,
        row: usize,
        sums: &[[__m512i; B]; R],
    );

    /// [`rows`](Self::rows), with a residual or not.
    ///
    /// # Safety
    ///
    /// As for [`rows`](Self::rows).
    #[inline(always)]
    unsafe fn any_rows<const R: usize>(&self, row: usize, sums: &[[__m512i; B]; R]) {
        // SAFETY: the caller's promises.
        unsafe {
            if self.has_residual() {
                self.rows::<R, true>(row, sums);
            } else {
                self.rows::<R, false>(row, sums);
            }
        }
    }
}

impl Finish<'_> {
    /// [`scalar`](Self::scalar) for several rows, the sums of which, i32 where
    /// `INTEGER`, otherwise f32, begin `stride` elements after each other.
    ///
    /// # Safety
    ///
    /// The CPU has AVX-512 F, BW and VL, `rows` and `outputs` lie in `y`, `sums`
    /// has every row's outputs, and no other task has these elements of `y`.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(crate) unsafe fn x86_avx512_rows<const INTEGER: bool>(
        &self,
        rows: Range<usize>,
        outputs: Range<usize>,
        sums: *const i32,
        stride: usize,
    ) {
        let mut done = 0;
        while done < outputs.len() {
            let first = outputs.start + done;
            let sums = sums.wrapping_add(done);
            let rows = rows.clone();
            let left = outputs.len() - done;
            // SAFETY: the caller's promises, for a part of the outputs.
            unsafe {
                done += match left.div_ceil(LANES) {
                    1 => Columns::<1>::new(self, first, left).rows::<INTEGER>(rows, sums, stride),
                    2 => Columns::<2>::new(self, first, left).rows::<INTEGER>(rows, sums, stride),
                    _ => Columns::<4>::new(self, first, left).rows::<INTEGER>(rows, sums, stride),
                }
            }
        }
    }
}

/// The epilogue of `N` registers of outputs, with all that is the same for every
/// row. `N` is 1, 2 or 4.
///
/// `U` registers, 1, 2 or 4, hold outputs in the order in which the `unpack`
/// instructions leave them that interleave 64 bytes (4) or 32 words (2), and that
/// packing undoes: 128-bit lane l of register n holds outputs `4 * (U * l + n)..` of
/// the `16 * U` that the registers hold.
pub(crate) struct Columns<'a, const N: usize, const U: usize = 1> {
    finish: &'a Finish<'a>,
    first: usize,
    /// Outputs that there are.
    mask: u64,
    /// Rows that the registers are shared by: 1, 2 or 4.
    copies: usize,
    scale: [__m512; N],
    bias: [__m512; N],
    /// Whether `low` and `high` are all that the activation does.
    bounded: bool,
    /// The bounds of an f32 output, where these are all that the activation is.
    clip: Option<[f32; 2]>,
    inverse_scale: __m512,
    bound: __m512,
    /// 64 bytes, or 32 words where the output is i16.
    low: __m512i,
    high: __m512i,
}

/// Where the outputs of `N` registers go, in the order of the output.
#[derive(Clone, Copy)]
pub(crate) struct Place<const N: usize> {
    /// Index in `y` of each register's first output.
    pub(crate) at: [usize; N],
    /// Outputs that are written, register 0's in the lowest 16 bits.
    pub(crate) mask: u64,
}

impl<'a, const N: usize, const U: usize> Columns<'a, N, U> {
    /// Outputs `first..first + N * 16`, or as many of them as `left` says.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    pub(crate) fn new(finish: &'a Finish<'a>, first: usize, left: usize) -> Self {
        let count = left.min(N * LANES);
        let of = |values: &[f32]| load(&values[first..first + count]);
        let (scale, bias) = (finish.w_scale.map(of), finish.bias.map(of));
        let mut columns = Self::with(finish, first, scale, bias);
        columns.mask = mask(count);
        columns
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    fn with(
        finish: &'a Finish<'a>,
        first: usize,
        w_scale: Option<[__m512; N]>,
        values: Option<[__m512; N]>,
    ) -> Self {
        const { assert!(matches!(N, 1 | 2 | 4) && matches!(U, 1 | 2 | 4) && U <= N) };
        let mut scale = [_mm512_set1_ps(finish.x_scale); N];
        if let Some(w_scale) = w_scale {
            for (scale, w_scale) in scale.iter_mut().zip(w_scale) {
                *scale = _mm512_mul_ps(*scale, w_scale);
            }
        }
        // Changes no value when it is added.
        let mut bias = [_mm512_set1_ps(-0.0); N];
        if let Some(values) = values {
            for (bias, value) in bias.iter_mut().zip(values) {
                *bias = _mm512_mul_ps(value, _mm512_set1_ps(finish.unit));
            }
        }
        unpack::<N, U>(&mut scale);
        unpack::<N, U>(&mut bias);
        let bounds = finish.bounds();
        let (low, high) = bounds.unwrap_or((-finish.qmax, finish.qmax));
        let splat = |value: i32| match finish.y {
            Out::I8(_) => _mm512_set1_epi8(value as i8),
            _ => _mm512_set1_epi16(value as i16),
        };
        Columns {
            finish,
            first,
            mask: mask(N * LANES),
            copies: 1,
            scale,
            bias,
            bounded: bounds.is_some(),
            clip: finish.clip(),
            inverse_scale: _mm512_set1_ps(finish.inverse_scale),
            bound: _mm512_set1_ps(high as f32),
            low: splat(low),
            high: splat(high),
        }
    }

    /// Registers that have outputs.
    pub(crate) fn registers(&self) -> usize {
        (u64::BITS - self.mask.leading_zeros()).div_ceil(LANES as u32) as usize
    }

    /// Several rows, the sums of which begin `stride` elements after each other.
    /// Tells how many outputs a row has.
    ///
    /// # Safety
    ///
    /// As for [`x86_avx512_rows`](Finish::x86_avx512_rows).
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(crate) unsafe fn rows<const INTEGER: bool>(
        &self,
        rows: Range<usize>,
        sums: *const i32,
        stride: usize,
    ) -> usize {
        // SAFETY: the caller's promises.
        unsafe {
            let common = match self.finish.common() {
                Some(kind) if N == 4 => {
                    let rows = || rows.clone();
                    common!(kind, true, C => self.each::<C, INTEGER>(rows(), sums, stride))
                        || common!(kind, false, C => self.each::<C, INTEGER>(rows(), sums, stride))
                }
                _ => false,
            };
            if !common {
                for (r, row) in rows.enumerate() {
                    let sums = sums.wrapping_add(r * stride);
                    self.row(row, self.load_row::<INTEGER>(sums));
                }
            }
        }
        self.mask.count_ones() as usize
    }

    /// As [`rows`](Self::rows), with the epilogue known when compiling.
    ///
    /// # Safety
    ///
    /// As for [`rows`](Self::rows) and [`common_row`](Self::common_row).
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn each<C: Common, const INTEGER: bool>(
        &self,
        rows: Range<usize>,
        sums: *const i32,
        stride: usize,
    ) {
        for (r, row) in rows.enumerate() {
            let sums = sums.wrapping_add(r * stride);
            // SAFETY: the caller's promises.
            unsafe { self.common_row::<C>(row, self.load_row::<INTEGER>(sums)) };
        }
    }

    /// The sums of a row.
    ///
    /// # Safety
    ///
    /// They are there.
    #[target_feature(enable = "avx512f")]
    #[inline]
    unsafe fn load_row<const INTEGER: bool>(&self, sums: *const i32) -> [__m512; N] {
        let mut t = [_mm512_setzero_ps(); N];
        for (n, t) in t.iter_mut().enumerate() {
            let sums = sums.wrapping_add(n * LANES);
            // SAFETY: the caller's promise; the mask has no more than the outputs.
            let sums = unsafe { _mm512_maskz_loadu_epi32(lanes(self.mask, n), sums) };
            *t = if INTEGER {
                _mm512_cvtepi32_ps(sums)
            } else {
                _mm512_castsi512_ps(sums)
            };
        }
        t
    }

    /// Where a row's outputs go.
    #[inline(always)]
    fn place(&self, row: usize) -> Place<N> {
        let at = row * self.finish.outputs + self.first;
        Place {
            at: core::array::from_fn(|n| at + n * LANES),
            mask: self.mask,
        }
    }

    /// One row.
    ///
    /// # Safety
    ///
    /// The CPU has AVX-512 F, BW and VL; `row` and the outputs lie in `y`, and no
    /// other task has these elements of it. The columns are of one row.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    pub(crate) unsafe fn row(&self, row: usize, mut t: [__m512; N]) {
        self.scale(&mut t);
        // SAFETY: the caller's promises.
        unsafe { self.others(&self.place(row), t) };
    }

    /// What follows scale and bias.
    ///
    /// # Safety
    ///
    /// As for [`line`](Self::line).
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    unsafe fn others(&self, place: &Place<N>, mut t: [__m512; N]) {
        let finish = self.finish;
        pack::<N, U>(&mut t);
        if let Some(Residual { values, scale }) = &finish.residual {
            // SAFETY: the residual is as long as `y`.
            unsafe {
                match values {
                    View::F32(r) => add_f32(&mut t, r.as_ptr(), place, *scale),
                    View::I16(r) => add_i16(&mut t, r.as_ptr(), place, *scale),
                    View::I8(r) => add_i8(&mut t, r.as_ptr(), place, *scale),
                    _ => {}
                }
            }
        }
        if !self.bounded || matches!(finish.y, Out::F32(_)) {
            activate(&finish.activation, &mut t);
        }
        // SAFETY: the caller's promises.
        unsafe {
            match &finish.y {
                Out::F32(y) => {
                    store_f32(place.at.map(|at| y.start().wrapping_add(at)), place.mask, t)
                }
                Out::I16(y) => self.store_i16(y.start(), place, t),
                Out::I8(y) => self.store_i8(y.start(), place, t),
            }
        }
    }

    /// As [`row`](Self::row), for a [`Common`] epilogue: nothing is left to decide
    /// where rows are finished one by one in registers.
    ///
    /// # Safety
    ///
    /// As for [`row`](Self::row); `C` is what [`common`](Finish::common) says.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    pub(crate) unsafe fn common_row<C: Common>(&self, row: usize, mut t: [__m512; N]) {
        let place = &self.place(row);
        self.scale(&mut t);
        pack::<N, U>(&mut t);
        if C::RESIDUAL
            && let Some(Residual { values, scale }) = &self.finish.residual
        {
            // SAFETY: the residual is as long as `y`.
            unsafe {
                match values {
                    View::I8(r) if C::I8 => add_i8(&mut t, r.as_ptr(), place, *scale),
                    View::F32(r) if !C::I8 => add_f32(&mut t, r.as_ptr(), place, *scale),
                    _ => {}
                }
            }
        }
        // SAFETY: the caller's promises.
        unsafe {
            match &self.finish.y {
                Out::I8(y) if C::I8 => self.store_i8(y.start(), place, t),
                Out::F32(y) if !C::I8 => {
                    match C::ACTIVATION {
                        RELU => relu(&mut t),
                        CLIP => {
                            let Unary { alpha, beta, .. } = self.finish.activation;
                            bound(&mut t, alpha, beta);
                        }
                        _ => {}
                    }
                    store_f32(place.at.map(|at| y.start().wrapping_add(at)), place.mask, t);
                }
                _ => {}
            }
        }
    }

    /// Scale and bias.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn scale(&self, t: &mut [__m512; N]) {
        for (n, t) in t.iter_mut().enumerate() {
            *t = _mm512_add_ps(_mm512_mul_ps(*t, self.scale[n]), self.bias[n]);
        }
    }
}

/// The first `count` of 64.
#[inline(always)]
fn mask(count: usize) -> u64 {
    match count {
        0 => 0,
        count => u64::MAX >> (64 - count.min(64)),
    }
}

/// The lanes of register n.
#[inline(always)]
fn lanes(mask: u64, n: usize) -> __mmask16 {
    (mask >> (n * LANES)) as __mmask16
}

/// At most `N * 16` values, then zeros.
#[target_feature(enable = "avx512f")]
#[inline]
fn load<const N: usize>(values: &[f32]) -> [__m512; N] {
    let mask = mask(values.len());
    let mut t = [_mm512_setzero_ps(); N];
    for (n, t) in t.iter_mut().enumerate() {
        let from = values.as_ptr().wrapping_add(n * LANES);
        // SAFETY: the mask has as many bits as there are values.
        *t = unsafe { _mm512_maskz_loadu_ps(lanes(mask, n), from) };
    }
    t
}

#[target_feature(enable = "avx512f")]
#[inline]
fn activate<const N: usize>(activation: &Unary, t: &mut [__m512; N]) {
    match activation.kind {
        UnaryKind::Identity => {}
        UnaryKind::Relu => relu(t),
        UnaryKind::Clip => bound(t, activation.alpha, activation.beta),
        _ => activate_slowly(activation, t),
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn relu(t: &mut [__m512]) {
    for t in t {
        // The second operand is the result where the first is NaN.
        *t = _mm512_max_ps(*t, _mm512_setzero_ps());
    }
}

/// At least `low`, which a NaN becomes, and at most `high`.
#[target_feature(enable = "avx512f")]
#[inline]
fn bound(t: &mut [__m512], low: f32, high: f32) {
    // The second operand is the result where the first is NaN.
    let (low, high) = (_mm512_set1_ps(low), _mm512_set1_ps(high));
    for t in t {
        *t = _mm512_min_ps(_mm512_max_ps(*t, low), high);
    }
}

/// An activation that is a function of its own.
#[target_feature(enable = "avx512f")]
#[inline(never)]
fn activate_slowly(activation: &Unary, t: &mut [__m512]) {
    for t in t {
        let (mut before, mut after) = ([0.0; LANES], [0.0; LANES]);
        // SAFETY: 16 floats, of both.
        unsafe {
            _mm512_storeu_ps(before.as_mut_ptr(), *t);
            eltwise::unary(activation, &before, &mut after);
            *t = _mm512_loadu_ps(after.as_ptr());
        }
    }
}

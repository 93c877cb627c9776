//! The epilogue eight outputs at a time. The same operations in the same order
//! as [`Finish::scalar`], none of them fused, so the results are the same bits.

use super::{Finish, Out, Residual};
use crate::View;
use crate::eltwise::{Unary, UnaryKind, x86_avx2 as eltwise};
use core::arch::x86_64::*;
use core::ops::Range;

mod floats;
mod line;
mod packed;

pub(crate) use floats::FloatRows;
pub(crate) use line::{Line, Lines};
pub(crate) use packed::PackedRows;

/// Lanes of a register.
const LANES: usize = 8;

impl Finish<'_> {
    /// [`scalar`](Self::scalar) for several rows, the sums of which begin
    /// `stride` floats after each other.
    ///
    /// # Safety
    ///
    /// The CPU has AVX2, `sums` has every row's outputs, and no other task has
    /// these elements of `y`.
    #[target_feature(enable = "avx2")]
    pub(crate) unsafe fn x86_avx2_rows(
        &self,
        rows: Range<usize>,
        outputs: Range<usize>,
        sums: *mut f32,
        stride: usize,
    ) {
        let mut done = 0;
        // SAFETY: the caller's promises, for the part of the outputs that each
        // call is given.
        unsafe {
            while outputs.len() - done >= 2 * LANES {
                let columns = Columns::<2>::new(self, outputs.start + done);
                columns.rows(rows.clone(), sums.add(done), stride);
                done += 2 * LANES;
            }
            if outputs.len() - done >= LANES {
                let columns = Columns::<1>::new(self, outputs.start + done);
                columns.rows(rows.clone(), sums.add(done), stride);
                done += LANES;
            }
            if done < outputs.len() {
                for (r, row) in rows.enumerate() {
                    let rest = sums.add(r * stride + done);
                    let rest = core::slice::from_raw_parts_mut(rest, outputs.len() - done);
                    self.scalar(row, outputs.start + done, rest);
                }
            }
        }
    }
}

/// An epilogue that layers often have, known when compiling: to i8 (`I8`) or f32,
/// with a residual of the output's type or none, and one of the activations below.
pub(crate) struct Known<const I8: bool, const RESIDUAL: bool, const ACTIVATION: u8>;

pub(crate) const IDENTITY: u8 = 0;
pub(crate) const RELU: u8 = 1;
pub(crate) const CLIP: u8 = 2;

/// A [`Known`] epilogue.
pub(crate) trait Common {
    const I8: bool;
    const RESIDUAL: bool;
    const ACTIVATION: u8;
}

impl<const I: bool, const R: bool, const A: u8> Common for Known<I, R, A> {
    const I8: bool = I;
    const RESIDUAL: bool = R;
    const ACTIVATION: u8 = A;
}

/// Evaluates `$call` with `$type` as the [`Known`] epilogue of this kind, if it
/// is one with an output of i8 or f32 as `$i8` says; tells whether it is.
macro_rules! common {
    ($kind:expr, $i8:literal, $type:ident => $call:expr) => {{
        use $crate::eltwise::UnaryKind;
        use $crate::epilogue::{CLIP, IDENTITY, Known, RELU};
        let kind = $kind;
        match (kind.residual, kind.activation) {
            _ if kind.i8 != $i8 => false,
            (false, UnaryKind::Identity) => {
                type $type = Known<$i8, false, IDENTITY>;
                $call;
                true
            }
            (false, UnaryKind::Relu) => {
                type $type = Known<$i8, false, RELU>;
                $call;
                true
            }
            (false, UnaryKind::Clip) => {
                type $type = Known<$i8, false, CLIP>;
                $call;
                true
            }
            (true, UnaryKind::Identity) => {
                type $type = Known<$i8, true, IDENTITY>;
                $call;
                true
            }
            (true, UnaryKind::Relu) => {
                type $type = Known<$i8, true, RELU>;
                $call;
                true
            }
            _ => false,
        }
    }};
}
pub(crate) use common;

/// What [`Finish::common`] found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct CommonKind {
    pub(crate) i8: bool,
    pub(crate) residual: bool,
    pub(crate) activation: UnaryKind,
}

impl Finish<'_> {
    /// The [`Common`] epilogue that this is, if it is one.
    pub(crate) fn common(&self) -> Option<CommonKind> {
        let i8 = match &self.y {
            Out::I8(_) if self.bounds().is_some() => true,
            Out::F32(_) => false,
            _ => return None,
        };
        let residual = match self.residual.map(|r| r.values) {
            None => false,
            Some(View::I8(_)) if i8 => true,
            Some(View::F32(_)) if !i8 => true,
            Some(_) => return None,
        };
        Some(CommonKind {
            i8,
            residual,
            activation: self.activation.kind,
        })
    }
}

/// The epilogue of `N` registers of outputs, with all that is the same for every
/// row.
pub(crate) struct Columns<'a, const N: usize> {
    finish: &'a Finish<'a>,
    first: usize,
    scale: [__m256; N],
    bias: [__m256; N],
    residual_scale: __m256,
    inverse_scale: __m256,
    bound: __m256,
}

impl<'a, const N: usize> Columns<'a, N> {
    /// Outputs `first..first + N * 8`.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(crate) fn new(finish: &'a Finish<'a>, first: usize) -> Self {
        let mut scale = [_mm256_set1_ps(finish.x_scale); N];
        // Changes no value when it is added.
        let mut bias = [_mm256_set1_ps(-0.0); N];
        for n in 0..N {
            if let Some(w_scale) = finish.w_scale {
                scale[n] = _mm256_mul_ps(scale[n], load(&w_scale[first + n * LANES..]));
            }
            if let Some(values) = finish.bias {
                let unit = _mm256_set1_ps(finish.unit);
                bias[n] = _mm256_mul_ps(load(&values[first + n * LANES..]), unit);
            }
        }
        let residual_scale = finish.residual.map_or(1.0, |r| r.scale);
        Columns {
            finish,
            first,
            scale,
            bias,
            residual_scale: _mm256_set1_ps(residual_scale),
            inverse_scale: _mm256_set1_ps(finish.inverse_scale),
            bound: _mm256_set1_ps(finish.qmax as f32),
        }
    }

    /// Several rows, the sums of which begin `stride` floats after each other.
    ///
    /// # Safety
    ///
    /// The CPU has AVX2, `sums` has `N * 8` of every row, and no other task has
    /// these elements of `y`.
    #[target_feature(enable = "avx2")]
    unsafe fn rows(&self, rows: Range<usize>, sums: *const f32, stride: usize) {
        // SAFETY: the caller's promises.
        unsafe {
            if N == 2
                && let Some(kind) = self.finish.common()
                && (common!(kind, true, C => self.each::<C>(rows.clone(), sums, stride))
                    || common!(kind, false, C => self.each::<C>(rows.clone(), sums, stride)))
            {
                return;
            }
            for (r, row) in rows.enumerate() {
                self.row(row, load_row(sums.add(r * stride)));
            }
        }
    }

    /// As [`rows`](Self::rows), with the epilogue known when compiling.
    ///
    /// # Safety
    ///
    /// As for [`rows`](Self::rows) and [`common_row`](Self::common_row).
    #[target_feature(enable = "avx2")]
    unsafe fn each<C: Common>(&self, rows: Range<usize>, sums: *const f32, stride: usize) {
        for (r, row) in rows.enumerate() {
            // SAFETY: the caller's promises.
            unsafe { self.common_row::<C>(row, load_row(sums.add(r * stride))) };
        }
    }

    /// One row.
    ///
    /// # Safety
    ///
    /// The CPU has AVX2, and no other task has these elements of `y`.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(crate) unsafe fn row(&self, row: usize, t: [__m256; N]) {
        // SAFETY: the caller's promise.
        unsafe { self.outputs(row * self.finish.outputs + self.first, t) };
    }

    /// As [`row`](Self::row), of the row's outputs whose index in `y` is `at`.
    ///
    /// # Safety
    ///
    /// As for [`row`](Self::row).
    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn outputs(&self, at: usize, mut t: [__m256; N]) {
        let finish = self.finish;
        for (n, t) in t.iter_mut().enumerate() {
            *t = _mm256_mul_ps(*t, self.scale[n]);
            *t = _mm256_add_ps(*t, self.bias[n]);
        }
        if let Some(Residual { values, .. }) = &finish.residual {
            for (n, t) in t.iter_mut().enumerate() {
                let at = at + n * LANES;
                let r = match values {
                    View::F32(r) => load(&r[at..]),
                    View::I16(r) => load_i16(&r[at..]),
                    View::I8(r) => load_i8(&r[at..]),
                    _ => _mm256_setzero_ps(),
                };
                *t = _mm256_add_ps(*t, _mm256_mul_ps(r, self.residual_scale));
            }
        }
        activate(&finish.activation, &mut t);
        // SAFETY: the caller promises that these elements are its own.
        match &finish.y {
            Out::F32(y) => {
                let y = unsafe { y.part(at..at + N * LANES) };
                for (t, y) in t.iter().zip(y.as_chunks_mut::<LANES>().0) {
                    // SAFETY: eight floats.
                    unsafe { _mm256_storeu_ps(y.as_mut_ptr(), *t) };
                }
            }
            Out::I16(y) => {
                let y = unsafe { y.part(at..at + N * LANES) };
                for (t, y) in t.iter().zip(y.as_chunks_mut::<LANES>().0) {
                    let words = words(self.quantise(*t));
                    // SAFETY: eight 16-bit integers.
                    unsafe { _mm_storeu_si128(y.as_mut_ptr().cast(), words) };
                }
            }
            Out::I8(y) => {
                let y = unsafe { y.part(at..at + N * LANES) };
                for (t, y) in t.as_chunks::<2>().0.iter().zip(y.as_chunks_mut::<16>().0) {
                    let bytes =
                        _mm_packs_epi16(words(self.quantise(t[0])), words(self.quantise(t[1])));
                    // SAFETY: 16 bytes.
                    unsafe { _mm_storeu_si128(y.as_mut_ptr().cast(), bytes) };
                }
                if let ([t], Some(y)) = (t.as_chunks::<2>().1, y.last_chunk_mut::<LANES>()) {
                    let words = words(self.quantise(*t));
                    // SAFETY: eight bytes.
                    unsafe {
                        _mm_storel_epi64(y.as_mut_ptr().cast(), _mm_packs_epi16(words, words));
                    }
                }
            }
        }
    }

    /// As [`row`](Self::row), for a [`Common`] epilogue: nothing is left to decide
    /// where rows are finished one by one in registers.
    ///
    /// # Safety
    ///
    /// As for [`row`](Self::row); the row's outputs lie in `y`, and `C` is what
    /// [`common`](Finish::common) says.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(crate) unsafe fn common_row<C: Common>(&self, row: usize, mut t: [__m256; N]) {
        let finish = self.finish;
        let at = row * finish.outputs + self.first;
        for (n, t) in t.iter_mut().enumerate() {
            *t = _mm256_mul_ps(*t, self.scale[n]);
            *t = _mm256_add_ps(*t, self.bias[n]);
            if C::RESIDUAL {
                let at = at + n * LANES;
                let r = match finish.residual {
                    Some(Residual {
                        values: View::I8(r),
                        ..
                    }) if C::I8 => {
                        // SAFETY: the residual is as long as `y`.
                        let bytes = unsafe { _mm_loadl_epi64(r.as_ptr().add(at).cast()) };
                        let r = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
                        _mm256_mul_ps(r, self.residual_scale)
                    }
                    // SAFETY: as above.
                    Some(Residual {
                        values: View::F32(r),
                        ..
                    }) => unsafe { _mm256_loadu_ps(r.as_ptr().add(at)) },
                    _ => _mm256_setzero_ps(),
                };
                *t = _mm256_add_ps(*t, r);
            }
            match C::ACTIVATION {
                RELU => *t = _mm256_max_ps(*t, _mm256_setzero_ps()),
                CLIP => {
                    let low = _mm256_set1_ps(finish.activation.alpha);
                    let high = _mm256_set1_ps(finish.activation.beta);
                    *t = _mm256_min_ps(_mm256_max_ps(*t, low), high);
                }
                _ => {}
            }
        }
        match &finish.y {
            Out::I8(y) if C::I8 => {
                for n in (0..N / 2 * 2).step_by(2) {
                    let bytes =
                        _mm_packs_epi16(words(self.bounded(t[n])), words(self.bounded(t[n + 1])));
                    // SAFETY: the caller promises that these elements are its own.
                    unsafe { _mm_storeu_si128(y.start().add(at + n * LANES).cast(), bytes) };
                }
            }
            Out::F32(y) => {
                for (n, t) in t.iter().enumerate() {
                    // SAFETY: as above.
                    unsafe { _mm256_storeu_ps(y.start().add(at + n * LANES), *t) };
                }
            }
            _ => {}
        }
    }

    /// [`quantize_one`](crate::quantize::quantize_one) of each lane.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn quantise(&self, t: __m256) -> __m256i {
        self.bounded(_mm256_mul_ps(t, self.inverse_scale))
    }

    /// As [`quantise`](Self::quantise), of what is scaled already.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn bounded(&self, t: __m256) -> __m256i {
        // The second operand is the result where the first is NaN.
        let t = _mm256_max_ps(t, _mm256_sub_ps(_mm256_setzero_ps(), self.bound));
        _mm256_cvtps_epi32(_mm256_min_ps(t, self.bound))
    }
}

/// `N` registers of sums.
///
/// # Safety
///
/// They are there.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn load_row<const N: usize>(sums: *const f32) -> [__m256; N] {
    let mut t = [_mm256_setzero_ps(); N];
    for (n, t) in t.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        *t = unsafe { _mm256_loadu_ps(sums.add(n * LANES)) };
    }
    t
}

/// Eight i32 in the range of an i16.
#[target_feature(enable = "avx2")]
#[inline]
fn words(q: __m256i) -> __m128i {
    _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1))
}

#[target_feature(enable = "avx2")]
#[inline]
fn activate<const N: usize>(activation: &Unary, t: &mut [__m256; N]) {
    let zero = _mm256_setzero_ps();
    match activation.kind {
        UnaryKind::Identity => {}
        UnaryKind::Relu => {
            for t in t {
                *t = _mm256_max_ps(*t, zero);
            }
        }
        UnaryKind::Clip => {
            let (low, high) = (
                _mm256_set1_ps(activation.alpha),
                _mm256_set1_ps(activation.beta),
            );
            for t in t {
                *t = _mm256_min_ps(_mm256_max_ps(*t, low), high);
            }
        }
        _ => {
            for t in t {
                *t = activate_slowly(activation, *t);
            }
        }
    }
}

/// An activation that is a function of its own.
#[target_feature(enable = "avx2")]
fn activate_slowly(activation: &Unary, t: __m256) -> __m256 {
    let (mut before, mut after) = ([0.0; LANES], [0.0; LANES]);
    // SAFETY: eight floats.
    unsafe { _mm256_storeu_ps(before.as_mut_ptr(), t) };
    eltwise::unary(activation, &before, &mut after);
    load(&after)
}

/// The first eight values; zeros where there are fewer.
#[target_feature(enable = "avx2")]
#[inline]
fn load(values: &[f32]) -> __m256 {
    match values.first_chunk::<LANES>() {
        // SAFETY: eight floats.
        Some(values) => unsafe { _mm256_loadu_ps(values.as_ptr()) },
        None => _mm256_setzero_ps(),
    }
}

/// As [`load`], converted.
#[target_feature(enable = "avx2")]
#[inline]
fn load_i16(values: &[i16]) -> __m256 {
    match values.first_chunk::<LANES>() {
        Some(values) => {
            // SAFETY: eight 16-bit integers.
            let words = unsafe { _mm_loadu_si128(values.as_ptr().cast()) };
            _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(words))
        }
        None => _mm256_setzero_ps(),
    }
}

/// As [`load`], converted.
#[target_feature(enable = "avx2")]
#[inline]
fn load_i8(values: &[i8]) -> __m256 {
    match values.first_chunk::<LANES>() {
        Some(values) => {
            // SAFETY: eight bytes.
            let bytes = unsafe { _mm_loadl_epi64(values.as_ptr().cast()) };
            _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes))
        }
        None => _mm256_setzero_ps(),
    }
}

//! The epilogue in registers of 512 bits, several of them at a time. The same
//! bits as [`Finish::scalar`]; what differs is where values are bounded:
//!
//! ```text
//! i8 and i16 outputs, q(t) = round_half_even(clamp(t * inverse_scale, -qmax, qmax))
//!     activation known to be low..high of q    ([`Finish::bounds`])
//!         q = round(min(high, t * inverse_scale))     NaN stays, and becomes i32::MIN
//!         q = max(low, saturate(q))                   i8 or i16, after packing
//!     otherwise
//!         activation on f32, then the same with -qmax..qmax
//! f32 outputs
//!         activation on f32
//! ```
//!
//! Rounding never puts two values out of order and leaves integers as they are, so
//! it can change places with a bound that is an integer. Sums below -2^31 round to
//! i32::MIN as NaN does, which packing saturates below every `low`.
//!
//! An absent bias is -0.0, which changes no value when it is added.

use super::{CLIP, Common, Finish, Out, RELU, Residual, common};
use crate::View;
use crate::eltwise::{Unary, UnaryKind, x86_avx2 as eltwise};
use core::arch::x86_64::*;
use core::ops::Range;

/// Lanes of a register.
pub(crate) const LANES: usize = 16;

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

/// The epilogue of at most `N` registers of outputs, with all that is the same for
/// every row. `N` is 1, 2 or 4.
///
/// Register n of a row's sums holds outputs `16 * n..16 * n + 16`, or, where
/// `UNPACKED`, its 128-bit lane l holds outputs `16 * l + 4 * n..16 * l + 4 * n +
/// 4`: the order in which `vpunpcklbw` and `vpunpckhbw`, then `vpunpcklwd` and
/// `vpunpckhwd` leave 64 bytes. `N` is 4 there.
pub(crate) struct Columns<'a, const N: usize, const UNPACKED: bool = false> {
    finish: &'a Finish<'a>,
    first: usize,
    /// Outputs that there are.
    mask: u64,
    scale: [__m512; N],
    bias: [__m512; N],
    /// Whether `low` and `high` are all that the activation does.
    bounded: bool,
    inverse_scale: __m512,
    high: __m512,
    /// 64 bytes, or 32 words where the output is i16.
    low: __m512i,
}

impl<'a, const N: usize, const UNPACKED: bool> Columns<'a, N, UNPACKED> {
    /// Outputs `first..first + N * 16`, or as many of them as `left` says.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    pub(crate) fn new(finish: &'a Finish<'a>, first: usize, left: usize) -> Self {
        const { assert!(matches!(N, 1 | 2 | 4) && (N == 4 || !UNPACKED)) };
        let count = left.min(N * LANES);
        let of = |values: &[f32]| load(&values[first..first + count]);
        let x_scale = _mm512_set1_ps(finish.x_scale);
        let mut scale = [x_scale; N];
        if let Some(w_scale) = finish.w_scale {
            scale = of(w_scale).map(|w_scale| _mm512_mul_ps(x_scale, w_scale));
        }
        let mut bias = finish.bias.map_or([_mm512_set1_ps(-0.0); N], of);
        if UNPACKED {
            transpose(&mut scale);
            transpose(&mut bias);
        }
        let bounds = finish.bounds();
        let (low, high) = bounds.unwrap_or((-finish.qmax, finish.qmax));
        Columns {
            finish,
            first,
            mask: mask(count),
            scale,
            bias,
            bounded: bounds.is_some(),
            inverse_scale: _mm512_set1_ps(finish.inverse_scale),
            high: _mm512_set1_ps(high as f32),
            low: match finish.y {
                Out::I8(_) => _mm512_set1_epi8(low as i8),
                _ => _mm512_set1_epi16(low as i16),
            },
        }
    }

    /// Several rows, the sums of which begin `stride` elements after each other.
    /// Tells how many outputs a row has.
    ///
    /// # Safety
    ///
    /// As for [`x86_avx512_rows`](Finish::x86_avx512_rows).
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn rows<const INTEGER: bool>(
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
            let sums = unsafe { _mm512_maskz_loadu_epi32(self.lanes(n), sums) };
            *t = if INTEGER {
                _mm512_cvtepi32_ps(sums)
            } else {
                _mm512_castsi512_ps(sums)
            };
        }
        t
    }

    /// One row.
    ///
    /// # Safety
    ///
    /// The CPU has AVX-512 F, BW and VL; `row` and the outputs lie in `y`, and no
    /// other task has these elements of it.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    pub(crate) unsafe fn row(&self, row: usize, mut t: [__m512; N]) {
        let finish = self.finish;
        let at = row * finish.outputs + self.first;
        self.scale(&mut t);
        let quantised = !matches!(finish.y, Out::F32(_));
        let bytes = matches!(finish.y, Out::I8(_));
        let plain = self.bounded && bytes && finish.residual.is_none();
        if UNPACKED && !plain {
            transpose(&mut t);
        }
        if let Some(Residual { values, scale }) = &finish.residual {
            // SAFETY: the residual is as long as `y`, in which the row lies.
            unsafe { self.add_residual(&mut t, values, *scale, at) };
        }
        if !(quantised && self.bounded) {
            activate(&finish.activation, &mut t);
        }
        // SAFETY: the caller's promises.
        unsafe {
            match &finish.y {
                Out::F32(y) => self.store_f32(y.start().add(at), t),
                Out::I16(y) => self.store_i16(y.start().add(at), t),
                Out::I8(y) if UNPACKED && plain => self.store_i8::<true>(y.start().add(at), t),
                Out::I8(y) => self.store_i8::<false>(y.start().add(at), t),
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
        let finish = self.finish;
        let at = row * finish.outputs + self.first;
        self.scale(&mut t);
        let plain = C::I8 && !C::RESIDUAL;
        if UNPACKED && !plain {
            transpose(&mut t);
        }
        if C::RESIDUAL
            && let Some(Residual { values, scale }) = &finish.residual
        {
            // SAFETY: the residual is as long as `y`, in which the row lies.
            unsafe {
                match values {
                    View::I8(r) if C::I8 => self.add_i8(&mut t, r.as_ptr().add(at), *scale),
                    View::F32(r) if !C::I8 => self.add_f32(&mut t, r.as_ptr().add(at)),
                    _ => {}
                }
            }
        }
        // SAFETY: the caller's promises.
        unsafe {
            match &finish.y {
                Out::I8(y) if C::I8 && UNPACKED && plain => {
                    self.store_i8::<true>(y.start().add(at), t);
                }
                Out::I8(y) if C::I8 => self.store_i8::<false>(y.start().add(at), t),
                Out::F32(y) if !C::I8 => {
                    match C::ACTIVATION {
                        RELU => relu(&mut t),
                        CLIP => clip(&finish.activation, &mut t),
                        _ => {}
                    }
                    self.store_f32(y.start().add(at), t);
                }
                _ => {}
            }
        }
    }

    /// The lanes of register n that are outputs.
    #[inline(always)]
    fn lanes(&self, n: usize) -> __mmask16 {
        (self.mask >> (n * LANES)) as __mmask16
    }

    /// Scale and bias.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn scale(&self, t: &mut [__m512; N]) {
        for (n, t) in t.iter_mut().enumerate() {
            *t = _mm512_add_ps(_mm512_mul_ps(*t, self.scale[n]), self.bias[n]);
        }
    }

    /// # Safety
    ///
    /// The residual has a row's outputs at `at`.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    unsafe fn add_residual(&self, t: &mut [__m512; N], values: &View<'_>, scale: f32, at: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            match values {
                View::F32(r) => self.add_f32(t, r.as_ptr().add(at)),
                View::I16(r) => self.add_i16(t, r.as_ptr().add(at), scale),
                View::I8(r) => self.add_i8(t, r.as_ptr().add(at), scale),
                _ => {}
            }
        }
    }

    /// # Safety
    ///
    /// A row's outputs are there.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    unsafe fn add_f32(&self, t: &mut [__m512; N], residual: *const f32) {
        for (n, t) in t.iter_mut().enumerate() {
            let from = residual.wrapping_add(n * LANES);
            // SAFETY: the caller's promise.
            let r = unsafe { _mm512_maskz_loadu_ps(self.lanes(n), from) };
            *t = _mm512_add_ps(*t, r);
        }
    }

    /// # Safety
    ///
    /// A row's outputs are there.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    unsafe fn add_i16(&self, t: &mut [__m512; N], residual: *const i16, scale: f32) {
        let scale = _mm512_set1_ps(scale);
        for (n, t) in t.iter_mut().enumerate() {
            let from = residual.wrapping_add(n * LANES);
            // SAFETY: the caller's promise.
            let r = unsafe { _mm256_maskz_loadu_epi16(self.lanes(n), from) };
            let r = _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(r));
            *t = _mm512_add_ps(*t, _mm512_mul_ps(r, scale));
        }
    }

    /// # Safety
    ///
    /// A row's outputs are there.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    unsafe fn add_i8(&self, t: &mut [__m512; N], residual: *const i8, scale: f32) {
        let scale = _mm512_set1_ps(scale);
        for (n, t) in t.iter_mut().enumerate() {
            let from = residual.wrapping_add(n * LANES);
            // SAFETY: the caller's promise.
            let r = unsafe { _mm_maskz_loadu_epi8(self.lanes(n), from) };
            let r = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(r));
            *t = _mm512_add_ps(*t, _mm512_mul_ps(r, scale));
        }
    }

    /// # Safety
    ///
    /// There is room for a row's outputs, to the end of the block.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    unsafe fn store_f32(&self, y: *mut f32, t: [__m512; N]) {
        for (n, t) in t.into_iter().enumerate() {
            let to = y.wrapping_add(n * LANES);
            // SAFETY: the caller's promise.
            unsafe { _mm512_mask_storeu_ps(to, self.lanes(n), t) };
        }
    }

    /// # Safety
    ///
    /// As for [`store_f32`](Self::store_f32).
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    unsafe fn store_i16(&self, y: *mut i16, t: [__m512; N]) {
        // Packing leaves eight bytes of either register in each 128 bits.
        let order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
        let q = self.integers(t);
        for n in (0..N).step_by(2) {
            let words = _mm512_packs_epi32(q[n], q[(n + 1) % N]);
            let words = _mm512_max_epi16(words, self.low);
            let words = _mm512_permutexvar_epi64(order, words);
            let to = y.wrapping_add(n * LANES);
            let mask = (self.mask >> (n * LANES)) as __mmask32;
            // SAFETY: the caller's promise.
            unsafe { _mm512_mask_storeu_epi16(to, mask, words) };
        }
    }

    /// The sums' order is the unpacked one where `IN_ORDER`, otherwise the natural
    /// one.
    ///
    /// # Safety
    ///
    /// As for [`store_f32`](Self::store_f32).
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    unsafe fn store_i8<const IN_ORDER: bool>(&self, y: *mut i8, t: [__m512; N]) {
        // Packing leaves four bytes of every register in each 128 bits.
        let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        let q = self.integers(t);
        let low = _mm512_packs_epi32(q[0], q[1 % N]);
        let high = _mm512_packs_epi32(q[2 % N], q[3 % N]);
        let mut bytes = _mm512_max_epi8(_mm512_packs_epi16(low, high), self.low);
        if !IN_ORDER {
            bytes = _mm512_permutexvar_epi32(order, bytes);
        }
        // SAFETY: the caller's promise.
        unsafe {
            match N {
                1 => {
                    let bytes = _mm512_castsi512_si128(bytes);
                    _mm_mask_storeu_epi8(y, self.mask as __mmask16, bytes);
                }
                2 => {
                    let bytes = _mm512_castsi512_si256(bytes);
                    _mm256_mask_storeu_epi8(y, self.mask as __mmask32, bytes);
                }
                _ => _mm512_mask_storeu_epi8(y, self.mask, bytes),
            }
        }
    }

    /// Scaled, bounded above, and rounded.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn integers(&self, t: [__m512; N]) -> [__m512i; N] {
        let mut q = [_mm512_setzero_si512(); N];
        for (q, t) in q.iter_mut().zip(t) {
            let t = _mm512_mul_ps(t, self.inverse_scale);
            // The second operand is the result where it is NaN.
            *q = _mm512_cvtps_epi32(_mm512_min_ps(self.high, t));
        }
        q
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

/// At most `N * 16` values, then zeros.
#[target_feature(enable = "avx512f")]
#[inline]
fn load<const N: usize>(values: &[f32]) -> [__m512; N] {
    let mask = mask(values.len());
    let mut t = [_mm512_setzero_ps(); N];
    for (n, t) in t.iter_mut().enumerate() {
        let lanes = (mask >> (n * LANES)) as __mmask16;
        let from = values.as_ptr().wrapping_add(n * LANES);
        // SAFETY: the mask has as many bits as there are values.
        *t = unsafe { _mm512_maskz_loadu_ps(lanes, from) };
    }
    t
}

/// Lane l of register n to lane n of register l, of the four that there are:
/// between the natural and the unpacked order.
#[target_feature(enable = "avx512f")]
#[inline]
fn transpose<const N: usize>(t: &mut [__m512; N]) {
    if let Some([a, b, c, d]) = t.first_chunk_mut::<4>() {
        // Lanes 0 and 1, 2 and 3 of a and b; of c and d.
        let ab = [
            _mm512_shuffle_f32x4::<0b01_00_01_00>(*a, *b),
            _mm512_shuffle_f32x4::<0b11_10_11_10>(*a, *b),
        ];
        let cd = [
            _mm512_shuffle_f32x4::<0b01_00_01_00>(*c, *d),
            _mm512_shuffle_f32x4::<0b11_10_11_10>(*c, *d),
        ];
        *a = _mm512_shuffle_f32x4::<0b10_00_10_00>(ab[0], cd[0]);
        *b = _mm512_shuffle_f32x4::<0b11_01_11_01>(ab[0], cd[0]);
        *c = _mm512_shuffle_f32x4::<0b10_00_10_00>(ab[1], cd[1]);
        *d = _mm512_shuffle_f32x4::<0b11_01_11_01>(ab[1], cd[1]);
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn activate<const N: usize>(activation: &Unary, t: &mut [__m512; N]) {
    match activation.kind {
        UnaryKind::Identity => {}
        UnaryKind::Relu => relu(t),
        UnaryKind::Clip => clip(activation, t),
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

#[target_feature(enable = "avx512f")]
#[inline]
fn clip(activation: &Unary, t: &mut [__m512]) {
    let low = _mm512_set1_ps(activation.alpha);
    let high = _mm512_set1_ps(activation.beta);
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

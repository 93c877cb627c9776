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
    quick: Quick,
    /// The bounds of an f32 output, if there are any: for every activation that
    /// [`Quick`] knows.
    clip: Option<[f32; 2]>,
    inverse_scale: __m512,
    high: __m512,
    /// 64 bytes, or 32 words where the output is i16.
    low: __m512i,
}

/// Epilogues that [`Columns::finish`] has a short way for.
#[derive(Clone, Copy)]
enum Quick {
    /// Bounded i8 without a residual.
    I8,
    /// Bounded i16 without a residual.
    I16,
    /// f32 without a residual, and an activation that is no more than bounds.
    F32,
    /// Any other.
    No,
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

    /// Outputs `first..first + N * 16 / copies` of as many rows as `copies` says:
    /// 1, or 2 or 4 where `N` is 4.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    pub(crate) fn of_rows(finish: &'a Finish<'a>, first: usize, copies: usize) -> Self {
        let each = N / copies;
        let of = |values: &[f32]| {
            let mut t = [_mm512_setzero_ps(); N];
            for (n, t) in t.iter_mut().enumerate() {
                let [values] = load(&values[first + n % each * LANES..][..LANES]);
                *t = values;
            }
            t
        };
        let (scale, bias) = (finish.w_scale.map(of), finish.bias.map(of));
        let mut columns = Self::with(finish, first, scale, bias);
        columns.copies = copies;
        columns
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    fn with(
        finish: &'a Finish<'a>,
        first: usize,
        w_scale: Option<[__m512; N]>,
        bias: Option<[__m512; N]>,
    ) -> Self {
        const { assert!(matches!(N, 1 | 2 | 4) && matches!(U, 1 | 2 | 4) && U <= N) };
        let mut scale = [_mm512_set1_ps(finish.x_scale); N];
        if let Some(w_scale) = w_scale {
            for (scale, w_scale) in scale.iter_mut().zip(w_scale) {
                *scale = _mm512_mul_ps(*scale, w_scale);
            }
        }
        // -0.0 changes no value when it is added.
        let mut bias = bias.unwrap_or([_mm512_set1_ps(-0.0); N]);
        unpack::<N, U>(&mut scale);
        unpack::<N, U>(&mut bias);
        let bounds = finish.bounds();
        let (low, high) = bounds.unwrap_or((-finish.qmax, finish.qmax));
        let plain = finish.residual.is_none();
        let bounded = bounds.is_some();
        let Unary { kind, alpha, beta } = finish.activation;
        let clip = match kind {
            UnaryKind::Relu => Some([0.0, f32::INFINITY]),
            UnaryKind::Clip => Some([alpha, beta]),
            _ => None,
        };
        let simple = clip.is_some() || kind == UnaryKind::Identity;
        Columns {
            finish,
            first,
            mask: mask(N * LANES),
            copies: 1,
            scale,
            bias,
            bounded,
            quick: match finish.y {
                Out::I8(_) if plain && bounded => Quick::I8,
                Out::I16(_) if plain && bounded => Quick::I16,
                Out::F32(_) if plain && simple => Quick::F32,
                _ => Quick::No,
            },
            clip,
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

    /// Any rows, which need not follow each other: register n is of row `n * copies
    /// / N`. Their outputs go `offset` elements behind the place. Some epilogues
    /// take a short way.
    ///
    /// # Safety
    ///
    /// The CPU has AVX-512 F, BW and VL; where the place's mask says so, these
    /// outputs lie in `y`, and no other task has them.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    pub(crate) unsafe fn finish(&self, place: Place<N>, offset: usize, mut t: [__m512; N]) {
        self.scale(&mut t);
        // SAFETY: the caller's promises.
        unsafe {
            match (self.quick, &self.finish.y) {
                (Quick::I8, Out::I8(y)) if U == 4 => {
                    self.store_i8::<true>(y.start().wrapping_add(offset), &place, t);
                }
                (Quick::I16, Out::I16(y)) if U == 2 => {
                    self.store_i16::<true>(y.start().wrapping_add(offset), &place, t);
                }
                (Quick::F32, Out::F32(y)) if U == 1 => {
                    self.clip(&mut t);
                    store_f32(y.start().wrapping_add(offset), &place, t);
                }
                _ => {
                    let place = Place {
                        at: place.at.map(|at| at.wrapping_add(offset)),
                        ..place
                    };
                    self.others(&place, t);
                }
            }
        }
    }

    /// Whether [`finish_quickly`](Self::finish_quickly) is what these outputs need:
    /// all of one row, of the type that `U` goes with, with a short way.
    pub(crate) fn is_quick(&self, mask: u64) -> bool {
        let quick = matches!(
            (self.quick, U),
            (Quick::I8, 4) | (Quick::I16, 2) | (Quick::F32, 1)
        );
        quick && N == 4 && self.copies == 1 && mask == u64::MAX
    }

    /// Where the output of a place begins.
    #[inline(always)]
    pub(crate) fn to(&self, place: &Place<N>) -> *mut u8 {
        match &self.finish.y {
            Out::F32(y) => y.start().wrapping_add(place.at[0]).cast(),
            Out::I16(y) => y.start().wrapping_add(place.at[0]).cast(),
            Out::I8(y) => y.start().wrapping_add(place.at[0]).cast(),
        }
    }

    /// A row of which [`is_quick`](Self::is_quick) says so.
    ///
    /// # Safety
    ///
    /// The CPU has AVX-512 F, BW and VL; `y` has room for the row, as elements of
    /// the output, and no other task has it.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    pub(crate) unsafe fn finish_quickly<Y>(&self, y: *mut Y, mut t: [__m512; N]) {
        self.scale(&mut t);
        // SAFETY: the caller's promises.
        unsafe {
            match U {
                4 => _mm512_storeu_si512(y.cast(), self.bytes::<true>(t)),
                2 => {
                    for (n, words) in self.words::<true>(t).into_iter().enumerate().take(N / 2) {
                        _mm512_storeu_si512(y.add(n * 2 * LANES).cast(), words);
                    }
                }
                _ => {
                    self.clip(&mut t);
                    for (n, t) in t.into_iter().enumerate() {
                        _mm512_storeu_ps(y.add(n * LANES).cast(), t);
                    }
                }
            }
        }
    }

    /// What follows scale and bias.
    ///
    /// # Safety
    ///
    /// As for [`finish`](Self::finish).
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn others(&self, place: &Place<N>, mut t: [__m512; N]) {
        let finish = self.finish;
        pack::<N, U>(&mut t);
        if let Some(Residual { values, scale }) = &finish.residual {
            // SAFETY: the residual is as long as `y`.
            unsafe {
                match values {
                    View::F32(r) => add_f32(&mut t, r.as_ptr(), place),
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
                Out::F32(y) => store_f32(y.start(), place, t),
                Out::I16(y) => self.store_i16::<false>(y.start(), place, t),
                Out::I8(y) => self.store_i8::<false>(y.start(), place, t),
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
        let in_order = C::I8 && !C::RESIDUAL && U == 4;
        if !in_order {
            pack::<N, U>(&mut t);
        }
        if C::RESIDUAL
            && let Some(Residual { values, scale }) = &self.finish.residual
        {
            // SAFETY: the residual is as long as `y`.
            unsafe {
                match values {
                    View::I8(r) if C::I8 => add_i8(&mut t, r.as_ptr(), place, *scale),
                    View::F32(r) if !C::I8 => add_f32(&mut t, r.as_ptr(), place),
                    _ => {}
                }
            }
        }
        // SAFETY: the caller's promises.
        unsafe {
            match &self.finish.y {
                Out::I8(y) if C::I8 && in_order => self.store_i8::<true>(y.start(), place, t),
                Out::I8(y) if C::I8 => self.store_i8::<false>(y.start(), place, t),
                Out::F32(y) if !C::I8 => {
                    match C::ACTIVATION {
                        RELU => relu(&mut t),
                        CLIP => self.clip(&mut t),
                        _ => {}
                    }
                    store_f32(y.start(), place, t);
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

    /// Bounds an f32 output.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn clip(&self, t: &mut [__m512; N]) {
        if let Some([low, high]) = self.clip {
            bound(t, low, high);
        }
    }

    /// Stores i16; the order is that of unpacked words where `UNPACKED`, otherwise
    /// the output's.
    ///
    /// # Safety
    ///
    /// As for [`finish`](Self::finish).
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    unsafe fn store_i16<const UNPACKED: bool>(
        &self,
        y: *mut i16,
        place: &Place<N>,
        t: [__m512; N],
    ) {
        for (pair, words) in self.words::<UNPACKED>(t).into_iter().enumerate() {
            let n = 2 * pair;
            if n >= N {
                break;
            }
            let (to, mask) = (y.wrapping_add(place.at[n]), place.mask >> (n * LANES));
            // SAFETY: the caller's promise.
            unsafe {
                if self.copies < N {
                    store_words(to, mask as __mmask32, words);
                    continue;
                }
                let low = _mm512_castsi512_si256(words);
                _mm256_mask_storeu_epi16(to, mask as __mmask16, low);
                if N > 1 {
                    let (to, mask) = (y.wrapping_add(place.at[n + 1]), mask >> LANES);
                    let high = _mm512_extracti64x4_epi64::<1>(words);
                    _mm256_mask_storeu_epi16(to, mask as __mmask16, high);
                }
            }
        }
    }

    /// Stores i8; the order is that of unpacked bytes where `UNPACKED`, otherwise
    /// the output's.
    ///
    /// # Safety
    ///
    /// As for [`finish`](Self::finish).
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    unsafe fn store_i8<const UNPACKED: bool>(&self, y: *mut i8, place: &Place<N>, t: [__m512; N]) {
        let bytes = self.bytes::<UNPACKED>(t);
        let (to, mask) = (place.at.map(|at| y.wrapping_add(at)), place.mask);
        let half = _mm512_castsi512_si256(bytes);
        let quarter = _mm512_castsi512_si128(bytes);
        // SAFETY: the caller's promise.
        unsafe {
            match (N, self.copies) {
                (1, _) => _mm_mask_storeu_epi8(to[0], mask as __mmask16, quarter),
                (2, _) => _mm256_mask_storeu_epi8(to[0], mask as __mmask32, half),
                (_, 1) => store_bytes(to[0], mask, bytes),
                (_, 2) => {
                    let other = _mm512_extracti64x4_epi64::<1>(bytes);
                    _mm256_mask_storeu_epi8(to[0], mask as __mmask32, half);
                    _mm256_mask_storeu_epi8(to[2 % N], (mask >> 32) as __mmask32, other);
                }
                _ => {
                    let others = [
                        _mm512_extracti32x4_epi32::<1>(bytes),
                        _mm512_extracti32x4_epi32::<2>(bytes),
                        _mm512_extracti32x4_epi32::<3>(bytes),
                    ];
                    _mm_mask_storeu_epi8(to[0], lanes(mask, 0), quarter);
                    for (n, other) in (1..).zip(others) {
                        _mm_mask_storeu_epi8(to[n % N], lanes(mask, n), other);
                    }
                }
            }
        }
    }

    /// Rounded and packed: 32 words of every two registers.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    fn words<const UNPACKED: bool>(&self, t: [__m512; N]) -> [__m512i; 2] {
        // Packing leaves eight bytes of either register in each 128 bits.
        let order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
        let q = self.integers(t);
        let mut words = [
            _mm512_packs_epi32(q[0], q[1 % N]),
            _mm512_packs_epi32(q[2 % N], q[3 % N]),
        ];
        for words in &mut words {
            *words = _mm512_max_epi16(*words, self.low);
            if !UNPACKED {
                *words = _mm512_permutexvar_epi64(order, *words);
            }
        }
        words
    }

    /// Rounded and packed: as many bytes as there are lanes.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    fn bytes<const UNPACKED: bool>(&self, t: [__m512; N]) -> __m512i {
        // Packing leaves four bytes of every register in each 128 bits.
        let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        let q = self.integers(t);
        let low = _mm512_packs_epi32(q[0], q[1 % N]);
        let high = _mm512_packs_epi32(q[2 % N], q[3 % N]);
        let bytes = _mm512_max_epi8(_mm512_packs_epi16(low, high), self.low);
        if UNPACKED {
            bytes
        } else {
            _mm512_permutexvar_epi32(order, bytes)
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

/// From the output's order to the unpacked one of `U` registers.
#[target_feature(enable = "avx512f")]
#[inline]
fn unpack<const N: usize, const U: usize>(t: &mut [__m512; N]) {
    if U == 2 {
        for [a, b] in t.as_chunks_mut().0 {
            (*a, *b) = (
                _mm512_shuffle_f32x4::<0b10_00_10_00>(*a, *b),
                _mm512_shuffle_f32x4::<0b11_01_11_01>(*a, *b),
            );
        }
    } else if U == 4 {
        transpose(t);
    }
}

/// The inverse of [`unpack`].
#[target_feature(enable = "avx512f")]
#[inline]
fn pack<const N: usize, const U: usize>(t: &mut [__m512; N]) {
    if U == 2 {
        for [a, b] in t.as_chunks_mut().0 {
            let low = _mm512_shuffle_f32x4::<0b01_00_01_00>(*a, *b);
            let high = _mm512_shuffle_f32x4::<0b11_10_11_10>(*a, *b);
            *a = _mm512_shuffle_f32x4::<0b11_01_10_00>(low, low);
            *b = _mm512_shuffle_f32x4::<0b11_01_10_00>(high, high);
        }
    } else if U == 4 {
        transpose(t);
    }
}

/// Lane l of register n to lane n of register l, of each four.
#[target_feature(enable = "avx512f")]
#[inline]
fn transpose(t: &mut [__m512]) {
    for [a, b, c, d] in t.as_chunks_mut().0 {
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

/// Adds a residual.
///
/// # Safety
///
/// Where the mask says so, the residual has the outputs that begin at the places.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
unsafe fn add_f32<const N: usize>(t: &mut [__m512; N], residual: *const f32, place: &Place<N>) {
    for (n, t) in t.iter_mut().enumerate() {
        let from = residual.wrapping_add(place.at[n]);
        // SAFETY: the caller's promise.
        let r = unsafe { _mm512_maskz_loadu_ps(lanes(place.mask, n), from) };
        *t = _mm512_add_ps(*t, r);
    }
}

/// # Safety
///
/// As for [`add_f32`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
unsafe fn add_i16<const N: usize>(
    t: &mut [__m512; N],
    residual: *const i16,
    place: &Place<N>,
    scale: f32,
) {
    let scale = _mm512_set1_ps(scale);
    for (n, t) in t.iter_mut().enumerate() {
        let from = residual.wrapping_add(place.at[n]);
        // SAFETY: the caller's promise.
        let r = unsafe { _mm256_maskz_loadu_epi16(lanes(place.mask, n), from) };
        let r = _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(r));
        *t = _mm512_add_ps(*t, _mm512_mul_ps(r, scale));
    }
}

/// # Safety
///
/// As for [`add_f32`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
unsafe fn add_i8<const N: usize>(
    t: &mut [__m512; N],
    residual: *const i8,
    place: &Place<N>,
    scale: f32,
) {
    let scale = _mm512_set1_ps(scale);
    for (n, t) in t.iter_mut().enumerate() {
        let from = residual.wrapping_add(place.at[n]);
        // SAFETY: the caller's promise.
        let r = unsafe { _mm_maskz_loadu_epi8(lanes(place.mask, n), from) };
        let r = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(r));
        *t = _mm512_add_ps(*t, _mm512_mul_ps(r, scale));
    }
}

/// Stores bytes; with a mask that takes as long as two stores.
///
/// # Safety
///
/// There is room where the mask says so.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
unsafe fn store_bytes(to: *mut i8, mask: u64, bytes: __m512i) {
    // SAFETY: the caller's promise.
    unsafe {
        if mask == u64::MAX {
            _mm512_storeu_si512(to.cast(), bytes);
        } else {
            _mm512_mask_storeu_epi8(to, mask, bytes);
        }
    }
}

/// As [`store_bytes`].
///
/// # Safety
///
/// As for [`store_bytes`].
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
unsafe fn store_words(to: *mut i16, mask: __mmask32, words: __m512i) {
    // SAFETY: the caller's promise.
    unsafe {
        if mask == u32::MAX {
            _mm512_storeu_si512(to.cast(), words);
        } else {
            _mm512_mask_storeu_epi16(to, mask, words);
        }
    }
}

/// Stores floats in the output's order.
///
/// # Safety
///
/// As for [`Columns::finish`].
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn store_f32<const N: usize>(y: *mut f32, place: &Place<N>, t: [__m512; N]) {
    let whole = place.mask == mask(N * LANES);
    for (n, t) in t.into_iter().enumerate() {
        let to = y.wrapping_add(place.at[n]);
        // SAFETY: the caller's promise.
        unsafe {
            if whole {
                _mm512_storeu_ps(to, t);
            } else {
                _mm512_mask_storeu_ps(to, lanes(place.mask, n), t);
            }
        }
    }
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

//! The epilogue eight outputs at a time. The same operations in the same order
//! as [`Finish::scalar`], none of them fused, so the results are the same bits.

use super::{Finish, Out, Residual};
use crate::View;
use crate::eltwise::{Unary, UnaryKind, x86_avx2 as eltwise};
use crate::par::Shared;
use core::arch::x86_64::*;
use core::ops::Range;

/// Lanes of a register.
const LANES: usize = 8;

impl Finish<'_> {
    /// As [`scalar`](Self::scalar).
    ///
    /// # Safety
    ///
    /// As for [`scalar`](Self::scalar); the CPU has AVX2.
    #[target_feature(enable = "avx2")]
    pub(crate) unsafe fn x86_avx2(&self, row: usize, first: usize, sums: &mut [f32]) {
        let outputs = first..first + sums.len();
        // SAFETY: the caller's promises.
        unsafe { self.x86_avx2_rows(row..row + 1, outputs, sums.as_mut_ptr(), 0) };
    }

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
        if let Out::I8(y) = &self.y {
            let residual = match &self.residual {
                None => Some(None),
                Some(Residual {
                    values: View::I8(r),
                    scale,
                }) => Some(Some((*r, *scale))),
                Some(_) => None,
            };
            if let Some(residual) = residual {
                while outputs.len() - done >= 2 * LANES {
                    let sixteen = Sixteen {
                        finish: self,
                        y,
                        residual,
                        rows: rows.clone(),
                        first: outputs.start + done,
                        // SAFETY: the row has more sums than that.
                        sums: unsafe { sums.add(done) },
                        stride,
                    };
                    // SAFETY: the caller's promises.
                    let finished = unsafe { sixteen.run() };
                    if !finished {
                        break;
                    }
                    done += 2 * LANES;
                }
            }
        }
        let whole = outputs.len() / LANES * LANES;
        for i in (done..whole).step_by(LANES) {
            let first = outputs.start + i;
            let mut scale = _mm256_set1_ps(self.x_scale);
            if let Some(w_scale) = self.w_scale {
                scale = _mm256_mul_ps(scale, load(&w_scale[first..]));
            }
            let bias = self.bias.map(|bias| load(&bias[first..]));
            for (r, row) in rows.clone().enumerate() {
                // SAFETY: the caller's promises.
                unsafe {
                    let t = _mm256_loadu_ps(sums.add(r * stride + i));
                    self.eight(row * self.outputs + first, t, scale, bias);
                }
            }
        }
        if whole < outputs.len() {
            for (r, row) in rows.enumerate() {
                // SAFETY: the caller's promises.
                unsafe {
                    let rest = sums.add(r * stride + whole);
                    let rest = core::slice::from_raw_parts_mut(rest, outputs.len() - whole);
                    self.scalar(row, outputs.start + whole, rest);
                }
            }
        }
    }

    /// Outputs `at..at + 8`, with their scales and biases.
    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn eight(&self, at: usize, t: __m256, scale: __m256, bias: Option<__m256>) {
        let mut t = _mm256_mul_ps(t, scale);
        if let Some(bias) = bias {
            t = _mm256_add_ps(t, bias);
        }
        if let Some(residual) = &self.residual {
            let scale = _mm256_set1_ps(residual.scale);
            let r = match residual.values {
                View::F32(r) => load(&r[at..]),
                View::I16(r) => _mm256_mul_ps(load_i16(&r[at..]), scale),
                View::I8(r) => _mm256_mul_ps(load_i8(&r[at..]), scale),
                _ => _mm256_setzero_ps(),
            };
            t = _mm256_add_ps(t, r);
        }
        t = activate(&self.activation, t);
        match &self.y {
            Out::F32(y) => {
                // SAFETY: the caller promises that these elements are its own.
                let y = unsafe { y.part(at..at + LANES) };
                store(t, y);
            }
            Out::I16(y) => {
                // SAFETY: as above.
                let y = unsafe { y.part(at..at + LANES) };
                let q = self.quantise(t);
                let words =
                    _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));
                if let Some(y) = y.first_chunk_mut::<LANES>() {
                    // SAFETY: eight 16-bit integers.
                    unsafe { _mm_storeu_si128(y.as_mut_ptr().cast(), words) };
                }
            }
            Out::I8(y) => {
                // SAFETY: as above.
                let y = unsafe { y.part(at..at + LANES) };
                let q = self.quantise(t);
                let words =
                    _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));
                let bytes = _mm_packs_epi16(words, words);
                if let Some(y) = y.first_chunk_mut::<LANES>() {
                    // SAFETY: eight bytes.
                    unsafe { _mm_storel_epi64(y.as_mut_ptr().cast(), bytes) };
                }
            }
        }
    }

    /// [`quantize_one`](crate::quantize::quantize_one) of each lane.
    #[target_feature(enable = "avx2")]
    fn quantise(&self, t: __m256) -> __m256i {
        let bound = _mm256_set1_ps(self.qmax as f32);
        let t = _mm256_mul_ps(t, _mm256_set1_ps(self.inverse_scale));
        // The second operand is the result where the first is NaN.
        let t = _mm256_max_ps(t, _mm256_sub_ps(_mm256_setzero_ps(), bound));
        _mm256_cvtps_epi32(_mm256_min_ps(t, bound))
    }
}

/// The common case: 16 outputs of several rows, from i8 (or no) residuals to i8,
/// without branches between loads and stores.
struct Sixteen<'a> {
    finish: &'a Finish<'a>,
    y: &'a Shared<'a, i8>,
    residual: Option<(&'a [i8], f32)>,
    rows: Range<usize>,
    first: usize,
    sums: *const f32,
    stride: usize,
}

/// Activations that [`Sixteen`] knows.
const IDENTITY: u8 = 0;
const RELU: u8 = 1;
const CLIP: u8 = 2;

impl Sixteen<'_> {
    /// Computes, if the activation is one of those above.
    ///
    /// # Safety
    ///
    /// As for [`Finish::x86_avx2_rows`], with 16 outputs.
    #[target_feature(enable = "avx2")]
    unsafe fn run(&self) -> bool {
        // SAFETY: the caller's promises.
        unsafe {
            match (self.finish.activation.kind, self.residual.is_some()) {
                (UnaryKind::Identity, false) => self.rows::<IDENTITY, false>(),
                (UnaryKind::Identity, true) => self.rows::<IDENTITY, true>(),
                (UnaryKind::Relu, false) => self.rows::<RELU, false>(),
                (UnaryKind::Relu, true) => self.rows::<RELU, true>(),
                (UnaryKind::Clip, false) => self.rows::<CLIP, false>(),
                (UnaryKind::Clip, true) => self.rows::<CLIP, true>(),
                _ => return false,
            }
        }
        true
    }

    /// # Safety
    ///
    /// As for [`run`](Self::run).
    #[target_feature(enable = "avx2")]
    unsafe fn rows<const ACTIVATION: u8, const RESIDUAL: bool>(&self) {
        let f = self.finish;
        let zero = _mm256_setzero_ps();
        let (low, high) = (
            _mm256_set1_ps(f.activation.alpha),
            _mm256_set1_ps(f.activation.beta),
        );
        let inverse = _mm256_set1_ps(f.inverse_scale);
        let bound = _mm256_set1_ps(f.qmax as f32);
        let least = _mm256_sub_ps(zero, bound);
        let x_scale = _mm256_set1_ps(f.x_scale);
        let (values, r_scale) = self.residual.unwrap_or((&[], 1.0));
        let r_scale = _mm256_set1_ps(r_scale);
        let mut scale = [x_scale; 2];
        let mut bias = [zero; 2];
        for half in 0..2 {
            let first = self.first + half * LANES;
            if let Some(w_scale) = f.w_scale {
                scale[half] = _mm256_mul_ps(x_scale, load(&w_scale[first..]));
            }
            if let Some(values) = f.bias {
                bias[half] = load(&values[first..]);
            }
        }
        for (r, row) in self.rows.clone().enumerate() {
            let at = row * f.outputs + self.first;
            let mut q = [_mm256_setzero_si256(); 2];
            for half in 0..2 {
                // SAFETY: the caller promises 16 sums a row.
                let t = unsafe { _mm256_loadu_ps(self.sums.add(r * self.stride + half * LANES)) };
                let mut t = _mm256_mul_ps(t, scale[half]);
                if f.bias.is_some() {
                    t = _mm256_add_ps(t, bias[half]);
                }
                if RESIDUAL {
                    let r = load_i8(&values[at + half * LANES..]);
                    t = _mm256_add_ps(t, _mm256_mul_ps(r, r_scale));
                }
                match ACTIVATION {
                    RELU => t = _mm256_max_ps(t, zero),
                    CLIP => t = _mm256_min_ps(_mm256_max_ps(t, low), high),
                    _ => {}
                }
                t = _mm256_mul_ps(t, inverse);
                t = _mm256_min_ps(_mm256_max_ps(t, least), bound);
                q[half] = _mm256_cvtps_epi32(t);
            }
            // Words 0..4, 8..12, 4..8, 12..16, put in order.
            let words = _mm256_permute4x64_epi64(_mm256_packs_epi32(q[0], q[1]), 0b11_01_10_00);
            let bytes = _mm_packs_epi16(
                _mm256_castsi256_si128(words),
                _mm256_extracti128_si256(words, 1),
            );
            // SAFETY: the caller promises that these elements are its own.
            let y = unsafe { self.y.part(at..at + 2 * LANES) };
            if let Some(y) = y.first_chunk_mut::<{ 2 * LANES }>() {
                // SAFETY: 16 bytes.
                unsafe { _mm_storeu_si128(y.as_mut_ptr().cast(), bytes) };
            }
        }
    }
}

#[target_feature(enable = "avx2")]
fn activate(activation: &Unary, t: __m256) -> __m256 {
    let zero = _mm256_setzero_ps();
    match activation.kind {
        UnaryKind::Identity => t,
        UnaryKind::Relu => _mm256_max_ps(t, zero),
        UnaryKind::Clip => {
            let (low, high) = (
                _mm256_set1_ps(activation.alpha),
                _mm256_set1_ps(activation.beta),
            );
            _mm256_min_ps(_mm256_max_ps(t, low), high)
        }
        _ => {
            let (mut before, mut after) = ([0.0; LANES], [0.0; LANES]);
            store(t, &mut before);
            eltwise::unary(activation, &before, &mut after);
            load(&after)
        }
    }
}

/// The first eight values; zeros where there are fewer.
#[target_feature(enable = "avx2")]
fn load(values: &[f32]) -> __m256 {
    match values.first_chunk::<LANES>() {
        // SAFETY: eight floats.
        Some(values) => unsafe { _mm256_loadu_ps(values.as_ptr()) },
        None => _mm256_setzero_ps(),
    }
}

/// As [`load`], converted.
#[target_feature(enable = "avx2")]
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

/// Stores to the first eight elements, if there are as many.
#[target_feature(enable = "avx2")]
fn store(t: __m256, out: &mut [f32]) {
    if let Some(out) = out.first_chunk_mut::<LANES>() {
        // SAFETY: eight floats.
        unsafe { _mm256_storeu_ps(out.as_mut_ptr(), t) };
    }
}

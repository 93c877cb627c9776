//! Output lines, for kernels that walk along them and keep sums in registers: 32
//! outputs, bounded as in registers of 512 bits (see
//! [`x86_avx512`](super::super::x86_avx512)).

use super::packed::fits;
use super::{Columns, LANES, Out, load};
use crate::epilogue::{ANY, FLOATS, Finish, PACKED};
use core::arch::x86_64::*;

/// Registers.
const N: usize = 4;
/// Outputs of two of them, which go to one place.
const UNIT: usize = 2 * LANES;

/// The epilogue of 32 outputs of a row, or of 16 of two rows side by side.
///
/// `U` registers, 1, 2 or 4, hold outputs in the order in which the `unpack`
/// instructions leave them that interleave 32 bytes (4) or 16 words (2), and that
/// packing undoes: 128-bit lane l of register n holds outputs `4 * (U * l + n)..` of
/// the `8 * U` that the registers hold.
pub(crate) struct Lines<'a, const U: usize> {
    finish: &'a Finish<'a>,
    /// The outputs of each unit, in the output's order.
    units: [Columns<'a, 2>; 2],
    /// Of units.
    first: [usize; 2],
    /// Rows that the registers are shared by: 1 or 2.
    copies: usize,
    scale: [__m256; N],
    bias: [__m256; N],
    /// The bounds of an f32 output, where these are all that the activation is.
    clip: Option<[f32; 2]>,
    /// Bounds of 32 bytes, or 16 words where the output is i16.
    low: __m256i,
    high: __m256i,
}

/// Where a line's outputs go.
#[derive(Clone, Copy)]
pub(crate) struct Line {
    /// Index in `y` of each unit's first output.
    at: [usize; 2],
    /// Outputs that are written, unit 0's in the lowest 16 bits.
    mask: u32,
    /// The first output of each unit.
    to: [*mut u8; 2],
}

impl Line {
    /// The outputs of a unit that are written.
    #[inline(always)]
    fn unit(&self, unit: usize) -> u16 {
        (self.mask >> (unit * UNIT)) as u16
    }
}

impl<'a, const U: usize> Lines<'a, U> {
    /// Outputs `first..first + 32 / copies` of as many rows as `copies` says.
    #[target_feature(enable = "avx2")]
    pub(crate) fn new(finish: &'a Finish<'a>, first: usize, copies: usize) -> Self {
        let first = [first, if copies == 1 { first + UNIT } else { first }];
        let of = |values: &[f32]| -> [__m256; N] {
            core::array::from_fn(|n| load(&values[first[n / 2] + n % 2 * LANES..][..LANES]))
        };
        let mut scale = [_mm256_set1_ps(finish.x_scale); N];
        if let Some(w_scale) = finish.w_scale {
            for (scale, w_scale) in scale.iter_mut().zip(of(w_scale)) {
                *scale = _mm256_mul_ps(*scale, w_scale);
            }
        }
        // -0.0 changes no value when it is added.
        let mut bias = [_mm256_set1_ps(-0.0); N];
        if let Some(values) = finish.bias {
            for (bias, value) in bias.iter_mut().zip(of(values)) {
                *bias = _mm256_mul_ps(value, _mm256_set1_ps(finish.unit));
            }
        }
        unpack::<U>(&mut scale);
        unpack::<U>(&mut bias);
        let (low, high) = finish.bounds().unwrap_or((-finish.qmax, finish.qmax));
        let splat = |value: i32| match finish.y {
            Out::I8(_) => _mm256_set1_epi8(value as i8),
            _ => _mm256_set1_epi16(value as i16),
        };
        Lines {
            finish,
            units: first.map(|first| Columns::new(finish, first)),
            first,
            copies,
            scale,
            bias,
            clip: finish.clip(),
            low: splat(low),
            high: splat(high),
        }
    }

    /// The short way to finish sums, if there is one; integer ones are at most
    /// `largest` in magnitude.
    #[target_feature(enable = "avx2")]
    pub(crate) fn way(&self, largest: f32, masks: impl IntoIterator<Item = u64>) -> u8 {
        let finish = self.finish;
        let simple = finish.only_bounds();
        // A unit is written or not.
        let whole = |mask: u64| [0, u16::MAX].contains(&(mask as u16));
        let units = masks
            .into_iter()
            .all(|mask| whole(mask) && whole(mask >> UNIT));
        match (&finish.y, U) {
            _ if finish.residual.is_some() || !units => ANY,
            (Out::F32(_), _) if simple => FLOATS,
            (Out::I8(_), 4 | 2) | (Out::I16(_), 2)
                if finish.bounds().is_some() && self.fits(largest) =>
            {
                PACKED
            }
            _ => ANY,
        }
    }

    /// Whether the output of every sum up to `largest` in magnitude, before it is
    /// bounded, is a number in the range of an i32.
    #[target_feature(enable = "avx2")]
    fn fits(&self, largest: f32) -> bool {
        fits(&self.scale, &self.bias, largest)
    }

    /// Whether all outputs of these places are written, one row at each.
    pub(crate) fn whole(&self, masks: impl IntoIterator<Item = u64>) -> bool {
        self.copies == 1 && masks.into_iter().all(|mask| mask as u32 == u32::MAX)
    }

    /// A line of which each unit's first output has this index in `y`.
    #[inline(always)]
    pub(crate) fn to(&self, at: [usize; 2], mask: u64) -> Line {
        let to = at.map(|at| match &self.finish.y {
            Out::F32(y) => y.start().wrapping_add(at).cast(),
            Out::I16(y) => y.start().wrapping_add(at).cast(),
            Out::I8(y) => y.start().wrapping_add(at).cast(),
        });
        let mask = mask as u32;
        Line { at, mask, to }
    }

    /// Outputs `offset` elements behind the beginning of a line, or of two lines of
    /// which each unit has one.
    ///
    /// # Safety
    ///
    /// The CPU has AVX2; where the line's mask says so, these outputs lie in `y`, and
    /// no other task has them. `WAY` is [`ANY`], or [`way`](Self::way) says so;
    /// `WHOLE` is false, or [`whole`](Self::whole) says so.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(crate) unsafe fn line<const WAY: u8, const WHOLE: bool>(
        &self,
        line: &Line,
        offset: usize,
        mut t: [__m256; N],
    ) {
        if WAY == ANY {
            // SAFETY: the caller's promises.
            return unsafe { self.others(line, offset, t) };
        }
        for (n, t) in t.iter_mut().enumerate() {
            *t = _mm256_add_ps(_mm256_mul_ps(*t, self.scale[n]), self.bias[n]);
        }
        // SAFETY: the caller's promises.
        unsafe {
            if WAY == FLOATS {
                pack::<U>(&mut t);
                if let Some([low, high]) = self.clip {
                    let (low, high) = (_mm256_set1_ps(low), _mm256_set1_ps(high));
                    for t in &mut t {
                        *t = _mm256_min_ps(_mm256_max_ps(*t, low), high);
                    }
                }
                for unit in 0..2 {
                    if WHOLE || line.unit(unit) != 0 {
                        let to = line.to[unit].cast::<f32>().wrapping_add(offset);
                        _mm256_storeu_ps(to, t[2 * unit]);
                        _mm256_storeu_ps(to.add(LANES), t[2 * unit + 1]);
                    }
                }
                return;
            }
            let mut q = [_mm256_setzero_si256(); N];
            for (q, t) in q.iter_mut().zip(t) {
                *q = _mm256_cvtps_epi32(t);
            }
            let words = [
                _mm256_packs_epi32(q[0], q[1]),
                _mm256_packs_epi32(q[2], q[3]),
            ];
            if let Out::I16(_) = &self.finish.y {
                for (unit, words) in words.into_iter().enumerate() {
                    if WHOLE || line.unit(unit) != 0 {
                        let words = _mm256_max_epi16(words, self.low);
                        let words = _mm256_min_epi16(words, self.high);
                        let to = line.to[unit].cast::<i16>().wrapping_add(offset);
                        _mm256_storeu_si256(to.cast(), words);
                    }
                }
                return;
            }
            let mut bytes = _mm256_packs_epi16(words[0], words[1]);
            if U == 2 {
                bytes = _mm256_permute4x64_epi64::<0b11_01_10_00>(bytes);
            }
            let bytes = _mm256_min_epi8(_mm256_max_epi8(bytes, self.low), self.high);
            let [first, second] = line.to;
            let to = [first.wrapping_add(offset), second.wrapping_add(offset)];
            if WHOLE || self.copies == 1 && line.mask == u32::MAX {
                _mm256_storeu_si256(to[0].cast(), bytes);
                return;
            }
            if line.unit(0) != 0 {
                _mm_storeu_si128(to[0].cast(), _mm256_castsi256_si128(bytes));
            }
            if line.unit(1) != 0 {
                _mm_storeu_si128(to[1].cast(), _mm256_extracti128_si256::<1>(bytes));
            }
        }
    }

    /// Any epilogue, any outputs of a unit.
    ///
    /// # Safety
    ///
    /// As for [`line`](Self::line).
    #[target_feature(enable = "avx2")]
    #[inline(never)]
    unsafe fn others(&self, line: &Line, offset: usize, mut t: [__m256; N]) {
        pack::<U>(&mut t);
        for (unit, columns) in self.units.iter().enumerate() {
            let t = [t[2 * unit], t[2 * unit + 1]];
            let at = line.at[unit].wrapping_add(offset);
            let mask = line.unit(unit);
            // SAFETY: the caller's promises; a unit's outputs are one run of bits.
            unsafe {
                if mask == u16::MAX {
                    columns.outputs(at, t);
                } else if mask != 0 {
                    let mut sums = [0.0; UNIT];
                    _mm256_storeu_ps(sums.as_mut_ptr(), t[0]);
                    _mm256_storeu_ps(sums.as_mut_ptr().add(LANES), t[1]);
                    let skip = mask.trailing_zeros() as usize;
                    let sums = &mut sums[skip..][..mask.count_ones() as usize];
                    let row = at / self.finish.outputs;
                    let first = self.first[unit] + skip;
                    let outputs = first..first + sums.len();
                    let sums = sums.as_mut_ptr();
                    self.finish.x86_avx2_rows(row..row + 1, outputs, sums, 0);
                }
            }
        }
    }
}

/// From the output's order to the unpacked one of `U` registers.
#[target_feature(enable = "avx2")]
#[inline]
fn unpack<const U: usize>(t: &mut [__m256; N]) {
    let [a, b, c, d] = *t;
    if U == 2 {
        *t = [
            _mm256_permute2f128_ps::<0x20>(a, b),
            _mm256_permute2f128_ps::<0x31>(a, b),
            _mm256_permute2f128_ps::<0x20>(c, d),
            _mm256_permute2f128_ps::<0x31>(c, d),
        ];
    } else if U == 4 {
        *t = [
            _mm256_permute2f128_ps::<0x20>(a, c),
            _mm256_permute2f128_ps::<0x31>(a, c),
            _mm256_permute2f128_ps::<0x20>(b, d),
            _mm256_permute2f128_ps::<0x31>(b, d),
        ];
    }
}

/// The inverse of [`unpack`].
#[target_feature(enable = "avx2")]
#[inline]
fn pack<const U: usize>(t: &mut [__m256; N]) {
    let [a, b, c, d] = *t;
    if U == 2 {
        unpack::<2>(t);
    } else if U == 4 {
        *t = [
            _mm256_permute2f128_ps::<0x20>(a, b),
            _mm256_permute2f128_ps::<0x20>(c, d),
            _mm256_permute2f128_ps::<0x31>(a, b),
            _mm256_permute2f128_ps::<0x31>(c, d),
        ];
    }
}

//! Output lines, for kernels that walk along them and keep sums in registers.

use super::integers::fits;
use super::order::pack;
use super::store::store_f32;
use super::{Columns, LANES, Out, Place, bound, load, mask};
use crate::epilogue::{ANY, FLOATS, Finish, PACKED};
use core::arch::x86_64::*;

/// Where a line's outputs go.
#[derive(Clone, Copy)]
pub(crate) struct Line<const N: usize> {
    place: Place<N>,
    /// The first output of each register.
    to: [*mut u8; N],
}

impl<const N: usize> Line<N> {
    /// Where outputs `offset` elements further on go. It is no closure of a function with
    /// features, which is inlined only if `map` happens to be.
    #[inline(always)]
    fn at<T>(&self, offset: usize) -> [*mut T; N] {
        let mut at = [core::ptr::null_mut(); N];
        for (at, to) in at.iter_mut().zip(self.to) {
            *at = to.cast::<T>().wrapping_add(offset);
        }
        at
    }
}

impl<'a, const N: usize, const U: usize> Columns<'a, N, U> {
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

    /// The short way to finish sums, if there is one; integer ones are at most
    /// `largest` in magnitude.
    #[target_feature(enable = "avx512f")]
    pub(crate) fn way(&self, largest: f32) -> u8 {
        let finish = self.finish;
        let simple = finish.only_bounds();
        match (&finish.y, U) {
            _ if finish.residual.is_some() => ANY,
            (Out::F32(_), _) if simple => FLOATS,
            (Out::I8(_), 4) | (Out::I16(_), 2) if self.bounded && self.fits(largest) => PACKED,
            _ => ANY,
        }
    }

    /// Whether the output of every sum up to `largest` in magnitude, before it is
    /// bounded, is a number in the range of an i32.
    #[target_feature(enable = "avx512f")]
    fn fits(&self, largest: f32) -> bool {
        (0..N).all(|n| {
            let bias = _mm512_abs_ps(self.bias[n]);
            fits(self.scale[n], bias, largest)
        })
    }

    /// [`others`](Self::others), kept out of the loops of kernels.
    ///
    /// # Safety
    ///
    /// As for [`line`](Self::line).
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline(never)]
    unsafe fn any(&self, place: &Place<N>, t: [__m512; N]) {
        // SAFETY: the caller's promises.
        unsafe { self.others(place, t) };
    }

    /// Whether all outputs of these places are written, one row at each.
    pub(crate) fn whole(&self, masks: impl IntoIterator<Item = u64>) -> bool {
        self.copies == 1 && masks.into_iter().all(|all| all == mask(N * LANES))
    }

    /// A line whose first outputs go to this place.
    #[inline(always)]
    pub(crate) fn to(&self, place: &Place<N>) -> Line<N> {
        let to = place.at.map(|at| match &self.finish.y {
            Out::F32(y) => y.start().wrapping_add(at).cast(),
            Out::I16(y) => y.start().wrapping_add(at).cast(),
            Out::I8(y) => y.start().wrapping_add(at).cast(),
        });
        Line { place: *place, to }
    }

    /// Outputs `offset` elements behind the beginning of a line, or of `copies` lines
    /// of which register n has line `n * copies / N`.
    ///
    /// # Safety
    ///
    /// The CPU has AVX-512 F, BW and VL; where the place's mask says so, these
    /// outputs lie in `y`, and no other task has them. `WAY` is [`ANY`], or
    /// [`way`](Self::way) says so; `WHOLE` is false, or [`whole`](Self::whole) says
    /// so.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    pub(crate) unsafe fn line<const WAY: u8, const WHOLE: bool>(
        &self,
        line: &Line<N>,
        offset: usize,
        mut t: [__m512; N],
    ) {
        self.scale(&mut t);
        // SAFETY: the caller's promises.
        unsafe {
            match WAY {
                PACKED => {
                    let mut q = [_mm512_setzero_si512(); N];
                    for (q, t) in q.iter_mut().zip(t) {
                        *q = _mm512_cvtps_epi32(t);
                    }
                    if U == 4 {
                        let bytes = _mm512_min_epi8(self.bytes(q), self.high);
                        let to = line.at::<i8>(offset);
                        if WHOLE {
                            _mm512_storeu_si512(to[0].cast(), bytes);
                        } else {
                            self.store_bytes(to, line.place.mask, bytes);
                        }
                    } else {
                        let mut words = self.words(q);
                        for words in &mut words {
                            *words = _mm512_min_epi16(*words, self.high);
                        }
                        let to = line.at::<i16>(offset);
                        if WHOLE {
                            for (n, words) in words.into_iter().enumerate().take(N / 2) {
                                _mm512_storeu_si512(to[2 * n].cast(), words);
                            }
                        } else {
                            self.store_words(to, line.place.mask, words);
                        }
                    }
                }
                FLOATS => {
                    pack::<N, U>(&mut t);
                    if let Some([low, high]) = self.clip {
                        bound(&mut t, low, high);
                    }
                    let to = line.at::<f32>(offset);
                    if WHOLE {
                        for (to, t) in to.into_iter().zip(t) {
                            _mm512_storeu_ps(to, t);
                        }
                    } else {
                        store_f32(to, line.place.mask, t);
                    }
                }
                _ => {
                    let place = Place {
                        at: line.place.at.map(|at| at.wrapping_add(offset)),
                        ..line.place
                    };
                    self.any(&place, t);
                }
            }
        }
    }
}

//! What happens to an accumulator before it is stored: one definition for every
//! product-like family (gemm, conv2d, depthwise).
//!
//! For output channel `o` and accumulator `acc` (f32, or an i32 sum):
//! ```text
//! inverse = 1.0 / out_scale            // 1.0 for an f32 output
//! unit = inverse                       // activation identity, relu or clip; otherwise 1.0
//! t = acc as f32                       // i32 -> f32 rounds to nearest even
//! t = t * ((x_scale * unit) * w_scale[o])
//! t = t + bias[o] * unit               // separate roundings, never fused
//! t = t + r * unit                     // residual; r as f32 * (r_scale * unit) for integers
//! t = activation(t)                    // of clip both bounds * unit
//! f32 output:      t
//! integer output:  q = round_half_even(clamp(t, -qmax, qmax))  // t * inverse if unit is 1.0
//! ```
//! So outputs are scaled once, by factors that are the same for every row, unless the
//! activation is a function of their true size. A NaN becomes `-qmax`. A step whose
//! operand is absent is left out (absent scales count as 1.0 and f32 inputs have
//! `x_scale` 1.0). With integer inputs the result is the same bits on every variant; f32
//! sums may differ between variants in their order of addition.

use crate::eltwise::{Unary, UnaryKind, scalar::apply};
use crate::par::Shared;
use crate::quantize::quantize_one;
use crate::view::{View, ViewMut};
use crate::{DType, Invalid};

#[cfg(any(
    target_arch = "aarch64",
    target_arch = "x86_64",
    all(target_arch = "wasm32", target_feature = "simd128")
))]
mod v128;
#[cfg(target_arch = "x86_64")]
mod x86_avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86_avx512;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_avx2::{
    CLIP, Columns, Common, FloatRows, IDENTITY, Known, Line, Lines, PackedRows, RELU, common,
};

#[cfg(test)]
mod tests;

/// A tensor of the output's shape that is added before the activation.
#[derive(Clone, Copy, Debug)]
pub struct Residual<'a> {
    /// Elements: F32, I16 or I8.
    pub values: View<'a>,
    /// Scale of integer elements; 1.0 for F32.
    pub scale: f32,
}

/// Everything between accumulator and output.
#[derive(Clone, Copy, Debug)]
pub struct Epilogue<'a> {
    /// Scale of integer inputs; 1.0 for F32.
    pub x_scale: f32,
    /// Bound of integer inputs: no activation is beyond `-x_qmax..=x_qmax`. 0
    /// where none is known. Kernels that look sums up need 63 or less; where an
    /// activation breaks the promise results differ between variants, no more.
    pub x_qmax: i32,
    /// Whether no integer input is negative. Some kernels are faster then; where an
    /// activation breaks the promise results differ between variants, no more.
    pub x_non_negative: bool,
    /// One value an output channel.
    pub bias: Option<&'a [f32]>,
    /// Added before the activation.
    pub residual: Option<Residual<'a>>,
    /// Applied last, on f32; see the [module](self) for its units.
    pub activation: Unary,
    /// Scale of an integer output; ignored for F32.
    pub out_scale: f32,
    /// Bound of an integer output: 32767 (i16), 127 (i8) or 63 (i7); ignored for F32.
    pub qmax: i32,
}

/// Ways to finish sums in registers, known when compiling: any epilogue; integers
/// without a residual, from integer sums; and f32 without a residual.
#[cfg(target_arch = "x86_64")]
pub(crate) const ANY: u8 = 0;
#[cfg(target_arch = "x86_64")]
pub(crate) const PACKED: u8 = 1;
#[cfg(target_arch = "x86_64")]
pub(crate) const FLOATS: u8 = 2;

/// An output of which tasks write disjoint parts.
enum Out<'a> {
    F32(Shared<'a, f32>),
    I16(Shared<'a, i16>),
    I8(Shared<'a, i8>),
}

/// An [`Epilogue`] whose lengths were checked against an output, with which it
/// is bound together: accumulators go in, `y` is written.
pub(crate) struct Finish<'a> {
    /// Outputs over all groups: the length of a row of `y`.
    outputs: usize,
    /// What biases are multiplied with; the other fields have it in them.
    unit: f32,
    x_scale: f32,
    w_scale: Option<&'a [f32]>,
    bias: Option<&'a [f32]>,
    /// That of f32 has a scale as well.
    residual: Option<Residual<'a>>,
    activation: Unary,
    /// What is left to multiply outputs with; 1.0 where `unit` is all, as where there are
    /// [`bounds`](Self::bounds).
    inverse_scale: f32,
    qmax: i32,
    y: Out<'a>,
}

impl<'a> Finish<'a> {
    /// `y` and the residual are `[rows, outputs]`; bias and `w_scale` have
    /// `outputs` values.
    pub(crate) fn new(
        epilogue: &Epilogue<'a>,
        w_scale: Option<&'a [f32]>,
        x: DType,
        rows: usize,
        outputs: usize,
        y: ViewMut<'a>,
    ) -> Result<Finish<'a>, Invalid> {
        let len = rows.checked_mul(outputs).ok_or(Invalid)?;
        let largest = match y.dtype() {
            DType::I8 => i32::from(i8::MAX),
            DType::I16 => i32::from(i16::MAX),
            _ => i32::MAX,
        };
        let quantised = y.dtype() != DType::F32;
        let fits = y.len() == len
            && [epilogue.bias, w_scale]
                .iter()
                .flatten()
                .all(|s| s.len() == outputs)
            && epilogue.residual.is_none_or(|r| {
                let dtype = r.values.dtype();
                r.values.len() == len && matches!(dtype, DType::F32 | DType::I16 | DType::I8)
            })
            && (!quantised || (1..=largest).contains(&epilogue.qmax));
        if !fits {
            return Err(Invalid);
        }
        let y = match y {
            ViewMut::F32(y) => Out::F32(Shared::new(y)),
            ViewMut::I16(y) => Out::I16(Shared::new(y)),
            ViewMut::I8(y) => Out::I8(Shared::new(y)),
            _ => return Err(Invalid),
        };
        // Whatever a call says of them that has no integers.
        let inverse = if quantised {
            1.0 / epilogue.out_scale
        } else {
            1.0
        };
        let x_scale = if x == DType::F32 {
            1.0
        } else {
            epilogue.x_scale
        };
        let mut activation = epilogue.activation;
        let (unit, inverse_scale) = match activation.kind {
            UnaryKind::Identity | UnaryKind::Relu => (inverse, 1.0),
            UnaryKind::Clip => {
                activation.alpha *= inverse;
                activation.beta *= inverse;
                (inverse, 1.0)
            }
            _ => (1.0, inverse),
        };
        let residual = epilogue.residual.map(|r| Residual {
            scale: match r.values {
                View::F32(_) => unit,
                _ => r.scale * unit,
            },
            ..r
        });
        Ok(Finish {
            outputs,
            unit,
            x_scale: x_scale * unit,
            w_scale,
            bias: epilogue.bias,
            residual,
            activation,
            inverse_scale,
            qmax: if quantised { epilogue.qmax } else { 0 },
            y,
        })
    }

    /// What the activation does to an integer output, where that is no more than
    /// to keep it within these bounds.
    #[cfg(target_arch = "x86_64")]
    fn bounds(&self) -> Option<(i32, i32)> {
        let quantised = |t| quantize_one(t, 1.0, self.qmax);
        let Unary { kind, alpha, beta } = self.activation;
        match kind {
            UnaryKind::Identity => Some((-self.qmax, self.qmax)),
            UnaryKind::Relu => Some((0, self.qmax)),
            UnaryKind::Clip if alpha <= beta => Some((quantised(alpha), quantised(beta))),
            _ => None,
        }
    }

    /// Whether the activation of an f32 output is no more than bounds.
    #[cfg(target_arch = "x86_64")]
    fn only_bounds(&self) -> bool {
        self.clip().is_some() || self.activation.kind == UnaryKind::Identity
    }

    /// The bounds of an f32 output, where these are all that the activation is.
    #[cfg(target_arch = "x86_64")]
    fn clip(&self) -> Option<[f32; 2]> {
        let Unary { kind, alpha, beta } = self.activation;
        match kind {
            UnaryKind::Relu => Some([0.0, f32::INFINITY]),
            UnaryKind::Clip => Some([alpha, beta]),
            _ => None,
        }
    }

    /// Finishes the accumulators (as f32) of outputs `first..first +
    /// sums.len()` of one row, which lie inside the row. `sums` is left changed.
    ///
    /// # Safety
    ///
    /// No other task has the same elements of `y`.
    pub(crate) unsafe fn scalar(&self, row: usize, first: usize, sums: &mut [f32]) {
        let at = row * self.outputs + first;
        for (i, t) in sums.iter_mut().enumerate() {
            *t *= self.x_scale * self.w_scale.map_or(1.0, |s| s[first + i]);
            if let Some(bias) = self.bias {
                *t += bias[first + i] * self.unit;
            }
            if let Some(Residual { values, scale }) = &self.residual {
                *t += match values {
                    View::F32(r) => r[at + i] * scale,
                    View::I16(r) => f32::from(r[at + i]) * scale,
                    View::I8(r) => f32::from(r[at + i]) * scale,
                    _ => 0.0,
                };
            }
            *t = apply(&self.activation, *t);
        }
        let quantised = |t: f32| quantize_one(t, self.inverse_scale, self.qmax);
        let len = sums.len();
        match &self.y {
            Out::F32(y) => {
                // SAFETY: the caller promises that these elements are its own.
                let y = unsafe { y.part(at..at + len) };
                y.iter_mut().zip(sums).for_each(|(y, t)| *y = *t);
            }
            Out::I16(y) => {
                // SAFETY: as above.
                let y = unsafe { y.part(at..at + len) };
                y.iter_mut()
                    .zip(sums)
                    .for_each(|(y, t)| *y = quantised(*t) as i16);
            }
            Out::I8(y) => {
                // SAFETY: as above.
                let y = unsafe { y.part(at..at + len) };
                y.iter_mut()
                    .zip(sums)
                    .for_each(|(y, t)| *y = quantised(*t) as i8);
            }
        }
    }
}

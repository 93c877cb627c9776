//! f32 to symmetric integers and back.
//!
//! ```text
//! scale = max|x| / qmax, or 1.0 where that is zero, or not finite, or 1/scale is not finite   (dynamic)
//! q = round_half_even(clamp(x * (1.0 / scale), -qmax, qmax)); NaN gives -qmax
//! x' = q as f32 * scale
//! ```

mod scalar;
#[cfg(target_arch = "x86_64")]
mod x86_avx2;
#[cfg(target_arch = "x86_64")]
mod x86_avx512;

#[cfg(test)]
mod tests;

use crate::{Caps, Ctx, Invalid, Variant, View, ViewMut, math, par};
use core::sync::atomic::{AtomicU32, Ordering};

/// The loops of one variant.
#[derive(Clone, Copy)]
struct Kernels {
    /// Largest magnitude, NaNs passed over.
    max_abs: fn(&[f32]) -> f32,
    quantize_i8: fn(&[f32], f32, i32, &mut [i8]),
    quantize_i16: fn(&[f32], f32, i32, &mut [i16]),
    dequantize_i8: fn(&[i8], f32, &mut [f32]),
    dequantize_i16: fn(&[i16], f32, &mut [f32]),
}

/// Best first, scalar last.
const VARIANTS: &[Variant<Kernels>] = &[
    #[cfg(target_arch = "x86_64")]
    Variant {
        name: "x86_avx512",
        needs: Caps::AVX512VNNI,
        run: x86_avx512::KERNELS,
    },
    #[cfg(target_arch = "x86_64")]
    Variant {
        name: "x86_avx2",
        needs: Caps::AVX2,
        run: x86_avx2::KERNELS,
    },
    Variant {
        name: "scalar",
        needs: Caps::SCALAR,
        run: scalar::KERNELS,
    },
];

/// The dynamic scale of `x`. NaNs are passed over.
pub fn dynamic_scale(ctx: &mut Ctx<'_>, x: &[f32], qmax: i32) -> f32 {
    let max_abs =
        Variant::select(VARIANTS, ctx.caps).map_or(scalar::KERNELS.max_abs, |v| v.run.max_abs);
    // Magnitudes are ordered as their bits. The ranges are those of `quantize`, so
    // that a thread finds its own in its cache.
    let largest = AtomicU32::new(0);
    par::for_ranges(ctx.par, x.len(), 1, &|range| {
        let largest_here = max_abs(&x[range]);
        largest.fetch_max(largest_here.to_bits(), Ordering::Relaxed);
    });
    let scale = f32::from_bits(largest.into_inner()) / qmax as f32;
    if scale > 0.0 && scale.is_finite() && (1.0 / scale).is_finite() {
        scale
    } else {
        1.0
    }
}

/// One value; the definition that every variant must equal.
#[inline(always)]
pub fn quantize_one(x: f32, inverse_scale: f32, qmax: i32) -> i32 {
    let limit = qmax as f32;
    let t = x * inverse_scale;
    // A NaN fails the first comparison and becomes -qmax.
    let t = if t > -limit { t } else { -limit };
    let t = if t < limit { t } else { limit };
    math::round_half_even(t) as i32
}

/// `q`: I8 or I16 with `qmax` at most the dtype's.
pub fn quantize(
    ctx: &mut Ctx<'_>,
    x: &[f32],
    scale: f32,
    qmax: i32,
    q: ViewMut<'_>,
) -> Result<(), Invalid> {
    let kernels = Variant::select(VARIANTS, ctx.caps).ok_or(Invalid)?.run;
    if x.len() != q.len() {
        return Err(Invalid);
    }
    let inverse = 1.0 / scale;
    match q {
        ViewMut::I8(q) if (1..=127).contains(&qmax) => {
            par::for_rows(ctx.par, q, 1, &|range, q| {
                (kernels.quantize_i8)(&x[range], inverse, qmax, q)
            });
        }
        ViewMut::I16(q) if (1..=32767).contains(&qmax) => {
            par::for_rows(ctx.par, q, 1, &|range, q| {
                (kernels.quantize_i16)(&x[range], inverse, qmax, q)
            });
        }
        _ => return Err(Invalid),
    }
    Ok(())
}

/// `q`: I8 or I16.
pub fn dequantize(
    ctx: &mut Ctx<'_>,
    q: View<'_>,
    scale: f32,
    x: &mut [f32],
) -> Result<(), Invalid> {
    let kernels = Variant::select(VARIANTS, ctx.caps).ok_or(Invalid)?.run;
    if x.len() != q.len() {
        return Err(Invalid);
    }
    match q {
        View::I8(q) => par::for_rows(ctx.par, x, 1, &|range, x| {
            (kernels.dequantize_i8)(&q[range], scale, x)
        }),
        View::I16(q) => par::for_rows(ctx.par, x, 1, &|range, x| {
            (kernels.dequantize_i16)(&q[range], scale, x)
        }),
        _ => return Err(Invalid),
    }
    Ok(())
}

//! f32 to symmetric integers and back.
//!
//! ```text
//! scale = max|x| / qmax, or 1.0 where that is zero, or not finite, or 1/scale is not finite   (dynamic)
//! q = round_half_even(clamp(x * (1.0 / scale), -qmax, qmax)); NaN gives -qmax
//! x' = q as f32 * scale
//! ```

use crate::{Ctx, Invalid, View, ViewMut};

/// The dynamic scale of `x`. NaNs are passed over.
pub fn dynamic_scale(ctx: &mut Ctx<'_>, x: &[f32], qmax: i32) -> f32 {
    let _ = (ctx, x, qmax);
    todo!()
}

/// One value; the definition that every variant must equal.
pub fn quantize_one(x: f32, inverse_scale: f32, qmax: i32) -> i32 {
    let _ = (x, inverse_scale, qmax);
    todo!()
}

/// `q`: I8 or I16 with `qmax` at most the dtype's.
pub fn quantize(ctx: &mut Ctx<'_>, x: &[f32], scale: f32, qmax: i32, q: ViewMut<'_>) -> Result<(), Invalid> {
    let _ = (ctx, x, scale, qmax, q);
    todo!()
}

/// `q`: I8 or I16.
pub fn dequantize(ctx: &mut Ctx<'_>, q: View<'_>, scale: f32, x: &mut [f32]) -> Result<(), Invalid> {
    let _ = (ctx, q, scale, x);
    todo!()
}

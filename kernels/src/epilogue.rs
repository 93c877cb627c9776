//! What happens to an accumulator before it is stored: one definition for every
//! product-like family (gemm, conv2d, depthwise).
//!
//! For output channel `o` and accumulator `acc` (f32, or an i32 sum):
//! ```text
//! t = acc as f32                       // i32 -> f32 rounds to nearest even
//! t = t * (x_scale * w_scale[o])       // the product of scales is rounded once, in f32
//! t = t + bias[o]                      // separate roundings, never fused
//! t = t + residual                     // residual = r as f32 * r_scale for integers
//! t = activation(t)
//! f32 output:      t
//! integer output:  q = round_half_even(clamp(t * (1.0 / out_scale), -qmax, qmax))
//! ```
//! A NaN becomes `-qmax`. A step whose operand is absent is left out (absent
//! scales count as 1.0 and f32 inputs have `x_scale` 1.0). With integer inputs
//! the result is the same bits on every variant; f32 sums may differ between
//! variants in their order of addition.

use crate::eltwise::Unary;
use crate::view::View;

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
    /// One value an output channel.
    pub bias: Option<&'a [f32]>,
    /// Added before the activation.
    pub residual: Option<Residual<'a>>,
    /// Applied last, on f32.
    pub activation: Unary,
    /// Scale of an integer output; ignored for F32.
    pub out_scale: f32,
    /// Bound of an integer output: 32767 (i16), 127 (i8) or 63 (i7); ignored for F32.
    pub qmax: i32,
}

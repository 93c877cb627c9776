//! Depthwise convolution: every channel has its own kernel
//! (`groups == in_channels == out_channels`, not transposed).
//!
//! ```text
//! for each output position p, channel c:
//!     sum = 0
//!     for each tap inside of the input, row by row:
//!         sum += x[source(p, tap)][c] * w[c][tap]         // two roundings in f32
//!     y[p][c] = epilogue(sum)
//! ```
//!
//! The order is the same in every variant, so results are the same bits for f32
//! as well.

use crate::conv2d::{Conv2dShape, ImageRows};
use crate::epilogue::Finish;
use crate::product::Size;
use crate::{Caps, Codec, Ctx, DType, Epilogue, Invalid, Matrix, Variant, View, ViewMut, Weights};

#[cfg(target_arch = "x86_64")]
mod direct;
#[cfg(target_arch = "x86_64")]
mod lines;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod x86_avx2;
#[cfg(target_arch = "x86_64")]
mod x86_avx2_f32;
#[cfg(target_arch = "x86_64")]
mod x86_avx512vnni;
#[cfg(target_arch = "x86_64")]
mod x86_avx512vnni_f32;
#[cfg(target_arch = "x86_64")]
mod x86_avx512vnni_i8;
#[cfg(target_arch = "x86_64")]
mod x86_avxvnni;

#[cfg(test)]
mod tests;

/// Every implementation, best first.
pub(crate) static VARIANTS: &[Variant<Kernel>] = &[
    #[cfg(target_arch = "x86_64")]
    x86_avx512vnni::VARIANT,
    #[cfg(target_arch = "x86_64")]
    x86_avxvnni::VARIANT,
    #[cfg(target_arch = "x86_64")]
    x86_avx2::VARIANT,
    scalar::VARIANT,
];

/// What one variant is.
pub(crate) struct Kernel {
    /// Scratch bytes for this many threads.
    scratch: fn(&Size, &Conv2dShape, usize) -> usize,
    /// Computes; `Invalid` where scratch is too short or not aligned. Unsafe to call
    /// without what the variant needs.
    run: unsafe fn(&mut Ctx<'_>, &Problem<'_>) -> Result<(), Invalid>,
}

/// A checked call.
struct Problem<'a> {
    /// `matrix` is [`matrix`] of the shape.
    size: Size,
    rows: ImageRows,
    kernel: [usize; 2],
    x: View<'a>,
    weights: &'a [u8],
    block_len: usize,
    finish: Finish<'a>,
}

impl<'a> Problem<'a> {
    /// The packed weights of 16 channels.
    fn block(&self, block: usize) -> &'a [u8] {
        &self.weights[block * self.block_len..][..self.block_len]
    }
}

/// Shape of the weight array: one output a channel, the taps as its channels.
pub fn matrix(shape: &Conv2dShape) -> Matrix {
    Matrix {
        groups: 1,
        outputs: shape.out_channels,
        taps: 1,
        channels: shape.kernel[0] * shape.kernel[1],
    }
}

fn size(shape: &Conv2dShape, x: DType, codec: Codec) -> Result<Size, Invalid> {
    shape.check()?;
    let channels = shape.groups;
    if shape.transposed || shape.in_channels != channels || shape.out_channels != channels {
        return Err(Invalid);
    }
    let rows = shape.output_rows().ok_or(Invalid)?;
    Size::new(matrix(shape), rows, x, codec)
}

/// Scratch bytes that [`run`] needs; 0 for a shape that it refuses.
pub fn scratch(caps: Caps, threads: usize, shape: &Conv2dShape, x: DType, codec: Codec) -> usize {
    let variant = Variant::select(VARIANTS, caps);
    match (size(shape, x, codec), variant) {
        (Ok(size), Some(variant)) => (variant.run.scratch)(&size, shape, threads.max(1)),
        _ => 0,
    }
}

/// Computes `y = epilogue(depthwise(x, w))`; dtypes as for [`crate::conv2d::run`].
pub fn run(
    ctx: &mut Ctx<'_>,
    shape: &Conv2dShape,
    x: View<'_>,
    w: &Weights<'_>,
    epilogue: &Epilogue<'_>,
    y: ViewMut<'_>,
) -> Result<(), Invalid> {
    let size = size(shape, x.dtype(), w.codec)?;
    if shape.input_len() != Some(x.len()) || !w.fits(&size.matrix) {
        return Err(Invalid);
    }
    let channels = size.matrix.outputs;
    let finish = Finish::new(epilogue, w.scale, size.x, size.rows, channels, y)?;
    let problem = Problem {
        size,
        rows: ImageRows::new(shape)?,
        kernel: shape.kernel,
        x,
        weights: w.bytes,
        block_len: size.codec.block_len(&size.matrix).ok_or(Invalid)?,
        finish,
    };
    let variant = Variant::select(VARIANTS, ctx.caps).ok_or(Invalid)?;
    // SAFETY: `select` chose what this CPU has.
    unsafe { (variant.run.run)(ctx, &problem) }
}

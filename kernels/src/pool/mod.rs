//! Max and average pools over NHWC images.

use crate::conv2d::Conv2dShape;
use crate::{Ctx, Invalid, View, ViewMut};

/// Largest value under the kernel; padding never wins. F32, I8 or I16, the
/// same in and out. `shape` has `groups == in_channels == out_channels`. A
/// window that lies in padding alone gives the dtype's lowest value
/// (-infinity for f32).
pub fn max(ctx: &mut Ctx<'_>, shape: &Conv2dShape, x: View<'_>, y: ViewMut<'_>) -> Result<(), Invalid> {
    let _ = (ctx, shape, x, y);
    todo!()
}

/// Mean under the kernel. With `count_include_pad` the divisor counts
/// positions inside the padded image, which ends `pad_end` (`[bottom, right]`) past the input;
/// without it, only positions inside the input (an empty window gives 0).
pub fn average(
    ctx: &mut Ctx<'_>,
    shape: &Conv2dShape,
    pad_end: [usize; 2],
    count_include_pad: bool,
    x: &[f32],
    y: &mut [f32],
) -> Result<(), Invalid> {
    let _ = (ctx, shape, pad_end, count_include_pad, x, y);
    todo!()
}

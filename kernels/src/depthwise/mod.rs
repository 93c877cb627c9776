//! Depthwise convolution: every channel has its own kernel
//! (`groups == in_channels == out_channels`, not transposed).

use crate::conv2d::Conv2dShape;
use crate::{Caps, Codec, Ctx, DType, Epilogue, Invalid, Matrix, View, ViewMut, Weights};

/// Shape of the weight array: one output a channel, the taps as its channels.
pub fn matrix(shape: &Conv2dShape) -> Matrix {
    Matrix {
        groups: 1,
        outputs: shape.out_channels,
        taps: 1,
        channels: shape.kernel[0] * shape.kernel[1],
    }
}

/// Scratch bytes that [`run`] needs.
pub fn scratch(caps: Caps, threads: usize, shape: &Conv2dShape, x: DType, codec: Codec) -> usize {
    let _ = (caps, threads, shape, x, codec);
    todo!()
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
    let _ = (ctx, shape, x, w, epilogue, y);
    todo!()
}

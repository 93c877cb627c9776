//! Convolution over NHWC images, forward and transposed, any stride, dilation,
//! padding and group count (depthwise has its own family).

use crate::{Caps, Codec, Ctx, DType, Epilogue, Invalid, Matrix, View, ViewMut, Weights};

/// Geometry of a two-dimensional convolution; also that of pools and depthwise
/// convolutions. `[h, w]` order throughout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2dShape {
    /// Images.
    pub batch: usize,
    /// Input height and width.
    pub input: [usize; 2],
    /// Input channels over all groups.
    pub in_channels: usize,
    /// Output height and width.
    pub output: [usize; 2],
    /// Output channels over all groups.
    pub out_channels: usize,
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Steps between output positions (of the input, for transposed).
    pub stride: [usize; 2],
    /// Distance between kernel taps.
    pub dilation: [usize; 2],
    /// Padding at the top and left; what lies beyond the input elsewhere is zero as well.
    pub pad: [usize; 2],
    /// Number of groups.
    pub groups: usize,
    /// Whether this is ONNX's ConvTranspose: output position `i * stride + k * dilation - pad`.
    pub transposed: bool,
}

impl Conv2dShape {
    /// The input coordinate that kernel position `k` of output coordinate `o`
    /// reads along `axis` (0 height, 1 width); `None` outside of the input.
    pub fn source(&self, axis: usize, o: usize, k: usize) -> Option<usize> {
        let (o, k, pad) = (o as isize, k as isize, self.pad[axis] as isize);
        let (stride, dilation) = (self.stride[axis] as isize, self.dilation[axis] as isize);
        let i = if self.transposed {
            let t = o + pad - k * dilation;
            if t % stride != 0 {
                return None;
            }
            t / stride
        } else {
            o * stride + k * dilation - pad
        };
        (0..self.input[axis] as isize)
            .contains(&i)
            .then_some(i as usize)
    }

    /// Shape of the weight array.
    pub fn matrix(&self) -> Matrix {
        Matrix {
            groups: self.groups,
            outputs: self.out_channels / self.groups,
            taps: self.kernel[0] * self.kernel[1],
            channels: self.in_channels / self.groups,
        }
    }
}

/// Scratch bytes that [`run`] needs.
pub fn scratch(caps: Caps, threads: usize, shape: &Conv2dShape, x: DType, codec: Codec) -> usize {
    let _ = (caps, threads, shape, x, codec);
    todo!()
}

/// Computes `y = epilogue(conv(x, w))`.
///
/// - `x`: F32, I16 or I8, `[batch, input, in_channels]`; integer inputs need a
///   ternary codec;
/// - `y`: F32, I16 or I8, `[batch, output, out_channels]`.
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

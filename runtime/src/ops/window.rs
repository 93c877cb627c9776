//! Geometry of ops that slide a window over NHWC images: convolutions and pools.

use super::operand::{Arg, ensure};
use super::table::{AveragePool, Conv2d, DepthwiseConv2d, MaxPool};
use crate::Error;
use tern_kernels::conv2d::Conv2dShape;

/// Padded images and dilated kernels stay below this in each direction, so that
/// no coordinate that a kernel computes leaves `i32`.
const EXTENT_LIMIT: u64 = 1 << 30;

/// How the output's height and width follow from the input's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rounding {
    /// Whole windows only.
    Floor,
    /// As `Floor`, or one more window that starts inside the input or the start
    /// padding and ends outside (ONNX's `ceil_mode`).
    FloorOrCeil,
    /// ConvTranspose, with an output padding below the larger of stride and dilation.
    Transposed,
}

/// The attributes that convolutions and pools share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    kernel: [u16; 2],
    stride: [u16; 2],
    dilation: [u16; 2],
    /// Top, left, bottom, right.
    pads: [u16; 4],
    rounding: Rounding,
}

macro_rules! window {
    ($($op:ident($value:ident) => $rounding:expr;)*) => {$(
        impl From<&$op> for Window {
            fn from($value: &$op) -> Window {
                let $op { kernel, stride, dilation, pads, .. } = *$value;
                Window { kernel, stride, dilation, pads, rounding: $rounding }
            }
        }
    )*};
}
window! {
    Conv2d(op) => if op.transposed { Rounding::Transposed } else { Rounding::Floor };
    DepthwiseConv2d(op) => Rounding::Floor;
    MaxPool(op) => Rounding::FloorOrCeil;
    AveragePool(op) => Rounding::FloorOrCeil;
}

impl Window {
    /// The geometry between images `x` and `y`, both `[batch, height, width,
    /// channels]`; `BadOp` where they do not fit the attributes. `groups`
    /// divides both channel counts.
    pub(super) fn shape(
        &self,
        x: &Arg<'_>,
        y: &Arg<'_>,
        groups: usize,
    ) -> Result<Conv2dShape, Error> {
        let &[batch, in_height, in_width, in_channels] = &*x.dims else {
            return Err(Error::BadOp);
        };
        let &[out_batch, out_height, out_width, out_channels] = &*y.dims else {
            return Err(Error::BadOp);
        };
        ensure(batch == out_batch)?;
        ensure(
            groups != 0
                && in_channels.is_multiple_of(groups)
                && out_channels.is_multiple_of(groups),
        )?;
        let (input, output) = ([in_height, in_width], [out_height, out_width]);
        for axis in 0..2 {
            ensure(self.fits(axis, input[axis] as u64, output[axis] as u64))?;
        }
        let shape = Conv2dShape {
            batch,
            input,
            in_channels,
            output,
            out_channels,
            kernel: self.kernel.map(usize::from),
            stride: self.stride.map(usize::from),
            dilation: self.dilation.map(usize::from),
            pad: [self.pads[0].into(), self.pads[1].into()],
            groups,
            transposed: self.rounding == Rounding::Transposed,
        };
        shape.check()?;
        Ok(shape)
    }

    /// Padding at the bottom and right.
    pub(super) fn pad_end(&self) -> [usize; 2] {
        [self.pads[2].into(), self.pads[3].into()]
    }

    /// Whether `input` elements along `axis` give `output` elements.
    fn fits(&self, axis: usize, input: u64, output: u64) -> bool {
        let [kernel, stride, dilation] =
            [self.kernel, self.stride, self.dilation].map(|a| u64::from(a[axis]));
        let [start, end] = [self.pads[axis], self.pads[axis + 2]].map(u64::from);
        if kernel == 0 || stride == 0 || dilation == 0 || input == 0 || output == 0 {
            return false;
        }
        // Dimensions are below 2^32 and attributes below 2^16, so nothing here leaves u64.
        let reach = dilation * (kernel - 1) + 1;
        if kernel * dilation >= EXTENT_LIMIT {
            return false;
        }
        if self.rounding == Rounding::Transposed {
            let full = (input - 1) * stride + reach;
            let padding = (output + start + end).checked_sub(full);
            return input * stride + reach < EXTENT_LIMIT
                && padding.is_some_and(|p| p < stride.max(dilation));
        }
        let padded = input + start + end;
        if reach > padded || padded.max(output.saturating_mul(stride)) >= EXTENT_LIMIT {
            return false;
        }
        let (whole, rest) = ((padded - reach) / stride + 1, (padded - reach) % stride);
        output == whole
            || self.rounding == Rounding::FloorOrCeil
                && rest != 0
                && output == whole + 1
                && whole * stride < input + start
    }
}

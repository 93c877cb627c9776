//! Geometry of sliding windows: convolutions and pools over NHWC images.

use super::Signature;
use crate::ir::Type;
use anyhow::{Result, ensure};

/// A window's attributes along one axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    pub kernel: usize,
    pub stride: usize,
    pub dilation: usize,
    pub before: usize,
    pub after: usize,
}

impl Axis {
    /// The attributes along height (0) and width (1) of an input, checked:
    /// none may be 0, and no coordinate may leave 32 bits.
    pub fn both(
        input: [usize; 2],
        kernel: [u16; 2],
        stride: [u16; 2],
        dilation: [u16; 2],
        pads: [u16; 4],
    ) -> Result<[Axis; 2]> {
        for (name, values) in [
            ("kernel", kernel),
            ("stride", stride),
            ("dilation", dilation),
        ] {
            ensure!(!values.contains(&0), "{name}={values:?} must not be 0");
        }
        let axes = [0, 1].map(|i| Axis {
            kernel: kernel[i] as usize,
            stride: stride[i] as usize,
            dilation: dilation[i] as usize,
            before: pads[i] as usize,
            after: pads[i + 2] as usize,
        });
        for (axis, input) in axes.iter().zip(input) {
            let padded = input + axis.before + axis.after;
            let spread = input.saturating_mul(axis.stride) + axis.extent();
            ensure!(
                padded.max(spread) < 1 << 30,
                "stride={stride:?} dilation={dilation:?} pads={pads:?}: an extent of {} is too large",
                padded.max(spread)
            );
        }
        Ok(axes)
    }

    /// Positions from a window's first element to its last, inclusive.
    pub fn extent(&self) -> usize {
        (self.kernel - 1) * self.dilation + 1
    }

    /// Number of windows that lie inside of the padded input; `None` if there is none.
    pub fn floor(&self, input: usize) -> Option<usize> {
        let room = (input + self.before + self.after).checked_sub(self.extent())?;
        Some(room / self.stride + 1)
    }

    /// As `floor`, plus a last window that sticks out at the end, if it starts
    /// inside of the input or the padding before it.
    pub fn ceil(&self, input: usize) -> Option<usize> {
        let floor = self.floor(input)?;
        let room = input + self.before + self.after - self.extent();
        let sticks_out =
            !room.is_multiple_of(self.stride) && floor * self.stride < input + self.before;
        Some(floor + sticks_out as usize)
    }

    /// Size of a transposed convolution's output without output padding; `None` if it is not positive.
    pub fn transposed(&self, input: usize) -> Option<usize> {
        (input.checked_sub(1)? * self.stride + self.extent())
            .checked_sub(self.before + self.after)
            .filter(|&n| n > 0)
    }

    /// The input position that element `k` of window `o` lies on; `None` outside of the input.
    pub fn source(&self, o: usize, k: usize, input: usize) -> Option<usize> {
        let i = (o * self.stride + k * self.dilation).checked_sub(self.before)?;
        (i < input).then_some(i)
    }

    /// The input position that reaches output position `o` of a transposed
    /// convolution through tap `k`, if there is one.
    pub fn transposed_source(&self, o: usize, k: usize, input: usize) -> Option<usize> {
        let i = (o + self.before).checked_sub(k * self.dilation)?;
        (i.is_multiple_of(self.stride) && i / self.stride < input).then_some(i / self.stride)
    }
}

/// Type of a pool's result: floor, or the wanted size between floor and ceil.
pub(crate) fn infer_pool(
    io: &Signature<'_>,
    x: &Type,
    axes: impl Fn([usize; 2]) -> Result<[Axis; 2]>,
) -> Result<Type> {
    let (batch, input, channels) = io.image(0)?;
    let axes = axes(input)?;
    let mut output = [0; 2];
    for i in 0..2 {
        let axis = axes[i];
        let name = ["height", "width"][i];
        let floor = axis.floor(input[i]);
        let ceil = axis.ceil(input[i]);
        let (Some(floor), Some(ceil)) = (floor, ceil) else {
            anyhow::bail!(
                "the window of {name} {} does not fit the padded input {x}",
                axis.extent()
            );
        };
        output[i] = floor;
        if let Some(&wanted) = io.wanted.and_then(|w| w.shape.get(i + 1)) {
            ensure!(
                wanted == floor || wanted == ceil,
                "output {name} {wanted} of {x}: floor gives {floor}, ceil {ceil}"
            );
            output[i] = wanted;
        }
    }
    Ok(x.with_shape([batch, output[0], output[1], channels]))
}

/// The windows of a pool over NHWC images of these shapes.
pub(crate) struct Windows<'a> {
    /// Attributes along height and width.
    pub axes: [Axis; 2],
    /// Shape of the operand.
    pub x: &'a [usize],
    /// Shape of the result.
    pub y: &'a [usize],
}

impl Windows<'_> {
    /// For every element of the result, folds the positions of the operand's
    /// elements under the window, in row-major order.
    pub fn fold<T: Copy>(&self, start: T, step: impl Fn(T, usize) -> T) -> Vec<T> {
        let (x, y) = (self.x, self.y);
        let mut out = vec![start; y.iter().product()];
        for (pixel, row) in out.chunks_exact_mut(y[3]).enumerate() {
            let (image, oh, ow) = (pixel / (y[1] * y[2]), pixel / y[2] % y[1], pixel % y[2]);
            for kh in 0..self.axes[0].kernel {
                let Some(ih) = self.axes[0].source(oh, kh, x[1]) else {
                    continue;
                };
                for kw in 0..self.axes[1].kernel {
                    let Some(iw) = self.axes[1].source(ow, kw, x[2]) else {
                        continue;
                    };
                    let first = ((image * x[1] + ih) * x[2] + iw) * x[3];
                    for (c, value) in row.iter_mut().enumerate() {
                        *value = step(*value, first + c);
                    }
                }
            }
        }
        out
    }

    /// Rows and columns of the window of a result's pixel that lie inside of
    /// the input, or of the padded input.
    pub fn counts(&self, pixel: usize, padded: bool) -> [usize; 2] {
        let at = [pixel / self.y[2] % self.y[1], pixel % self.y[2]];
        [0, 1].map(|i| {
            let (axis, input) = (self.axes[i], self.x[1 + i]);
            let inside = |k: &usize| {
                if padded {
                    at[i] * axis.stride + k * axis.dilation < axis.before + input + axis.after
                } else {
                    axis.source(at[i], *k, input).is_some()
                }
            };
            (0..axis.kernel).filter(inside).count()
        })
    }
}

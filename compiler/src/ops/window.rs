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
        let sticks_out = room % self.stride != 0 && floor * self.stride < input + self.before;
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
        (i % self.stride == 0 && i / self.stride < input).then_some(i / self.stride)
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

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
    /// The attributes along height (0) and width (1), checked against zeros.
    pub fn both(
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
        Ok([0, 1].map(|i| Axis {
            kernel: kernel[i] as usize,
            stride: stride[i] as usize,
            dilation: dilation[i] as usize,
            before: pads[i] as usize,
            after: pads[i + 2] as usize,
        }))
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
        let room = (input + self.before + self.after).checked_sub(self.extent())?;
        let windows = room.div_ceil(self.stride) + 1;
        let start = (windows - 1) * self.stride;
        Some(if start >= input + self.before {
            windows - 1
        } else {
            windows
        })
    }

    /// Size of a transposed convolution's output without output padding; `None` if it is not positive.
    pub fn transposed(&self, input: usize) -> Option<usize> {
        (input.checked_sub(1)? * self.stride + self.extent())
            .checked_sub(self.before + self.after)
            .filter(|&n| n > 0)
    }
}

/// Type of a pool's result: floor, or the wanted size between floor and ceil.
pub(crate) fn infer_pool(io: &Signature<'_>, x: &Type, axes: [Axis; 2]) -> Result<Type> {
    let (batch, input, channels) = io.image(0)?;
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

//! The part of the input that a strip of output rows reads, as the kernel walks
//! over it: zeros where it reaches beyond the input, the channels of one group
//! alone, in the form in which tiles read them.
//!
//! ```text
//! image   [places down][places across][channels]
//!
//! output o under tap k reads place o * step + tap(k) of an axis
//! place p is input (p * scale - shift) / gap, or zero where that is none
//! ```
//!
//! What an output row reads thus begins at an address of its own, and the
//! distances from there are the same for all rows.

use crate::Matrix;
use crate::conv2d::Conv2dShape;
use core::ops::Range;

/// One axis of the image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    inputs: usize,
    pub(super) outputs: usize,
    pub(super) kernel: usize,
    /// Places from one output's to the next one's.
    pub(super) step: usize,
    /// Places from one tap's to the next one's.
    pub(super) dilation: usize,
    /// Whether taps follow each other towards lower places.
    pub(super) backwards: bool,
    scale: usize,
    shift: isize,
    gap: usize,
}

impl Axis {
    /// Axis 0 or 1 of a convolution that [`Conv2dShape::check`] accepts.
    pub(super) fn new(s: &Conv2dShape, axis: usize) -> Axis {
        let (kernel, dilation, stride) = (s.kernel[axis], s.dilation[axis], s.stride[axis]);
        let pad = s.pad[axis] as isize;
        let plain = Axis {
            inputs: s.input[axis],
            outputs: s.output[axis],
            kernel,
            step: stride,
            dilation,
            backwards: false,
            scale: 1,
            shift: pad,
            gap: 1,
        };
        if s.transposed {
            // Inputs `stride` places apart, under the kernel turned round.
            let last = (kernel - 1) * dilation;
            Axis {
                step: 1,
                backwards: true,
                shift: last as isize - pad,
                gap: stride,
                ..plain
            }
        } else if kernel == 1 {
            // What lies between the steps is not read.
            Axis {
                step: 1,
                dilation: 1,
                scale: stride,
                ..plain
            }
        } else {
            plain
        }
    }

    /// Places that the taps of an output span.
    pub(super) fn reach(&self) -> usize {
        (self.kernel - 1) * self.dilation + 1
    }

    /// Places that this many outputs span, at least one; `None` where that
    /// overflows.
    pub(super) fn places(&self, outputs: usize) -> Option<usize> {
        (outputs.max(1) - 1)
            .checked_mul(self.step)?
            .checked_add(self.reach())
    }

    /// How far tap `k` is from the place at which an output begins.
    pub(super) fn tap(&self, k: usize) -> usize {
        let k = if self.backwards {
            self.kernel - 1 - k
        } else {
            k
        };
        k * self.dilation
    }

    /// The outputs under whose taps there is nothing but inputs; all where inputs lie
    /// apart.
    pub(super) fn whole(&self) -> Range<usize> {
        if self.kernel == 1 || self.gap != 1 {
            return 0..self.outputs;
        }
        // The place behind the last input, from the last tap's on.
        let end = (self.inputs as isize + self.shift).saturating_sub_unsigned(self.reach() - 1);
        let end = (end.max(0) as usize).div_ceil(self.step).min(self.outputs);
        let start = (self.shift.max(0) as usize).div_ceil(self.step);
        start.min(end)..end
    }

    /// The taps of an output from the first to the last that is an input's; all if none
    /// is.
    pub(super) fn inputs(&self, output: usize) -> Range<usize> {
        let is_input = |k: &usize| self.input(output * self.step + self.tap(*k)).is_some();
        let mut taps = 0..self.kernel;
        match (taps.clone().find(is_input), taps.rfind(is_input)) {
            (Some(first), Some(last)) => first..last + 1,
            _ => 0..self.kernel,
        }
    }

    /// The input at a place.
    fn input(&self, place: usize) -> Option<usize> {
        let at = (place as isize).wrapping_mul(self.scale as isize) - self.shift;
        let (at, rest) = (
            at.checked_div_euclid(self.gap as isize)?,
            at % self.gap as isize,
        );
        (rest == 0 && (0..self.inputs as isize).contains(&at)).then_some(at as usize)
    }

    /// Which of these places are inputs that follow each other and alone are;
    /// `None` where others may lie between them.
    fn inside(&self, places: &Range<usize>) -> Option<Range<usize>> {
        if self.scale != 1 || self.gap != 1 {
            return None;
        }
        let at = |input: usize| {
            let place = (input as isize + self.shift).max(0) as usize;
            place.clamp(places.start, places.end)
        };
        Some(at(0)..at(self.inputs))
    }
}

/// Where the image's elements come from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    /// Down and across.
    pub(super) axes: [Axis; 2],
    /// Channels over all groups.
    all_channels: usize,
    /// Channels of a group.
    pub(super) channels: usize,
}

impl Source {
    pub(super) fn new(shape: &Conv2dShape, matrix: &Matrix) -> Source {
        Source {
            axes: [Axis::new(shape, 0), Axis::new(shape, 1)],
            all_channels: shape.in_channels,
            channels: matrix.channels,
        }
    }

    /// Whether every place is an input, at the same distances as in the image but
    /// for the channels of other groups: tiles can read the input itself.
    pub(super) fn is_input(&self) -> bool {
        self.axes.iter().all(|axis| {
            let last = axis.places(axis.outputs).map(|places| places - 1);
            let last = last.and_then(|last| last.checked_mul(axis.scale));
            axis.shift == 0 && axis.gap == 1 && last.is_some_and(|last| last < axis.inputs)
        })
    }

    /// Elements from a place of the input to the next one, across and down; no numbers
    /// that mean anything for an image that cannot be.
    pub(super) fn input_steps(&self) -> [usize; 2] {
        let [vertical, horizontal] = &self.axes;
        let line = horizontal.inputs.wrapping_mul(self.all_channels);
        let across = horizontal.scale.wrapping_mul(self.all_channels);
        [across, vertical.scale.wrapping_mul(line)]
    }

    /// Index in the input of the first channel of a group at the first place of an
    /// image.
    pub(super) fn input_start(&self, image: usize, group: usize) -> usize {
        let [vertical, horizontal] = &self.axes;
        image * vertical.inputs * horizontal.inputs * self.all_channels + group * self.channels
    }

    /// Hands the elements of a line of the image to `put`, in order: runs of them
    /// in `x`, or how many zeros there are.
    pub(super) fn line<'x, X>(
        &self,
        x: &'x [X],
        [image, group]: [usize; 2],
        down: usize,
        across: Range<usize>,
        mut put: impl FnMut(Option<&'x [X]>, usize),
    ) {
        let [vertical, horizontal] = &self.axes;
        let channels = self.channels;
        let Some(y) = vertical.input(down) else {
            return put(None, across.len() * channels);
        };
        let line = self.input_start(image, group) + y * horizontal.inputs * self.all_channels;
        // `None` for what does not exist: the shape is not trusted.
        let pixels =
            |first: usize, len: usize| x.get(line + first * self.all_channels..)?.get(..len);
        if let Some(inside) = horizontal.inside(&across)
            && channels == self.all_channels
        {
            put(None, (inside.start - across.start) * channels);
            if let Some(first) = horizontal.input(inside.start) {
                let len = inside.len() * channels;
                put(pixels(first, len), len);
            }
            put(None, (across.end - inside.end) * channels);
            return;
        }
        for place in across {
            let first = horizontal.input(place);
            put(first.and_then(|first| pixels(first, channels)), channels);
        }
    }
}

//! Operators that move elements without computing: they work on any dtype, and
//! need `x` and `y` to have the same. Shapes have rank at most 6.
//! One file per operator; each entry checks lengths against its shapes.

use crate::{Ctx, Invalid, MAX_RANK, View, ViewMut};

/// `y` is `x` with dimension `i` of the result being dimension `perm[i]` of `x`.
pub fn transpose(ctx: &mut Ctx<'_>, dims: &[usize], perm: &[usize], x: View<'_>, y: ViewMut<'_>) -> Result<(), Invalid> {
    let _ = (ctx, dims, perm, x, y);
    todo!()
}

/// Copies one operand of a concatenation into `y`, seen as `[outer, y_axis, inner]`,
/// at position `at` of the axis; `x` is `[outer, x_axis, inner]`.
#[allow(clippy::too_many_arguments)]
pub fn concat_part(
    ctx: &mut Ctx<'_>,
    outer: usize,
    inner: usize,
    x_axis: usize,
    y_axis: usize,
    at: usize,
    x: View<'_>,
    y: ViewMut<'_>,
) -> Result<(), Invalid> {
    let _ = (ctx, outer, inner, x_axis, y_axis, at, x, y);
    todo!()
}

/// `y[i] = x[start + i * step]` along every dimension; `step` may be negative.
pub fn slice(
    ctx: &mut Ctx<'_>,
    dims: &[usize],
    start: &[usize],
    step: &[isize],
    out_dims: &[usize],
    x: View<'_>,
    y: ViewMut<'_>,
) -> Result<(), Invalid> {
    let _ = (ctx, dims, start, step, out_dims, x, y);
    todo!()
}

/// What lies beyond the input. Codes are those of the file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PadMode {
    /// A value (given as f32, cast to the dtype).
    Constant = 0,
    /// Mirrored without the border element.
    Reflect = 1,
    /// The border element.
    Edge = 2,
}

/// `y` is `x` with `before[i]` elements more at the start of dimension `i`; `out_dims` tell the end.
#[allow(clippy::too_many_arguments)]
pub fn pad(
    ctx: &mut Ctx<'_>,
    dims: &[usize],
    before: &[usize],
    out_dims: &[usize],
    mode: PadMode,
    value: f32,
    x: View<'_>,
    y: ViewMut<'_>,
) -> Result<(), Invalid> {
    let _ = (ctx, dims, before, out_dims, mode, value, x, y);
    todo!()
}

/// A broadcast copy: `strides[i]` elements step in `x` along dimension `i` of `y`, 0 repeats.
pub fn broadcast(ctx: &mut Ctx<'_>, out_dims: &[usize], strides: &[usize], x: View<'_>, y: ViewMut<'_>) -> Result<(), Invalid> {
    let _ = (ctx, out_dims, strides, x, y);
    todo!()
}

/// `y[o, j, i] = x[o, indices[j], i]` with `x` as `[outer, axis, inner]`;
/// I32 or I64 indices, negative ones count from the end; one out of range is
/// `Invalid`.
pub fn gather(
    ctx: &mut Ctx<'_>,
    outer: usize,
    axis: usize,
    inner: usize,
    indices: View<'_>,
    x: View<'_>,
    y: ViewMut<'_>,
) -> Result<(), Invalid> {
    let _ = (ctx, outer, axis, inner, indices, x, y);
    todo!()
}

/// How a resized image samples its source. Codes are those of the file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ResizeMode {
    /// Nearest, ties by `round_prefer_floor`.
    NearestFloorTies = 0,
    /// Nearest, ties by `round_prefer_ceil`.
    NearestCeilTies = 1,
    /// Nearest by `floor`.
    NearestFloor = 2,
    /// Nearest by `ceil`.
    NearestCeil = 3,
    /// Bilinear.
    Linear = 4,
}

/// ONNX's `coordinate_transformation_mode`. Codes are those of the file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ResizeCoordinates {
    /// (o + 0.5) / scale - 0.5
    HalfPixel = 0,
    /// o / scale
    Asymmetric = 1,
    /// o * (in - 1) / (out - 1)
    AlignCorners = 2,
    /// As half_pixel, but 0 where the output has one element.
    PytorchHalfPixel = 3,
}

/// Resizes NHWC images; `scale` is output over input as the model states it.
/// F32 for `Linear`, any dtype for the nearest modes.
#[allow(clippy::too_many_arguments)]
pub fn resize(
    ctx: &mut Ctx<'_>,
    batch: usize,
    input: [usize; 2],
    output: [usize; 2],
    channels: usize,
    scale: [f32; 2],
    mode: ResizeMode,
    coordinates: ResizeCoordinates,
    x: View<'_>,
    y: ViewMut<'_>,
) -> Result<(), Invalid> {
    let _ = (ctx, batch, input, output, channels, scale, mode, coordinates, x, y, MAX_RANK);
    todo!()
}

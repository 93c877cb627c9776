//! Resizing of NHWC images by ONNX's rules.

use super::elements;
use crate::view::same_dtype;
use crate::{Ctx, Invalid, View, ViewMut, math, par};

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
/// F32 for `Linear`, any dtype for the nearest modes. Linear first mixes two
/// rows, then two columns, as `a + (b - a) * t`.
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
    let fits = elements(&[batch, input[0], input[1], channels]) == Some(x.len())
        && elements(&[batch, output[0], output[1], channels]) == Some(y.len())
        && scale.iter().all(|s| s.is_finite() && *s > 0.0);
    if !fits || (x.is_empty() && !y.is_empty()) {
        return Err(Invalid);
    }
    let position = |axis: usize, o: usize| {
        let (n_in, n_out, o) = (input[axis] as f32, output[axis] as f32, o as f32);
        match coordinates {
            ResizeCoordinates::HalfPixel => (o + 0.5) / scale[axis] - 0.5,
            ResizeCoordinates::Asymmetric => o / scale[axis],
            ResizeCoordinates::AlignCorners if output[axis] == 1 => 0.0,
            ResizeCoordinates::AlignCorners => o * (n_in - 1.0) / (n_out - 1.0),
            ResizeCoordinates::PytorchHalfPixel if output[axis] == 1 => 0.0,
            ResizeCoordinates::PytorchHalfPixel => (o + 0.5) / scale[axis] - 0.5,
        }
    };
    let row = output[1] * channels;
    if mode == ResizeMode::Linear {
        let (View::F32(x), ViewMut::F32(y)) = (x, y) else {
            return Err(Invalid);
        };
        // The two neighbours and the share of the second; beyond the edge both are the edge.
        let neighbours = |axis: usize, o: usize| {
            let last = input[axis] - 1;
            let p = position(axis, o).clamp(0.0, last as f32);
            let low = (p as usize).min(last);
            (low, (low + 1).min(last), p - low as f32)
        };
        par::for_rows(ctx.par, y, row, &|rows, y| {
            for (r, y) in rows.zip(y.chunks_exact_mut(row.max(1))) {
                let (n, oh) = (r / output[0], r % output[0]);
                let (top, bottom, down) = neighbours(0, oh);
                for (ow, y) in y.chunks_exact_mut(channels).enumerate() {
                    let (left, right, across) = neighbours(1, ow);
                    let pixel = |h: usize, w: usize| {
                        &x[((n * input[0] + h) * input[1] + w) * channels..][..channels]
                    };
                    let corners = pixel(top, left)
                        .iter()
                        .zip(pixel(bottom, left))
                        .zip(pixel(top, right))
                        .zip(pixel(bottom, right));
                    for (y, (((a, b), c), d)) in y.iter_mut().zip(corners) {
                        let left = a + (b - a) * down;
                        let right = c + (d - c) * down;
                        *y = left + (right - left) * across;
                    }
                }
            }
        });
        return Ok(());
    }
    let nearest = |axis: usize, o: usize| {
        let p = position(axis, o);
        let p = match mode {
            ResizeMode::NearestFloor => math::floor(p),
            ResizeMode::NearestCeil => math::ceil(p),
            ResizeMode::NearestCeilTies => math::floor(p + 0.5),
            _ => math::ceil(p - 0.5),
        };
        (p.max(0.0) as usize).min(input[axis] - 1)
    };
    same_dtype!((x), y, |x, y| {
        par::for_rows(ctx.par, y, row, &|rows, y| {
            for (r, y) in rows.zip(y.chunks_exact_mut(row.max(1))) {
                let (n, oh) = (r / output[0], r % output[0]);
                let line = (n * input[0] + nearest(0, oh)) * input[1];
                for (ow, y) in y.chunks_exact_mut(channels).enumerate() {
                    let at = (line + nearest(1, ow)) * channels;
                    y.copy_from_slice(&x[at..at + channels]);
                }
            }
        });
        Ok(())
    })
}

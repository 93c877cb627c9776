//! `resize`: NHWC images in another size.

use super::Signature;
use super::index::{coordinates, position};
use super::interpret::Io;
use crate::ir::{Data, Tensor, Type};
use anyhow::{Result, ensure};
use ternrt::kernels::movement::{ResizeCoordinates, ResizeMode};
use ternrt::ops::table::Resize;

pub(super) fn infer(op: &Resize, io: &Signature<'_>) -> Result<Vec<Type>> {
    let x = match op.mode {
        ResizeMode::Linear => io.f32(0)?,
        _ => io.input(0)?,
    };
    let (batch, input, channels) = io.image(0)?;
    ensure!(
        op.scale.iter().all(|s| s.is_finite() && *s > 0.0),
        "scale={:?} must be positive and finite",
        op.scale
    );
    let mut output = [0; 2];
    for i in 0..2 {
        let exact = input[i] as f32 * op.scale[i];
        output[i] = exact as usize;
        if let Some(&wanted) = io.wanted.and_then(|w| w.shape.get(i + 1)) {
            ensure!(
                (wanted as f32 - exact).abs() <= 1.0,
                "output {} {wanted} of {x} is not scale={:?} times the input",
                ["height", "width"][i],
                op.scale
            );
            output[i] = wanted;
        }
    }
    Ok(vec![x.with_shape([batch, output[0], output[1], channels])])
}

pub(super) fn interpret(op: &Resize, io: &Io<'_>) -> Result<Vec<Tensor>> {
    let (x, y) = (io.dense(0)?, io.result());
    let source = |axis: usize, o: usize| {
        let (input, output) = (x.shape[1 + axis], y.shape[1 + axis]);
        coordinate(op.coordinates, o, input, output, op.scale[axis])
    };
    if op.mode != ResizeMode::Linear {
        let positions = coordinates(&y.shape).map(|mut at| {
            for axis in 0..2 {
                at[1 + axis] = nearest(op.mode, source(axis, at[1 + axis]), x.shape[1 + axis]);
            }
            position(&x.shape, &at)
        });
        return io.give(x.data.pick(positions));
    }
    let v = io.f32(0)?;
    let bilinear = coordinates(&y.shape).map(|at| {
        let [(top, bottom, down), (left, right, across)] =
            [0, 1].map(|axis| neighbours(source(axis, at[1 + axis]), x.shape[1 + axis]));
        let pixel = |h, w| v[position(&x.shape, &[at[0], h, w, at[3], 0, 0])];
        let blend = |a: f32, b: f32, t: f32| a + (b - a) * t;
        blend(
            blend(pixel(top, left), pixel(bottom, left), down),
            blend(pixel(top, right), pixel(bottom, right), down),
            across,
        )
    });
    io.give(Data::F32(bilinear.collect()))
}

/// The input coordinate of output position `o`, as ONNX's
/// `coordinate_transformation_mode` says.
fn coordinate(mode: ResizeCoordinates, o: usize, input: usize, output: usize, scale: f32) -> f32 {
    match mode {
        ResizeCoordinates::PytorchHalfPixel if output == 1 => 0.0,
        ResizeCoordinates::HalfPixel | ResizeCoordinates::PytorchHalfPixel => {
            (o as f32 + 0.5) / scale - 0.5
        }
        ResizeCoordinates::Asymmetric => o as f32 / scale,
        ResizeCoordinates::AlignCorners if output == 1 => 0.0,
        ResizeCoordinates::AlignCorners => o as f32 * (input - 1) as f32 / (output - 1) as f32,
    }
}

/// The nearest input position.
fn nearest(mode: ResizeMode, at: f32, input: usize) -> usize {
    let rounded = match mode {
        ResizeMode::NearestFloorTies => (at - 0.5).ceil(),
        ResizeMode::NearestCeilTies => (at + 0.5).floor(),
        ResizeMode::NearestFloor => at.floor(),
        ResizeMode::NearestCeil | ResizeMode::Linear => at.ceil(),
    };
    rounded.clamp(0.0, (input - 1) as f32) as usize
}

/// The input positions around a coordinate, and how far it is from the first to the second.
fn neighbours(at: f32, input: usize) -> (usize, usize, f32) {
    let at = at.clamp(0.0, (input - 1) as f32);
    let first = at as usize;
    (first, (first + 1).min(input - 1), at - first as f32)
}

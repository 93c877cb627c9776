//! `average_pool`: mean under a window over NHWC images.

use super::Signature;
use super::interpret::Io;
use super::window::{Axis, Windows, infer_pool};
use crate::ir::{Data, Tensor, Type};
use anyhow::Result;
use ternrt::ops::table::AveragePool;

pub(super) fn infer(op: &AveragePool, io: &Signature<'_>) -> Result<Vec<Type>> {
    let x = io.f32(0)?;
    Ok(vec![infer_pool(io, x, |input| axes(op, input))?])
}

fn axes(op: &AveragePool, input: [usize; 2]) -> Result<[Axis; 2]> {
    Axis::both(input, op.kernel, op.stride, op.dilation, op.pads)
}

/// The divisor counts the positions of a window inside of the input, with
/// `count_include_pad` inside of the padded input.
pub(super) fn interpret(op: &AveragePool, io: &Io<'_>) -> Result<Vec<Tensor>> {
    let (x, v) = (io.dense(0)?, io.f32(0)?);
    let axes = axes(op, [x.shape[1], x.shape[2]])?;
    let windows = Windows {
        axes,
        x: &x.shape,
        y: &io.result().shape,
    };
    let mut sums = windows.fold(0.0f32, |sum, i| sum + v[i]);
    let channels = x.shape[3];
    for (pixel, sums) in sums.chunks_exact_mut(channels).enumerate() {
        let [rows, columns] = windows.counts(pixel, op.count_include_pad);
        for sum in sums {
            *sum = if rows * columns == 0 {
                0.0
            } else {
                *sum / (rows * columns) as f32
            };
        }
    }
    io.give(Data::F32(sums))
}

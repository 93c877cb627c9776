//! `max_pool`: largest value under a window over NHWC images.

use super::Signature;
use super::interpret::Io;
use super::window::{Axis, Windows, infer_pool};
use crate::ir::{Data, Tensor, Type};
use anyhow::{Result, bail, ensure};
use ternrt::DType;
use ternrt::ops::table::MaxPool;

pub(super) fn infer(op: &MaxPool, io: &Signature<'_>) -> Result<Vec<Type>> {
    let x = io.input(0)?;
    ensure!(
        matches!(x.dtype, DType::F32 | DType::I8 | DType::I16),
        "operand \"x\" is {x}, must be f32, i8 or i16"
    );
    Ok(vec![infer_pool(io, x, |input| axes(op, input))?])
}

fn axes(op: &MaxPool, input: [usize; 2]) -> Result<[Axis; 2]> {
    Axis::both(input, op.kernel, op.stride, op.dilation, op.pads)
}

pub(super) fn interpret(op: &MaxPool, io: &Io<'_>) -> Result<Vec<Tensor>> {
    let x = io.dense(0)?;
    let axes = axes(op, [x.shape[1], x.shape[2]])?;
    let windows = Windows {
        axes,
        x: &x.shape,
        y: &io.result().shape,
    };
    // A comparison with NaN is false, so that a NaN never wins.
    fn larger<T: PartialOrd>(best: T, x: T) -> T {
        if x > best { x } else { best }
    }
    io.give(match &x.data {
        Data::F32(v) => Data::F32(windows.fold(f32::NEG_INFINITY, |best, i| larger(best, v[i]))),
        Data::I8(v) => Data::I8(windows.fold(i8::MIN, |best, i| larger(best, v[i]))),
        Data::I16(v) => Data::I16(windows.fold(i16::MIN, |best, i| larger(best, v[i]))),
        data => bail!("no pool of {}", data.dtype().name()),
    })
}

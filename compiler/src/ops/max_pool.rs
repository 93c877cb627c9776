//! `max_pool`: largest value under a window over NHWC images.

use super::Signature;
use super::window::{Axis, infer_pool};
use crate::ir::Type;
use anyhow::{Result, ensure};
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

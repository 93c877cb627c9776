//! `average_pool`: mean under a window over NHWC images.

use super::Signature;
use super::window::{Axis, infer_pool};
use crate::ir::Type;
use anyhow::Result;
use ternrt::ops::table::AveragePool;

pub(super) fn infer(op: &AveragePool, io: &Signature<'_>) -> Result<Vec<Type>> {
    let x = io.f32(0)?;
    Ok(vec![infer_pool(io, x, |input| axes(op, input))?])
}

fn axes(op: &AveragePool, input: [usize; 2]) -> Result<[Axis; 2]> {
    Axis::both(input, op.kernel, op.stride, op.dilation, op.pads)
}

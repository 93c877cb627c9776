//! `softmax` and log-softmax over one axis.

use super::Signature;
use crate::ir::Type;
use anyhow::Result;
use ternrt::ops::table::Softmax;

pub(super) fn infer(op: &Softmax, io: &Signature<'_>) -> Result<Vec<Type>> {
    let x = io.f32(0)?;
    io.axis(op.axis, x)?;
    Ok(vec![x.clone()])
}

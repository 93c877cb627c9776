//! Softmax and log-softmax.

use crate::{Ctx, Invalid};

/// Over the middle dimension of `[outer, axis, inner]`; the maximum is
/// subtracted first. `log` gives the logarithm of the result.
pub fn run(
    ctx: &mut Ctx<'_>,
    outer: usize,
    axis: usize,
    inner: usize,
    log: bool,
    x: &[f32],
    y: &mut [f32],
) -> Result<(), Invalid> {
    let _ = (ctx, outer, axis, inner, log, x, y);
    todo!()
}

//! Softmax and log-softmax.

#[cfg(test)]
mod tests;

use crate::eltwise::{self, Unary, UnaryKind};
use crate::{Ctx, Invalid, View, ViewMut, math, par};

/// Over the middle dimension of `[outer, axis, inner]`; the maximum is
/// subtracted first. `log` gives the logarithm of the result.
///
/// Sums add in the order of the axis. A row that holds a NaN, or nothing but
/// -infinity, gives NaN.
pub fn run(
    ctx: &mut Ctx<'_>,
    outer: usize,
    axis: usize,
    inner: usize,
    log: bool,
    x: &[f32],
    y: &mut [f32],
) -> Result<(), Invalid> {
    let len = outer.checked_mul(axis).and_then(|n| n.checked_mul(inner));
    if len != Some(x.len()) || x.len() != y.len() {
        return Err(Invalid);
    }
    if y.is_empty() {
        return Ok(());
    }
    let block = axis * inner;
    // y = x - max, over each axis.
    par::for_rows(ctx.par, y, block, &|blocks, y| {
        for (b, y) in blocks.zip(y.chunks_exact_mut(block)) {
            let x = &x[b * block..(b + 1) * block];
            for i in 0..inner {
                let column = || x[i..].iter().step_by(inner);
                let max = column().fold(f32::NEG_INFINITY, |m, &v| if v > m { v } else { m });
                for (y, v) in y[i..].iter_mut().step_by(inner).zip(column()) {
                    *y = v - max;
                }
            }
        }
    });
    if log {
        par::for_rows(ctx.par, y, block, &|_, y| {
            for y in y.chunks_exact_mut(block) {
                for i in 0..inner {
                    let sum = y[i..]
                        .iter()
                        .step_by(inner)
                        .fold(0f32, |s, &v| s + math::exp(v));
                    let l = math::log(sum);
                    y[i..].iter_mut().step_by(inner).for_each(|v| *v -= l);
                }
            }
        });
        return Ok(());
    }
    exp_in_place(ctx, y)?;
    par::for_rows(ctx.par, y, block, &|_, y| {
        for y in y.chunks_exact_mut(block) {
            for i in 0..inner {
                let sum = y[i..].iter().step_by(inner).fold(0f32, |s, &v| s + v);
                y[i..].iter_mut().step_by(inner).for_each(|v| *v /= sum);
            }
        }
    });
    Ok(())
}

/// The exponential by pieces through a small buffer, so that the element-wise
/// variants serve here too.
fn exp_in_place(ctx: &mut Ctx<'_>, y: &mut [f32]) -> Result<(), Invalid> {
    let mut piece = [0f32; 256];
    for y in y.chunks_mut(piece.len()) {
        let piece = &mut piece[..y.len()];
        piece.copy_from_slice(y);
        eltwise::unary(
            ctx,
            &Unary::new(UnaryKind::Exp),
            View::F32(piece),
            ViewMut::F32(y),
        )?;
    }
    Ok(())
}

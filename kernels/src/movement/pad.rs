//! Padding.

use super::{elements, row_major};
use crate::math::f32_to_f16;
use crate::{Ctx, Invalid, View, ViewMut, par};

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

/// `y` is `x` with `before[i]` elements more at the start of dimension `i`;
/// `out_dims` tell the end. `Reflect` takes less padding than the dimension
/// has elements, `Edge` needs at least one.
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
    let rank = dims.len();
    if elements(dims) != Some(x.len())
        || elements(out_dims) != Some(y.len())
        || before.len() != rank
        || out_dims.len() != rank
    {
        return Err(Invalid);
    }
    for i in 0..rank {
        let after = before[i]
            .checked_add(dims[i])
            .and_then(|n| out_dims[i].checked_sub(n))
            .ok_or(Invalid)?;
        let allowed = match mode {
            PadMode::Constant => true,
            PadMode::Reflect => before[i].max(after) < dims[i].max(1),
            PadMode::Edge => before[i].max(after) == 0 || dims[i] > 0,
        };
        if !allowed {
            return Err(Invalid);
        }
    }
    let whole = |low: i64, high: i64| (value as i64).clamp(low, high);
    match (x, y) {
        (View::F32(x), ViewMut::F32(y)) => fill(ctx, dims, before, out_dims, mode, value, x, y),
        (View::F16(x), ViewMut::F16(y)) => {
            fill(ctx, dims, before, out_dims, mode, f32_to_f16(value), x, y)
        }
        (View::I8(x), ViewMut::I8(y)) => fill(
            ctx,
            dims,
            before,
            out_dims,
            mode,
            whole(-128, 127) as i8,
            x,
            y,
        ),
        (View::U8(x), ViewMut::U8(y)) => {
            fill(ctx, dims, before, out_dims, mode, whole(0, 255) as u8, x, y)
        }
        (View::I16(x), ViewMut::I16(y)) => fill(
            ctx,
            dims,
            before,
            out_dims,
            mode,
            whole(-32768, 32767) as i16,
            x,
            y,
        ),
        (View::I32(x), ViewMut::I32(y)) => {
            fill(ctx, dims, before, out_dims, mode, value as i32, x, y)
        }
        (View::I64(x), ViewMut::I64(y)) => {
            fill(ctx, dims, before, out_dims, mode, value as i64, x, y)
        }
        (View::Bool(x), ViewMut::Bool(y)) => fill(
            ctx,
            dims,
            before,
            out_dims,
            mode,
            (value != 0.0) as u8,
            x,
            y,
        ),
        _ => return Err(Invalid),
    }
    Ok(())
}

/// The coordinate of `x` that coordinate `o` of `y` shows; `None` for the constant.
fn source(mode: PadMode, o: usize, before: usize, dim: usize) -> Option<usize> {
    let i = o as isize - before as isize;
    let last = dim as isize - 1;
    match mode {
        PadMode::Constant => (0..=last).contains(&i).then_some(i as usize),
        PadMode::Edge => Some(i.clamp(0, last.max(0)) as usize),
        PadMode::Reflect => Some(if i < 0 {
            -i
        } else if i > last {
            2 * last - i
        } else {
            i
        } as usize),
    }
}

#[allow(clippy::too_many_arguments)]
fn fill<T: Copy + Send + Sync>(
    ctx: &Ctx<'_>,
    dims: &[usize],
    before: &[usize],
    out_dims: &[usize],
    mode: PadMode,
    value: T,
    x: &[T],
    y: &mut [T],
) {
    if y.is_empty() {
        return;
    }
    let steps = row_major(dims);
    // Trailing dimensions without padding are copied in one go.
    let tail = (0..dims.len())
        .rev()
        .take_while(|&i| dims[i] == out_dims[i])
        .count();
    let axes = dims.len() - tail;
    let block: usize = dims[axes..].iter().product();
    let (outer, last) = match axes {
        0 => (0, None),
        n => (n - 1, Some(n - 1)),
    };
    let run = last.map_or(1, |i| out_dims[i]) * block;
    par::for_rows(ctx.par, y, run, &|rows, y| {
        for (row, y) in rows.zip(y.chunks_exact_mut(run)) {
            let mut rest = row;
            let mut base = Some(0);
            for i in (0..outer).rev() {
                let from = source(mode, rest % out_dims[i], before[i], dims[i]);
                rest /= out_dims[i];
                base = base.zip(from).map(|(b, from)| b + from * steps[i]);
            }
            for (o, y) in y.chunks_exact_mut(block).enumerate() {
                let from = match last {
                    None => base,
                    Some(i) => base
                        .zip(source(mode, o, before[i], dims[i]))
                        .map(|(b, from)| b + from * steps[i]),
                };
                match from {
                    Some(at) => y.copy_from_slice(&x[at..at + block]),
                    None => y.fill(value),
                }
            }
        }
    });
}

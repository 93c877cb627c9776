//! Slices with any step.

use super::{elements, row_major, strided};
use crate::{Ctx, Invalid, MAX_RANK, View, ViewMut};

/// `y[i] = x[start + i * step]` along every dimension; `step` may be negative.
pub fn slice(
    ctx: &mut Ctx<'_>,
    dims: &[usize],
    start: &[usize],
    step: &[isize],
    out_dims: &[usize],
    x: View<'_>,
    y: ViewMut<'_>,
) -> Result<(), Invalid> {
    let rank = dims.len();
    if elements(dims) != Some(x.len()) || [start.len(), step.len(), out_dims.len()] != [rank; 3] {
        return Err(Invalid);
    }
    let of_x = row_major(dims);
    let mut steps = [0isize; MAX_RANK];
    let mut at = 0usize;
    for i in 0..rank {
        if out_dims[i] == 0 {
            continue;
        }
        // Each coordinate must stay inside its own dimension, not only inside `x`.
        let last = start[i] as i128 + (out_dims[i] - 1) as i128 * step[i] as i128;
        if start[i] >= dims[i] || last < 0 || last >= dims[i] as i128 {
            return Err(Invalid);
        }
        at += start[i] * of_x[i];
        // A step that is never taken may be of any size.
        steps[i] = if out_dims[i] == 1 {
            0
        } else {
            step[i] * of_x[i] as isize
        };
    }
    strided::copy(ctx, out_dims, at, &steps[..rank], x, y)
}

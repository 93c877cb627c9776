//! Copies of arrays whose elements are read at any steps: the ground for
//! transposes, slices and broadcasts.

use super::elements;
use crate::view::same_dtype;
use crate::{Ctx, Invalid, MAX_RANK, View, ViewMut, par};

/// Copies `y[i] = x[start + sum(i[d] * steps[d])]` over `dims`; every offset must lie within `x`.
pub(super) fn copy(
    ctx: &Ctx<'_>,
    dims: &[usize],
    start: usize,
    steps: &[isize],
    x: View<'_>,
    y: ViewMut<'_>,
) -> Result<(), Invalid> {
    if elements(dims) != Some(y.len()) || steps.len() != dims.len() {
        return Err(Invalid);
    }
    if y.is_empty() {
        return same_dtype!((x), y, |_x, _y| { Ok(()) });
    }
    // The lowest and the highest offset: all others lie between.
    let (mut low, mut high) = (start as i128, start as i128);
    for (&d, &step) in dims.iter().zip(steps) {
        let reach = (d - 1) as i128 * step as i128;
        *if reach < 0 { &mut low } else { &mut high } += reach;
    }
    if low < 0 || high >= x.len() as i128 {
        return Err(Invalid);
    }
    // Dimensions of one element do not count; neighbours that continue each other merge.
    let mut merged = [(1usize, 0isize); MAX_RANK];
    let mut rank = 0;
    for (&d, &step) in dims.iter().zip(steps).filter(|&(&d, _)| d != 1) {
        if rank > 0 && merged[rank - 1].1 == step * d as isize {
            merged[rank - 1] = (merged[rank - 1].0 * d, step);
        } else {
            merged[rank] = (d, step);
            rank += 1;
        }
    }
    let (outer, (run, step)) = match rank {
        0 => (&merged[..0], (1, 1)),
        rank => (&merged[..rank - 1], merged[rank - 1]),
    };
    same_dtype!((x), y, |x, y| {
        par::for_rows(ctx.par, y, run, &|rows, y| {
            for (row, y) in rows.zip(y.chunks_exact_mut(run)) {
                let mut rest = row;
                let mut at = start as isize;
                for &(d, step) in outer.iter().rev() {
                    at += (rest % d) as isize * step;
                    rest /= d;
                }
                match step {
                    1 => y.copy_from_slice(&x[at as usize..at as usize + run]),
                    0 => y.fill(x[at as usize]),
                    _ => {
                        for y in y {
                            *y = x[at as usize];
                            at += step;
                        }
                    }
                }
            }
        });
        Ok(())
    })
}

/// A broadcast copy: `strides[i]` elements step in `x` along dimension `i` of `y`, 0 repeats.
pub fn broadcast(
    ctx: &mut Ctx<'_>,
    out_dims: &[usize],
    strides: &[usize],
    x: View<'_>,
    y: ViewMut<'_>,
) -> Result<(), Invalid> {
    let mut steps = [0isize; MAX_RANK];
    for (step, &s) in steps
        .get_mut(..strides.len())
        .ok_or(Invalid)?
        .iter_mut()
        .zip(strides)
    {
        *step = isize::try_from(s).map_err(|_| Invalid)?;
    }
    copy(ctx, out_dims, 0, &steps[..strides.len()], x, y)
}

//! Permuted dimensions.

use super::{elements, row_major, strided};
use crate::view::same_dtype;
use crate::{Caps, Ctx, Invalid, MAX_RANK, View, ViewMut, par};

/// `y` is `x` with dimension `i` of the result being dimension `perm[i]` of `x`.
pub fn transpose(
    ctx: &mut Ctx<'_>,
    dims: &[usize],
    perm: &[usize],
    x: View<'_>,
    y: ViewMut<'_>,
) -> Result<(), Invalid> {
    let rank = dims.len();
    if elements(dims) != Some(x.len()) || x.len() != y.len() || perm.len() != rank {
        return Err(Invalid);
    }
    let seen = perm
        .iter()
        .fold(0u32, |seen, &p| if p < rank { seen | 1 << p } else { seen });
    if seen.count_ones() as usize != rank {
        return Err(Invalid);
    }
    if let Some((batch, rows, columns)) = as_matrices(dims, perm) {
        return matrices(ctx, batch, rows, columns, x, y);
    }
    let of_x = row_major(dims);
    let mut out_dims = [1; MAX_RANK];
    let mut steps = [0isize; MAX_RANK];
    for (i, &p) in perm.iter().enumerate() {
        out_dims[i] = dims[p];
        steps[i] = of_x[p] as isize;
    }
    strided::copy(ctx, &out_dims[..rank], 0, &steps[..rank], x, y)
}

/// A permutation that, but for dimensions of one element, keeps some leading
/// ones and swaps two blocks of those behind them is a transpose of matrices:
/// `[batch, rows, columns]`. NCHW to NHWC and back are.
fn as_matrices(dims: &[usize], perm: &[usize]) -> Option<(usize, usize, usize)> {
    let mut order = [0; MAX_RANK];
    let mut n = 0;
    for &p in perm.iter().filter(|&&p| dims[p] != 1) {
        order[n] = p;
        n += 1;
    }
    let order = &order[..n];
    // The dimensions of more than one element in their original order.
    let mut original = [0; MAX_RANK];
    for (i, p) in (0..dims.len()).filter(|&p| dims[p] != 1).enumerate() {
        original[i] = p;
    }
    let original = &original[..n];
    let kept = order
        .iter()
        .zip(original)
        .take_while(|(a, b)| a == b)
        .count();
    let swapped = original[kept..]
        .iter()
        .position(|p| Some(p) == order.get(kept))?;
    let rotated = original[kept + swapped..]
        .iter()
        .chain(&original[kept..kept + swapped]);
    if !order[kept..].iter().eq(rotated) {
        return None;
    }
    let size = |of: &[usize]| of.iter().map(|&p| dims[p]).product::<usize>();
    Some((
        size(&original[..kept]),
        size(&original[kept..kept + swapped]),
        size(&original[kept + swapped..]),
    ))
}

/// Transposes `batch` matrices of `rows` by `columns`, in blocks that stay in the first cache.
fn matrices(
    ctx: &Ctx<'_>,
    batch: usize,
    rows: usize,
    columns: usize,
    x: View<'_>,
    y: ViewMut<'_>,
) -> Result<(), Invalid> {
    const BLOCK: usize = 16;
    if batch * rows * columns == 0 {
        return same_dtype!((x), y, |_x, _y| { Ok(()) });
    }
    same_dtype!((x), y, |x, y| {
        // One row of the result is one column of the operand.
        par::for_rows(ctx.par, y, rows, &|out_rows, y| {
            let first = out_rows.start;
            if rows == 3 && batch == 1 {
                // An image's colours.
                let plane = |c: usize| &x[c * columns..][out_rows.clone()];
                interleave(ctx.caps, [plane(0), plane(1), plane(2)], y);
                return;
            }
            for start in out_rows.clone().step_by(BLOCK) {
                let end = (start + BLOCK).min(out_rows.end);
                for r0 in (0..rows).step_by(BLOCK) {
                    let r1 = (r0 + BLOCK).min(rows);
                    for out in start..end {
                        let (b, c) = (out / columns, out % columns);
                        let line = &mut y[(out - first) * rows..][r0..r1];
                        let source = x[b * rows * columns + r0 * columns + c..]
                            .iter()
                            .step_by(columns);
                        line.iter_mut().zip(source).for_each(|(y, &x)| *y = x);
                    }
                }
            }
        });
        Ok(())
    })
}

/// `y[i] = [a[i], b[i], c[i]]`.
fn interleave<T: Copy>(caps: Caps, planes: [&[T]; 3], y: &mut [T]) {
    #[inline(always)]
    fn each<T: Copy>([a, b, c]: [&[T]; 3], y: &mut [T]) {
        let (y, _) = y.as_chunks_mut::<3>();
        for (y, ((&a, &b), &c)) in y.iter_mut().zip(a.iter().zip(b).zip(c)) {
            *y = [a, b, c];
        }
    }

    /// The same loop, for which the compiler finds byte shuffles.
    ///
    /// # Safety
    /// The CPU has SSSE3 and SSE4.1.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "ssse3,sse4.1")]
    unsafe fn shuffled<T: Copy>(planes: [&[T]; 3], y: &mut [T]) {
        each(planes, y);
    }

    #[cfg(target_arch = "x86_64")]
    if size_of::<T>() <= 2 && caps.intersection(Caps::detect()).has(Caps::SSE41) {
        // SAFETY: the CPU has them.
        return unsafe { shuffled(planes, y) };
    }
    let _ = caps;
    each(planes, y);
}

//! Slices picked by indices.

use super::elements;
use crate::view::same_dtype;
use crate::{Ctx, Invalid, View, ViewMut};

/// `y[o, j, i] = x[o, indices[j], i]` with `x` as `[outer, axis, inner]`;
/// I32 or I64 indices, negative ones count from the end; one out of range is
/// `Invalid`.
pub fn gather(
    _: &mut Ctx<'_>,
    outer: usize,
    axis: usize,
    inner: usize,
    indices: View<'_>,
    x: View<'_>,
    y: ViewMut<'_>,
) -> Result<(), Invalid> {
    let count = indices.len();
    if elements(&[outer, axis, inner]) != Some(x.len())
        || elements(&[outer, count, inner]) != Some(y.len())
    {
        return Err(Invalid);
    }
    let index = |j: usize| {
        let i = match indices {
            View::I32(v) => v[j] as i64,
            View::I64(v) => v[j],
            _ => return None,
        };
        let i = if i < 0 {
            i.checked_add(axis as i64)?
        } else {
            i
        };
        usize::try_from(i).ok().filter(|&i| i < axis)
    };
    // All are checked before anything is written.
    if (0..count).any(|j| index(j).is_none()) {
        return Err(Invalid);
    }
    same_dtype!((x), y, |x, y| {
        if inner == 0 {
            return Ok(());
        }
        for (n, y) in y.chunks_exact_mut(inner).enumerate() {
            let (o, j) = (n / count, n % count);
            let at = (o * axis + index(j).ok_or(Invalid)?) * inner;
            y.copy_from_slice(&x[at..at + inner]);
        }
        Ok(())
    })
}

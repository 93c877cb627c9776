//! Concatenation, one operand at a time.

use super::elements;
use crate::view::same_dtype;
use crate::{Ctx, Invalid, View, ViewMut};

/// Copies one operand of a concatenation into `y`, seen as `[outer, y_axis, inner]`,
/// at position `at` of the axis; `x` is `[outer, x_axis, inner]`.
#[allow(clippy::too_many_arguments)]
pub fn concat_part(
    _: &mut Ctx<'_>,
    outer: usize,
    inner: usize,
    x_axis: usize,
    y_axis: usize,
    at: usize,
    x: View<'_>,
    y: ViewMut<'_>,
) -> Result<(), Invalid> {
    let fits = elements(&[outer, x_axis, inner]) == Some(x.len())
        && elements(&[outer, y_axis, inner]) == Some(y.len())
        && at.checked_add(x_axis).is_some_and(|end| end <= y_axis);
    if !fits {
        return Err(Invalid);
    }
    if x.is_empty() {
        return Ok(());
    }
    same_dtype!((x), y, |x, y| {
        let run = x_axis * inner;
        for (y, x) in y.chunks_exact_mut(y_axis * inner).zip(x.chunks_exact(run)) {
            y[at * inner..at * inner + run].copy_from_slice(x);
        }
        Ok(())
    })
}

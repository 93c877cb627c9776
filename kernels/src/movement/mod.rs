//! Operators that move elements without computing: they work on any dtype, and
//! need `x` and `y` to have the same. Shapes have rank at most 6.
//! One file per operator; each entry checks lengths against its shapes.

mod concat;
mod gather;
mod pad;
mod resize;
mod slice;
mod strided;
mod transpose;

#[cfg(test)]
mod tests;

pub use concat::concat_part;
pub use gather::gather;
pub use pad::{PadMode, pad};
pub use resize::{ResizeCoordinates, ResizeMode, resize};
pub use slice::slice;
pub use strided::broadcast;
pub use transpose::transpose;

use crate::MAX_RANK;

/// Number of elements of a shape of rank at most 6, if it fits.
fn elements(dims: &[usize]) -> Option<usize> {
    if dims.len() > MAX_RANK {
        return None;
    }
    dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
}

/// Steps of a row-major array, outermost first; unused ones are 0.
fn row_major(dims: &[usize]) -> [usize; MAX_RANK] {
    let mut steps = [0; MAX_RANK];
    let mut step = 1usize;
    for (s, &d) in steps[..dims.len()].iter_mut().zip(dims).rev() {
        *s = step;
        step = step.saturating_mul(d);
    }
    steps
}

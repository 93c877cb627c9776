//! Walking over a tensor's elements by their coordinates.

use ternrt::kernels::MAX_RANK;

/// One coordinate a dimension; 0 beyond the rank.
pub(crate) type Coordinates = [usize; MAX_RANK];

/// The coordinates of all elements of a shape, in row-major order.
pub(crate) fn coordinates(shape: &[usize]) -> impl Iterator<Item = Coordinates> + '_ {
    let mut next = [0; MAX_RANK];
    let mut left: usize = shape.iter().product();
    std::iter::from_fn(move || {
        left = left.checked_sub(1)?;
        let current = next;
        for i in (0..shape.len()).rev() {
            next[i] += 1;
            if next[i] < shape[i] {
                break;
            }
            next[i] = 0;
        }
        Some(current)
    })
}

/// Position of an element in row-major order.
pub(crate) fn position(shape: &[usize], at: &Coordinates) -> usize {
    shape.iter().zip(at).fold(0, |p, (d, i)| p * d + i)
}

/// Position of the element of an operand that broadcasts to the coordinates of
/// a result of this rank: shapes align at the right and dimensions of 1 repeat.
pub(crate) fn broadcast_position(shape: &[usize], rank: usize, at: &Coordinates) -> usize {
    let mut own = [0; MAX_RANK];
    let skipped = rank - shape.len();
    for (i, &d) in shape.iter().enumerate() {
        own[i] = if d == 1 { 0 } else { at[skipped + i] };
    }
    position(shape, &own)
}

/// The positions in an operand of all elements of the shape that it broadcasts to.
pub(crate) fn broadcast_positions(
    shape: &[usize],
    result: &[usize],
) -> impl Iterator<Item = usize> {
    coordinates(result).map(move |at| broadcast_position(shape, result.len(), &at))
}

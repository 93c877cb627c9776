//! Reductions over any set of axes.

#[cfg(test)]
mod tests;

use crate::{Ctx, Invalid, MAX_RANK, View, ViewMut, par};

/// What to compute over the reduced axes. Codes are those of the file format, append-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ReduceKind {
    /// Sum (F32, I32, I64; integers wrap).
    Sum = 0,
    /// Arithmetic mean (F32).
    Mean = 1,
    /// Largest.
    Max = 2,
    /// Smallest.
    Min = 3,
    /// Product.
    Prod = 4,
    /// Sum of squares.
    SumSquare = 5,
    /// Index of the first largest along one axis; gives I64.
    ArgMax = 6,
    /// Index of the first smallest along one axis; gives I64.
    ArgMin = 7,
    /// Index of the last largest along one axis; gives I64.
    ArgMaxLast = 8,
    /// Index of the last smallest along one axis; gives I64.
    ArgMinLast = 9,
}

impl ReduceKind {
    /// All of them, in code order.
    pub const ALL: &'static [ReduceKind] = &[
        ReduceKind::Sum,
        ReduceKind::Mean,
        ReduceKind::Max,
        ReduceKind::Min,
        ReduceKind::Prod,
        ReduceKind::SumSquare,
        ReduceKind::ArgMax,
        ReduceKind::ArgMin,
        ReduceKind::ArgMaxLast,
        ReduceKind::ArgMinLast,
    ];

    /// The reduction with this code in the file format.
    pub fn from_code(code: u8) -> Option<ReduceKind> {
        Self::ALL.get(code as usize).copied()
    }

    /// Lower-case name for dumps, words joined by `_`.
    pub fn name(self) -> &'static str {
        match self {
            ReduceKind::Sum => "sum",
            ReduceKind::Mean => "mean",
            ReduceKind::Max => "max",
            ReduceKind::Min => "min",
            ReduceKind::Prod => "prod",
            ReduceKind::SumSquare => "sum_square",
            ReduceKind::ArgMax => "arg_max",
            ReduceKind::ArgMin => "arg_min",
            ReduceKind::ArgMaxLast => "arg_max_last",
            ReduceKind::ArgMinLast => "arg_min_last",
        }
    }

    /// Whether the result is an index.
    pub fn is_index(self) -> bool {
        matches!(
            self,
            ReduceKind::ArgMax
                | ReduceKind::ArgMin
                | ReduceKind::ArgMaxLast
                | ReduceKind::ArgMinLast
        )
    }
}

/// The kept dimensions with their steps in `x`, and the reduced ones.
struct Split {
    kept: Axes,
    reduced: Axes,
}

/// Some dimensions of an array: lengths and steps, outermost first.
#[derive(Default)]
struct Axes {
    rank: usize,
    dims: [usize; MAX_RANK],
    steps: [usize; MAX_RANK],
}

impl Axes {
    /// Adds a dimension inside the others; one that continues the last is merged with it.
    fn push(&mut self, dim: usize, step: usize) {
        if dim == 1 {
            return;
        }
        if self.rank > 0 && self.steps[self.rank - 1] == dim * step {
            self.dims[self.rank - 1] *= dim;
            self.steps[self.rank - 1] = step;
        } else {
            (self.dims[self.rank], self.steps[self.rank]) = (dim, step);
            self.rank += 1;
        }
    }

    fn len(&self) -> usize {
        self.dims[..self.rank].iter().product()
    }

    /// Calls `f` with the offset in `x` of every element, row-major over these dimensions.
    #[inline(always)]
    fn each_offset(&self, mut f: impl FnMut(usize)) {
        let Some(last) = self.rank.checked_sub(1) else {
            return f(0);
        };
        let (dim, step) = (self.dims[last], self.steps[last]);
        for row in 0..self.dims[..last].iter().product() {
            let offset = self.offset(row * dim);
            (0..dim).for_each(|i| f(offset + i * step));
        }
    }

    /// The offset in `x` of element `i`, row-major over these dimensions.
    fn offset(&self, mut i: usize) -> usize {
        let mut offset = 0;
        for axis in (0..self.rank).rev() {
            offset += i % self.dims[axis] * self.steps[axis];
            i /= self.dims[axis];
        }
        offset
    }
}

/// `None` where the shape is not one or has too many elements.
fn split(dims: &[usize], axes: u8) -> Option<Split> {
    if dims.len() > MAX_RANK || axes as usize >> dims.len() != 0 {
        return None;
    }
    let mut steps = [1usize; MAX_RANK];
    let mut step = 1usize;
    for i in (0..dims.len()).rev() {
        steps[i] = step;
        step = step.checked_mul(dims[i])?;
    }
    let mut split = Split {
        kept: Axes::default(),
        reduced: Axes::default(),
    };
    for (i, &d) in dims.iter().enumerate() {
        let side = if axes >> i & 1 == 1 {
            &mut split.reduced
        } else {
            &mut split.kept
        };
        side.push(d, steps[i]);
    }
    Some(split)
}

/// Folds the reduced elements of every output, in row-major order of `x`.
fn fold<T: Copy + Sync, Y: Copy + Send + Sync>(
    ctx: &Ctx<'_>,
    s: &Split,
    x: &[T],
    y: &mut [Y],
    start: Y,
    f: impl Fn(Y, T) -> Y + Sync,
) {
    let last = s.kept.rank.wrapping_sub(1);
    // Neighbouring outputs whose inputs are neighbours as well go side by side.
    let contiguous = s.kept.rank > 0 && s.kept.steps[last] == 1;
    let width = if contiguous { s.kept.dims[last] } else { 1 };
    let outputs = y.len();
    let y = par::Shared::new(y);
    // Whole groups of those that fit registers.
    let groups = outputs.div_ceil(LANES);
    // Adding takes a fourth of what other work with an element does.
    let elements = s.reduced.len().saturating_mul(LANES) / 4;
    par::for_ranges(ctx.par, groups, elements, &|range| {
        let range = range.start * LANES..outputs.min(range.end * LANES);
        // SAFETY: ranges do not overlap.
        let mut y = unsafe { y.part(range.clone()) };
        let mut at = range.start;
        while !y.is_empty() {
            let (row, column) = (at / width, at % width);
            let base = s.kept.offset(row * width) + column;
            let (now, later) = y.split_at_mut(y.len().min(width - column));
            at += now.len();
            y = later;
            // As many as fit registers, then one by one.
            let (chunks, rest) = now.as_chunks_mut::<LANES>();
            let singly = chunks.len() * LANES;
            for (i, y) in chunks.iter_mut().enumerate() {
                *y = fold_lanes(&s.reduced, x, base + i * LANES, start, &f);
            }
            for (i, y) in rest.iter_mut().enumerate() {
                [*y] = fold_lanes(&s.reduced, x, base + singly + i, start, &f);
            }
        }
    });
}

/// Outputs that [`fold`] computes side by side.
const LANES: usize = 32;

/// Folds the reduced elements of `N` neighbouring outputs, the first of which has
/// its first element at `base`.
#[inline(always)]
fn fold_lanes<T: Copy, Y: Copy, const N: usize>(
    reduced: &Axes,
    x: &[T],
    base: usize,
    start: Y,
    f: impl Fn(Y, T) -> Y,
) -> [Y; N] {
    let mut all = [start; N];
    reduced.each_offset(|offset| {
        if let Some(x) = x.get(base + offset..).and_then(|x| x.first_chunk::<N>()) {
            for (all, x) in all.iter_mut().zip(x) {
                *all = f(*all, *x);
            }
        }
    });
    all
}

/// Index of the first or last best element; `better(a, b)` tells whether `a` beats `b`.
fn index_of<T: Copy + Sync>(
    ctx: &Ctx<'_>,
    s: &Split,
    x: &[T],
    y: &mut [i64],
    last: bool,
    better: fn(T, T) -> bool,
) {
    let count = s.reduced.len();
    par::for_rows(ctx.par, y, 1, &|outputs, y| {
        for (o, y) in outputs.zip(y) {
            let base = s.kept.offset(o);
            let mut best = 0;
            for i in 1..count {
                let (new, old) = (
                    x[base + s.reduced.offset(i)],
                    x[base + s.reduced.offset(best)],
                );
                if better(new, old) || (last && !better(old, new)) {
                    best = i;
                }
            }
            *y = best as i64;
        }
    });
}

/// Reduces the axes whose bit is set in `axes` (bit `i` for dimension `i`).
/// `dims` is the shape of `x` (rank at most 6); `y` holds the kept dimensions
/// in order, row-major. f32 sums add in row-major order of `x`.
///
/// Over no elements: sums are 0, products 1, the mean NaN, maxima and minima the
/// dtype's lowest and highest (infinities for f32); an index is `Invalid`.
/// Comparisons pass over NaNs.
pub fn run(
    ctx: &mut Ctx<'_>,
    kind: ReduceKind,
    dims: &[usize],
    axes: u8,
    x: View<'_>,
    y: ViewMut<'_>,
) -> Result<(), Invalid> {
    let s = split(dims, axes).ok_or(Invalid)?;
    let total = dims.iter().product::<usize>();
    // With an empty dimension the merged ones need not multiply to the outputs.
    let outputs: usize = dims
        .iter()
        .enumerate()
        .filter(|(i, _)| axes >> i & 1 == 0)
        .map(|(_, &d)| d)
        .product();
    if total != x.len() || outputs != y.len() {
        return Err(Invalid);
    }
    if outputs == 0 {
        return Ok(());
    }
    let empty = total == 0;
    if kind.is_index() {
        let ViewMut::I64(y) = y else {
            return Err(Invalid);
        };
        if empty || axes.count_ones() != 1 {
            return Err(Invalid);
        }
        let largest = matches!(kind, ReduceKind::ArgMax | ReduceKind::ArgMaxLast);
        let last = matches!(kind, ReduceKind::ArgMaxLast | ReduceKind::ArgMinLast);
        macro_rules! index {
            ($x:ident) => {
                if largest {
                    index_of(ctx, &s, $x, y, last, |a, b| a > b)
                } else {
                    index_of(ctx, &s, $x, y, last, |a, b| a < b)
                }
            };
        }
        match x {
            View::F32(x) => index!(x),
            View::I32(x) => index!(x),
            View::I64(x) => index!(x),
            _ => return Err(Invalid),
        }
        return Ok(());
    }
    macro_rules! integers {
        ($t:ty, $x:ident, $y:ident) => {{
            let (start, f): ($t, fn($t, $t) -> $t) = match kind {
                ReduceKind::Sum => (0, |a, b| a.wrapping_add(b)),
                ReduceKind::SumSquare => (0, |a, b| a.wrapping_add(b.wrapping_mul(b))),
                ReduceKind::Prod => (1, |a, b| a.wrapping_mul(b)),
                ReduceKind::Max => (<$t>::MIN, |a, b| a.max(b)),
                ReduceKind::Min => (<$t>::MAX, |a, b| a.min(b)),
                _ => return Err(Invalid),
            };
            if empty {
                $y.fill(start)
            } else {
                fold(ctx, &s, $x, $y, start, f)
            }
        }};
    }
    match (x, y) {
        (View::F32(x), ViewMut::F32(y)) => {
            macro_rules! floats {
                ($start:expr, $f:expr) => {
                    if empty {
                        y.fill($start)
                    } else {
                        fold(ctx, &s, x, y, $start, $f)
                    }
                };
            }
            match kind {
                ReduceKind::Sum | ReduceKind::Mean => floats!(0.0, |a, b| a + b),
                ReduceKind::SumSquare => floats!(0.0, |a, b| a + b * b),
                ReduceKind::Prod => floats!(1.0, |a, b| a * b),
                ReduceKind::Max => floats!(f32::NEG_INFINITY, |a: f32, b: f32| if b > a {
                    b
                } else {
                    a
                }),
                _ => floats!(f32::INFINITY, |a: f32, b: f32| if b < a { b } else { a }),
            }
            if kind == ReduceKind::Mean {
                let n = (total / outputs) as f32;
                y.iter_mut().for_each(|y| *y /= n);
            }
        }
        (View::I32(x), ViewMut::I32(y)) => integers!(i32, x, y),
        (View::I64(x), ViewMut::I64(y)) => integers!(i64, x, y),
        _ => return Err(Invalid),
    }
    Ok(())
}

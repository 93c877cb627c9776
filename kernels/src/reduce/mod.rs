//! Reductions over any set of axes.

use crate::{Ctx, Invalid, View, ViewMut};

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
    /// The reduction with this code in the file format.
    pub fn from_code(code: u8) -> Option<ReduceKind> {
        let _ = code;
        todo!()
    }

    /// Lower-case name for dumps.
    pub fn name(self) -> &'static str {
        todo!()
    }
}

/// Reduces the axes whose bit is set in `axes` (bit `i` for dimension `i`).
/// `dims` is the shape of `x` (rank at most 6); `y` holds the kept dimensions
/// in order, row-major. f32 sums add in row-major order of `x` in the scalar variant.
pub fn run(ctx: &mut Ctx<'_>, kind: ReduceKind, dims: &[usize], axes: u8, x: View<'_>, y: ViewMut<'_>) -> Result<(), Invalid> {
    let _ = (ctx, kind, dims, axes, x, y);
    todo!()
}

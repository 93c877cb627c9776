//! How operands of different shapes spread over one output.

use crate::MAX_RANK;

/// How operands of one output spread over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broadcast<const N: usize> {
    /// Number of dimensions used below; the output is row-major.
    pub rank: usize,
    /// Output dimensions, outermost first.
    pub dims: [usize; MAX_RANK],
    /// Elements to step in each operand along each dimension; 0 repeats.
    pub strides: [[usize; MAX_RANK]; N],
}

impl<const N: usize> Broadcast<N> {
    /// NumPy's rules: aligns shapes at the right; `None` if they do not match,
    /// exceed the rank, or have more elements than an address can count.
    pub fn new(out: &[usize], operands: [&[usize]; N]) -> Option<Self> {
        let mut shape = Broadcast {
            rank: out.len(),
            dims: [1; MAX_RANK],
            strides: [[0; MAX_RANK]; N],
        };
        shape.dims.get_mut(..out.len())?.copy_from_slice(out);
        out.iter().try_fold(1usize, |n, &d| n.checked_mul(d))?;
        for (dims, strides) in operands.iter().zip(&mut shape.strides) {
            let skip = out.len().checked_sub(dims.len())?;
            let mut step = 1usize;
            for (i, &d) in dims.iter().enumerate().rev() {
                match d {
                    1 => {}
                    d if d == out[skip + i] => strides[skip + i] = step,
                    _ => return None,
                }
                step = step.checked_mul(d)?;
            }
        }
        Some(shape)
    }

    /// Elements of the output.
    pub(super) fn len(&self) -> Option<usize> {
        self.dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
    }

    /// Whether every offset that operand `i` is read at lies below `len`.
    pub(super) fn reads_within(&self, i: usize, len: usize) -> bool {
        if self.len() == Some(0) {
            return true;
        }
        let last = self
            .dims
            .iter()
            .zip(&self.strides[i])
            .try_fold(0usize, |sum, (&d, &s)| {
                sum.checked_add((d - 1).checked_mul(s)?)
            });
        last.is_some_and(|last| last < len)
    }

    /// The length of the output's innermost run over which every operand's
    /// step is either 0 throughout or that of a contiguous array, and those steps.
    pub(super) fn run(&self) -> (usize, [usize; N]) {
        let mut run = 1;
        let mut steps = [0; N];
        for axis in (0..self.rank).rev() {
            let d = self.dims[axis];
            if d == 1 {
                continue;
            }
            let fits = run == 1 || (0..N).all(|i| self.strides[i][axis] == steps[i] * run);
            if !fits || (run == 1 && (0..N).any(|i| self.strides[i][axis] > 1)) {
                break;
            }
            if run == 1 {
                steps = core::array::from_fn(|i| self.strides[i][axis]);
            }
            run *= d;
        }
        (run, steps)
    }

    /// Calls `f` with the output offset and the operands' offsets of each run
    /// of [`run`](Self::run), for the runs numbered `range`.
    pub(super) fn each_run(
        &self,
        run: usize,
        range: core::ops::Range<usize>,
        mut f: impl FnMut(usize, [usize; N]),
    ) {
        for number in range {
            let mut rest = number * run;
            let mut offsets = [0; N];
            for axis in (0..self.rank).rev() {
                let at = rest % self.dims[axis];
                rest /= self.dims[axis];
                for (offset, strides) in offsets.iter_mut().zip(&self.strides) {
                    *offset += at * strides[axis];
                }
            }
            f(number * run, offsets);
        }
    }
}

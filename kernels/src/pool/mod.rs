//! Max and average pools over NHWC images.

mod scalar;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(test)]
mod tests;

use crate::conv2d::Conv2dShape;
use crate::{Caps, Ctx, Invalid, Variant, View, ViewMut, par};
use core::ops::Range;

/// A pool whose shape was checked.
struct Pool<'a> {
    shape: &'a Conv2dShape,
    /// Where the padded image ends, bottom and right, past the input, if what is
    /// padding counts as well.
    counted: Option<[usize; 2]>,
}

/// The taps of an output coordinate along an axis that lie inside of the input.
struct Taps {
    /// The input's coordinate of the first.
    start: usize,
    count: usize,
    /// How many count in a mean.
    divisor: usize,
}

impl Pool<'_> {
    #[inline(always)]
    fn taps(&self, axis: usize, o: usize) -> Taps {
        let s = self.shape;
        let (input, pad, step) = (s.input[axis], s.pad[axis], s.dilation[axis]);
        // In coordinates of the padded image.
        let first = o * s.stride[axis];
        let below = |end: usize| end.saturating_sub(first).div_ceil(step).min(s.kernel[axis]);
        let inside = first >= pad && first + (s.kernel[axis] - 1) * step < pad + input;
        let (outside, end) = if inside {
            (0, s.kernel[axis])
        } else {
            (below(pad), below(pad + input))
        };
        let count = end - outside;
        Taps {
            start: (first + outside * step).saturating_sub(pad),
            count,
            divisor: self
                .counted
                .map_or(count, |more| below(pad + input + more[axis])),
        }
    }
}

/// Computes some output positions, which are the slice written.
type Positions<T> = fn(&Pool<'_>, Range<usize>, &[T], &mut [T]);

/// The loops of one variant.
#[derive(Clone, Copy)]
struct Kernels {
    max_f32: Positions<f32>,
    max_i8: Positions<i8>,
    max_i16: Positions<i16>,
    average: Positions<f32>,
}

/// Best first, scalar last.
const VARIANTS: &[Variant<Kernels>] = &[
    #[cfg(target_arch = "x86_64")]
    Variant {
        name: "x86_avx512",
        needs: Caps::AVX512VNNI,
        run: x86::AVX512,
    },
    #[cfg(target_arch = "x86_64")]
    Variant {
        name: "x86_avx2",
        needs: Caps::AVX2,
        run: x86::AVX2,
    },
    Variant {
        name: "scalar",
        needs: Caps::SCALAR,
        run: scalar::KERNELS,
    },
];

/// Whether a shape is a pool's, and its images have these lengths.
fn fits(s: &Conv2dShape, x: usize, y: usize) -> bool {
    let len = |size: [usize; 2]| {
        s.batch
            .checked_mul(size[0])?
            .checked_mul(size[1])?
            .checked_mul(s.in_channels)
    };
    // Within these bounds no coordinate overflows.
    let small = |v: [usize; 2]| v.iter().all(|&v| v < 1 << 30);
    let extent = |i: usize| {
        s.kernel[i]
            .checked_mul(s.dilation[i])
            .is_some_and(|e| e < 1 << 30)
            && s.output[i]
                .checked_mul(s.stride[i])
                .is_some_and(|e| e < 1 << 30)
    };
    !s.transposed
        && s.groups == s.in_channels
        && s.in_channels == s.out_channels
        && [s.stride, s.dilation, s.kernel]
            .as_flattened()
            .iter()
            .all(|&v| v > 0)
        && small(s.input)
        && small(s.output)
        && small(s.pad)
        && extent(0)
        && extent(1)
        && len(s.input) == Some(x)
        && len(s.output) == Some(y)
}

/// Computes all output positions, of which `y` has at least one.
fn each_position<T: Send + Sync>(
    ctx: &Ctx<'_>,
    pool: &Pool<'_>,
    kernel: Positions<T>,
    x: &[T],
    y: &mut [T],
) {
    if !y.is_empty() {
        par::for_rows(ctx.par, y, pool.shape.in_channels, &|range, y| {
            kernel(pool, range, x, y)
        });
    }
}

/// Largest value under the kernel; padding never wins. F32, I8 or I16, the
/// same in and out. `shape` has `groups == in_channels == out_channels`. A
/// window that lies in padding alone gives the dtype's lowest value
/// (-infinity for f32); a NaN never wins.
pub fn max(
    ctx: &mut Ctx<'_>,
    shape: &Conv2dShape,
    x: View<'_>,
    y: ViewMut<'_>,
) -> Result<(), Invalid> {
    let kernels = Variant::select(VARIANTS, ctx.caps).ok_or(Invalid)?.run;
    if !fits(shape, x.len(), y.len()) {
        return Err(Invalid);
    }
    let pool = Pool {
        shape,
        counted: None,
    };
    match (x, y) {
        (View::F32(x), ViewMut::F32(y)) => each_position(ctx, &pool, kernels.max_f32, x, y),
        (View::I8(x), ViewMut::I8(y)) => each_position(ctx, &pool, kernels.max_i8, x, y),
        (View::I16(x), ViewMut::I16(y)) => each_position(ctx, &pool, kernels.max_i16, x, y),
        _ => return Err(Invalid),
    }
    Ok(())
}

/// Mean under the kernel. With `count_include_pad` the divisor counts
/// positions inside the padded image, which ends `pad_end` (`[bottom, right]`) past the input;
/// without it, only positions inside the input (an empty window gives 0).
pub fn average(
    ctx: &mut Ctx<'_>,
    shape: &Conv2dShape,
    pad_end: [usize; 2],
    count_include_pad: bool,
    x: &[f32],
    y: &mut [f32],
) -> Result<(), Invalid> {
    let kernels = Variant::select(VARIANTS, ctx.caps).ok_or(Invalid)?.run;
    if !fits(shape, x.len(), y.len()) || pad_end.iter().any(|&p| p >= 1 << 30) {
        return Err(Invalid);
    }
    let pool = Pool {
        shape,
        counted: count_include_pad.then_some(pad_end),
    };
    each_position(ctx, &pool, kernels.average, x, y);
    Ok(())
}

//! Max and average pools over NHWC images.

mod scalar;
#[cfg(target_arch = "x86_64")]
mod x86_avx2;

#[cfg(test)]
mod tests;

use crate::conv2d::Conv2dShape;
use crate::{Caps, Ctx, Invalid, Variant, View, ViewMut, par};

/// Loops over the channels of one output position, for one variant.
#[derive(Clone, Copy)]
struct Kernels {
    /// `y = max(y, x)`; a NaN in `x` is passed over.
    max_f32: fn(&mut [f32], &[f32]),
    max_i8: fn(&mut [i8], &[i8]),
    max_i16: fn(&mut [i16], &[i16]),
    /// `y = y + x`
    add: fn(&mut [f32], &[f32]),
    /// `y = y / n`
    divide: fn(&mut [f32], f32),
}

/// Best first, scalar last.
const VARIANTS: &[Variant<Kernels>] = &[
    #[cfg(target_arch = "x86_64")]
    Variant {
        name: "x86_avx2",
        needs: Caps::AVX2,
        run: x86_avx2::KERNELS,
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
        && s.stride.iter().chain(&s.dilation).all(|&v| v > 0)
        && small(s.input)
        && small(s.output)
        && small(s.pad)
        && extent(0)
        && extent(1)
        && len(s.input) == Some(x)
        && len(s.output) == Some(y)
}

/// Given the channels of an output position, its row and column, and the input
/// offsets under the kernel, row by row.
type Window<'a, T> = &'a (dyn Fn(&mut [T], [usize; 2], &mut dyn Iterator<Item = usize>) + Sync);

/// Calls `window` for each output position.
fn each_position<T: Send>(ctx: &Ctx<'_>, s: &Conv2dShape, y: &mut [T], window: Window<'_, T>) {
    let c = s.in_channels;
    par::for_rows(ctx.par, y, c, &|positions, y| {
        for (p, y) in positions.zip(y.chunks_exact_mut(c.max(1))) {
            let (ow, rest) = (p % s.output[1], p / s.output[1]);
            let (oh, n) = (rest % s.output[0], rest / s.output[0]);
            let mut taps = (0..s.kernel[0])
                .filter_map(|k| s.source(0, oh, k))
                .flat_map(|ih| {
                    (0..s.kernel[1])
                        .filter_map(move |k| s.source(1, ow, k))
                        .map(move |iw| ((n * s.input[0] + ih) * s.input[1] + iw) * c)
                });
            window(y, [oh, ow], &mut taps);
        }
    });
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
    let c = shape.in_channels;
    macro_rules! pool {
        ($x:ident, $y:ident, $lowest:expr, $max:ident) => {
            each_position(ctx, shape, $y, &|y, _, taps| {
                y.fill($lowest);
                taps.for_each(|at| (kernels.$max)(y, &$x[at..at + c]));
            })
        };
    }
    match (x, y) {
        (View::F32(x), ViewMut::F32(y)) => pool!(x, y, f32::NEG_INFINITY, max_f32),
        (View::I8(x), ViewMut::I8(y)) => pool!(x, y, i8::MIN, max_i8),
        (View::I16(x), ViewMut::I16(y)) => pool!(x, y, i16::MIN, max_i16),
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
    let c = shape.in_channels;
    // Kernel positions along an axis that lie inside the padded image.
    let padded = |axis: usize, o: usize| {
        let end = shape.input[axis] + shape.pad[axis] + pad_end[axis];
        (0..shape.kernel[axis])
            .filter(|k| o * shape.stride[axis] + k * shape.dilation[axis] < end)
            .count()
    };
    each_position(ctx, shape, y, &|y, [oh, ow], taps| {
        y.fill(0.0);
        let mut count = 0;
        for at in taps {
            (kernels.add)(y, &x[at..at + c]);
            count += 1;
        }
        if count_include_pad {
            count = padded(0, oh) * padded(1, ow);
        }
        if count > 0 {
            (kernels.divide)(y, count as f32);
        }
    });
    Ok(())
}

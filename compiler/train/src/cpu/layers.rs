//! What is neither a convolution nor a batch norm.

use super::{CHUNK, groups};
use crate::cpu::conv::product;
use rayon::prelude::*;

pub(super) fn map(x: &[f32], y: &mut [f32], f: impl Fn(f32) -> f32 + Sync) {
    y.par_chunks_mut(CHUNK)
        .zip(x.par_chunks(CHUNK))
        .for_each(|(y, x)| {
            for (y, x) in y.iter_mut().zip(x) {
                *y = f(*x);
            }
        });
}

fn zip(a: &[f32], b: &[f32], y: &mut [f32], f: impl Fn(f32, f32) -> f32 + Sync) {
    let inputs = a.par_chunks(CHUNK).zip(b.par_chunks(CHUNK));
    y.par_chunks_mut(CHUNK).zip(inputs).for_each(|(y, (a, b))| {
        for ((y, a), b) in y.iter_mut().zip(a).zip(b) {
            *y = f(*a, *b);
        }
    });
}

pub(super) fn add(a: &[f32], b: &[f32], y: &mut [f32]) {
    zip(a, b, y, |a, b| a + b);
}

pub(super) fn multiply(a: &[f32], b: &[f32], y: &mut [f32]) {
    zip(a, b, y, |a, b| a * b);
}

/// `dy` where `open` says so of `y`, else 0.
pub(super) fn where_(y: &[f32], dy: &[f32], dx: &mut [f32], open: impl Fn(f32) -> bool + Sync) {
    zip(y, dy, dx, |y, dy| if open(y) { dy } else { 0.0 });
}

pub(super) fn add_to(sum: &mut [f32], x: &[f32]) {
    sum.par_chunks_mut(CHUNK)
        .zip(x.par_chunks(CHUNK))
        .for_each(|(sum, x)| {
            for (sum, x) in sum.iter_mut().zip(x) {
                *sum += x;
            }
        });
}

/// The largest magnitude.
pub(super) fn largest(x: &[f32]) -> f32 {
    let parts = x.par_chunks(CHUNK);
    let parts = parts.map(|x| x.iter().fold(0f32, |most, x| most.max(x.abs())));
    parts.reduce(|| 0.0, f32::max)
}

/// Makes the gradient 0 where `x` is beyond the clip, and tells how the loss changes
/// with the clip.
pub(super) fn cut(x: &[f32], dy: &mut [f32], clip: f32) -> f32 {
    let parts: Vec<f64> = dy
        .par_chunks_mut(CHUNK)
        .zip(x.par_chunks(CHUNK))
        .map(|(dy, x)| {
            let mut sum = 0.0;
            for (dy, x) in dy.iter_mut().zip(x) {
                if x.abs() > clip {
                    sum += f64::from(*dy * x.signum());
                    *dy = 0.0;
                }
            }
            sum
        })
        .collect();
    parts.iter().sum::<f64>() as f32
}

/// `[count, channels, height, width]` with channels innermost.
pub(super) fn to_nhwc(x: &[f32], [channels, height, width]: [usize; 3], y: &mut [f32]) {
    let plane = height * width;
    let each = channels * plane;
    y.par_chunks_exact_mut(each)
        .zip(x.par_chunks_exact(each))
        .for_each(|(y, x)| {
            for (c, x) in x.chunks_exact(plane).enumerate() {
                for (i, x) in x.iter().enumerate() {
                    y[i * channels + c] = *x;
                }
            }
        });
}

/// Multiplies and adds a number of each channel, channels innermost.
pub(super) fn scale_and_shift(y: &mut [f32], factors: &[f32], summands: &[f32]) {
    let channels = factors.len();
    y.par_chunks_mut(channels * 256).for_each(|y| {
        for y in y.chunks_exact_mut(channels) {
            for ((y, factor), summand) in y.iter_mut().zip(factors).zip(summands) {
                *y = *y * factor + summand;
            }
        }
    });
}

/// `[count, channels]`.
pub(super) fn average(x: &[f32], shape: &[usize], y: &mut [f32]) {
    let (channels, places) = (shape[0], shape[1] * shape[2]);
    let samples = y.par_chunks_exact_mut(channels);
    samples
        .zip(x.par_chunks_exact(channels * places))
        .for_each(|(y, x)| {
            y.fill(0.0);
            for x in x.chunks_exact(channels) {
                for (y, x) in y.iter_mut().zip(x) {
                    *y += x;
                }
            }
            y.iter_mut().for_each(|y| *y /= places as f32);
        });
}

pub(super) fn average_back(dy: &[f32], shape: &[usize], dx: &mut [f32]) {
    let (channels, places) = (shape[0], shape[1] * shape[2]);
    let each = 1.0 / places as f32;
    let samples = dx.par_chunks_exact_mut(channels * places);
    samples
        .zip(dy.par_chunks_exact(channels))
        .for_each(|(dx, dy)| {
            for dx in dx.chunks_exact_mut(channels) {
                for (dx, dy) in dx.iter_mut().zip(dy) {
                    *dx = dy * each;
                }
            }
        });
}

/// Images as vectors with channels outermost; vectors as they are.
pub(super) fn flatten(x: &[f32], shape: &[usize], y: &mut [f32]) {
    turn(x, shape, y, |nhwc, nchw| (nchw, nhwc));
}

pub(super) fn flatten_back(dy: &[f32], shape: &[usize], dx: &mut [f32]) {
    turn(dy, shape, dx, |nhwc, nchw| (nhwc, nchw));
}

/// `order` gives where an element goes and where it comes from.
fn turn(x: &[f32], shape: &[usize], y: &mut [f32], order: impl Fn(usize, usize) -> (usize, usize)) {
    let [channels, height, width] = *shape else {
        return y.copy_from_slice(x);
    };
    let each = channels * height * width;
    for (y, x) in y.chunks_exact_mut(each).zip(x.chunks_exact(each)) {
        for i in 0..each {
            let (to, from) = order(i, i % channels * height * width + i / channels);
            y[to] = x[from];
        }
    }
}

pub(super) fn max_pool(
    x: &[f32],
    from: &[usize],
    to: &[usize],
    [kernel, stride, padding]: [usize; 3],
    y: &mut [f32],
    largest: &mut Vec<u32>,
) {
    let (channels, each) = (from[0], from.iter().product::<usize>());
    largest.resize(y.len(), 0);
    let out = to.iter().product::<usize>();
    let samples = y
        .par_chunks_exact_mut(out)
        .zip(largest.par_chunks_exact_mut(out));
    samples
        .zip(x.par_chunks_exact(each))
        .for_each(|((y, at), x)| {
            for (i, (y, at)) in y.iter_mut().zip(at).enumerate() {
                let (c, place) = (i % channels, i / channels);
                let (oy, ox) = (place / to[2], place % to[2]);
                *y = f32::NEG_INFINITY;
                for ky in 0..kernel {
                    for kx in 0..kernel {
                        let iy = (oy * stride + ky)
                            .checked_sub(padding)
                            .filter(|v| *v < from[1]);
                        let ix = (ox * stride + kx)
                            .checked_sub(padding)
                            .filter(|v| *v < from[2]);
                        if let Some((iy, ix)) = iy.zip(ix) {
                            let index = (iy * from[2] + ix) * channels + c;
                            if x[index] > *y {
                                (*y, *at) = (x[index], index as u32);
                            }
                        }
                    }
                }
            }
        });
}

pub(super) fn max_pool_back(largest: &[u32], dy: &[f32], count: usize, dx: &mut [f32]) {
    let (each, out) = (dx.len() / count, dy.len() / count);
    let samples = dx.par_chunks_exact_mut(each).zip(dy.par_chunks_exact(out));
    samples
        .zip(largest.par_chunks_exact(out))
        .for_each(|((dx, dy), at)| {
            dx.fill(0.0);
            for (dy, at) in dy.iter().zip(at) {
                dx[*at as usize] += dy;
            }
        });
}

/// `y = x w + bias` with `w` as `[inputs, outputs]`.
pub(super) fn linear(
    x: &[f32],
    w: &[f32],
    bias: &[f32],
    [inputs, outputs]: [usize; 2],
    y: &mut [f32],
) {
    let (a, b) = ((x, [inputs as isize, 1]), (w, [outputs as isize, 1]));
    product([x.len() / inputs, inputs, outputs], a, b, y, false);
    if !bias.is_empty() {
        for y in y.chunks_exact_mut(outputs) {
            for (y, b) in y.iter_mut().zip(bias) {
                *y += b;
            }
        }
    }
}

/// Gradients of weights and bias; that of the input into `dx`.
pub(super) fn linear_back(
    x: &[f32],
    w: &[f32],
    dy: &[f32],
    [inputs, outputs]: [usize; 2],
    dx: &mut [f32],
) -> (Vec<f32>, Vec<f32>) {
    let count = x.len() / inputs;
    let (mut dw, mut db) = (vec![0.0; w.len()], vec![0.0; outputs]);
    let dy_rows = (dy, [outputs as isize, 1]);
    product(
        [inputs, count, outputs],
        (x, [1, inputs as isize]),
        dy_rows,
        &mut dw,
        false,
    );
    product(
        [count, outputs, inputs],
        dy_rows,
        (w, [1, outputs as isize]),
        dx,
        false,
    );
    for samples in groups(count) {
        for dy in dy[samples.start * outputs..samples.end * outputs].chunks_exact(outputs) {
            for (db, dy) in db.iter_mut().zip(dy) {
                *db += dy;
            }
        }
    }
    (dw, db)
}

//! Batch norms over `[rows, channels]`.

use super::groups;
use rayon::prelude::*;

/// Adds up `f(row, sums)` over all rows, group by group, then the groups in order.
fn sums(rows: usize, width: usize, f: impl Fn(usize, &mut [f64]) + Sync) -> Vec<f64> {
    let parts: Vec<Vec<f64>> = groups(rows)
        .into_par_iter()
        .map(|range| {
            let mut sum = vec![0.0; width];
            for row in range {
                f(row, &mut sum);
            }
            sum
        })
        .collect();
    let mut total = vec![0.0; width];
    for part in parts {
        for (total, part) in total.iter_mut().zip(part) {
            *total += part;
        }
    }
    total
}

/// Mean and variance of each channel.
pub(super) fn statistics(x: &[f32], channels: usize, _count: usize) -> (Vec<f64>, Vec<f64>) {
    let rows = x.len() / channels;
    let row = |i: usize| &x[i * channels..][..channels];
    let mut mean = sums(rows, channels, |i, sum| {
        for (sum, x) in sum.iter_mut().zip(row(i)) {
            *sum += f64::from(*x);
        }
    });
    mean.iter_mut().for_each(|m| *m /= rows as f64);
    let mut variance = sums(rows, channels, |i, sum| {
        for ((sum, x), mean) in sum.iter_mut().zip(row(i)).zip(&mean) {
            let d = f64::from(*x) - mean;
            *sum += d * d;
        }
    });
    variance.iter_mut().for_each(|v| *v /= rows as f64);
    (mean, variance)
}

/// Rows of a task.
const ROWS: usize = 256;

pub(super) fn forward(
    x: &[f32],
    mean: &[f32],
    inverse: &[f32],
    weight: &[f32],
    bias: &[f32],
    y: &mut [f32],
) {
    let channels = mean.len();
    let factor: Vec<f32> = weight.iter().zip(inverse).map(|(w, i)| w * i).collect();
    let len = ROWS * channels;
    y.par_chunks_mut(len)
        .zip(x.par_chunks(len))
        .for_each(|(y, x)| {
            let rows = y.chunks_exact_mut(channels).zip(x.chunks_exact(channels));
            for (y, x) in rows {
                for c in 0..channels {
                    y[c] = (x[c] - mean[c]) * factor[c] + bias[c];
                }
            }
        });
}

/// Gradients of weight and bias; that of the input into `dx`.
pub(super) fn backward(
    x: &[f32],
    mean: &[f32],
    inverse: &[f32],
    weight: &[f32],
    dy: &[f32],
    _count: usize,
    dx: &mut [f32],
) -> (Vec<f32>, Vec<f32>) {
    let channels = mean.len();
    let rows = x.len() / channels;
    let both = sums(rows, 2 * channels, |i, sum| {
        let (dw, db) = sum.split_at_mut(channels);
        let (x, dy) = (
            &x[i * channels..][..channels],
            &dy[i * channels..][..channels],
        );
        for c in 0..channels {
            dw[c] += f64::from(dy[c] * (x[c] - mean[c]) * inverse[c]);
            db[c] += f64::from(dy[c]);
        }
    });
    let narrow = |sums: &[f64]| sums.iter().map(|s| *s as f32).collect::<Vec<f32>>();
    let (dw, db) = (narrow(&both[..channels]), narrow(&both[channels..]));
    let each = 1.0 / rows as f32;
    let len = ROWS * channels;
    let parts = dx
        .par_chunks_mut(len)
        .zip(x.par_chunks(len))
        .zip(dy.par_chunks(len));
    parts.for_each(|((dx, x), dy)| {
        let rows = dx.chunks_exact_mut(channels).zip(x.chunks_exact(channels));
        for ((dx, x), dy) in rows.zip(dy.chunks_exact(channels)) {
            for c in 0..channels {
                let normal = (x[c] - mean[c]) * inverse[c];
                let centred = dy[c] - each * (db[c] + normal * dw[c]);
                dx[c] = weight[c] * inverse[c] * centred;
            }
        }
    });
    (dw, db)
}

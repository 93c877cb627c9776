//! Convolutions: windows gathered, then matrix products; depthwise ones directly.

use super::{GROUPS, groups};
use gemm::{Parallelism, gemm};
use rayon::prelude::*;
use std::ops::Range;
use tern_network::{Conv2d, Layer};

/// Sizes of a convolution.
pub(super) struct Geometry {
    conv: Conv2d,
    input: [usize; 3],
    output: [usize; 3],
}

/// `c += a b`: `a` is `[m, k]`, `b` `[k, n]`, both with the steps down and across
/// given; `c` is `[m, n]`, rows one after the other. `add` keeps what is there.
pub(super) fn product(
    [m, k, n]: [usize; 3],
    (a, a_steps): (&[f32], [isize; 2]),
    (b, b_steps): (&[f32], [isize; 2]),
    c: &mut [f32],
    add: bool,
) {
    let last = |steps: [isize; 2], rows: usize, columns: usize| {
        (rows as isize - 1) * steps[0] + (columns as isize - 1) * steps[1]
    };
    if m == 0 || n == 0 || k == 0 {
        if !add {
            c.fill(0.0);
        }
        return;
    }
    assert!((last(a_steps, m, k) as usize) < a.len());
    assert!((last(b_steps, k, n) as usize) < b.len());
    assert!(m * n <= c.len());
    // SAFETY: all elements lie in the slices, as just checked; steps are not negative.
    unsafe {
        gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            1,
            n as isize,
            add,
            a.as_ptr(),
            a_steps[1],
            a_steps[0],
            b.as_ptr(),
            b_steps[1],
            b_steps[0],
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// Weights `[outputs, inputs, taps]` as `[groups][taps, inputs, outputs]`.
pub(super) fn for_kernels(layer: &Layer, weights: &[f32]) -> Vec<f32> {
    let [groups, outputs, inputs, taps] = sizes(layer);
    let mut out = vec![0.0; weights.len()];
    for (i, w) in weights.iter().enumerate() {
        let (tap, input, output) = (i % taps, i / taps % inputs, i / taps / inputs);
        let (group, output) = (output / outputs, output % outputs);
        let at = ((group * taps + tap) * inputs + input) * outputs + output;
        out[at] = *w;
    }
    debug_assert_eq!(groups * outputs * inputs * taps, weights.len());
    out
}

/// The other way round.
pub(super) fn from_kernels(layer: &Layer, weights: &[f32]) -> Vec<f32> {
    let [_, outputs, inputs, taps] = sizes(layer);
    let mut out = vec![0.0; weights.len()];
    for (i, w) in out.iter_mut().enumerate() {
        let (tap, input, output) = (i % taps, i / taps % inputs, i / taps / inputs);
        let (group, output) = (output / outputs, output % outputs);
        *w = weights[((group * taps + tap) * inputs + input) * outputs + output];
    }
    out
}

/// Groups, outputs and inputs of each, taps.
fn sizes(layer: &Layer) -> [usize; 4] {
    match *layer {
        Layer::Conv2d(c) => [
            c.groups,
            c.outputs / c.groups,
            c.inputs / c.groups,
            c.kernel * c.kernel,
        ],
        Layer::Linear {
            inputs, outputs, ..
        } => [1, outputs, inputs, 1],
        _ => [1, 1, 1, 1],
    }
}

impl Geometry {
    pub(super) fn new(conv: &Conv2d, input: &[usize], output: &[usize]) -> Geometry {
        let image = |s: &[usize]| [s[0], s[1], s[2]];
        Geometry {
            conv: *conv,
            input: image(input),
            output: image(output),
        }
    }

    fn input_len(&self) -> usize {
        self.input.iter().product()
    }

    fn output_len(&self) -> usize {
        self.output.iter().product()
    }

    fn places(&self) -> usize {
        self.output[1] * self.output[2]
    }

    /// Whether windows are the input's pixels.
    fn is_plain(&self) -> bool {
        self.conv.kernel == 1 && self.conv.stride == 1 && self.conv.padding == 0
    }

    /// Calls `f` with each output place, tap, and the pixel under it, if there is one.
    fn windows(&self, mut f: impl FnMut(usize, usize, Option<usize>)) {
        self.runs(|place, tap, pixel, count| {
            for i in 0..count {
                f(place, tap + i, pixel.map(|pixel| pixel + i));
            }
        });
    }

    /// Channels of one group.
    fn channels(&self, group: usize, all: usize) -> Range<usize> {
        let each = all / self.conv.groups;
        group * each..(group + 1) * each
    }

    /// Calls `f` with each output place, the first tap of a run along a row of the
    /// window, the pixel under that tap if there is one, and the run's length: taps
    /// that lie side by side in the image as in the window, or beside the image.
    fn runs(&self, mut f: impl FnMut(usize, usize, Option<usize>, usize)) {
        let Conv2d {
            kernel,
            stride,
            padding,
            ..
        } = self.conv;
        let [_, height, width] = self.input;
        for oy in 0..self.output[1] {
            for ox in 0..self.output[2] {
                let place = oy * self.output[2] + ox;
                // Taps from `first` to `last` lie on the image's columns.
                let left = ox * stride;
                let first = padding.saturating_sub(left).min(kernel);
                let last = (width + padding).saturating_sub(left).clamp(first, kernel);
                for ky in 0..kernel {
                    let tap = ky * kernel;
                    let y = (oy * stride + ky)
                        .checked_sub(padding)
                        .filter(|y| *y < height);
                    let Some(y) = y.filter(|_| first < last) else {
                        f(place, tap, None, kernel);
                        continue;
                    };
                    if first > 0 {
                        f(place, tap, None, first);
                    }
                    let pixel = y * width + left + first - padding;
                    f(place, tap + first, Some(pixel), last - first);
                    if last < kernel {
                        f(place, tap + last, None, kernel - last);
                    }
                }
            }
        }
    }

    /// The windows of a group of channels: `[places, taps, channels]`.
    fn gather(&self, x: &[f32], group: usize, columns: &mut [f32]) {
        let channels = self.channels(group, self.input[0]);
        let (all, each) = (self.input[0], channels.len());
        let taps = self.conv.kernel * self.conv.kernel;
        self.runs(|place, tap, pixel, count| {
            let to = &mut columns[(place * taps + tap) * each..][..count * each];
            match pixel {
                Some(pixel) if each == all => {
                    to.copy_from_slice(&x[pixel * all..][..count * all]);
                }
                Some(pixel) => {
                    let pixels = x[pixel * all..][..count * all].chunks_exact(all);
                    for (to, x) in to.chunks_exact_mut(each).zip(pixels) {
                        to.copy_from_slice(&x[channels.clone()]);
                    }
                }
                None => to.fill(0.0),
            }
        });
    }

    /// Adds windows to the pixels under them.
    fn scatter(&self, columns: &[f32], group: usize, dx: &mut [f32]) {
        let channels = self.channels(group, self.input[0]);
        let (all, each) = (self.input[0], channels.len());
        let taps = self.conv.kernel * self.conv.kernel;
        self.runs(|place, tap, pixel, count| {
            let Some(pixel) = pixel else { return };
            let from = &columns[(place * taps + tap) * each..][..count * each];
            let pixels = dx[pixel * all..][..count * all].chunks_exact_mut(all);
            for (to, from) in pixels.zip(from.chunks_exact(each)) {
                for (to, from) in to[channels.clone()].iter_mut().zip(from) {
                    *to += from;
                }
            }
        });
    }
}

pub(super) fn forward(g: &Geometry, x: &[f32], weights: &[f32], bias: &[f32], y: &mut [f32]) {
    let (places, outputs) = (g.places(), g.output[0]);
    let taps = g.conv.kernel * g.conv.kernel;
    let depthwise = g.conv.is_depthwise();
    let (each_in, each_out) = (g.input[0] / g.conv.groups, outputs / g.conv.groups);
    let samples = y.par_chunks_exact_mut(g.output_len());
    samples
        .zip(x.par_chunks_exact(g.input_len()))
        .for_each_init(
            || (Vec::new(), Vec::new()),
            |(columns, part): &mut (Vec<f32>, Vec<f32>), (y, x)| {
                if depthwise {
                    y.fill(0.0);
                    g.windows(|place, tap, pixel| {
                        let Some(pixel) = pixel else { return };
                        let x = &x[pixel * outputs..][..outputs];
                        let y = &mut y[place * outputs..][..outputs];
                        let weights = &weights;
                        for c in 0..outputs {
                            y[c] += x[c] * weights[c * taps + tap];
                        }
                    });
                } else {
                    for group in 0..g.conv.groups {
                        let k = taps * each_in;
                        let w = &weights[group * k * each_out..][..k * each_out];
                        let from = if g.is_plain() && g.conv.groups == 1 {
                            x
                        } else {
                            columns.resize(places * k, 0.0);
                            g.gather(x, group, columns);
                            &columns[..]
                        };
                        let (a, b) = ((from, [k as isize, 1]), (w, [each_out as isize, 1]));
                        if g.conv.groups == 1 {
                            product([places, k, each_out], a, b, y, false);
                            continue;
                        }
                        part.resize(places * each_out, 0.0);
                        product([places, k, each_out], a, b, part, false);
                        let channels = g.channels(group, outputs);
                        for (y, part) in
                            y.chunks_exact_mut(outputs).zip(part.chunks_exact(each_out))
                        {
                            y[channels.clone()].copy_from_slice(part);
                        }
                    }
                }
                if !bias.is_empty() {
                    for y in y.chunks_exact_mut(outputs) {
                        for (y, b) in y.iter_mut().zip(bias) {
                            *y += b;
                        }
                    }
                }
            },
        );
}

/// Gradients of weights and bias; that of the input into `dx`, if it is wanted.
pub(super) fn backward(
    g: &Geometry,
    x: &[f32],
    weights: &[f32],
    dy: &[f32],
    dx: Option<&mut [f32]>,
) -> (Vec<f32>, Vec<f32>) {
    let (places, outputs) = (g.places(), g.output[0]);
    let taps = g.conv.kernel * g.conv.kernel;
    let depthwise = g.conv.is_depthwise();
    let (each_in, each_out) = (g.input[0] / g.conv.groups, outputs / g.conv.groups);
    let (input_len, output_len) = (g.input_len(), g.output_len());
    let count = x.len() / input_len;
    let wanted = dx.is_some();
    // A part of `dx` for each group of samples.
    let mut parts: Vec<&mut [f32]> = Vec::with_capacity(GROUPS);
    let mut rest = dx.unwrap_or_default();
    for samples in groups(count) {
        let len = if wanted { samples.len() * input_len } else { 0 };
        let (part, more) = rest.split_at_mut(len);
        parts.push(part);
        rest = more;
    }
    let sums: Vec<(Vec<f32>, Vec<f32>)> = groups(count)
        .into_par_iter()
        .zip(parts)
        .map(|(samples, dx)| {
            let (mut dw, mut db) = (vec![0.0; weights.len()], vec![0.0; outputs]);
            let (mut columns, mut d_columns) = (Vec::new(), Vec::new());
            let mut part = Vec::new();
            dx.fill(0.0);
            for (i, sample) in samples.enumerate() {
                let x = &x[sample * input_len..][..input_len];
                let dy = &dy[sample * output_len..][..output_len];
                let mut none = [];
                let dx: &mut [f32] = if wanted {
                    &mut dx[i * input_len..][..input_len]
                } else {
                    &mut none
                };
                if g.conv.bias {
                    for dy in dy.chunks_exact(outputs) {
                        for (db, dy) in db.iter_mut().zip(dy) {
                            *db += dy;
                        }
                    }
                }
                if depthwise {
                    g.windows(|place, tap, pixel| {
                        let Some(pixel) = pixel else { return };
                        let x = &x[pixel * outputs..][..outputs];
                        let dy = &dy[place * outputs..][..outputs];
                        for c in 0..outputs {
                            dw[c * taps + tap] += x[c] * dy[c];
                        }
                        if wanted {
                            let dx = &mut dx[pixel * outputs..][..outputs];
                            for c in 0..outputs {
                                dx[c] += dy[c] * weights[c * taps + tap];
                            }
                        }
                    });
                    continue;
                }
                for group in 0..g.conv.groups {
                    let k = taps * each_in;
                    let range = group * k * each_out..(group + 1) * k * each_out;
                    let plain = g.is_plain() && g.conv.groups == 1;
                    let from = if plain {
                        x
                    } else {
                        columns.resize(places * k, 0.0);
                        g.gather(x, group, &mut columns);
                        &columns[..]
                    };
                    let dy = if g.conv.groups == 1 {
                        dy
                    } else {
                        part.resize(places * each_out, 0.0);
                        let channels = g.channels(group, outputs);
                        let rows = dy.chunks_exact(outputs);
                        for (part, dy) in part.chunks_exact_mut(each_out).zip(rows) {
                            part.copy_from_slice(&dy[channels.clone()]);
                        }
                        &part[..]
                    };
                    let (down, one) = ([1, k as isize], [each_out as isize, 1]);
                    product(
                        [k, places, each_out],
                        (from, down),
                        (dy, one),
                        &mut dw[range.clone()],
                        true,
                    );
                    if !wanted {
                        continue;
                    }
                    let w = (&weights[range], [1, each_out as isize]);
                    if plain {
                        product([places, each_out, k], (dy, one), w, dx, false);
                    } else {
                        d_columns.resize(places * k, 0.0);
                        product([places, each_out, k], (dy, one), w, &mut d_columns, false);
                        g.scatter(&d_columns, group, dx);
                    }
                }
            }
            (dw, db)
        })
        .collect();
    let mut sums = sums.into_iter();
    let (mut dw, mut db) = sums.next().unwrap_or_default();
    for (more_w, more_b) in sums {
        for (sum, more) in dw.iter_mut().zip(&more_w).chain(db.iter_mut().zip(&more_b)) {
            *sum += more;
        }
    }
    (dw, db)
}

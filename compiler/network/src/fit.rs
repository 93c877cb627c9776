//! Integers and scales for numbers that are floats. Weights are those of one
//! output, and must be finite.

/// The threshold and scale of Ternary Weight Networks (Li, Zhang and Liu 2016,
/// arXiv:1605.04711) as the exact minimum of the squared error, and not by the
/// 0.7 rule of that paper. Writes the trits and returns the scale.
///
/// If the `k` largest magnitudes stay, the best scale is their mean `S_k / k`,
/// and the error is `|w|^2 - S_k^2 / k`: sort, and take the `k` with the largest
/// `S_k^2 / k`. Of equal magnitudes the earlier stays first.
///
/// # Panics
/// If the slices' lengths differ.
pub fn threshold(weights: &[f32], trits: &mut [i8]) -> f32 {
    assert_eq!(weights.len(), trits.len());
    // The bits of a magnitude order as its value; the position breaks ties.
    let mut order: Vec<u64> = (0u64..)
        .zip(weights)
        .map(|(i, w)| u64::from(!w.abs().to_bits()) << 32 | i)
        .collect();
    order.sort_unstable();
    let at = |entry: u64| entry as u32 as usize;
    let (mut sum, mut best, mut keep, mut mean) = (0f64, 0f64, 0, 0f64);
    for (i, &entry) in order.iter().enumerate() {
        sum += f64::from(weights[at(entry)].abs());
        let gain = sum * sum / (i + 1) as f64;
        if gain > best {
            (best, keep, mean) = (gain, i + 1, sum / (i + 1) as f64);
        }
    }
    trits.fill(0);
    for &entry in &order[..keep] {
        trits[at(entry)] = if weights[at(entry)] > 0.0 { 1 } else { -1 };
    }
    mean as f32
}

/// The 0.7 rule of that paper: what is below 0.7 times the mean magnitude becomes 0,
/// the scale is the mean magnitude of the others. Its error is a little larger than
/// that of [`threshold`], whose minimum is flat, so that a small change of weights
/// moves it far: this rule's threshold moves as smoothly as the weights, which
/// networks in training need. Writes the trits and returns the scale.
///
/// # Panics
/// If the slices' lengths differ.
pub fn mean_threshold(weights: &[f32], trits: &mut [i8]) -> f32 {
    assert_eq!(weights.len(), trits.len());
    let sum: f64 = weights.iter().map(|w| f64::from(w.abs())).sum();
    let least = 0.7 * sum / weights.len().max(1) as f64;
    let (mut kept, mut count) = (0f64, 0);
    for (trit, w) in trits.iter_mut().zip(weights) {
        let stays = *w != 0.0 && f64::from(w.abs()) >= least;
        *trit = match (stays, *w > 0.0) {
            (false, _) => 0,
            (true, true) => 1,
            (true, false) => -1,
        };
        if stays {
            kept += f64::from(w.abs());
            count += 1;
        }
    }
    (kept / f64::from(count.max(1))) as f32
}

/// Of each pair of weights the larger in magnitude stays, the first where they
/// are equal, as plus or minus the mean magnitude of those that stay. Writes the
/// trits and returns the scale.
///
/// Pairs are those of two consecutive input channels: weights `i` and `i +
/// apart` for the first `apart` of each `2 * apart`. `apart` is 1 where channels
/// are innermost, and the number of taps where they are outside the window.
///
/// # Panics
/// If the slices' lengths differ or are no multiple of `2 * apart`.
pub fn one_of_two(weights: &[f32], apart: usize, trits: &mut [i8]) -> f32 {
    all_but_smallest::<2>(weights, apart, trits)
}

/// Of each four weights the smallest in magnitude becomes 0, the last where several
/// are; the others stay as plus or minus their mean magnitude, plus for a weight of 0.
/// Writes the trits and returns the scale.
///
/// Fours are those of consecutive input channels: weights `i`, `i + apart`, `i + 2 *
/// apart` and `i + 3 * apart` for the first `apart` of each `4 * apart`; `apart` as for
/// [`one_of_two`].
///
/// # Panics
/// If the slices' lengths differ or are no multiple of `4 * apart`.
pub fn three_of_four(weights: &[f32], apart: usize, trits: &mut [i8]) -> f32 {
    all_but_smallest::<4>(weights, apart, trits)
}

/// Of each `N` weights, `apart` from each other, all but one stay.
fn all_but_smallest<const N: usize>(weights: &[f32], apart: usize, trits: &mut [i8]) -> f32 {
    assert_eq!(weights.len(), trits.len());
    assert!(apart > 0 && weights.len().is_multiple_of(N * apart));
    let mut sum = 0f64;
    for (weights, trits) in weights
        .chunks_exact(N * apart)
        .zip(trits.chunks_exact_mut(N * apart))
    {
        for i in 0..apart {
            let mut smallest = i;
            for at in (i..N * apart).step_by(apart) {
                if weights[at].abs() <= weights[smallest].abs() {
                    smallest = at;
                }
            }
            for at in (i..N * apart).step_by(apart) {
                if at == smallest {
                    trits[at] = 0;
                } else {
                    trits[at] = if weights[at] < 0.0 { -1 } else { 1 };
                    sum += f64::from(weights[at].abs());
                }
            }
        }
    }
    let stay = weights.len() / N * (N - 1);
    (sum / stay.max(1) as f64) as f32
}

/// 8-bit weights, symmetric: the scale is the largest magnitude over 127.
/// Rounded half to even. Writes the integers and returns the scale, 0 where all
/// weights are too small to be divided by theirs.
///
/// # Panics
/// If the slices' lengths differ.
pub fn int8(weights: &[f32], integers: &mut [i8]) -> f32 {
    assert_eq!(weights.len(), integers.len());
    let largest = weights.iter().fold(0f32, |max, v| max.max(v.abs()));
    let scale = largest / 127.0;
    let scale = if scale.is_normal() { scale } else { 0.0 };
    for (q, w) in integers.iter_mut().zip(weights) {
        let t = if scale > 0.0 { w / scale } else { 0.0 };
        *q = t.round_ties_even().clamp(-127.0, 127.0) as i8;
    }
    scale
}

/// The scale of integers `-qmax..=qmax` that stand for values up to `max` in
/// magnitude; 1 where there is nothing to scale.
pub fn activation_scale(max: f32, qmax: i32) -> f32 {
    let scale = max / qmax as f32;
    if scale.is_normal() && (1.0 / scale).is_finite() {
        scale
    } else {
        1.0
    }
}

/// A batch norm at inference as `x * factor + summand`: factor and summand.
pub fn batch_norm(weight: f32, bias: f32, mean: f32, variance: f32, eps: f64) -> (f32, f32) {
    let factor = f64::from(weight) / (f64::from(variance) + eps).sqrt();
    let summand = f64::from(bias) - f64::from(mean) * factor;
    (factor as f32, summand as f32)
}

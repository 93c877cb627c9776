//! Numbers from counts and probabilities: intervals, McNemar's test, calibration.

/// `z` of a 95% interval of the normal distribution.
const Z95: f64 = 1.959_963_984_540_054;

/// The probabilities that scores stand for: their softmax.
pub fn softmax(scores: &[f32], out: &mut Vec<f64>) {
    let high = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    out.clear();
    out.extend(scores.iter().map(|&s| f64::from(s - high).exp()));
    let sum: f64 = out.iter().sum();
    out.iter_mut().for_each(|p| *p /= sum);
}

/// 95% interval of a share of which `hits` of `n` are known (Wilson 1927).
pub fn wilson(hits: usize, n: usize) -> [f64; 2] {
    if n == 0 {
        return [0.0, 1.0];
    }
    let (n, share) = (n as f64, hits as f64 / n as f64);
    let z2 = Z95 * Z95;
    let middle = share + z2 / (2.0 * n);
    let width = Z95 * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z2 / n;
    [
        ((middle - width) / scale).max(0.0),
        ((middle + width) / scale).min(1.0),
    ]
}

/// Probability of at most `k` of `n` where each has probability `p`.
pub fn binomial_at_most(k: usize, n: usize, p: f64) -> f64 {
    if k >= n || p <= 0.0 {
        return 1.0;
    }
    if p >= 1.0 {
        return 0.0;
    }
    let (ln_p, ln_q) = (p.ln(), (-p).ln_1p());
    let mut ln_choose = 0.0;
    let mut sum = 0.0;
    for i in 0..=k {
        sum += (ln_choose + i as f64 * ln_p + (n - i) as f64 * ln_q).exp();
        ln_choose += ((n - i) as f64 / (i + 1) as f64).ln();
    }
    sum.min(1.0)
}

/// On how many images each of two models is right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pairs {
    /// Both.
    pub both: usize,
    /// The first alone.
    pub first: usize,
    /// The second alone.
    pub second: usize,
    /// Neither.
    pub neither: usize,
}

impl Pairs {
    /// 95% interval of the difference of both shares, first minus second: Newcombe's hybrid
    /// score interval for paired shares (Statistics in Medicine 17, 1998, method 10).
    pub fn interval(&self) -> [f64; 2] {
        let Pairs {
            both,
            first,
            second,
            neither,
        } = *self;
        let n = both + first + second + neither;
        let (one, two) = (both + first, both + second);
        let share = |hits: usize| hits as f64 / n.max(1) as f64;
        let (p1, p2) = (share(one), share(two));
        let ([l1, u1], [l2, u2]) = (wilson(one, n), wilson(two, n));
        // Correlation of the two, with the method's continuity correction.
        let margins = [one, n - one, two, n - two];
        let product: f64 = margins.iter().map(|&m| m as f64).product();
        let cross = both as f64 * neither as f64 - first as f64 * second as f64;
        let cross = if cross > 0.0 {
            (cross - n as f64 / 2.0).max(0.0)
        } else {
            cross
        };
        let phi = if product > 0.0 {
            cross / product.sqrt()
        } else {
            0.0
        };
        let side = |a: f64, b: f64| (a * a - 2.0 * phi * a * b + b * b).max(0.0).sqrt();
        let difference = p1 - p2;
        [
            (difference - side(p1 - l1, u2 - p2)).max(-1.0),
            (difference + side(u1 - p1, p2 - l2)).min(1.0),
        ]
    }

    /// McNemar's test, exact and two-sided: how probable a split at least as uneven of the
    /// images on which one model alone is right is between equal models.
    pub fn mcnemar(&self) -> f64 {
        let differ = self.first + self.second;
        let less = self.first.min(self.second);
        (2.0 * binomial_at_most(less, differ, 0.5)).min(1.0)
    }
}

/// Images of about equal confidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Bin {
    /// Least confidence.
    pub from: f64,
    /// Confidence that is no longer in it; 1 is in the last.
    pub to: f64,
    /// Images.
    pub images: usize,
    /// Those that are right.
    pub correct: usize,
    /// Mean confidence; 0 without images.
    pub confidence: f64,
}

/// Bins of equal width. The confidence of each image, and whether it is right.
pub fn bins(images: impl Iterator<Item = (f64, bool)>, count: usize) -> Vec<Bin> {
    let mut bins: Vec<Bin> = (0..count)
        .map(|i| Bin {
            from: i as f64 / count as f64,
            to: (i + 1) as f64 / count as f64,
            ..Bin::default()
        })
        .collect();
    for (confidence, right) in images {
        let at = (confidence * count as f64) as usize;
        let bin = &mut bins[at.min(count - 1)];
        bin.images += 1;
        bin.correct += right as usize;
        bin.confidence += confidence;
    }
    for bin in &mut bins {
        bin.confidence /= bin.images.max(1) as f64;
    }
    bins
}

/// Expected calibration error (Naeini et al. 2015): how far confidence is from the
/// share that is right, mean over the images.
pub fn calibration_error(bins: &[Bin]) -> f64 {
    let all: usize = bins.iter().map(|b| b.images).sum();
    let gap = |b: &Bin| (b.images as f64 * b.confidence - b.correct as f64).abs();
    bins.iter().map(gap).sum::<f64>() / all.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() < 5e-5, "{a} is not {b}");
    }

    #[test]
    fn probabilities_sum_to_one() {
        let mut p = Vec::new();
        softmax(&[0.0, (3f32).ln()], &mut p);
        near(p[0], 0.25);
        near(p[1], 0.75);
        softmax(&[1000.0, 1000.0], &mut p);
        assert_eq!(p, [0.5, 0.5]);
    }

    #[test]
    fn intervals_of_shares() {
        // By hand: (0.5 + 1.9207/10 -+ 1.96 sqrt(0.025 + 0.0096)) / 1.38415.
        let [low, high] = wilson(5, 10);
        near(low, 0.23659);
        near(high, 0.76341);
        assert_eq!(wilson(0, 0), [0.0, 1.0]);
        assert_eq!(wilson(0, 10)[0], 0.0);
    }

    #[test]
    fn binomial_sums() {
        // (1 + 4 + 6) / 16
        near(binomial_at_most(2, 4, 0.5), 11.0 / 16.0);
        near(binomial_at_most(0, 3, 0.1), 0.729);
        assert_eq!(binomial_at_most(4, 4, 0.5), 1.0);
        // Many images: half of the distribution, and no underflow to NaN.
        near(binomial_at_most(50_000, 100_001, 0.5), 0.5);
    }

    #[test]
    fn two_models_on_the_same_images() {
        let pairs = |both, first, second, neither| Pairs {
            both,
            first,
            second,
            neither,
        };
        // 2 against 8: 2 (1 + 10 + 45) / 1024.
        near(pairs(90, 2, 8, 0).mcnemar(), 112.0 / 1024.0);
        assert_eq!(pairs(90, 5, 5, 0).mcnemar(), 1.0);
        assert_eq!(pairs(90, 0, 0, 10).mcnemar(), 1.0);
        // An example of Newcombe's paper: 0.20, 0.0569 to 0.3404.
        let [low, high] = pairs(36, 12, 2, 0).interval();
        near(low, 0.05693);
        near(high, 0.34043);
        // Equal models: the interval still has a width, and the same to both sides.
        let [low, high] = pairs(90, 0, 0, 10).interval();
        near(low, -0.03530);
        near(high, 0.03530);
        // Where all of many images change sides, as for two unpaired shares.
        let [low, high] = pairs(113, 0, 245, 2).interval();
        near(low, -0.72645);
        near(high, -0.62894);
        assert_eq!(Pairs::default().interval(), [-1.0, 1.0]);
    }

    #[test]
    fn confidence_against_truth() {
        let images = [(0.95, true), (0.85, false), (0.35, true), (1.0, true)];
        let bins = bins(images.into_iter(), 10);
        assert_eq!((bins[9].images, bins[9].correct), (2, 2));
        near(bins[9].confidence, 0.975);
        // (2 * 0.025 + 0.85 + 0.65) / 4
        near(calibration_error(&bins), 1.55 / 4.0);
        assert_eq!(calibration_error(&[]), 0.0);
    }
}

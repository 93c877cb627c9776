//! Which channels stay, and in which pairs; [`fours`](super::fours) has the fours.

/// How often pairs are looked for.
const ROUNDS: usize = 8;

/// A layer's weights as those who read a group's channels.
pub struct Reader {
    /// `[outputs, taps, width]`, flat.
    pub weights: Vec<f32>,
    /// Outputs.
    pub outputs: usize,
    /// Consecutive indices of one channel along the last dimension.
    pub inner: usize,
    /// Variance of what each index along it sees.
    pub variance: Vec<f64>,
    /// Mean square.
    pub square: Vec<f64>,
}

/// What each channel is worth: the sum over its readers of what it adds to their results'
/// variance, as a share of what all channels do.
pub fn worth(channels: usize, readers: &[Reader]) -> Vec<f64> {
    let mut worth = vec![0.0; channels];
    for reader in readers {
        let mut own = vec![0.0; channels];
        let width = reader.variance.len();
        for row in reader.weights.chunks_exact(width.max(1)) {
            for (i, (&w, v)) in row.iter().zip(&reader.variance).enumerate() {
                own[i / reader.inner % channels] += f64::from(w) * f64::from(w) * v;
            }
        }
        let all: f64 = own.iter().sum();
        if all > 0.0 {
            worth.iter_mut().zip(&own).for_each(|(w, o)| *w += o / all);
        }
    }
    worth
}

/// The channels that stay when `share` of them goes, those that are worth least, in their
/// order: a `multiple` of them (more may go, where there are not enough), whole `unit`s of
/// neighbours. All stay where there are fewer than `multiple`. It is a multiple of `unit`.
pub fn best(worth: &[f64], share: f64, unit: usize, multiple: usize) -> Vec<usize> {
    let channels = worth.len();
    let goes = (share * channels as f64 + 1e-9).floor() as usize;
    if goes == 0 || channels < multiple {
        return (0..channels).collect();
    }
    let most = channels / multiple * multiple;
    let stay = (channels - goes).next_multiple_of(multiple).min(most);
    let mut units: Vec<usize> = (0..channels / unit).collect();
    let value = |u: &usize| worth[u * unit..][..unit].iter().sum::<f64>();
    // Stable: of those worth the same the first stay.
    units.sort_by(|a, b| value(b).total_cmp(&value(a)));
    units.truncate(stay / unit);
    units.sort_unstable();
    units
        .iter()
        .flat_map(|u| u * unit..(u + 1) * unit)
        .collect()
}

/// Goes through the weights of readers that see one index a channel (others have the
/// pattern within a channel), one for each channel at a time: magnitudes, mean squares of
/// what they read, and the output's scale, the mean magnitude of the weights that stay where
/// of each `n` channels in `order` the smallest is dropped.
pub(super) fn each_row(
    channels: usize,
    readers: &[Reader],
    order: &[usize],
    n: usize,
    mut each: impl FnMut(&[f64], &[f64], f64),
) {
    for reader in readers.iter().filter(|r| r.inner == 1) {
        let per_output = reader.weights.len() / reader.outputs;
        let blocks = reader.square.len() / channels;
        for output in reader.weights.chunks_exact(per_output.max(1)) {
            let size: Vec<f64> = output.iter().map(|w| f64::from(w.abs())).collect();
            let (mut sum, mut count) = (0.0, 0);
            for size in size.chunks_exact(channels) {
                for together in order.chunks_exact(n) {
                    let sizes = together.iter().map(|&c| size[c]);
                    sum += sizes.clone().sum::<f64>() - sizes.fold(f64::INFINITY, f64::min);
                    count += n - 1;
                }
            }
            let scale = sum / count.max(1) as f64;
            for (row, size) in size.chunks_exact(channels).enumerate() {
                let at = row % blocks * channels;
                each(size, &reader.square[at..][..channels], scale);
            }
        }
    }
}

/// What it costs each two channels to be a pair: the squared error of what their readers
/// compute, were channels not correlated. Means count: a scale that is a little too small
/// shrinks them with everything else, which does less harm than to keep them alone.
pub struct Costs {
    channels: usize,
    /// Of a pair.
    pair: Vec<f64>,
    /// Of each channel, if all its weights became 0.
    own: Vec<f64>,
}

impl Costs {
    /// Of the rows of `each_row`; `order` is that in which pairs are now, for the scales.
    pub fn of(channels: usize, readers: &[Reader], order: &[usize]) -> Costs {
        let mut costs = Costs {
            channels,
            pair: vec![0.0; channels * channels],
            own: vec![0.0; channels],
        };
        each_row(channels, readers, order, 2, |sizes, square, scale| {
            costs.add(sizes, square, scale);
        });
        for i in 0..channels {
            for j in 0..i {
                costs.pair[i * channels + j] = costs.pair[j * channels + i];
            }
        }
        costs
    }

    /// One weight for each channel: in a pair the larger becomes plus or minus `scale`, the
    /// smaller 0.
    fn add(&mut self, size: &[f64], square: &[f64], scale: f64) {
        let energy = |c: usize, error: f64| square[c] * error * error;
        let zero: Vec<f64> = (0..size.len()).map(|c| energy(c, size[c])).collect();
        let stays: Vec<f64> = (0..size.len())
            .map(|c| energy(c, size[c] - scale))
            .collect();
        for i in 0..size.len() {
            self.own[i] += zero[i];
            for j in i + 1..size.len() {
                let (small, large) = if size[i] < size[j] { (i, j) } else { (j, i) };
                self.pair[i * self.channels + j] += zero[small] + stays[large];
            }
        }
    }

    /// Whether any reader has an opinion.
    pub fn any(&self) -> bool {
        self.own.iter().any(|e| *e > 0.0)
    }

    fn cost(&self, i: usize, j: usize) -> f64 {
        self.pair[i * self.channels + j]
    }

    /// Squared error with pairs in this order, as a share of that without any weights.
    pub fn share(&self, order: &[usize]) -> f64 {
        let all: f64 = order.iter().map(|&c| self.own[c]).sum();
        let (pairs, _) = order.as_chunks::<2>();
        let goes: f64 = pairs.iter().map(|[a, b]| self.cost(*a, *b)).sum();
        if all > 0.0 { goes / all } else { 0.0 }
    }

    /// The same channels in pairs that cost little: the cheapest pairs first, then partners
    /// are exchanged as long as that is cheaper. Pairs are in the order of their first.
    pub fn matched(&self, order: &[usize]) -> Vec<usize> {
        if !self.any() || !order.len().is_multiple_of(2) {
            return order.to_vec();
        }
        let mut edges: Vec<(usize, usize)> = Vec::new();
        for (at, &i) in order.iter().enumerate() {
            edges.extend(order[at + 1..].iter().map(|&j| (i, j)));
        }
        edges.sort_by(|a, b| self.cost(a.0, a.1).total_cmp(&self.cost(b.0, b.1)));
        let mut free = vec![true; self.channels];
        let mut pairs: Vec<[usize; 2]> = Vec::new();
        for (i, j) in edges {
            if free[i] && free[j] {
                (free[i], free[j]) = (false, false);
                pairs.push([i, j]);
            }
        }
        // Every exchange lowers the sum, so this ends; the limit is for time.
        for _ in 0..50 {
            let mut better = false;
            for p in 0..pairs.len() {
                for q in p + 1..pairs.len() {
                    let ([a, b], [c, d]) = (pairs[p], pairs[q]);
                    let now = self.cost(a, b) + self.cost(c, d);
                    for (x, y) in [([a, c], [b, d]), ([a, d], [b, c])] {
                        if self.cost(x[0], x[1]) + self.cost(y[0], y[1]) < now - 1e-12 * now {
                            (pairs[p], pairs[q]) = (x, y);
                            better = true;
                            break;
                        }
                    }
                }
            }
            if !better {
                break;
            }
        }
        for pair in &mut pairs {
            pair.sort_unstable();
        }
        pairs.sort_unstable();
        let matched = pairs.concat();
        if self.share(&matched) < self.share(order) {
            matched
        } else {
            order.to_vec()
        }
    }
}

/// Channels in pairs that cost little, as often as that helps, from `order` on, with the
/// squared error ([`Costs::share`]) in that order and in the one returned. `None` where no
/// reader has an opinion.
pub fn in_pairs(
    channels: usize,
    readers: &[Reader],
    order: &[usize],
) -> Option<(Vec<usize>, [f64; 2])> {
    let mut order = order.to_vec();
    let mut costs = Costs::of(channels, readers, &order);
    if !costs.any() {
        return None;
    }
    let before = costs.share(&order);
    let mut error = before;
    // Other pairs have other scales, and these other costs.
    for _ in 0..ROUNDS {
        let other = costs.matched(&order);
        costs = Costs::of(channels, readers, &other);
        if costs.share(&other) >= error {
            break;
        }
        (error, order) = (costs.share(&other), other);
    }
    Some((order, [before, error]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(weights: &[f32], variance: &[f64]) -> Reader {
        Reader {
            weights: weights.to_vec(),
            outputs: weights.len() / variance.len(),
            inner: 1,
            variance: variance.to_vec(),
            square: vec![1.0; variance.len()],
        }
    }

    #[test]
    fn a_channel_is_worth_what_readers_see() {
        // Two outputs of three channels: squares 1 + 0, 4 + 4, 9 + 9; the last does not vary.
        let r = reader(&[1.0, 2.0, 3.0, 0.0, -2.0, -3.0], &[2.0, 1.0, 0.0]);
        assert_eq!(worth(3, &[r]), [0.2, 0.8, 0.0]);
        assert_eq!(worth(2, &[]), [0.0, 0.0]);
    }

    #[test]
    fn the_worthy_stay() {
        let worth = [3.0, 1.0, 2.0, 5.0, 4.0, 0.0, 2.0, 2.0];
        assert_eq!(best(&worth, 0.0, 1, 2), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(best(&worth, 0.25, 1, 2), [0, 2, 3, 4, 6, 7]);
        // Five would stay: six do.
        assert_eq!(best(&worth, 0.4, 1, 2), [0, 2, 3, 4, 6, 7]);
        // Pairs are worth 4, 7, 4 and 4.
        assert_eq!(best(&worth, 0.5, 2, 2), [0, 1, 2, 3]);
        assert_eq!(best(&worth, 0.99, 1, 2), [3, 4]);
        // In fours: of eight a share that leaves five takes none, of six it takes two.
        assert_eq!(best(&worth, 0.4, 1, 4).len(), 8);
        assert_eq!(best(&worth, 0.5, 1, 4), [0, 2, 3, 4]);
        assert_eq!(best(&worth[..6], 0.2, 1, 4), [0, 2, 3, 4]);
        // Fours are worth 11 and 8.
        assert_eq!(best(&worth, 0.5, 4, 4), [0, 1, 2, 3]);
        assert_eq!(best(&worth[..3], 0.5, 1, 4), [0, 1, 2]);
    }

    #[test]
    fn the_large_are_paired_with_the_small() {
        // Neighbours are large together or small together.
        let weights = [4.0, 4.0, 0.1, 0.1, 0.1, 0.1, 4.0, 4.0];
        let readers = [reader(&weights, &[1.0; 4])];
        let costs = Costs::of(4, &readers, &[0, 1, 2, 3]);
        // Each output has a scale of 2.05: 4 loses 4 and 1.95, 0.1 loses 0.1 and 1.95.
        let error = 2.0 * (16.0 + 1.95 * 1.95 + 0.01 + 1.95 * 1.95);
        assert!((costs.share(&[0, 1, 2, 3]) - error / 64.04).abs() < 1e-6);
        let order = costs.matched(&[0, 1, 2, 3]);
        for pair in order.chunks(2) {
            assert!((pair[0] < 2) != (pair[1] < 2), "{order:?}");
        }
        // As ordered the scale is 4, and only what is small is lost.
        assert!(Costs::of(4, &readers, &order).share(&order) < 0.001);
        // Without readers nothing moves.
        assert_eq!(
            Costs::of(4, &[], &order).matched(&[3, 1, 0, 2]),
            [3, 1, 0, 2]
        );
    }

    #[test]
    fn exchanging_partners_mends_a_greedy_start() {
        let costs = Costs {
            channels: 4,
            pair: [
                [0.0, 1.0, 2.0, 2.0],
                [1.0, 0.0, 2.0, 2.0],
                [2.0, 2.0, 0.0, 9.0],
                [2.0, 2.0, 9.0, 0.0],
            ]
            .concat(),
            own: vec![1.0; 4],
        };
        // The cheapest pair, 0 and 1, leaves 2 and 3 to each other.
        let order = costs.matched(&[0, 1, 2, 3]);
        assert_eq!(costs.share(&order), 1.0, "{order:?}");
    }
}

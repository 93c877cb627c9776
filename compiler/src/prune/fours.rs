//! Which channels stand together in fours, of which the smallest weight is dropped.
//!
//! As with pairs ([`order`](super::order)) the squared error of what readers compute counts,
//! were channels not correlated: a weight that stays becomes plus or minus its output's scale,
//! the smallest of a four becomes 0. In turns one channel leaves each four, and those that
//! left go where they cost least: two change places as long as that is cheaper. What a channel
//! costs in a four of three others depends on the smallest of these alone, so a turn takes
//! `(channels / 4)^2` steps for each row of weights.

use super::order::{Reader, each_row};

/// Turns: the four places, each time offset differently from four to four, twice.
const TURNS: usize = 32;

/// As [`in_pairs`](super::order::in_pairs). `None` too where channels make no fours.
pub fn in_fours(
    channels: usize,
    readers: &[Reader],
    order: &[usize],
) -> Option<(Vec<usize>, [f64; 2])> {
    if !order.len().is_multiple_of(4) {
        return None;
    }
    let mut order = order.to_vec();
    let before = share(channels, readers, &order)?;
    let mut error = before;
    for turn in 0..TURNS {
        let other = exchanged(channels, readers, &order, turn);
        // Other fours have other scales.
        if let Some(share) = share(channels, readers, &other).filter(|share| *share < error) {
            (error, order) = (share, other);
        }
    }
    Some((order, [before, error]))
}

/// Squared error with fours in this order, as a share of that without any weights; `None`
/// where that is 0.
fn share(channels: usize, readers: &[Reader], order: &[usize]) -> Option<f64> {
    let (mut goes, mut all) = (0.0, 0.0);
    each_row(channels, readers, order, 4, |size, square, scale| {
        for four in order.chunks_exact(4) {
            let mut smallest = four[0];
            for &c in four {
                all += square[c] * size[c] * size[c];
                goes += square[c] * (size[c] - scale) * (size[c] - scale);
                if size[c] < size[smallest] {
                    smallest = c;
                }
            }
            goes += dropped(size[smallest], square[smallest], scale);
        }
    });
    (all > 0.0).then(|| goes / all)
}

/// What a weight costs more as 0 than as the scale.
fn dropped(size: f64, square: f64, scale: f64) -> f64 {
    square * scale * (2.0 * size - scale)
}

/// The same channels, after one of each four went where it costs least.
fn exchanged(channels: usize, readers: &[Reader], order: &[usize], turn: usize) -> Vec<usize> {
    let fours = order.len() / 4;
    let place = |four: usize| (turn + four * (turn / 4)) % 4;
    let leaves: Vec<usize> = (0..fours).map(|f| order[4 * f + place(f)]).collect();
    // What the smallest costs of the three of one four and the channel of another.
    let mut cost = vec![0.0; fours * fours];
    each_row(channels, readers, order, 4, |size, square, scale| {
        let dropped = |c: usize| dropped(size[c], square[c], scale);
        let costs: Vec<f64> = leaves.iter().map(|&c| dropped(c)).collect();
        let sizes: Vec<f64> = leaves.iter().map(|&c| size[c]).collect();
        for (f, (four, cost)) in order
            .chunks_exact(4)
            .zip(cost.chunks_exact_mut(fours))
            .enumerate()
        {
            let [a, b, c] = [1, 2, 3].map(|i| four[(place(f) + i) % 4]);
            let smaller = |a: usize, b: usize| if size[b] < size[a] { b } else { a };
            let own = smaller(smaller(a, b), c);
            let (own_size, own_cost) = (size[own], dropped(own));
            for (sum, (&size, &other)) in cost.iter_mut().zip(sizes.iter().zip(&costs)) {
                *sum += if size < own_size { other } else { own_cost };
            }
        }
    });
    let mut goes: Vec<usize> = (0..fours).collect();
    // Every exchange lowers the sum, so this ends; the limit is for time.
    for _ in 0..50 {
        let mut better = false;
        for p in 0..fours {
            for q in p + 1..fours {
                let of = |p: usize, leaver: usize| cost[p * fours + leaver];
                let now = of(p, goes[p]) + of(q, goes[q]);
                if of(p, goes[q]) + of(q, goes[p]) < now - 1e-12 * now.abs() {
                    goes.swap(p, q);
                    better = true;
                }
            }
        }
        if !better {
            break;
        }
    }
    let mut order = order.to_vec();
    for (f, leaver) in goes.into_iter().enumerate() {
        order[4 * f + place(f)] = leaves[leaver];
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(weights: &[f32], square: &[f64]) -> Reader {
        Reader {
            weights: weights.to_vec(),
            outputs: weights.len() / square.len(),
            inner: 1,
            variance: square.to_vec(),
            square: square.to_vec(),
        }
    }

    #[test]
    fn each_four_gets_one_that_is_small() {
        // The small ones stand together.
        let mut weights = [2.0; 16];
        weights[4..8].fill(0.1);
        let readers = [reader(&weights, &[1.0; 16])];
        let order: Vec<usize> = (0..16).collect();
        let (fours, [before, after]) = in_fours(16, &readers, &order).unwrap();
        // Three of four lose a 2, and with the small ones the scale, (9 * 2 + 3 * 0.1) / 12,
        // is wrong for all.
        let scale: f64 = 18.3 / 12.0;
        let lost = |w: f64| (w - scale) * (w - scale);
        let error = 9.0 * lost(2.0) + 3.0 * 4.0 + 3.0 * lost(0.1) + 0.01;
        assert!((before - error / (12.0 * 4.0 + 4.0 * 0.01)).abs() < 1e-6);
        assert!(after < 0.001, "{after}");
        for four in fours.chunks(4) {
            let small = four.iter().filter(|c| (4..8).contains(*c)).count();
            assert_eq!(small, 1, "{fours:?}");
        }
        let mut sorted = fours.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, order);
    }

    #[test]
    fn no_exchange_of_two_channels_is_better() {
        // Two readers, one of them with two blocks; twelve channels.
        let random = |seed: u32, n: usize| -> Vec<f32> {
            let next = |s: &mut u32| {
                *s = s.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                Some((*s >> 8) as f32 / 8_388_608.0 - 1.0)
            };
            std::iter::repeat(())
                .scan(seed, |s, ()| next(s))
                .take(n)
                .collect()
        };
        let square: Vec<f64> = random(3, 24)
            .iter()
            .map(|v| f64::from(v * v) + 0.1)
            .collect();
        let readers = [
            reader(&random(1, 3 * 12), &square[..12]),
            reader(&random(2, 2 * 24), &square),
        ];
        let order: Vec<usize> = (0..12).collect();
        let (fours, [before, after]) = in_fours(12, &readers, &order).unwrap();
        assert!(after < before);
        assert_eq!(share(12, &readers, &fours), Some(after));
        // Scales move a little with an exchange, so one may be better by a hair.
        for i in 0..12 {
            for j in i + 1..12 {
                let mut other = fours.clone();
                other.swap(i, j);
                let other = share(12, &readers, &other).unwrap();
                assert!(other > 0.99 * after, "{i} {j}: {other} {after}");
            }
        }
    }

    #[test]
    fn without_readers_or_fours_nothing_moves() {
        assert_eq!(in_fours(4, &[], &[3, 1, 0, 2]), None);
        let readers = [reader(&[1.0; 6], &[1.0; 6])];
        assert_eq!(in_fours(6, &readers, &[0, 1, 2, 3, 4, 5]), None);
    }
}

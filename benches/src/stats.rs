//! Minimum, median and 95th percentile of timings.

use anyhow::{Context, Result};
use serde::Serialize;
use std::time::{Duration, Instant};

/// A summary of timings, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The shortest.
    pub min: f64,
    /// Half of them are not longer.
    pub median: f64,
    /// 95 of 100 are not longer.
    pub p95: f64,
}

/// Summarises timings given in milliseconds; `None` without any.
pub fn summarise(mut times: Vec<f64>) -> Option<Summary> {
    times.sort_by(f64::total_cmp);
    let last = times.len().checked_sub(1)?;
    let at = |share: f64| times[((last as f64) * share).round() as usize];
    Some(Summary {
        min: times[0],
        median: at(0.5),
        p95: at(0.95),
    })
}

/// Times `run` over and over, after two runs that do not count: at least five
/// times, and then until `budget` is spent.
///
/// # Errors
/// Those of `run`.
pub fn time(budget: Duration, mut run: impl FnMut() -> Result<()>) -> Result<Summary> {
    run()?;
    run()?;
    let begun = Instant::now();
    let mut times = Vec::new();
    while times.len() < 5 || begun.elapsed() < budget {
        let start = Instant::now();
        run()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    summarise(times).context("no iterations")
}

/// The process's largest resident memory so far, in bytes, where the system tells (Linux).
pub fn peak_resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_statistics() {
        let s = summarise((1..=101).rev().map(f64::from).collect()).unwrap();
        assert_eq!(
            s,
            Summary {
                min: 1.0,
                median: 51.0,
                p95: 96.0
            }
        );
        assert_eq!(summarise(vec![]), None);
        assert_eq!(summarise(vec![2.0]).unwrap().p95, 2.0);
    }
}

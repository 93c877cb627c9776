//! Pruning that knows what ternary weights are: whole channels are removed, so that the
//! model compiles smaller, and channels are put in an order in which one weight of each
//! pair, or four, of neighbours is small, which `n12`, or `n34`, can drop.
//!
//! What a channel is worth is what its readers see of it: the variance that it has over
//! sample images, times the square of the weights that read it, as they will be
//! stored. The mean of a channel that goes is added to its readers' biases. Nothing is trained.

pub mod fours;
pub mod groups;
pub mod order;
pub mod select;
pub mod statistics;

use crate::ir::{Constant, Graph};
use crate::ternarise::{self, Pattern, Policy, detect};
use anyhow::{Result, ensure};
use globset::Glob;
use groups::{Group, Groups};
use order::Reader;
use serde::Serialize;
use statistics::Statistics;
use std::collections::BTreeMap;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Share of the channels of each group that goes, in 0..1.
    pub channels: f64,
    /// Whether channels are ordered for the pattern of zeros that `policy` asks for.
    pub reorder: bool,
    /// What becomes of weights when the model is compiled; the layers that `skip` matches keep
    /// their channels.
    pub policy: Policy,
}

/// What happened to the channels that some layers make together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pruned {
    /// The layers that make them.
    pub layers: Vec<String>,
    /// Channels before.
    pub before: usize,
    /// Channels after.
    pub after: usize,
    /// What went of what their readers see, in 0..=1: worth of the removed channels over all.
    pub lost: f64,
    /// Squared error of what their readers compute by the pattern of zeros, with the channels as
    /// they were and as ordered, as a share of the error without any weights; none where they were
    /// not ordered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern_error: Option<[f64; 2]>,
}

/// Removes channels and orders the others, in a graph after the passes. Returns what was done
/// to each group of channels that can be touched, in order.
///
/// # Errors
/// A share that is none; a model without channels that can go.
pub fn prune(graph: &mut Graph, statistics: &Statistics, request: &Request) -> Result<Vec<Pruned>> {
    ensure!(
        (0.0..1.0).contains(&request.channels),
        "--channels {}: give the share of channels that goes, from 0 to less than 1",
        request.channels
    );
    let groups = Groups::of(graph);
    // The weights as they will be stored.
    let mut stored = graph.clone();
    ternarise::ternarise(&mut stored, &request.policy)?;
    let skipped = |n: usize| {
        let globs = request.policy.skip.iter().filter_map(|p| Glob::new(p).ok());
        let mut globs = globs.map(|g| g.compile_matcher());
        globs.any(|g| g.is_match(&graph.nodes[n].name))
    };
    let open: Vec<usize> = (0..groups.all.len())
        .filter(|&g| {
            let group = &groups.all[g];
            let used = !group.makers.is_empty() && !group.readers.is_empty();
            used && !group.fixed && group.channels > 2 && !group.makers.iter().any(|n| skipped(*n))
        })
        .collect();
    ensure!(
        !open.is_empty(),
        "the model has no channels that could go: those of its inputs and outputs are fixed, and those that other \
         ops than layers, activations, pools and additions read"
    );
    let mut orders = BTreeMap::new();
    let mut pruned = Vec::new();
    for &g in &open {
        let group = &groups.all[g];
        let readers = readers(&stored, &groups, g, statistics);
        let pattern = request.policy.sparsify;
        let together = pattern_already(graph, group).map_or(1, Pattern::channels);
        let multiple = pattern.map_or(2, Pattern::channels).max(together);
        let worth = order::worth(group.channels, &readers);
        let mut order = order::best(&worth, request.channels, together, multiple);
        let kept: f64 = order.iter().map(|&c| worth[c]).sum();
        let all: f64 = worth.iter().sum();
        let mut pattern_error = None;
        if let Some(pattern) = pattern.filter(|_| request.reorder && together == 1) {
            let plain = self::readers(graph, &groups, g, statistics);
            let found = match pattern {
                Pattern::OneOfTwo => order::in_pairs(group.channels, &plain, &order),
                Pattern::ThreeOfFour => fours::in_fours(group.channels, &plain, &order),
            };
            if let Some((other, error)) = found {
                (order, pattern_error) = (other, Some(error));
            }
        }
        let name = |&n: &usize| graph.nodes[n].name.clone();
        pruned.push(Pruned {
            layers: group.makers.iter().map(name).collect(),
            before: group.channels,
            after: order.len(),
            lost: if all > 0.0 { 1.0 - kept / all } else { 0.0 },
            pattern_error,
        });
        orders.insert(g, order);
    }
    statistics.move_means(graph, &groups, &orders);
    select::select(graph, &groups, &orders)?;
    graph.remove_dead();
    Ok(pruned)
}

/// The pattern that a layer which reads these channels has already: those of a pair, or of
/// a four, then stay together. The widest one, where layers differ.
fn pattern_already(graph: &Graph, group: &Group) -> Option<Pattern> {
    let found = group.readers.iter().filter_map(|&n| {
        let constant = select::constant(graph, n, 1);
        let trits = match constant.as_deref() {
            Some(Constant::Dense(w)) => detect(w)?,
            _ => return None,
        };
        let patterns = [Pattern::ThreeOfFour, Pattern::OneOfTwo];
        patterns.into_iter().find(|p| p.is_in(&trits))
    });
    found.max_by_key(|p| p.channels())
}

/// The weights that read a group's channels.
fn readers(graph: &Graph, groups: &Groups, g: usize, statistics: &Statistics) -> Vec<Reader> {
    let group = &groups.all[g];
    let reader = |&n: &usize| {
        let x = graph.nodes[n].inputs[0]?;
        let constant = select::constant(graph, n, 1)?;
        let weights = match &*constant {
            Constant::Dense(t) => t.as_f32()?.to_vec(),
            Constant::Scaled(t) => t.to_dense().as_f32()?.to_vec(),
        };
        let seen = statistics.of(x)?;
        Some(Reader {
            weights,
            outputs: *constant.shape().first()?,
            inner: groups.places[x.0]?.inner,
            variance: seen.variance(),
            square: seen.square(),
        })
    };
    group.readers.iter().filter_map(reader).collect()
}

#[cfg(test)]
mod tests;

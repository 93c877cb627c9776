//! Weights become values: found exactly where they already are ternary, or
//! made so after training.

pub mod fit;

use crate::ir::{Constant, Graph, Op, Scaled, Tensor, ValueId};
use crate::ops;
use anyhow::{Context, Result};
use globset::{Glob, GlobSet, GlobSetBuilder};
use std::collections::{BTreeMap, HashMap};

/// What becomes of weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Those that are ternary stay so, exactly; nothing else changes.
    #[default]
    Detect,
    /// As [`Detect`](Self::Detect), and others become ternary by [`fit::absmean`].
    Absmean,
    /// As [`Detect`](Self::Detect), and others become ternary by [`fit::threshold`].
    Threshold,
}

/// Which weights are zero: exactly one of each so many consecutive input channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Of two, so that one stays: `n12` stores it in one bit a weight.
    OneOfTwo,
    /// Of four, so that three stay: `n34` stores it in 1.25 bits a weight.
    ThreeOfFour,
}

impl Pattern {
    /// How many channels belong together.
    pub fn channels(self) -> usize {
        match self {
            Pattern::OneOfTwo => 2,
            Pattern::ThreeOfFour => 4,
        }
    }

    /// Whether weights have it already, everywhere.
    pub fn is_in(self, weights: &Scaled) -> bool {
        let n = self.channels();
        let one = |w: &[i8]| w.iter().filter(|w| **w == 0).count() == 1;
        weights.shape.last().is_some_and(|c| c.is_multiple_of(n))
            && weights.values.chunks(n).all(one)
    }

    /// Drops the smallest weight of those that belong together.
    fn fit(self, weights: &Tensor) -> Option<Scaled> {
        match self {
            Pattern::OneOfTwo => fit::one_of_two(weights),
            Pattern::ThreeOfFour => fit::three_of_four(weights),
        }
    }
}

/// What becomes of one layer's weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Choice {
    /// They stay what they are, or become 8-bit integers.
    Dense,
    /// Ternary: found, or by [`fit::threshold`].
    T2,
    /// One of each pair of input channels is not zero: found, or by [`fit::one_of_two`].
    /// Layers whose channels make no pairs, and depthwise ones, stay dense.
    N12,
    /// One of each four input channels is zero: found, or by [`fit::three_of_four`].
    /// Layers whose channels make no fours, and depthwise ones, stay dense.
    N34,
}

impl Choice {
    /// Name of the codec, `dense` for those without.
    pub fn name(self) -> &'static str {
        match self {
            Choice::Dense => "dense",
            Choice::T2 => "t2",
            Choice::N12 => "n12",
            Choice::N34 => "n34",
        }
    }

    /// The zeros that its codec asks for.
    fn pattern(self) -> Option<Pattern> {
        match self {
            Choice::Dense | Choice::T2 => None,
            Choice::N12 => Some(Pattern::OneOfTwo),
            Choice::N34 => Some(Pattern::ThreeOfFour),
        }
    }
}

/// Which layers, besides the mode.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// What becomes of weights.
    pub mode: Mode,
    /// Globs on node names: these layers stay dense.
    pub skip: Vec<String>,
    /// Whether the first, the last and depthwise layers are fitted as well.
    pub all: bool,
    /// Which weights are dropped: in every layer that the other fields allow but
    /// depthwise ones and those whose input channels are no multiple of the pattern's.
    pub sparsify: Option<Pattern>,
    /// Whether layers that stay dense get 8-bit weights by [`fit::int8`].
    pub int8: bool,
    /// Layers, by name, for which the fields above but `skip` and `int8` do not count.
    pub layers: BTreeMap<String, Choice>,
}

/// What was done: the relative weight error of each layer with integer weights,
/// by node name (0 for those that were found).
pub type Errors = HashMap<String, f64>;

fn globs(patterns: &[String]) -> Result<GlobSet> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(Glob::new(pattern).with_context(|| format!("--skip {pattern:?} is not a glob"))?);
    }
    Ok(set.build()?)
}

/// Makes weights ternary, or 8-bit integers, in place.
///
/// # Errors
/// A skip pattern that is not a glob, or that matches no layer; weights to be
/// fitted that are not finite.
pub fn ternarise(graph: &mut Graph, policy: &Policy) -> Result<Errors> {
    let skip = globs(&policy.skip)?;
    let layers: Vec<usize> = (0..graph.nodes.len())
        .filter(|&n| ops::has_weights(&graph.nodes[n].op))
        .collect();
    for pattern in &policy.skip {
        let glob = Glob::new(pattern)?.compile_matcher();
        if !layers.iter().any(|&n| glob.is_match(&graph.nodes[n].name)) {
            let names: Vec<&str> = layers
                .iter()
                .take(5)
                .map(|&n| graph.nodes[n].name.as_str())
                .collect();
            anyhow::bail!(
                "--skip {pattern:?} matches no layer; layers are named {} ...",
                names.join(", ")
            );
        }
    }
    let mut errors = Errors::new();
    // Layers that share weights still do so afterwards.
    let mut made: HashMap<ValueId, ValueId> = HashMap::new();
    for (position, &n) in layers.iter().enumerate() {
        let node = &graph.nodes[n];
        let name = node.name.clone();
        let Some(id) = node.inputs.get(1).copied().flatten() else {
            continue;
        };
        let Some(Constant::Dense(weights)) = graph.constant(id).map(|c| c.as_ref().clone()) else {
            continue;
        };
        let edge = position == 0 || position + 1 == layers.len();
        let depthwise = matches!(node.op, Op::DepthwiseConv2d(_));
        let fitted = policy.all || !(edge || depthwise);
        let mut scaled = None;
        let chosen = policy.layers.get(&name);
        if !skip.is_match(&name) && chosen != Some(&Choice::Dense) {
            let (fitted, pattern, mode) = match chosen {
                Some(choice) => match choice.pattern() {
                    Some(pattern) => (true, Some(pattern), Mode::Detect),
                    None => (true, None, Mode::Threshold),
                },
                None => (fitted, policy.sparsify, policy.mode),
            };
            let channels = weights.shape.last().copied().unwrap_or(0);
            let pattern =
                pattern.filter(|p| fitted && !depthwise && channels.is_multiple_of(p.channels()));
            let found = detect(&weights).filter(|t| pattern.is_none_or(|p| p.is_in(t)));
            scaled = match (found, pattern, mode) {
                (Some(ternary), _, _) => Some(ternary),
                (None, Some(pattern), _) => {
                    Some(pattern.fit(&weights).with_context(not_finite(&name))?)
                }
                (None, None, _) if !fitted => None,
                (None, None, Mode::Detect) => None,
                (None, None, Mode::Absmean) => {
                    Some(fit::absmean(&weights).with_context(not_finite(&name))?)
                }
                (None, None, Mode::Threshold) => {
                    Some(fit::threshold(&weights).with_context(not_finite(&name))?)
                }
            };
        }
        if scaled.is_none() && policy.int8 {
            scaled = Some(fit::int8(&weights).with_context(not_finite(&name))?);
        }
        if let Some(scaled) = scaled {
            errors.insert(name.clone(), relative_error(&weights, &scaled));
            let new = *made.entry(id).or_insert_with(|| {
                graph.add_constant(&format!("{name}.weight"), Constant::Scaled(scaled))
            });
            graph.nodes[n].inputs[1] = Some(new);
        }
    }
    Ok(errors)
}

fn not_finite(layer: &str) -> impl FnOnce() -> String + '_ {
    move || {
        format!(
            "layer {layer:?} has weights that are no finite numbers; keep it dense with --skip, or repair the model"
        )
    }
}

/// Weights that are -a, 0 or a with one `a` for each output (dimension 0), bit
/// for bit; `None` where they are not, or where trits and scales would take
/// more bytes than the numbers (fewer than four weights an output).
pub fn detect(weights: &Tensor) -> Option<Scaled> {
    let values = weights.as_f32()?;
    let outputs = *weights.shape.first()?;
    let per_output = values.len().checked_div(outputs)?;
    if per_output < 4 {
        return None;
    }
    let mut scale = Vec::with_capacity(outputs);
    let mut trits = Vec::with_capacity(values.len());
    for row in values.chunks_exact(per_output) {
        let a = row
            .iter()
            .map(|v| v.abs())
            .find(|&v| v != 0.0)
            .unwrap_or(0.0);
        if !a.is_finite() || row.iter().any(|&v| v != 0.0 && v.abs() != a) {
            return None;
        }
        scale.push(a);
        trits.extend(row.iter().map(|&v| (v > 0.0) as i8 - (v < 0.0) as i8));
    }
    Some(Scaled {
        shape: weights.shape.clone(),
        values: trits,
        scale,
    })
}

/// `|w - ternary| / |w|` in the Frobenius norm; 0 for weights that are all 0.
pub fn relative_error(weights: &Tensor, ternary: &Scaled) -> f64 {
    let dense = ternary.to_dense();
    let (Some(w), Some(t)) = (weights.as_f32(), dense.as_f32()) else {
        return 0.0;
    };
    let square = |v: f32| f64::from(v) * f64::from(v);
    let error: f64 = w.iter().zip(t).map(|(a, b)| square(a - b)).sum();
    let size: f64 = w.iter().map(|&a| square(a)).sum();
    if size == 0.0 {
        0.0
    } else {
        (error / size).sqrt()
    }
}

#[cfg(test)]
mod tests;

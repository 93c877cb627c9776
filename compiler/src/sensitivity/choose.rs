//! A codec for each layer: as small as an allowed loss of accuracy permits, or as
//! good as an allowed size does.
//!
//! Steps (a layer to `t2`, from there to `n34` or `n12`) are put in order of what they cost, in
//! cross-entropy as each was measured alone, by the byte that they save. Layers spoil each
//! other, so nothing is concluded from sums: a bisection over the number of steps taken
//! compiles and measures the model with them together. What the order missed is mended after it.

use super::{Quality, Sensitivity, Subject};
use crate::pipeline::{CompileOptions, Compiled, Progress, Silent, TooLarge, compile_graph};
use crate::ternarise::Choice;
use crate::text_table as table;
use anyhow::{Result, bail};
use serde::Serialize;
use std::collections::BTreeMap;

/// What is allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Points of top 1 that may be lost against the reference.
    pub max_drop: Option<f64>,
    /// Bytes of the file.
    pub max_file: Option<u64>,
}

/// What was picked for a layer that did not stay as it was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Picked {
    /// Name of the node.
    pub layer: String,
    /// The codec.
    pub codec: &'static str,
    /// Bytes saved.
    pub saved: u64,
    /// Points of top 1 that the layer alone loses.
    pub drop_alone: f64,
}

/// What was picked, and how good the model is with it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Selection {
    /// Data set.
    pub dataset: String,
    /// Part of it.
    pub split: &'static str,
    /// Images.
    pub images: usize,
    /// The model before, its activations f32.
    pub reference: Quality,
    /// The model that was compiled.
    pub after: Quality,
    /// Points of top 1 between them.
    pub drop: f64,
    /// Layers that became ternary, or more so, in order.
    pub picked: Vec<Picked>,
    /// Layers that stayed as they were.
    pub kept: Vec<String>,
}

/// One layer taken to a codec.
#[derive(Clone, Debug, PartialEq)]
struct Step {
    layer: usize,
    candidate: usize,
    cost: f64,
}

/// Steps in the order in which they are worth taking.
fn steps(measured: &Sensitivity) -> Vec<Step> {
    let mut steps = Vec::new();
    for (layer, l) in measured.layers.iter().enumerate() {
        let mut order: Vec<usize> = (0..l.candidates.len()).collect();
        order.sort_by_key(|&c| l.candidates[c].saved);
        // Bytes saved and loss of each point; the next of the hull is the one to which
        // the way costs least by the byte.
        let point = |c: usize| {
            let candidate = &l.candidates[c];
            let loss = candidate.quality.loss - measured.before.loss;
            (candidate.saved as f64, loss)
        };
        let (mut at, mut from) = ((0.0, 0.0), 0);
        while from < order.len() {
            let cost = |i: usize| {
                let (saved, loss) = point(order[i]);
                let cost = (loss - at.1) / (saved - at.0).max(1.0);
                // What cannot be told from its cross-entropy comes last.
                if cost.is_finite() { cost } else { f64::MAX }
            };
            let Some(next) = (from..order.len()).min_by(|&a, &b| cost(a).total_cmp(&cost(b)))
            else {
                break;
            };
            steps.push(Step {
                layer,
                candidate: order[next],
                cost: cost(next),
            });
            (at, from) = (point(order[next]), next + 1);
        }
    }
    // Stable: what costs the same stays in the order of the layers.
    steps.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    steps
}

/// The candidate that each layer was taken to.
type Picks = BTreeMap<usize, usize>;

/// Points that rounded sums may differ by.
const SLACK: f64 = 1e-9;

/// Takes a step, unless its layer is further already.
fn take(measured: &Sensitivity, step: &Step, picks: &mut Picks) {
    let saved = |c: usize| measured.layers[step.layer].candidates[c].saved;
    let candidate = picks.entry(step.layer).or_insert(step.candidate);
    if saved(step.candidate) > saved(*candidate) {
        *candidate = step.candidate;
    }
}

/// Where these steps lead.
fn taken(measured: &Sensitivity, steps: &[Step]) -> Picks {
    let mut picks = Picks::new();
    for step in steps {
        take(measured, step, &mut picks);
    }
    picks
}

fn choices(measured: &Sensitivity, picks: &Picks) -> BTreeMap<String, Choice> {
    let choice = |(&layer, &candidate): (&usize, &usize)| {
        let layer = &measured.layers[layer];
        (layer.name.clone(), layer.candidates[candidate].choice)
    };
    picks.iter().map(choice).collect()
}

/// The largest of `0..=most` that `holds`, where those that hold come first; none
/// where 0 does not.
fn last(most: usize, mut holds: impl FnMut(usize) -> Result<bool>) -> Result<Option<usize>> {
    if !holds(0)? {
        return Ok(None);
    }
    let (mut low, mut high) = (0, most + 1);
    while high - low > 1 {
        let middle = (low + high) / 2;
        if holds(middle)? {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(Some(low))
}

/// Picks a codec for each layer and compiles the model with them. `reference` is the
/// model that a loss is counted against.
///
/// With a limit of accuracy alone the smallest file within it is looked for; with one of
/// the file alone, the model that loses least in it, `t5` in place of `t2` where the
/// options allow it and the size needs it. With both, the second must keep the first.
///
/// # Errors
/// Limits that cannot be kept, with what could be reached; those of the compiler.
pub fn choose(
    subject: &Subject<'_>,
    measured: &Sensitivity,
    reference: Quality,
    limits: Limits,
    progress: &dyn Progress,
) -> Result<Compiled> {
    let steps = steps(measured);
    let drop = |q: &Quality| 100.0 * (reference.top1 - q.top1);
    let compile = |picks: &Picks| {
        let options = CompileOptions {
            golden: subject.options.golden,
            max_arena: subject.options.max_arena,
            max_file: limits.max_file,
            ..subject.options_with(&choices(measured, picks))
        };
        compile_graph(subject.graph.clone(), subject.name, &options, &Silent)
    };
    let picks = match (limits.max_file, limits.max_drop) {
        (Some(_), _) => {
            progress.stage("looking for the codecs that the file's size needs", None);
            let too_large = |picks: &Picks| match compile(picks) {
                Ok(_) => Ok(false),
                Err(error) if error.is::<TooLarge>() => Ok(true),
                Err(error) => Err(error),
            };
            let count = match last(steps.len(), |n| too_large(&taken(measured, &steps[..n])))? {
                None => 0,
                // With every step too: the compiler's error tells by how much.
                Some(most) => (most + 1).min(steps.len()),
            };
            let mut picks = taken(measured, &steps[..count]);
            // Cheap by the byte, but the last step may have saved enough without them.
            let mut layers: Vec<usize> = picks.keys().copied().collect();
            let loss = |l: &usize| measured.layers[*l].candidates[picks[l]].quality.loss;
            layers.sort_by(|a, b| loss(b).total_cmp(&loss(a)));
            for layer in layers {
                let mut fewer = picks.clone();
                fewer.remove(&layer);
                if !too_large(&fewer)? {
                    picks = fewer;
                }
            }
            picks
        }
        (None, Some(max)) => {
            let mut least = f64::INFINITY;
            let mut within = |picks: &Picks| {
                let quality = subject.trial(&choices(measured, picks), progress)?.quality;
                least = least.min(drop(&quality));
                Ok(drop(&quality) <= max + SLACK)
            };
            let count = last(steps.len(), |n| within(&taken(measured, &steps[..n])))?;
            let Some(count) = count else {
                bail!(
                    "--max-drop {max}: the model loses {least:.2} points even with every layer as it is, by its \
                     activations ({}) or 8-bit weights alone: allow more, or give --activations f32",
                    subject.options.activations.name()
                )
            };
            let mut picks = taken(measured, &steps[..count]);
            // The next step is too much; those behind it may be harmless.
            for step in steps.iter().skip(count + 1) {
                let mut more = picks.clone();
                take(measured, step, &mut more);
                if more != picks && within(&more)? {
                    picks = more;
                }
            }
            picks
        }
        (None, None) => bail!("nothing is asked for: give --max-drop POINTS or --max-file BYTES"),
    };
    let mut compiled = compile(&picks)?;
    let quality = subject.quality(&compiled, progress)?;
    if let Some(max) = limits.max_drop.filter(|max| drop(&quality) > max + SLACK) {
        bail!(
            "--max-drop {max}: a file of {} bytes loses {:.2} points of top 1; allow a larger file or a larger loss, or \
             train the model with ternary weights",
            table::grouped(compiled.bytes.len() as u64),
            drop(&quality)
        );
    }
    // It is known how good the model is: no need to warn that it may be bad.
    compiled.report.warnings.clear();
    let kept = measured.layers.iter().enumerate();
    compiled.report.selection = Some(Selection {
        dataset: measured.dataset.clone(),
        split: measured.split,
        images: measured.images,
        reference,
        after: quality,
        drop: drop(&quality),
        picked: picks
            .iter()
            .map(|(&layer, &candidate)| {
                let layer = &measured.layers[layer];
                let candidate = &layer.candidates[candidate];
                Picked {
                    layer: layer.name.clone(),
                    codec: candidate.codec,
                    saved: candidate.saved,
                    drop_alone: candidate.drop,
                }
            })
            .collect(),
        kept: kept
            .filter(|(i, _)| !picks.contains_key(i))
            .map(|(_, l)| l.name.clone())
            .collect(),
    });
    Ok(compiled)
}

impl Selection {
    /// The table and the line that `ternc compile` prints.
    pub fn to_text(&self) -> String {
        let row = |p: &Picked| {
            vec![
                p.layer.clone(),
                p.codec.to_owned(),
                table::grouped(p.saved),
                format!("{:+.2}", p.drop_alone + 0.0),
            ]
        };
        let mut rows: Vec<Vec<String>> = self.picked.iter().map(row).collect();
        let kept = self.kept.iter().map(|name| {
            let blank = String::new;
            vec![name.clone(), "as it was".into(), blank(), blank()]
        });
        rows.extend(kept);
        let header = ["layer", "picked", "bytes saved", "points lost alone"];
        format!(
            "\n{}\n{} images of {} ({}): {:.2}% before (f32), {:.2}% as compiled, {:.2} points lost\n",
            table::render(&header, &[2, 3], &rows),
            table::grouped(self.images as u64),
            self.dataset,
            self.split,
            100.0 * self.reference.top1,
            100.0 * self.after.top1,
            self.drop + 0.0
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensitivity::{Candidate, LayerSensitivity};

    /// Layers, each with the bytes saved and the cross-entropy of `t2` and of `n12`.
    fn measured(layers: &[[(u64, f64); 2]]) -> Sensitivity {
        let quality = |loss| Quality {
            correct: 0,
            top1: 0.0,
            loss,
        };
        let candidate = |choice: Choice, (saved, loss)| Candidate {
            choice,
            codec: choice.name(),
            bytes: 1000 - saved,
            saved,
            weight_error: 0.0,
            quality: quality(loss),
            drop: 0.0,
        };
        let layer = |(i, [t2, n12]): (usize, &[(u64, f64); 2])| LayerSensitivity {
            name: format!("layer {i}"),
            op: "gemm",
            weights: 250,
            codec: "f32",
            bytes: 1000,
            candidates: vec![candidate(Choice::T2, *t2), candidate(Choice::N12, *n12)],
        };
        Sensitivity {
            model: String::new(),
            dataset: String::new(),
            split: "test",
            images: 1,
            activations: "f32",
            before: quality(1.0),
            file_bytes: 10_000,
            layers: layers.iter().enumerate().map(layer).collect(),
        }
    }

    #[test]
    fn steps_are_ordered_by_what_a_byte_costs() {
        let m = measured(&[
            // 0.1 for 100 bytes, then 0.9 for 100 more.
            [(100, 1.1), (200, 2.0)],
            // All the way at once costs less by the byte: 0.05 for 200.
            [(100, 1.5), (200, 1.05)],
            // It gets better.
            [(50, 0.9), (60, f64::NAN)],
        ]);
        let steps = steps(&m);
        let order: Vec<_> = steps.iter().map(|s| (s.layer, s.candidate)).collect();
        assert_eq!(order, [(2, 0), (1, 1), (0, 0), (0, 1), (2, 1)]);
        assert_eq!(
            taken(&m, &steps[..3]),
            Picks::from([(0, 0), (1, 1), (2, 0)])
        );
        assert_eq!(taken(&m, &steps), Picks::from([(0, 1), (1, 1), (2, 1)]));
        // Back is no step.
        let mut picks = Picks::from([(0, 1)]);
        take(&m, &steps[2], &mut picks);
        assert_eq!(picks, Picks::from([(0, 1)]));
    }

    #[test]
    fn bisection_finds_the_last() {
        for most in 0..9 {
            for end in 0..=most {
                assert_eq!(last(most, |n| Ok(n <= end)).unwrap(), Some(end));
            }
            assert_eq!(last(most, |_| Ok(false)).unwrap(), None);
        }
    }
}

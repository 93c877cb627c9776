//! What differs between two models, op by op. Ops are the same where their
//! names are.

mod text;

use super::layers::{Layer, layers, op_name};
use crate::text_table as table;
use anyhow::Result;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;
use ternrt::format::NONE;
use ternrt::format::header::Section;
use ternrt::format::metadata::key;
use ternrt::format::tensor::{Place, Tensor};
use ternrt::{Model, TensorInfo};

/// One thing that is not the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What it is.
    pub what: String,
    /// In the first model; empty where it is absent.
    pub a: String,
    /// In the second one.
    pub b: String,
}

/// How far weights of one shape are apart.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Weights {
    /// Number of weights.
    pub count: u64,
    /// Integers that differ, where both models store integers of one kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flips: Option<Flips>,
    /// `|a - b| / |a|` in the Frobenius norm, of the numbers with their scales;
    /// none where `a` is zero throughout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relative_change: Option<f64>,
    /// How scales changed, where both have some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scales: Option<Scales>,
    /// Largest change of a bias; one that is absent counts as 0.
    pub bias_change: f64,
}

/// Trits (or 8-bit weights) that differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Flips {
    /// All of them.
    pub all: u64,
    /// Plus to minus or back.
    pub sign: u64,
    /// To zero.
    pub to_zero: u64,
    /// From zero.
    pub from_zero: u64,
}

/// Scales that differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Scales {
    /// How many.
    pub changed: u64,
    /// Of how many.
    pub count: u64,
    /// The mean in `b` over the mean in `a`; none where that is 0.
    pub mean_ratio: Option<f64>,
    /// Largest `|b - a| / |a|`; none where no scale of `a` that changed is above 0.
    pub largest: Option<f64>,
}

/// In which of the models an op is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// In both, with differences.
    Changed,
    /// In the first alone.
    Removed,
    /// In the second alone.
    Added,
}

/// An op that is not the same in both.
#[derive(Clone, Debug, Serialize)]
pub struct OpDiff {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub status: Status,
    /// Attributes, shapes, codecs, sizes.
    pub changes: Vec<Change>,
    /// How its weights differ, if they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<Weights>,
}

/// The whole comparison.
#[derive(Clone, Debug, Serialize)]
pub struct Diff {
    /// Name of the first model.
    pub a: String,
    /// Name of the second.
    pub b: String,
    /// Whether the files have the same bytes.
    pub identical: bool,
    /// What is of the file as a whole.
    pub file: Vec<Change>,
    /// Ops that differ, in the order of the first model, those of the second
    /// alone at the end.
    pub ops: Vec<OpDiff>,
    /// Ops that are the same.
    pub same_ops: usize,
}

fn change(changes: &mut Vec<Change>, what: &str, a: String, b: String) {
    if a != b {
        let what = what.to_owned();
        changes.push(Change { what, a, b });
    }
}

/// What can be said of an op without its weights, each with its name.
struct Facts<'m> {
    name: String,
    texts: Vec<(&'static str, String)>,
    /// Bytes of constant operands that are no weights.
    constants: Vec<&'m [u8]>,
    layer: Option<Layer<'m>>,
}

fn type_text(model: &Model<'_>, t: &Tensor) -> String {
    let (dims, rank) = t.shape();
    let mut text = format!("{} {}", t.dtype.name(), table::shape(&dims[..rank]));
    if t.qmax > 0 {
        let low = if t.non_negative { "0.." } else { "" };
        let _ = write!(text, " {low}q{}", t.qmax);
        let scale = model.tensor(t.scale).and_then(|s| model.constant(&s));
        match scale.and_then(|s| s.first_chunk()) {
            Some(bytes) => {
                let _ = write!(text, " @ {:?}", f32::from_le_bytes(*bytes));
            }
            None => text.push_str(" @ dynamic"),
        }
    }
    text
}

fn facts<'m>(model: &Model<'m>) -> Vec<Facts<'m>> {
    let mut layers: HashMap<usize, Layer<'m>> = layers(model)
        .into_iter()
        .map(|layer| (layer.number, layer))
        .collect();
    // Who wrote each place of the arena last.
    let mut writer: HashMap<u64, String> = HashMap::new();
    for (id, info) in model.ids(0).0.iter().flatten().zip(model.inputs(0)) {
        if let Some(t) = model.tensor(id) {
            writer.insert(t.offset, format!("{:?}", info.name));
        }
    }
    let mut all = Vec::new();
    for step in model.ops(0) {
        let name = op_name(model, step.number);
        let layer = layers.remove(&step.number);
        let mut operands = Vec::new();
        let mut constants = Vec::new();
        for (i, id) in step.record.inputs.iter().enumerate() {
            let Some(t) = id.and_then(|id| model.tensor(id)) else {
                operands.push("_".to_owned());
                continue;
            };
            match t.place {
                Place::Arena => operands.push(
                    writer
                        .get(&t.offset)
                        .cloned()
                        .unwrap_or_else(|| "?".to_owned()),
                ),
                Place::Data => {
                    operands.push("constant".to_owned());
                    // Weights and biases are compared as numbers.
                    if layer.is_none() || i > 2 {
                        constants.extend(model.constant(&t));
                    }
                }
            }
        }
        let mut results = Vec::new();
        for t in step.record.outputs.iter().flatten() {
            let Some(t) = model.tensor(t) else { continue };
            results.push(type_text(model, &t));
            writer.insert(t.offset, name.clone());
            if let Some(scale) = model.tensor(t.scale).filter(|_| t.scale != NONE) {
                writer.insert(scale.offset, name.clone());
            }
        }
        let mut texts = vec![
            ("op", step.record.op.to_string()),
            ("reads", operands.join(", ")),
            ("result", results.join(", ")),
        ];
        if let Some(layer) = &layer {
            let (dims, rank) = layer.weights.shape();
            let scales = layer.scale.map_or(0, |s| s.len);
            let bias = layer.bias.map_or(0, |b| b.len);
            texts.extend([
                ("weights", table::shape(&dims[..rank])),
                ("codec", layer.weights.codec.name().to_owned()),
                ("bytes", table::grouped(layer.weights.len + scales + bias)),
            ]);
        }
        all.push(Facts {
            name,
            texts,
            constants,
            layer,
        });
    }
    all
}

/// How weights differ; `None` where they do not, or have different shapes.
fn weights(a: &Layer<'_>, b: &Layer<'_>) -> Result<Option<Weights>> {
    if a.matrix != b.matrix {
        return Ok(None);
    }
    let (va, vb) = (a.values()?, b.values()?);
    let square = |v: f64| v * v;
    let size: f64 = va.iter().map(|&x| square(x.into())).sum();
    let distance: f64 = va
        .iter()
        .zip(&vb)
        .map(|(&x, &y)| square(f64::from(x) - f64::from(y)))
        .sum();
    let one_kind = a.weights.codec.is_ternary() == b.weights.codec.is_ternary();
    let flips = match (a.integers()?, b.integers()?) {
        (Some(a), Some(b)) if one_kind => {
            let mut flips = Flips::default();
            for (&x, &y) in a.iter().zip(&b).filter(|(x, y)| x != y) {
                flips.all += 1;
                flips.sign += (x != 0 && y != 0 && (x < 0) != (y < 0)) as u64;
                flips.to_zero += (y == 0) as u64;
                flips.from_zero += (x == 0) as u64;
            }
            Some(flips)
        }
        _ => None,
    };
    let scales = match (&a.scale, &b.scale) {
        (Some(_), Some(_)) => Some(scales(&a.scales()?, &b.scales()?)),
        _ => None,
    };
    let (ba, bb) = (a.biases()?, b.biases()?);
    let outputs = ba.as_ref().or(bb.as_ref()).map_or(0, Vec::len);
    let at = |bias: &Option<Vec<f32>>, i: usize| {
        f64::from(bias.as_ref().and_then(|b| b.get(i).copied()).unwrap_or(0.0))
    };
    let bias_change = (0..outputs)
        .map(|i| (at(&ba, i) - at(&bb, i)).abs())
        .fold(0.0, f64::max);
    let found = Weights {
        count: va.len() as u64,
        flips,
        relative_change: (size > 0.0).then(|| (distance / size).sqrt()),
        scales,
        bias_change,
    };
    let same = distance == 0.0
        && bias_change == 0.0
        && flips.is_none_or(|f| f.all == 0)
        && scales.is_none_or(|s| s.changed == 0);
    Ok((!same).then_some(found))
}

fn scales(a: &[f32], b: &[f32]) -> Scales {
    let changed = || a.iter().zip(b).filter(|(a, b)| a != b);
    let mean = |s: &[f32]| s.iter().map(|&v| f64::from(v)).sum::<f64>() / s.len().max(1) as f64;
    let relative = changed()
        .filter(|(a, _)| **a != 0.0)
        .map(|(&a, &b)| f64::from((b - a) / a).abs());
    Scales {
        changed: changed().count() as u64,
        count: a.len() as u64,
        mean_ratio: (mean(a) != 0.0).then(|| mean(b) / mean(a)),
        largest: relative.reduce(f64::max),
    }
}

fn compare(a: &Facts<'_>, b: &Facts<'_>) -> Result<Option<OpDiff>> {
    let mut changes = Vec::new();
    let of = |facts: &Facts<'_>, what: &str| {
        let mut texts = facts.texts.iter();
        texts
            .find(|(name, _)| *name == what)
            .map_or(String::new(), |(_, text)| text.clone())
    };
    for what in ["op", "reads", "result", "weights", "codec", "bytes"] {
        change(&mut changes, what, of(a, what), of(b, what));
    }
    if a.constants != b.constants {
        let bytes = |c: &[&[u8]]| c.iter().map(|c| c.len() as u64).sum();
        changes.push(Change {
            what: "constants".to_owned(),
            a: format!("{} bytes", table::grouped(bytes(&a.constants))),
            b: format!("{} other bytes", table::grouped(bytes(&b.constants))),
        });
    }
    let weights = match (&a.layer, &b.layer) {
        (Some(a), Some(b)) => weights(a, b)?,
        _ => None,
    };
    Ok((!changes.is_empty() || weights.is_some()).then(|| OpDiff {
        name: a.name.clone(),
        status: Status::Changed,
        changes,
        weights,
    }))
}

fn alone(facts: &Facts<'_>, status: Status) -> OpDiff {
    let changes = facts.texts.iter().map(|(what, text)| {
        let (a, b) = match status {
            Status::Added => (String::new(), text.clone()),
            _ => (text.clone(), String::new()),
        };
        Change {
            what: (*what).to_owned(),
            a,
            b,
        }
    });
    OpDiff {
        name: facts.name.clone(),
        status,
        changes: changes.collect(),
        weights: None,
    }
}

/// What is of the file as a whole.
fn file_changes(a: &Model<'_>, b: &Model<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    let bytes = |n: u64| table::grouped(n);
    let (ha, hb) = (a.header(), b.header());
    change(
        &mut changes,
        "file bytes",
        bytes(ha.file_len),
        bytes(hb.file_len),
    );
    change(
        &mut changes,
        "constant bytes",
        bytes(ha.section(Section::Data).len),
        bytes(hb.section(Section::Data).len),
    );
    change(
        &mut changes,
        "arena plan bytes",
        bytes(ha.arena_bytes),
        bytes(hb.arena_bytes),
    );
    let ports = |infos: &mut dyn Iterator<Item = TensorInfo<'_>>| {
        infos
            .map(|i| format!("{:?} {} {}", i.name, i.dtype.name(), table::shape(i.dims())))
            .collect::<Vec<_>>()
            .join(", ")
    };
    change(
        &mut changes,
        "inputs",
        ports(&mut a.inputs(0)),
        ports(&mut b.inputs(0)),
    );
    change(
        &mut changes,
        "outputs",
        ports(&mut a.outputs(0)),
        ports(&mut b.outputs(0)),
    );
    let count = |m: &Model<'_>| m.golden().count().to_string();
    change(&mut changes, "golden cases", count(a), count(b));
    // Names and errors of layers are compared with the ops.
    let pairs = |m: &Model<'_>| -> BTreeMap<String, String> {
        m.metadata_pairs()
            .filter(|(k, _)| ![key::OP_NAMES, key::LEDGER].contains(k))
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect()
    };
    let (pa, pb) = (pairs(a), pairs(b));
    let keys: BTreeSet<&String> = pa.keys().chain(pb.keys()).collect();
    for key in keys {
        let value = |pairs: &BTreeMap<String, String>| pairs.get(key).cloned().unwrap_or_default();
        change(
            &mut changes,
            &format!("metadata {key}"),
            value(&pa),
            value(&pb),
        );
    }
    changes
}

/// Compares two models; the names are for people.
///
/// # Errors
/// Packed weights that stand for no trit.
pub fn diff(a: &Model<'_>, b: &Model<'_>, names: [&str; 2]) -> Result<Diff> {
    let identical = a.bytes() == b.bytes();
    let mut diff = Diff {
        a: names[0].to_owned(),
        b: names[1].to_owned(),
        identical,
        file: Vec::new(),
        ops: Vec::new(),
        same_ops: 0,
    };
    let fa = facts(a);
    if identical {
        diff.same_ops = fa.len();
        return Ok(diff);
    }
    diff.file = file_changes(a, b);
    let fb = facts(b);
    let find: HashMap<&str, usize> = fb
        .iter()
        .enumerate()
        .map(|(i, f)| (f.name.as_str(), i))
        .collect();
    let mut met = vec![false; fb.len()];
    let mut order = Vec::new();
    for facts in &fa {
        match find.get(facts.name.as_str()) {
            Some(&i) if !met[i] => {
                met[i] = true;
                order.push(i);
                match compare(facts, &fb[i])? {
                    Some(op) => diff.ops.push(op),
                    None => diff.same_ops += 1,
                }
            }
            _ => diff.ops.push(alone(facts, Status::Removed)),
        }
    }
    let rest = fb.iter().zip(&met).filter(|(_, met)| !**met);
    diff.ops
        .extend(rest.map(|(facts, _)| alone(facts, Status::Added)));
    if !order.is_sorted() {
        diff.file.push(Change {
            what: "order of ops".to_owned(),
            a: "as listed".to_owned(),
            b: "another".to_owned(),
        });
    }
    if diff.file.is_empty() && diff.ops.is_empty() {
        diff.file.push(Change {
            what: "bytes".to_owned(),
            a: "golden outputs, places in the arena or padding".to_owned(),
            b: "other ones".to_owned(),
        });
    }
    Ok(diff)
}

#[cfg(test)]
mod tests;

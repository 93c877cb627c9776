//! What differs between two models, op by op. Ops are the same where their
//! names are.

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
        let _ = write!(text, " q{}", t.qmax);
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

fn percent(part: u64, whole: u64) -> String {
    format!("{:.2}%", 100.0 * part as f64 / whole.max(1) as f64)
}

impl Weights {
    /// As lines of what, and how.
    fn rows(&self) -> Vec<(&'static str, String)> {
        let mut rows = Vec::new();
        if let Some(f) = self.flips {
            rows.push((
                "flipped",
                format!(
                    "{} of {} ({}): {} change sign, {} become zero, {} are zero no more",
                    table::grouped(f.all),
                    table::grouped(self.count),
                    percent(f.all, self.count),
                    table::grouped(f.sign),
                    table::grouped(f.to_zero),
                    table::grouped(f.from_zero)
                ),
            ));
        }
        if let Some(s) = self.scales {
            let mut text = format!(
                "{} of {} differ",
                table::grouped(s.changed),
                table::grouped(s.count)
            );
            if let Some(largest) = s.largest {
                let _ = write!(text, ", by up to {:.2}%", 100.0 * largest);
            }
            if let Some(ratio) = s.mean_ratio {
                let _ = write!(text, "; mean x {ratio:.4}");
            }
            rows.push(("scales", text));
        }
        if let Some(r) = self.relative_change {
            rows.push(("distance", format!("{r:.3e} of the weights' norm")));
        }
        if self.bias_change > 0.0 {
            rows.push(("bias", format!("by up to {:.3e}", self.bias_change)));
        }
        rows
    }
}

/// The first line of a text, not too long.
fn brief(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let mut brief: String = line.chars().take(60).collect();
    if brief.len() < text.len() {
        brief.push_str(" ...");
    }
    if brief.is_empty() {
        "-".to_owned()
    } else {
        brief
    }
}

impl Diff {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.file.is_empty() && self.ops.is_empty()
    }

    /// Text for a terminal.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        // A String takes everything.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let lines = |changes: &[Change], out: &mut String| {
            changes.iter().try_for_each(|c| {
                writeln!(out, "  {:<9} {} -> {}", c.what, brief(&c.a), brief(&c.b))
            })
        };
        if self.is_empty() {
            return writeln!(out, "{} and {} are the same", self.a, self.b);
        }
        writeln!(out, "{} -> {}", self.a, self.b)?;
        lines(&self.file, out)?;
        for op in &self.ops {
            match op.status {
                Status::Changed => writeln!(out, "\n{}", op.name)?,
                Status::Removed => writeln!(out, "\n{}: in {} alone", op.name, self.a)?,
                Status::Added => writeln!(out, "\n{}: in {} alone", op.name, self.b)?,
            }
            if op.status == Status::Changed {
                lines(&op.changes, out)?;
            } else {
                for c in op.changes.iter().filter(|c| c.what != "reads") {
                    writeln!(out, "  {:<9} {}{}", c.what, c.a, c.b)?;
                }
            }
            for (what, how) in op.weights.iter().flat_map(Weights::rows) {
                writeln!(out, "  {what:<9} {how}")?;
            }
        }
        let count = |status: Status| self.ops.iter().filter(|o| o.status == status).count();
        let flips = self
            .ops
            .iter()
            .filter_map(|o| o.weights.as_ref())
            .filter_map(|w| w.flips.map(|f| (f.all, w.count)))
            .fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        write!(
            out,
            "\n{} ops changed, {} removed, {} added, {} the same",
            count(Status::Changed),
            count(Status::Removed),
            count(Status::Added),
            self.same_ops
        )?;
        if flips.0 > 0 {
            write!(
                out,
                "; {} of {} integer weights of these layers flipped",
                table::grouped(flips.0),
                table::grouped(flips.1)
            )?;
        }
        writeln!(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Aligned;
    use crate::ir::text::parse;
    use crate::ir::{Constant, Graph, ValueId};
    use crate::pack::CodecChoice;
    use crate::pipeline::{CompileOptions, Silent, compile_graph};
    use std::sync::Arc;

    const TEXT: &str = "graph \"t\"\n\
         input %x \"x\" : f32[1,8]\n\
         constant %a \"a\" : f32[8,8] = random(1)\n\
         constant %w \"w\" : ternary[8,8] = ternary(2)\n\
         constant %b \"b\" : f32[8] = random(4)\n\
         %i \"stem\" = gemm(%x, %a)\n\
         %j \"middle\" = gemm(%i, %w, %b)\n\
         %k \"end\" = softmax(%j) axis=1\n\
         output \"y\" = %k\n";

    fn graph() -> Graph {
        parse(TEXT).unwrap()
    }

    fn compile(graph: Graph, codec: CodecChoice) -> Aligned {
        let options = CompileOptions {
            codec,
            ..CompileOptions::default()
        };
        Aligned::new(&compile_graph(graph, "t", &options, &Silent).unwrap().bytes)
    }

    fn compare(a: &Aligned, b: &Aligned) -> Diff {
        let (a, b) = (
            Model::new(a.bytes()).unwrap(),
            Model::new(b.bytes()).unwrap(),
        );
        diff(&a, &b, ["a", "b"]).unwrap()
    }

    /// Changes the ternary weights of a graph.
    fn altered(change: impl Fn(&mut crate::ir::Scaled)) -> Graph {
        let mut graph = graph();
        let id = (0..graph.values.len())
            .map(ValueId)
            .find(|&id| graph.value(id).name == "w")
            .unwrap();
        let mut constant = graph.constant(id).unwrap().as_ref().clone();
        let Constant::Scaled(weights) = &mut constant else {
            panic!("w is ternary")
        };
        change(weights);
        graph.values[id.0].def = crate::ir::Def::Const(Arc::new(constant));
        graph
    }

    #[test]
    fn a_model_is_itself() {
        let a = compile(graph(), CodecChoice::T2);
        let diff = compare(&a, &a);
        assert!(diff.identical && diff.is_empty());
        assert_eq!(diff.same_ops, 3);
        assert_eq!(diff.to_text(), "a and b are the same\n");
    }

    #[test]
    fn flips_and_scales_are_counted() {
        let before = graph();
        let a = compile(before, CodecChoice::T2);
        let b = altered(|w| {
            // One of each kind, wherever these trits are.
            let at = |w: &crate::ir::Scaled, t: i8| w.values.iter().position(|&v| v == t).unwrap();
            let (plus, zero, minus) = (at(w, 1), at(w, 0), at(w, -1));
            w.values[plus] = -1;
            w.values[zero] = 1;
            w.values[minus] = 0;
            w.scale[0] *= 1.5;
        });
        let diff = compare(&a, &compile(b, CodecChoice::T2));
        assert!(!diff.identical);
        let [op] = &diff.ops[..] else {
            panic!("{:?}", diff.ops)
        };
        assert_eq!((op.name.as_str(), op.status), ("middle", Status::Changed));
        assert!(op.changes.is_empty(), "{:?}", op.changes);
        let weights = op.weights.as_ref().unwrap();
        assert_eq!(
            weights.flips,
            Some(Flips {
                all: 3,
                sign: 1,
                to_zero: 1,
                from_zero: 1
            })
        );
        let scales = weights.scales.unwrap();
        assert_eq!((scales.changed, scales.count), (1, 8));
        assert!((scales.largest.unwrap() - 0.5).abs() < 1e-6);
        assert!(weights.relative_change.unwrap() > 0.0);
        assert_eq!(weights.bias_change, 0.0);
        assert_eq!(diff.same_ops, 2);
        assert!(diff.to_text().contains("3 of 64 (4.69%): 1 change sign"));
    }

    #[test]
    fn codecs_ops_and_readers_are_named() {
        let a = compile(graph(), CodecChoice::T2);
        let diff_codec = compare(&a, &compile(graph(), CodecChoice::T5));
        let codec =
            |c: &Change| (c.what.as_str(), c.a.as_str(), c.b.as_str()) == ("codec", "t2", "t5");
        assert!(diff_codec.ops[0].changes.iter().any(codec));
        // The same trits in another layout are no flips.
        assert_eq!(diff_codec.ops[0].weights, None);

        let text = TEXT
            .replace("\"end\" = softmax(%j)", "\"end\" = softmax(%i)")
            .replace("%j \"middle\" = gemm(%i, %w, %b)\n", "")
            .replace("axis=1\n", "axis=1\n%l \"last\" = softmax(%k) axis=0\n")
            .replace("= %k\n", "= %l\n");
        let diff = compare(&a, &compile(parse(&text).unwrap(), CodecChoice::T2));
        let found: Vec<(&str, Status)> = diff
            .ops
            .iter()
            .map(|o| (o.name.as_str(), o.status))
            .collect();
        assert_eq!(
            found,
            [
                ("middle", Status::Removed),
                ("end", Status::Changed),
                ("last", Status::Added)
            ]
        );
        let reads = &diff.ops[1].changes[0];
        assert_eq!(
            (reads.what.as_str(), reads.a.as_str(), reads.b.as_str()),
            ("reads", "middle", "stem")
        );
        let text = diff.to_text();
        for line in ["middle: in a alone", "last: in b alone", "file bytes"] {
            assert!(text.contains(line), "{text}");
        }
    }
}

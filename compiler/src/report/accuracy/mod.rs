//! How often a model is right, about what, how sure it is, and how it differs from
//! a baseline: from the [`Predictions`] of both alone.

mod page;
pub mod statistics;

use crate::data::Info;
use crate::evaluate::{Predictions, largest};
use crate::text_table as table;
use anyhow::{Result, ensure};
use serde::Serialize;
use statistics::{Bin, Pairs};
use std::fmt::Write;

/// Bins of the calibration error, as most papers have them.
const CALIBRATION_BINS: usize = 15;
/// Bins of the distribution of confidence.
const CONFIDENCE_BINS: usize = 10;

/// How well one class is told from the others. Shares in 0..=1; those of nothing are none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// Images of it.
    pub images: usize,
    /// Images that are seen as it.
    pub seen: usize,
    /// Of those that are seen as it, the share that is.
    pub precision: Option<f64>,
    /// Of those that are it, the share that is seen so.
    pub recall: Option<f64>,
    /// Harmonic mean of both.
    pub f1: Option<f64>,
}

/// What one model does on the images. Shares in 0..=1.
#[derive(Clone, Debug, Serialize)]
pub struct Side {
    /// The model.
    pub name: String,
    /// Bytes of its `.tern` file.
    pub file_bytes: u64,
    /// Images that are seen as what they are.
    pub correct: usize,
    /// Their share.
    pub top1: f64,
    /// 95% interval of it (Wilson).
    pub top1_interval: [f64; 2],
    /// Share of images whose class is among the five highest.
    pub top5: f64,
    /// Mean over the classes of their F1.
    pub macro_f1: f64,
    /// Mean probability of the class that an image is seen as.
    pub confidence: f64,
    /// Expected calibration error, of 15 bins of equal width.
    pub calibration_error: f64,
    /// The bins of the calibration error.
    pub calibration: Vec<Bin>,
    /// Confidence in ten bins.
    pub confidences: Vec<Bin>,
    /// Images for which the model gives a number that is not finite.
    pub not_finite: usize,
    /// Each class.
    pub classes: Vec<Class>,
    /// Images of each class (row) by what they are seen as (column).
    pub confusion: Vec<Vec<usize>>,
}

/// An image and what the models make of it, as indices of classes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Seen {
    /// Index into the data set.
    pub image: usize,
    /// What it is.
    pub label: usize,
    /// What the model sees.
    pub model: usize,
    /// Its confidence.
    pub confidence: f64,
    /// What the baseline sees, and its confidence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<(usize, f64)>,
}

/// The difference between a model and its baseline. Shares in 0..=1.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The baseline.
    #[serde(flatten)]
    pub baseline: Side,
    /// Model minus baseline, of top 1.
    pub difference: f64,
    /// 95% interval of it, [`Pairs::interval`].
    pub difference_interval: [f64; 2],
    /// McNemar's exact test.
    pub p: f64,
    /// Images that the model alone sees right.
    pub gained: usize,
    /// Images that the baseline alone sees right.
    pub lost: usize,
    /// Images that both see as the same class.
    pub agreed: usize,
    /// The images that they see differently: first those that were lost, then those
    /// that were gained, then others; the surest first.
    pub disagreements: Vec<Seen>,
}

/// The whole report.
#[derive(Clone, Debug)]
pub struct Accuracy {
    /// Data set.
    pub dataset: String,
    /// Part of it.
    pub split: &'static str,
    /// Images.
    pub images: usize,
    /// Names of the classes.
    pub class_names: Vec<String>,
    /// The model.
    pub model: Side,
    /// Its difference from the baseline, if there is one.
    pub comparison: Option<Comparison>,
    /// Images that the model sees wrong, the surest first.
    pub mistakes: Vec<Seen>,
}

/// A model's name and size.
#[derive(Clone, Debug)]
pub struct Named {
    /// For people.
    pub name: String,
    /// Of its `.tern` file.
    pub file_bytes: u64,
}

/// Probability of the class that each image is seen as. Numbers that are
/// probabilities already stay what they are, others become some by softmax.
fn confidences(predictions: &Predictions) -> Vec<f64> {
    let known = predictions.are_probabilities();
    let mut probabilities = Vec::new();
    let confidence = |row: &[f32]| {
        if known {
            return f64::from(row[largest(row)]);
        }
        statistics::softmax(row, &mut probabilities);
        let p = probabilities.iter().copied().fold(0.0, f64::max);
        if p.is_finite() { p } else { 0.0 }
    };
    predictions.rows().map(confidence).collect()
}

/// Whether a class is among the `n` highest; of equal ones the first are.
fn among(row: &[f32], class: usize, n: usize) -> bool {
    let own = row[class];
    let higher = row.iter().enumerate();
    !own.is_nan()
        && higher
            .filter(|(i, x)| **x > own || **x == own && *i < class)
            .count()
            < n
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

impl Side {
    fn new(named: &Named, predictions: &Predictions, names: &[String]) -> Side {
        let n = predictions.len();
        let seen = predictions.seen();
        let confidence = confidences(predictions);
        let mut confusion = vec![vec![0usize; names.len()]; names.len()];
        for (&label, &seen) in predictions.labels.iter().zip(&seen) {
            confusion[label][seen] += 1;
        }
        let class = |c: usize| {
            let hits = confusion[c][c];
            let images = confusion[c].iter().sum();
            let seen = confusion.iter().map(|row| row[c]).sum();
            Class {
                name: names[c].clone(),
                images,
                seen,
                precision: ratio(hits, seen),
                recall: ratio(hits, images),
                f1: ratio(2 * hits, images + seen),
            }
        };
        let classes: Vec<Class> = (0..names.len()).map(class).collect();
        let f1: Vec<f64> = classes.iter().filter_map(|c| c.f1).collect();
        let rows = predictions.rows().zip(&predictions.labels);
        let five = rows.filter(|(row, label)| among(row, **label, 5)).count();
        let marked = || {
            let right = seen.iter().zip(&predictions.labels).map(|(s, l)| s == l);
            confidence.iter().copied().zip(right)
        };
        let calibration = statistics::bins(marked(), CALIBRATION_BINS);
        let correct = predictions.correct();
        Side {
            name: named.name.clone(),
            file_bytes: named.file_bytes,
            correct,
            top1: predictions.top1(),
            top1_interval: statistics::wilson(correct, n),
            top5: five as f64 / n.max(1) as f64,
            macro_f1: f1.iter().sum::<f64>() / f1.len().max(1) as f64,
            confidence: confidence.iter().sum::<f64>() / n.max(1) as f64,
            calibration_error: statistics::calibration_error(&calibration),
            calibration,
            confidences: statistics::bins(marked(), CONFIDENCE_BINS),
            not_finite: predictions
                .rows()
                .filter(|row| row.iter().any(|v| !v.is_finite()))
                .count(),
            classes,
            confusion,
        }
    }
}

fn seen(model: &Predictions, baseline: Option<&Predictions>) -> Vec<Seen> {
    let column = |p: &Predictions| p.seen().into_iter().zip(confidences(p)).collect::<Vec<_>>();
    let other = baseline.map(column);
    column(model)
        .into_iter()
        .enumerate()
        .map(|(i, (seen, confidence))| Seen {
            image: model.images[i],
            label: model.labels[i],
            model: seen,
            confidence,
            baseline: other.as_ref().map(|o| o[i]),
        })
        .collect()
}

/// Compares a model's predictions with the truth, and with a baseline's.
///
/// # Errors
/// Predictions about nothing, or about different images.
pub fn measure(
    info: &Info,
    model: (&Named, &Predictions),
    baseline: Option<(&Named, &Predictions)>,
) -> Result<Accuracy> {
    ensure!(!model.1.is_empty(), "there are no images to measure with");
    if let Some((named, other)) = baseline {
        ensure!(
            model.1.images == other.images && model.1.labels == other.labels,
            "{} was not evaluated on the same images",
            named.name
        );
    }
    let all = seen(model.1, baseline.map(|b| b.1));
    let mut mistakes: Vec<Seen> = all.iter().filter(|s| s.model != s.label).copied().collect();
    mistakes.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    Ok(Accuracy {
        dataset: info.name.clone(),
        split: info.split.name(),
        images: all.len(),
        class_names: info.classes.clone(),
        model: Side::new(model.0, model.1, &info.classes),
        comparison: baseline
            .map(|(named, other)| Comparison::new(Side::new(named, other, &info.classes), &all)),
        mistakes,
    })
}

impl Comparison {
    fn new(baseline: Side, all: &[Seen]) -> Comparison {
        let pairs = || all.iter().filter_map(|s| Some((s, s.baseline?)));
        let count = |which: &dyn Fn(&Seen, usize) -> bool| {
            pairs().filter(|(s, (other, _))| which(s, *other)).count()
        };
        let gained = count(&|s, other| s.model == s.label && other != s.label);
        let lost = count(&|s, other| s.model != s.label && other == s.label);
        let both = count(&|s, other| s.model == s.label && other == s.label);
        let pairs_of = Pairs {
            both,
            first: gained,
            second: lost,
            neither: all.len() - both - gained - lost,
        };
        let mut disagreements: Vec<Seen> = pairs()
            .filter(|(s, (other, _))| s.model != *other)
            .map(|(s, _)| *s)
            .collect();
        let kind = |s: &Seen| match s.baseline {
            Some((other, _)) if other == s.label => 0,
            _ if s.model == s.label => 1,
            _ => 2,
        };
        disagreements.sort_by(|a, b| {
            let order = kind(a).cmp(&kind(b));
            order.then(b.confidence.total_cmp(&a.confidence))
        });
        Comparison {
            baseline,
            difference: (gained as f64 - lost as f64) / all.len().max(1) as f64,
            difference_interval: pairs_of.interval(),
            p: pairs_of.mcnemar(),
            gained,
            lost,
            agreed: all.len() - disagreements.len(),
            disagreements,
        }
    }
}

/// `0.9412` as `94.12%`.
fn percent(share: f64) -> String {
    format!("{:.2}%", 100.0 * share)
}

/// A difference of shares in points: `-0.30`.
pub fn points(share: f64) -> String {
    match (1e4 * share).round() / 100.0 {
        0.0 => "0.00".into(),
        points => format!("{points:+.2}"),
    }
}

/// `p = 0.042`, or that it is less than what three digits show.
fn p_value(p: f64) -> String {
    if p < 0.001 {
        "p < 0.001".into()
    } else {
        format!("p = {p:.3}")
    }
}

fn optional(share: Option<f64>) -> String {
    share.map_or_else(|| "-".into(), percent)
}

const CLASS_HEADER: [&str; 6] = ["class", "images", "seen as", "precision", "recall", "F1"];
const CLASS_RIGHT: [usize; 5] = [1, 2, 3, 4, 5];
const SIDE_HEADER: [&str; 8] = [
    "model",
    "file bytes",
    "top 1",
    "95% interval",
    "top 5",
    "macro F1",
    "confidence",
    "calibration error",
];
const SIDE_RIGHT: [usize; 7] = [1, 2, 3, 4, 5, 6, 7];
/// How the interval of a difference is made, for people.
const HOW: &str = "Newcombe's interval for paired shares";

impl Accuracy {
    /// The report as JSON. Shares in 0..=1; the fields of [`Side`], with the baseline's
    /// as `baseline_...`.
    ///
    /// # Errors
    /// None that data of this kind can make.
    pub fn to_json(&self) -> serde_json::Result<serde_json::Value> {
        use serde_json::{Value, json, to_value};
        let mut json = json!({
            "dataset": self.dataset,
            "split": self.split,
            "images": self.images,
            "class_names": self.class_names,
            "mistakes": self.mistakes,
        });
        let Some(fields) = json.as_object_mut() else {
            return Ok(json);
        };
        let mut add = |side: Value, prefix: &str| {
            if let Value::Object(side) = side {
                for (name, value) in side {
                    let name = if name == "name" { "model".into() } else { name };
                    let name = match (prefix, name.as_str()) {
                        ("", _) => name,
                        (prefix, "model") => prefix.to_owned(),
                        (prefix, name) => format!("{prefix}_{name}"),
                    };
                    fields.insert(name, value);
                }
            }
        };
        add(to_value(&self.model)?, "");
        if let Some(c) = &self.comparison {
            add(to_value(&c.baseline)?, "baseline");
            let mut rest = to_value(c)?;
            if let (Some(rest), Value::Object(side)) =
                (rest.as_object_mut(), to_value(&c.baseline)?)
            {
                rest.retain(|name, _| !side.contains_key(name));
            }
            add(rest, "");
        }
        Ok(json)
    }

    fn class_rows(&self) -> Vec<Vec<String>> {
        let row = |c: &Class| {
            vec![
                c.name.clone(),
                table::grouped(c.images as u64),
                table::grouped(c.seen as u64),
                optional(c.precision),
                optional(c.recall),
                optional(c.f1),
            ]
        };
        self.model.classes.iter().map(row).collect()
    }

    fn sides(&self) -> impl Iterator<Item = &Side> {
        let other = self.comparison.iter().map(|c| &c.baseline);
        std::iter::once(&self.model).chain(other)
    }

    fn side_rows(&self) -> Vec<Vec<String>> {
        let row = |s: &Side| {
            vec![
                s.name.clone(),
                table::grouped(s.file_bytes),
                percent(s.top1),
                s.top1_interval.map(percent).join(" to "),
                percent(s.top5),
                percent(s.macro_f1),
                percent(s.confidence),
                percent(s.calibration_error),
            ]
        };
        self.sides().map(row).collect()
    }

    /// Most frequent mistakes: what it is, what it is seen as, how often.
    fn confused(&self, most: usize) -> Vec<(usize, usize, usize)> {
        let rows = self.model.confusion.iter().enumerate();
        let mut cells: Vec<_> = rows
            .flat_map(|(is, row)| row.iter().enumerate().map(move |(seen, n)| (is, seen, *n)))
            .filter(|(is, seen, n)| is != seen && *n > 0)
            .collect();
        cells.sort_by_key(|(_, _, n)| std::cmp::Reverse(*n));
        cells.truncate(most);
        cells
    }

    /// What is said about the difference, as one line.
    fn verdict(&self) -> Option<String> {
        let c = self.comparison.as_ref()?;
        let [low, high] = c.difference_interval;
        Some(format!(
            "difference {} points, 95% interval {} to {} ({HOW}); {} gained, {} lost, McNemar's exact test {}",
            points(c.difference),
            points(low),
            points(high),
            table::grouped(c.gained as u64),
            table::grouped(c.lost as u64),
            p_value(c.p)
        ))
    }

    /// What spoils the numbers, if anything does.
    fn warnings(&self) -> Vec<String> {
        let warning = |s: &Side| {
            format!(
                "{} gives numbers that are not finite for {} of {} images",
                s.name, s.not_finite, self.images
            )
        };
        let bad = self.sides().filter(|s| s.not_finite > 0);
        bad.map(warning).collect()
    }

    /// Tables for a terminal.
    pub fn to_text(&self) -> String {
        let mut out = table::render(&CLASS_HEADER, &CLASS_RIGHT, &self.class_rows());
        let names = &self.class_names;
        // A String takes everything.
        let confused = self.confused(5);
        if !confused.is_empty() {
            let _ = writeln!(out, "\nmost frequent mistakes");
        }
        for (is, seen, n) in confused {
            let _ = writeln!(out, "  {n:>5}  {} seen as {}", names[is], names[seen]);
        }
        let _ = write!(
            out,
            "\n{} images of {} ({})\n\n{}",
            table::grouped(self.images as u64),
            self.dataset,
            self.split,
            table::render(&SIDE_HEADER, &SIDE_RIGHT, &self.side_rows())
        );
        if let Some(verdict) = self.verdict() {
            let _ = writeln!(out, "\n{verdict}");
        }
        for warning in self.warnings() {
            let _ = writeln!(out, "warning: {warning}");
        }
        out
    }
}

#[cfg(test)]
mod tests;

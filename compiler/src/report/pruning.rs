//! What pruning removed, and how good the model was before and after.

use super::accuracy::points;
use super::layers::short_name;
use super::page::{Fact, Page};
use crate::prune::Pruned;
use crate::sensitivity::{Quality, Trial};
use crate::text_table as table;
use serde::Serialize;
use tern_charts::{Bar, Bars, NARROW, Unit};

/// The model at one point of the way.
#[derive(Clone, Debug, Serialize)]
pub struct Stage {
    /// What was done to it.
    pub what: String,
    /// Number of weights.
    pub weights: u64,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// How good it is.
    #[serde(flatten)]
    pub quality: Quality,
}

impl Stage {
    /// Of a model that was compiled and measured.
    pub fn new(what: &str, trial: &Trial) -> Stage {
        let report = &trial.compiled.report;
        Stage {
            what: what.to_owned(),
            weights: report.layers.iter().map(|l| l.weights).sum(),
            macs: report.totals.macs,
            file_bytes: trial.compiled.bytes.len() as u64,
            quality: trial.quality,
        }
    }
}

/// The whole report.
#[derive(Clone, Debug, Serialize)]
pub struct Pruning {
    /// The model.
    pub model: String,
    /// Data set.
    pub dataset: String,
    /// Part of it that was measured on.
    pub split: &'static str,
    /// Images.
    pub images: usize,
    /// Training images that told what a channel is worth.
    pub samples: usize,
    /// The model before, on the way, and as written; at least the first and the last.
    pub stages: Vec<Stage>,
    /// The channels.
    pub groups: Vec<Pruned>,
}

const STAGES: [&str; 7] = [
    "model",
    "weights",
    "MAC",
    "file bytes",
    "top 1",
    "points",
    "cross-entropy",
];
const STAGES_RIGHT: [usize; 6] = [1, 2, 3, 4, 5, 6];
const GROUPS: [&str; 5] = [
    "channels of",
    "before",
    "after",
    "worth lost",
    "error of pattern",
];
const GROUPS_RIGHT: [usize; 4] = [1, 2, 3, 4];
const ABOUT: &str = "Worth is what the readers of a channel see of it: its variance times the squares of their weights, \
     as these are stored. Error of the pattern of zeros is what it does to their results, with the channels in their \
     order, and as they were ordered anew, as a share of what no weights at all would do.";

impl Pruning {
    fn stage_rows(&self) -> Vec<Vec<String>> {
        let before = self.stages.first().map_or(0.0, |s| s.quality.top1);
        let row = |s: &Stage| {
            vec![
                s.what.clone(),
                table::grouped(s.weights),
                table::grouped(s.macs),
                table::grouped(s.file_bytes),
                format!("{:.2}%", 100.0 * s.quality.top1),
                points(s.quality.top1 - before),
                format!("{:.4}", s.quality.loss),
            ]
        };
        self.stages.iter().map(row).collect()
    }

    fn group_rows(&self) -> Vec<Vec<String>> {
        let percent = |x: f64| format!("{:.1}%", 100.0 * x);
        let row = |g: &Pruned| {
            vec![
                g.layers.join(", "),
                g.before.to_string(),
                g.after.to_string(),
                percent(g.lost),
                g.pattern_error
                    .map_or_else(String::new, |d| d.map(percent).join(" to ")),
            ]
        };
        self.groups.iter().map(row).collect()
    }

    fn about_images(&self) -> String {
        format!(
            "measured on {} images of {} ({}), channels judged by {} training images",
            table::grouped(self.images as u64),
            self.dataset,
            self.split,
            self.samples
        )
    }

    /// Tables for a terminal.
    pub fn to_text(&self) -> String {
        format!(
            "{}\n{}\n{}\n",
            table::render(&GROUPS, &GROUPS_RIGHT, &self.group_rows()),
            table::render(&STAGES, &STAGES_RIGHT, &self.stage_rows()),
            self.about_images()
        )
    }

    /// The page.
    pub fn to_html(&self) -> String {
        let mut page = Page::new(
            &format!("Pruning of {}", self.model),
            &format!("Top 1 {}.", self.about_images()),
        );
        let (first, last) = (self.stages.first(), self.stages.last());
        if let (Some(first), Some(last)) = (first, last) {
            page.facts(&[
                Fact {
                    name: "Top 1 after",
                    value: format!("{:.2}%", 100.0 * last.quality.top1),
                    note: format!("before {:.2}%", 100.0 * first.quality.top1),
                },
                Fact {
                    name: "Difference, points",
                    value: points(last.quality.top1 - first.quality.top1),
                    note: String::new(),
                },
                Fact {
                    name: "Weights after",
                    value: table::grouped(last.weights),
                    note: format!("before {}", table::grouped(first.weights)),
                },
                Fact {
                    name: "File after",
                    value: table::bytes(last.file_bytes),
                    note: format!("before {}", table::bytes(first.file_bytes)),
                },
            ]);
        }
        page.heading("On the way");
        page.table("The model", &STAGES, &STAGES_RIGHT, &self.stage_rows());
        page.heading("Channels");
        let bars = self.groups.iter().map(|g| Bar {
            name: g.layers.first().map_or_else(String::new, |l| short_name(l)),
            parts: vec![g.after as f64, (g.before - g.after) as f64],
            note: format!("{} of {}", g.after, g.before),
        });
        page.charts(&[Bars {
            title: "Channels that stay".into(),
            subtitle: "by the first layer that makes them".into(),
            width: NARROW,
            parts: vec!["stay".into(), "go".into()],
            unit: Unit::Plain,
            bars: bars.collect(),
        }
        .draw()]);
        page.table("By group", &GROUPS, &GROUPS_RIGHT, &self.group_rows());
        page.note(ABOUT);
        page.html()
    }
}

//! How a training went, from its log.

use super::page::{Fact, Page};
use crate::text_table as table;
use crate::training::{Config, Finished};
use anyhow::Result;
use serde::Deserialize;
use tern_charts::{Chart, Lines, NARROW, Series, Unit};
use tern_train::Weights;

/// What the page is made of.
pub struct Training<'a> {
    /// What was asked for, resolved.
    pub config: &'a Config,
    /// Steps of an epoch.
    pub an_epoch: u64,
    /// JSON lines, as the training writes them; others are passed over.
    pub log: &'a str,
    /// What it came to, once it is over.
    pub finished: Option<&'a Finished>,
}

/// A line of the log; one of an epoch has a number.
#[derive(Deserialize)]
struct Line {
    /// From 0; of an epoch the last one.
    step: u64,
    loss: f64,
    lr: f64,
    epoch: Option<u64>,
    accuracy: Option<f64>,
    blend: Option<f64>,
    zeros: Option<f64>,
    flips: Option<f64>,
    images_per_s: Option<f64>,
}

/// About so many points tell all that a chart can show.
const POINTS: usize = 150;
const EPOCHS: [&str; 7] = [
    "epoch",
    "loss",
    "right",
    "zeros",
    "flips",
    "learning rate",
    "images/s",
];
const EPOCHS_RIGHT: [usize; 7] = [0, 1, 2, 3, 4, 5, 6];
const ABOUT: &str = "Right is the share of the training images that the network saw as what they are on the way, while \
     it learnt and as they were changed. Zeros and flips are shares of the ternary weights: those that are 0 at the end \
     of the epoch, and those that are not what they were at the end of the one before.";

fn percent(share: f64) -> String {
    format!("{:.2}%", 100.0 * share)
}

impl Training<'_> {
    /// The page.
    ///
    /// # Errors
    /// A configuration that cannot be written as text.
    pub fn to_html(&self) -> Result<String> {
        let lines = self.log.lines();
        let lines = lines.filter_map(|l| serde_json::from_str::<Line>(l).ok());
        let (epochs, steps): (Vec<Line>, Vec<Line>) = lines.partition(|l| l.epoch.is_some());
        let config = self.config;
        let done = steps.last().map_or(0, |s| s.step + 1);
        let all = self.an_epoch * config.recipe.epochs as u64;
        let so_far = match done {
            _ if self.finished.is_some() => String::new(),
            n => format!(
                " Not finished: {} of {} steps so far.",
                table::grouped(n),
                table::grouped(all)
            ),
        };
        let mut page = Page::new(
            &format!("Training of {} on {}", config.model, config.dataset),
            &format!(
                "{} weights, {} activations, {} epochs.{so_far}",
                config.weights.name(),
                config.activations.name(),
                config.recipe.epochs
            ),
        );
        page.facts(&self.facts(&epochs));
        page.table("Summary", &["what", "value"], &[], &self.summary(&epochs));
        if !steps.is_empty() {
            page.heading("Step by step");
            page.charts(&self.step_charts(&steps));
        }
        if !epochs.is_empty() {
            page.heading("Epoch by epoch");
            page.charts(&epoch_charts(&epochs));
            page.text(ABOUT);
            page.table("All epochs", &EPOCHS, &EPOCHS_RIGHT, &epoch_rows(&epochs));
        }
        page.heading("Configuration");
        let mut rows = Vec::new();
        // By way of its text, in which an f32 of 0.7 is 0.7.
        let text = toml::to_string(config)?;
        flat("", toml::from_str::<toml::Table>(&text)?.into(), &mut rows);
        page.table("As in config.toml", &["option", "value"], &[], &rows);
        Ok(page.html())
    }

    fn facts(&self, epochs: &[Line]) -> Vec<Fact> {
        let mut facts = Vec::new();
        if let Some(finished) = self.finished {
            facts.push(Fact {
                name: "Top 1 by the runtime",
                value: percent(finished.top1),
                note: format!("{} held-out images", table::grouped(finished.images as u64)),
            });
            facts.push(Fact {
                name: "Top 1 by the trainer",
                value: percent(finished.trainer_top1),
                note: match finished.disagree {
                    0 => "every image seen alike".to_owned(),
                    n => format!("{n} images seen differently"),
                },
            });
            facts.push(Fact {
                name: "File",
                value: table::bytes(finished.file_bytes),
                note: format!("{} bytes", table::grouped(finished.file_bytes)),
            });
        }
        if let Some(last) = epochs.last() {
            facts.push(Fact {
                name: "Loss in the last epoch",
                value: format!("{:.4}", last.loss),
                note: last.accuracy.map_or_else(String::new, |a| {
                    format!("{} of training images right", percent(a))
                }),
            });
        }
        facts
    }

    fn summary(&self, epochs: &[Line]) -> Vec<Vec<String>> {
        let config = self.config;
        let teacher = match config.teacher.as_ref().or(config.distil.as_ref()) {
            Some(path) => format!("labels and {}", path.display()),
            None if config.weights == Weights::F32 || config.from_scratch => "labels".to_owned(),
            None => "labels and its dense twin, in the folder f32".to_owned(),
        };
        let mut rows = vec![
            ("network", config.model.clone()),
            ("data set", config.dataset.clone()),
            ("weights", config.weights.name().to_owned()),
            ("activations", config.activations.name().to_owned()),
            ("learns from", teacher),
            (
                "epochs",
                format!("{} of {}", epochs.len(), config.recipe.epochs),
            ),
        ];
        let speeds: Vec<f64> = epochs.iter().filter_map(|e| e.images_per_s).collect();
        if !speeds.is_empty() {
            // Epochs have the same number of images: that is their harmonic mean.
            let mean = speeds.len() as f64 / speeds.iter().map(|s| 1.0 / s).sum::<f64>();
            rows.push(("images a second", format!("{mean:.0}")));
        }
        if let Some(finished) = self.finished {
            rows.push(("top 1 by the runtime", percent(finished.top1)));
            rows.push(("top 1 by the trainer", percent(finished.trainer_top1)));
            rows.push((
                "seen differently",
                match finished.disagree {
                    0 => "no image".to_owned(),
                    n => format!(
                        "{n} of {}, their two best classes up to {:.4} apart",
                        table::grouped(finished.images as u64),
                        finished.widest_disagreement
                    ),
                },
            ));
            rows.push(("file, bytes", table::grouped(finished.file_bytes)));
        }
        rows.push((
            "once more",
            "ternc train --config config.toml --out DIR".into(),
        ));
        let row = |(name, value): (&str, String)| vec![name.to_owned(), value];
        rows.into_iter().map(row).collect()
    }

    /// Loss and learning rate, several steps to a point where there are many.
    fn step_charts(&self, steps: &[Line]) -> [Chart; 2] {
        let each = steps.len().div_ceil(POINTS).max(1);
        let what = match each {
            1 => "of each step".to_owned(),
            n => format!("mean of each {n} steps"),
        };
        let points = |of: fn(&Line) -> f64| {
            let point = |some: &[Line]| {
                let end = some.last().map_or(0, |s| s.step + 1) as f64;
                let mean = some.iter().map(of).sum::<f64>() / some.len() as f64;
                [
                    (1e3 * end / self.an_epoch.max(1) as f64).round() / 1e3,
                    mean,
                ]
            };
            steps.chunks(each).map(point).collect()
        };
        [
            chart("Loss", &what, Unit::Plain, points(|s| s.loss)),
            chart("Learning rate", &what, Unit::Plain, points(|s| s.lr)),
        ]
    }
}

fn epoch_charts(epochs: &[Line]) -> Vec<Chart> {
    let points = |of: fn(&Line) -> Option<f64>| -> Vec<[f64; 2]> {
        let point = |e: &Line| Some([e.epoch? as f64, 100.0 * of(e)?]);
        epochs.iter().filter_map(point).collect()
    };
    let mut charts = Vec::new();
    let mut add = |title: &str, subtitle: &str, points: Vec<[f64; 2]>| {
        if !points.is_empty() {
            charts.push(chart(title, subtitle, Unit::Percent, points));
        }
    };
    add(
        "Right",
        "share of the training images, on the way",
        points(|e| e.accuracy),
    );
    add("Zeros", "share of the ternary weights", points(|e| e.zeros));
    add(
        "Flips",
        "share of the ternary weights, since the epoch before",
        points(|e| e.flips),
    );
    // Where weights turn ternary little by little.
    if epochs
        .iter()
        .any(|e| e.zeros.is_some() && e.blend.is_some_and(|b| b < 1.0))
    {
        add(
            "Blend",
            "how far weights are ternary rather than dense",
            points(|e| e.blend),
        );
    }
    charts
}

fn chart(title: &str, subtitle: &str, unit: Unit, points: Vec<[f64; 2]>) -> Chart {
    Lines {
        title: title.into(),
        subtitle: subtitle.into(),
        x_title: "epoch".into(),
        y_title: title.to_lowercase(),
        width: NARROW,
        doubling_x: false,
        from_zero: unit == Unit::Plain,
        unit,
        series: vec![Series {
            name: String::new(),
            points,
        }],
        levels: Vec::new(),
    }
    .draw()
}

fn epoch_rows(epochs: &[Line]) -> Vec<Vec<String>> {
    let share = |share: Option<f64>| share.map_or_else(String::new, percent);
    let row = |e: &Line| {
        vec![
            e.epoch.unwrap_or_default().to_string(),
            format!("{:.4}", e.loss),
            share(e.accuracy),
            share(e.zeros),
            share(e.flips),
            format!("{:.5}", e.lr),
            e.images_per_s
                .map_or_else(String::new, |s| format!("{s:.0}")),
        ]
    };
    epochs.iter().map(row).collect()
}

/// A table's entries with their full names, those without an inner table first.
fn flat(name: &str, value: toml::Value, rows: &mut Vec<Vec<String>>) {
    let toml::Value::Table(entries) = value else {
        rows.push(vec![name.to_owned(), value.to_string()]);
        return;
    };
    let (inner, plain): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(_, v)| v.is_table());
    for (key, value) in plain.into_iter().chain(inner) {
        let name = if name.is_empty() {
            key
        } else {
            format!("{name}.{key}")
        };
        flat(&name, value, rows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn log() -> String {
        let mut lines = Vec::new();
        for epoch in 0..4u64 {
            for step in 100 * epoch..100 * (epoch + 1) {
                lines.push(json!({ "step": step, "loss": 2.0 - step as f64 / 400.0, "lr": 0.125 }));
            }
            let flips = (epoch > 0).then_some(0.0625);
            lines.push(json!({
                "step": 100 * epoch + 99, "epoch": epoch + 1, "loss": 1.5, "accuracy": 0.8125, "lr": 0.125,
                "blend": 0.25 * epoch as f64, "zeros": 0.4375, "flips": flips, "images_per_s": 321.0,
            }));
        }
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        // As a kill leaves it.
        lines.join("\n") + "\n{\"step\": 400, \"lo"
    }

    fn config(weights: Weights) -> Config {
        Config {
            dataset: "digits".into(),
            weights,
            ..Config::default()
        }
        .resolved()
        .unwrap()
    }

    fn html(config: &Config, log: &str, finished: Option<&Finished>) -> String {
        let training = Training {
            config,
            an_epoch: 100,
            log,
            finished,
        };
        let html = training.to_html().unwrap();
        assert!(!html.contains("NaN") && !html.contains("inf"), "{html}");
        html
    }

    #[test]
    fn a_finished_training_is_told_whole() {
        let finished = Finished {
            model: "model.tern".into(),
            file_bytes: 40128,
            images: 360,
            top1: 0.975,
            trainer_top1: 0.9722,
            disagree: 1,
            widest_disagreement: 0.0123,
        };
        let html = html(&config(Weights::N12), &log(), Some(&finished));
        for word in [
            "Training of tiny on digits",
            "n12 weights",
            "97.50%",
            "97.22%",
            "1 of 360, their two best classes up to 0.0123 apart",
            "40,128",
            "mean of each 3 steps",
            "81.25%",
            "43.75%",
            "6.25%",
            "<td class=\"n\">321</td>",
            "training.distil.share</th><td>0.7<",
        ] {
            assert!(html.contains(word), "{word} is not in {html}");
        }
        assert!(!html.contains("Not finished"));
        assert_eq!(html.matches("<svg").count(), 6);
        // Three steps to a point; the last one is alone.
        for point in ["<title>0.03, 2</title>", "<title>4, 1</title>"] {
            assert!(html.contains(point), "{point} is not in {html}");
        }
    }

    #[test]
    fn a_training_that_was_stopped_says_how_far_it_came() {
        let half: Vec<String> = log().lines().take(250).map(str::to_owned).collect();
        let dense = half
            .join("\n")
            .replace("\"zeros\":0.4375", "\"zeros\":null");
        let dense = dense.replace("\"flips\":0.0625", "\"flips\":null");
        let page = html(&config(Weights::F32), &dense, None);
        assert!(page.contains("248 of 3,000 steps so far"), "{page}");
        assert!(page.contains("2 of 30"));
        // Dense weights neither flip nor are ternary.
        assert_eq!(page.matches("<svg").count(), 3);
        let page = html(&config(Weights::F32), "", None);
        assert!(page.contains("0 of 3,000 steps so far") && !page.contains("<svg"));
    }
}

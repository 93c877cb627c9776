//! The page of an accuracy report.

use super::{
    Accuracy, CLASS_HEADER, CLASS_RIGHT, Comparison, HOW, SIDE_HEADER, SIDE_RIGHT, Seen, Side,
    p_value, percent, points,
};
use crate::data::Dataset;
use crate::report::page::{Fact, Page, Picture};
use crate::text_table as table;
use anyhow::{Context, Result};
use image::{DynamicImage, GrayImage, ImageFormat, RgbImage};
use std::io::Cursor;
use tern_charts::{Bar, Bars, Chart, Heat, Lines, NARROW, Series, Unit};

/// Pictures of a kind that a page shows.
const PICTURES: usize = 24;
/// Larger pictures are made smaller.
const SIDE_PIXELS: u32 = 112;
/// Up to here a class is a bar.
const CLASS_BARS: usize = 40;

impl Accuracy {
    /// The page. `data` is what was measured on, for the pictures.
    ///
    /// # Errors
    /// An image that cannot be read.
    pub fn to_html(&self, data: &dyn Dataset) -> Result<String> {
        let mut page = Page::new(
            &format!("Accuracy of {}", self.model.name),
            &format!(
                "On {} images of {} ({}).",
                table::grouped(self.images as u64),
                self.dataset,
                self.split
            ),
        );
        page.facts(&self.facts());
        for warning in self.warnings() {
            page.text(&format!("Warning: {warning}."));
        }
        if let Some(c) = &self.comparison {
            page.heading("Against the baseline");
            page.text(&comparison_words(&self.model, c));
            page.table("Both models", &SIDE_HEADER, &SIDE_RIGHT, &self.side_rows());
            page.note(
                "Top 1 with Wilson's interval. Calibration error: how far confidence is from the share \
                 that is right, mean over the images, in 15 bins.",
            );
        }
        page.heading("Classes");
        let mut charts = Vec::new();
        if self.class_names.len() <= CLASS_BARS {
            charts.push(self.class_chart());
        }
        charts.push(self.confusion_chart());
        page.charts(&charts);
        page.table("By class", &CLASS_HEADER, &CLASS_RIGHT, &self.class_rows());
        let confused: Vec<Vec<String>> = self
            .confused(10)
            .into_iter()
            .map(|(is, seen, n)| {
                let names = &self.class_names;
                vec![names[is].clone(), names[seen].clone(), n.to_string()]
            })
            .collect();
        if !confused.is_empty() {
            let header = ["is", "seen as", "images"];
            page.table("Most frequent mistakes", &header, &[2], &confused);
        }
        page.heading("Confidence");
        page.charts(&[confidence_chart(&self.model), self.calibration_chart()]);
        self.galleries(&mut page, data)?;
        Ok(page.html())
    }

    fn facts(&self) -> Vec<Fact> {
        let m = &self.model;
        let mut facts = vec![
            Fact {
                name: "Top 1",
                value: percent(m.top1),
                note: format!("95% interval {}", m.top1_interval.map(percent).join(" to ")),
            },
            Fact {
                name: "Top 5",
                value: percent(m.top5),
                note: String::new(),
            },
        ];
        if let Some(c) = &self.comparison {
            let [low, high] = c.difference_interval;
            facts.push(Fact {
                name: "Baseline",
                value: percent(c.baseline.top1),
                note: c.baseline.name.clone(),
            });
            facts.push(Fact {
                name: "Difference, points",
                value: points(c.difference),
                note: format!("95% interval {} to {}", points(low), points(high)),
            });
        }
        facts.push(Fact {
            name: "Calibration error",
            value: percent(m.calibration_error),
            note: format!("mean confidence {}", percent(m.confidence)),
        });
        facts.push(Fact {
            name: "File",
            value: table::bytes(m.file_bytes),
            note: self.comparison.as_ref().map_or_else(String::new, |c| {
                format!("baseline {}", table::bytes(c.baseline.file_bytes))
            }),
        });
        facts
    }

    fn class_chart(&self) -> Chart {
        let bars = self.model.classes.iter().map(|c| Bar {
            name: c.name.clone(),
            parts: vec![100.0 * c.f1.unwrap_or(0.0)],
            note: c
                .f1
                .map_or_else(String::new, |f| format!("{:.1}", 100.0 * f)),
        });
        Bars {
            title: "F1 of each class".into(),
            subtitle: "harmonic mean of precision and recall".into(),
            width: NARROW,
            parts: Vec::new(),
            unit: Unit::Percent,
            bars: bars.collect(),
        }
        .draw()
    }

    fn confusion_chart(&self) -> Chart {
        let cell = |row: &Vec<usize>, n: usize| {
            let all: usize = row.iter().sum();
            (n as f64 / all.max(1) as f64, n.to_string())
        };
        let rows = self.model.confusion.iter();
        Heat {
            title: "Confusion matrix".into(),
            subtitle: "images; shade is the share of the row".into(),
            y_title: "is".into(),
            x_title: "seen as".into(),
            rows: self.class_names.clone(),
            columns: self.class_names.clone(),
            cells: rows
                .flat_map(|row| row.iter().map(move |&n| cell(row, n)))
                .collect(),
        }
        .draw()
    }

    fn calibration_chart(&self) -> Chart {
        let series = |name: &str, side: &Side| Series {
            name: name.into(),
            points: side
                .calibration
                .iter()
                .filter(|b| b.images > 0)
                .map(|b| {
                    let right = b.correct as f64 / b.images as f64;
                    [rounded(100.0 * b.confidence), 100.0 * right]
                })
                .collect(),
        };
        let mut all = vec![series("model", &self.model)];
        if let Some(c) = &self.comparison {
            all.push(series("baseline", &c.baseline));
        }
        all.push(Series {
            name: "ideal".into(),
            points: vec![[0.0, 0.0], [100.0, 100.0]],
        });
        Lines {
            title: "Calibration".into(),
            subtitle: "how often images of a confidence are right".into(),
            x_title: "confidence, %".into(),
            y_title: "right".into(),
            width: NARROW,
            doubling_x: false,
            from_zero: true,
            unit: Unit::Percent,
            series: all,
            levels: Vec::new(),
        }
        .draw()
    }

    fn galleries(&self, page: &mut Page, data: &dyn Dataset) -> Result<()> {
        let disagreements = self.comparison.as_ref().map(|c| &c.disagreements);
        if let Some(all) = disagreements.filter(|d| !d.is_empty()) {
            page.heading("Where the models disagree");
            let is_lost = |s: &Seen| s.baseline.is_some_and(|(other, _)| other == s.label);
            let is_gained = |s: &Seen| s.model == s.label;
            let lost: Vec<Seen> = all.iter().filter(|s| is_lost(s)).copied().collect();
            let gained: Vec<Seen> = all.iter().filter(|s| is_gained(s)).copied().collect();
            let rest = all.iter().filter(|s| !is_lost(s) && !is_gained(s));
            let rest: Vec<Seen> = rest.copied().collect();
            for (what, seen) in [
                ("the baseline alone sees right", lost),
                ("the model alone sees right", gained),
                ("both see wrong, differently", rest),
            ] {
                self.gallery(page, data, what, &seen)?;
            }
        }
        if !self.mistakes.is_empty() {
            page.heading("The surest mistakes");
            self.gallery(page, data, "the model sees wrong", &self.mistakes)?;
        }
        Ok(())
    }

    fn gallery(&self, page: &mut Page, data: &dyn Dataset, what: &str, all: &[Seen]) -> Result<()> {
        if all.is_empty() {
            return Ok(());
        }
        let count = match all.len() {
            n if n > PICTURES => format!(
                "{} images that {what}; the {PICTURES} surest:",
                table::grouped(n as u64)
            ),
            1 => format!("The image that {what}:"),
            n => format!("{n} images that {what}:"),
        };
        page.text(&count);
        let picture = |s: &Seen| -> Result<Picture> {
            let sees =
                |class: usize, p: f64| format!("{}, {:.0}%", self.class_names[class], 100.0 * p);
            let mut lines = vec![
                format!("image {}: {}", s.image, self.class_names[s.label]),
                format!("model: {}", sees(s.model, s.confidence)),
            ];
            if let Some((class, p)) = s.baseline {
                lines.push(format!("baseline: {}", sees(class, p)));
            }
            Ok(Picture {
                png: png(data, s.image)?,
                lines,
            })
        };
        let pictures: Vec<Picture> = all
            .iter()
            .take(PICTURES)
            .map(picture)
            .collect::<Result<_>>()?;
        page.gallery(&pictures);
        Ok(())
    }
}

/// Two digits behind the point, for an axis.
fn rounded(x: f64) -> f64 {
    (100.0 * x).round() / 100.0
}

fn comparison_words(model: &Side, c: &Comparison) -> String {
    let [low, high] = c.difference_interval;
    let clear = if low > 0.0 {
        "The model is better than chance explains."
    } else if high < 0.0 {
        "The model is worse than chance explains."
    } else {
        "Chance alone could explain the difference."
    };
    format!(
        "{} against {} is a difference of {} points, with a 95% interval of {} to {} ({HOW}). Images that the \
         model alone sees right: {}, the baseline alone: {}; McNemar's exact test has {}. {clear} They see {} images alike.",
        percent(model.top1),
        percent(c.baseline.top1),
        points(c.difference),
        points(low),
        points(high),
        table::grouped(c.gained as u64),
        table::grouped(c.lost as u64),
        p_value(c.p),
        table::grouped(c.agreed as u64)
    )
}

fn confidence_chart(side: &Side) -> Chart {
    let bars = side.confidences.iter().rev().map(|b| Bar {
        name: format!("{:.0}\u{2013}{:.0}%", 100.0 * b.from, 100.0 * b.to),
        parts: vec![b.correct as f64, (b.images - b.correct) as f64],
        note: match b.images {
            0 => String::new(),
            n => format!("{:.0}% right", 100.0 * b.correct as f64 / n as f64),
        },
    });
    Bars {
        title: "Confidence".into(),
        subtitle: "images by the probability of the class that they are seen as".into(),
        width: NARROW,
        parts: vec!["right".into(), "wrong".into()],
        unit: Unit::Plain,
        bars: bars.collect(),
    }
    .draw()
}

/// An image of a data set as a PNG file, made smaller where it is large.
fn png(data: &dyn Dataset, index: usize) -> Result<Vec<u8>> {
    let info = data.info();
    let [channels, height, width] = info.shape;
    let mut planes = vec![0; info.pixels()];
    data.read(index, &mut planes)
        .with_context(|| format!("image {index} of {:?}", info.name))?;
    let (w, h) = (width as u32, height as u32);
    let picture = if channels == 3 {
        let at = |i: usize| [0, 1, 2].map(|c| planes[c * height * width + i]);
        let bytes = (0..height * width).flat_map(at).collect();
        RgbImage::from_raw(w, h, bytes).map(DynamicImage::from)
    } else {
        planes.truncate(height * width);
        GrayImage::from_raw(w, h, planes).map(DynamicImage::from)
    };
    let mut picture = picture.context("an image without pixels")?;
    if w.max(h) > SIDE_PIXELS {
        picture = picture.thumbnail(SIDE_PIXELS, SIDE_PIXELS);
    }
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, ImageFormat::Png)?;
    Ok(file.into_inner())
}

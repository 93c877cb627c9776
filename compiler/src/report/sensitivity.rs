//! The table and the page of a [`Sensitivity`].

use super::accuracy::points;
use super::layers::short_name;
use super::page::{Fact, Page};
use crate::sensitivity::{Candidate, LayerSensitivity, Sensitivity};
use crate::text_table as table;
use tern_charts::{Bar, Bars, Chart, NARROW, Unit};

const HEADER: [&str; 9] = [
    "layer",
    "op",
    "weights",
    "codec",
    "bytes saved",
    "top 1",
    "points lost",
    "cross-entropy",
    "weight error",
];
const RIGHT: [usize; 6] = [2, 4, 5, 6, 7, 8];
const ABOUT: &str = "Each layer was made ternary alone, after training, and the model measured. What several lose \
     together is usually more than the sum.";

fn row(layer: &LayerSensitivity, candidate: &Candidate) -> Vec<String> {
    vec![
        layer.name.clone(),
        layer.op.to_owned(),
        table::grouped(layer.weights),
        format!("{} to {}", layer.codec, candidate.codec),
        table::grouped(candidate.saved),
        format!("{:.2}%", 100.0 * candidate.quality.top1),
        points(candidate.drop / 100.0),
        format!("{:.4}", candidate.quality.loss),
        format!("{:.3}", candidate.weight_error),
    ]
}

impl Sensitivity {
    /// Layers with each of what was tried on them.
    fn tried(&self) -> impl Iterator<Item = (&LayerSensitivity, &Candidate)> {
        let layers = self.layers.iter();
        layers.flat_map(|l| l.candidates.iter().map(move |c| (l, c)))
    }

    fn rows(&self) -> Vec<Vec<String>> {
        self.tried().map(|(l, c)| row(l, c)).collect()
    }

    /// Layers that nothing would make smaller.
    fn untried(&self) -> Vec<String> {
        let layers = self.layers.iter().filter(|l| l.candidates.is_empty());
        layers
            .map(|l| format!("{} ({})", l.name, l.codec))
            .collect()
    }

    fn about_images(&self) -> String {
        format!(
            "{} images of {} ({}), activations {}",
            table::grouped(self.images as u64),
            self.dataset,
            self.split,
            self.activations
        )
    }

    /// The table for a terminal.
    pub fn to_text(&self) -> String {
        let mut out = table::render(&HEADER, &RIGHT, &self.rows());
        let untried = self.untried();
        if !untried.is_empty() {
            out += &format!(
                "\nnothing tried makes these smaller: {}\n",
                untried.join(", ")
            );
        }
        out += &format!(
            "\n{}: top 1 is {:.2}% as the model is, cross-entropy {:.4}, file {} bytes\n{ABOUT}\n",
            self.about_images(),
            100.0 * self.before.top1,
            self.before.loss,
            table::grouped(self.file_bytes)
        );
        out
    }

    /// The page.
    pub fn to_html(&self) -> String {
        let mut page = Page::new(
            &format!("Sensitivity of {}", self.model),
            &format!("{}.", self.about_images()),
        );
        let worst = self
            .tried()
            .max_by(|a, b| a.1.quality.loss.total_cmp(&b.1.quality.loss));
        let mut facts = vec![
            Fact {
                name: "Top 1 as it is",
                value: format!("{:.2}%", 100.0 * self.before.top1),
                note: format!("cross-entropy {:.4}", self.before.loss),
            },
            Fact {
                name: "File as it is",
                value: table::bytes(self.file_bytes),
                note: format!("{} layers with weights", self.layers.len()),
            },
        ];
        if let Some((layer, candidate)) = worst {
            facts.push(Fact {
                name: "Most sensitive",
                value: short_name(&layer.name),
                note: format!(
                    "{}: {} points",
                    candidate.codec,
                    points(-candidate.drop / 100.0)
                ),
            });
        }
        page.facts(&facts);
        page.text(ABOUT);
        let mut codecs: Vec<&str> = self.tried().map(|(_, c)| c.codec).collect();
        codecs.sort_unstable();
        codecs.dedup();
        for codec in codecs.into_iter().rev() {
            page.heading(&format!("As {codec}"));
            let saved = |c: &Candidate| c.saved as f64;
            page.charts(&[
                self.chart(codec, "Points of top 1 lost", Unit::Plain, |c| c.drop),
                self.chart(codec, "Bytes saved", Unit::Bytes, saved),
            ]);
        }
        page.heading("All layers");
        page.table("Each layer alone", &HEADER, &RIGHT, &self.rows());
        let untried = self.untried();
        if !untried.is_empty() {
            page.note(&format!(
                "Nothing tried makes these smaller: {}.",
                untried.join(", ")
            ));
        }
        page.html()
    }

    fn chart(&self, codec: &str, title: &str, unit: Unit, of: impl Fn(&Candidate) -> f64) -> Chart {
        let bars = self.tried().filter(|(_, c)| c.codec == codec);
        Bars {
            title: title.into(),
            subtitle: format!("by layer, {codec} alone"),
            width: NARROW,
            parts: Vec::new(),
            unit,
            bars: bars
                .map(|(l, c)| Bar {
                    name: short_name(&l.name),
                    parts: vec![of(c)],
                    note: match unit {
                        Unit::Bytes => table::bytes(c.saved),
                        _ => points(c.drop / 100.0),
                    },
                })
                .collect(),
        }
        .draw()
    }
}

#[cfg(test)]
mod tests {
    use crate::sensitivity::{Candidate, LayerSensitivity, Quality, Sensitivity};
    use crate::ternarise::Choice;

    #[test]
    fn text_and_page_name_every_layer() {
        let quality = |top1, loss| Quality {
            correct: 0,
            top1,
            loss,
        };
        let layer = |name: &str, candidates: Vec<Candidate>| LayerSensitivity {
            name: name.into(),
            op: "conv2d",
            weights: 64,
            codec: "f32",
            bytes: 300,
            candidates,
        };
        let candidate = |choice: Choice, drop: f64| Candidate {
            choice,
            codec: choice.name(),
            bytes: 50,
            saved: 250,
            weight_error: 0.5,
            quality: quality(0.9 - drop / 100.0, 0.3),
            drop,
        };
        let s = Sensitivity {
            model: "m".into(),
            dataset: "digits".into(),
            split: "test",
            images: 360,
            activations: "f32",
            before: quality(0.9, 0.25),
            file_bytes: 1234,
            layers: vec![
                layer(
                    "stem",
                    vec![candidate(Choice::T2, 3.21), candidate(Choice::N12, -0.5)],
                ),
                layer("head", vec![]),
            ],
        };
        for text in [s.to_text(), s.to_html()] {
            for word in ["stem", "head (f32)", "+3.21", "-0.50", "90.00%"] {
                assert!(text.contains(word), "{word} is not in {text}");
            }
            assert!(!text.contains("NaN"), "{text}");
        }
        let json = serde_json::to_value(&s).unwrap();
        assert_eq!(json["layers"][0]["candidates"][1]["codec"], "n12");
        assert_eq!(json["layers"][0]["candidates"][1]["drop"], -0.5);
        assert_eq!(json["top1"], 0.9);
    }
}

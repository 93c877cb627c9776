//! Bars to the right, one a row, in parts.

use crate::{COLOURS, Chart, Unit, escape, legend, shorten};
use std::fmt::Write;

/// One row.
#[derive(Clone, Debug)]
pub struct Bar {
    /// Shown before it.
    pub name: String,
    /// Lengths of the parts, from 0 on; negative ones to the left.
    pub parts: Vec<f64>,
    /// Shown behind it.
    pub note: String,
}

/// A bar chart; lengths begin at 0.
#[derive(Clone, Debug)]
pub struct Bars {
    /// What it shows.
    pub title: String,
    /// More about it.
    pub subtitle: String,
    /// Width of the whole.
    pub width: f64,
    /// Names of the parts; none where there is one alone.
    pub parts: Vec<String>,
    /// What the numbers are.
    pub unit: Unit,
    /// The rows.
    pub bars: Vec<Bar>,
}

const ROW: f64 = 20.0;
/// Of a character, about.
const CHARACTER: f64 = 6.8;

impl Bars {
    /// The chart.
    pub fn draw(&self) -> Chart {
        let mut body = String::new();
        let mut height = 0.0;
        if self.parts.len() > 1 {
            height += legend(&self.parts, 8.0, self.width, &mut body);
        }
        let top = height;
        height += ROW * self.bars.len() as f64 + 24.0;
        // A String takes everything.
        let _ = self.write(top, &mut body);
        Chart {
            title: self.title.clone(),
            subtitle: self.subtitle.clone(),
            size: [self.width, height],
            body,
        }
    }

    fn write(&self, top: f64, out: &mut String) -> std::fmt::Result {
        let longest = |text: fn(&Bar) -> &str| {
            let lens = self.bars.iter().map(|b| text(b).chars().count());
            lens.max().unwrap_or(0) as f64 * CHARACTER
        };
        let left = 14.0 + longest(|b| &b.name).min(0.36 * self.width);
        let right = self.width - 12.0 - longest(|b| &b.note).min(0.3 * self.width);
        let side = |b: &Bar, negative: bool| -> f64 {
            let parts = b.parts.iter().filter(|p| p.is_finite());
            parts.filter(|p| (**p < 0.0) == negative).sum()
        };
        let high = self.bars.iter().map(|b| side(b, false)).fold(0.0, f64::max);
        let low = self.bars.iter().map(|b| side(b, true)).fold(0.0, f64::min);
        let marks = self
            .unit
            .ticks(low, if high > low { high } else { 1.0 }, 4.0);
        // The axis ends where the longest bar does, not at the next round number.
        let (low, high) = (
            low.min(0.0),
            if high > low {
                high
            } else {
                marks[marks.len() - 1]
            },
        );
        let px = |v: f64| left + (v - low) / (high - low) * (right - left);
        let bottom = top + ROW * self.bars.len() as f64;
        for mark in marks.iter().filter(|m| (low..=high).contains(*m)) {
            let x = px(*mark);
            let class = if *mark == 0.0 { "axis" } else { "grid" };
            writeln!(
                out,
                "<line class=\"{class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top:.1}\" y2=\"{bottom:.1}\"/>\
                 <text class=\"note\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                bottom + 16.0,
                escape(&self.unit.tick(*mark))
            )?;
        }
        for (row, bar) in self.bars.iter().enumerate() {
            let y = top + ROW * row as f64;
            let fits = ((left - 14.0) / CHARACTER).ceil() as usize;
            writeln!(
                out,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}<title>{}</title></text>",
                left - 6.0,
                y + 14.0,
                escape(&shorten(&bar.name, fits)),
                escape(&bar.name)
            )?;
            let mut ends = [0.0; 2];
            for (i, part) in bar.parts.iter().enumerate().filter(|(_, p)| p.is_finite()) {
                let end = &mut ends[(*part < 0.0) as usize];
                let (from, to) = (px(*end), px(*end + part));
                *end += part;
                let what = self.parts.get(i).map_or("", String::as_str);
                writeln!(
                    out,
                    "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{}\"><title>{} {}: {}</title></rect>",
                    from.min(to),
                    y + 3.0,
                    (from - to).abs(),
                    ROW - 6.0,
                    COLOURS[i % COLOURS.len()],
                    escape(&bar.name),
                    escape(what),
                    escape(&self.unit.value(*part))
                )?;
            }
            if !bar.note.is_empty() {
                writeln!(
                    out,
                    "<text class=\"note\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                    px(ends[0]) + 6.0,
                    y + 14.0,
                    escape(&bar.note)
                )?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bars(rows: &[&[f64]]) -> String {
        let bars = Bars {
            title: "bytes".into(),
            subtitle: String::new(),
            width: crate::NARROW,
            parts: vec!["weights".into(), "scales".into()],
            unit: Unit::Plain,
            bars: rows
                .iter()
                .map(|parts| Bar {
                    name: "a <layer>".into(),
                    parts: parts.to_vec(),
                    note: "n".into(),
                })
                .collect(),
        };
        bars.draw().inline()
    }

    /// `x` and `width` of the rectangles behind the legend's two.
    fn rects(svg: &str) -> Vec<[f64; 2]> {
        let field = |line: &str, name: &str| -> f64 {
            let at = line.find(&format!(" {name}=\"")).unwrap() + name.len() + 3;
            line[at..].split('"').next().unwrap().parse().unwrap()
        };
        svg.lines()
            .filter(|l| l.starts_with("<rect"))
            .skip(2)
            .map(|l| [field(l, "x"), field(l, "width")])
            .collect()
    }

    #[test]
    fn parts_stack_from_zero() {
        let rects = rects(&bars(&[&[30.0, 10.0], &[20.0, 0.0]]));
        let [[x0, w0], [x1, w1], [x2, w2], _] = rects[..] else {
            panic!("{rects:?}")
        };
        assert!((x0 + w0 - x1).abs() < 0.11 && x0 == x2);
        assert!((w0 / w1 - 3.0).abs() < 0.02 && (w0 / w2 - 1.5).abs() < 0.02);
    }

    #[test]
    fn negative_parts_go_left() {
        let rects = rects(&bars(&[&[-10.0], &[10.0]]));
        assert!((rects[0][0] + rects[0][1] - rects[1][0]).abs() < 0.11);
    }

    #[test]
    fn nothing_and_zeros_are_drawn() {
        for rows in [&[][..], &[&[0.0, 0.0][..]], &[&[f64::NAN][..]]] {
            let svg = bars(rows);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}

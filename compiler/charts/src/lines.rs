//! Lines over a common axis.

use crate::{COLOURS, Chart, Unit, escape};
use std::fmt::Write;

/// Points that belong together.
#[derive(Clone, Debug)]
pub struct Series {
    /// Shown beside the last point; a line alone needs none.
    pub name: String,
    /// Each as `[x, y]`, x ascending.
    pub points: Vec<[f64; 2]>,
}

/// A horizontal line to compare with.
#[derive(Clone, Debug)]
pub struct Level {
    /// Shown above it.
    pub name: String,
    /// Its y.
    pub at: f64,
}

/// A line chart.
#[derive(Clone, Debug)]
pub struct Lines {
    /// What it shows.
    pub title: String,
    /// More about it.
    pub subtitle: String,
    /// What x is, with its unit.
    pub x_title: String,
    /// What y is, with its unit.
    pub y_title: String,
    /// Width of the whole.
    pub width: f64,
    /// Whether equal steps along x double it.
    pub doubling_x: bool,
    /// Whether y begins at 0 rather than near its smallest value.
    pub from_zero: bool,
    /// What the numbers along y are.
    pub unit: Unit,
    /// The lines. Points that are not finite are left out.
    pub series: Vec<Series>,
    /// Dashed lines.
    pub levels: Vec<Level>,
}

const TOP: f64 = 12.0;
const BOTTOM: f64 = 46.0;
const LEFT: f64 = 66.0;
/// Least distance of the names at the lines' ends.
const NAME_STEP: f64 = 15.0;

/// Moves y positions apart so that they differ by [`NAME_STEP`], order kept.
fn spread(mut at: Vec<f64>) -> Vec<f64> {
    let mut order: Vec<usize> = (0..at.len()).collect();
    order.sort_by(|a, b| at[*a].total_cmp(&at[*b]));
    for pair in order.windows(2) {
        at[pair[1]] = at[pair[1]].max(at[pair[0]] + NAME_STEP);
    }
    at
}

impl Lines {
    /// The chart.
    pub fn draw(&self) -> Chart {
        let height = 0.5 * self.width + 60.0;
        let mut body = String::new();
        // A String takes everything.
        let _ = self.write(height, &mut body);
        Chart {
            title: self.title.clone(),
            subtitle: self.subtitle.clone(),
            size: [self.width, height],
            body,
        }
    }

    fn write(&self, height: f64, out: &mut String) -> std::fmt::Result {
        let drawn: Vec<Vec<[f64; 2]>> = self
            .series
            .iter()
            .map(|s| {
                let finite = s.points.iter().filter(|p| p.iter().all(|v| v.is_finite()));
                finite.copied().collect()
            })
            .collect();
        let points = || drawn.iter().flatten();
        let first = points().map(|p| p[0]).fold(f64::INFINITY, f64::min);
        let last = points().map(|p| p[0]).fold(f64::NEG_INFINITY, f64::max);
        let ys = || {
            points()
                .map(|p| p[1])
                .chain(self.levels.iter().map(|l| l.at))
        };
        let high = ys().fold(f64::NEG_INFINITY, f64::max);
        let low = ys().fold(f64::INFINITY, f64::min);
        let low = if self.from_zero { low.min(0.0) } else { low };
        // Values that are all alike stand in the range from 0 to them.
        let (low, high) = if high - low > 1e-6 * high.abs() {
            (low, high)
        } else if high == 0.0 {
            (0.0, 1.0)
        } else {
            (low.min(0.0), high.max(0.0))
        };
        let marks = self.unit.ticks(low, high, 7.0);
        let (low, high) = (marks[0], marks[marks.len() - 1]);
        let scale = |x: f64| if self.doubling_x { x.log2() } else { x };
        let span = (scale(last) - scale(first)).max(1e-9);
        let longest = self.series.iter().map(|s| s.name.chars().count()).max();
        // Names take what they need, up to a third.
        let names_width = (34.0 + 6.8 * longest.unwrap_or(0) as f64).min(self.width / 3.0);
        let (right, bottom) = (self.width - names_width, height - BOTTOM);
        let px = |x: f64| LEFT + (scale(x) - scale(first)) / span * (right - LEFT);
        let py = |y: f64| bottom - (y - low) / (high - low) * (bottom - TOP);

        for value in &marks {
            let y = py(*value);
            writeln!(
                out,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 8.0,
                y + 4.0,
                escape(&self.unit.tick(*value))
            )?;
        }
        let mut xs: Vec<f64> = points().map(|p| p[0]).collect();
        xs.sort_by(f64::total_cmp);
        xs.dedup();
        let room = ((right - LEFT) / 40.0).max(1.0) as usize;
        // Whole numbers are marked themselves, between others round ones.
        let marked: Vec<f64> = if self.doubling_x || xs.iter().all(|x| x.fract() == 0.0) {
            let step = xs.len().div_ceil(room).max(1);
            xs.iter().copied().step_by(step).collect()
        } else {
            let ticks = Unit::Plain.ticks(first, last, room as f64);
            let inside = ticks.into_iter().filter(|x| (first..=last).contains(x));
            inside.collect()
        };
        for x in marked {
            let at = px(x);
            writeln!(
                out,
                "<line class=\"axis\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{bottom}\" y2=\"{:.1}\"/>\
                 <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                bottom + 5.0,
                bottom + 19.0,
                escape(&Unit::Plain.tick(x))
            )?;
        }
        let (middle_x, middle_y) = ((LEFT + right) / 2.0, (TOP + bottom) / 2.0);
        writeln!(
            out,
            "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{right:.1}\" y1=\"{bottom}\" y2=\"{bottom}\"/>\n\
             <text x=\"{middle_x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n\
             <text transform=\"translate(14 {middle_y:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            height - 8.0,
            escape(&self.x_title),
            escape(&self.y_title)
        )?;
        for level in &self.levels {
            let y = py(level.at);
            writeln!(
                out,
                "<line class=\"level\" x1=\"{LEFT}\" x2=\"{right:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"note\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                LEFT + 6.0,
                y - 4.0,
                escape(&level.name)
            )?;
        }
        let ends = drawn.iter().map(|s| s.last());
        let names = spread(ends.map(|p| p.map_or(bottom, |p| py(p[1]))).collect());
        // Dots that would touch each other say nothing.
        let dots = xs.len() as f64 * 9.0 < right - LEFT;
        for (i, ((series, points), name_y)) in self.series.iter().zip(&drawn).zip(names).enumerate()
        {
            let colour = COLOURS[i % COLOURS.len()];
            let name = escape(&series.name);
            let about = if name.is_empty() {
                String::new()
            } else {
                format!("{name}: ")
            };
            let line: Vec<String> = points
                .iter()
                .map(|[x, y]| format!("{:.1},{:.1}", px(*x), py(*y)))
                .collect();
            writeln!(
                out,
                "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>",
                line.join(" ")
            )?;
            for [x, y] in points {
                writeln!(
                    out,
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"{}><title>{about}{x}, {}</title></circle>",
                    px(*x),
                    py(*y),
                    if dots { "" } else { " fill-opacity=\"0\"" },
                    escape(&self.unit.value(*y))
                )?;
            }
            if !name.is_empty() {
                writeln!(
                    out,
                    "<circle cx=\"{:.1}\" cy=\"{name_y:.1}\" r=\"4\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{:.1}\">{name}</text>",
                    right + 12.0,
                    right + 20.0,
                    name_y + 4.0,
                )?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_overlap() {
        assert_eq!(spread(vec![10.0, 12.0, 11.0]), [10.0, 40.0, 25.0]);
        assert_eq!(spread(vec![100.0, 10.0]), [100.0, 10.0]);
        assert!(spread(vec![]).is_empty());
    }

    fn lines(points: Vec<[f64; 2]>, from_zero: bool) -> String {
        let lines = Lines {
            title: "a < b".into(),
            subtitle: String::new(),
            x_title: "x".into(),
            y_title: "y".into(),
            width: crate::NARROW,
            doubling_x: from_zero,
            from_zero,
            unit: Unit::Plain,
            series: vec![Series {
                name: "s".into(),
                points,
            }],
            levels: vec![],
        };
        lines.draw().document()
    }

    #[test]
    fn few_points_and_odd_ones_are_drawn() {
        for points in [
            vec![],
            vec![[4.0, 1.0]],
            vec![[1.0, 0.0], [2.0, 0.0]],
            vec![[1.0, f64::NAN], [2.0, 3.0], [4.0, f64::INFINITY]],
        ] {
            for from_zero in [true, false] {
                let svg = lines(points.clone(), from_zero);
                assert!(svg.contains("a &lt; b") && svg.ends_with("</svg>\n"));
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            }
        }
    }

    #[test]
    fn x_is_marked_at_round_numbers() {
        let svg = lines(vec![[0.37, 1.0], [49.3, 2.0], [99.1, 3.0]], false);
        assert!(svg.contains(">40</text>") && !svg.contains(">49.3</text>"));
        let svg = lines(vec![[1.0, 1.0], [7.0, 2.0]], false);
        assert!(svg.contains(">1</text>") && svg.contains(">7</text>"));
    }

    #[test]
    fn values_that_are_alike_have_marks_that_differ() {
        for (value, marks) in [
            (100.0, [">0</text>", ">100</text>"]),
            (-3.0, [">-3</text>", ">0</text>"]),
            (0.0, [">0</text>", ">1</text>"]),
        ] {
            let svg = lines(vec![[1.5, value], [2.5, value]], false);
            for mark in marks {
                assert_eq!(svg.matches(mark).count(), 1, "{mark}: {svg}");
            }
        }
    }

    #[test]
    fn y_begins_at_zero_or_near_the_values() {
        let points = vec![[1.0, 93.0], [2.0, 94.0]];
        assert!(lines(points.clone(), true).contains(">0</text>"));
        assert!(!lines(points, false).contains(">0</text>"));
    }
}

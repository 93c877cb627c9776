//! A line chart as SVG, readable on light and on dark ground.

use std::fmt::Write;

/// Points that belong together.
pub struct Series {
    /// Shown beside the last point.
    pub name: String,
    /// Each as `[x, y]`, x ascending.
    pub points: Vec<[f64; 2]>,
}

/// A horizontal line to compare with.
pub struct Level {
    /// Shown above it.
    pub name: String,
    /// Its y.
    pub at: f64,
}

/// A chart; y begins at 0.
pub struct Plot {
    /// First line.
    pub title: String,
    /// Second line.
    pub subtitle: String,
    /// What x is, with its unit.
    pub x_title: String,
    /// What y is, with its unit.
    pub y_title: String,
    /// Whether equal steps along x double it.
    pub doubling_x: bool,
    /// The lines.
    pub series: Vec<Series>,
    /// Dashed lines.
    pub levels: Vec<Level>,
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 120.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 56.0;
/// Least distance of the names at the lines' ends.
const NAME_STEP: f64 = 15.0;
/// Okabe and Ito's colours, which colour-blind readers can tell apart, those
/// with the best contrast on both white and black first.
const COLOURS: [&str; 6] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9",
];

/// Steps of 1, 2 or 5 times a power of ten, at most `most` of them up to `end`.
fn step(end: f64, most: f64) -> f64 {
    let raw = end / most;
    let power = 10f64.powf(raw.log10().floor());
    let factor = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|f| f * power >= raw)
        .unwrap_or(10.0);
    factor * power
}

/// Moves y positions apart so that they differ by [`NAME_STEP`], order kept.
fn spread(mut at: Vec<f64>) -> Vec<f64> {
    let mut order: Vec<usize> = (0..at.len()).collect();
    order.sort_by(|a, b| at[*a].total_cmp(&at[*b]));
    for pair in order.windows(2) {
        at[pair[1]] = at[pair[1]].max(at[pair[0]] + NAME_STEP);
    }
    at
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

impl Plot {
    /// The picture.
    pub fn svg(&self) -> String {
        let mut out = String::new();
        // A String takes everything.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let points = || self.series.iter().flat_map(|s| s.points.iter());
        let first = points().map(|p| p[0]).fold(f64::INFINITY, f64::min);
        let last = points().map(|p| p[0]).fold(f64::NEG_INFINITY, f64::max);
        let ys = points().map(|p| p[1]);
        let highest = ys
            .chain(self.levels.iter().map(|l| l.at))
            .fold(1e-9, f64::max);
        let tick = step(highest, 8.0);
        let top = (highest / tick).ceil() * tick;
        let scale = |x: f64| if self.doubling_x { x.log2() } else { x };
        let span = (scale(last) - scale(first)).max(1e-9);
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        let px = |x: f64| LEFT + (scale(x) - scale(first)) / span * (right - LEFT);
        let py = |y: f64| bottom - y / top * (bottom - TOP);

        writeln!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <style>text{{fill:#222}} .bg{{fill:#fff}} .grid{{stroke:#ddd}} .axis{{stroke:#888}} .level{{stroke:#777;stroke-dasharray:5 4}} .note{{fill:#666}}\n\
             @media (prefers-color-scheme:dark){{text{{fill:#ddd}} .bg{{fill:#161616}} .grid{{stroke:#333}} .level{{stroke:#999}} .note{{fill:#aaa}}}}</style>\n\
             <rect class=\"bg\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n\
             <text x=\"{LEFT}\" y=\"24\" font-size=\"16\">{}</text>\n\
             <text class=\"note\" x=\"{LEFT}\" y=\"43\">{}</text>",
            escape(&self.title),
            escape(&self.subtitle)
        )?;
        for i in 0..=(top / tick).round() as usize {
            let (value, y) = (i as f64 * tick, py(i as f64 * tick));
            writeln!(
                out,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 8.0,
                y + 4.0,
                (value * 1e6).round() / 1e6
            )?;
        }
        let mut xs: Vec<f64> = points().map(|p| p[0]).collect();
        xs.sort_by(f64::total_cmp);
        xs.dedup();
        let every = xs.len().div_ceil(14).max(1);
        for x in xs.iter().step_by(every) {
            let at = px(*x);
            writeln!(
                out,
                "<line class=\"axis\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{bottom}\" y2=\"{:.1}\"/>\
                 <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{x}</text>",
                bottom + 5.0,
                bottom + 19.0
            )?;
        }
        let (middle_x, middle_y) = ((LEFT + right) / 2.0, (TOP + bottom) / 2.0);
        writeln!(
            out,
            "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{bottom}\" y2=\"{bottom}\"/>\n\
             <text x=\"{middle_x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n\
             <text transform=\"translate(18 {middle_y:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            HEIGHT - 14.0,
            escape(&self.x_title),
            escape(&self.y_title)
        )?;
        for level in &self.levels {
            let y = py(level.at);
            writeln!(
                out,
                "<line class=\"level\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"note\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                LEFT + 6.0,
                y - 4.0,
                escape(&level.name)
            )?;
        }
        let ends = self.series.iter().map(|s| s.points.last());
        let names = spread(ends.map(|p| p.map_or(bottom, |p| py(p[1]))).collect());
        for (i, (series, name_y)) in self.series.iter().zip(names).enumerate() {
            let colour = COLOURS[i % COLOURS.len()];
            let mut line = String::new();
            for [x, y] in &series.points {
                write!(line, "{:.1},{:.1} ", px(*x), py(*y))?;
            }
            writeln!(
                out,
                "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>",
                line.trim_end()
            )?;
            for [x, y] in &series.points {
                writeln!(
                    out,
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"><title>{}: {x}, {y:.2}</title></circle>",
                    px(*x),
                    py(*y),
                    escape(&series.name)
                )?;
            }
            writeln!(
                out,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                right + 14.0,
                name_y,
                right + 23.0,
                name_y + 4.0,
                escape(&series.name)
            )?;
        }
        writeln!(out, "</svg>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round() {
        assert_eq!(step(100.0, 10.0), 10.0);
        assert_eq!(step(101.0, 10.0), 20.0);
        assert_eq!(step(0.9, 8.0), 0.2);
        assert!((step(4100.0, 8.0) - 1000.0).abs() < 1e-9);
    }

    #[test]
    fn names_do_not_overlap() {
        assert_eq!(spread(vec![10.0, 12.0, 11.0]), [10.0, 40.0, 25.0]);
        assert_eq!(spread(vec![100.0, 10.0]), [100.0, 10.0]);
        assert!(spread(vec![]).is_empty());
    }

    #[test]
    fn one_point_and_none_are_drawn() {
        let plot = |points: Vec<[f64; 2]>| Plot {
            title: "a < b".into(),
            subtitle: String::new(),
            x_title: "x".into(),
            y_title: "y".into(),
            doubling_x: true,
            series: vec![Series {
                name: "s".into(),
                points,
            }],
            levels: vec![],
        };
        for svg in [plot(vec![[4.0, 1.0]]).svg(), plot(vec![]).svg()] {
            assert!(svg.contains("a &lt; b") && svg.ends_with("</svg>\n"));
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}

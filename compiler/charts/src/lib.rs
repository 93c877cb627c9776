//! Charts as SVG: lines, bars, a heat map, and blocks of memory over time.
//!
//! Each is a struct of plain data with a `draw`, which gives a [`Chart`]. One
//! stands in a page as [`Chart::inline`], where [`STYLE`] must be in the page's
//! own style sheet, or is a file of its own as [`Chart::document`]. They follow
//! `prefers-color-scheme`, refer to nothing outside, and tell each number when
//! the pointer rests on it.

mod bars;
mod blocks;
mod heat;
mod lines;

pub use bars::{Bar, Bars};
pub use blocks::{Block, Blocks};
pub use heat::Heat;
pub use lines::{Level, Lines, Series};

/// Width of a chart beside text, in the units of its font's 12.
pub const NARROW: f64 = 440.0;
/// Width of a chart that has a page to itself.
pub const WIDE: f64 = 760.0;

/// Okabe and Ito's colours, which colour-blind readers can tell apart, those
/// with the best contrast on both white and black first.
pub const COLOURS: [&str; 6] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9",
];

/// What charts look like, on light and on dark ground.
pub const STYLE: &str = "\
.chart{font-family:sans-serif;font-size:12px;--ink:#222;--note:#5f5f5f;--ground:#fff;--grid:#ddd;--axis:#888}
.chart text{fill:var(--ink)} .chart .note{fill:var(--note)} .chart .bg{fill:var(--ground)}
.chart .grid{stroke:var(--grid)} .chart .axis{stroke:var(--axis)}
.chart .level{stroke:var(--axis);stroke-dasharray:5 4}
.chart .edge{stroke:var(--ground);stroke-width:.5} .chart .on{fill:#fff}
@media (prefers-color-scheme:dark){.chart{--ink:#ddd;--note:#aaa;--ground:#161616;--grid:#333;--axis:#999}}
";

/// A chart that is drawn.
#[derive(Clone, Debug)]
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// More about it, or nothing.
    pub subtitle: String,
    /// Width and height of `body`.
    size: [f64; 2],
    body: String,
}

impl Chart {
    /// An `svg` element without the title, for a page that shows [`title`](Self::title)
    /// and [`subtitle`](Self::subtitle) itself.
    pub fn inline(&self) -> String {
        let [width, height] = self.size;
        format!(
            "<svg class=\"chart\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" role=\"img\" aria-label=\"{}\">\n{}</svg>\n",
            escape(&format!("{}. {}", self.title, self.subtitle)),
            self.body
        )
    }

    /// A file of its own, with title and ground.
    pub fn document(&self) -> String {
        const HEAD: f64 = 52.0;
        let [width, height] = [self.size[0], self.size[1] + HEAD];
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" viewBox=\"0 0 {width} {height}\">\n\
             <style>{STYLE}</style>\n<rect class=\"bg\" width=\"{width}\" height=\"{height}\"/>\n\
             <text x=\"16\" y=\"24\" font-size=\"16\">{}</text>\n<text class=\"note\" x=\"16\" y=\"43\">{}</text>\n\
             <g transform=\"translate(0 {HEAD})\">\n{}</g>\n</svg>\n",
            escape(&self.title),
            escape(&self.subtitle),
            self.body
        )
    }

    /// Width in the units of the font's 12.
    pub fn width(&self) -> f64 {
        self.size[0]
    }
}

/// Text as XML and HTML want it, in elements and in attributes.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // XML has no way to write the others.
            c if c >= ' ' || c == '\n' || c == '\t' => out.push(c),
            _ => out.push('\u{fffd}'),
        }
    }
    out
}

/// What the numbers of a chart are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Numbers.
    #[default]
    Plain,
    /// Hundredths.
    Percent,
    /// Bytes, in multiples of 1024.
    Bytes,
}

impl Unit {
    /// A number as text, with at most so many digits behind the point.
    fn digits(self, value: f64, digits: i32) -> String {
        let (value, name) = match self {
            Unit::Plain => (value, ""),
            Unit::Percent => (value, "%"),
            Unit::Bytes => match value.abs() {
                0.0..1024.0 => (value, " B"),
                1024.0..1_048_576.0 => (value / 1024.0, " KiB"),
                _ => (value / 1_048_576.0, " MiB"),
            },
        };
        let factor = 10f64.powi(digits);
        // Not -0.
        format!("{}{name}", (value * factor).round() / factor + 0.0)
    }

    /// A tick's label.
    fn tick(self, value: f64) -> String {
        self.digits(value, 6)
    }

    /// A value, as its tooltip shows it.
    fn value(self, value: f64) -> String {
        let digits = match self {
            Unit::Plain if value.abs() < 1.0 => 5,
            _ => 2,
        };
        self.digits(value, digits)
    }

    /// Round numbers from at or below `low` to at or above `high`, about `most`
    /// steps of 1, 2 or 5 times a power of ten.
    fn ticks(self, low: f64, high: f64, most: f64) -> Vec<f64> {
        let range = (high - low).max(f64::MIN_POSITIVE);
        let tick = match self {
            Unit::Bytes if range / most > 1.0 => {
                let unit = 1024f64.powf((range / most).log(1024.0).floor());
                match step(range / unit, most) {
                    tick if tick >= 1000.0 => 1024.0 * unit,
                    tick => tick * unit,
                }
            }
            _ => step(range, most),
        };
        let (first, last) = ((low / tick).floor(), (high / tick).ceil());
        if !(first.is_finite() && last.is_finite()) {
            return vec![0.0, 1.0];
        }
        let count = (last - first).max(1.0) as usize;
        (0..=count).map(|i| (first + i as f64) * tick).collect()
    }
}

/// The smallest of 1, 2 or 5 times a power of ten of which `most` reach `end`.
fn step(end: f64, most: f64) -> f64 {
    let raw = end / most;
    let power = 10f64.powf(raw.log10().floor());
    let factor = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|f| f * power >= raw)
        .unwrap_or(10.0);
    factor * power
}

/// Cuts a name's middle out so that about `most` characters stay.
fn shorten(name: &str, most: usize) -> String {
    let chars: Vec<char> = name.chars().collect();
    if chars.len() <= most {
        return name.to_owned();
    }
    let tail = most.saturating_sub(1) * 2 / 3;
    let head = most.saturating_sub(1) - tail;
    let part = |range: &[char]| range.iter().collect::<String>();
    format!(
        "{}\u{2026}{}",
        part(&chars[..head]),
        part(&chars[chars.len() - tail..])
    )
}

/// Coloured squares with names, several to a line; the height that they take.
fn legend(names: &[String], left: f64, width: f64, out: &mut String) -> f64 {
    use std::fmt::Write;
    let (mut x, mut y) = (left, 4.0);
    for (i, name) in names.iter().enumerate() {
        let space = 26.0 + 6.6 * name.chars().count() as f64;
        if x > left && x + space > width {
            (x, y) = (left, y + 18.0);
        }
        let _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"11\" height=\"11\" fill=\"{}\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            COLOURS[i % COLOURS.len()],
            x + 16.0,
            y + 10.0,
            escape(name)
        );
        x += space;
    }
    y + 22.0
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
        let plain = |low, high| Unit::Plain.ticks(low, high, 4.0);
        assert_eq!(plain(93.2, 94.4), [93.0, 93.5, 94.0, 94.5]);
        assert_eq!(plain(-1.0, 3.0), [-1.0, 0.0, 1.0, 2.0, 3.0]);
        assert_eq!(plain(0.0, 0.0).len(), 2);
        assert_eq!(plain(0.0, f64::NAN).len(), 2);
        let bytes = |high: f64| -> Vec<String> {
            let ticks = Unit::Bytes.ticks(0.0, high, 3.0);
            ticks.into_iter().map(|v| Unit::Bytes.tick(v)).collect()
        };
        assert_eq!(bytes(2.0), ["0 B", "1 B", "2 B"]);
        assert_eq!(bytes(300e3), ["0 B", "100 KiB", "200 KiB", "300 KiB"]);
        assert_eq!(bytes(40e6), ["0 B", "20 MiB", "40 MiB"]);
        assert_eq!(bytes(2.5e6), ["0 B", "1 MiB", "2 MiB", "3 MiB"]);
    }

    #[test]
    fn names_keep_their_ends() {
        assert_eq!(shorten("layer1.0.conv1", 14), "layer1.0.conv1");
        assert_eq!(shorten("features.12.conv.0.0", 10), "fea\u{2026}nv.0.0");
        assert_eq!(
            shorten("\u{e9}\u{e9}\u{e9}\u{e9}", 3),
            "\u{e9}\u{2026}\u{e9}"
        );
    }

    #[test]
    fn text_is_escaped() {
        assert_eq!(
            escape("a<b & \"c\"\u{1}"),
            "a&lt;b &amp; &quot;c&quot;\u{fffd}"
        );
        assert_eq!(Unit::Plain.tick(-0.0), "0");
        assert_eq!(Unit::Plain.tick(0.1 + 0.2), "0.3");
        assert_eq!(Unit::Percent.value(93.456), "93.46%");
        assert_eq!(Unit::Bytes.value(1536.0), "1.5 KiB");
    }
}

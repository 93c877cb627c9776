//! A matrix of shaded cells.

use crate::{COLOURS, Chart, escape, shorten};
use std::fmt::Write;

/// A heat map.
#[derive(Clone, Debug)]
pub struct Heat {
    /// What it shows.
    pub title: String,
    /// More about it.
    pub subtitle: String,
    /// What a row is.
    pub y_title: String,
    /// What a column is.
    pub x_title: String,
    /// Names of the rows.
    pub rows: Vec<String>,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// `rows * columns` cells, row by row: 0 (blank) to 1, and the number in words.
    pub cells: Vec<(f64, String)>,
}

/// Up to here cells show their numbers.
const NUMBERED: usize = 20;
/// Up to here rows and columns show their names.
const NAMED: usize = 120;

impl Heat {
    /// The chart.
    pub fn draw(&self) -> Chart {
        let largest = self.rows.len().max(self.columns.len()).max(1);
        // Room for the names, then squares; many small ones make a wide chart.
        let longest = |names: &[String]| {
            let lens = names.iter().map(|n| n.chars().count());
            6.4 * lens.max().unwrap_or(0).min(14) as f64
        };
        let named = largest <= NAMED;
        let (left, top) = if named {
            (26.0 + longest(&self.rows), 26.0 + longest(&self.columns))
        } else {
            (26.0, 26.0)
        };
        let cell = match largest {
            0..=NUMBERED => ((crate::NARROW - left - 8.0) / largest as f64).clamp(22.0, 40.0),
            21..=NAMED => 13.0,
            _ => (1200.0 / largest as f64).max(1.0),
        };
        let size = [
            (left + cell * self.columns.len() as f64 + 8.0).max(crate::NARROW),
            top + cell * self.rows.len() as f64 + 8.0,
        ];
        let mut body = String::new();
        // A String takes everything.
        let _ = self.write([left, top], cell, named, &mut body);
        Chart {
            title: self.title.clone(),
            subtitle: self.subtitle.clone(),
            size,
            body,
        }
    }

    fn write(
        &self,
        [left, top]: [f64; 2],
        cell: f64,
        named: bool,
        out: &mut String,
    ) -> std::fmt::Result {
        let (w, h) = (
            cell * self.columns.len() as f64,
            cell * self.rows.len() as f64,
        );
        writeln!(
            out,
            "<text class=\"note\" x=\"{:.1}\" y=\"14\" text-anchor=\"middle\">{}</text>\
             <text class=\"note\" transform=\"translate(14 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            left + w / 2.0,
            escape(&self.x_title),
            top + h / 2.0,
            escape(&self.y_title)
        )?;
        let middle = |i: usize| cell * (i as f64 + 0.5) + 4.0;
        let font = (cell * 0.8).clamp(6.0, 12.0);
        if named {
            for (i, name) in self.rows.iter().enumerate() {
                writeln!(
                    out,
                    "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" font-size=\"{font:.0}\">{}</text>",
                    left - 5.0,
                    top + middle(i),
                    escape(&shorten(name, 14))
                )?;
            }
            for (i, name) in self.columns.iter().enumerate() {
                writeln!(
                    out,
                    "<text transform=\"translate({:.1} {:.1}) rotate(-90)\" font-size=\"{font:.0}\">{}</text>",
                    left + middle(i),
                    top - 5.0,
                    escape(&shorten(name, 14))
                )?;
            }
        }
        let numbered = self.rows.len().max(self.columns.len()) <= NUMBERED;
        let columns = self.columns.len().max(1);
        for (i, (shade, text)) in self.cells.iter().enumerate() {
            let (row, column) = (i / columns, i % columns);
            let (x, y) = (left + cell * column as f64, top + cell * row as f64);
            let shade = if shade.is_finite() {
                shade.clamp(0.0, 1.0)
            } else {
                0.0
            };
            if shade == 0.0 {
                continue;
            }
            // Faint cells stay visible, and tell where they are.
            writeln!(
                out,
                "<rect class=\"edge\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{cell:.1}\" height=\"{cell:.1}\" fill=\"{}\" fill-opacity=\"{:.2}\"><title>{}, {}: {}</title></rect>",
                COLOURS[0],
                0.08 + 0.92 * shade,
                escape(self.rows.get(row).map_or("", String::as_str)),
                escape(self.columns.get(column).map_or("", String::as_str)),
                escape(text)
            )?;
            if numbered {
                let class = if shade > 0.45 { " class=\"on\"" } else { "" };
                let digits = text.chars().count().max(1) as f64;
                writeln!(
                    out,
                    "<text{class} x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"{:.1}\">{}</text>",
                    x + cell / 2.0,
                    y + cell / 2.0 + 4.0,
                    (1.5 * cell / digits).clamp(5.0, 11.0),
                    escape(text)
                )?;
            }
        }
        writeln!(
            out,
            "<rect class=\"axis\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" fill=\"none\"/>"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heat(n: usize) -> Chart {
        let names: Vec<String> = (0..n).map(|i| format!("class {i}")).collect();
        Heat {
            title: "confusion".into(),
            subtitle: String::new(),
            y_title: "is".into(),
            x_title: "seen as".into(),
            rows: names.clone(),
            columns: names,
            cells: (0..n * n)
                .map(|i| {
                    if i % (n + 1) == 0 {
                        (1.0, "9".into())
                    } else {
                        (0.0, "0".into())
                    }
                })
                .collect(),
        }
        .draw()
    }

    #[test]
    fn blank_cells_are_not_drawn() {
        for n in [0, 1, 10, 100, 1000] {
            let svg = heat(n).inline();
            assert_eq!(svg.matches("<rect class=\"edge\"").count(), n);
            assert_eq!(
                svg.matches(">9</text>").count(),
                if n <= 20 { n } else { 0 }
            );
        }
        assert_eq!(heat(10).width(), crate::NARROW);
        assert!(heat(100).width() > crate::NARROW);
    }
}

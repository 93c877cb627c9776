//! Rectangles over two axes: what is where, and when.

use crate::{Chart, Unit, escape};
use std::fmt::Write;

/// One rectangle.
#[derive(Clone, Debug)]
pub struct Block {
    /// From and to, along x.
    pub x: [f64; 2],
    /// From and to, along y.
    pub y: [f64; 2],
    /// Shown when the pointer rests on it.
    pub name: String,
    /// Which colour; those that touch should differ.
    pub colour: usize,
}

/// A chart of rectangles; both axes begin at 0.
#[derive(Clone, Debug)]
pub struct Blocks {
    /// What it shows.
    pub title: String,
    /// More about it.
    pub subtitle: String,
    /// What x is.
    pub x_title: String,
    /// Width of the whole.
    pub width: f64,
    /// Whole numbers along x: so many, each between its number and the next.
    pub steps: usize,
    /// Where y ends.
    pub top: f64,
    /// What the numbers along y are.
    pub unit: Unit,
    /// The rectangles.
    pub blocks: Vec<Block>,
}

const LEFT: f64 = 74.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 44.0;

/// Told apart by most eyes, on light and dark ground (Tableau's ten).
const COLOURS: [&str; 10] = [
    "#4e79a7", "#f28e2b", "#e15759", "#76b7b2", "#59a14f", "#edc948", "#b07aa1", "#ff9da7",
    "#9c755f", "#bab0ac",
];

impl Blocks {
    /// The chart.
    pub fn draw(&self) -> Chart {
        let height = 0.36 * self.width + 70.0;
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
        let steps = self.steps.max(1);
        let top = if self.top > 0.0 { self.top } else { 1.0 };
        let x = |at: f64| LEFT + (self.width - LEFT - 16.0) * at / steps as f64;
        let y = |at: f64| TOP + (height - TOP - BOTTOM) * (1.0 - at / top);
        for quarter in 0..=4 {
            let value = top * quarter as f64 / 4.0;
            writeln!(
                out,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{1:.1}\" y2=\"{1:.1}\"/>\
                 <text x=\"{2:.1}\" y=\"{3:.1}\" text-anchor=\"end\">{4}</text>",
                self.width - 16.0,
                y(value),
                LEFT - 8.0,
                y(value) + 4.0,
                escape(&self.unit.value(value))
            )?;
        }
        for block in &self.blocks {
            let ([x0, x1], [y0, y1]) = (block.x.map(x), block.y.map(y));
            writeln!(
                out,
                "<rect class=\"edge\" x=\"{x0:.1}\" y=\"{y1:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{}\"><title>{}</title></rect>",
                x1 - x0,
                (y0 - y1).max(0.5),
                COLOURS[block.colour % COLOURS.len()],
                escape(&block.name)
            )?;
        }
        let room = ((self.width - LEFT) / 36.0) as usize;
        for step in (0..steps).step_by(steps.div_ceil(room.max(1))) {
            writeln!(
                out,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{step}</text>",
                x(step as f64 + 0.5),
                height - BOTTOM + 18.0
            )?;
        }
        writeln!(
            out,
            "<text class=\"note\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            (self.width + LEFT) / 2.0,
            height - 8.0,
            escape(&self.x_title)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_lie_where_they_are() {
        let blocks = |blocks: Vec<Block>, steps, top| Blocks {
            title: "arena".into(),
            subtitle: String::new(),
            x_title: "step".into(),
            width: crate::NARROW,
            steps,
            top,
            unit: Unit::Plain,
            blocks,
        };
        let whole = Block {
            x: [0.0, 4.0],
            y: [0.0, 8.0],
            name: "all".into(),
            colour: 11,
        };
        let svg = blocks(vec![whole], 4, 8.0).draw().inline();
        assert!(
            svg.contains("x=\"74.0\" y=\"10.0\" width=\"350.0\" height=\"174.4\""),
            "{svg}"
        );
        let svg = blocks(vec![], 0, 0.0).draw().inline();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}

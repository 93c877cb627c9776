//! The arena over time as a picture: steps to the right, addresses upwards, a
//! rectangle for each tensor while it is alive.

use crate::text_table as table;
use std::fmt::Write;
use ternrt::Model;
use ternrt::format::tensor::Place;

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 90.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 50.0;

/// Told apart by most eyes, on light and dark ground (Tableau's ten).
const COLOURS: [&str; 10] = [
    "#4e79a7", "#f28e2b", "#e15759", "#76b7b2", "#59a14f", "#edc948", "#b07aa1", "#ff9da7",
    "#9c755f", "#bab0ac",
];

struct Span {
    tensor: u32,
    first: usize,
    last: usize,
}

/// When each arena tensor is written first and read last, over the first entry
/// point's steps; step 0 is the filling of the inputs.
fn spans(model: &Model<'_>) -> (Vec<Span>, usize) {
    let steps = model.ops(0).count() + 1;
    let mut spans: Vec<Option<Span>> = (0..model.tensor_count()).map(|_| None).collect();
    let mut touch = |id: u32, step: usize| {
        let mut pending = vec![id];
        while let Some(id) = pending.pop() {
            let Some(tensor) = model.tensor(id) else {
                continue;
            };
            pending.push(tensor.scale);
            if tensor.place == Place::Arena {
                let span = spans[id as usize].get_or_insert(Span {
                    tensor: id,
                    first: step,
                    last: step,
                });
                span.last = step;
            }
        }
    };
    let (inputs, outputs) = model.ids(0);
    inputs.iter().flatten().for_each(|id| touch(id, 0));
    for (step, op) in model.ops(0).enumerate() {
        let ids = op.record.inputs.iter().chain(op.record.outputs.iter());
        ids.flatten().for_each(|id| touch(id, step + 1));
    }
    outputs.iter().flatten().for_each(|id| touch(id, steps - 1));
    (spans.into_iter().flatten().collect(), steps)
}

/// The whole SVG document.
pub fn draw(model: &Model<'_>) -> String {
    let (spans, steps) = spans(model);
    let peak = model.header().arena_bytes.max(1) as f64;
    let x = |step: usize| LEFT + (WIDTH - LEFT - 20.0) * step as f64 / steps as f64;
    let y = |byte: f64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - byte / peak);
    let mut s = String::new();
    let _ = writeln!(
        s,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <style>text{{fill:#222}} .axis{{stroke:#888}} rect.t{{stroke:#fff;stroke-width:0.5}} rect.bg{{fill:#fff}}\n\
         @media (prefers-color-scheme:dark){{text{{fill:#ddd}} rect.bg{{fill:#161616}} rect.t{{stroke:#161616}}}}</style>\n\
         <rect class=\"bg\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"16\">Arena over time: {} at its peak, {} steps</text>",
        table::bytes(peak as u64),
        steps
    );
    for span in &spans {
        let Some(t) = model.tensor(span.tensor) else {
            continue;
        };
        let (dims, rank) = t.shape();
        let colour = COLOURS[span.tensor as usize % COLOURS.len()];
        let (x0, x1) = (x(span.first), x(span.last + 1));
        let (y0, y1) = (y((t.offset + t.len) as f64), y(t.offset as f64));
        let _ = writeln!(
            s,
            "<rect class=\"t\" x=\"{x0:.1}\" y=\"{y0:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{colour}\"><title>%{} {} {} {}, {} bytes at {}, steps {} to {}</title></rect>",
            x1 - x0,
            (y1 - y0).max(0.5),
            span.tensor,
            escape(model.tensor_name(&t)),
            t.dtype.name(),
            table::shape(&dims[..rank]),
            table::grouped(t.len),
            t.offset,
            span.first,
            span.last
        );
    }
    for quarter in 0..=4 {
        let byte = peak * quarter as f64 / 4.0;
        let _ = writeln!(
            s,
            "<line class=\"axis\" x1=\"{:.1}\" x2=\"{LEFT}\" y1=\"{2:.1}\" y2=\"{2:.1}\"/><text x=\"{1:.1}\" y=\"{3:.1}\" text-anchor=\"end\">{4}</text>",
            LEFT - 5.0,
            LEFT - 8.0,
            y(byte),
            y(byte) + 4.0,
            table::bytes(byte as u64)
        );
    }
    let every = steps.div_ceil(20).max(1);
    for step in (0..steps).step_by(every) {
        let _ = writeln!(
            s,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{step}</text>",
            (x(step) + x(step + 1)) / 2.0,
            HEIGHT - BOTTOM + 18.0
        );
    }
    let _ = writeln!(
        s,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">step (0 fills the inputs)</text>\n</svg>",
        (WIDTH + LEFT) / 2.0,
        HEIGHT - 10.0
    );
    s
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

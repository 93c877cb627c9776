//! A comparison as text for a terminal.

use super::{Change, Diff, Status, Weights};
use crate::text_table as table;
use std::fmt::Write;

fn percent(part: u64, whole: u64) -> String {
    format!("{:.2}%", 100.0 * part as f64 / whole.max(1) as f64)
}

impl Weights {
    /// As lines of what, and how.
    fn rows(&self) -> Vec<(&'static str, String)> {
        let mut rows = Vec::new();
        if let Some(f) = self.flips {
            rows.push((
                "flipped",
                format!(
                    "{} of {} ({}): {} change sign, {} become zero, {} are zero no more",
                    table::grouped(f.all),
                    table::grouped(self.count),
                    percent(f.all, self.count),
                    table::grouped(f.sign),
                    table::grouped(f.to_zero),
                    table::grouped(f.from_zero)
                ),
            ));
        }
        if let Some(s) = self.scales {
            let mut text = format!(
                "{} of {} differ",
                table::grouped(s.changed),
                table::grouped(s.count)
            );
            if let Some(largest) = s.largest {
                let _ = write!(text, ", by up to {:.2}%", 100.0 * largest);
            }
            if let Some(ratio) = s.mean_ratio {
                let _ = write!(text, "; mean x {ratio:.4}");
            }
            rows.push(("scales", text));
        }
        if let Some(r) = self.relative_change {
            rows.push(("distance", format!("{r:.3e} of the weights' norm")));
        }
        if self.bias_change > 0.0 {
            rows.push(("bias", format!("by up to {:.3e}", self.bias_change)));
        }
        rows
    }
}

/// The first line of a text, not too long.
fn brief(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let mut brief: String = line.chars().take(60).collect();
    if brief.len() < text.len() {
        brief.push_str(" ...");
    }
    if brief.is_empty() {
        "-".to_owned()
    } else {
        brief
    }
}

impl Diff {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.file.is_empty() && self.ops.is_empty()
    }

    /// Text for a terminal.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        // A String takes everything.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let lines = |changes: &[Change], out: &mut String| {
            changes.iter().try_for_each(|c| {
                writeln!(out, "  {:<9} {} -> {}", c.what, brief(&c.a), brief(&c.b))
            })
        };
        if self.is_empty() {
            return writeln!(out, "{} and {} are the same", self.a, self.b);
        }
        writeln!(out, "{} -> {}", self.a, self.b)?;
        lines(&self.file, out)?;
        for op in &self.ops {
            match op.status {
                Status::Changed => writeln!(out, "\n{}", op.name)?,
                Status::Removed => writeln!(out, "\n{}: in {} alone", op.name, self.a)?,
                Status::Added => writeln!(out, "\n{}: in {} alone", op.name, self.b)?,
            }
            if op.status == Status::Changed {
                lines(&op.changes, out)?;
            } else {
                for c in op.changes.iter().filter(|c| c.what != "reads") {
                    writeln!(out, "  {:<9} {}{}", c.what, c.a, c.b)?;
                }
            }
            for (what, how) in op.weights.iter().flat_map(Weights::rows) {
                writeln!(out, "  {what:<9} {how}")?;
            }
        }
        let count = |status: Status| self.ops.iter().filter(|o| o.status == status).count();
        let flips = self
            .ops
            .iter()
            .filter_map(|o| o.weights.as_ref())
            .filter_map(|w| w.flips.map(|f| (f.all, w.count)))
            .fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        write!(
            out,
            "\n{} ops changed, {} removed, {} added, {} the same",
            count(Status::Changed),
            count(Status::Removed),
            count(Status::Added),
            self.same_ops
        )?;
        if flips.0 > 0 {
            write!(
                out,
                "; {} of {} integer weights of these layers flipped",
                table::grouped(flips.0),
                table::grouped(flips.1)
            )?;
        }
        writeln!(out)
    }
}

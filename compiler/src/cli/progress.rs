//! The progress bar of long work.

use crate::pipeline::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::Mutex;
use std::time::Duration;

/// A bar on stderr that shows the stage and how far it is; nothing where stderr
/// is not a terminal, or when quiet.
pub struct Bar {
    bar: Mutex<ProgressBar>,
}

impl Bar {
    /// A bar that is drawn once there is something to show.
    pub fn new(quiet: bool) -> Bar {
        let target = if quiet {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        bar.set_style(spinner());
        bar.enable_steady_tick(Duration::from_millis(120));
        Bar {
            bar: Mutex::new(bar),
        }
    }

    /// Removes the bar from the screen.
    pub fn finish(&self) {
        self.with(|bar| bar.finish_and_clear());
    }

    fn with(&self, f: impl FnOnce(&ProgressBar)) {
        if let Ok(bar) = self.bar.lock() {
            f(&bar);
        }
    }
}

fn spinner() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {msg} {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn counted() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {msg} [{bar:30}] {pos}/{len} {elapsed}, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

fn bytes() -> ProgressStyle {
    let template = "{spinner} {msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}, {eta} left";
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

impl Bar {
    fn begin(&self, name: &str, style: ProgressStyle, total: u64) {
        self.with(|bar| {
            bar.set_style(style);
            bar.reset();
            bar.set_length(total);
            bar.set_message(name.to_owned());
        });
    }
}

impl Progress for Bar {
    fn stage(&self, name: &str, total: Option<u64>) {
        let style = if total.is_some() {
            counted()
        } else {
            spinner()
        };
        self.begin(name, style, total.unwrap_or(0));
    }

    fn bytes(&self, name: &str, total: u64) {
        self.begin(name, bytes(), total);
    }

    fn advance(&self, position: u64) {
        self.with(|bar| bar.set_position(position));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.finish();
    }
}

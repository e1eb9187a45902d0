//! The progress bar: on standard error, if that is a terminal. Progress is never measured here.

use indicatif::{ProgressBar, ProgressStyle};
use std::time::{Duration, Instant};

/// How often the bar is drawn.
const INTERVAL: Duration = Duration::from_millis(100);

/// The bar of the current phase.
#[derive(Debug)]
pub struct Progress {
    visible: bool,
    bar: ProgressBar,
    drawn_at: Instant,
}

impl Progress {
    /// A bar without a phase; one that is not visible stays hidden.
    pub fn new(visible: bool) -> Progress {
        Progress {
            visible,
            bar: ProgressBar::hidden(),
            drawn_at: Instant::now(),
        }
    }

    /// Starts a phase of so many steps.
    pub fn begin(&mut self, what: &'static str, steps: u64) {
        self.end();
        if !self.visible {
            return;
        }
        let style = ProgressStyle::with_template("{msg:20} [{bar:40}] {percent:>3} %");
        self.bar = ProgressBar::new(steps)
            .with_style(style.expect("the template is valid").progress_chars("=> "))
            .with_message(what);
        self.bar.tick();
    }

    /// Shows that so many steps are done. It costs almost nothing and may be called at any time.
    pub fn show(&mut self, done: u64) {
        if !self.bar.is_hidden() && self.drawn_at.elapsed() >= INTERVAL {
            self.drawn_at = Instant::now();
            self.bar.set_position(done);
        }
    }

    /// Removes the bar from the terminal.
    pub fn end(&mut self) {
        self.bar.finish_and_clear();
    }
}

//! The progress bar: on standard error, if that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};
use std::time::{Duration, Instant};

/// How often it is drawn.
const INTERVAL: Duration = Duration::from_millis(100);

/// What the run is at.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    shown_at: Instant,
}

impl Progress {
    /// Shows nothing yet.
    pub fn new() -> Progress {
        Progress {
            bar: ProgressBar::hidden(),
            shown_at: Instant::now(),
        }
    }

    /// Begins a stretch of so many steps.
    pub fn begin(&mut self, what: &'static str, steps: u64) {
        self.end();
        let style = ProgressStyle::with_template("{msg:20} [{bar:40}] {percent:>3} %");
        self.bar = ProgressBar::new(steps)
            .with_style(style.expect("the template is sound").progress_chars("=> "))
            .with_message(what);
        self.bar.tick();
    }

    /// So many of its steps are done. Costs next to nothing, so that it can be said at any time.
    pub fn show(&mut self, done: u64) {
        if !self.bar.is_hidden() && self.shown_at.elapsed() >= INTERVAL {
            self.shown_at = Instant::now();
            self.bar.set_position(done);
        }
    }

    /// Takes the bar off the terminal.
    pub fn end(&mut self) {
        self.bar.finish_and_clear();
    }
}

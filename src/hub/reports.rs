//! What has happened to clients, for an operator who wants a detailed log. Kept only if asked for, and only so many at a
//! time. Decides nothing.

use super::Hub;
use super::limits::REPORTS_MAX;
use super::types::{ConnId, Report};
use std::collections::VecDeque;

impl Hub {
    /// Whether there are [reports](Hub::next_report) from now on.
    pub fn keep_reports(&mut self, are_wanted: bool) {
        self.schedule.reports.keep(are_wanted);
    }

    /// The next thing for a detailed log, if [`keep_reports`](Hub::keep_reports) has been called. Need not be drained: of
    /// many, the oldest are kept.
    pub fn next_report(&mut self) -> Option<(ConnId, Report)> {
        self.schedule.reports.next()
    }
}

/// Reports that have not been taken; `None`: nobody wants any.
#[derive(Debug, Default)]
pub struct Reports(Option<VecDeque<(ConnId, Report)>>);

impl Reports {
    /// Whether reports are kept from now on.
    pub fn keep(&mut self, are_wanted: bool) {
        self.0 = are_wanted.then(|| self.0.take().unwrap_or_default());
    }

    /// Adds a report, unless there are too many, or nobody wants any.
    pub fn add(&mut self, id: ConnId, report: impl FnOnce() -> Report) {
        if let Some(reports) = &mut self.0
            && reports.len() < REPORTS_MAX
        {
            reports.push_back((id, report()));
        }
    }

    /// Takes the oldest report.
    pub fn next(&mut self) -> Option<(ConnId, Report)> {
        self.0.as_mut()?.pop_front()
    }
}

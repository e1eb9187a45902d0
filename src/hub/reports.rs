//! What has happened to clients, for an operator who wants a detailed log. Kept only if asked for, and only so many at a
//! time. Decides nothing.

use super::Hub;
use super::limits::REPORTS_MAX;
use super::types::{ConnId, Report};
use std::collections::VecDeque;

impl Hub {
    /// From now on there are [reports](Hub::next_report).
    pub fn keep_reports(&mut self) {
        self.schedule.reports.keep();
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
    /// From now on reports are kept.
    pub fn keep(&mut self) {
        self.0.get_or_insert_default();
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

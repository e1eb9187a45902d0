//! Whom one client ignores, as positions in the log that it reads. Who these persons are is in `ignoring`; what they said,
//! in the log's marks.

use crate::hub::limits::IGNORED_SPANS_MAX;
use crate::hub::room::log::Log;
use crate::hub::room::marks::Span;
use std::ops::Range;

/// Spans, each of one person: `0 <= len <= IGNORED_SPANS_MAX`. Those of one person do not overlap.
#[derive(Debug, Default)]
pub struct Ignored(Vec<Span>);

impl Ignored {
    /// Nobody.
    pub const fn new() -> Ignored {
        Ignored(Vec::new())
    }

    /// Whether nothing is left out, nor will be.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// From `at` on, the log's end, the client ignores a person.
    pub fn begin(&mut self, person: u32, at: u64) {
        if self.0.len() >= IGNORED_SPANS_MAX {
            // One that the client has ended, and has not read so far: there are fewer of the others.
            let ended = self.0.iter().position(|span| span.range.end < u64::MAX);
            self.0.remove(ended.unwrap_or(0));
        }
        let range = at..u64::MAX;
        self.0.push(Span { person, range });
    }

    /// Until `at`, the log's end, the client has ignored a person.
    pub fn end(&mut self, person: u32, at: u64) {
        let is_open = |span: &&mut Span| span.person == person && span.range.end == u64::MAX;
        if let Some(span) = self.0.iter_mut().find(is_open) {
            span.range.end = at;
        }
    }

    /// The client has read up to `at`.
    pub fn passed(&mut self, at: u64) {
        self.0.retain(|span| span.range.end > at);
        if self.0.is_empty() {
            self.0 = Vec::new();
        }
    }

    /// The client reads another log, which ends at `end`: history is shown as it is.
    pub fn enter(&mut self, end: u64) {
        self.0.retain(|span| span.range.end == u64::MAX);
        for span in &mut self.0 {
            span.range.start = end;
        }
    }

    /// The first part of the log in `from..until` that is left out: see [`Marks::next`](crate::hub::room::marks::Marks::next).
    pub fn next(&self, log: &Log, from: u64, until: u64) -> Option<Range<u64>> {
        match &self.0[..] {
            [] => None,
            spans => log.marks().next(from, until, spans),
        }
    }

    /// How many lines are left out of a range of the log. Searches all of it.
    pub fn lines_in(&self, log: &Log, range: Range<u64>) -> u64 {
        let (mut at, mut lines) = (range.start, 0);
        while let Some(part) = self.next(log, at, range.end) {
            at = part.end;
            lines += log.newlines(part.start..part.end.min(range.end));
        }
        lines
    }

    /// Memory, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.0.capacity() * size_of::<Span>()
    }

    /// Panics if an invariant is broken.
    pub fn check(&self, end: u64) {
        assert!(self.0.len() <= IGNORED_SPANS_MAX);
        for span in &self.0 {
            assert!(span.range.start <= end);
            assert!(span.range.end == u64::MAX || span.range.end <= end);
        }
    }
}

//! Which parts of a room's log were said by a person whom somebody ignores. One list for all who read the log: so a line
//! costs one mark, however many ignore its author. Knows no reader, and holds no bytes of lines.

use crate::hub::limits::MARKS_SCANNED_MAX;
use std::collections::VecDeque;
use std::ops::Range;

/// Adjacent lines of one person.
#[derive(Clone, Copy, Debug)]
struct Mark {
    start: u64,
    bytes: u32,
    /// Its number in [`Ignoring`](crate::hub::ignoring::Ignoring).
    person: u32,
}

/// Marks in the order of the log. Neither their starts nor their ends descend; `0 <= len <= marks_max`.
#[derive(Debug)]
pub struct Marks {
    marks: VecDeque<Mark>,
    marks_max: usize,
}

/// From where to where one reader ignores a person, in the log that it reads.
#[derive(Clone, Debug)]
pub struct Span {
    /// The person's number.
    pub person: u32,
    /// Start and end in the log; the end is `u64::MAX` while the reader ignores the person.
    pub range: Range<u64>,
}

impl Mark {
    fn end(&self) -> u64 {
        self.start + u64::from(self.bytes)
    }

    /// The first part of it, from `from` on, that lies within one of the spans.
    fn first_in(&self, from: u64, spans: &[Span]) -> Option<Range<u64>> {
        let spans = spans.iter().filter(|span| span.person == self.person);
        let parts = spans.map(|Span { range, .. }| {
            range.start.max(self.start).max(from)..range.end.min(self.end())
        });
        let parts = parts.filter(|part| part.start < part.end);
        parts.min_by_key(|part| part.start)
    }
}

impl Marks {
    /// None, and at most so many.
    pub fn new(marks_max: usize) -> Marks {
        Marks {
            marks: VecDeque::new(),
            marks_max,
        }
    }

    /// The line at `range`, the log's end, is this person's. If there are too many marks the oldest goes: its lines reach
    /// readers that are so far behind.
    pub fn push(&mut self, range: Range<u64>, person: u32) {
        let bytes = (range.end - range.start) as u32;
        if let Some(last) = self.marks.back_mut()
            && last.person == person
            && last.end() == range.start
            && let Some(sum) = last.bytes.checked_add(bytes)
        {
            last.bytes = sum;
            return;
        }
        if self.marks.len() >= self.marks_max {
            self.marks.pop_front();
        }
        let start = range.start;
        self.marks.push_back(Mark {
            start,
            bytes,
            person,
        });
    }

    /// The log begins at `start` now.
    pub fn forget(&mut self, start: u64) {
        while self
            .marks
            .pop_front_if(|mark| mark.end() <= start)
            .is_some()
        {}
        if self.marks.is_empty() {
            self.marks = VecDeque::new();
        }
    }

    /// The first part of the log in `from..until` that these spans leave out; it may end after `until`. An empty part says
    /// that the search is to be continued from there: each looks at a few marks only.
    pub fn next(&self, from: u64, until: u64, spans: &[Span]) -> Option<Range<u64>> {
        if self.marks.is_empty() {
            return None;
        }
        let first = self.marks.partition_point(|mark| mark.end() <= from);
        for (nth, mark) in self.marks.range(first..).enumerate() {
            if mark.start >= until {
                return None;
            }
            if nth == MARKS_SCANNED_MAX {
                return Some(mark.start..mark.start);
            }
            if let Some(part) = mark.first_in(from, spans) {
                return (part.start < until).then_some(part);
            }
        }
        None
    }

    /// How many marks there are in a range of the log.
    pub fn count(&self, range: Range<u64>) -> usize {
        let first = self.marks.partition_point(|mark| mark.end() <= range.start);
        let after = self.marks.partition_point(|mark| mark.start < range.end);
        after.saturating_sub(first)
    }

    /// Bytes of memory.
    pub fn memory_bytes(&self) -> usize {
        self.marks.capacity() * size_of::<Mark>()
    }

    /// Panics if an invariant is broken.
    pub fn check(&self, log: Range<u64>) {
        assert!(self.marks.len() <= self.marks_max);
        assert!(self.marks.iter().is_sorted_by_key(|mark| mark.start));
        assert!(self.marks.iter().is_sorted_by_key(|mark| mark.end()));
        let ends = [self.marks.front(), self.marks.back()].map(|it| it.map(Mark::end));
        assert!(ends[0].is_none_or(|end| end > log.start));
        assert!(ends[1].is_none_or(|end| end <= log.end));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(person: u32, range: Range<u64>) -> Span {
        Span { person, range }
    }

    /// All that is left out.
    fn left_out(marks: &Marks, spans: &[Span]) -> Vec<Range<u64>> {
        let (mut at, mut all) = (0, Vec::new());
        while let Some(part) = marks.next(at, 10_000, spans) {
            at = part.end;
            all.extend((!part.is_empty()).then_some(part));
        }
        all
    }

    #[test]
    fn adjacent_lines_of_one_person_are_one_mark_and_are_left_out_within_its_spans() {
        let mut marks = Marks::new(100);
        for at in [0, 10, 20, 50] {
            marks.push(at..at + 10, 3);
        }
        marks.push(60..70, 4);
        assert_eq!(marks.count(0..100), 3);
        assert_eq!(left_out(&marks, &[span(3, 0..u64::MAX)]), [0..30, 50..60]);
        let again = [span(3, 0..10), span(3, 20..u64::MAX)];
        assert_eq!(left_out(&marks, &again), [0..10, 20..30, 50..60]);
        let both = [span(4, 0..u64::MAX), span(3, 50..u64::MAX)];
        assert_eq!(left_out(&marks, &both), [50..60, 60..70]);
        assert_eq!(left_out(&marks, &[span(5, 0..u64::MAX)]), []);
        marks.forget(55);
        marks.check(55..70);
        assert_eq!(marks.count(0..100), 2);
        marks.forget(70);
        assert_eq!(marks.memory_bytes(), 0);
    }

    #[test]
    fn a_search_goes_on_after_many_marks_of_others() {
        let mut marks = Marks::new(10_000);
        for at in 0..1000 {
            marks.push(2 * at..2 * at + 1, 1);
        }
        marks.push(2000..2001, 2);
        assert_eq!(
            left_out(&marks, &[span(2, 0..u64::MAX)]),
            vec![2000..2001; 1]
        );
        let first = marks.next(0, 10_000, &[span(2, 0..u64::MAX)]).unwrap();
        assert!(first.is_empty() && first.start == 2 * MARKS_SCANNED_MAX as u64);
    }

    #[test]
    fn the_oldest_marks_go_when_there_are_too_many() {
        let mut marks = Marks::new(4);
        for at in 0..10 {
            marks.push(2 * at..2 * at + 1, 1);
        }
        marks.check(0..20);
        let all = [span(1, 0..u64::MAX)];
        assert_eq!(left_out(&marks, &all), [12..13, 14..15, 16..17, 18..19]);
    }
}

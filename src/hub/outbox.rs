//! What to write next to one client, as borrowed slices: its private bytes, and its room's log from where it stands.
//! Never copies a line of the room, but for the rest of one that is in flight when the reader is moved forward.

use super::log::Log;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::ops::Range;

/// What one client is owed.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Where the client stands in its room's log: all before has been written to it, or was not meant for it.
    /// Never at the start of one of its own lines.
    cursor: u64,
    /// `None` when that is nothing, as it is for nearly everybody at nearly any time.
    besides: Option<Box<Besides>>,
    /// The line at the cursor has been written in part.
    in_flight: bool,
    /// When it is late, those who speak wait for it.
    awaited: bool,
}

/// What makes the client's output something else than the log from its cursor on.
#[derive(Debug)]
struct Besides {
    /// Stretches of the client's own lines behind the cursor, in order, apart from each other.
    own: VecDeque<Range<u64>>,
    /// Lines that were taken from it and that it has not been told of.
    skipped_lines: u64,
    /// Replies and private lines, which go out at the next line's end, before more of the room. Whole lines (and telnet
    /// answers); freed when all of it is written.
    private: Vec<u8>,
    /// How much of `private` has been written: `0 <= private_sent < private.len()`, or both are 0.
    private_sent: usize,
}

const NOTHING: &Besides = &Besides::nothing();

impl Besides {
    const fn nothing() -> Besides {
        Besides {
            own: VecDeque::new(),
            skipped_lines: 0,
            private: Vec::new(),
            private_sent: 0,
        }
    }

    fn is_nothing(&self) -> bool {
        self.own.is_empty() && self.skipped_lines == 0 && self.private.is_empty()
    }

    fn private_rest(&self) -> &[u8] {
        &self.private[self.private_sent..]
    }
}

/// A stretch of what goes out next.
enum Segment {
    Private,
    Log(Range<u64>),
}

impl Outbox {
    /// Where the client stands in its room's log.
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Whether anything is owed, the log read up to `until`.
    pub fn owes(&self, until: u64) -> bool {
        self.private_bytes() > 0 || !self.has_given(until)
    }

    /// Whether the room's log has been given up to `until`, and the client been told of what it lost of that.
    pub fn has_given(&self, until: u64) -> bool {
        self.cursor >= until && self.skipped_lines() == 0
    }

    /// Private bytes that wait.
    pub fn private_bytes(&self) -> usize {
        self.besides().private_rest().len()
    }

    /// Memory besides the fixed record, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.besides.as_ref().map_or(0, |besides| {
            size_of::<Besides>()
                + besides.private.capacity()
                + besides.own.capacity() * size_of::<Range<u64>>()
        })
    }

    /// Stretches of own lines behind the cursor.
    pub fn own_ranges(&self) -> usize {
        self.besides().own.len()
    }

    /// Lines that were taken from it and that it has not been told of.
    pub fn skipped_lines(&self) -> u64 {
        self.besides().skipped_lines
    }

    /// Lets `render` append whole lines to the private bytes. What has been written of these makes room first: a reader
    /// that never takes all of them has no more kept for it than one that does.
    pub fn push_private(&mut self, render: impl FnOnce(&mut Vec<u8>)) {
        self.change(|besides| {
            let sent = std::mem::take(&mut besides.private_sent);
            besides.private.drain(..sent);
            render(&mut besides.private);
        });
    }

    /// Begins to read a room's log at `at`, the start of a line.
    pub fn enter(&mut self, log: &mut Log, at: u64) {
        debug_assert!(!self.in_flight && self.own_ranges() == 0);
        self.cursor = at;
        self.awaited = true;
        log.enter(at);
    }

    /// Ceases to read a room's log.
    pub fn leave(&mut self, log: &mut Log) {
        log.leave(self.cursor, self.awaited);
        self.change(|besides| besides.own.clear());
        self.in_flight = false;
    }

    /// If the client is late, nobody waits for it any more before it has caught up.
    pub fn give_up_if_late(&mut self, log: &mut Log) {
        if self.awaited && log.is_late(self.cursor) {
            self.awaited = false;
            log.give_up(self.cursor);
        }
    }

    /// Whether it is waited for when it is late.
    pub fn is_awaited(&self) -> bool {
        self.awaited
    }

    /// A client that was given up is waited for again.
    pub fn await_again(&mut self, log: &mut Log) {
        if !self.awaited {
            self.awaited = true;
            log.await_again(self.cursor);
        }
    }

    /// The client itself said what stands at `range`, at the log's end: it is not owed that.
    pub fn said(&mut self, log: &mut Log, range: Range<u64>) {
        if self.cursor == range.start {
            self.move_to(log, range.end);
            return;
        }
        self.change(|Besides { own, .. }| match own.back_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => own.push_back(range),
        });
    }

    /// Fills `slices` with what to write next, the log read up to `until`; returns how many it filled.
    pub fn output<'a>(&'a self, log: &'a Log, until: u64, slices: &mut [IoSlice<'a>]) -> usize {
        if let (Some(range), [slice, ..]) = (self.only_log(until), &mut *slices) {
            *slice = IoSlice::new(log.bytes(range));
            return 1;
        }
        let mut filled = 0;
        for segment in self.segments(log, until).take(slices.len()) {
            slices[filled] = IoSlice::new(match segment {
                Segment::Private => self.besides().private_rest(),
                Segment::Log(range) => log.bytes(range),
            });
            filled += 1;
        }
        filled
    }

    /// The first `n` bytes of what [`output`](Outbox::output) gave have been written.
    pub fn sent(&mut self, log: &mut Log, until: u64, mut n: usize) {
        if let Some(range) = self.only_log(until) {
            debug_assert!(n as u64 <= range.end - range.start);
            return self.log_sent(log, range.start + n as u64);
        }
        while n > 0 {
            let segment = self.segments(log, until).next();
            match segment.expect("no more is written than was given") {
                Segment::Private => n -= self.private_sent(n),
                Segment::Log(range) => {
                    let end = range.end.min(range.start + n as u64);
                    n -= (end - range.start) as usize;
                    self.log_sent(log, end);
                }
            }
        }
    }

    /// The lines that were taken from it and that it is told of now.
    pub fn take_skipped(&mut self) -> u64 {
        self.change(|besides| std::mem::take(&mut besides.skipped_lines))
    }

    /// Moves the client forward to `target`, the start of a line. The line in flight is finished out of a copy of its
    /// rest; lines of others between that and `until` are counted as skipped. Returns how many these are.
    pub fn skip_to(&mut self, log: &mut Log, until: u64, target: u64) -> u64 {
        if target <= self.cursor {
            return 0;
        }
        let mut from = self.cursor;
        if self.in_flight {
            from = log.after_line(from);
            let rest = log.bytes(self.cursor..from);
            self.change(|besides| {
                debug_assert_eq!(besides.private_sent, 0, "it waits for the line in flight");
                besides.private.splice(..0, rest.iter().copied());
            });
            self.in_flight = false;
        }
        let target = target.max(from);
        let counted = from..target.min(until).max(from);
        let own = &self.besides().own;
        let own_lines: u64 = own
            .iter()
            .map(|range| range.start.max(counted.start)..range.end.min(counted.end))
            .filter(|range| range.start < range.end)
            .map(|range| log.lines_in(range))
            .sum();
        let lost = log.lines_in(counted) - own_lines;
        self.change(|besides| besides.skipped_lines += lost);
        self.move_to(log, target);
        lost
    }

    /// Moves the cursor forward to `at`, and past own lines that begin there.
    fn move_to(&mut self, log: &mut Log, mut at: u64) {
        if self.besides.is_some() {
            self.change(|Besides { own, .. }| {
                while let Some(range) = own.pop_front_if(|range| range.start <= at) {
                    at = at.max(range.end);
                }
            });
        }
        self.awaited = log.advance(self.cursor, at, self.awaited);
        self.cursor = at;
    }

    /// All that goes out, if it is one stretch of the log and nothing else. So it is for nearly every member that a line
    /// goes to, and the way by `segments` costs half as much as all the rest of a visit.
    fn only_log(&self, until: u64) -> Option<Range<u64>> {
        (self.besides.is_none() && self.cursor < until).then_some(self.cursor..until)
    }

    /// What goes out, in order: the rest of the line in flight, private bytes, the room. The room waits for the
    /// notice of what was skipped before it.
    fn segments<'a>(&'a self, log: &'a Log, until: u64) -> impl Iterator<Item = Segment> + 'a {
        let mut at = self.cursor;
        let mut private = self.private_bytes() > 0;
        let mut flight = self.in_flight && private;
        let mut own = self.besides().own.iter();
        let until = if self.skipped_lines() > 0 { at } else { until };
        std::iter::from_fn(move || {
            if std::mem::take(&mut flight) {
                let from = at;
                at = log.after_line(at);
                return Some(Segment::Log(from..at));
            }
            if std::mem::take(&mut private) {
                return Some(Segment::Private);
            }
            while at < until {
                let from = at;
                let stop = own.next().map_or(until..until, Range::clone);
                at = stop.end;
                if from < stop.start.min(until) {
                    return Some(Segment::Log(from..stop.start.min(until)));
                }
            }
            None
        })
    }

    /// The room's log has been written up to `end`.
    fn log_sent(&mut self, log: &mut Log, end: u64) {
        self.in_flight = !log.is_line_start(end);
        self.move_to(log, end);
    }

    /// At most `n` private bytes have been written; returns how many.
    fn private_sent(&mut self, n: usize) -> usize {
        self.change(|besides| {
            let n = n.min(besides.private_rest().len());
            besides.private_sent += n;
            if besides.private_rest().is_empty() {
                besides.private = Vec::new();
                besides.private_sent = 0;
            }
            n
        })
    }

    fn besides(&self) -> &Besides {
        self.besides.as_deref().unwrap_or(NOTHING)
    }

    /// Lets `change` change what there is besides the log, and gives its memory back when there is nothing.
    fn change<T>(&mut self, change: impl FnOnce(&mut Besides) -> T) -> T {
        let Some(besides) = &mut self.besides else {
            let mut besides = Besides::nothing();
            let changed = change(&mut besides);
            self.besides = (!besides.is_nothing()).then(|| Box::new(besides));
            return changed;
        };
        let changed = change(besides);
        if besides.is_nothing() {
            self.besides = None;
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> Log {
        Log::new(0, 0, 1 << 16)
    }

    fn say(log: &mut Log, text: &str) -> Range<u64> {
        log.append(text.len() + 1, 1 << 20, |out| {
            out.extend_from_slice(format!("{text}\n").as_bytes())
        })
    }

    /// Writes at most `n` bytes of what is owed.
    fn write(outbox: &mut Outbox, log: &mut Log, n: usize) -> String {
        let until = log.end();
        let mut slices = [IoSlice::new(&[]); 8];
        let filled = outbox.output(log, until, &mut slices);
        let mut bytes: Vec<u8> = slices[..filled]
            .iter()
            .flat_map(|slice| slice.to_vec())
            .collect();
        bytes.truncate(n);
        outbox.sent(log, until, bytes.len());
        String::from_utf8(bytes).unwrap()
    }

    fn drain(outbox: &mut Outbox, log: &mut Log, n: usize) -> String {
        let mut all = String::new();
        while outbox.owes(log.end()) {
            if outbox.skipped_lines() > 0 && outbox.private_bytes() == 0 {
                let lines = outbox.take_skipped();
                outbox.push_private(|out| out.extend_from_slice(format!("-{lines}\n").as_bytes()));
            }
            all += &write(outbox, log, n);
        }
        all
    }

    #[test]
    fn own_lines_are_left_out_at_every_write_size() {
        for n in 1..30 {
            let (mut log, mut outbox) = (log(), Outbox::default());
            outbox.enter(&mut log, 0);
            let mine = say(&mut log, "mine 0");
            outbox.said(&mut log, mine);
            say(&mut log, "one");
            for text in ["mine 1", "mine 2"] {
                let mine = say(&mut log, text);
                outbox.said(&mut log, mine);
            }
            assert_eq!(outbox.own_ranges(), 1, "neighbours are one stretch");
            say(&mut log, "two");
            let mine = say(&mut log, "mine 3");
            outbox.said(&mut log, mine);
            assert_eq!(drain(&mut outbox, &mut log, n), "one\ntwo\n");
            assert!(outbox.besides.is_none());
            assert_eq!(outbox.cursor(), log.end());
        }
    }

    #[test]
    fn private_bytes_go_out_between_lines_before_the_room() {
        for cut in 0..9 {
            let (mut log, mut outbox) = (log(), Outbox::default());
            outbox.enter(&mut log, 0);
            say(&mut log, "one");
            say(&mut log, "two");
            let before = write(&mut outbox, &mut log, cut);
            outbox.push_private(|out| out.extend_from_slice(b"psst\n"));
            let all = before + &drain(&mut outbox, &mut log, 2);
            let at = cut.div_ceil(4).min(2) * 4;
            let mut want = String::from("one\ntwo\n");
            want.insert_str(at, "psst\n");
            assert_eq!(all, want, "cut at {cut}");
        }
    }

    #[test]
    fn what_waits_and_what_is_held_is_counted() {
        let (mut log, mut outbox) = (log(), Outbox::default());
        outbox.enter(&mut log, 0);
        assert_eq!((outbox.private_bytes(), outbox.memory_bytes()), (0, 0));
        outbox.push_private(|out| out.extend_from_slice(b"12345\n"));
        say(&mut log, "another's");
        let own = say(&mut log, "its own");
        outbox.said(&mut log, own);
        assert_eq!(outbox.private_bytes(), 6);
        let held = outbox.memory_bytes();
        assert!(
            (size_of::<Besides>() + 6 + 16..300).contains(&held),
            "{held}"
        );
        assert_eq!(write(&mut outbox, &mut log, 4), "1234");
        // The memory is given back when all of it is written.
        assert_eq!((outbox.private_bytes(), outbox.memory_bytes()), (2, held));
        drain(&mut outbox, &mut log, 100);
        assert_eq!((outbox.private_bytes(), outbox.memory_bytes()), (0, 0));
    }

    #[test]
    fn who_never_takes_all_that_is_private_has_no_more_kept_for_it() {
        let (mut log, mut outbox) = (log(), Outbox::default());
        outbox.enter(&mut log, 0);
        outbox.push_private(|out| out.extend_from_slice(b"x"));
        for _ in 0..1000 {
            outbox.push_private(|out| out.extend_from_slice(&[b'x'; 100]));
            assert_eq!(write(&mut outbox, &mut log, 100).len(), 100);
            assert_eq!(outbox.private_bytes(), 1);
            assert!(outbox.memory_bytes() < 500, "{}", outbox.memory_bytes());
        }
    }

    #[test]
    fn a_skip_finishes_the_line_in_flight_and_counts_the_lines_of_others() {
        for cut in 0..4 {
            let (mut log, mut outbox) = (log(), Outbox::default());
            outbox.enter(&mut log, 0);
            say(&mut log, "one");
            let before = write(&mut outbox, &mut log, cut);
            say(&mut log, "two");
            let mine = say(&mut log, "mine");
            outbox.said(&mut log, mine);
            let target = say(&mut log, "three").end;
            say(&mut log, "four");
            let end = log.end();
            let lost = outbox.skip_to(&mut log, end, target);
            assert_eq!(outbox.skip_to(&mut log, end, target), 0);
            let all = before + &drain(&mut outbox, &mut log, 3);
            if cut == 0 {
                assert_eq!((lost, &*all), (3, "-3\nfour\n"));
            } else {
                assert_eq!((lost, &*all), (2, "one\n-2\nfour\n"));
            }
        }
    }

    #[test]
    fn a_second_skip_before_the_first_was_told_keeps_order_and_count() {
        let (mut log, mut outbox) = (log(), Outbox::default());
        outbox.enter(&mut log, 0);
        outbox.push_private(|out| out.extend_from_slice(b"reply\n"));
        let target = say(&mut log, "one").end;
        let end = log.end();
        outbox.skip_to(&mut log, end, target);
        let mut all = write(&mut outbox, &mut log, 3);
        let target = say(&mut log, "two").end;
        let end = log.end();
        outbox.skip_to(&mut log, end, target);
        say(&mut log, "three");
        all += &drain(&mut outbox, &mut log, 100);
        assert_eq!(all, "reply\n-2\nthree\n");
    }
}

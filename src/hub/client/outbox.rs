//! What to write next to one client, as borrowed slices: its private bytes, and its room's log from its cursor on. Never
//! copies a line of the room, but for the rest of the line in flight when the client is moved forward.
//!
//! ```text
//! private   │ a reply │ a private line │ now        a private line waits until the log before it has been written:
//!           └────────────────┐         └──────┐      each is written before what was said after it, after what was
//! log       ├── history ─────┴────────────────┴──┤     said before it
//! ```

use super::barriers::Barriers;
use super::crlf::Crlf;
use super::ignored::Ignored;
use super::pending::{EMPTY, Pending};
use super::private_lines::PrivateLines;
use super::segments::{Segment, segments};
use crate::hub::limits::OWN_RANGES_MAX;
use crate::hub::room::log::Log;
use std::io::IoSlice;
use std::ops::Range;

/// The output of one client.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Position in the room's log. Everything before it has been written to the client, was its own, or is counted in
    /// `skipped_lines`. Never at the start of one of the client's own lines.
    cursor: u64,
    /// `None` in the common case: nothing is to be written but the log.
    pending: Option<Box<Pending>>,
    /// The line at the cursor has been written in part.
    in_flight: bool,
    /// While the client is late, senders wait for it.
    awaited: bool,
    /// Somebody ignores the client: what it says is marked in the log. Here, where it takes no memory.
    pub is_ignored: bool,
    /// Others can read what the client is sent and sends. Here for the same reason.
    pub is_overheard: bool,
    /// Bytes that have been written to the client, in any room; no more than 4 GiB are counted.
    pub written: u32,
}

impl Outbox {
    /// Position in the room's log.
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Whether there is anything to write, with the log up to `until`.
    pub fn has_output(&self, until: u64) -> bool {
        self.private_bytes() > 0 || !self.has_delivered(until)
    }

    /// Whether the log has been written up to `until`, notices of skipped lines included.
    pub fn has_delivered(&self, until: u64) -> bool {
        self.cursor >= until && self.skipped_lines() == 0
    }

    /// Private bytes that are to be written.
    pub fn private_bytes(&self) -> usize {
        self.pending().private_rest().len()
    }

    /// Bytes of replies that are to be written: all private bytes but other clients' private lines.
    pub fn reply_bytes(&self) -> usize {
        self.private_bytes() - self.pending().lines.unsent_bytes()
    }

    /// The private lines of other clients that are to be written.
    pub fn private_lines(&self) -> &PrivateLines {
        &self.pending().lines
    }

    /// Lets `render` append a private line of the client in slot `sender`, to be written once the log has been up to
    /// `position`.
    pub fn push_line_of(&mut self, sender: u32, position: u64, render: impl FnOnce(&mut Vec<u8>)) {
        let before = self.private_bytes();
        self.push_private(position, render);
        let left = self.private_bytes();
        self.change(|pending| pending.lines.push(sender, left - before, left));
    }

    /// Memory besides the fixed record, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.pending.as_ref().map_or(0, |pending| {
            size_of::<Pending>()
                + pending.private.capacity()
                + pending.own.capacity() * size_of::<Range<u64>>()
                + pending.lines.memory_bytes()
                + pending.barriers.memory_bytes()
                + pending.ignored.memory_bytes()
        })
    }

    /// Ranges of the client's own lines after the cursor.
    pub fn own_ranges(&self) -> usize {
        self.pending().own.len()
    }

    /// Lines that the client will not receive, and has not been told of.
    pub fn skipped_lines(&self) -> u64 {
        self.pending().skipped_lines
    }

    /// Lets `render` append whole lines to the private bytes. They, and all after them, are written once the log has been
    /// up to `position`, the start of a line.
    pub fn push_private(&mut self, position: u64, render: impl FnOnce(&mut Vec<u8>)) {
        let is_ahead = self.cursor < position;
        self.change(|pending| {
            pending.remove_sent();
            if is_ahead {
                pending.barriers.push(pending.private.len(), position);
            }
            render(&mut pending.private);
        });
    }

    /// Begins to read a room's log at `at`, the start of a line. What stands in it already is history: its notices are left
    /// out.
    pub fn enter(&mut self, log: &mut Log, at: u64) {
        debug_assert!(!self.in_flight && self.own_ranges() == 0);
        self.cursor = at;
        self.awaited = true;
        log.enter(at);
        let end = log.end();
        if self.pending.is_some() {
            self.change(|pending| pending.ignored.enter(end));
        }
        if at < end {
            self.change(|pending| pending.history_until = end);
            self.move_to(log, at);
        }
    }

    /// Stops reading a room's log.
    pub fn leave(&mut self, log: &mut Log) {
        log.leave(self.cursor, self.awaited);
        self.change(|pending| {
            pending.own.clear();
            pending.barriers.clear();
            pending.history_until = 0;
        });
        self.in_flight = false;
    }

    /// If the client is late, senders stop waiting for it until it has caught up. Returns whether they have been waiting.
    pub fn stop_waiting_if_late(&mut self, log: &mut Log) -> bool {
        let stops = self.awaited && log.is_late(self.cursor);
        if stops {
            self.awaited = false;
            log.stop_waiting(self.cursor);
        }
        stops
    }

    /// Whether senders wait for the client while it is late.
    pub fn is_awaited(&self) -> bool {
        self.awaited
    }

    /// Senders wait again for the client while it is late.
    pub fn wait_again(&mut self, log: &mut Log) {
        if !self.awaited {
            self.awaited = true;
            log.wait_again(self.cursor);
        }
    }

    /// Leaves out `range`, at the log's end: the client itself said it.
    pub fn leave_out(&mut self, log: &mut Log, range: Range<u64>) {
        if self.cursor == range.start {
            self.move_to(log, range.end);
            return;
        }
        self.change(|Pending { own, .. }| match own.back_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => own.push_back(range),
        });
    }

    /// Lets `change` change whom the client ignores.
    pub fn change_ignored(&mut self, change: impl FnOnce(&mut Ignored)) {
        let cursor = self.cursor;
        self.change(|pending| {
            change(&mut pending.ignored);
            pending.ignored.passed(cursor);
        });
    }

    /// How many marks of what ignored persons have said a client that ignores somebody has before `target`.
    pub fn marks_before(&self, log: &Log, target: u64) -> usize {
        if self.pending().ignored.is_empty() || target <= self.cursor {
            return 0;
        }
        log.marks().count(self.cursor..target)
    }

    /// How lines to the client end: `Some` if with CR LF, not LF. The CRs are put in by `output`.
    pub fn crlf(&self) -> Option<Crlf> {
        self.pending().crlf
    }

    /// From now on lines to the client end with CR LF; what has been written of that.
    pub fn set_crlf(&mut self, crlf: Crlf) {
        self.change(|pending| pending.crlf = Some(crlf));
    }

    /// Fills `slices` with what to write next, with the log up to `until`; returns how many slices that is.
    pub fn output<'a>(&'a self, log: &'a Log, until: u64, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for segment in self.segments(log, until).take(slices.len()) {
            slices[filled] = IoSlice::new(match segment {
                Segment::Private(range) => &self.pending().private_rest()[range],
                Segment::Log(range) => log.bytes(range),
            });
            filled += 1;
        }
        filled
    }

    /// The first `n` bytes that [`output`](Outbox::output) returned have been written.
    pub fn sent(&mut self, log: &mut Log, until: u64, mut n: usize) {
        while n > 0 {
            let segment = self.segments(log, until).next();
            match segment.expect("no more is written than there was to write") {
                Segment::Private(range) => n -= self.private_sent(range.len().min(n)),
                Segment::Log(range) => {
                    let end = range.end.min(range.start + n as u64);
                    n -= (end - range.start) as usize;
                    self.log_sent(log, end);
                }
            }
        }
        // What is left out may be all that is left.
        if !self.pending().ignored.is_empty() {
            self.move_to(log, self.cursor);
        }
    }

    /// How many lines were skipped since this was last called; the client is told of them now.
    pub fn take_skipped(&mut self) -> u64 {
        self.change(|pending| std::mem::take(&mut pending.skipped_lines))
    }

    /// If lines were skipped, and nothing is to be written before their notice: lets `render` write it.
    pub fn tell_skipped(&mut self, until: u64, render: impl FnOnce(&mut Vec<u8>, u64)) {
        if self.skipped_lines() == 0 || self.pending().ready_bytes(self.cursor, until) > 0 {
            return;
        }
        self.change(|pending| {
            let mut notice = Vec::new();
            render(&mut notice, std::mem::take(&mut pending.skipped_lines));
            pending.push_front(&notice);
        });
    }

    /// Moves the cursor forward to `target`, the start of a line. The line in flight is finished from a copy of its rest.
    /// Lines of others between that and `until` are counted as skipped; returns how many.
    pub fn skip_to(&mut self, log: &mut Log, until: u64, target: u64) -> u64 {
        if target <= self.cursor {
            return 0;
        }
        let mut from = self.cursor;
        if self.in_flight {
            from = log.after_line(from);
            log.count_delivered(self.cursor..from);
            let rest = log.bytes(self.cursor..from);
            self.change(|pending| pending.push_front(rest));
            self.in_flight = false;
        }
        let target = target.max(from);
        let counted = from..target.min(until).max(from);
        let own = &self.pending().own;
        let own_lines: u64 = own
            .iter()
            .map(|range| range.start.max(counted.start)..range.end.min(counted.end))
            .filter(|range| range.start < range.end)
            .map(|range| log.lines_in(range))
            .sum();
        // Notices in history would not have been written either.
        let history_until = self.pending().history_until;
        let history = counted.start..counted.end.min(history_until).max(counted.start);
        let notices = log.lines_in(history.clone()) - log.said_in(history);
        let ignored_lines = self.pending().ignored.lines_in(log, counted.clone());
        let lost = log.lines_in(counted) - own_lines - notices - ignored_lines;
        self.change(|pending| pending.skipped_lines += lost);
        self.move_to(log, target);
        lost
    }

    /// Moves the cursor forward to `at`, and past what is left out there: notices in history, the client's own lines, and those
    /// of persons whom it ignores.
    fn move_to(&mut self, log: &mut Log, mut at: u64) {
        if self.pending.is_some() {
            at = self.after_left_out(log, at);
        }
        self.awaited = log.advance(self.cursor, at, self.awaited);
        self.cursor = at;
    }

    /// Apart, so that the common case stays short.
    #[inline(never)]
    fn after_left_out(&mut self, log: &Log, mut at: u64) -> u64 {
        self.change(|pending| {
            if at < pending.history_until {
                at = log.first_said(at..pending.history_until).start;
            }
            if at >= pending.history_until {
                pending.history_until = 0;
            }
            loop {
                if let Some(range) = pending.own.pop_front_if(|range| range.start <= at) {
                    at = at.max(range.end);
                } else if let Some(range) = pending.ignored.next(log, at, at + 1) {
                    at = range.end;
                } else {
                    break;
                }
            }
            pending.barriers.passed(at);
            pending.ignored.passed(at);
        });
        at
    }

    /// The range of the log to write, if nothing else is pending. This holds for nearly every delivery, and going through
    /// `segments` would cost half as much as all the rest of a visit.
    pub fn only_log(&self, until: u64) -> Option<Range<u64>> {
        (self.pending.is_none() && self.cursor < until).then_some(self.cursor..until)
    }

    fn segments<'a>(&'a self, log: &'a Log, until: u64) -> impl Iterator<Item = Segment> + 'a {
        segments(self.pending(), log, self.cursor..until, self.in_flight)
    }

    /// The log has been written up to `end`. Inlined: a call costs each delivery 18 instructions.
    #[inline(always)]
    pub fn log_sent(&mut self, log: &mut Log, end: u64) {
        self.in_flight = !log.is_line_start(end);
        log.count_delivered(self.cursor..end);
        self.move_to(log, end);
    }

    /// At most `n` private bytes have been written; returns how many.
    fn private_sent(&mut self, n: usize) -> usize {
        self.change(|pending| {
            let n = n.min(pending.private_rest().len());
            pending.private_sent += n;
            pending.lines.sent(n);
            pending.barriers.sent(n);
            if pending.private_rest().is_empty() {
                pending.private = Vec::new();
                pending.private_sent = 0;
                pending.lines = PrivateLines::new();
                pending.barriers = Barriers::new();
            }
            n
        })
    }

    fn pending(&self) -> &Pending {
        self.pending.as_deref().unwrap_or(EMPTY)
    }

    /// Lets `change` change what is pending, and gives the memory back when nothing is.
    fn change<T>(&mut self, change: impl FnOnce(&mut Pending) -> T) -> T {
        let Some(pending) = &mut self.pending else {
            let mut pending = Pending::empty();
            let changed = change(&mut pending);
            self.pending = (!pending.is_empty()).then(|| Box::new(pending));
            return changed;
        };
        let changed = change(pending);
        if pending.is_empty() {
            self.pending = None;
        }
        changed
    }

    /// Panics if an invariant is broken. For tests: looks at everything.
    pub fn check(&self, log: &Log, private_bytes_max: usize) {
        assert!((log.start()..=log.end()).contains(&self.cursor));
        let Some(pending) = &self.pending else { return };
        assert!(!pending.is_empty(), "memory is held for nothing");
        assert!(pending.private_sent < pending.private.len().max(1));
        assert!(self.private_bytes() <= private_bytes_max);
        assert!(pending.own.len() <= OWN_RANGES_MAX);
        pending.lines.check(self.private_bytes());
        pending
            .barriers
            .check(self.private_bytes(), self.cursor..log.end());
        pending.ignored.check(log.end());
        assert!(pending.history_until == 0 || self.cursor < pending.history_until);
        let mut after = self.cursor;
        for range in &pending.own {
            assert!(after < range.start && range.start < range.end && range.end <= log.end());
            after = range.end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> Log {
        Log::new(0, 0, 1 << 16, 100)
    }

    fn say(log: &mut Log, text: &str) -> Range<u64> {
        log.append(text.len() + 1, 1 << 20, |out| {
            out.extend_from_slice(format!("{text}\n").as_bytes())
        })
    }

    /// Writes at most `n` bytes.
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
        while outbox.has_output(log.end()) {
            if outbox.skipped_lines() > 0 && outbox.private_bytes() == 0 {
                let lines = outbox.take_skipped();
                outbox.push_private(0, |out| {
                    out.extend_from_slice(format!("-{lines}\n").as_bytes())
                });
            }
            all += &write(outbox, log, n);
        }
        all
    }

    #[test]
    fn own_lines_are_omitted_at_every_write_size() {
        for n in 1..30 {
            let (mut log, mut outbox) = (log(), Outbox::default());
            outbox.enter(&mut log, 0);
            let mine = say(&mut log, "mine 0");
            outbox.leave_out(&mut log, mine);
            say(&mut log, "one");
            for text in ["mine 1", "mine 2"] {
                let mine = say(&mut log, text);
                outbox.leave_out(&mut log, mine);
            }
            assert_eq!(outbox.own_ranges(), 1, "adjacent ranges are merged");
            say(&mut log, "two");
            let mine = say(&mut log, "mine 3");
            outbox.leave_out(&mut log, mine);
            assert_eq!(drain(&mut outbox, &mut log, n), "one\ntwo\n");
            assert!(outbox.pending.is_none());
            assert_eq!(outbox.cursor(), log.end());
        }
    }

    #[test]
    fn private_bytes_are_written_between_lines_and_before_the_rooms_next_line() {
        for cut in 0..9 {
            let (mut log, mut outbox) = (log(), Outbox::default());
            outbox.enter(&mut log, 0);
            say(&mut log, "one");
            say(&mut log, "two");
            let before = write(&mut outbox, &mut log, cut);
            outbox.push_private(0, |out| out.extend_from_slice(b"psst\n"));
            let all = before + &drain(&mut outbox, &mut log, 2);
            let at = cut.div_ceil(4).min(2) * 4;
            let mut want = String::from("one\ntwo\n");
            want.insert_str(at, "psst\n");
            assert_eq!(all, want, "cut at {cut}");
        }
    }

    #[test]
    fn private_bytes_and_memory_are_counted() {
        let (mut log, mut outbox) = (log(), Outbox::default());
        outbox.enter(&mut log, 0);
        assert_eq!((outbox.private_bytes(), outbox.memory_bytes()), (0, 0));
        outbox.push_private(0, |out| out.extend_from_slice(b"12345\n"));
        say(&mut log, "another's");
        let own = say(&mut log, "its own");
        outbox.leave_out(&mut log, own);
        assert_eq!(outbox.private_bytes(), 6);
        let held = outbox.memory_bytes();
        assert!(
            (size_of::<Pending>() + 6 + 16..300).contains(&held),
            "{held}"
        );
        assert_eq!(write(&mut outbox, &mut log, 4), "1234");
        // The memory is freed when all private bytes are written.
        assert_eq!((outbox.private_bytes(), outbox.memory_bytes()), (2, held));
        drain(&mut outbox, &mut log, 100);
        assert_eq!((outbox.private_bytes(), outbox.memory_bytes()), (0, 0));
    }

    #[test]
    fn memory_is_bounded_for_a_client_that_never_reads_all() {
        let (mut log, mut outbox) = (log(), Outbox::default());
        outbox.enter(&mut log, 0);
        outbox.push_private(0, |out| out.extend_from_slice(b"x"));
        for _ in 0..1000 {
            outbox.push_private(0, |out| out.extend_from_slice(&[b'x'; 100]));
            assert_eq!(write(&mut outbox, &mut log, 100).len(), 100);
            assert_eq!(outbox.private_bytes(), 1);
            assert!(outbox.memory_bytes() < 500, "{}", outbox.memory_bytes());
        }
    }

    #[test]
    fn a_skip_finishes_the_line_in_flight_and_counts_lines_of_others() {
        for cut in 0..4 {
            let (mut log, mut outbox) = (log(), Outbox::default());
            outbox.enter(&mut log, 0);
            say(&mut log, "one");
            let before = write(&mut outbox, &mut log, cut);
            say(&mut log, "two");
            let mine = say(&mut log, "mine");
            outbox.leave_out(&mut log, mine);
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
    fn two_skips_before_a_notice_keep_order_and_count() {
        let (mut log, mut outbox) = (log(), Outbox::default());
        outbox.enter(&mut log, 0);
        outbox.push_private(0, |out| out.extend_from_slice(b"reply\n"));
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

//! Numbered lines: one end writes them, the other can tell which are missing, come twice, or are not whole.
//!
//! A line is its number in eight digits, then filling up to [`LINE_BYTES`]; a receiver sees it behind the name of
//! whoever said it.

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::lab::Outcome;
use crate::lab::ear::{Ear, Line, Lines};
use crate::lab::load::Load;

/// A line as it is sent, newline included.
pub(crate) const LINE_BYTES: usize = 1000;
/// Digits of the number that a line begins with.
const DIGITS: usize = 8;
/// Lines that are written to the socket together, when it takes as many.
const BLOCK_LINES: u64 = 64;

/// A sender's supply of numbered lines, sent as fast as it may and the socket allows.
pub(crate) struct Source {
    /// Lines from here on have not been put into `block` yet.
    next: u64,
    /// The lines being sent.
    block: Vec<u8>,
    /// `block[..sent]` has been sent; 0 <= sent <= block.len().
    sent: usize,
}

impl Source {
    /// Begins with line 0.
    pub(crate) fn new() -> Self {
        Self {
            next: 0,
            block: Vec::new(),
            sent: 0,
        }
    }

    /// Sends of the lines before `limit` what the client's socket takes now, and says how many bytes that was.
    pub(crate) fn pump<E: Ear>(
        &mut self,
        load: &mut Load<E>,
        client: usize,
        limit: u64,
    ) -> Outcome<usize> {
        let mut pumped = 0;
        loop {
            if self.sent == self.block.len() {
                self.refill(limit);
            }
            match load.offer(client, &self.block[self.sent..])? {
                0 => return Ok(pumped),
                taken => {
                    self.sent += taken;
                    pumped += taken;
                }
            }
        }
    }

    /// Bytes sent so far.
    pub(crate) fn sent_bytes(&self) -> u64 {
        self.next * LINE_BYTES as u64 - (self.block.len() - self.sent) as u64
    }

    /// Whether all lines before `limit` are sent, to their last byte.
    pub(crate) fn has_sent(&self, limit: u64) -> bool {
        self.next >= limit && self.sent == self.block.len()
    }

    fn refill(&mut self, limit: u64) {
        let end = limit.min(self.next + BLOCK_LINES).max(self.next);
        self.block = numbered(self.next..end);
        self.sent = 0;
        self.next = end;
    }
}

/// The lines of these numbers, as they are sent.
pub(crate) fn numbered(numbers: Range<u64>) -> Vec<u8> {
    let mut lines = Vec::new();
    for number in numbers {
        lines.extend_from_slice(format!("{number:0DIGITS$} ").as_bytes());
        let line_end = lines.len().next_multiple_of(LINE_BYTES);
        lines.resize(line_end - 1, b'm');
        lines.push(b'\n');
    }
    lines
}

/// Hears numbered lines and keeps account of them: every number is received once, or it is missing.
#[derive(Default)]
pub(crate) struct Witness {
    /// Lines received.
    pub(crate) received: u64,
    /// Lines that the server said it has skipped.
    pub(crate) told_skipped: u64,
    /// Lines that the numbers say are missing.
    pub(crate) missing: u64,
    /// Lines that were not whole, came twice, or came after a later one.
    pub(crate) wrong: u64,
    /// The longest time between two reads that brought something.
    pub(crate) longest_gap: Duration,
    /// When something came last.
    last: Option<Instant>,
    /// The number that would come next if none were missing.
    expected: u64,
    lines: Lines,
}

impl Witness {
    /// Lines received and lines told as skipped: all there were, when the server's promise holds.
    pub(crate) fn accounted(&self) -> u64 {
        self.received + self.told_skipped
    }

    /// Forgets the silence so far: only gaps from now on count.
    pub(crate) fn restart_gaps(&mut self) {
        (self.last, self.longest_gap) = (None, Duration::ZERO);
    }

    fn receive(&mut self, line: &[u8]) {
        self.received += 1;
        match number_of(line) {
            Some(number) if number >= self.expected => {
                self.missing += number - self.expected;
                self.expected = number + 1;
            }
            _ => self.wrong += 1,
        }
    }
}

impl Ear for Witness {
    fn hear(&mut self, now: Instant, bytes: &[u8]) -> u64 {
        if let Some(last) = self.last.replace(now) {
            self.longest_gap = self.longest_gap.max(now - last);
        }
        let before = self.received;
        let mut lines = std::mem::take(&mut self.lines);
        lines.complete(bytes, |line| match Line::read(line) {
            Line::Said(line) => self.receive(line),
            Line::Skipped(count) => self.told_skipped += count,
            Line::Notice => {}
            Line::Refusal => self.wrong += 1,
        });
        self.lines = lines;
        self.received - before
    }
}

/// The number of a line as it is received, if the line is whole: `guest1: 00000042 mmm…`.
fn number_of(line: &[u8]) -> Option<u64> {
    let name = memchr::memmem::find(line, b": ")?;
    let text = &line[name + 2..];
    let digits = text.get(..DIGITS)?;
    let whole = text.len() == LINE_BYTES - 1 && text[DIGITS + 1..].iter().all(|&byte| byte == b'm');
    if whole {
        std::str::from_utf8(digits).ok()?.parse().ok()
    } else {
        None
    }
}

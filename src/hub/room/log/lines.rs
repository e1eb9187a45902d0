//! The lines of a log: where they begin, how many a range has, and which of them people have said. Changes nothing.

use super::{BLOCK, Log};
use crate::protocol;
use std::ops::Range;

impl Log {
    /// Whether a line begins at `at`, where the byte before is still in the buffer or `at` is where the log begins
    /// or ends.
    pub fn is_line_start(&self, at: u64) -> bool {
        at == self.end() || at == self.base || self.buffer[(at - self.base) as usize - 1] == b'\n'
    }

    /// The start of the line after the one that has a byte at `at`.
    pub fn after_line(&self, at: u64) -> u64 {
        let rest = self.bytes(at..self.end());
        memchr::memchr(b'\n', rest).map_or(self.end(), |newline| at + newline as u64 + 1)
    }

    /// Whether the line that begins at `at` is a notice: no line that a person says begins like one.
    pub(super) fn is_notice(&self, at: u64) -> bool {
        self.buffer[(at - self.base) as usize..].starts_with(protocol::NOTICE_MARK.as_bytes())
    }

    /// The first stretch in `range` of lines that people said, without the notices before it and at most about a block; at
    /// the range's end and empty if there is none. `range` ends where a line does, and may begin within a line.
    pub fn first_said(&self, range: Range<u64>) -> Range<u64> {
        let is_notice = |at| self.is_line_start(at) && self.is_notice(at);
        let mut from = range.start;
        while from < range.end && is_notice(from) {
            from = self.after_line(from);
        }
        let mut to = from;
        while to < range.end && to - from < BLOCK && !is_notice(to) {
            to = self.after_line(to);
        }
        from..to
    }

    /// How many lines end in `range` that people said; `range` is of whole lines. Searches all of it.
    pub fn said_in(&self, range: Range<u64>) -> u64 {
        let mut lines = 0;
        let mut said = self.first_said(range.clone());
        while said.start < said.end {
            lines += self.lines_in(said.clone());
            said = self.first_said(said.end..range.end);
        }
        lines
    }

    /// How many lines end in a range of the log. Searches all of it.
    pub fn newlines(&self, range: Range<u64>) -> u64 {
        memchr::memchr_iter(b'\n', self.bytes(range)).count() as u64
    }

    /// How many lines end in a range of the log. Searches at most one block at each side.
    pub fn lines_in(&self, range: Range<u64>) -> u64 {
        self.lines_before(range.end) - self.lines_before(range.start)
    }

    pub(super) fn lines_before(&self, at: u64) -> u64 {
        let block = &self.blocks[(at / BLOCK - self.first_block) as usize];
        let part = self.bytes(at / BLOCK * BLOCK..at);
        block.lines_before + memchr::memchr_iter(b'\n', part).count() as u64
    }
}

//! A room's log: each line is appended once, and every member reads it from there. Positions are absolute, counted in bytes
//! since the room was opened. Knows no reader, only how many readers are in each block.
//!
//! ```text
//!   base        start        history_start             cursor            end      positions, oldest first
//!    │  dead      │   live, in whole blocks   │           │ not yet read   │
//!    ├────────────┼──────────────┴────────────┼───────────┴────────────────┤
//!    buffer[0]    first block                 a newcomer begins here       the next line goes here
//! ```
//!
//! A block is forgotten once no reader is in it and history does not need it, so trimming is O(1) a block. Forgotten bytes
//! are dead until the buffer is compacted.

mod lines;

use super::marks::Marks;
use crate::hub::limits::{LOG_BLOCK_BYTES, LOG_DEAD_BYTES};
use std::collections::VecDeque;
use std::ops::Range;

/// Whole lines, the oldest first, in one contiguous buffer.
#[derive(Debug)]
pub struct Log {
    /// The bytes from `base` to `end`. Those before `start` are dead: no reader can be there.
    buffer: Vec<u8>,
    /// Position of `buffer[0]`: `base <= start`.
    base: u64,
    /// One entry for each block from that of `start` to that of `end`, both included; `start` is where the first
    /// block begins.
    blocks: VecDeque<Block>,
    /// Number of the first block: `start == first_block * LOG_BLOCK_BYTES`.
    first_block: u64,
    /// Lines since the room was opened.
    lines: u64,
    /// A position from which many members read, and the lines before it.
    counted: (u64, u64),
    /// What was written to a member last, and how many lines end there.
    last_written: (Range<u64>, u64),
    /// Lines that have been written to members, and have not been [taken](Log::take_delivered).
    delivered: u64,
    /// A newcomer begins to read here, at the start of a line: `start <= history_start <= end`.
    history_start: u64,
    /// Lines from `history_start` to `end` that people said: at most `history_lines_max`.
    history_lines: usize,
    history_lines_max: usize,
    history_bytes_max: usize,
    /// Readers in blocks before this one are late: `late_bytes` or more behind the end. It only grows,
    /// unless `late_bytes` changes.
    late_block: u64,
    late_bytes: u64,
    /// How many readers are late and awaited.
    late: u32,
    /// What was said by persons whom some reader ignores.
    marks: Marks,
}

/// `LOG_BLOCK_BYTES` bytes of the log.
#[derive(Debug, Default)]
struct Block {
    /// Readers whose position is in this block. While there are any it cannot be forgotten.
    readers: u32,
    /// Those of them that senders wait for while they are late: `0 <= awaited <= readers`.
    awaited: u32,
    /// Lines that end before this block begins.
    lines_before: u64,
}

const BLOCK: u64 = LOG_BLOCK_BYTES as u64;

impl Log {
    /// An empty log that keeps the last `history_lines_max` lines that people said for newcomers, as far as they fit into
    /// `history_bytes_max` bytes, and whose readers are late when they are `late_bytes` behind. It has at most `marks_max` marks.
    pub fn new(
        history_lines_max: usize,
        history_bytes_max: usize,
        late_bytes: usize,
        marks_max: usize,
    ) -> Log {
        Log {
            buffer: Vec::new(),
            base: 0,
            blocks: VecDeque::from([Block::default()]),
            first_block: 0,
            lines: 0,
            counted: (0, 0),
            last_written: (0..0, 0),
            delivered: 0,
            history_start: 0,
            history_lines: 0,
            history_lines_max,
            history_bytes_max,
            late_block: 0,
            late_bytes: late_bytes as u64,
            late: 0,
            marks: Marks::new(marks_max),
        }
    }

    /// Changes what [`new`](Log::new) has been told. Lines before the present history are none of a longer one.
    pub fn set_bounds(
        &mut self,
        history_lines_max: usize,
        history_bytes_max: usize,
        late_bytes: usize,
    ) {
        self.history_lines_max = history_lines_max;
        self.history_bytes_max = history_bytes_max;
        self.late_bytes = late_bytes as u64;
        self.late_block = self.end().saturating_sub(self.late_bytes) / BLOCK;
        let blocks = self.blocks.iter().zip(self.first_block..);
        let late = blocks.filter(|&(_, number)| number < self.late_block);
        self.late = late.map(|(block, _)| block.awaited).sum();
        self.trim_history();
        self.forget();
    }

    /// Gives back memory beyond `memory_bytes_max`, which the live bytes do not exceed.
    pub fn fit(&mut self, memory_bytes_max: usize) {
        if self.buffer.capacity() > memory_bytes_max {
            self.compact();
            self.buffer.shrink_to(memory_bytes_max);
        }
    }

    /// Where the next line will begin.
    pub fn end(&self) -> u64 {
        self.base + self.buffer.len() as u64
    }

    /// Where the oldest live byte is.
    pub fn start(&self) -> u64 {
        self.first_block * BLOCK
    }

    /// Bytes that are live.
    pub fn live_bytes(&self) -> usize {
        self.buffer.len() - self.dead_bytes()
    }

    /// Bytes of memory that the buffer takes.
    pub fn memory_bytes(&self) -> usize {
        self.buffer.capacity()
    }

    /// Where a newcomer begins to read.
    pub fn history_start(&self) -> u64 {
        self.history_start
    }

    /// How many lines that people said a newcomer reads.
    pub fn history_lines(&self) -> usize {
        self.history_lines
    }

    /// Appends one line: `render` pushes its bytes, the last of which is the only `\n`. Returns where it stands.
    ///
    /// The caller keeps the slowest reader close enough to the end: `live_bytes + line_bytes_max <= memory_bytes_max`.
    pub fn append(
        &mut self,
        line_bytes_max: usize,
        memory_bytes_max: usize,
        render: impl FnOnce(&mut Vec<u8>),
    ) -> Range<u64> {
        self.reserve(line_bytes_max, memory_bytes_max);
        let at = self.end();
        self.counted = (at, self.lines);
        let from = self.buffer.len();
        render(&mut self.buffer);
        let line = &self.buffer[from..];
        debug_assert_eq!(
            memchr::memchr(b'\n', line),
            line.len().checked_sub(1),
            "one line with one end"
        );
        debug_assert!(line.len() <= line_bytes_max, "no longer than announced");
        self.lines += 1;
        let end = self.end();
        let mut next = self.first_block + self.blocks.len() as u64;
        while next * BLOCK <= end {
            // A line that goes on in the block does not end before the block begins.
            let lines_before = self.lines - u64::from(next * BLOCK < end);
            self.blocks.push_back(Block {
                lines_before,
                ..Block::default()
            });
            next += 1;
        }
        let late_block = end.saturating_sub(self.late_bytes) / BLOCK;
        for block in self.late_block.max(self.first_block)..late_block {
            self.late += self.blocks[(block - self.first_block) as usize].awaited;
        }
        self.late_block = late_block;
        self.history_lines += usize::from(!self.is_notice(at));
        self.trim_history();
        self.forget();
        at..end
    }

    /// Shortens history to what it may be. Notices alone are no history.
    fn trim_history(&mut self) {
        let end = self.end();
        while self.history_lines_max > 0
            && self.history_lines > 0
            && (self.history_lines > self.history_lines_max
                || (end - self.history_start) as usize > self.history_bytes_max)
        {
            self.history_lines -= usize::from(!self.is_notice(self.history_start));
            self.history_start = self.after_line(self.history_start);
        }
        if self.history_lines_max == 0 || self.history_lines == 0 {
            (self.history_lines, self.history_start) = (0, end);
        }
    }

    /// The bytes of a range of the log.
    pub fn bytes(&self, range: Range<u64>) -> &[u8] {
        debug_assert!(
            self.start() <= range.start && range.start <= range.end && range.end <= self.end()
        );
        &self.buffer[(range.start - self.base) as usize..(range.end - self.base) as usize]
    }

    /// Marks the line at `range`, the log's last, as one that readers who ignore this person do not receive.
    pub fn mark(&mut self, range: Range<u64>, person: u32) {
        self.marks.push(range, person);
    }

    /// What was said by persons whom some reader ignores.
    pub fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Counts the lines that end in a range that has been written to a member: nearly always the same range as to the member
    /// before.
    #[inline]
    pub fn count_delivered(&mut self, range: Range<u64>) {
        if self.last_written.0 != range {
            self.count_anew(range);
        }
        self.delivered += self.last_written.1;
    }

    /// Counts the lines that end in `range`. Most ranges end at the log's end and begin with its last line: then nothing is
    /// searched.
    #[inline(never)]
    fn count_anew(&mut self, range: Range<u64>) {
        if self.counted.0 != range.start {
            self.counted = (range.start, self.lines_before(range.start));
        }
        let before_end = match range.end == self.end() {
            true => self.lines,
            false => self.lines_before(range.end),
        };
        self.last_written = (range, before_end - self.counted.1);
    }

    /// How many lines have been counted as delivered since this was last called.
    pub fn take_delivered(&mut self) -> u64 {
        std::mem::take(&mut self.delivered)
    }

    /// A reader begins to read at `at`. It is awaited.
    pub fn enter(&mut self, at: u64) {
        self.block(at).readers += 1;
        self.count_awaited(at, 1);
    }

    /// A reader at `at` stops reading.
    pub fn leave(&mut self, at: u64, awaited: bool) {
        self.block(at).readers -= 1;
        self.count_awaited(at, -i32::from(awaited));
        self.forget();
    }

    /// A reader moves forward. Returns whether it is awaited now: once it is not late any more, it is again.
    pub fn advance(&mut self, from: u64, to: u64, awaited: bool) -> bool {
        if from / BLOCK == to / BLOCK {
            return awaited;
        }
        self.count_awaited(from, -i32::from(awaited));
        let awaited = awaited || !self.is_late(to);
        self.count_awaited(to, i32::from(awaited));
        self.block(to).readers += 1;
        self.block(from).readers -= 1;
        self.forget();
        awaited
    }

    /// Senders stop waiting for a late reader until it has caught up.
    pub fn stop_waiting(&mut self, at: u64) {
        self.count_awaited(at, -1);
    }

    /// Senders wait again for a reader.
    pub fn wait_again(&mut self, at: u64) {
        self.count_awaited(at, 1);
    }

    /// Whether a reader at `at` is late.
    pub fn is_late(&self, at: u64) -> bool {
        at / BLOCK < self.late_block
    }

    /// How many readers are late and awaited.
    pub fn late(&self) -> u32 {
        self.late
    }

    fn count_awaited(&mut self, at: u64, change: i32) {
        let block = self.block(at);
        block.awaited = block.awaited.wrapping_add_signed(change);
        if self.is_late(at) {
            self.late = self.late.wrapping_add_signed(change);
        }
    }

    /// Gives back memory that is not needed while there is no reader. Marks are not: newcomers read history as it
    /// is.
    pub fn shrink(&mut self) {
        self.marks.forget(self.end());
        self.compact();
        self.buffer.shrink_to_fit();
    }

    fn block(&mut self, at: u64) -> &mut Block {
        &mut self.blocks[(at / BLOCK - self.first_block) as usize]
    }

    /// Forgets whole blocks that no reader is in and that history does not need: each block once.
    fn forget(&mut self) {
        while self.blocks.len() > 1
            && self.blocks[0].readers == 0
            && (self.first_block + 1) * BLOCK <= self.history_start
        {
            self.blocks.pop_front();
            self.first_block += 1;
            self.marks.forget(self.first_block * BLOCK);
        }
        let dead = self.dead_bytes();
        if dead >= LOG_DEAD_BYTES && dead >= self.buffer.len() - dead {
            self.compact();
        }
    }

    fn dead_bytes(&self) -> usize {
        (self.start() - self.base) as usize
    }

    /// Moves the live bytes to the front of the buffer.
    fn compact(&mut self) {
        self.buffer.drain(..self.dead_bytes());
        self.base = self.start();
    }

    /// Makes the buffer large enough for one more line, within `memory_bytes_max`. It grows by doubling, and is compacted
    /// only when it cannot grow: then at least a quarter of it is dead.
    fn reserve(&mut self, line_bytes_max: usize, memory_bytes_max: usize) {
        let need = self.buffer.len() + line_bytes_max;
        if need <= self.buffer.capacity() {
            return;
        }
        if need > memory_bytes_max {
            self.compact();
        }
        let need = self.buffer.len() + line_bytes_max;
        debug_assert!(
            need <= memory_bytes_max,
            "{need} bytes do not fit into {memory_bytes_max}"
        );
        if need > self.buffer.capacity() {
            let grown = need
                .max(2 * self.buffer.capacity())
                .min(memory_bytes_max.max(need));
            self.buffer.reserve_exact(grown - self.buffer.len());
        }
    }

    /// Panics if an invariant is broken. For tests: looks at everything.
    pub fn check(&self) {
        assert!(self.base <= self.start() && self.start() <= self.history_start);
        assert!(self.history_start <= self.end());
        assert!(self.history_lines <= self.history_lines_max);
        let blocks = self.first_block + self.blocks.len() as u64;
        assert_eq!(blocks - 1, self.end() / BLOCK);
        let mut late = 0;
        for (block, number) in self.blocks.iter().zip(self.first_block..) {
            assert!(block.awaited <= block.readers);
            late += u32::from(number < self.late_block) * block.awaited;
        }
        for (nth, block) in self.blocks.iter().enumerate().skip(1) {
            let end = (self.first_block + nth as u64) * BLOCK;
            let newlines = memchr::memchr_iter(b'\n', self.bytes(end - BLOCK..end)).count();
            let before = &self.blocks[nth - 1];
            assert_eq!(block.lines_before, before.lines_before + newlines as u64);
        }
        assert_eq!(self.late, late);
        self.marks.check(self.start()..self.end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY: usize = 64 * 1024;

    fn say(log: &mut Log, text: &str) -> Range<u64> {
        let range = log.append(text.len() + 1, MEMORY, |out| {
            out.extend_from_slice(text.as_bytes());
            out.push(b'\n');
        });
        log.check();
        range
    }

    #[test]
    fn lines_are_found_by_position_and_counted() {
        let mut log = Log::new(0, MEMORY, 16 * LOG_BLOCK_BYTES, 100);
        log.enter(0);
        let mut ranges = Vec::new();
        for i in 0..2000 {
            ranges.push(say(&mut log, &format!("line {i} {}", "x".repeat(i % 23))));
        }
        assert_eq!(
            log.bytes(ranges[7].clone()),
            format!("line 7 {}\n", "x".repeat(7)).as_bytes()
        );
        for (i, range) in ranges.iter().enumerate() {
            assert_eq!(log.lines_in(0..range.start), i as u64);
            assert_eq!(log.lines_in(range.start..log.end()), 2000 - i as u64);
            assert_eq!(log.after_line(range.start), range.end);
            assert!(log.is_line_start(range.start) && !log.is_line_start(range.start + 1));
        }
    }

    #[test]
    fn lines_that_all_have_read_are_dropped_and_memory_stays_small() {
        let mut log = Log::new(0, MEMORY, 16 * LOG_BLOCK_BYTES, 100);
        let mut at = 0;
        log.enter(at);
        for i in 0..100_000 {
            let range = say_fast(&mut log, i);
            log.advance(at, range.end, true);
            at = range.end;
        }
        log.check();
        assert!(
            log.live_bytes() <= LOG_BLOCK_BYTES + 64,
            "{}",
            log.live_bytes()
        );
        assert!(
            log.memory_bytes() <= 2 * LOG_DEAD_BYTES,
            "{}",
            log.memory_bytes()
        );
        log.leave(at, true);
        assert_eq!(log.blocks.iter().map(|block| block.readers).sum::<u32>(), 0);
    }

    fn say_fast(log: &mut Log, i: u32) -> Range<u64> {
        log.append(64, MEMORY, |out| {
            out.extend_from_slice(format!("guest{i}: hello\n").as_bytes())
        })
    }

    #[test]
    fn the_log_keeps_lines_for_the_slowest_reader_and_for_history() {
        let mut log = Log::new(3, 1 << 20, 16 * LOG_BLOCK_BYTES, 100);
        log.enter(0);
        let first = say(&mut log, "first");
        while log.end() < 3 * BLOCK {
            say(&mut log, &"y".repeat(100));
        }
        assert_eq!(log.bytes(first.clone()), b"first\n");
        assert_eq!(log.lines_in(log.history_start()..log.end()), 3);
        let end = log.end();
        log.advance(0, end, true);
        assert!(log.start() > 0 && log.start() <= log.history_start());
        log.check();
    }

    #[test]
    fn history_is_bounded_in_bytes_too() {
        let mut log = Log::new(1000, 1000, 16 * LOG_BLOCK_BYTES, 100);
        for _ in 0..100 {
            say(&mut log, &"z".repeat(98));
        }
        assert_eq!(log.end() - log.history_start(), 990);
        let mut log = Log::new(1000, 10, 16 * LOG_BLOCK_BYTES, 100);
        say(&mut log, "a line longer than history may be");
        assert_eq!(log.history_start(), log.end());
    }

    #[test]
    fn a_late_reader_counts_until_stop_waiting_and_again_after_it_has_caught_up() {
        let mut log = Log::new(0, MEMORY, 2 * LOG_BLOCK_BYTES, 100);
        log.enter(0);
        log.enter(0);
        while log.end() < 3 * BLOCK {
            assert_eq!(log.late(), 0);
            say(&mut log, &"y".repeat(98));
        }
        assert_eq!(log.late(), 2);
        log.stop_waiting(0);
        assert_eq!(log.late(), 1);
        let behind = log.after_line(BLOCK / 2);
        assert!(!log.advance(0, behind, false) && log.advance(0, behind, true));
        assert_eq!(log.late(), 1);
        let end = log.end();
        assert!(log.advance(behind, end, true));
        assert_eq!(log.late(), 0);
        assert!(log.advance(behind, end, false), "the reader has caught up");
        while log.end() < end + 4 * BLOCK {
            say(&mut log, &"y".repeat(98));
        }
        assert_eq!(log.late(), 2);
        log.leave(end, true);
        log.leave(end, true);
        assert_eq!(log.late(), 0);
    }

    #[test]
    fn a_log_without_readers_has_history_and_no_marks() {
        let mut log = Log::new(3, MEMORY, 16 * LOG_BLOCK_BYTES, 100);
        log.enter(0);
        for text in ["one", "two"] {
            let range = say(&mut log, text);
            log.mark(range, 7);
            say(&mut log, "another's");
        }
        let marks = log.marks().memory_bytes();
        assert!(marks > 0);
        log.leave(0, true);
        log.shrink();
        log.check();
        assert_eq!((log.history_lines(), log.marks().memory_bytes()), (3, 0));
    }

    #[test]
    fn the_buffer_never_exceeds_its_limit() {
        let mut log = Log::new(0, MEMORY, 16 * LOG_BLOCK_BYTES, 100);
        let mut at = 0;
        log.enter(at);
        for _ in 0..3_000 {
            while log.live_bytes() + 101 > MEMORY / 4 * 3 {
                let next = log.after_line(at);
                log.advance(at, next, true);
                at = next;
            }
            say(&mut log, &"w".repeat(100));
            assert!(log.memory_bytes() <= MEMORY);
        }
    }
}

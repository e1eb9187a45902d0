//! What moves the simulated clock: work, system calls and pauses since it was last read.

use std::cell::Cell;

/// What the server has done since it last looked at the clock.
#[derive(Debug, Default)]
pub struct Step {
    /// Nanoseconds that have not been added to the clock.
    pub ns: Cell<u64>,
    /// The hub's work at the last look, and the most between two looks.
    pub work: Cell<u64>,
    pub greatest_work: Cell<u64>,
    /// The process stops after so many looks, for so many microseconds.
    pub pause: Cell<Option<(u32, u64)>>,
    /// Until when the poll may wait: 0 once the clock has been read after that. Microseconds.
    pub waits_until: Cell<u64>,
    /// Microseconds of all such pauses, and of the parts that the server cannot tell from waiting.
    pub lost_us: Cell<u64>,
    pub hidden_us: Cell<u64>,
}

impl Step {
    /// The process has stopped for so long, and the poll might have waited for so long. Microseconds.
    pub fn note_pause(&self, us: u64, wait_us: u64) {
        let waited_us = us.min(wait_us);
        let is_noticed = us - waited_us > PAUSE_MIN_US;
        let hidden_us = if is_noticed { waited_us } else { us };
        self.hidden_us.set(self.hidden_us.get() + hidden_us);
        self.lost_us.set(self.lost_us.get() + us);
    }
}

/// A shorter pause is no pause to the server. Microseconds.
const PAUSE_MIN_US: u64 = 1_000_000;

/// Nanoseconds of a unit of work.
pub const WORK_NS: u64 = 2;

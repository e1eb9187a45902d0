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
    /// Microseconds of all such pauses.
    pub lost_us: Cell<u64>,
}

/// Nanoseconds of a unit of work.
pub const WORK_NS: u64 = 2;

//! How long a turn may be, in the time of the simulated clock, which moves with each system call and each unit of work: the
//! budgets of its phases, and the greatest step of each, since a phase ends only after the step that uses up its budget.

use super::faults::Faults;
use super::step::WORK_NS;
use madang::hub::limits::{
    ITEM_WORK, LIST_WORK, Limits, MOVE_WORK, NAME_WORK, NOTICE_WORK, REPLY_BYTES_MAX, SKIP_WORK,
    VISIT_WORK_ALONE_MAX,
};
use madang::net::budgets::{
    ACCEPT_US, CLOSE_US, HANDSHAKES_US, OPERATORS_US, READ_US, TIMERS_US, VISITS_A_LOOK, WRITE_US,
};

/// System calls of the greatest step of each phase. Accepting: failed tries, a newcomer, its refusal, and the unwanted input
/// of another connection.
const ACCEPT_CALLS_MAX: u64 = 8 + 3 + DISCARDS;
/// A look at a header and a read of it, then what accepting calls.
const HANDSHAKE_CALLS_MAX: u64 = 2 + 3 + DISCARDS;
const READ_CALLS_MAX: u64 = 1;
/// Two rounds of writes: to those that could not be written to before, and to others.
const WRITE_CALLS_MAX: u64 = 2 * VISITS_A_LOOK as u64;
/// One connection, and the unwanted input of another.
const CLOSE_CALLS_MAX: u64 = 1 + DISCARDS;

/// Reads of unwanted input before a connection is closed.
const DISCARDS: u64 = 16;

/// Phases of a turn, without accepting.
const PHASES: u64 = 6;

/// Work between two looks at the clock, with so many clients: one visit, which handles what was deferred and then what it
/// reads. The last item of each is the most expensive, and moves all members of a small room forward at once.
pub fn step_work_max(limits: &Limits, clients: usize) -> u64 {
    let item = ITEM_WORK + LIST_WORK + 2 * NAME_WORK + 2 * MOVE_WORK + 16 * NOTICE_WORK;
    let rendered = (REPLY_BYTES_MAX + 2 * limits.rendered_bytes_max()) as u64;
    let skips = clients as u64 * (SKIP_WORK + 3 * NOTICE_WORK);
    2 * (VISIT_WORK_ALONE_MAX + item + rendered + skips)
}

/// Microseconds of the longest turn.
pub fn turn_us_max(limits: &Limits, faults: Faults, listeners: u64, clients: usize) -> u64 {
    let calls = listeners * ACCEPT_CALLS_MAX
        + HANDSHAKE_CALLS_MAX
        + READ_CALLS_MAX
        + WRITE_CALLS_MAX
        + CLOSE_CALLS_MAX;
    let step_us = step_work_max(limits, clients) * WORK_NS / 1000 + 1;
    // Each phase looks at the clock before its first step and after its last one.
    let overrun_us = step_us + 2 * faults.clock_step_us;
    let budgets_us = listeners * ACCEPT_US
        + HANDSHAKES_US
        + READ_US
        + OPERATORS_US
        + WRITE_US
        + TIMERS_US
        + CLOSE_US;
    budgets_us + (PHASES + listeners) * overrun_us + calls * faults.syscall_ns / 1000
}

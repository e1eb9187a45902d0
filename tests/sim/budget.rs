//! How long a turn may be, in the time of the simulated clock, which moves with each system call and each unit of work: the
//! budgets of its phases, and the greatest step of each, since a phase ends only after the step that uses up its budget.

use super::network::{Faults, WORK_NS};
use madang::hub::limits::{
    ITEM_WORK, LIST_WORK, Limits, MOVE_WORK, NAME_WORK, NOTICE_WORK, REPLY_BYTES_MAX, SKIP_WORK,
    VISIT_WORK_ALONE_MAX,
};
use madang::net::scheduler::{ACCEPT_US, CLOSE_US, READ_US, TIMERS_US, VISITS_A_LOOK, WRITE_US};

/// System calls between two looks at the clock: two rounds of writes; or a connection that is closed or refused, and the
/// unwanted input of another.
const CALLS_MAX: u64 = 2 * VISITS_A_LOOK as u64;

/// Phases of a turn with one listener.
const PHASES: u64 = 5;

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
    let step_ns = step_work_max(limits, clients) * WORK_NS + CALLS_MAX * faults.syscall_ns;
    // Each phase looks at the clock before its first step and after its last one.
    let overrun_us = step_ns / 1000 + 2 * faults.clock_step_us + 1;
    let budgets_us = listeners * ACCEPT_US + READ_US + WRITE_US + TIMERS_US + CLOSE_US;
    budgets_us + (PHASES + listeners) * overrun_us
}

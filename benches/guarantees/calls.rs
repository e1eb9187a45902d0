//! The system calls with which the server delivers lines to a thousand members: which calls, and how many.

use crate::harness::group::Group;
use crate::harness::report::{CALLS, Goal, Report};
use crate::harness::{Harness, Outcome};
use crate::strace::{self, READS, Tracer, WAITS, WRITES};

const MEMBERS: usize = 1000;
/// How many members send in a burst.
const SENDERS: usize = 64;

/// Counts the system calls for lines that one member sends, each awaited by all; then for bursts in which 64 members
/// send at the same moment.
pub(crate) fn syscalls(harness: &Harness, report: &mut Report) -> Outcome<()> {
    let mut group = Group::of_members(MEMBERS, harness)?;
    group.say(0..1, 1)?;
    if !strace::is_installed() {
        report.note("calls not counted: strace is not installed");
        return Ok(());
    }

    let lines = harness.size(50, 10);
    let tracer = Tracer::attach(&group.server)?;
    for _ in 0..lines {
        group.say(0..1, 1)?;
    }
    let calls = tracer.finish()?;
    let a_line = |names| calls.of(names) / lines as f64;
    let (goal, others) = (Goal::AtMost(1.0), MEMBERS as f64 - 1.0);
    let each = a_line(WRITES) / others;
    report.row("writes a line and member", each, CALLS, goal);
    report.show("writes a line", a_line(WRITES), CALLS);
    report.show("reads a line", a_line(READS), CALLS);
    report.show("waits for events (turns) a line", a_line(WAITS), CALLS);
    let other_calls = match calls.others(&[WRITES, READS, WAITS]) {
        none if none.is_empty() => "none".to_owned(),
        others => others,
    };
    report.note(&format!("other calls in all {lines} lines: {other_calls}"));

    let bursts = harness.size(40, 4);
    let tracer = Tracer::attach(&group.server)?;
    for _ in 0..bursts {
        group.say(0..SENDERS, 1)?;
    }
    let calls = tracer.finish()?;
    group.check()?;
    let (writes, turns) = (calls.of(WRITES) / MEMBERS as f64, calls.of(WAITS));
    report.note(&format!("{SENDERS} lines at once"));
    let bursts = bursts as f64;
    let goal = Goal::AtMost(2.0);
    report.row("  writes a member and burst", writes / bursts, CALLS, goal);
    report.show("  turns a burst", turns / bursts, CALLS);
    report.note("under strace calls are slow, so there are many turns, which are bounded in time");
    Ok(())
}

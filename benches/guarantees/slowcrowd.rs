//! A room in which some members do not read: what they cost the others, what the server keeps for them, and whether
//! exactly the lines that they lost are reported when they read again.

use madang::bench::accounting::Totals;

use crate::harness::report::{
    Goal, LINES, MEBIBYTE, MEBIBYTES, MEMBERS, NANOSECONDS, Report, TIMES, number,
};
use crate::harness::{Harness, Outcome, UNANNOUNCED};
use crate::room::{LINE_BYTES, Room, Speed, nothing};

/// A small log, which is soon full.
const ROOM_LOG_BYTES: usize = 512 * 1024;
/// What the server may need beside the log: for each member that it skips lines for, the rest of the line that was in
/// flight, with its bookkeeping; and for everything else.
const SLOW_MEMBER_BYTES: usize = LINE_BYTES + 200;
const OTHER_BYTES: usize = 1024 * 1024;
/// Lines sent at once. All members that read receive them before the next are sent, so that they lose none.
const WINDOW_LINES: u64 = 30;
/// Windows until the sockets of members that do not read are full, and the server has begun to skip lines for them.
const FILLING_WINDOWS: u64 = 30;

/// Sends the same lines to three rooms: all members read, a hundredth do not, half do not.
pub(crate) fn slow_crowd(harness: &Harness, report: &mut Report) -> Outcome<()> {
    let members = harness.size(10_000, 2_000);
    harness.require_connections(members)?;
    let mut usual_ns = None;
    for slow in [0, members / 100, members / 2] {
        let counts = [slow, members].map(|count| number(count as f64, 0));
        let [few, all] = counts;
        report.note(&format!("{few} of {all} members do not read"));
        let delivery_ns = measure(harness, slow, members - 1 - slow, report)?;
        let usual_ns = *usual_ns.get_or_insert(delivery_ns);
        if slow > 0 {
            let name = "  beside a room in which all read";
            report.row(name, delivery_ns / usual_ns, TIMES, Goal::AtMost(1.2));
        }
    }
    Ok(())
}

/// Sends lines until the server skips lines for the slow members, then so many windows more, which are measured; then the
/// slow members read again. Returns the server's processor time for each line and member that reads, in nanoseconds.
fn measure(harness: &Harness, slow: usize, reading: usize, report: &mut Report) -> Outcome<f64> {
    let room_log = ROOM_LOG_BYTES.to_string();
    let flags = [UNANNOUNCED, &["--room-log", &room_log]].concat();
    let mut room = Room::gather(harness, &flags, slow, reading)?;
    if harness.load_has_its_own_core() {
        room.stay_awake();
    }
    let windows = harness.size(30, 10);
    let idle = room.server.resident_bytes()?;
    let (mut peak, mut before) = (idle, 0);
    for nth in 0..FILLING_WINDOWS + windows {
        if nth == FILLING_WINDOWS {
            before = room.server.cpu_ns()?;
        }
        room.send(WINDOW_LINES, Speed::unlimited(), &mut nothing)?;
        room.wait(&mut nothing)?;
        peak = peak.max(room.server.resident_bytes()?);
    }
    let used = room.server.cpu_ns_since(before)?;
    let delivery_ns = used as f64 / (windows * WINDOW_LINES * reading as u64) as f64;
    let contention = room.server.contention()?;
    room.finish()?;

    let name = "  CPU a delivery to the others";
    report.show(name, delivery_ns, NANOSECONDS);
    let most = ROOM_LOG_BYTES + slow * SLOW_MEMBER_BYTES + OTHER_BYTES;
    let (growth, goal) = ((peak - idle) as f64, Goal::AtMost(most as f64 / MEBIBYTE));
    let name = "  the server's memory grew by at most";
    report.row(name, growth / MEBIBYTE, MEBIBYTES, goal);
    report_accounts(&room, report);
    report.note_if(contention);
    Ok(delivery_ns)
}

/// Rows about the lines that the members received and that were reported to them as skipped.
fn report_accounts(room: &Room, report: &mut Report) {
    let (slow, others) = room.accounts();
    let lost: u64 = others.iter().map(|account| account.skipped).sum();
    let name = "  lost to members that read";
    report.row(name, lost as f64, LINES, Goal::MustBe(0.0));
    let accounts = slow.iter().chain(&others);
    let right = accounts.filter(|account| account.adds_up()).count();
    let average = |count: fn(&Totals) -> u64| {
        let sum: u64 = slow.iter().map(count).sum();
        number(sum as f64 / slow.len() as f64, 0)
    };
    let note = match slow[..] {
        [] => String::new(),
        _ => {
            let [received, skipped] = [average(|one| one.received), average(|one| one.skipped)];
            format!("the slow members: {received} + {skipped} on average")
        }
    };
    let name = "  members with received + skipped = sent";
    let goal = Goal::MustBe((slow.len() + others.len()) as f64);
    report.row_with_note(name, right as f64, MEMBERS, goal, &note);
    let name = "  lines damaged, twice or not reported";
    report.row(name, room.wrong() as f64, LINES, Goal::MustBe(0.0));
}

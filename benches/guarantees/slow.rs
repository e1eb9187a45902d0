//! A reader that is too slow: what it costs the others, and whether exactly the lines that it lost are reported to it.

use std::time::{Duration, Instant};

use crate::harness::report::{
    Goal, LINES, MEBIBYTE, MEBIBYTES, MILLISECONDS, Report, milliseconds, number,
};
use crate::harness::{Harness, Outcome};
use crate::room::{LINE_BYTES, Room, Speed, nothing};

/// How many readers keep up.
const HEALTHY: usize = 4;
/// The pace of the sender in [`slow`].
const BYTES_A_SECOND: f64 = 30e6;
/// What a slow reader reads, once in each [`READ_EVERY`].
const READ_BYTES: usize = 64 * 1024;
const READ_EVERY: Duration = Duration::from_millis(1);
/// How often the server's memory is measured: often enough to see a peak, too seldom to disturb the server.
const MEASURE_EVERY: Duration = Duration::from_millis(100);

/// The default of `--room-log`, and what the server may need beside it.
const GROWTH_MAX_MIB: f64 = 4.0 + 1.0;

/// One member never reads; the others must get all lines in time, and the server's memory must not grow.
pub(crate) fn slow(harness: &Harness, report: &mut Report) -> Outcome<()> {
    let lines = lines_in_mib(harness.size(100, 20));
    let mut room = Room::gather(harness, &["--slow", "skip"], 1, HEALTHY)?;
    let before = room.server.resident_bytes()?;
    let mut peak = before;
    let mut measured = Instant::now();
    let mut measure = |room: &mut Room| {
        if measured.elapsed() >= MEASURE_EVERY {
            measured = Instant::now();
            peak = peak.max(room.server.resident_bytes()?);
        }
        Ok(())
    };
    let start = Instant::now();
    let stall = room.send(lines, Speed::of(BYTES_A_SECOND), &mut measure)?;
    let pace = (lines as usize * LINE_BYTES) as f64 / start.elapsed().as_secs_f64() / 1e6;
    room.wait(&mut measure)?;
    let growth = peak.max(room.server.resident_bytes()?) - before;
    let gap = room.longest_gap();
    room.finish()?;

    let sent = number(lines as f64, 0);
    report.note(&format!("{sent} lines sent at {pace:.1} MB/s"));
    let name = "the sender's socket was full for at most";
    report.show(name, milliseconds(stall), MILLISECONDS);
    let name = "longest gap of a healthy reader";
    let goal = Goal::Below(50.0);
    report.row(name, milliseconds(gap), MILLISECONDS, goal);
    let goal = Goal::AtMost(0.0);
    report.row("lost to healthy readers", skipped(&room).1, LINES, goal);
    let name = "the server's memory grew by at most";
    let goal = Goal::AtMost(GROWTH_MAX_MIB);
    report.row(name, growth as f64 / MEBIBYTE, MEBIBYTES, goal);
    report_accounts("skip", &room, report)
}

/// A sender at full speed, under the two policies that close no connection.
pub(crate) fn full_speed(harness: &Harness, report: &mut Report) -> Outcome<()> {
    let lines = lines_in_mib(harness.size(100, 20));
    full_speed_skipping(harness, lines, report)?;
    full_speed_waiting(harness, lines, report)
}

/// One member does not read until the end. Every line that a reader did not get must be reported to it.
fn full_speed_skipping(harness: &Harness, lines: u64, report: &mut Report) -> Outcome<()> {
    let mut room = Room::gather(harness, &["--slow", "skip"], 1, HEALTHY)?;
    let start = Instant::now();
    room.send(lines, Speed::unlimited(), &mut nothing)?;
    room.wait(&mut nothing)?;
    note_speed(report, "skip", lines, start);
    room.finish()?;
    report_accounts("skip", &room, report)
}

/// One member reads slowly. No line is skipped, and the sender becomes as slow as that member.
fn full_speed_waiting(harness: &Harness, lines: u64, report: &mut Report) -> Outcome<()> {
    let mut room = Room::gather(harness, &["--slow", "wait"], 1, HEALTHY)?;
    let mut last_read = Instant::now();
    let mut read = |room: &mut Room| {
        if last_read.elapsed() >= READ_EVERY {
            last_read = Instant::now();
            room.read_slowly(READ_BYTES);
        }
        Ok(())
    };
    let start = Instant::now();
    room.send(lines, Speed::unlimited(), &mut read)?;
    room.expect_slow();
    room.wait(&mut read)?;
    note_speed(report, "wait", lines, start);
    room.finish()?;
    let (slow, healthy) = skipped(&room);
    let goal = Goal::MustBe(0.0);
    report.row("wait: lost to anyone", slow + healthy, LINES, goal);
    report_accounts("wait", &room, report)
}

/// A remark on how fast the lines went from the sender to all readers that were waited for.
fn note_speed(report: &mut Report, name: &str, lines: u64, start: Instant) {
    let megabytes = (lines as usize * LINE_BYTES) as f64 / 1e6;
    let speed = megabytes / start.elapsed().as_secs_f64();
    report.note(&format!(
        "{name}: {megabytes:.0} MB sent and received at {speed:.0} MB/s"
    ));
}

/// How many lines were reported as skipped to the slow reader, and to the healthy ones together.
fn skipped(room: &Room) -> (f64, f64) {
    let (slow, healthy) = room.accounts();
    let [slow, healthy] =
        [slow, healthy].map(|accounts| accounts.iter().map(|one| one.skipped).sum::<u64>());
    (slow as f64, healthy as f64)
}

/// A row for each reader: the lines received and those reported as skipped are all lines sent.
fn report_accounts(name: &str, room: &Room, report: &mut Report) -> Outcome<()> {
    let (slow, healthy) = room.accounts();
    let slow = slow
        .iter()
        .map(|account| ("the slow one".to_owned(), account));
    let healthy = healthy.iter().enumerate();
    let healthy = healthy.map(|(nth, account)| (format!("healthy {}", nth + 1), account));
    for (reader, account) in healthy.chain(slow) {
        let counts = [account.received, account.skipped].map(|count| number(count as f64, 0));
        let row = format!("{name}: {reader}, received + skipped");
        let (sum, note) = (account.received + account.skipped, counts.join(" + "));
        let goal = Goal::MustBe(room.sent() as f64);
        report.row_with_note(&row, sum as f64, LINES, goal, &note);
    }
    let name = format!("{name}: lines damaged, twice or not reported");
    report.row(&name, room.wrong() as f64, LINES, Goal::MustBe(0.0));
    report.note_if(room.server.contention()?);
    Ok(())
}

/// How many lines are so many MiB.
fn lines_in_mib(mebibytes: u64) -> u64 {
    mebibytes * 1024 * 1024 / LINE_BYTES as u64
}

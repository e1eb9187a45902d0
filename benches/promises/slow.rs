//! A reader that does not keep up: what it costs the others, and whether it is told exactly what it lost.

use std::time::{Duration, Instant};

use crate::lab::load::Load;
use crate::lab::report::{
    Goal, LINES, MEBIBYTE, MEBIBYTES, MILLISECONDS, Report, milliseconds, number,
};
use crate::lab::server::Server;
use crate::lab::{Lab, Outcome};
use crate::numbered::{LINE_BYTES, Witness};
use crate::room::{HEALTHY, Pace, Room, SLOW, all_readers, nothing};

/// The pace of a sender that keeps one.
const BYTES_A_SECOND: f64 = 30e6;
/// What a slow but willing reader takes, once in each [`SIP_EVERY`].
const SIP_BYTES: usize = 64 * 1024;
const SIP_EVERY: Duration = Duration::from_millis(1);
/// How often the server's memory is looked at: often enough for a peak, too seldom to disturb.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The default of `--room-log`, and what the server may need on top of it.
const GROWTH_MAX_MIB: f64 = 4.0 + 1.0;

/// One member never reads, the others want everything, and the server must not swell.
pub(crate) fn slow(lab: &Lab, report: &mut Report) -> Outcome<()> {
    let lines = lines_in_mib(lab.size(100, 20));
    let mut room = Room::gather(lab, &["--slow", "skip"])?;
    let before = room.server.resident_bytes()?;
    room.load.stop_reading(SLOW);

    let mut peak = before;
    let mut looked = Instant::now();
    let mut look = |_: &mut Load<Witness>, server: &Server| {
        if looked.elapsed() >= LOOK_EVERY {
            looked = Instant::now();
            peak = peak.max(server.resident_bytes()?);
        }
        Ok(())
    };
    let start = Instant::now();
    let stall = room.send(lines, Pace::of(BYTES_A_SECOND), &mut look)?;
    let pace = (lines as usize * LINE_BYTES) as f64 / start.elapsed().as_secs_f64() / 1e6;
    room.account(lines, &HEALTHY.collect::<Vec<_>>(), &mut look)?;
    let growth = (peak.max(room.server.resident_bytes()?) - before) as f64 / MEBIBYTE;
    let gaps = HEALTHY.map(|reader| room.load.ear(reader).longest_gap);
    let gap = gaps.max().unwrap_or_default();

    room.load.resume_reading(SLOW)?;
    room.account(lines, &all_readers(), &mut nothing)?;
    let sent = room.say_one_more(lines)?;
    let (gap, stall) = (milliseconds(gap), milliseconds(stall));
    let lost = room.lost_to(HEALTHY);
    report.note(&format!(
        "{} lines sent at {pace:.1} MB/s",
        number(sent as f64, 0)
    ));
    report.told(
        "the sender's socket was full for at most",
        stall,
        MILLISECONDS,
    );
    report.row(
        "longest gap of a healthy reader",
        gap,
        MILLISECONDS,
        Goal::Below(50.0),
    );
    report.row("lost to healthy readers", lost, LINES, Goal::AtMost(0.0));
    let most = Goal::AtMost(GROWTH_MAX_MIB);
    report.row(
        "the server's memory grew by at most",
        growth,
        MEBIBYTES,
        most,
    );
    room.report_accounts("skip", sent, report);
    report.note_if(room.server.company()?);
    Ok(())
}

/// As fast as it goes, under the two policies that let everybody stay.
pub(crate) fn full_speed(lab: &Lab, report: &mut Report) -> Outcome<()> {
    let lines = lines_in_mib(lab.size(100, 20));
    full_speed_skipping(lab, lines, report)?;
    full_speed_waiting(lab, lines, report)
}

/// One member does not read until the end. Whoever was not quick enough has been told by how much.
fn full_speed_skipping(lab: &Lab, lines: u64, report: &mut Report) -> Outcome<()> {
    let mut room = Room::gather(lab, &["--slow", "skip"])?;
    room.load.stop_reading(SLOW);
    let start = Instant::now();
    room.send(lines, Pace::unlimited(), &mut nothing)?;
    room.account(lines, &HEALTHY.collect::<Vec<_>>(), &mut nothing)?;
    note_speed(report, "skip", lines, start);
    room.load.resume_reading(SLOW)?;
    room.account(lines, &all_readers(), &mut nothing)?;
    let sent = room.say_one_more(lines)?;
    room.report_accounts("skip", sent, report);
    report.note_if(room.server.company()?);
    Ok(())
}

/// One member reads slowly, but it does read: nobody loses anything, and the sender is as fast as the slow one.
fn full_speed_waiting(lab: &Lab, lines: u64, report: &mut Report) -> Outcome<()> {
    let mut room = Room::gather(lab, &["--slow", "wait"])?;
    room.load.stop_reading(SLOW);
    let mut sipped = Instant::now();
    let mut sip = |load: &mut Load<Witness>, _: &Server| {
        if sipped.elapsed() >= SIP_EVERY {
            sipped = Instant::now();
            load.sip(SLOW, SIP_BYTES)?;
        }
        Ok(())
    };
    let start = Instant::now();
    room.send(lines, Pace::unlimited(), &mut sip)?;
    room.account(lines, &all_readers(), &mut sip)?;
    note_speed(report, "wait", lines, start);
    room.load.resume_reading(SLOW)?;
    let sent = room.say_one_more(lines)?;
    room.report_accounts("wait", sent, report);
    let lost = room.lost_to(all_readers());
    report.row("wait: lost to anyone", lost, LINES, Goal::MustBe(0.0));
    report.note_if(room.server.company()?);
    Ok(())
}

/// Says how fast all lines went from the sender to every reader that was awaited.
fn note_speed(report: &mut Report, name: &str, lines: u64, start: Instant) {
    let megabytes = (lines as usize * LINE_BYTES) as f64 / 1e6;
    let speed = megabytes / start.elapsed().as_secs_f64();
    report.note(&format!(
        "{name}: {megabytes:.0} MB sent and heard at {speed:.0} MB/s"
    ));
}

/// How many lines make so many MiB.
fn lines_in_mib(mebibytes: u64) -> u64 {
    mebibytes * 1024 * 1024 / LINE_BYTES as u64
}

//! A flood: whether clients that send as much as they can delay the lines of another client.

use std::time::{Duration, Instant};

use madang::bench::figure::difference;

use crate::harness::decoder::{MARK, Stamps};
use crate::harness::load::{Arrival, Load};
use crate::harness::report::{Goal, LINES, MILLISECONDS, Report, Rounds, milliseconds};
use crate::harness::server::Server;
use crate::harness::{ANNOUNCED_AFTER, Harness, Outcome};

/// The clients by number; those that flood follow.
const SENDER: usize = 0;
const LISTENER: usize = 1;
const FIRST_FLOODER: usize = 2;

/// The shortest line, and how many of them one write has.
const TINY_LINE: &[u8] = b"a\n";
const TINY_LINES_A_WRITE: usize = 16 * 1024;

/// How often the sender sends a line.
const SEND_EVERY: Duration = Duration::from_millis(5);

/// How long the last lines are waited for after the flood.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// How late a stamped line is while the room is flooded: by one client, and by so many that a round of the room lets only
/// a few of them send.
pub(crate) fn flood(harness: &Harness, report: &mut Report) -> Outcome<()> {
    flood_by(1, Goal::AtMost(10.0), harness, report)?;
    flood_by(60, Goal::AtMost(50.0), harness, report)
}

fn flood_by(
    flooders: usize,
    p99_goal: Goal,
    harness: &Harness,
    report: &mut Report,
) -> Outcome<()> {
    let server = Server::madang(harness, &[])?;
    let mut load = Load::<Stamps>::new(server.address, Arrival::Greeted)?;
    load.admit(FIRST_FLOODER + flooders, 1)?;
    load.poll_for(ANNOUNCED_AFTER)?;

    let writes = TINY_LINE.repeat(TINY_LINES_A_WRITE);
    let (start, end) = (Instant::now(), Duration::from_secs(harness.size(6, 2)));
    let (mut flooded, mut said) = (vec![0; flooders], 0);
    while start.elapsed() < end {
        if start.elapsed() >= SEND_EVERY * said {
            said += 1;
            let line = format!("{}{}\n", char::from(MARK), load.now_ns());
            load.send(SENDER, line.as_bytes())?;
        }
        for (nth, flooded) in flooded.iter_mut().enumerate() {
            let rest = &writes[*flooded % TINY_LINE.len()..];
            *flooded += load.offer(FIRST_FLOODER + nth, rest);
        }
        load.poll(Duration::ZERO)?;
    }
    // A skipped line never comes: that is a figure below, and not an error.
    let expected = said as usize;
    let deadline = Instant::now() + LAST_WAIT;
    while load.decoder(LISTENER).received.len() < expected && Instant::now() < deadline {
        load.poll(Duration::from_millis(1))?;
    }

    let received = &load.decoder(LISTENER).received;
    let missing = difference("lines lost", said.into(), received.len() as u64)?;
    let late = |&(stamp, arrived)| difference("lateness in nanoseconds", arrived, stamp);
    let delays = received
        .iter()
        .map(late)
        .collect::<Result<Vec<u64>, String>>()?;
    if delays.is_empty() {
        return Err(format!("none of {expected} lines has arrived during the flood").into());
    }
    let in_ms = |&ns: &u64| milliseconds(Duration::from_nanos(ns));
    let delays = Rounds::of(delays.iter().map(in_ms));
    let [median, p99, longest] = [0.5, 0.99, 1.0].map(|share| delays.quantile(share));
    let flooded: usize = flooded.iter().sum();
    let flood_rate = (flooded / TINY_LINE.len()) as f64 / end.as_secs_f64() / 1e6;
    report.note(&format!(
        "{flooders} flooding: the server took {flood_rate:.2} million tiny lines a second"
    ));
    report.note("how late another member's line was");
    report.show("  median", median, MILLISECONDS);
    report.row("  99th percentile", p99, MILLISECONDS, p99_goal);
    report.show("  longest", longest, MILLISECONDS);
    let (name, goal) = ("  of the lines sent, not received", Goal::AtMost(0.0));
    report.row(name, missing as f64, LINES, goal);
    report.note_if(server.contention()?);
    Ok(())
}

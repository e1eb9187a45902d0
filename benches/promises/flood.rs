//! A flood: whether clients that send as much as they can delay what another says to a third.

use std::time::{Duration, Instant};

use crate::lab::ear::{MARK, StampEar};
use crate::lab::load::{Arrival, Load};
use crate::lab::report::{Goal, LINES, MILLISECONDS, Report, Rounds, milliseconds};
use crate::lab::server::Server;
use crate::lab::{ANNOUNCED_AFTER, Lab, Outcome};

/// The clients, by number; those that flood come after them.
const SPEAKER: usize = 0;
const LISTENER: usize = 1;
const FIRST_FLOODER: usize = 2;

/// The shortest line there is, and how many of them go into one write.
const TINY_LINE: &[u8] = b"a\n";
const TINY_LINES_A_WRITE: usize = 16 * 1024;

/// How often the speaker speaks.
const SAY_EVERY: Duration = Duration::from_millis(5);

/// How long the last lines are waited for when the flood is over.
const LAST_CALL: Duration = Duration::from_secs(5);

/// How late a stamped line is while the room is flooded: by one, and by so many that a round of the room takes but a
/// few of them.
pub(crate) fn flood(lab: &Lab, report: &mut Report) -> Outcome<()> {
    flood_by(1, Goal::AtMost(10.0), lab, report)?;
    flood_by(60, Goal::AtMost(50.0), lab, report)
}

fn flood_by(flooders: usize, p99_goal: Goal, lab: &Lab, report: &mut Report) -> Outcome<()> {
    let server = Server::madang(lab, &[])?;
    let mut load = Load::<StampEar>::new(server.address, Arrival::Greeted)?;
    load.admit(FIRST_FLOODER + flooders, 1)?;
    load.listen_for(ANNOUNCED_AFTER)?;

    let writes = TINY_LINE.repeat(TINY_LINES_A_WRITE);
    let (start, end) = (Instant::now(), Duration::from_secs(lab.size(6, 2)));
    let (mut flooded, mut said) = (vec![0; flooders], 0);
    while start.elapsed() < end {
        if start.elapsed() >= SAY_EVERY * said {
            said += 1;
            let stamp = start.elapsed().as_nanos();
            let line = format!("{}{stamp}\n", char::from(MARK));
            load.send(SPEAKER, line.as_bytes())?;
        }
        for (nth, flooded) in flooded.iter_mut().enumerate() {
            let rest = &writes[*flooded % TINY_LINE.len()..];
            *flooded += load.offer(FIRST_FLOODER + nth, rest)?;
        }
        load.turn(Duration::ZERO)?;
    }
    // A line that was skipped never comes: that is a figure below, not a reason to fail.
    let expected = said as usize;
    let last_call = Instant::now() + LAST_CALL;
    while load.ear(LISTENER).heard.len() < expected && Instant::now() < last_call {
        load.turn(Duration::from_millis(1))?;
    }

    let heard = &load.ear(LISTENER).heard;
    if heard.is_empty() {
        return Err(
            format!("none of {expected} lines said into the flood has come through").into(),
        );
    }
    let delays = Rounds::of(heard.iter().map(|&(stamp, arrived)| {
        let said_at = start + Duration::from_nanos(stamp);
        milliseconds(arrived - said_at)
    }));
    let (median, p99, longest) = (
        delays.quantile(0.5),
        delays.quantile(0.99),
        delays.quantile(1.0),
    );
    let missing = (expected - heard.len()) as f64;
    let flooded: usize = flooded.iter().sum();
    let flood_rate = (flooded / TINY_LINE.len()) as f64 / end.as_secs_f64() / 1e6;
    report.note(&format!(
        "{flooders} flooding: the server took {flood_rate:.2} million tiny lines a second"
    ));
    report.note("how late another member's line came");
    report.told("  median", median, MILLISECONDS);
    report.row("  99th percentile", p99, MILLISECONDS, p99_goal);
    report.told("  longest", longest, MILLISECONDS);
    report.row(
        "  of the lines said, not heard",
        missing,
        LINES,
        Goal::AtMost(0.0),
    );
    report.note_if(server.company()?);
    Ok(())
}

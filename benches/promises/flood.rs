//! A flood: whether one client that sends as much as it can delays what another says to a third.

use std::time::{Duration, Instant};

use crate::Outcome;
use crate::ear::{STAMP, StampEar};
use crate::lab::{ANNOUNCED_AFTER, Lab};
use crate::load::{Arrival, Load};
use crate::report::{Goal, LINES, MILLISECONDS, Report, Rounds, milliseconds};
use crate::server::Server;

/// The clients, by number.
const FLOODER: usize = 0;
const SPEAKER: usize = 1;
const LISTENER: usize = 2;
const MEMBERS: usize = 3;

/// The shortest line there is, and how many of them go into one write.
const TINY_LINE: &[u8] = b"a\n";
const TINY_LINES_A_WRITE: usize = 16 * 1024;

/// How often the speaker speaks.
const SAY_EVERY: Duration = Duration::from_millis(5);

/// How long the last lines are waited for when the flood is over.
const LAST_CALL: Duration = Duration::from_secs(5);

/// How late a stamped line is while the room is flooded.
pub(crate) fn flood(lab: &Lab, report: &mut Report) -> Outcome<()> {
    let server = Server::madang(lab, &[])?;
    let mut load = Load::<StampEar>::new(server.address, Arrival::Greeted)?;
    load.admit(MEMBERS, 1)?;
    load.listen_for(ANNOUNCED_AFTER)?;

    let writes = TINY_LINE.repeat(TINY_LINES_A_WRITE);
    let (start, end) = (Instant::now(), Duration::from_secs(lab.size(6, 2)));
    let (mut flooded, mut said) = (0, 0);
    while start.elapsed() < end {
        if start.elapsed() >= SAY_EVERY * said {
            said += 1;
            let stamp = start.elapsed().as_nanos();
            let line = format!("{}{stamp}\n", char::from(STAMP));
            load.send(SPEAKER, line.as_bytes())?;
        }
        flooded += load.offer(FLOODER, &writes[flooded % TINY_LINE.len()..])?;
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
    let flood_rate = (flooded / TINY_LINE.len()) as f64 / end.as_secs_f64() / 1e6;
    report.note(&format!(
        "the server took {flood_rate:.2} million tiny lines a second"
    ));
    report.note("how late another member's line came");
    report.told("  median", median, MILLISECONDS);
    report.row("  99th percentile", p99, MILLISECONDS, Goal::AtMost(10.0));
    report.told("  longest", longest, MILLISECONDS);
    report.row(
        "  of the lines said, not heard",
        missing,
        LINES,
        Goal::AtMost(0.0),
    );
    server.note_company(report)
}

//! `--slow wait`: a reader that reads a little all the time holds up its room for a bounded time.

use std::time::{Duration, Instant};

use crate::flooders::Flooders;
use crate::harness::decoder::Count;
use crate::harness::load::{Arrival, Load};
use crate::harness::report::{Goal, LINES, Report, SECONDS};
use crate::harness::server::Server;
use crate::harness::{Harness, Outcome};
use crate::pair::Pair;

/// What the slow reader reads, and how often: 12 KB a second.
const READ_BYTES: usize = 1_200;
const READ_EVERY: Duration = Duration::from_millis(100);
/// How much longer than `--slow-timeout` the room may stand still: it is not full all the time.
const SLACK_S: f64 = 2.0;
const SLOW: usize = 0;

/// A member floods, one reads slowly, and a pair talks.
pub(crate) fn wait(harness: &Harness, report: &mut Report) -> Outcome<()> {
    let timeout_s = harness.size(5, 1);
    let timeout = timeout_s.to_string();
    let flags = ["--slow", "wait", "--slow-timeout", &timeout];
    let server = Server::madang(harness, &flags)?;
    let mut pair = Pair::gather(server.address, Arrival::Greeted, 1)?;
    let mut slow = Load::<Count>::new(server.address, Arrival::Greeted)?;
    slow.connect_slow();
    slow.allow_closing();
    slow.admit(1, 1)?;
    slow.pause(SLOW);
    let line = |_| ["x".repeat(999), "\n".into()].concat().into_bytes();
    let mut flooder = Flooders::gather(server.address, 1, Arrival::Greeted, line)?;

    let time = Duration::from_secs(2 * timeout_s + 1);
    let (mut read, mut moved) = (Instant::now(), Instant::now());
    let (mut stood_still, mut sent) = (Duration::ZERO, 0);
    let latency = pair.talk(time, || {
        flooder.step()?;
        if flooder.sent_bytes() > sent {
            stood_still = stood_still.max(moved.elapsed());
            (sent, moved) = (flooder.sent_bytes(), Instant::now());
        }
        if read.elapsed() >= READ_EVERY {
            read = Instant::now();
            slow.read_paused(SLOW, READ_BYTES)?;
        }
        Ok(())
    })?;
    stood_still = stood_still.max(moved.elapsed());

    let flood = sent as f64 / 1e6;
    report.note(&format!(
        "--slow-timeout {timeout_s}; {flood:.0} MB sent in {time:?}"
    ));
    let name = "the room stood still for at most";
    let goal = Goal::AtMost(timeout_s as f64 + SLACK_S);
    report.row(name, stood_still.as_secs_f64(), SECONDS, goal);
    report.row(
        "lines that others lost",
        latency.lost as f64,
        LINES,
        Goal::MustBe(0.0),
    );
    slow.resume(SLOW);
    slow.until("the slow reader to be closed", |slow| {
        Ok(slow.is_closed(SLOW))
    })?;
    report.note_if(server.contention()?);
    Ok(())
}

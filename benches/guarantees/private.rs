//! Private lines: whether those of a friend arrive at a reader that others flood with theirs.

use std::time::{Duration, Instant};

use crate::flooders::Flooders;
use crate::harness::decoder::{MARK, Stamps};
use crate::harness::load::{Arrival, Load};
use crate::harness::report::{Goal, LINES, Report};
use crate::harness::server::Server;
use crate::harness::{Harness, Outcome};

/// The friend's lines, and how often one is sent.
const FRIENDLY_LINES: usize = 23;
const SAY_EVERY: Duration = Duration::from_millis(100);
/// What the reader reads, and how often: 200 KB a second.
const READ_BYTES: usize = 2_000;
const READ_EVERY: Duration = Duration::from_millis(10);
/// How long the last lines are waited for.
const LAST_WAIT: Duration = Duration::from_secs(3);
const READER: usize = 0;
const FRIEND: usize = 1;

/// A reader is flooded by one client, then by several.
pub(crate) fn private(harness: &Harness, report: &mut Report) -> Outcome<()> {
    for flooders in harness.size(&[1, 4, 20][..], &[4]) {
        flood(*flooders, harness, report)?;
    }
    Ok(())
}

fn flood(flooders: usize, harness: &Harness, report: &mut Report) -> Outcome<()> {
    let server = Server::madang(harness, &[])?;
    let arrival = Arrival::Answered {
        hello: |id| format!("/nick {}\n", ["reader", "friend"][id]).into_bytes(),
        answer: b"* you are now ",
    };
    let mut friends = Load::<Stamps>::new(server.address, arrival)?;
    friends.connect_slow();
    friends.admit(2, 1)?;
    friends.pause(READER);
    let lines = |_| format!("/msg reader {}\n", "x".repeat(100)).into_bytes();
    let mut flood = Flooders::gather(server.address, flooders, Arrival::Greeted, lines)?;

    let (start, mut reads, mut said) = (Instant::now(), 0, 0);
    // The friend receives what it has sent, too: the confirmation.
    let received = |friends: &Load<Stamps>| friends.decoder(READER).received.len();
    let end = SAY_EVERY * FRIENDLY_LINES as u32 + LAST_WAIT;
    while received(&friends) < FRIENDLY_LINES && start.elapsed() < end {
        flood.step()?;
        // Not before the reader has private lines of others to read.
        if said < FRIENDLY_LINES && start.elapsed() >= SAY_EVERY * (said as u32 + 3) {
            said += 1;
            let line = format!("/msg reader {}{}\n", char::from(MARK), friends.now_ns());
            friends.send(FRIEND, line.as_bytes())?;
        }
        while start.elapsed() >= READ_EVERY * reads {
            reads += 1;
            friends.read_paused(READER, READ_BYTES)?;
        }
        friends.poll(Duration::ZERO)?;
    }
    let arrived = received(&friends);
    let latest_ns = friends
        .decoder(READER)
        .received
        .iter()
        .map(|(stamp, at)| at - stamp)
        .max();
    let latest = Duration::from_nanos(latest_ns.unwrap_or_default());
    let name = format!("{flooders} flooding: of a friend's {FRIENDLY_LINES} lines, lost");
    let (lost, note) = (
        FRIENDLY_LINES - arrived,
        format!("the latest after {latest:.1?}"),
    );
    report.row_with_note(&name, lost as f64, LINES, Goal::AtMost(0.0), &note);
    report.note_if(server.contention()?);
    Ok(())
}

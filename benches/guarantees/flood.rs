//! Floods: whether clients that say as much as they can delay the lines of others.

use std::time::Duration;

use crate::background::beside;
use crate::flooders::Flooders;
use crate::harness::load::Arrival;
use crate::harness::report::Report;
use crate::harness::server::Server;
use crate::harness::{ANNOUNCED_AFTER, Harness, Outcome};
use crate::pair::{IN_ROOM, Limit, Pair, report_longest_turn};

/// The shortest line.
const TINY_LINE: &[u8] = b"a\n";
/// Bytes of a line that only consists of control characters, each of which becomes three bytes; less than `--max-line`.
const GROWING_BYTES: usize = 8_000;

/// Members of the quiet room, the one that speaks included.
const QUIET_MEMBERS: usize = 200;
/// How often it says a line. Each is some milliseconds of work for the load, which receives it 199 times.
const QUIET_EVERY: Duration = Duration::from_millis(20);
const FLOODED_ROOMS: usize = 300;
/// As many as flood in each of them.
const FLOODED_MEMBERS: usize = 2;

/// How late a line is in a room that is flooded: by one client, and by so many that a round of the room lets only a few of
/// them send.
pub(crate) fn flood(harness: &Harness, report: &mut Report) -> Outcome<()> {
    flood_one_room(1, TINY_LINE, 10.0, harness, report)?;
    flood_one_room(60, TINY_LINE, 50.0, harness, report)
}

/// The same with lines that grow most when they are rendered.
pub(crate) fn growing(harness: &Harness, report: &mut Report) -> Outcome<()> {
    // A bell, since a first line of other control characters is another protocol's.
    let line = [vec![7; GROWING_BYTES], b"\n".to_vec()].concat();
    flood_one_room(60, &line, 50.0, harness, report)
}

fn flood_one_room(
    flooders: usize,
    line: &[u8],
    p99_ms: f64,
    harness: &Harness,
    report: &mut Report,
) -> Outcome<()> {
    let server = Server::madang_with_log(harness, &[])?;
    let mut pair = Pair::gather(server.address, Arrival::Greeted, 1)?;
    let lines = |_| line.to_vec();
    let mut flooders = Flooders::gather(server.address, flooders, Arrival::Greeted, lines)?;
    report.note(&format!("{} flooding", flooders.count()));
    measure(&mut pair, &mut flooders, p99_ms, harness, report)?;
    drop((pair, flooders));
    report_longest_turn(server, report)
}

/// How late lines are in a quiet room, while all members of many small rooms flood.
pub(crate) fn quiet(harness: &Harness, report: &mut Report) -> Outcome<()> {
    harness.require_connections(QUIET_MEMBERS + FLOODED_ROOMS * FLOODED_MEMBERS)?;
    let server = Server::madang_with_log(harness, &[])?;
    let mut pair = Pair::gather(server.address, IN_ROOM, QUIET_MEMBERS - 1)?;
    pair.set_pace(QUIET_EVERY);
    let arrival = Arrival::Answered {
        hello: |id| format!("/join r{}\n", id / FLOODED_MEMBERS).into_bytes(),
        answer: b"* you are in r",
    };
    let lines = |_| TINY_LINE.to_vec();
    let flooding = FLOODED_ROOMS * FLOODED_MEMBERS;
    let mut flooders = Flooders::gather(server.address, flooding, arrival, lines)?;
    measure(&mut pair, &mut flooders, 25.0, harness, report)?;
    drop((pair, flooders));
    report_longest_turn(server, report)
}

fn measure(
    pair: &mut Pair,
    flooders: &mut Flooders,
    p99_ms: f64,
    harness: &Harness,
    report: &mut Report,
) -> Outcome<()> {
    pair.set_sleeping();
    pair.talk(ANNOUNCED_AFTER, || Ok(()))?;
    let time = Duration::from_secs(harness.size(6, 2));
    flooders.warm_up()?;
    let before = flooders.sent_bytes();
    let latency = beside(|| flooders.step(), || pair.talk(time, || Ok(())))?;
    let flood = (flooders.sent_bytes() - before) as f64 / time.as_secs_f64() / 1e6;
    report.note(&format!("  the server took {flood:.1} MB a second"));
    latency.report(Limit::P99(p99_ms), report);
    Ok(())
}

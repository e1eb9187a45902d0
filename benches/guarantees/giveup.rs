//! Members that do not read leave all at once, go on sending, and are given up together after `--drain`.

use std::time::{Duration, Instant};

use crate::harness::decoder::Count;
use crate::harness::load::{Arrival, Load};
use crate::harness::report::{Goal, MEMBERS, Report};
use crate::harness::server::Server;
use crate::harness::{Harness, Outcome, TIMEOUT};
use crate::pair::{IN_ROOM, Limit, Pair, report_longest_turn};

/// Seconds after which the server gives up what it cannot write, and a small send buffer, which is soon full.
const FLAGS: &[&str] = &[
    "--drain",
    "1",
    "--send-buffer",
    "4096",
    "--announce-limit",
    "0",
];
/// How long the pair talks after all have left: until they are given up, and their sockets do not linger any more.
const TALK: Duration = Duration::from_millis(3_000);
/// Lines that fill the sockets of members that do not read, and that a leaving member offers at once after its `/quit`.
const FILLING_LINES: usize = 400;
const LINE: &str = "these are the words of a member that does not listen to what others say, and they fill a socket\n";
/// How many leaving members write in one step.
const WRITES_A_STEP: usize = 16;

/// Members that do not read and whose sockets are full say `/quit` and send more. How late are the lines of others?
pub(crate) fn give_up(harness: &Harness, report: &mut Report) -> Outcome<()> {
    let members = harness.size(2_000, 300);
    harness.require_connections(members)?;
    let server = Server::madang_with_log(harness, FLAGS)?;
    let descriptors = server.open_descriptors()?;
    let mut pair = Pair::gather(server.address, IN_ROOM, 1)?;
    let mut load = Load::<Count>::new(server.address, Arrival::Greeted)?;
    load.connect_slow();
    load.allow_closing();
    load.admit(members, 64)?;
    (0..members).for_each(|id| load.pause(id));
    load.send(0, LINE.repeat(FILLING_LINES).as_bytes())?;
    load.poll_for(Duration::from_millis(300))?;

    for id in 0..members {
        load.send(id, b"/quit\n")?;
    }
    load.poll_for(Duration::from_millis(200))?;
    if server.open_descriptors()? < members {
        return Err("members have left at once: their sockets were not full".into());
    }
    let (more, mut next) = (LINE.repeat(FILLING_LINES), 0);
    let latency = pair.talk(TALK, || {
        for _ in 0..WRITES_A_STEP {
            load.offer(next, more.as_bytes());
            next = (next + 1) % members;
        }
        load.poll(Duration::ZERO)
    })?;
    latency.report(Limit::Longest(25.0), report);
    let deadline = Instant::now() + TIMEOUT;
    // Those of the pair stay open.
    while server.open_descriptors()? > descriptors + 2 && Instant::now() < deadline {
        pair.talk(Duration::from_millis(100), || Ok(()))?;
    }
    let left = server.open_descriptors()?.saturating_sub(descriptors + 2);
    report.row(
        "  members not given up",
        left as f64,
        MEMBERS,
        Goal::AtMost(0.0),
    );
    drop((pair, load));
    report_longest_turn(server, report)
}

//! The process is stopped for longer than `--idle-timeout`: a client whose bytes wait meanwhile was not silent.

use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use crate::harness::decoder::Count;
use crate::harness::load::{Arrival, Load};
use crate::harness::report::{Goal, MEMBERS, Report};
use crate::harness::server::Server;
use crate::harness::{Harness, Outcome};

/// Clients in each room.
const ROOM_MEMBERS: usize = 10;
const FLAGS: &[&str] = &["--idle-timeout", "3", "--max-rooms", "200"];
/// How long the process is stopped.
const STOPPED: Duration = Duration::from_secs(4);
/// How long it runs before and after that: less than the timeout before, more than the timeout together.
const BEFORE: Duration = Duration::from_secs(1);
const AFTER: Duration = Duration::from_secs(3);
/// How often each client speaks.
const SAY_EVERY: Duration = Duration::from_secs(1);
/// This client never speaks: it shows that the timeout holds.
const SILENT: usize = 0;

/// Clients that speak every second, one that does not, and a server that is stopped.
pub(crate) fn pause(harness: &Harness, report: &mut Report) -> Outcome<()> {
    // More than one call of the poll reports.
    let clients = harness.size(1_500, 1_200);
    harness.require_connections(clients)?;
    let server = Server::madang(harness, FLAGS)?;
    let arrival = Arrival::Answered {
        hello: |id| format!("/join r{}\n", id / ROOM_MEMBERS).into_bytes(),
        answer: b"* you are in r",
    };
    let mut load = Load::<Count>::new(server.address, arrival)?;
    load.allow_closing();
    load.admit(clients, 512)?;

    speak(&mut load, BEFORE)?;
    kill_process(server.pid(), Signal::STOP)?;
    let spoken = speak(&mut load, STOPPED);
    kill_process(server.pid(), Signal::CONT)?;
    spoken?;
    speak(&mut load, AFTER)?;

    let speakers = SILENT + 1..clients;
    let closed = speakers.filter(|&id| load.is_closed(id)).count();
    let name = format!("closed, of {} that spoke every second", clients - 1);
    report.row(&name, closed as f64, MEMBERS, Goal::MustBe(0.0));
    let closed = usize::from(load.is_closed(SILENT)) as f64;
    report.row(
        "closed, of 1 that was silent",
        closed,
        MEMBERS,
        Goal::MustBe(1.0),
    );
    Ok(())
}

/// All but the silent client speak for this time, each at its own moment of every second.
fn speak(load: &mut Load<Count>, time: Duration) -> Outcome<()> {
    let clients = load.clients();
    let (start, mut said) = (Instant::now(), 0);
    while start.elapsed() < time {
        while start.elapsed() >= SAY_EVERY / clients as u32 * said {
            let id = said as usize % clients;
            said += 1;
            if id != SILENT {
                load.offer(id, b"still here\n");
            }
        }
        load.poll(Duration::from_millis(1))?;
    }
    Ok(())
}

//! Many connections, few lines: what the connections cost in memory, in time, and in announcements.

use std::time::{Duration, Instant};

use madang::bench::figure::difference;

use crate::harness::decoder::{Count, marked};
use crate::harness::load::{Arrival, Load};
use crate::harness::report::{
    BYTES, Goal, MEBIBYTE, MEBIBYTES, MEMBERS, MILLISECONDS, Report, SECONDS, milliseconds, number,
};
use crate::harness::server::Server;
use crate::harness::{ANNOUNCED_AFTER, Harness, Outcome};

/// Connections that are being made at a time. Each takes a fraction of a millisecond: so many keep the server busy, and
/// do not fill its backlog, which is not measured here.
const PENDING_MAX: usize = 512;

/// By how much each connection beyond a thousand increases the server's resident memory.
pub(crate) fn idle(harness: &Harness, report: &mut Report) -> Outcome<()> {
    let (few, many) = (1_000, harness.size(18_000, 4_000));
    harness.require_connections(many)?;
    let server = Server::madang(harness, &[])?;
    let mut load = Load::<Count>::new(server.address, Arrival::Greeted)?;
    let with_few = resident_with(few, &server, &mut load)?;
    let with_many = resident_with(many, &server, &mut load)?;
    for (connections, resident) in [(few, with_few), (many, with_many)] {
        let connections = number(connections as f64, 0);
        let name = format!("resident with {connections} connections");
        report.show(&name, resident as f64 / MEBIBYTE, MEBIBYTES);
    }
    let growth = difference("the server's memory", with_many, with_few)?;
    let slope = growth as f64 / (many - few) as f64;
    report.row("each further connection", slope, BYTES, Goal::AtMost(200.0));
    Ok(())
}

/// The server's memory in bytes when it has so many connections, and nothing left to announce.
fn resident_with(connections: usize, server: &Server, load: &mut Load<Count>) -> Outcome<u64> {
    load.admit(connections - load.arrived(), PENDING_MAX)?;
    load.poll_for(ANNOUNCED_AFTER)?;
    server.resident_bytes()
}

/// How long it takes until thousands of clients are greeted, and whether each then receives a line.
pub(crate) fn storm(harness: &Harness, report: &mut Report) -> Outcome<()> {
    let crowd = harness.size(18_000, 4_000);
    harness.require_connections(crowd)?;
    let server = Server::madang(harness, &[])?;
    let mut load = Load::<Count>::new(server.address, Arrival::Greeted)?;

    let start = Instant::now();
    load.admit(crowd, PENDING_MAX)?;
    let time = start.elapsed().as_secs_f64();
    let name = format!("{} connections made and greeted", number(crowd as f64, 0));
    report.row(&name, time, SECONDS, Goal::Below(2.0));

    let start = Instant::now();
    load.send(0, format!("{}\n", marked(16)).as_bytes())?;
    let others = crowd as u64 - 1;
    load.until_received(others)?;
    let time = milliseconds(start.elapsed());
    let reached = load.decoders().filter(|decoder| decoder.texts == 1).count();
    report.show("one line to all others", time, MILLISECONDS);
    let (name, goal) = ("members that received it once", Goal::MustBe(others as f64));
    report.row(name, reached as f64, MEMBERS, goal);
    report.note_if(server.contention()?);
    Ok(())
}

/// The bytes that one member is sent about thousands that join.
pub(crate) fn joins(harness: &Harness, report: &mut Report) -> Outcome<()> {
    let newcomers = harness.size(10_000, 2_000);
    let within = Duration::from_secs(harness.size(10, 2));
    harness.require_connections(newcomers + 1)?;
    let server = Server::madang(harness, &[])?;
    let mut load = Load::<Count>::new(server.address, Arrival::Greeted)?;
    load.admit(1, 1)?;
    load.poll_for(ANNOUNCED_AFTER)?;
    let greeting = load.decoder(0).bytes;

    // The pace ends a little early, so that the last newcomers are greeted in time.
    let pace = within.mul_f64(0.97) / newcomers as u32;
    let start = Instant::now();
    for nth in 0..newcomers {
        while start.elapsed() < pace * nth as u32 {
            load.poll(Duration::from_millis(1))?;
        }
        load.connect()?;
    }
    load.until("all newcomers to be greeted", |load| {
        Ok(load.arrived() == newcomers + 1)
    })?;
    let time = start.elapsed().as_secs_f64();
    load.poll_for(ANNOUNCED_AFTER)?;

    let announced = (load.decoder(0).bytes - greeting) as f64;
    let name = format!("{} have joined in", number(newcomers as f64, 0));
    report.row(&name, time, SECONDS, Goal::AtMost(within.as_secs_f64()));
    let goal = Goal::Below(1024.0);
    report.row("announcements to one member", announced, BYTES, goal);
    Ok(())
}

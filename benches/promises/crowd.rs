//! Crowds: many connections, few lines. What they cost in memory, in time, and in each other's attention.

use std::time::{Duration, Instant};

use crate::lab::ear::Tally;
use crate::lab::load::{Arrival, Load};
use crate::lab::report::{
    BYTES, Goal, MEBIBYTE, MEBIBYTES, MEMBERS, MILLISECONDS, Report, SECONDS, milliseconds, number,
};
use crate::lab::server::Server;
use crate::lab::{ANNOUNCED_AFTER, Lab, Outcome};

/// Connections on their way at once. Each is made and greeted within a fraction of a millisecond, so this keeps the
/// server busy, and its backlog is not what is measured.
const AT_ONCE: usize = 512;

/// Resident memory of the server between a thousand connections and many more: what one of them adds.
pub(crate) fn idle(lab: &Lab, report: &mut Report) -> Outcome<()> {
    let (few, many) = (1_000, lab.size(18_000, 4_000));
    lab.require_connections(many)?;
    let server = Server::madang(lab, &[])?;
    let mut load = Load::<Tally>::new(server.address, Arrival::Greeted)?;
    let with_few = resident_with(few, &server, &mut load)?;
    let with_many = resident_with(many, &server, &mut load)?;
    for (connections, resident) in [(few, with_few), (many, with_many)] {
        let connections = number(connections as f64, 0);
        let name = format!("resident with {connections} connections");
        report.told(&name, resident / MEBIBYTE, MEBIBYTES);
    }
    let slope = (with_many - with_few) / (many - few) as f64;
    report.row("each further connection", slope, BYTES, Goal::AtMost(200.0));
    Ok(())
}

/// The server's memory in bytes once it has so many connections and nothing left to do for them.
fn resident_with(connections: usize, server: &Server, load: &mut Load<Tally>) -> Outcome<f64> {
    load.admit(connections - load.arrived(), AT_ONCE)?;
    load.listen_for(ANNOUNCED_AFTER)?;
    Ok(server.resident_bytes()? as f64)
}

/// How long it takes until all of a crowd have been greeted, and whether each is then served.
pub(crate) fn storm(lab: &Lab, report: &mut Report) -> Outcome<()> {
    let crowd = lab.size(18_000, 4_000);
    lab.require_connections(crowd)?;
    let server = Server::madang(lab, &[])?;
    let mut load = Load::<Tally>::new(server.address, Arrival::Greeted)?;

    let start = Instant::now();
    load.admit(crowd, AT_ONCE)?;
    let time = start.elapsed().as_secs_f64();
    let name = format!("{} connections made and greeted", number(crowd as f64, 0));
    report.row(&name, time, SECONDS, Goal::Below(2.0));

    let start = Instant::now();
    load.send(0, b"do all of you hear me?\n")?;
    let others = crowd as u64 - 1;
    load.until("everybody to hear a line", |load| load.heard() >= others)?;
    let time = milliseconds(start.elapsed());
    let heard_it = load.ears().filter(|ear| ear.said == 1).count();
    report.told("one line to all of them", time, MILLISECONDS);
    report.row(
        "members who heard it once",
        heard_it as f64,
        MEMBERS,
        Goal::MustBe(others as f64),
    );
    report.note_if(server.company()?);
    Ok(())
}

/// What one member is sent about all those who join.
pub(crate) fn joins(lab: &Lab, report: &mut Report) -> Outcome<()> {
    let newcomers = lab.size(10_000, 2_000);
    let within = Duration::from_secs(lab.size(10, 2));
    lab.require_connections(newcomers + 1)?;
    let server = Server::madang(lab, &[])?;
    let mut load = Load::<Tally>::new(server.address, Arrival::Greeted)?;
    load.admit(1, 1)?;
    load.listen_for(ANNOUNCED_AFTER)?;
    let greeting = load.ear(0).bytes;

    // Paced to end a little early; the last are then greeted in time.
    let pace = within.mul_f64(0.97) / newcomers as u32;
    let start = Instant::now();
    for nth in 0..newcomers {
        while start.elapsed() < pace * nth as u32 {
            load.turn(Duration::from_millis(1))?;
        }
        load.connect()?;
    }
    load.until("all newcomers to be greeted", |load| {
        load.arrived() == newcomers + 1
    })?;
    let time = start.elapsed().as_secs_f64();
    load.listen_for(ANNOUNCED_AFTER)?;

    let announced = load.ear(0).bytes - greeting;
    let name = format!("{} have joined in", number(newcomers as f64, 0));
    report.row(&name, time, SECONDS, Goal::AtMost(within.as_secs_f64()));
    report.row(
        "announcements to one member",
        announced as f64,
        BYTES,
        Goal::Below(1024.0),
    );
    Ok(())
}

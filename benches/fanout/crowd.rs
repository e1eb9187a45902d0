//! 18,000 receivers at once. In a round each server has them in turn, because the clients' process cannot have more.

use std::time::{Duration, Instant};

use madang::bench::figure::difference;

use crate::Context;
use crate::audience::{Audience, one_sender};
use crate::floor::Piece;
use crate::harness::audience::settle;
use crate::harness::group::Group;
use crate::harness::load::Arrival;
use crate::harness::report::{BYTES, Goal, NANOSECONDS, SECONDS, number};
use crate::harness::servers::{Crowd, Kind};
use crate::harness::{Harness, Outcome};
use crate::table::{Row, known};

/// The memory with so many receivers is not counted: it is the server's own.
const FEW: usize = 1000;

/// What was measured of one server.
struct Measured {
    connect_seconds: f64,
    idle_bytes: f64,
    delivery_ns: Outcome<f64>,
}

/// Measures how fast receivers connect, what memory they cost while idle, and what a line to all of them costs.
pub(crate) fn crowd(context: &mut Context<'_>) -> Outcome<()> {
    let many = context.harness.size(18_000, 4_000);
    context.harness.require_connections(many + 1)?;
    let servers = context.kinds.len();
    let count = number(many as f64, 0);
    let connect = format!("{count} connect and are greeted");
    let deliver = format!("{count} receivers, a line at a time");
    let mut rows = [
        Row::new(&connect, SECONDS, false, servers),
        Row::new("memory of an idle connection", BYTES, false, servers),
        Row::new(&deliver, NANOSECONDS, true, servers),
    ];
    for round in 0..context.harness.size(3, 1) {
        for nth in 0..servers {
            let server = (round + nth) % servers;
            if !rows[0].cells[server].is_alive() {
                continue;
            }
            let measured = measure(context, context.kinds[server], many);
            if let Some(measured) = known(measured, &mut rows, server) {
                let [connect, idle, deliver] = &mut rows;
                connect.cells[server].add(Ok(measured.connect_seconds));
                idle.cells[server].add(Ok(measured.idle_bytes));
                deliver.cells[server].add(measured.delivery_ns);
            }
        }
    }
    let note = "the floor greets nobody: its time to connect is that of the kernel's handshakes";
    context.report.note(note);
    let goals = [1.0, 200.0, 1.1].map(Goal::AtMost);
    for (row, goal) in rows.into_iter().zip(goals) {
        context.table.add(row, goal, context.report);
    }
    Ok(())
}

fn measure(context: &mut Context<'_>, kind: &'static Kind, many: usize) -> Outcome<Measured> {
    let harness = context.harness;
    let (arrival, refusal) = match kind.crowd {
        Crowd::Serves => (kind.receiver, None),
        Crowd::Holds(arrival, reason) => (arrival, Some(reason)),
        Crowd::Refuses(reason) => return Err(reason.into()),
    };
    let workload = one_sender(Piece::Line, many);
    let mut audience = Audience::open(harness, kind, workload, 1)?;
    let (early, with_few) = admit(harness, &mut audience, arrival, FEW)?;
    let (late, with_many) = admit(harness, &mut audience, arrival, many - FEW)?;
    let delivery_ns = match refusal {
        Some(reason) => Err(reason.into()),
        None => audience.round(Duration::from_millis(harness.size(500, 50))),
    };
    context.note_contention(kind, &audience.group.server)?;
    let growth_bytes = difference("the server's memory", with_many, with_few)?;
    Ok(Measured {
        connect_seconds: (early + late).as_secs_f64(),
        idle_bytes: growth_bytes as f64 / (many - FEW) as f64,
        delivery_ns,
    })
}

/// Connects so many more receivers; returns the time until the last has arrived, and then the server's memory in bytes.
fn admit(
    harness: &Harness,
    audience: &mut Audience,
    arrival: Arrival,
    newcomers: usize,
) -> Outcome<(Duration, u64)> {
    let Group { load, server, .. } = &mut audience.group;
    load.set_arrival(arrival);
    let start = Instant::now();
    load.admit(newcomers, audience.kind.backlog)?;
    let time = start.elapsed();
    settle(harness, load)?;
    Ok((time, server.resident_bytes()?))
}

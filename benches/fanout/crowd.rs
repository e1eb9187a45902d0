//! 18,000 at once. One server after the other has them, since the clients' process could not hold more; that is a round.

use std::time::{Duration, Instant};

use crate::Course;
use crate::floor::Piece;
use crate::hall::{Hall, solo};
use crate::lab::load::Arrival;
use crate::lab::report::{BYTES, Goal, NANOSECONDS, SECONDS, number};
use crate::lab::{Lab, Outcome};
use crate::servers::{Crowd, Kind};
use crate::table::{Row, known};

/// What is in use with so many counts as the server's own.
const FEW: usize = 1000;

/// What a crowd showed of a server.
struct Seen {
    connect_seconds: f64,
    idle_bytes: f64,
    delivery_ns: Outcome<f64>,
}

/// How fast they get in, what they cost while nothing is said, and what a line to all of them costs.
pub(crate) fn crowd(course: &mut Course<'_>) -> Outcome<()> {
    let many = course.lab.size(18_000, 4_000);
    course.lab.require_connections(many + 1)?;
    let servers = course.kinds.len();
    let count = number(many as f64, 0);
    let connect = format!("{count} connect and are greeted");
    let deliver = format!("{count} receivers, a line at a time");
    let mut rows = [
        Row::new(&connect, SECONDS, false, servers),
        Row::new("memory of an idle connection", BYTES, false, servers),
        Row::new(&deliver, NANOSECONDS, true, servers),
    ];
    for round in 0..course.lab.size(3, 1) {
        for nth in 0..servers {
            let server = (round + nth) % servers;
            if !rows[0].cells[server].is_alive() {
                continue;
            }
            let seen = look(course, course.kinds[server], many);
            if let Some(seen) = known(seen, &mut rows, server) {
                let [connect, idle, deliver] = &mut rows;
                connect.cells[server].add(Ok(seen.connect_seconds));
                idle.cells[server].add(Ok(seen.idle_bytes));
                deliver.cells[server].add(seen.delivery_ns);
            }
        }
    }
    course
        .report
        .note("the floor greets nobody: what it needs to connect is the kernel's handshake");
    let goals = [1.0, 200.0, 1.1].map(Goal::AtMost);
    for (row, goal) in rows.into_iter().zip(goals) {
        course.table.add(row, goal, course.report);
    }
    Ok(())
}

fn look(course: &mut Course<'_>, kind: &'static Kind, many: usize) -> Outcome<Seen> {
    let lab = course.lab;
    let (arrival, refusal) = match kind.crowd {
        Crowd::Serves => (kind.listener, None),
        Crowd::Holds(arrival, reason) => (arrival, Some(reason)),
        Crowd::Refuses(reason) => return Err(reason.into()),
    };
    let mut hall = Hall::open(lab, kind, solo(Piece::Line, many), 1)?;
    let (early, with_few) = let_in(lab, &mut hall, arrival, FEW)?;
    let (late, with_many) = let_in(lab, &mut hall, arrival, many - FEW)?;
    let delivery_ns = match refusal {
        Some(reason) => Err(reason.into()),
        None => hall.round(Duration::from_millis(lab.size(500, 50))),
    };
    course.note_company(kind, &hall.server)?;
    Ok(Seen {
        connect_seconds: (early + late).as_secs_f64(),
        idle_bytes: (with_many - with_few) / (many - FEW) as f64,
        delivery_ns,
    })
}

/// Lets so many more in: the time until the last has arrived, and the server's memory in bytes when all is quiet.
fn let_in(
    lab: &Lab,
    hall: &mut Hall,
    arrival: Arrival,
    newcomers: usize,
) -> Outcome<(Duration, f64)> {
    hall.load.let_arrive(arrival);
    let start = Instant::now();
    hall.load.admit(newcomers, hall.kind.backlog)?;
    let time = start.elapsed();
    hall.settle(lab)?;
    Ok((time, hall.server.resident_bytes()? as f64))
}

//! CPU a delivery: all servers are there at once, each with its own audience, and do the same work by turns.

use std::time::Duration;

use crate::Course;
use crate::floor::{Piece, Stage};
use crate::hall::{Hall, solo};
use crate::lab::Outcome;
use crate::lab::report::{Goal, NANOSECONDS};
use crate::table::{FLOOR, MADANG, Row, known};

const RECEIVERS: usize = 1000;
const SPEAKERS: usize = 64;
/// Long enough for two or three lines to 1,000, and so short that the servers come round again before their receivers
/// count as silent, and before the machine has changed its mood.
const ROUND: Duration = Duration::from_millis(10);

/// What is the same for all servers of a scenario.
struct Work {
    name: &'static str,
    stage: Stage,
    /// Lines that a speaker sends before all are awaited.
    window_lines: u64,
    /// How often each peer takes part; the floor and madang do every time.
    rounds: usize,
}

/// One line at a time.
pub(crate) fn unbatched(course: &mut Course<'_>) -> Outcome<()> {
    let work = Work {
        name: "1,000 receivers, a line at a time",
        stage: solo(Piece::Line, RECEIVERS),
        window_lines: 1,
        rounds: course.lab.size(41, 7),
    };
    by_turns(&work, Goal::AtMost(1.02), course)?;
    course.table.beside_peers(course.report);
    Ok(())
}

/// 256 lines in flight.
pub(crate) fn inflight(course: &mut Course<'_>) -> Outcome<()> {
    let work = Work {
        name: "1,000 receivers, 256 lines in flight",
        stage: solo(Piece::Read, RECEIVERS),
        window_lines: 256,
        rounds: course.lab.size(3, 1),
    };
    by_turns(&work, Goal::AtMost(1.1), course)?;
    course
        .table
        .beside("redis", Goal::AtMost(0.25), course.report);
    Ok(())
}

/// Many speak at once, a line each.
pub(crate) fn senders(course: &mut Course<'_>) -> Outcome<()> {
    let work = Work {
        name: "936 receivers, 64 who speak at once",
        stage: Stage {
            piece: Piece::Line,
            speakers: SPEAKERS,
            // No more than `ncat --broker` can have.
            receivers: RECEIVERS - SPEAKERS,
        },
        window_lines: 1,
        rounds: course.lab.size(5, 1),
    };
    by_turns(&work, Goal::AtMost(0.1), course)
}

/// Lets the floor, madang and one peer after the other work by turns: three, so that each comes round again soon. Each
/// goes first now and then, lest a drift of the machine favours one.
fn by_turns(work: &Work, goal: Goal, course: &mut Course<'_>) -> Outcome<()> {
    let servers = course.kinds.len();
    let mut row = Row::new(work.name, NANOSECONDS, true, servers);
    let mut halls = Vec::new();
    for (server, kind) in course.kinds.iter().enumerate() {
        let hall = Hall::gather(course.lab, kind, work.stage, work.window_lines);
        halls.push(known(hall, std::slice::from_mut(&mut row), server));
    }
    let peers = MADANG + 1..servers;
    // Without any peer the two are by themselves.
    for peer in peers.start..peers.end.max(peers.start + 1) {
        for round in 0..work.rounds {
            let mut present = vec![FLOOR, MADANG, peer];
            present.retain(|&server| server < servers);
            let first = round % present.len();
            present.rotate_left(first);
            for server in peers.clone().filter(|server| !present.contains(server)) {
                row.cells[server].pass();
            }
            for server in present {
                if let Some(hall) = &mut halls[server]
                    && row.cells[server].is_alive()
                {
                    row.cells[server].add(hall.round(ROUND));
                }
            }
        }
    }
    course.table.add(row, goal, course.report);
    for hall in halls.iter().flatten() {
        course.note_company(hall.kind, &hall.server)?;
    }
    Ok(())
}

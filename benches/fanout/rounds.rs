//! CPU a delivery: all servers run at once, each with its own clients, and take turns at the same work.

use std::time::Duration;

use crate::Context;
use crate::audience::{Audience, one_sender};
use crate::floor::{Piece, Workload};
use crate::harness::Outcome;
use crate::harness::report::{Goal, NANOSECONDS};
use crate::table::{FLOOR, MADANG, Row, known};

const RECEIVERS: usize = 1000;
const SENDERS: usize = 64;
/// Long enough for two or three lines to 1,000, and so short that each server's next turn comes before the kernel takes
/// its receivers for silent, and before the machine's load has changed.
const ROUND: Duration = Duration::from_millis(10);

/// What all servers of a scenario do.
struct Work {
    name: &'static str,
    workload: Workload,
    /// Lines that a sender sends before all of them are awaited.
    window_lines: usize,
    /// How many rounds each peer takes part in; the floor and madang take part in those of every peer.
    rounds: usize,
}

/// One line at a time.
pub(crate) fn unbatched(context: &mut Context<'_>) -> Outcome<()> {
    let work = Work {
        name: "1,000 receivers, a line at a time",
        workload: one_sender(Piece::Line, RECEIVERS),
        window_lines: 1,
        rounds: context.harness.size(41, 7),
    };
    by_turns(&work, Goal::AtMost(1.02), context)?;
    context.table.beside_peers(context.report);
    Ok(())
}

/// 256 lines in flight.
pub(crate) fn inflight(context: &mut Context<'_>) -> Outcome<()> {
    let work = Work {
        name: "1,000 receivers, 256 lines in flight",
        workload: one_sender(Piece::Read, RECEIVERS),
        window_lines: 256,
        rounds: context.harness.size(3, 1),
    };
    by_turns(&work, Goal::AtMost(1.1), context)?;
    let goal = Goal::AtMost(0.25);
    context.table.beside("redis", goal, context.report);
    Ok(())
}

/// 64 senders at once, a line each.
pub(crate) fn senders(context: &mut Context<'_>) -> Outcome<()> {
    let work = Work {
        name: "936 receivers, 64 senders at once",
        workload: Workload {
            piece: Piece::Line,
            senders: SENDERS,
            // As many connections as `ncat --broker` can have.
            receivers: RECEIVERS - SENDERS,
        },
        window_lines: 1,
        rounds: context.harness.size(5, 1),
    };
    by_turns(&work, Goal::AtMost(0.1), context)
}

/// Lets the floor, madang and one peer take turns, then the next peer: with three of them, each has its next turn soon.
/// Each is first in some rounds, so that no drift of the machine favours one.
fn by_turns(work: &Work, goal: Goal, context: &mut Context<'_>) -> Outcome<()> {
    let servers = context.kinds.len();
    let mut row = Row::new(work.name, NANOSECONDS, true, servers);
    let mut audiences = Vec::new();
    for (server, kind) in context.kinds.iter().enumerate() {
        let audience = Audience::gather(context.harness, kind, work.workload, work.window_lines);
        audiences.push(known(audience, std::slice::from_mut(&mut row), server));
    }
    let peers = MADANG + 1..servers;
    // Without peers, the floor and madang take turns.
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
                if let Some(audience) = &mut audiences[server]
                    && row.cells[server].is_alive()
                {
                    row.cells[server].add(audience.round(ROUND));
                }
            }
        }
    }
    context.table.add(row, goal, context.report);
    for audience in audiences.iter().flatten() {
        context.note_contention(audience.kind, &audience.group.server)?;
    }
    Ok(())
}

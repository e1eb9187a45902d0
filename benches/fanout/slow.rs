//! One receiver that does not read: whether the others notice, what the server keeps for it, and what it gets in the end.

use crate::Context;
use crate::audience::timed;
use crate::harness::Outcome;
use crate::harness::report::{Goal, LINES, MEBIBYTE, MEBIBYTES, MILLISECONDS, milliseconds};
use crate::harness::silence::{PACE, RECEIVERS};
use crate::table::{Row, known};

/// Measures how long the other receivers get nothing, how many lines they lose, and how much memory the server takes.
pub(crate) fn slow(context: &mut Context<'_>) -> Outcome<()> {
    let servers = context.kinds.len();
    let row = |name, unit| Row::new(name, unit, false, servers);
    let mut rows = [
        row("one never reads: longest silence for another", MILLISECONDS),
        row("one never reads: lines lost to the others", LINES),
        row("one never reads: the server's memory grows by", MEBIBYTES),
    ];
    for (server, kind) in context.kinds.iter().enumerate() {
        let lines = PACE * context.harness.size(6, 3);
        let measured = timed(context.harness, kind, RECEIVERS)
            .and_then(|mut audience| Ok((audience.measure_silence(lines)?, audience)));
        if let Some((measured, audience)) = known(measured, &mut rows, server) {
            rows[0].cells[server].add(Ok(milliseconds(measured.silence)));
            rows[1].cells[server].add(Ok(measured.lost as f64));
            rows[2].cells[server].add(Ok(measured.growth_bytes as f64 / MEBIBYTE));
            let name = kind.name;
            context.report.note(&format!("{name}: {}", measured.remark));
            context.note_contention(kind, &audience.server)?;
        }
    }
    let goals = [Goal::Below(50.0), Goal::AtMost(0.0), Goal::AtMost(5.0)];
    for (row, goal) in rows.into_iter().zip(goals) {
        context.table.add(row, goal, context.report);
    }
    Ok(())
}

//! Lateness at a pace: lines are sent when they are due, whether earlier ones have arrived or not, and the lateness of each
//! counts from when it was due.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use madang::bench::figure::difference;

use crate::Context;
use crate::audience::{Audience, one_sender, timed};
use crate::floor::Piece;
use crate::harness::Outcome;
use crate::harness::audience::TimedAudience;
use crate::harness::decoder::MARK;
use crate::harness::report::{Goal, MICROSECONDS};
use crate::table::{Row, known};

const RECEIVERS: usize = 1000;
const SENDER: usize = 0;
/// Digits of a stamp, and bytes of the text that it begins.
const STAMP_DIGITS: usize = 15;
const TEXT_BYTES: usize = 64;

/// Measures how late lines arrive: the median, the 99th percentile and the latest.
pub(crate) fn paced(context: &mut Context<'_>) -> Outcome<()> {
    let pace = floor_pace(context)? / 2.0;
    context.report.note(&format!("{pace:.0} lines a second"));
    let every = Duration::from_secs_f64(1.0 / pace);
    let servers = context.kinds.len();
    let row = |name, beside_floor| Row::new(name, MICROSECONDS, beside_floor, servers);
    let mut rows = [
        row("half the floor's pace: median lateness", false),
        row("half the floor's pace: 99th percentile", true),
        row("half the floor's pace: latest", false),
    ];
    let mut audiences = Vec::new();
    for (server, kind) in context.kinds.iter().enumerate() {
        let audience = timed(context.harness, kind, RECEIVERS);
        audiences.push(known(audience, &mut rows, server));
    }
    let lines = (pace * context.harness.size(3.0, 0.7)) as u64;
    for round in 0..context.harness.size(5, 1) {
        for nth in 0..servers {
            let server = (round + nth) % servers;
            let Some(audience) = &mut audiences[server] else {
                continue;
            };
            let late = audience.round(every, lines);
            let Some(late) = known(late, &mut rows, server) else {
                audiences[server] = None;
                continue;
            };
            for (row, share) in rows.iter_mut().zip([0.5, 0.99, 1.0]) {
                let late_ns = late.value_at_quantile(share) as f64;
                row.cells[server].add(Ok(late_ns / 1e3));
            }
        }
    }
    let goals = [Goal::None, Goal::AtMost(1.1), Goal::None];
    for (row, goal) in rows.into_iter().zip(goals) {
        context.table.add(row, goal, context.report);
    }
    for audience in audiences.iter().flatten() {
        context.note_contention(audience.kind, &audience.server)?;
    }
    Ok(())
}

/// How many lines a second the floor delivers when each is awaited by all receivers.
fn floor_pace(context: &Context<'_>) -> Outcome<f64> {
    let workload = one_sender(Piece::Line, RECEIVERS);
    let mut floor = Audience::gather(context.harness, context.kinds[0], workload, 1)?;
    let windows = context.harness.size(500, 100);
    floor.send(1, 1, windows / 5)?;
    let start = Instant::now();
    floor.send(1, 1, windows)?;
    Ok(windows as f64 / start.elapsed().as_secs_f64())
}

impl TimedAudience {
    /// Sends lines at this pace; returns how late each arrived at each receiver, in nanoseconds.
    fn round(&mut self, every: Duration, lines: u64) -> Outcome<Histogram<u64>> {
        for decoder in self.load.decoders_mut() {
            decoder.received.clear();
        }
        let expected = self.load.received() + lines * RECEIVERS as u64;
        let start_ns = self.load.now_ns();
        for nth in 0..lines as u32 {
            let due_ns = start_ns + (every * nth).as_nanos() as u64;
            while self.load.now_ns() < due_ns {
                self.load.poll(Duration::ZERO)?;
            }
            let line = (self.kind.say)(&text(due_ns));
            self.load.send(SENDER, &line)?;
        }
        self.load.until_received(expected)?;
        let mut late = Histogram::new(3)?;
        let decoders = self.load.decoders();
        for &(due_ns, at_ns) in decoders.flat_map(|decoder| &decoder.received) {
            late.record(difference("lateness in nanoseconds", at_ns, due_ns)?)?;
        }
        Ok(late)
    }
}

/// A text that contains when it was due.
fn text(due_ns: u64) -> String {
    let stamp = format!("{}{due_ns:0STAMP_DIGITS$}", MARK as char);
    format!("{stamp:m<TEXT_BYTES$}")
}

//! Lateness at a pace: lines are said when they are due, whether the last has arrived or not, and a line that a stall
//! held up counts from when it was due.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::Course;
use crate::floor::Piece;
use crate::hall::{Hall, Stand, solo};
use crate::lab::Outcome;
use crate::lab::ear::MARK;
use crate::lab::report::{Goal, MICROSECONDS};
use crate::table::{Row, known};

const RECEIVERS: usize = 1000;
const SPEAKER: usize = 0;
/// Digits of a stamp, and bytes of the text that it begins.
const STAMP_DIGITS: usize = 15;
const TEXT_BYTES: usize = 64;

/// How late lines come: the median, the 99th percentile and the latest.
pub(crate) fn paced(course: &mut Course<'_>) -> Outcome<()> {
    let pace = floor_pace(course)? / 2.0;
    course.report.note(&format!("{pace:.0} lines a second"));
    let every = Duration::from_secs_f64(1.0 / pace);
    let servers = course.kinds.len();
    let row = |name, beside_floor| Row::new(name, MICROSECONDS, beside_floor, servers);
    let mut rows = [
        row("half the floor's pace: median lateness", false),
        row("half the floor's pace: 99th percentile", true),
        row("half the floor's pace: latest", false),
    ];
    let mut stands = Vec::new();
    for (server, kind) in course.kinds.iter().enumerate() {
        let stand = Stand::gather(course.lab, kind, RECEIVERS);
        stands.push(known(stand, &mut rows, server));
    }
    let lines = (pace * course.lab.size(3.0, 0.7)) as u64;
    for round in 0..course.lab.size(5, 1) {
        for nth in 0..servers {
            let server = (round + nth) % servers;
            let Some(stand) = &mut stands[server] else {
                continue;
            };
            let late = stand.round(every, lines);
            let Some(late) = known(late, &mut rows, server) else {
                stands[server] = None;
                continue;
            };
            for (row, share) in rows.iter_mut().zip([0.5, 0.99, 1.0]) {
                let late_ns = late.value_at_quantile(share) as f64;
                row.cells[server].add(Ok(late_ns / 1e3));
            }
        }
    }
    for (row, goal) in rows
        .into_iter()
        .zip([Goal::None, Goal::AtMost(1.1), Goal::None])
    {
        course.table.add(row, goal, course.report);
    }
    for stand in stands.iter().flatten() {
        course.note_company(stand.kind, &stand.server)?;
    }
    Ok(())
}

/// How many lines a second the floor hands on when each is awaited by all.
fn floor_pace(course: &Course<'_>) -> Outcome<f64> {
    let stage = solo(Piece::Line, RECEIVERS);
    let mut floor = Hall::gather(course.lab, course.kinds[0], stage, 1)?;
    let windows = course.lab.size(500, 100);
    floor.speak(1, 1, windows / 5)?;
    let start = Instant::now();
    floor.speak(1, 1, windows)?;
    Ok(windows as f64 / start.elapsed().as_secs_f64())
}

impl Stand {
    /// Says lines at this pace; how late each came to each, in nanoseconds.
    fn round(&mut self, every: Duration, lines: u64) -> Outcome<Histogram<u64>> {
        for ear in self.load.ears_mut() {
            ear.heard.clear();
        }
        let expected = self.load.heard() + lines * RECEIVERS as u64;
        let start = Instant::now();
        for nth in 0..lines as u32 {
            let due = every * nth;
            while start.elapsed() < due {
                self.load.turn(Duration::ZERO)?;
            }
            let line = (self.kind.say)(&text(due));
            self.load.send(SPEAKER, &line)?;
        }
        self.load
            .until("all receivers to hear all", |load| load.heard() >= expected)?;
        let mut late = Histogram::new(3)?;
        for &(due, heard) in self.load.ears().flat_map(|ear| &ear.heard) {
            let due = start + Duration::from_nanos(due);
            late.record(heard.saturating_duration_since(due).as_nanos() as u64)?;
        }
        Ok(late)
    }
}

/// A text that says when it was due.
fn text(due: Duration) -> String {
    let stamp = format!("{}{:0STAMP_DIGITS$}", MARK as char, due.as_nanos());
    format!("{stamp:m<TEXT_BYTES$}")
}

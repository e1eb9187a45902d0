//! Readers that stop and catch up by turns: what they cost the sender, and the others in their room.

use std::time::{Duration, Instant};

use crate::harness::decoder::Count;
use crate::harness::load::{Arrival, Load};
use crate::harness::report::{Goal, MILLISECONDS, Report, TIMES};
use crate::harness::server::Server;
use crate::harness::{ANNOUNCED_AFTER, Harness, Outcome};
use crate::pair::{Latency, Pair};
use crate::room::{LINE_BYTES, Speed};

/// The pace of the sender.
const BYTES_A_SECOND: f64 = 30e6;
const SENDER: usize = 0;
/// How many of them, and how often each changes.
const LAGGARDS: &[usize] = &[3, 6, 10, 40];
const LAGGARDS_SHORT: &[usize] = &[3, 40];
const PERIODS_MS: &[u64] = &[100, 200, 400];
const PERIODS_SHORT_MS: &[u64] = &[100];
/// How many clients one step reads.
const READS_A_STEP: usize = 8;

/// Goals, beside the same room when they all keep up.
const THROUGHPUT_MIN: f64 = 0.85;
const MEDIAN_MAX: f64 = 1.3;

/// A sender at a pace, with a pair in the same room: with readers that keep up, and with as many laggards.
pub(crate) fn laggards(harness: &Harness, report: &mut Report) -> Outcome<()> {
    for &laggards in harness.size(LAGGARDS, LAGGARDS_SHORT) {
        let (usual, latency) = measure(laggards, None, harness, report)?;
        report.note(&format!(
            "{laggards} that keep up: {:.1} MB/s, median {:.2} ms",
            usual / 1e6,
            latency.median
        ));
        for &period in harness.size(PERIODS_MS, PERIODS_SHORT_MS) {
            let period = Duration::from_millis(period);
            report.note(&format!("{laggards} of them, every {period:?}"));
            let (pace, beside) = measure(laggards, Some(period), harness, report)?;
            let note = format!("{:.1} MB/s", pace / 1e6);
            let (name, goal) = ("  throughput beside that", Goal::AtLeast(THROUGHPUT_MIN));
            report.row_with_note(name, pace / usual, TIMES, goal, &note);
            let (name, goal) = (
                "  median in the room",
                Goal::AtMost(MEDIAN_MAX * latency.median),
            );
            let note = format!("99th percentile {:.2} ms", beside.p99);
            report.row_with_note(name, beside.median, MILLISECONDS, goal, &note);
            report.note_if(beside.remark());
        }
    }
    Ok(())
}

/// Bytes a second that the sender could send, and how late the pair's lines were. Without a period the readers keep up.
fn measure(
    readers: usize,
    period: Option<Duration>,
    harness: &Harness,
    report: &mut Report,
) -> Outcome<(f64, Latency)> {
    let server = Server::madang(harness, &[])?;
    let mut pair = Pair::gather(server.address, Arrival::Greeted, 1)?;
    let mut load = Load::<Count>::new(server.address, Arrival::Greeted)?;
    load.admit(1 + readers, 64)?;
    load.set_reads_max(READS_A_STEP);
    load.poll_for(ANNOUNCED_AFTER)?;

    let line = ["x".repeat(LINE_BYTES - 1), "\n".into()].concat();
    let lines = line.repeat(64).into_bytes();
    let (mut speed, mut sent) = (Speed::of(BYTES_A_SECOND), 0);
    let mut turns = period.map(|period| Turns::of(readers, period));
    let time = harness.size(Duration::from_secs(5), Duration::from_millis(1_200));
    let latency = pair.talk(time, || {
        if let Some(turns) = &mut turns {
            turns.step(&mut load);
        }
        let due = speed.lines_due(sent) * LINE_BYTES as u64 - sent;
        let at = sent as usize % lines.len();
        let end = lines.len().min(at + due as usize);
        sent += load.offer(SENDER, &lines[at..end]) as u64;
        load.poll(Duration::ZERO)
    })?;
    report.note_if(server.contention()?);
    Ok((sent as f64 / time.as_secs_f64(), latency))
}

/// Which laggard reads when: each for a period, and then not for a period. They do not change all at once, but one after
/// the other.
struct Turns {
    laggards: usize,
    period: Duration,
    start: Instant,
    /// Changes so far, of all of them together.
    changes: u32,
}

impl Turns {
    fn of(laggards: usize, period: Duration) -> Self {
        Self {
            laggards,
            period,
            start: Instant::now(),
            changes: 0,
        }
    }

    fn step(&mut self, load: &mut Load<Count>) {
        let every = self.period / self.laggards as u32;
        while self.start.elapsed() >= every * self.changes {
            let (round, nth) = (
                self.changes as usize / self.laggards,
                self.changes as usize % self.laggards,
            );
            self.changes += 1;
            // Half of them begin with reading.
            if (round + nth) % 2 == 0 {
                load.pause(SENDER + 1 + nth);
            } else {
                load.resume(SENDER + 1 + nth);
            }
        }
    }
}

//! One receiver that does not read: whether the others notice, what the server keeps for it, and what it gets in the end.

use std::time::{Duration, Instant};

use madang::bench::figure::difference;

use crate::Context;
use crate::audience::TimedAudience;
use crate::harness::Outcome;
use crate::harness::decoder::{MARK, Stamps};
use crate::harness::report::{Goal, LINES, MEBIBYTE, MEBIBYTES, MILLISECONDS, milliseconds};
use crate::table::{Row, known};

const RECEIVERS: usize = 20;
const SENDER: usize = 0;
const SLOW: usize = 1;
/// Bytes of a line's text: less than the maximum of every protocol here.
const TEXT_BYTES: usize = 400;
/// Lines a second: 3.2 MB/s to each receiver.
const PACE: u32 = 8000;
/// When no receiver has got a line for so long, all of them are waiting for the slow one.
const STUCK: Duration = Duration::from_secs(2);
/// How often the server's memory is measured.
const MEASURE_EVERY: Duration = Duration::from_millis(100);

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
        let measured = TimedAudience::gather(context.harness, kind, RECEIVERS)
            .and_then(|mut audience| Ok((audience.measure(lines)?, audience)));
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

/// What was measured of one server.
struct Measured {
    /// The longest time between two lines to a receiver that reads, or for which all of them waited in the end.
    silence: Duration,
    /// Lines that did not reach the receivers that read, though later ones did.
    lost: u64,
    growth_bytes: u64,
    remark: String,
}

impl TimedAudience {
    /// Sends so many lines at the pace, or until no receiver gets any more; then the slow one reads again.
    fn measure(&mut self, lines: u32) -> Outcome<Measured> {
        self.load.pause(SLOW);
        let every = Duration::from_secs(1) / PACE;
        let owed = u64::from(lines) * (RECEIVERS as u64 - 1);
        let before = self.server.resident_bytes()?;
        let start = Instant::now();
        let (mut peak, mut measured_at) = (before, start);
        let (mut received, mut progress) = (0, start);
        let (mut sent, mut pending) = (0, Vec::new());
        while received < owed && progress.elapsed() < STUCK {
            if sent < lines && pending.is_empty() && start.elapsed() >= every * sent {
                pending = (self.kind.say)(&text());
                sent += 1;
            }
            let taken = self.load.offer(SENDER, &pending);
            pending.drain(..taken);
            self.load.poll(Duration::ZERO)?;
            let now_received = self.readers().map(|reader| reader.received.len() as u64);
            let now_received = now_received.sum();
            if now_received != received {
                (received, progress) = (now_received, Instant::now());
            }
            if measured_at.elapsed() >= MEASURE_EVERY {
                measured_at = Instant::now();
                peak = peak.max(self.server.resident_bytes()?);
            }
        }
        if received == 0 {
            return Err(format!("no line has arrived in {STUCK:?}").into());
        }
        // A server may deliver fewer lines than were sent, but never more.
        let lost =
            |reader: &Stamps| difference("lines lost", lines.into(), reader.received.len() as u64);
        let missing = self.readers().map(lost).sum::<Result<u64, String>>()?;
        peak = peak.max(self.server.resident_bytes()?);
        let all_wait = sent < lines;
        let silence = self.longest_silence();
        let pace = f64::from(sent) / (progress - start).as_secs_f64();
        Ok(Measured {
            silence: if all_wait {
                STUCK.max(silence)
            } else {
                silence
            },
            lost: if all_wait { 0 } else { missing },
            growth_bytes: peak - before,
            remark: format!("{sent} lines at {pace:.0} a second; {}", self.resume_slow()),
        })
    }

    /// The receivers that read. The sender is none: a server may return a text to it that could not be delivered.
    fn readers(&self) -> impl Iterator<Item = &Stamps> {
        let decoders = self.load.decoders().enumerate();
        let readers = decoders.filter(|(id, _)| ![SENDER, SLOW].contains(id));
        readers.map(|(_, decoder)| decoder)
    }

    /// The longest time between two lines to a receiver that reads.
    fn longest_silence(&self) -> Duration {
        let gaps = self.readers().flat_map(|reader| reader.received.windows(2));
        let longest_ns = gaps.map(|pair| pair[1].1 - pair[0].1).max();
        Duration::from_nanos(longest_ns.unwrap_or_default())
    }

    /// What the slow receiver gets when it reads again.
    fn resume_slow(&mut self) -> String {
        self.load.resume(SLOW);
        let read = self.load.poll_for(STUCK);
        let count = self.load.decoder(SLOW).received.len();
        let problem = read.map_or_else(|problem| format!(" ({problem})"), |()| String::new());
        format!("the slow receiver gets {count} of them{problem}")
    }
}

fn text() -> String {
    format!("{}0{}", MARK as char, "m".repeat(TEXT_BYTES - 2))
}

//! One receiver that does not read, on any server: how long the others receive nothing.

use std::time::{Duration, Instant};

use madang::bench::figure::difference;

use super::Outcome;
use super::audience::TimedAudience;
use super::decoder::{MARK, Stamps};

/// How many receive; one of them does not read.
pub(crate) const RECEIVERS: usize = 20;
/// Lines a second: 3.2 MB/s to each receiver.
pub(crate) const PACE: u32 = 8000;
const SENDER: usize = 0;
const SLOW: usize = 1;
/// Bytes of a line's text: less than the maximum of every protocol here.
const TEXT_BYTES: usize = 400;
/// When no receiver has got a line for so long, all of them are waiting for the slow one.
const STUCK: Duration = Duration::from_secs(2);
/// How often the server's memory is measured.
const MEASURE_EVERY: Duration = Duration::from_millis(100);

/// What was measured of one server.
pub(crate) struct Measured {
    /// The longest time between two lines to a receiver that reads, or for which all of them waited in the end.
    pub(crate) silence: Duration,
    /// Lines that did not reach the receivers that read, though later ones did.
    pub(crate) lost: u64,
    /// By how much the server's memory grew.
    pub(crate) growth_bytes: u64,
    pub(crate) remark: String,
}

impl TimedAudience {
    /// Sends so many lines at the pace, or until no receiver gets any more; then the slow one reads again.
    pub(crate) fn measure_silence(&mut self, lines: u32) -> Outcome<Measured> {
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
        let (silence, silent_at) = self.longest_silence();
        let silent_at = silent_at.as_secs_f64();
        let pace = f64::from(sent) / (progress - start).as_secs_f64();
        Ok(Measured {
            silence: if all_wait {
                STUCK.max(silence)
            } else {
                silence
            },
            lost: if all_wait { 0 } else { missing },
            growth_bytes: peak - before,
            remark: format!(
                "{sent} lines at {pace:.0} a second, silence at {silent_at:.2} s; {}",
                self.resume_slow()
            ),
        })
    }

    /// The receivers that read. The sender is none: a server may return a text to it that could not be delivered.
    fn readers(&self) -> impl Iterator<Item = &Stamps> {
        let decoders = self.load.decoders().enumerate();
        let readers = decoders.filter(|(id, _)| ![SENDER, SLOW].contains(id));
        readers.map(|(_, decoder)| decoder)
    }

    /// The longest time between two lines to a receiver that reads, and when it began, after the load did.
    fn longest_silence(&self) -> (Duration, Duration) {
        let pairs = self.readers().flat_map(|reader| reader.received.windows(2));
        let gaps = pairs.map(|pair| (pair[1].1 - pair[0].1, pair[0].1));
        let (longest_ns, at_ns) = gaps.max().unwrap_or_default();
        (
            Duration::from_nanos(longest_ns),
            Duration::from_nanos(at_ns),
        )
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

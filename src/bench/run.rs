//! The run itself: which line is sent when, and when the run is over.

use super::engine::{Engine, LineBuffer};
use super::line::Said;
use super::plan::{Pace, Plan, SENDER_LINES_MAX};
use super::process::Process;
use super::progress::Progress;
use super::recorder::Recorder;
use std::time::Duration;

const SECOND_NS: u64 = 1_000_000_000;
/// How long one poll waits for events when no line is due by then.
const POLL_TIMEOUT_NS: u64 = 10_000_000;
/// The poll counts in milliseconds: for a line that is due earlier, it does not wait at all.
const POLL_UNIT_NS: u64 = 1_000_000;
/// Bytes of lines that are written to a socket together, when so many are due.
const BLOCK_BYTES: usize = 16 * 1024;
/// How long the run goes on when all lines have arrived, for lines that must not arrive.
const EXTRA_NS: u64 = 50_000_000;

/// The lines of one sender.
#[derive(Debug)]
struct Sender {
    connection: usize,
    /// Lines that it sends in all.
    share: u64,
    /// The lines that are being written.
    block: Vec<u8>,
    /// `block[..written]` has been written; `written <= block.len()`.
    written: usize,
}

/// Whether there are lines left to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sending {
    /// All lines are sent.
    Done,
    /// Lines are left, and none is due.
    Waiting,
    /// A line is due, and a socket does not take it.
    Blocked,
}

/// How long a run took, and what it cost the server.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timing {
    /// Time from the start to the last byte sent, in nanoseconds.
    pub sending_ns: u64,
    /// Time from the start until all listeners that read all the time had the last line; 0 if they got none.
    pub delivering_ns: u64,
    /// Processor time that the server used meanwhile, in nanoseconds.
    pub server_cpu_ns: Option<u64>,
    /// Whether lines were lost because nothing was delivered within the plan's timeout.
    pub timed_out: bool,
}

/// A run.
pub struct Run<'a> {
    plan: &'a Plan,
    engine: &'a mut Engine<LineBuffer>,
    recorder: &'a mut Recorder,
    senders: Vec<Sender>,
    start_ns: u64,
    /// When sending stops; `None`: when all shares are sent.
    end_ns: Option<u64>,
    /// When bytes were last sent.
    sent_ns: u64,
    /// When lines were last sent or delivered.
    progress_ns: u64,
}

impl<'a> Run<'a> {
    /// A run that starts now.
    pub fn new(
        plan: &'a Plan,
        engine: &'a mut Engine<LineBuffer>,
        recorder: &'a mut Recorder,
    ) -> Run<'a> {
        let lines = plan.lines_max().unwrap_or(u64::MAX);
        let senders = (0..plan.senders as usize).map(|sender| Sender {
            connection: plan.receivers as usize + sender,
            share: plan.share(sender, lines).min(SENDER_LINES_MAX),
            block: Vec::new(),
            written: 0,
        });
        let start_ns = engine.now_ns();
        let timed = matches!(plan.pace, Pace::Window(_));
        let duration_ns = plan.duration.map(|duration| duration.as_nanos() as u64);
        Run {
            plan,
            senders: senders.collect(),
            start_ns,
            end_ns: duration_ns.filter(|_| timed).map(|ns| start_ns + ns),
            sent_ns: start_ns,
            progress_ns: start_ns,
            engine,
            recorder,
        }
    }

    /// Sends all lines, waits until they have arrived, and then until the slow readers have read.
    ///
    /// # Errors
    /// The server refuses lines, or closes a sender's connection, or its process cannot be measured.
    pub fn go(
        mut self,
        server: Option<&Process>,
        progress: &mut Progress,
    ) -> Result<Timing, String> {
        let cpu_before = server.map(Process::cpu_ns).transpose()?;
        for slow in 0..self.plan.slow_readers as usize {
            self.engine.pause(slow);
        }
        match self.plan.lines_max() {
            Some(lines) => progress.begin("sending", lines),
            None => progress.begin("sending", self.millis(self.end_ns.unwrap_or(self.start_ns))),
        }
        let complete = self.until_complete(progress)?;
        let server_cpu_ns = server
            .zip(cpu_before)
            .map(|(server, before)| server.cpu_ns_since(before));
        let last_ns = self.recorder.last_in_time_ns.unwrap_or(self.start_ns);
        let mut timing = Timing {
            sending_ns: self.sent_ns - self.start_ns,
            delivering_ns: last_ns - self.start_ns,
            server_cpu_ns: server_cpu_ns.transpose()?,
            timed_out: !complete,
        };
        self.stop_sending();
        for slow in 0..self.plan.slow_readers as usize {
            self.engine.resume(slow);
        }
        self.recorder.accounting.resume();
        if self.plan.slow_readers > 0 {
            self.progress_ns = self.engine.now_ns();
            timing.timed_out = !self.until_complete(progress)?;
        }
        let end_ns = self.engine.now_ns() + EXTRA_NS;
        while self.engine.now_ns() < end_ns {
            self.poll(POLL_UNIT_NS)?;
        }
        Ok(timing)
    }

    /// Sends what is to be sent and waits until every listener that reads has it; false after a timeout.
    fn until_complete(&mut self, progress: &mut Progress) -> Result<bool, String> {
        let timeout_ns = self.plan.timeout.as_nanos() as u64;
        loop {
            let now = self.engine.now_ns();
            let sending = self.send(now);
            match self.plan.lines_max() {
                Some(_) => progress.show(self.recorder.accounting.lines()),
                None => progress.show(self.millis(now)),
            }
            if sending == Sending::Done && self.recorder.accounting.is_complete() {
                return Ok(true);
            }
            self.poll(self.poll_timeout_ns())?;
            self.progress_ns = self.progress_ns.max(self.recorder.last_ns);
            let is_idle = sending != Sending::Blocked && !self.recorder.accounting.is_outstanding();
            if is_idle {
                self.progress_ns = self.progress_ns.max(now);
            } else if now > self.progress_ns + timeout_ns {
                return Ok(false);
            }
        }
    }

    /// Sends what is due and what the sockets take.
    fn send(&mut self, now: u64) -> Sending {
        if self.end_ns.is_some_and(|end| now >= end) {
            self.stop_sending();
        }
        let mut sending = Sending::Done;
        for number in 0..self.senders.len() {
            sending = sending.max(self.send_one(number, now));
        }
        sending
    }

    fn send_one(&mut self, number: usize, now: u64) -> Sending {
        loop {
            if self.senders[number].written == self.senders[number].block.len() {
                self.fill(number, now);
            }
            let sender = &mut self.senders[number];
            let rest = &sender.block[sender.written..];
            if rest.is_empty() {
                let sent = u64::from(self.recorder.accounting.sent(number));
                return if sent < sender.share {
                    Sending::Waiting
                } else {
                    Sending::Done
                };
            }
            match self.engine.write(sender.connection, rest) {
                0 => return Sending::Blocked,
                taken => sender.written += taken,
            }
            self.sent_ns = self.engine.now_ns();
            self.progress_ns = self.sent_ns;
        }
    }

    /// Fills a sender's block, all of which is written, with the lines that are due.
    fn fill(&mut self, number: usize, now: u64) {
        self.senders[number].block.clear();
        self.senders[number].written = 0;
        while self.senders[number].block.len() < BLOCK_BYTES
            && let Some(at_ns) = self.next_ns(number, now)
        {
            let sender = &mut self.senders[number];
            let said = Said {
                sender: number as u32,
                number: self.recorder.accounting.sent(number),
                at_ns,
            };
            self.recorder.format.write(&mut sender.block, said);
            self.recorder.accounting.send(number, sender.connection);
        }
    }

    /// When a sender's next line was due; `None` if none is due by now.
    ///
    /// At a rate that is when its turn came, not when it could be sent: the time for which a sender is kept waiting
    /// belongs to the latency of its line ("coordinated omission" would leave it out).
    fn next_ns(&self, number: usize, now: u64) -> Option<u64> {
        let accounting = &self.recorder.accounting;
        if u64::from(accounting.sent(number)) >= self.senders[number].share {
            return None;
        }
        match self.plan.pace {
            Pace::Window(lines) => (accounting.in_flight(number) < lines as usize).then_some(now),
            Pace::Rate(rate) => Some(self.due_ns(number, rate)).filter(|&due| due <= now),
        }
    }

    /// When a sender's next line is due at a rate: the senders take turns.
    fn due_ns(&self, number: usize, rate: u32) -> u64 {
        let before = u128::from(self.recorder.accounting.sent(number)) * self.senders.len() as u128;
        let nanos = (before + number as u128) * u128::from(SECOND_NS) / u128::from(rate);
        self.start_ns + nanos as u64
    }

    /// How long the poll may wait for events before a line is due.
    fn poll_timeout_ns(&self) -> u64 {
        let Pace::Rate(rate) = self.plan.pace else {
            return POLL_TIMEOUT_NS;
        };
        let can_send = |&number: &usize| {
            let sender = &self.senders[number];
            self.engine.is_writable(sender.connection)
                && u64::from(self.recorder.accounting.sent(number)) < sender.share
        };
        let ready = (0..self.senders.len()).filter(can_send);
        let due = ready.map(|number| self.due_ns(number, rate)).min();
        // A line that was due in the meantime leaves no time to wait.
        let now = self.engine.now_ns();
        let left = due.map_or(POLL_TIMEOUT_NS, |due| due.saturating_sub(now));
        left.min(POLL_TIMEOUT_NS) / POLL_UNIT_NS * POLL_UNIT_NS
    }

    /// No further line is sent.
    fn stop_sending(&mut self) {
        self.end_ns = None;
        for (number, sender) in self.senders.iter_mut().enumerate() {
            sender.share = u64::from(self.recorder.accounting.sent(number));
        }
    }

    fn poll(&mut self, timeout_ns: u64) -> Result<(), String> {
        let recorder = &mut *self.recorder;
        let timeout = Duration::from_nanos(timeout_ns);
        self.engine.poll(timeout, |connection, lines, event| {
            recorder.record(connection, lines, event);
        })?;
        self.recorder.failure.take().map_or(Ok(()), Err)
    }

    /// Milliseconds from the start of the run until a time within it.
    fn millis(&self, at_ns: u64) -> u64 {
        (at_ns - self.start_ns) / 1_000_000
    }
}

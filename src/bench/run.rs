//! The run itself: what is sent when, and when it is over.

use super::line::Said;
use super::load::Load;
use super::plan::{Pace, Plan};
use super::process::Process;
use super::progress::Progress;
use super::witness::Witness;
use std::time::Duration;

const SECOND_NS: u64 = 1_000_000_000;
/// How long a turn waits when nothing is to be sent by then.
const DOZE_NS: u64 = 10_000_000;
/// The poll counts in milliseconds: what is due earlier is waited for without sleeping.
const POLL_UNIT_NS: u64 = 1_000_000;
/// Bytes of lines that are written to a socket together, when so many are due.
const BLOCK_BYTES: usize = 16 * 1024;
/// How long is listened once all has come: for what should not come.
const AFTERWORD_NS: u64 = 50_000_000;

/// A sender's supply of lines.
#[derive(Debug)]
struct Source {
    /// The sender's connection.
    connection: usize,
    /// Lines that it sends in all.
    share: u64,
    /// Lines that are being written.
    out: Vec<u8>,
    /// `out[..written]` has been; `written <= out.len()`.
    written: usize,
}

/// Whether there is more to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sending {
    /// All is sent.
    Done,
    /// There is, when its time comes.
    Later,
    /// There is, and a socket does not take it.
    Held,
}

/// How the run went, besides what its [`Witness`] knows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Course {
    /// Time from the first line to the last byte sent, in nanoseconds.
    pub sending_ns: u64,
    /// Time from the first line until all who read had the last.
    pub delivering_ns: u64,
    /// Processor time that the server used meanwhile, in nanoseconds.
    pub server_cpu_ns: Option<u64>,
    /// Whether the server owed lines and delivered nothing for as long as patience lasted.
    pub stuck: bool,
}

/// A run.
pub struct Run<'a> {
    plan: &'a Plan,
    load: &'a mut Load,
    witness: &'a mut Witness,
    sources: Vec<Source>,
    start_ns: u64,
    /// When nothing more is begun; `None`: when all shares are sent.
    end_ns: Option<u64>,
    /// When something last went forward.
    moved_ns: u64,
    /// When something was last sent.
    sent_ns: u64,
}

impl<'a> Run<'a> {
    /// Begins now.
    pub fn new(plan: &'a Plan, load: &'a mut Load, witness: &'a mut Witness) -> Run<'a> {
        let lines = plan.lines_max().unwrap_or(u64::MAX);
        let sources = (0..plan.senders as usize).map(|sender| Source {
            connection: plan.receivers as usize + sender,
            // One number less than there are: the last one is the probe's.
            share: plan.share(sender, lines).min(u64::from(u32::MAX)),
            out: Vec::new(),
            written: 0,
        });
        let start_ns = load.now_ns();
        let timed = matches!(plan.pace, Pace::Window(_));
        let duration_ns = plan.duration.map(|duration| duration.as_nanos() as u64);
        Run {
            plan,
            sources: sources.collect(),
            start_ns,
            end_ns: duration_ns.filter(|_| timed).map(|ns| start_ns + ns),
            moved_ns: start_ns,
            sent_ns: start_ns,
            load,
            witness,
        }
    }

    /// Sends all, waits until all have it, and then until the slow readers have read.
    ///
    /// # Errors
    /// The server refuses lines, or ends a sender's connection.
    pub fn go(
        mut self,
        server: Option<&Process>,
        progress: &mut Progress,
    ) -> Result<Course, String> {
        let cpu_before = server.map(Process::cpu_ns).transpose()?;
        for slow in 0..self.plan.slow_readers as usize {
            self.load.sleep(slow);
        }
        match self.plan.lines_max() {
            Some(lines) => progress.begin("sending", lines),
            None => progress.begin("sending", self.millis(self.end_ns.unwrap_or_default())),
        }
        let stuck = !self.until_settled(progress)?;
        let cpu_after = server.map(Process::cpu_ns).transpose()?;
        let mut course = Course {
            sending_ns: self.sent_ns - self.start_ns,
            delivering_ns: self.witness.last_in_time_ns.saturating_sub(self.start_ns),
            server_cpu_ns: cpu_before
                .zip(cpu_after)
                .map(|(before, after)| after.saturating_sub(before)),
            stuck,
        };
        self.close();
        for slow in 0..self.plan.slow_readers as usize {
            self.load.wake(slow);
        }
        self.witness.ledger.wake();
        if self.plan.slow_readers > 0 {
            self.moved_ns = self.load.now_ns();
            course.stuck = !self.until_settled(progress)?;
        }
        let afterword_end = self.load.now_ns() + AFTERWORD_NS;
        while self.load.now_ns() < afterword_end {
            self.turn(POLL_UNIT_NS)?;
        }
        Ok(course)
    }

    /// Sends what is to be sent and waits until everybody who reads has it; false if that stopped getting anywhere.
    fn until_settled(&mut self, progress: &mut Progress) -> Result<bool, String> {
        let patience_ns = self.plan.patience.as_nanos() as u64;
        loop {
            let now = self.load.now_ns();
            let sending = self.pump(now);
            let lines = self.witness.ledger.lines();
            match self.plan.lines_max() {
                Some(_) => progress.show(lines),
                None => progress.show(self.millis(now)),
            }
            if sending == Sending::Done && self.witness.ledger.is_settled() {
                return Ok(true);
            }
            self.turn(self.doze_ns())?;
            self.moved_ns = self.moved_ns.max(self.witness.last_ns);
            if sending != Sending::Held && !self.witness.ledger.owes() {
                self.moved_ns = now;
            } else if now.saturating_sub(self.moved_ns) > patience_ns {
                return Ok(false);
            }
        }
    }

    /// Sends what is due and what the sockets take.
    fn pump(&mut self, now: u64) -> Sending {
        if self.end_ns.is_some_and(|end| now >= end) {
            self.close();
        }
        let mut sending = Sending::Done;
        for number in 0..self.sources.len() {
            sending = sending.max(self.pump_one(number, now));
        }
        sending
    }

    fn pump_one(&mut self, number: usize, now: u64) -> Sending {
        loop {
            if self.sources[number].written == self.sources[number].out.len() {
                self.fill(number, now);
            }
            let source = &mut self.sources[number];
            let rest = &source.out[source.written..];
            if rest.is_empty() {
                let sent = u64::from(self.witness.ledger.sent(number));
                return if sent < source.share {
                    Sending::Later
                } else {
                    Sending::Done
                };
            }
            match self.load.write(source.connection, rest) {
                0 => return Sending::Held,
                taken => source.written += taken,
            }
            self.sent_ns = self.load.now_ns();
            self.moved_ns = self.sent_ns;
        }
    }

    /// Fills a sender's empty block with the lines that are due.
    fn fill(&mut self, number: usize, now: u64) {
        self.sources[number].out.clear();
        self.sources[number].written = 0;
        while self.sources[number].out.len() < BLOCK_BYTES
            && let Some(at_ns) = self.next_ns(number, now)
        {
            let source = &mut self.sources[number];
            let said = Said {
                sender: number as u32,
                number: self.witness.ledger.sent(number),
                at_ns,
            };
            self.witness.form.write(&mut source.out, said);
            self.witness.ledger.send(number, source.connection);
        }
    }

    /// When a sender's next line was to be sent, if it is to be sent by now.
    ///
    /// At a rate that is when its turn came, not when it could be sent: whatever keeps the sender waiting is part of
    /// what the line took ("coordinated omission" would leave that out).
    fn next_ns(&self, number: usize, now: u64) -> Option<u64> {
        let ledger = &self.witness.ledger;
        if u64::from(ledger.sent(number)) >= self.sources[number].share {
            return None;
        }
        match self.plan.pace {
            Pace::Window(lines) => (ledger.in_flight(number) < lines as usize).then_some(now),
            Pace::Rate(rate) => Some(self.due_ns(number, rate)).filter(|&due| due <= now),
        }
    }

    /// When a sender's next line is due at a rate: senders take turns.
    fn due_ns(&self, number: usize, rate: u32) -> u64 {
        let before = u128::from(self.witness.ledger.sent(number)) * self.sources.len() as u128;
        let nanos = (before + number as u128) * u128::from(SECOND_NS) / u128::from(rate);
        self.start_ns + nanos as u64
    }

    /// How long there is nothing to do but to listen.
    fn doze_ns(&self) -> u64 {
        let Pace::Rate(rate) = self.plan.pace else {
            return DOZE_NS;
        };
        let open = |&number: &usize| {
            let source = &self.sources[number];
            self.load.is_writable(source.connection)
                && u64::from(self.witness.ledger.sent(number)) < source.share
        };
        let due = (0..self.sources.len())
            .filter(open)
            .map(|number| self.due_ns(number, rate))
            .min();
        let left = due.map_or(DOZE_NS, |due| due.saturating_sub(self.load.now_ns()));
        left.min(DOZE_NS) / POLL_UNIT_NS * POLL_UNIT_NS
    }

    /// Nothing more is begun.
    fn close(&mut self) {
        self.end_ns = None;
        for (number, source) in self.sources.iter_mut().enumerate() {
            source.share = u64::from(self.witness.ledger.sent(number));
        }
    }

    fn turn(&mut self, doze_ns: u64) -> Result<(), String> {
        let witness = &mut *self.witness;
        let patience = Duration::from_nanos(doze_ns);
        self.load
            .turn(patience, |who, happening| witness.hear(who, &happening))?;
        self.witness.failure.take().map_or(Ok(()), Err)
    }

    fn millis(&self, at_ns: u64) -> u64 {
        at_ns.saturating_sub(self.start_ns) / 1_000_000
    }
}

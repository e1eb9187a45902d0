//! Healthy clients: how late the lines of one reach the others, whatever is done to the server meanwhile.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use madang::bench::figure::difference;

use crate::harness::Outcome;
use crate::harness::decoder::{MARK, Stamps};
use crate::harness::load::{Arrival, Load};
use crate::harness::report::{Goal, LINES, MILLISECONDS, Report, Rounds, milliseconds};
use crate::harness::server::Server;

/// The longest turn of the server that is acceptable, in milliseconds.
const TURN_MAX_MS: f64 = 8.0;
/// How often the sender sends a line: often enough for a 99th percentile of half a second.
const SAY_EVERY: Duration = Duration::from_millis(2);
/// How long the last lines are waited for.
const LAST_WAIT: Duration = Duration::from_secs(5);
/// A load that has not looked at its sockets for longer than this measures its own lateness.
const LOAD_LATE_MAX_MS: f64 = 3.0;

/// The addresses of the pair: 127.0.200.1 and so on. No other client comes from there.
const NET: u8 = 200;
const SENDER: usize = 0;

/// A pair in a room of their own.
pub(crate) const IN_ROOM: Arrival = Arrival::Answered {
    hello: |_| b"/join pair\n".to_vec(),
    answer: b"* you are in pair ",
};

/// A client that sends a line every few milliseconds, and one or more that receive it. They have a poll of their own, so
/// that they are looked after however many other clients there are.
pub(crate) struct Pair {
    load: Load<Stamps>,
    /// How often the sender sends a line.
    say_every: Duration,
    /// Whether the pair sleeps until something arrives or is to be said; or else it looks again and again.
    sleeps: bool,
}

/// How late lines were, in milliseconds.
pub(crate) struct Latency {
    pub(crate) median: f64,
    pub(crate) p99: f64,
    pub(crate) longest: f64,
    /// Lines that did not arrive.
    pub(crate) lost: u64,
    /// The longest time for which the load did not look at the sockets of the pair.
    load_late: f64,
}

impl Pair {
    /// Connects a sender and so many listeners.
    pub(crate) fn gather(server: SocketAddr, arrival: Arrival, listeners: usize) -> Outcome<Self> {
        let mut load = Load::from_net(server, arrival, NET)?;
        load.admit(1 + listeners, 64)?;
        Ok(Self {
            load,
            say_every: SAY_EVERY,
            sleeps: false,
        })
    }

    /// The sender sends a line as often as that from now on: with many listeners, each line is work for the load.
    pub(crate) fn set_pace(&mut self, say_every: Duration) {
        self.say_every = say_every;
    }

    /// The pair leaves the processor to others while it has nothing to do.
    pub(crate) fn set_sleeping(&mut self) {
        self.sleeps = true;
    }

    /// The sender sends lines for this time. `meanwhile` is called again and again, and takes a fraction of a millisecond.
    /// Then the last lines are waited for.
    pub(crate) fn talk(
        &mut self,
        time: Duration,
        mut meanwhile: impl FnMut() -> Outcome<()>,
    ) -> Outcome<Latency> {
        let decoders = self.load.decoders_mut();
        decoders.for_each(|decoder| decoder.received.clear());
        let (start, before) = (Instant::now(), self.load.received());
        let listeners = self.load.clients() as u64 - 1;
        let (mut said, mut unsent) = (0, Vec::new());
        let (mut looked, mut load_late) = (start, Duration::ZERO);
        loop {
            let elapsed = start.elapsed();
            let is_over = elapsed >= time;
            if !is_over && unsent.is_empty() && elapsed >= self.say_every * said {
                said += 1;
                unsent = format!("{}{}\n", char::from(MARK), self.load.now_ns()).into_bytes();
            }
            let taken = self.load.offer(SENDER, &unsent);
            unsent.drain(..taken);
            let missing = u64::from(said) * listeners - (self.load.received() - before);
            if is_over && (missing == 0 || elapsed >= time + LAST_WAIT) {
                return self.latency(missing, load_late);
            }
            meanwhile()?;
            let next = if is_over {
                time + LAST_WAIT
            } else {
                self.say_every * said
            };
            let wait = match self.sleeps && unsent.is_empty() {
                true => next.saturating_sub(start.elapsed()),
                false => Duration::ZERO,
            };
            self.load.poll(wait)?;
            // A poll waits for whole milliseconds.
            let due = wait
                + if wait.is_zero() {
                    wait
                } else {
                    Duration::from_millis(1)
                };
            load_late = load_late.max(looked.elapsed().saturating_sub(due));
            looked = Instant::now();
        }
    }

    fn latency(&self, lost: u64, load_late: Duration) -> Outcome<Latency> {
        let late_ms = |&(stamp, arrived): &(u64, u64)| {
            let ns = difference("lateness in nanoseconds", arrived, stamp)?;
            Ok(milliseconds(Duration::from_nanos(ns)))
        };
        let received = self.load.decoders().flat_map(|decoder| &decoder.received);
        let late = received.map(late_ms).collect::<Result<Vec<_>, String>>()?;
        if late.is_empty() {
            return Err("no line of the pair has arrived".into());
        }
        let late = Rounds::of(late);
        let [median, p99, longest] = [0.5, 0.99, 1.0].map(|share| late.quantile(share));
        Ok(Latency {
            median,
            p99,
            longest,
            lost,
            load_late: milliseconds(load_late),
        })
    }
}

/// What the goal of a latency is about.
#[derive(Clone, Copy)]
pub(crate) enum Limit {
    P99(f64),
    Longest(f64),
}

impl Latency {
    /// Prints a row each for the median, the 99th percentile, the longest and the lines lost. Limits are in milliseconds.
    pub(crate) fn report(&self, limit: Limit, report: &mut Report) {
        let (p99, longest) = match limit {
            Limit::P99(ms) => (Goal::AtMost(ms), Goal::None),
            Limit::Longest(ms) => (Goal::None, Goal::AtMost(ms)),
        };
        report.show("  how late: median", self.median, MILLISECONDS);
        report.row("  99th percentile", self.p99, MILLISECONDS, p99);
        report.row("  longest", self.longest, MILLISECONDS, longest);
        let (name, goal) = ("  of the lines sent, not received", Goal::AtMost(0.0));
        report.row(name, self.lost as f64, LINES, goal);
        report.note_if(self.remark());
    }

    /// A remark if the load was late itself.
    pub(crate) fn remark(&self) -> Option<String> {
        let load_late = self.load_late;
        (load_late > LOAD_LATE_MAX_MS)
            .then(|| format!("  the load itself was late, up to {load_late:.1} ms"))
    }
}

/// Ends a server that was started with its log, and prints a row for its longest turn.
pub(crate) fn report_longest_turn(server: Server, report: &mut Report) -> Outcome<()> {
    let contention = server.contention()?;
    let turn = milliseconds(server.longest_turn()?);
    let (name, goal) = ("  longest turn of the server", Goal::AtMost(TURN_MAX_MS));
    report.row(name, turn, MILLISECONDS, goal);
    report.note_if(contention);
    Ok(())
}

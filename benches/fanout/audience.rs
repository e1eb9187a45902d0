//! A server with its clients: a few senders, many receivers, and what it costs the server to deliver their lines.

use std::time::{Duration, Instant};

use crate::floor::{Piece, Workload};
use crate::harness::decoder::{Count, Decoder, Stamps, marked};
use crate::harness::load::Load;
use crate::harness::server::Server;
use crate::harness::{ANNOUNCED_AFTER, Harness, Outcome};
use crate::servers::Kind;

/// How long a server that greets nobody takes at most to accept all connections that are being made.
const ACCEPTED_AFTER: Duration = Duration::from_millis(3);
/// Bytes of a line's text.
const TEXT_BYTES: usize = 64;
/// Windows of one line before a round that follows a silence: after one (of its retransmission timeout, at least 200 ms) a
/// TCP receiver acknowledges its first 16 segments one by one, and later ones seldom, which the server pays for.
const WARM_UP_WINDOWS: u64 = 18;
const SILENCE: Duration = Duration::from_millis(150);
/// A round has at least and at most so many windows.
const WINDOWS_MIN: u64 = 1;
const WINDOWS_MAX: u64 = 200;

/// A server and its clients, which count what they receive. The senders have the first numbers.
pub(crate) struct Audience {
    pub(crate) kind: &'static Kind,
    pub(crate) load: Load<Count>,
    workload: Workload,
    /// A line as a sender sends it.
    line: Vec<u8>,
    /// Lines that a sender sends before all of them are awaited.
    window_lines: u64,
    /// How many lines each sender has sent.
    sent: Vec<u64>,
    /// When the last line was received.
    quiet_since: Instant,
    /// How many windows a round has; 0 until that is known.
    windows: u64,
    /// The last field, so that the clients are dropped first.
    pub(crate) server: Server,
}

impl Audience {
    /// Starts a server and connects all clients.
    pub(crate) fn gather(
        harness: &Harness,
        kind: &'static Kind,
        workload: Workload,
        window_lines: u64,
    ) -> Outcome<Self> {
        let mut audience = Self::open(harness, kind, workload, window_lines)?;
        audience.load.set_arrival(kind.receiver);
        admit(&mut audience.load, kind, workload.receivers)?;
        audience.settle(harness)?;
        Ok(audience)
    }

    /// Starts a server and connects the senders.
    pub(crate) fn open(
        harness: &Harness,
        kind: &'static Kind,
        workload: Workload,
        window_lines: u64,
    ) -> Outcome<Self> {
        let server = kind.start(harness, workload)?;
        let mut load = Load::new(server.address, kind.sender)?;
        load.admit(workload.senders, 1)?;
        Ok(Self {
            kind,
            load,
            workload,
            line: (kind.say)(&marked(TEXT_BYTES)),
            window_lines,
            sent: vec![0; workload.senders],
            quiet_since: Instant::now(),
            windows: 0,
            server,
        })
    }

    /// Waits until all announcements have been made.
    pub(crate) fn settle(&mut self, harness: &Harness) -> Outcome<()> {
        settle(&mut self.load, harness)
    }

    /// How many clients receive a line.
    fn receivers(&self) -> u64 {
        let other_senders = if self.kind.senders_receive {
            self.workload.senders - 1
        } else {
            0
        };
        (self.workload.receivers + other_senders) as u64
    }

    /// The server's processor time for each line and receiver, in nanoseconds, in a round of about this much of it.
    pub(crate) fn round(&mut self, long: Duration) -> Outcome<f64> {
        if self.quiet_since.elapsed() > SILENCE {
            self.send(1, 1, WARM_UP_WINDOWS)?;
        }
        // The first window is not counted: another server has just emptied the caches.
        let cost = self.cost(1)?.max(1);
        if self.windows == 0 {
            self.windows = (long.as_nanos() as u64 / cost).clamp(WINDOWS_MIN, WINDOWS_MAX);
        }
        let windows = self.windows;
        let cost = self.cost(windows)? as f64;
        let lines = windows * self.window_lines * self.workload.senders as u64;
        Ok(cost / (lines * self.receivers()) as f64)
    }

    /// The server's processor time for so many windows, in nanoseconds.
    fn cost(&mut self, windows: u64) -> Outcome<u64> {
        let before = self.server.cpu_ns()?;
        self.send(self.workload.senders, self.window_lines, windows)?;
        self.server.cpu_ns_since(before)
    }

    /// So many senders send so many lines each, and wait until all of them have arrived; so many times.
    pub(crate) fn send(&mut self, senders: usize, lines: u64, windows: u64) -> Outcome<()> {
        let window = self.line.repeat(lines as usize);
        let deliveries = lines * senders as u64 * self.receivers();
        for _ in 0..windows {
            let expected = self.load.received() + deliveries;
            for sender in 0..senders {
                self.load.send(sender, &window)?;
                self.sent[sender] += lines;
            }
            self.load.until_received(expected)?;
        }
        self.quiet_since = Instant::now();
        self.check()
    }

    /// Checks that every client has received all lines that were sent to it.
    fn check(&self) -> Outcome<()> {
        let all: u64 = self.sent.iter().sum();
        for (id, decoder) in self.load.decoders().enumerate() {
            let sent = match self.sent.get(id) {
                None => all,
                Some(own) if self.kind.senders_receive => all - own,
                Some(_) => 0,
            };
            if decoder.texts != sent {
                let received = decoder.texts;
                return Err(
                    format!("client {id} received {received} lines instead of {sent}").into(),
                );
            }
        }
        Ok(())
    }
}

/// A server with one sender, and with receivers that record when each line arrives.
pub(crate) struct TimedAudience {
    pub(crate) kind: &'static Kind,
    pub(crate) load: Load<Stamps>,
    /// The last field, so that the clients are dropped first.
    pub(crate) server: Server,
}

impl TimedAudience {
    /// Starts a server and connects all clients.
    pub(crate) fn gather(
        harness: &Harness,
        kind: &'static Kind,
        receivers: usize,
    ) -> Outcome<Self> {
        let server = kind.start(harness, one_sender(Piece::Line, receivers))?;
        let mut load = Load::new(server.address, kind.sender)?;
        load.admit(1, 1)?;
        load.set_arrival(kind.receiver);
        admit(&mut load, kind, receivers)?;
        settle(&mut load, harness)?;
        Ok(Self { kind, load, server })
    }
}

fn settle<D: Decoder>(load: &mut Load<D>, harness: &Harness) -> Outcome<()> {
    load.poll_for(ANNOUNCED_AFTER)?;
    if harness.load_has_its_own_core() {
        load.stay_awake();
    }
    Ok(())
}

/// Connects so many receivers, no more at a time than the server's backlog holds.
fn admit<D: Decoder>(load: &mut Load<D>, kind: &Kind, newcomers: usize) -> Outcome<()> {
    if kind.backlog >= newcomers || kind.greets() {
        return load.admit(newcomers, kind.backlog);
    }
    // Nothing shows that the server has accepted a connection, so it gets time to do so.
    let mut left = newcomers;
    while left > 0 {
        let some = left.min(kind.backlog);
        load.admit(some, some)?;
        load.poll_for(ACCEPTED_AFTER)?;
        left -= some;
    }
    Ok(())
}

/// A workload with one sender and so many receivers.
pub(crate) fn one_sender(piece: Piece, receivers: usize) -> Workload {
    Workload {
        piece,
        senders: 1,
        receivers,
    }
}

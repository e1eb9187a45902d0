//! A server with its clients: a few senders, many receivers, and what it costs the server to deliver their lines.

use std::time::{Duration, Instant};

use crate::floor::{Piece, Workload};
use crate::harness::decoder::{Decoder, Stamps};
use crate::harness::group::{Group, WARM_UP_WINDOWS};
use crate::harness::load::Load;
use crate::harness::server::Server;
use crate::harness::{ANNOUNCED_AFTER, Harness, Outcome};
use crate::servers::Kind;

/// How long a server that greets nobody takes at most to accept all connections that are being made.
const ACCEPTED_AFTER: Duration = Duration::from_millis(3);
/// A round that follows a longer silence begins with a warm-up.
const SILENCE: Duration = Duration::from_millis(150);
/// A round has at least and at most so many windows.
const WINDOWS_MIN: usize = 1;
const WINDOWS_MAX: usize = 200;

/// A server and its clients, which count what they receive. The senders have the first numbers.
pub(crate) struct Audience {
    pub(crate) kind: &'static Kind,
    pub(crate) group: Group,
    senders: usize,
    /// Lines that a sender sends before all of them are awaited.
    window_lines: usize,
    /// When the last line was received.
    quiet_since: Instant,
    /// How many windows a round has; 0 until that is known.
    windows: usize,
}

impl Audience {
    /// Starts a server and connects all clients.
    pub(crate) fn gather(
        harness: &Harness,
        kind: &'static Kind,
        workload: Workload,
        window_lines: usize,
    ) -> Outcome<Self> {
        let mut audience = Self::open(harness, kind, workload, window_lines)?;
        admit(harness, &mut audience.group.load, kind, workload.receivers)?;
        Ok(audience)
    }

    /// Starts a server and connects the senders.
    pub(crate) fn open(
        harness: &Harness,
        kind: &'static Kind,
        workload: Workload,
        window_lines: usize,
    ) -> Outcome<Self> {
        let (server, load) = start(harness, kind, workload)?;
        let senders = workload.senders;
        let members = senders + workload.receivers;
        let deaf = if kind.senders_receive { 0 } else { senders };
        Ok(Self {
            kind,
            group: Group::new(server, load, members, deaf, kind.say, window_lines),
            senders,
            window_lines,
            quiet_since: Instant::now(),
            windows: 0,
        })
    }

    /// The server's processor time for each line and receiver, in nanoseconds, in a round of about this much of it.
    pub(crate) fn round(&mut self, long: Duration) -> Outcome<f64> {
        if self.quiet_since.elapsed() > SILENCE {
            self.send(1, 1, WARM_UP_WINDOWS)?;
        }
        // The first window is not counted: another server has just emptied the caches.
        let cost = self.cost(1)?.max(1);
        if self.windows == 0 {
            let windows = long.as_nanos() as u64 / cost;
            self.windows = (windows as usize).clamp(WINDOWS_MIN, WINDOWS_MAX);
        }
        let windows = self.windows;
        let cost = self.cost(windows)? as f64;
        let lines = windows * self.window_lines * self.senders;
        Ok(cost / (lines * self.group.receivers()) as f64)
    }

    /// The server's processor time for so many windows, in nanoseconds.
    fn cost(&mut self, windows: usize) -> Outcome<u64> {
        let before = self.group.server.cpu_ns()?;
        self.send(self.senders, self.window_lines, windows)?;
        self.group.server.cpu_ns_since(before)
    }

    /// So many senders send so many lines each, and wait until all of them have arrived; so many times.
    pub(crate) fn send(&mut self, senders: usize, lines: usize, windows: usize) -> Outcome<()> {
        for _ in 0..windows {
            self.group.say(0..senders, lines)?;
        }
        self.quiet_since = Instant::now();
        self.group.check()
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
        let (server, mut load) = start(harness, kind, one_sender(Piece::Line, receivers))?;
        admit(harness, &mut load, kind, receivers)?;
        Ok(Self { kind, load, server })
    }
}

/// Starts a server and connects the senders.
fn start<D: Decoder>(
    harness: &Harness,
    kind: &Kind,
    workload: Workload,
) -> Outcome<(Server, Load<D>)> {
    let server = kind.start(harness, workload)?;
    let mut load = Load::new(server.address, kind.sender)?;
    load.admit(workload.senders, 1)?;
    Ok((server, load))
}

/// Connects so many receivers, no more at a time than the server's backlog holds, and lets them settle.
fn admit<D: Decoder>(
    harness: &Harness,
    load: &mut Load<D>,
    kind: &Kind,
    newcomers: usize,
) -> Outcome<()> {
    load.set_arrival(kind.receiver);
    if kind.backlog >= newcomers || kind.greets() {
        load.admit(newcomers, kind.backlog)?;
        return settle(harness, load);
    }
    // Nothing shows that the server has accepted a connection, so it gets time to do so.
    let mut left = newcomers;
    while left > 0 {
        let some = left.min(kind.backlog);
        load.admit(some, some)?;
        load.poll_for(ACCEPTED_AFTER)?;
        left -= some;
    }
    settle(harness, load)
}

/// Waits until all announcements have been made.
pub(crate) fn settle<D: Decoder>(harness: &Harness, load: &mut Load<D>) -> Outcome<()> {
    load.poll_for(ANNOUNCED_AFTER)?;
    load.stay_awake(harness);
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

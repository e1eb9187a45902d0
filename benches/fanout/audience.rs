//! A server with its clients: a few senders, many receivers, and what it costs the server to deliver their lines.

use std::time::{Duration, Instant};

use crate::floor::{Piece, Workload};
use crate::harness::audience::{TimedAudience, admit, start};
use crate::harness::certificate::Certificate;
use crate::harness::decoder::Count;
use crate::harness::group::{Group, WARM_UP_WINDOWS};
use crate::harness::load::Load;
use crate::harness::server::Server;
use crate::harness::servers::Kind;
use crate::harness::{Harness, Outcome};

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
        let (server, load) = start(harness, kind, workload.senders, &workload.arguments())?;
        Ok(Self::of(server, load, kind, workload, window_lines))
    }

    /// Starts a server and connects all clients over TLS; `None` if its kind cannot be compared there.
    pub(crate) fn gather_over_tls(
        harness: &Harness,
        kind: &'static Kind,
        workload: Workload,
        certificate: &Certificate,
    ) -> Option<Outcome<Self>> {
        let (settings, options) = kind.over_tls.as_ref()?.of(certificate);
        let gather = |server: Server| {
            let mut load = Load::over_tls(server.address, kind.sender, &options)?;
            load.admit(workload.senders, 1)?;
            let mut audience = Self::of(server, load, kind, workload, 1);
            admit(harness, &mut audience.group.load, kind, workload.receivers)?;
            Ok(audience)
        };
        Some(kind.start_over_tls(harness, &settings).and_then(gather))
    }

    fn of(
        server: Server,
        load: Load<Count>,
        kind: &'static Kind,
        workload: Workload,
        window_lines: usize,
    ) -> Self {
        let senders = workload.senders;
        let members = senders + workload.receivers;
        let deaf = if kind.senders_receive { 0 } else { senders };
        Self {
            kind,
            group: Group::new(server, load, members, deaf, kind.say, window_lines),
            senders,
            window_lines,
            quiet_since: Instant::now(),
            windows: 0,
        }
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
pub(crate) fn timed(
    harness: &Harness,
    kind: &'static Kind,
    receivers: usize,
) -> Outcome<TimedAudience> {
    let workload = one_sender(Piece::Line, receivers).arguments();
    TimedAudience::gather(harness, kind, receivers, &workload)
}

/// A workload with one sender and so many receivers.
pub(crate) fn one_sender(piece: Piece, receivers: usize) -> Workload {
    Workload {
        piece,
        senders: 1,
        receivers,
    }
}

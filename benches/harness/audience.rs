//! A server of any kind with its senders and receivers: how they connect. What they measure is not here.

use std::time::Duration;

use super::decoder::{Decoder, Stamps};
use super::load::Load;
use super::server::Server;
use super::servers::Kind;
use super::{ANNOUNCED_AFTER, Harness, Outcome};

/// How long a server that greets nobody takes at most to accept all connections that are being made.
const ACCEPTED_AFTER: Duration = Duration::from_millis(3);

/// A server with one sender, and with receivers that record when each line arrives.
pub(crate) struct TimedAudience {
    pub(crate) kind: &'static Kind,
    pub(crate) load: Load<Stamps>,
    /// The last field, so that the clients are dropped first.
    pub(crate) server: Server,
}

impl TimedAudience {
    /// Starts a server and connects all clients. Only the floor needs to know the workload.
    pub(crate) fn gather(
        harness: &Harness,
        kind: &'static Kind,
        receivers: usize,
        workload: &[String],
    ) -> Outcome<Self> {
        let (server, mut load) = start(harness, kind, 1, workload)?;
        admit(harness, &mut load, kind, receivers)?;
        Ok(Self { kind, load, server })
    }
}

/// Starts a server and connects the senders.
pub(crate) fn start<D: Decoder>(
    harness: &Harness,
    kind: &Kind,
    senders: usize,
    workload: &[String],
) -> Outcome<(Server, Load<D>)> {
    let server = kind.start(harness, workload)?;
    let mut load = Load::new(server.address, kind.sender)?;
    load.admit(senders, 1)?;
    Ok((server, load))
}

/// Connects so many receivers, no more at a time than the server's backlog holds, and lets them settle.
pub(crate) fn admit<D: Decoder>(
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

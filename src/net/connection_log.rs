//! What the log tells of connections: each that comes, goes or is refused, while they are few; of a storm only sums, one
//! line a second. Also what clients do, if the log is detailed. Decides nothing about connections.

use super::connections::{Connection, End};
use crate::hub::{ConnId, Departure, Ending, Hub, Now, Report};
use crate::protocol::Refusal;
use std::io;
use std::net::SocketAddr;

/// Lines a second about single connections. More are summed.
const LINES_MAX: u32 = 20;
const SECOND_US: u64 = 1_000_000;

/// Why a connection has ended that the server did not want to close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The peer has closed its receiving side too, and something was still to be written.
    Gone,
    /// Reading or writing has failed.
    Failed(io::ErrorKind),
}

impl Broken {
    /// What is behind this end.
    pub fn of(end: End) -> Broken {
        match end {
            End::Reset => Broken::Failed(io::ErrorKind::ConnectionReset),
            End::None | End::Read | End::Write => Broken::Gone,
        }
    }
}

/// Connections that are not logged one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums {
    opened: u64,
    closed: u64,
    refused: u64,
}

/// The log of connections.
#[derive(Debug, Default)]
pub struct ConnectionLog {
    /// The end of the present second, and the lines of it.
    until: Now,
    lines: u32,
    sums: Sums,
}

impl ConnectionLog {
    /// Asks the hub for what a detailed log tells.
    pub fn new(hub: &mut Hub) -> ConnectionLog {
        if tracing::enabled!(tracing::Level::DEBUG) {
            hub.keep_reports();
        }
        ConnectionLog::default()
    }

    /// A connection was accepted.
    pub fn opened(&mut self, now: Now, id: ConnId, peer: Option<SocketAddr>, listener: &str) {
        if !self.may_log(now) {
            self.sums.opened += 1;
            return;
        }
        let peer = &*shown(peer);
        tracing::info!(connection = id.serial(), peer, listener, "connected");
    }

    /// A connection was accepted, and refused by the hub.
    pub fn refused(
        &mut self,
        now: Now,
        peer: Option<SocketAddr>,
        listener: &str,
        why: Refusal<'_>,
    ) {
        if !self.may_log(now) {
            self.sums.refused += 1;
            return;
        }
        let (peer, reason) = (&*shown(peer), &*why.to_string());
        tracing::info!(peer, listener, reason, "connection refused");
    }

    /// A connection has ended. `peer`: what the system knows of it.
    pub fn closed<S>(
        &mut self,
        now: Now,
        id: ConnId,
        connection: &Connection<S>,
        peer: Option<SocketAddr>,
        departure: Option<Departure>,
        broken: Option<Broken>,
    ) {
        if !self.may_log(now) {
            self.sums.closed += 1;
            return;
        }
        let Some(departure) = departure else { return };
        tracing::info!(
            connection = id.serial(),
            peer = &*shown(connection.ipv4().or(peer)),
            name = departure.name,
            seconds = connection.seconds(now),
            lines_in = departure.lines,
            bytes_out = departure.bytes,
            reason = &*reason(departure.ending, broken),
            "disconnected"
        );
    }

    /// Tells what clients have done, if the log is detailed.
    pub fn reports(&mut self, hub: &mut Hub) {
        while let Some((id, report)) = hub.next_report() {
            let connection = id.serial();
            match report {
                Report::Renamed(old, new) => tracing::debug!(connection, old, new, "renamed"),
                Report::Refused(reason) => tracing::debug!(connection, reason, "refused"),
                Report::Throttled => tracing::debug!(connection, "throttled"),
            }
        }
    }

    /// When [`sum_up`](ConnectionLog::sum_up) is to be called.
    pub fn deadline(&self) -> Option<Now> {
        (self.sums != Sums::default()).then_some(self.until)
    }

    /// Tells of the connections that were not told of one by one, once their second is over or the server ends.
    pub fn sum_up(&mut self, now: Now, is_over: bool) {
        if self.deadline().is_some_and(|until| is_over || until <= now) {
            let sums = std::mem::take(&mut self.sums);
            let Sums {
                opened,
                closed,
                refused,
            } = sums;
            tracing::info!(opened, closed, refused, "more connections");
        }
    }

    /// Whether there may be one more line about a single connection in this second.
    fn may_log(&mut self, now: Now) -> bool {
        if self.until <= now {
            self.sum_up(now, false);
            (self.until, self.lines) = (now.after(SECOND_US), 0);
        }
        self.lines += 1;
        self.lines <= LINES_MAX
    }
}

fn shown(peer: Option<SocketAddr>) -> String {
    match peer {
        Some(peer) => SocketAddr::new(peer.ip().to_canonical(), peer.port()).to_string(),
        None => "unknown".into(),
    }
}

/// Why a connection has ended. What the hub wanted comes first: that the peer did not wait for the end is no news.
fn reason(ending: Option<Ending>, broken: Option<Broken>) -> String {
    match (ending, broken) {
        (Some(ending), _) => ending.to_string(),
        (None, Some(Broken::Failed(io::ErrorKind::ConnectionReset))) => "reset".into(),
        (None, Some(Broken::Failed(io::ErrorKind::TimedOut))) => "timed out".into(),
        (None, Some(Broken::Failed(kind))) => kind.to_string(),
        (None, Some(Broken::Gone) | None) => "closed by the peer".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_is_summed_once_a_second() {
        let mut log = ConnectionLog::default();
        let at = |second: u64| Now::from_micros(second * SECOND_US + 5);
        let id = ConnId::from_token(1 << 32).expect("a connection's token");
        for _ in 0..LINES_MAX {
            log.opened(at(1), id, None, "");
        }
        assert_eq!(log.deadline(), None, "few are told of one by one");
        for _ in 0..5 {
            log.opened(at(1), id, None, "");
            log.refused(at(1), None, "", Refusal::ShuttingDown {});
        }
        log.sum_up(at(1), false);
        let Sums {
            opened,
            closed,
            refused,
        } = log.sums;
        assert_eq!((opened, closed, refused), (5, 0, 5));
        let deadline = log.deadline().expect("sums to tell");
        assert_eq!(deadline, at(2));
        log.sum_up(deadline, false);
        assert_eq!((log.deadline(), log.sums), (None, Sums::default()));
        log.opened(at(2), id, None, "");
        assert_eq!(log.lines, 1, "a new second");
    }

    #[test]
    fn the_hub_s_reason_comes_first() {
        let reset = Some(Broken::Failed(io::ErrorKind::ConnectionReset));
        assert_eq!(reason(Some(Ending::Quit), reset), "quit");
        assert_eq!(reason(None, reset), "reset");
        assert_eq!(reason(None, Some(Broken::Gone)), "closed by the peer");
        let timed_out = Broken::Failed(io::ErrorKind::TimedOut);
        assert_eq!(reason(None, Some(timed_out)), "timed out");
    }
}

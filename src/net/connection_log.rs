//! What the log tells of connections: each that comes, goes or is refused, while they are few; of a storm only sums, one
//! line a second. Also what clients do, if the log is detailed. Decides nothing about connections.

use super::connections::{Connection, End};
use super::handshakes::Relayed;
use super::transport::Net;
use crate::hub::{ConnId, Ending, Hub, Now, Report};
use std::fmt::Display;
use std::io;
use std::net::SocketAddr;

/// Lines a second about single connections. More are summed.
const LINES_MAX: u32 = 20;
const SECOND_US: u64 = 1_000_000;

/// A listener, which is asked for its name only where that is logged.
#[derive(Debug)]
pub struct Place<'a, N>(pub &'a N, pub usize);

impl<N: Net> Place<'_, N> {
    fn name(&self) -> String {
        self.0.listener(self.1)
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
    /// How many connections have ended, by [reason](CLOSED_REASONS).
    closed: [u64; CLOSED_REASONS.len()],
}

impl ConnectionLog {
    /// A log of which nothing has been written.
    pub fn new(hub: &mut Hub) -> ConnectionLog {
        ConnectionLog::level_changed(hub);
        ConnectionLog::default()
    }

    /// Asks the hub for what a detailed log tells, if the log is one now.
    pub fn level_changed(hub: &mut Hub) {
        hub.keep_reports(tracing::enabled!(tracing::Level::DEBUG));
    }

    /// A connection was accepted.
    pub fn opened<N: Net>(
        &mut self,
        now: Now,
        id: ConnId,
        peer: Option<SocketAddr>,
        relayed: Option<Relayed>,
        tls: Option<&str>,
        listener: Place<'_, N>,
    ) {
        let connection = id.serial();
        if is_check(relayed) {
            let (peer, listener) = (shown(peer), listener.name());
            return tracing::debug!(connection, peer, listener, "connected");
        }
        if !self.may_log(now) {
            self.sums.opened += 1;
            return;
        }
        let (peer, proxy, listener) = (shown(peer), proxy(relayed), listener.name());
        tracing::info!(connection, peer, proxy, listener, tls, "connected");
    }

    /// A connection was accepted, and refused by the hub.
    pub fn refused<N: Net>(
        &mut self,
        now: Now,
        peer: Option<SocketAddr>,
        relayed: Option<Relayed>,
        listener: Place<'_, N>,
        why: impl Display,
    ) {
        if !self.may_log(now) {
            self.sums.refused += 1;
            return;
        }
        let (peer, proxy) = (shown(peer), proxy(relayed));
        let (listener, reason) = (listener.name(), why.to_string());
        tracing::info!(peer, proxy, listener, reason, "connection refused");
    }

    /// A connection has ended, and the hub knows it still.
    pub fn closed<N: Net>(
        &mut self,
        now: Now,
        id: ConnId,
        connection: Option<&Connection<N::Socket>>,
        relayed: Option<Relayed>,
        net: &N,
        hub: &Hub,
    ) {
        let Some(connection) = connection else { return };
        self.count_closed(hub.ending(id), connection.end);
        if is_check(relayed) && connection.received == 0 {
            return tracing::debug!(connection = id.serial(), "disconnected");
        }
        if !self.may_log(now) {
            self.sums.closed += 1;
            return;
        }
        let Some(departure) = hub.departure(id) else {
            return;
        };
        let known = relayed.map(Relayed::address);
        let known = known.or_else(|| connection.ipv4());
        let peer = known.or_else(|| net.peer(&connection.socket));
        tracing::info!(
            connection = id.serial(),
            peer = shown(peer),
            proxy = proxy(relayed),
            name = departure.name,
            seconds = connection.seconds(now),
            lines_in = departure.lines,
            bytes_out = departure.bytes,
            reason = &*reason(departure.ending, connection.end),
            "disconnected"
        );
    }

    /// A connection was accepted, and has ended at once, since it could not be polled.
    pub fn unpolled(&mut self) {
        self.count_closed(None, End::Failed(io::ErrorKind::Other));
    }

    fn count_closed(&mut self, ending: Option<Ending>, end: End) {
        let label = match (ending, end) {
            (None | Some(Ending::EndOfInput), End::Cut) => "cut_off",
            (None, end) => end_label(end),
            (Some(ending), _) => ending.label(),
        };
        let is_label = |reason: &&str| **reason == *label;
        let nth = CLOSED_REASONS.iter().position(is_label);
        self.closed[nth.unwrap_or(CLOSED_REASONS.len() - 1)] += 1;
    }

    /// Every reason for which connections end, as the value of a metric's label, and how many have ended for it.
    pub fn closed_by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> {
        CLOSED_REASONS.into_iter().zip(self.closed)
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

/// Whether a proxy may only have looked whether the server answers: that is often, and no news.
fn is_check(relayed: Option<Relayed>) -> bool {
    relayed.is_some_and(Relayed::may_be_check)
}

/// The proxy through which a connection has come.
fn proxy(relayed: Option<Relayed>) -> Option<String> {
    shown(relayed.map(|relayed| relayed.proxy))
}

fn shown(peer: Option<SocketAddr>) -> Option<String> {
    let peer = peer?;
    Some(SocketAddr::new(peer.ip().to_canonical(), peer.port()).to_string())
}

/// Why a connection has ended. What the hub wanted comes first: that the peer did not wait for the end is no news.
fn reason(ending: Option<Ending>, end: End) -> String {
    match (ending, end) {
        (Some(Ending::EndOfInput), End::Cut) => "cut off, without TLS's close_notify".into(),
        (Some(ending), _) => ending.to_string(),
        (None, End::Failed(io::ErrorKind::ConnectionReset)) => "reset".into(),
        (None, End::Failed(io::ErrorKind::TimedOut)) => "timed out".into(),
        (None, End::Failed(io::ErrorKind::InvalidData)) => "broken TLS".into(),
        (None, End::Failed(io::ErrorKind::ConnectionRefused)) => "a TLS alert of the peer".into(),
        (None, End::Failed(kind)) => kind.to_string(),
        (None, End::Cut) => "cut off, without TLS's close_notify".into(),
        (None, End::None | End::Read | End::Write) => "closed by the peer".into(),
    }
}

/// Why connections end: what the hub wanted, else what became of the socket.
const CLOSED_REASONS: [&str; Ending::LABELS.len() + 5] = {
    let mut reasons = ["reset", "timed_out", "closed_by_peer", "cut_off", "error"].as_slice();
    let mut all = [""; Ending::LABELS.len() + 5];
    let mut nth = 0;
    while nth < Ending::LABELS.len() {
        all[nth] = Ending::LABELS[nth];
        nth += 1;
    }
    while let [reason, rest @ ..] = reasons {
        all[nth] = reason;
        nth += 1;
        reasons = rest;
    }
    all
};

/// What became of a socket, as the value of a metric's label.
fn end_label(end: End) -> &'static str {
    match end {
        End::Failed(io::ErrorKind::ConnectionReset) => "reset",
        End::Failed(io::ErrorKind::TimedOut) => "timed_out",
        End::Failed(_) => "error",
        End::Cut => "cut_off",
        End::None | End::Read | End::Write => "closed_by_peer",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_counted_under_its_own_label() {
        let mut log = ConnectionLog::default();
        let failed = [
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::TimedOut,
            io::ErrorKind::Other,
        ];
        for end in failed.map(End::Failed).into_iter().chain([End::Write]) {
            log.count_closed(None, end);
        }
        for ending in [Ending::Quit, Ending::Slow, Ending::Shutdown] {
            log.count_closed(Some(ending), End::Write);
        }
        log.count_closed(Some(Ending::Quit), End::None);
        log.count_closed(Some(Ending::EndOfInput), End::Cut);
        let counted: Vec<_> = log.closed_by_reason().filter(|&(_, n)| n > 0).collect();
        let want = [
            ("quit", 2),
            ("slow", 1),
            ("shutdown", 1),
            ("reset", 1),
            ("timed_out", 1),
            ("closed_by_peer", 1),
            ("cut_off", 1),
            ("error", 1),
        ];
        assert_eq!(counted, want);
    }

    #[test]
    fn a_storm_is_summed_once_a_second() {
        let mut log = ConnectionLog::default();
        let at = |second: u64| Now::from_micros(second * SECOND_US + 5);
        for _ in 0..LINES_MAX {
            assert!(log.may_log(at(1)));
        }
        assert_eq!(log.deadline(), None, "few are told of one by one");
        assert!(!log.may_log(at(1)));
        log.sums.opened = 5;
        log.sum_up(at(1), false);
        assert_eq!((log.deadline(), log.sums.opened), (Some(at(2)), 5));
        log.sum_up(at(2), false);
        assert_eq!((log.deadline(), log.sums), (None, Sums::default()));
        assert!(log.may_log(at(2)), "a new second");
        log.sums.closed = 1;
        log.sum_up(at(2), true);
        assert_eq!(log.sums, Sums::default(), "the server ends");
    }

    #[test]
    fn the_hub_s_reason_comes_first() {
        let reset = End::Failed(io::ErrorKind::ConnectionReset);
        assert_eq!(reason(Some(Ending::Quit), reset), "quit");
        assert_eq!(reason(None, reset), "reset");
        assert_eq!(reason(None, End::Write), "closed by the peer");
        let timed_out = End::Failed(io::ErrorKind::TimedOut);
        assert_eq!(reason(None, timed_out), "timed out");
    }
}

//! The order of a turn: accept, shake hands, read, write, timers, close, each within a budget. Generic over its sockets and told the
//! time, so that the code that is simulated is the code that serves. Never waits, never polls.

mod admitting;
mod changes;
mod closing;
mod facts;
mod handshaking;

use super::acceptor::Acceptor;
use super::budgets::{OVERHEAD_WORK, READ_US, TIMERS_US, VISITS_A_LOOK, WRITE_US};
use super::closing::Closing;
use super::connection_log::ConnectionLog;
use super::connections::{Connections, End};
use super::handshakes::Handshakes;
use super::linger::Lingering;
use super::service_time::ServiceTime;
use super::transport::{Event, Net};
use super::turn_lengths::TurnLengths;
use crate::hub::limits::{READ_BYTES_MAX, SLICES_MAX};
use crate::hub::link::contract::{Input, Op};
use crate::hub::{ConnId, Hub, Now, Resume};
use std::collections::VecDeque;
use std::io::{self, IoSlice};

/// Serves a [`Hub`]. Its caller polls for as long as [`timeout`](Scheduler::timeout) says, hands each
/// [`event`](Scheduler::event) over, and calls [`run`](Scheduler::run).
#[derive(Debug)]
pub struct Scheduler<N: Net> {
    pub(super) net: N,
    pub(super) hub: Hub,
    pub(super) connections: Connections<N::Socket>,
    time: ServiceTime,
    /// When the poll was last asked: what had arrived by then has been noted.
    polled_at: Now,
    turn_lengths: TurnLengths,
    /// Connections that are writable again, or did not take all.
    unblocked: VecDeque<ConnId>,
    /// The next connections to be written to: `0 <= len <= VISITS_A_LOOK`.
    visits: Vec<ConnId>,
    /// Connections that have ended by themselves and are to be closed.
    broken: VecDeque<ConnId>,
    /// Connections that the hub has closed, and whose last bytes the sockets have not taken.
    closing: Closing,
    /// Closed connections whose peers may still have to read the last bytes.
    lingering: Lingering<N::Socket>,
    acceptor: Acceptor,
    /// Newcomers of which the hub does not know yet.
    handshakes: Handshakes<N::Socket>,
    /// Connections in slots from this one on are to be counted by their addresses.
    uncounted: Option<usize>,
    pub(super) log: ConnectionLog,
    scratch: Box<[u8]>,
}

impl<N: Net> Scheduler<N> {
    /// A scheduler for so many listeners.
    pub fn new(net: N, mut hub: Hub, listeners: usize) -> Scheduler<N> {
        Scheduler {
            log: ConnectionLog::new(&mut hub),
            net,
            hub,
            connections: Connections::default(),
            time: ServiceTime::default(),
            polled_at: Now::default(),
            turn_lengths: TurnLengths::default(),
            unblocked: VecDeque::new(),
            visits: Vec::with_capacity(VISITS_A_LOOK),
            broken: VecDeque::new(),
            closing: Closing::default(),
            lingering: Lingering::default(),
            acceptor: Acceptor::new(listeners),
            handshakes: Handshakes::default(),
            uncounted: None,
            scratch: vec![0; READ_BYTES_MAX].into_boxed_slice(),
        }
    }

    /// The sockets and the clock.
    pub fn net(&mut self) -> &mut N {
        &mut self.net
    }

    /// The hub.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Notes what the poll has reported.
    pub fn event(&mut self, event: Event) {
        match event {
            Event::Newcomers(listener) => self.acceptor.note(listener),
            Event::Handshake(id) => self.handshakes.note_ready(id),
            Event::Ready {
                id,
                readable,
                writable,
            } => {
                let Some(connection) = self.connections.find(id) else {
                    return;
                };
                if readable {
                    connection.readable = true;
                    self.hub.readable(id);
                }
                if writable && !connection.writable && !connection.end.is_gone() {
                    connection.writable = true;
                    self.unblocked.push_back(id);
                }
            }
        }
    }

    /// How long the poll may wait, in microseconds: `None` for ever, 0 while there is work.
    pub fn timeout(&mut self) -> Option<u64> {
        let now = self.now();
        let timeout = self.work_timeout(now);
        self.polled_at = now;
        self.time.wait(timeout.unwrap_or(u64::MAX));
        timeout
    }

    /// The same, at the service time `now`.
    fn work_timeout(&self, now: Now) -> Option<u64> {
        let is_open = self.acceptor.is_ready(self.handshakes_are_full());
        let accepts = is_open && self.hub.is_open() && !self.hub.is_shutting_down();
        let has_visits = !self.unblocked.is_empty() || self.hub.has_writable();
        let has_closed = !self.broken.is_empty() || self.hub.has_closed();
        let counts = self.uncounted.is_some();
        let has_jobs = self.hub.has_jobs() || self.hub.readables() > 0;
        let shakes_hands = self.handshakes.have_ready();
        if accepts || shakes_hands || has_visits || has_closed || counts || has_jobs {
            return Some(0);
        }
        let hub = [self.hub.next_deadline(), self.log.deadline()];
        let net = [
            self.lingering.next_deadline(),
            self.acceptor.deadline(),
            self.handshakes.deadline(),
            self.closing.deadline(),
        ];
        let next = hub.into_iter().chain(net).flatten().min()?;
        Some(next.as_micros().saturating_sub(now.as_micros()))
    }

    /// One turn.
    pub fn run(&mut self) {
        let began = self.now();
        self.accept();
        self.shake_hands();
        self.read();
        self.carry_on();
        self.write();
        self.ring_timers();
        self.count_addresses();
        self.log.reports(&mut self.hub);
        self.close();
        if self.hub.is_shutting_down() && self.hub.clients() == 0 {
            self.hub.stop_cluster(began);
        }
        let ended = self.now();
        self.log.sum_up(ended, self.is_over());
        let length_us = ended.as_micros().saturating_sub(began.as_micros());
        self.turn_lengths.record(length_us);
    }

    /// Something has come from the engine of the cluster.
    pub fn engine_input(&mut self, input: Input<'_>) {
        let now = self.now();
        self.hub.engine_input(now, input);
    }

    /// What the engine is to do next.
    #[must_use = "what has been taken out is to be done"]
    pub fn next_op(&mut self) -> Option<Op> {
        let now = self.now();
        self.hub.next_op(now)
    }

    /// Whether every connection has ended after [`stop`](Scheduler::stop).
    pub fn is_over(&self) -> bool {
        self.hub.is_shutting_down() && self.hub.clients() == 0 && self.hub.has_left_cluster()
    }

    pub(super) fn now(&mut self) -> Now {
        self.time.at(self.net.now(self.hub.totals().work))
    }

    /// Visits each readable connection once, within the budget, looking at the clock after each. Those that may have more
    /// are queued again.
    fn read(&mut self) {
        let mut now = self.now();
        let deadline = now.after(READ_US);
        for _ in 0..self.hub.readables() {
            let Some(id) = self.hub.next_readable() else {
                break;
            };
            self.read_one(now, id);
            now = self.now();
            if now >= deadline {
                break;
            }
        }
    }

    fn read_one(&mut self, now: Now, id: ConnId) {
        let Some(connection) = self.connections.find(id) else {
            return;
        };
        match self.hub.resume(now, id) {
            Resume::Read if connection.readable => {}
            Resume::Read | Resume::Wait => return,
            Resume::Blocked => {
                // One whose last words wait may have been reset meanwhile.
                if connection.end.is_gone() || self.closing.contains(id) {
                    self.broken.push_back(id);
                }
                return;
            }
        }
        let read = self.net.read(&mut connection.socket, &mut self.scratch);
        let overhead = OVERHEAD_WORK * self.net.overhead(&connection.socket);
        // Reading may leave something to be written.
        if connection.writable && matches!(self.net.flush(&mut connection.socket), Ok(false)) {
            connection.writable = false;
        }
        match read {
            Ok(0) => {
                connection.readable = false;
                if !matches!(connection.end, End::Failed(_)) {
                    self.hub.finish(now, id);
                }
                if connection.end.is_gone() {
                    self.broken.push_back(id);
                } else {
                    connection.end = End::Read;
                }
            }
            Ok(n) => {
                connection.received = connection.received.saturating_add(n as u32);
                let work = self.hub.totals().work;
                self.hub.receive(now, id, &self.scratch[..n]);
                let cost = self.hub.totals().work - work + n as u64 + overhead;
                self.hub.still_readable(id, cost);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => connection.readable = false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.hub.still_readable(id, overhead);
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                connection.readable = false;
                if connection.end.is_gone() {
                    self.broken.push_back(id);
                } else {
                    connection.end = End::Cut;
                    self.hub.cut(now, id);
                }
            }
            Err(error) => {
                connection.end.replace(&error);
                self.broken.push_back(id);
            }
        }
    }

    /// Writes to each connection that has output, within the budget. The next turn goes on where this one stopped.
    fn write(&mut self) {
        let mut now = self.now();
        let deadline = now.after(WRITE_US);
        // Connections that were not writable are visited once a turn: one that never takes all must not hold up others.
        for visit in 1..=self.unblocked.len() {
            let Some(id) = self.unblocked.pop_front() else {
                break;
            };
            self.write_one(now, id);
            if visit % VISITS_A_LOOK == 0 {
                now = self.now();
                if now >= deadline {
                    break;
                }
            }
        }
        while self.plan_visits(now) {
            for nth in 0..self.visits.len() {
                self.write_one(now, self.visits[nth]);
            }
            now = self.now();
            if now >= deadline {
                break;
            }
        }
    }

    /// Plans the next few visits, to writable connections; false when no connection has output. Looking at all of them
    /// before writing to any is cheaper than by turns: their records are fetched from memory side by side.
    fn plan_visits(&mut self, now: Now) -> bool {
        self.visits.clear();
        for nth in 0..VISITS_A_LOOK {
            let Some(id) = self.hub.next_writable(now) else {
                return nth > 0;
            };
            let connection = self.connections.find(id);
            if connection.is_some_and(|connection| connection.writable) {
                self.visits.push(id);
            }
        }
        true
    }

    /// One visit: all output there is by now, in one write.
    fn write_one(&mut self, now: Now, id: ConnId) {
        let Some(connection) = self.connections.find(id).filter(|it| it.writable) else {
            return;
        };
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let n = self.hub.output(id, &mut slices);
        let written = match n {
            0 => Ok(0),
            n => self.net.write(&mut connection.socket, &slices[..n]),
        };
        // What was written may still have to be sent, also if the hub has nothing more.
        let flushed = written.and_then(|n| Ok((n, self.net.flush(&mut connection.socket)?)));
        match flushed {
            Ok((written, is_flushed)) => {
                let has_more = self.hub.sent(now, id, written);
                connection.writable = is_flushed;
                if has_more && n > 0 && is_flushed {
                    self.unblocked.push_back(id);
                }
                if is_flushed && self.closing.contains(id) {
                    self.broken.push_back(id);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => connection.writable = false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.unblocked.push_back(id);
            }
            Err(error) => {
                connection.writable = false;
                connection.readable = true;
                match connection.end.replace(&error) {
                    End::Read | End::Cut => self.broken.push_back(id),
                    // What the peer sent before it closed is still read; that ends in an error or in its end.
                    _ => self.hub.readable(id),
                }
            }
        }
    }

    /// Does what was due when the poll was asked, within the budget. What has become due since waits for the next turn: its
    /// client may have sent something meanwhile.
    fn ring_timers(&mut self) {
        let mut now = self.now();
        let deadline = now.after(TIMERS_US);
        while let Some(due) = self.hub.next_deadline()
            && due <= self.polled_at
            && self.hub.tick(now)
        {
            now = self.now();
            if now >= deadline {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::limits::Limits;
    use crate::hub::{Peer, Wire};
    use crate::net::transport::{HandshakeId, Newcomer};
    use std::io::ErrorKind;

    /// Two connections, from which a byte can always be read; of the first it is one in a kilobyte.
    #[derive(Debug, Default)]
    struct TwoPeers {
        come: usize,
        /// Which of them were read.
        reads: Vec<usize>,
    }

    impl Net for TwoPeers {
        type Socket = usize;

        fn now(&self, _: u64) -> Now {
            Now::default()
        }

        fn accept(&mut self, _: usize) -> io::Result<Newcomer<usize>> {
            self.come += 1;
            match self.come {
                nth @ 1..=2 => Ok((nth, Peer::new(None, Wire::Chat), None)),
                _ => Err(ErrorKind::WouldBlock.into()),
            }
        }

        fn register(&mut self, _: &mut usize, _: ConnId) -> io::Result<()> {
            Ok(())
        }

        fn register_newcomer(&mut self, _: &mut usize, _: HandshakeId) -> io::Result<()> {
            Ok(())
        }

        fn reregister(&mut self, _: &mut usize, _: ConnId) -> io::Result<()> {
            Ok(())
        }

        fn peek(&mut self, _: &mut usize, _: &mut [u8]) -> io::Result<usize> {
            Err(ErrorKind::WouldBlock.into())
        }

        fn read(&mut self, &mut nth: &mut usize, into: &mut [u8]) -> io::Result<usize> {
            self.reads.push(nth);
            into[0] = b'x';
            Ok(1)
        }

        fn overhead(&self, &nth: &usize) -> u64 {
            if nth == 1 { 1 << 10 } else { 22 }
        }

        fn write(&mut self, _: &mut usize, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            Ok(slices.iter().map(|slice| slice.len()).sum())
        }

        fn close_write(&mut self, _: &mut usize) {}
    }

    #[test]
    fn a_client_of_which_little_can_be_read_goes_after_those_that_send_lines() {
        let mut scheduler = Scheduler::new(TwoPeers::default(), Hub::new(Limits::default()), 1);
        scheduler.event(Event::Newcomers(0));
        scheduler.run();
        for slot in 0..2 {
            let (id, _) = scheduler.connections.at(slot).expect("a connection");
            scheduler.event(Event::Ready {
                id,
                readable: true,
                writable: false,
            });
        }
        scheduler.run();
        assert_eq!(
            scheduler.net().reads,
            [1, 2],
            "in the order of their events"
        );
        scheduler.net().reads.clear();
        for _ in 0..10 {
            scheduler.run();
        }
        let reads = &scheduler.net().reads;
        let of_first = reads.iter().filter(|&&nth| nth == 1).count();
        assert!(0 < of_first && of_first <= reads.len() / 4, "{reads:?}");
    }
}

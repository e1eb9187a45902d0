//! The order of a turn: accept, read, write, deadlines, close, each within a budget. Generic over its sockets and told the
//! time, so that the code that is simulated is the code that serves. Never waits, never polls.

use super::connections::{Connections, End};
use super::linger::{LINGER_US, Lingering};
use super::listener::{AcceptFault, classify};
use super::transport::{Event, Net};
use crate::hub::limits::{READ_BYTES_MAX, SLICES_MAX};
use crate::hub::{ConnId, Hub, Now, Peer, Resume, Wire};
use std::collections::VecDeque;
use std::io::{self, IoSlice};

/// Newcomers accepted a turn.
const ACCEPTS_MAX: usize = 256;
/// Microseconds for reading, and for writing, before the other has its turn. The first visits are always made.
const PHASE_US: u64 = 2_000;
/// Visits between two looks at the clock.
const VISITS_A_LOOK: usize = 16;
/// Microseconds until accepting is tried again after the system ran out of something.
const ACCEPT_BACKOFF_US: u64 = 100_000;

/// Serves a [`Hub`]: says which connection is accepted, read, written and closed when.
#[derive(Debug)]
pub struct Scheduler<N: Net> {
    net: N,
    hub: Hub,
    connections: Connections<N::Socket>,
    /// Connections that are writable again, or did not take all.
    unblocked: VecDeque<ConnId>,
    /// The next connections to be written to: `0 <= len <= VISITS_A_LOOK`.
    visits: Vec<ConnId>,
    /// Connections that have ended by themselves in this turn.
    broken: Vec<ConnId>,
    /// Closed connections whose peers may still have to read the last bytes.
    lingering: Lingering<N::Socket>,
    /// Whether each listener may have newcomers.
    newcomers: Vec<bool>,
    /// Nothing is accepted until then: the system has run out of descriptors or memory.
    accept_pause: Option<Now>,
    scratch: Box<[u8]>,
}

impl<N: Net> Scheduler<N> {
    /// A scheduler for so many listeners.
    pub fn new(net: N, hub: Hub, listeners: usize) -> Scheduler<N> {
        Scheduler {
            net,
            hub,
            connections: Connections::default(),
            unblocked: VecDeque::new(),
            visits: Vec::with_capacity(VISITS_A_LOOK),
            broken: Vec::new(),
            lingering: Lingering::default(),
            newcomers: vec![true; listeners],
            accept_pause: None,
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

    /// Connects the console, before anybody else.
    ///
    /// # Errors
    /// The system has no memory to poll its connection.
    pub fn connect_console(&mut self, mut socket: N::Socket) -> io::Result<()> {
        let id = self.hub.connect_console(self.net.now());
        self.net.register(&mut socket, id)?;
        self.connections.insert(id, socket);
        Ok(())
    }

    /// Notes what the poll has reported.
    pub fn event(&mut self, event: Event) {
        match event {
            Event::Newcomers(listener) => self.newcomers[listener] = true,
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
    pub fn timeout(&self) -> Option<u64> {
        let accepts = self.accept_pause.is_none()
            && self.newcomers.contains(&true)
            && !self.hub.is_shutting_down();
        let has_visits = !self.unblocked.is_empty() || self.hub.has_writable();
        if accepts || has_visits || self.hub.readables() > 0 {
            return Some(0);
        }
        let next = [
            self.hub.next_deadline(),
            self.lingering.next_deadline(),
            self.accept_pause,
        ]
        .into_iter()
        .flatten()
        .min()?;
        Some(next.as_micros().saturating_sub(self.net.now().as_micros()))
    }

    /// One turn.
    pub fn run(&mut self) {
        self.accept();
        self.read();
        self.write();
        self.hub.tick(self.net.now());
        self.close();
    }

    /// Accepts nothing any more, and closes each connection as soon as its output has been written.
    pub fn stop(&mut self) {
        self.hub.shutdown(self.net.now());
    }

    /// Whether every connection has ended after [`stop`](Scheduler::stop).
    pub fn is_over(&self) -> bool {
        self.hub.is_shutting_down() && self.hub.clients() == 0
    }

    fn accept(&mut self) {
        let now = self.net.now();
        if self.hub.is_shutting_down() || self.accept_pause.is_some_and(|until| until > now) {
            return;
        }
        let was_paused = self.accept_pause.take().is_some();
        let mut budget = ACCEPTS_MAX;
        for listener in 0..self.newcomers.len() {
            while self.newcomers[listener] && budget > 0 {
                budget -= 1;
                match self.net.accept(listener) {
                    Ok((socket, peer)) => self.admit(socket, peer),
                    Err(error) => match classify(&error) {
                        AcceptFault::NobodyThere => self.newcomers[listener] = false,
                        AcceptFault::OneNewcomer => {
                            tracing::debug!(%error, "a newcomer closed before it was accepted");
                        }
                        AcceptFault::System => {
                            if !was_paused {
                                tracing::warn!(%error, "newcomers have to wait");
                            }
                            self.accept_pause = Some(self.net.now().after(ACCEPT_BACKOFF_US));
                            return;
                        }
                    },
                }
            }
        }
    }

    fn admit(&mut self, mut socket: N::Socket, peer: Peer) {
        let now = self.net.now();
        let id = match self.hub.connect(now, peer) {
            Ok(id) => id,
            Err(refusal) => {
                tracing::debug!(?peer.address, %refusal, "refused");
                if peer.wire == Wire::Chat {
                    let mut line = Vec::new();
                    refusal.write(&mut line);
                    // A new socket takes so few bytes, or its peer is gone already.
                    let _ = self.net.write(&mut socket, &[IoSlice::new(&line)]);
                }
                let until = now.after(LINGER_US);
                return self.lingering.add(&mut self.net, until, socket);
            }
        };
        if let Err(error) = self.net.register(&mut socket, id) {
            tracing::warn!(%error, "a connection cannot be polled");
            self.hub.disconnect(now, id);
            return;
        }
        tracing::debug!(slot = id.slot(), ?peer.address, "connected");
        self.connections.insert(id, socket);
    }

    /// Visits each readable connection once, within the budget. Those that may have more are queued again.
    fn read(&mut self) {
        let mut now = self.net.now();
        let deadline = now.after(PHASE_US);
        for visit in 1..=self.hub.readables() {
            let Some(id) = self.hub.next_readable() else {
                break;
            };
            self.read_one(now, id);
            if visit % VISITS_A_LOOK == 0 {
                now = self.net.now();
                if now >= deadline {
                    break;
                }
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
                if connection.end.is_gone() {
                    self.broken.push(id);
                }
                return;
            }
        }
        match self.net.read(&mut connection.socket, &mut self.scratch) {
            Ok(0) => {
                connection.readable = false;
                if connection.end != End::Reset {
                    self.hub.finish(now, id);
                }
                if connection.end.is_gone() {
                    self.broken.push(id);
                } else {
                    connection.end = End::Read;
                }
            }
            Ok(n) => {
                self.hub.receive(now, id, &self.scratch[..n]);
                self.hub.readable(id);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => connection.readable = false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.hub.readable(id),
            Err(error) => {
                tracing::debug!(slot = id.slot(), %error, "reading failed");
                self.broken.push(id);
            }
        }
    }

    /// Writes to each connection that has output, within the budget. The next turn goes on where this one stopped.
    fn write(&mut self) {
        let mut now = self.net.now();
        let deadline = now.after(PHASE_US);
        // Connections that were not writable are visited once a turn, so that one that never takes all cannot hold up the
        // others.
        for _ in 0..self.unblocked.len() {
            let Some(id) = self.unblocked.pop_front() else {
                break;
            };
            self.write_one(now, id);
        }
        while self.plan_visits(now) {
            for nth in 0..self.visits.len() {
                self.write_one(now, self.visits[nth]);
            }
            now = self.net.now();
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
        let Some(connection) = self.connections.find(id) else {
            return;
        };
        if !connection.writable {
            return;
        }
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let n = self.hub.output(id, &mut slices);
        if n == 0 {
            return;
        }
        match self.net.write(&mut connection.socket, &slices[..n]) {
            Ok(written) => {
                if self.hub.sent(now, id, written) {
                    self.unblocked.push_back(id);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => connection.writable = false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.unblocked.push_back(id);
            }
            Err(error) => {
                tracing::debug!(slot = id.slot(), %error, "writing failed");
                connection.writable = false;
                connection.readable = true;
                if connection.end == End::Read {
                    self.broken.push(id);
                } else {
                    // What the peer sent before it closed is still read; that ends in an error or in its end.
                    let is_reset = error.kind() != io::ErrorKind::BrokenPipe;
                    connection.end = if is_reset { End::Reset } else { End::Write };
                    self.hub.readable(id);
                }
            }
        }
    }

    /// Closes what has ended: only at the end of a turn, so that no event of this turn reaches a newcomer.
    fn close(&mut self) {
        let now = self.net.now();
        for id in self.broken.drain(..) {
            self.connections.remove(id);
            self.hub.disconnect(now, id);
        }
        while let Some(id) = self.hub.next_closed() {
            let Some(connection) = self.connections.remove(id) else {
                continue;
            };
            tracing::debug!(slot = id.slot(), "closed");
            self.hub.disconnect(now, id);
            if connection.end == End::None {
                // When the server itself ends, no peer is waited for.
                let linger_us = if self.hub.is_shutting_down() {
                    0
                } else {
                    LINGER_US
                };
                let until = now.after(linger_us);
                self.lingering.add(&mut self.net, until, connection.socket);
            }
        }
        self.lingering.expire(&mut self.net, now);
    }
}

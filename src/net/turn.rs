//! The order of a turn: accept, read, flush, deadlines, reap, each within a budget. Told the time and generic over
//! its sockets, so that what is simulated is what serves. Never waits, never polls.

use super::linger::{LINGER_US, Lingering};
use super::listener::{AcceptFault, classify};
use super::table::{End, Table};
use super::world::{Event, Net};
use crate::hub::limits::{READ_BYTES_MAX, SLICES_MAX};
use crate::hub::{ConnId, Hub, Now, Peer, Resume, Wire};
use std::collections::VecDeque;
use std::io::{self, IoSlice};

/// Newcomers let in a turn.
const ACCEPTS_MAX: usize = 256;
/// Microseconds for reading, and for flushing, before the other has its turn. The first visit is always made.
const PHASE_US: u64 = 2_000;
/// Visits between two looks at the clock.
const VISITS_A_LOOK: usize = 16;
/// Microseconds until accepting is tried again after the system ran out of something.
const ACCEPT_BACKOFF_US: u64 = 100_000;
/// The scheduler: who is served when.
#[derive(Debug)]
pub struct Turn<N: Net> {
    net: N,
    hub: Hub,
    conns: Table<N::Socket>,
    /// Connections that may have something to be read, or to be taken of what is held.
    ready: VecDeque<ConnId>,
    /// Connections that can be written again, or took less than they were given.
    unblocked: VecDeque<ConnId>,
    /// Those that are written to next.
    visits: Vec<ConnId>,
    /// Connections that ended by themselves in this turn.
    broken: Vec<ConnId>,
    /// Closed connections whose peers may still have to read the last bytes.
    lingering: Lingering<N::Socket>,
    /// Which listeners may have newcomers.
    newcomers: Vec<bool>,
    /// Accepting pauses until then; the system has run out of descriptors or memory.
    accept_pause: Option<Now>,
    /// No newcomer is let in any more.
    stopping: bool,
    scratch: Box<[u8]>,
}

impl<N: Net> Turn<N> {
    /// A scheduler for so many listeners.
    pub fn new(net: N, hub: Hub, listeners: usize) -> Turn<N> {
        Turn {
            net,
            hub,
            conns: Table::default(),
            ready: VecDeque::new(),
            unblocked: VecDeque::new(),
            visits: Vec::with_capacity(VISITS_A_LOOK),
            broken: Vec::new(),
            lingering: Lingering::default(),
            newcomers: vec![true; listeners],
            accept_pause: None,
            stopping: false,
            scratch: vec![0; READ_BYTES_MAX].into_boxed_slice(),
        }
    }

    /// The world.
    pub fn net(&mut self) -> &mut N {
        &mut self.net
    }

    /// The hub.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Lets the host in, before anybody else.
    ///
    /// # Errors
    /// The system has no memory to watch its connection.
    pub fn connect_host(&mut self, mut socket: N::Socket) -> io::Result<()> {
        let id = self.hub.connect_host(self.net.now());
        self.net.register(&mut socket, id)?;
        self.conns.insert(id, socket);
        Ok(())
    }

    /// Takes what the poll has reported.
    pub fn event(&mut self, event: Event) {
        match event {
            Event::Newcomers(listener) => self.newcomers[listener] = true,
            Event::Ready {
                id,
                readable,
                writable,
            } => {
                let Some(conn) = self.conns.find(id) else {
                    return;
                };
                if readable {
                    conn.readable = true;
                    if !conn.waiting {
                        conn.enqueue(id, &mut self.ready);
                    }
                }
                if writable && !conn.writable && !conn.end.is_gone() {
                    conn.writable = true;
                    self.unblocked.push_back(id);
                }
            }
        }
    }

    /// How long the poll may wait: `None` for ever, zero microseconds while there is work.
    pub fn patience(&self) -> Option<u64> {
        let accepting =
            self.accept_pause.is_none() && self.newcomers.contains(&true) && !self.stopping;
        let queued = !self.ready.is_empty() || !self.unblocked.is_empty();
        if accepting || queued || self.hub.has_runnable() || self.hub.has_owed() {
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
        self.flush();
        self.hub.tick(self.net.now());
        self.reap();
    }

    /// Lets nobody in any more, and lets all go as soon as they have been given what they are owed.
    pub fn stop(&mut self) {
        self.stopping = true;
        self.hub.shutdown(self.net.now());
    }

    /// Whether everybody has gone after [`stop`](Turn::stop).
    pub fn is_over(&self) -> bool {
        self.stopping && self.hub.clients() == 0
    }

    fn accept(&mut self) {
        if self.stopping
            || self
                .accept_pause
                .is_some_and(|until| until > self.net.now())
        {
            return;
        }
        let paused = self.accept_pause.take().is_some();
        let mut budget = ACCEPTS_MAX;
        for listener in 0..self.newcomers.len() {
            while self.newcomers[listener] && budget > 0 {
                budget -= 1;
                match self.net.accept(listener) {
                    Ok((socket, peer)) => self.admit(socket, peer),
                    Err(error) => match classify(&error) {
                        AcceptFault::NobodyThere => self.newcomers[listener] = false,
                        AcceptFault::OneNewcomer => {
                            tracing::debug!(%error, "a newcomer was gone before it was let in")
                        }
                        AcceptFault::System => {
                            if !paused {
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
                    // A fresh socket takes so few bytes, or its peer is gone already.
                    let _ = self.net.write(
                        &mut socket,
                        &[IoSlice::new(format!("! {refusal}\n").as_bytes())],
                    );
                }
                return self
                    .lingering
                    .add(&mut self.net, now.after(LINGER_US), socket);
            }
        };
        if let Err(error) = self.net.register(&mut socket, id) {
            tracing::warn!(%error, "a connection cannot be watched");
            self.hub.disconnect(now, id);
            return;
        }
        tracing::debug!(slot = id.slot(), ?peer.address, "connected");
        self.conns.insert(id, socket);
    }

    /// Visits each ready connection once, within the budget; those that have not said `WouldBlock` line up again.
    fn read(&mut self) {
        while let Some(id) = self.hub.next_runnable() {
            if let Some(conn) = self.conns.find(id) {
                conn.waiting = false;
                conn.enqueue(id, &mut self.ready);
            }
        }
        while let Some(id) = self.hub.next_called() {
            if let Some(conn) = self.conns.find(id) {
                conn.waiting = false;
                conn.enqueue_first(id, &mut self.ready);
            }
        }
        let mut now = self.net.now();
        let deadline = now.after(PHASE_US);
        for visit in 1..=self.ready.len() {
            let Some(id) = self.ready.pop_front() else {
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
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        conn.queued = false;
        match self.hub.resume(now, id) {
            Resume::Read => {}
            Resume::Blocked if conn.end.is_gone() => return self.broken.push(id),
            Resume::Wait => return conn.waiting = true,
            Resume::Blocked => return,
        }
        if !conn.readable {
            return;
        }
        match self.net.read(&mut conn.socket, &mut self.scratch) {
            Ok(0) => {
                conn.readable = false;
                if conn.end != End::Reset {
                    self.hub.finish(now, id);
                }
                if conn.end.is_gone() {
                    self.broken.push(id);
                } else {
                    conn.end = End::Read;
                }
            }
            Ok(n) => {
                self.hub.receive(now, id, &self.scratch[..n]);
                conn.enqueue(id, &mut self.ready);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => conn.readable = false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                conn.enqueue(id, &mut self.ready)
            }
            Err(error) => {
                tracing::debug!(slot = id.slot(), %error, "reading ended");
                self.broken.push(id);
            }
        }
    }

    /// Gives everybody what is owed, within the budget; the carousel goes on where it stood in the next turn.
    fn flush(&mut self) {
        let mut now = self.net.now();
        let deadline = now.after(PHASE_US);
        // Those that blocked before are visited once a turn, so that one that never takes all cannot hold the others up.
        for _ in 0..self.unblocked.len() {
            let Some(id) = self.unblocked.pop_front() else {
                break;
            };
            self.flush_one(now, id);
        }
        while self.plan_visits(now) {
            for nth in 0..self.visits.len() {
                self.flush_one(now, self.visits[nth]);
            }
            now = self.net.now();
            if now >= deadline {
                break;
            }
        }
    }

    /// Plans the next few visits, to those that can be written; false when nobody is owed anything. To look at all of
    /// them first and to write then is cheaper than by turns: their records are fetched from memory side by side.
    fn plan_visits(&mut self, now: Now) -> bool {
        self.visits.clear();
        for nth in 0..VISITS_A_LOOK {
            let Some(id) = self.hub.next_owed(now) else {
                return nth > 0;
            };
            if self.conns.find(id).is_some_and(|conn| conn.writable) {
                self.visits.push(id);
            }
        }
        true
    }

    /// One visit: all that is owed by now, in one write.
    fn flush_one(&mut self, now: Now, id: ConnId) {
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        if !conn.writable {
            return;
        }
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let n = self.hub.output(id, &mut slices);
        if n == 0 {
            return;
        }
        match self.net.write(&mut conn.socket, &slices[..n]) {
            Ok(written) => {
                if self.hub.sent(now, id, written) {
                    self.unblocked.push_back(id);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => conn.writable = false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.unblocked.push_back(id)
            }
            Err(error) => {
                tracing::debug!(slot = id.slot(), %error, "writing ended");
                conn.writable = false;
                conn.readable = true;
                if conn.end == End::Read {
                    self.broken.push(id);
                } else {
                    // What it sent before it went is still to be read; that ends in an error or in its end.
                    let reset = error.kind() != io::ErrorKind::BrokenPipe;
                    conn.end = if reset { End::Reset } else { End::Write };
                    conn.enqueue(id, &mut self.ready);
                }
            }
        }
    }

    /// Closes what has ended: only here, at the turn's end, so that no event of this turn meets a newcomer.
    fn reap(&mut self) {
        let now = self.net.now();
        for id in self.broken.drain(..) {
            self.conns.remove(id);
            self.hub.disconnect(now, id);
        }
        while let Some(id) = self.hub.next_done() {
            let Some(conn) = self.conns.remove(id) else {
                continue;
            };
            tracing::debug!(slot = id.slot(), "closed");
            self.hub.disconnect(now, id);
            if conn.end == End::None {
                // At the server's own end nobody is waited for.
                let until = if self.stopping {
                    now
                } else {
                    now.after(LINGER_US)
                };
                self.lingering.add(&mut self.net, until, conn.socket);
            }
        }
        self.lingering.expire(&mut self.net, now);
    }
}

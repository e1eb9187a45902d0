//! Newcomers of which the hub does not know yet: they have to send a PROXY header, or to shake hands by TLS. Which are
//! there, whose socket is ready, whose time is up, and what became of them. Reads nothing and admits nobody.

use super::proxy::Parser;
use super::transport::HandshakeId;
use crate::hub::{Now, Peer, Range};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

/// Unfinished handshakes at a time; a listener whose newcomer comes then may have one more.
pub const HANDSHAKES_MAX: usize = 1024;
/// … that need no place among `--max-clients`, so that newcomers can be told that these are taken.
pub const HANDSHAKES_BESIDE_MAX: usize = 64;
/// Unfinished TLS handshakes from one address at a time (of IPv6: from one /64).
pub const HANDSHAKES_PER_ADDRESS_MAX: usize = 64;
/// Microseconds that a newcomer has for all of it.
pub const HANDSHAKE_US: u64 = 10_000_000;

/// A newcomer that the hub does not know yet.
#[derive(Debug)]
pub struct Pending<S> {
    /// Its socket.
    pub socket: S,
    /// As the hub will know it.
    pub peer: Peer,
    /// The address and port, of the client once a proxy has said it.
    pub address: Option<SocketAddr>,
    /// What a proxy has said, if it has.
    pub relayed: Option<Relayed>,
    /// The number of the listener that has accepted it.
    pub listener: usize,
    /// What it still has to do.
    pub step: Step,
    /// When its time is up.
    until: Now,
    /// It is in the queue of those that are ready.
    is_ready: bool,
    /// It is counted by its address.
    counted: Option<Range>,
}

/// What a newcomer still has to do.
#[derive(Debug)]
pub enum Step {
    /// It has to send a PROXY header, of which this has come.
    Header(Box<Parser>),
    /// It has to shake hands.
    Handshake,
}

/// What is known of a connection from its PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relayed {
    /// The client's address and port; the proxy's, if it has named none.
    pub client: SocketAddr,
    /// The proxy's address and port.
    pub proxy: SocketAddr,
}

/// What became of a newcomer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The hub was asked to admit it.
    Done,
    /// It has left before it was done.
    Left,
    /// What it sent was no PROXY header.
    BadHeader,
    /// The handshake has failed.
    Failed,
    /// Its time was up.
    TimedOut,
    /// There were too many from its address.
    AddressFull,
    /// The server ends.
    Shutdown,
}

impl Outcome {
    /// All of them, and each as the value of a metric's label.
    const LABELS: [(Outcome, &str); 7] = [
        (Outcome::Done, "done"),
        (Outcome::Left, "closed_by_peer"),
        (Outcome::BadHeader, "bad_header"),
        (Outcome::Failed, "failed"),
        (Outcome::TimedOut, "timed_out"),
        (Outcome::AddressFull, "address_full"),
        (Outcome::Shutdown, "shutdown"),
    ];
}

/// All newcomers of which the hub does not know yet.
#[derive(Debug)]
pub struct Handshakes<S> {
    /// The oldest first, so that the first one's time is up first.
    pending: BTreeMap<HandshakeId, Pending<S>>,
    /// Those whose sockets are ready; some of them may have ended. `0 <= len <= 2 * pending` and a turn's.
    ready: VecDeque<HandshakeId>,
    /// The number of the last one.
    last: u32,
    /// Unfinished TLS handshakes by address.
    by_address: BTreeMap<Range, usize>,
    /// From where connections begin with a PROXY header.
    proxies: Vec<Range>,
    /// By [`Outcome`].
    outcomes: [u64; Outcome::LABELS.len()],
}

impl<S> Default for Handshakes<S> {
    fn default() -> Self {
        Handshakes {
            pending: BTreeMap::new(),
            ready: VecDeque::new(),
            last: 0,
            by_address: BTreeMap::new(),
            proxies: Vec::new(),
            outcomes: [0; Outcome::LABELS.len()],
        }
    }
}

impl<S> Handshakes<S> {
    /// From now on, connections from these ranges must begin with a PROXY header.
    pub fn set_proxies(&mut self, proxies: Vec<Range>) {
        self.proxies = proxies;
    }

    /// Whether connections from this address must begin with a PROXY header.
    pub fn is_proxy(&self, address: Option<SocketAddr>) -> bool {
        let is_in = |address: SocketAddr| {
            let mut proxies = self.proxies.iter();
            proxies.any(|range| range.contains(address.ip()))
        };
        !self.proxies.is_empty() && address.is_some_and(is_in)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Whether no more are to be accepted, beside so many connections of which there may be `clients_max`.
    pub fn are_full(&self, clients: usize, clients_max: usize) -> bool {
        let len = self.len();
        let places = (clients_max + HANDSHAKES_BESIDE_MAX).saturating_sub(clients);
        len >= HANDSHAKES_MAX.min(places) && len > 0
    }

    /// The name of the next newcomer.
    pub fn next_id(&mut self) -> HandshakeId {
        self.last = self.last.wrapping_add(1);
        HandshakeId(self.last)
    }

    /// Adds a newcomer. Its time starts now.
    #[expect(clippy::too_many_arguments, reason = "what is known of a newcomer")]
    pub fn add(
        &mut self,
        now: Now,
        id: HandshakeId,
        socket: S,
        peer: Peer,
        address: Option<SocketAddr>,
        listener: usize,
        step: Step,
    ) {
        let pending = Pending {
            socket,
            peer,
            address,
            relayed: None,
            listener,
            step,
            until: now.after(HANDSHAKE_US),
            is_ready: false,
            counted: None,
        };
        self.pending.insert(id, pending);
    }

    /// A newcomer's socket is ready, or may be.
    pub fn note_ready(&mut self, id: HandshakeId) {
        if let Some(pending) = self.pending.get_mut(&id)
            && !std::mem::replace(&mut pending.is_ready, true)
        {
            self.ready.push_back(id);
        }
    }

    /// Whether any newcomer's socket is ready.
    pub fn have_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// How many of them there are, at most.
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    /// The next newcomer whose socket is ready. It is to be visited once.
    pub fn next_ready(&mut self) -> Option<HandshakeId> {
        let id = self.ready.pop_front()?;
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.is_ready = false;
        }
        Some(id)
    }

    /// A newcomer, if it is still there.
    pub fn find(&mut self, id: HandshakeId) -> Option<&mut Pending<S>> {
        self.pending.get_mut(&id)
    }

    /// A newcomer begins to shake hands. False: too many from its address do already.
    #[must_use = "one too many is to be closed"]
    pub fn begin(&mut self, id: HandshakeId) -> bool {
        let Some(pending) = self.pending.get_mut(&id) else {
            return true;
        };
        pending.step = Step::Handshake;
        let Some(address) = pending.peer.address else {
            return true;
        };
        let range = Range::of(address);
        let from_there = self.by_address.entry(range).or_default();
        if *from_there >= HANDSHAKES_PER_ADDRESS_MAX {
            return false;
        }
        *from_there += 1;
        pending.counted = Some(range);
        true
    }

    /// Takes a newcomer out, of which this has become.
    pub fn remove(&mut self, id: HandshakeId, outcome: Outcome) -> Option<Pending<S>> {
        let pending = self.pending.remove(&id)?;
        self.outcomes[outcome as usize] += 1;
        if let Some(range) = pending.counted
            && let Some(from_there) = self.by_address.get_mut(&range)
        {
            *from_there -= 1;
            if *from_there == 0 {
                self.by_address.remove(&range);
            }
        }
        Some(pending)
    }

    /// When the oldest newcomer's time is up.
    pub fn deadline(&self) -> Option<Now> {
        let (_, oldest) = self.pending.first_key_value()?;
        Some(oldest.until)
    }

    /// The oldest newcomer, if its time was up then and nothing of it waits to be read.
    pub fn overdue(&self, then: Now) -> Option<HandshakeId> {
        let (&id, oldest) = self.pending.first_key_value()?;
        (oldest.until <= then && !oldest.is_ready).then_some(id)
    }

    /// Closes all of them: the server ends.
    pub fn close_all(&mut self) {
        while let Some((&id, _)) = self.pending.first_key_value() {
            self.remove(id, Outcome::Shutdown);
        }
        self.ready.clear();
    }

    /// What became of newcomers, each with its label.
    pub fn outcomes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let labels = Outcome::LABELS.into_iter().map(|(_, label)| label);
        labels.zip(self.outcomes)
    }
}

//! Newcomers of which the hub does not know yet: they have to send a PROXY header, or to shake hands by TLS. Which are
//! there, whose socket is ready, whose time is up, and what became of them. Reads nothing and admits nobody.

use super::proxy::{Header, Parser};
use super::transport::HandshakeId;
use crate::hub::{Now, Peer, Range, Ranges};
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
    /// What the header says.
    pub header: Header,
    /// The proxy's address and port.
    pub proxy: SocketAddr,
}

impl Relayed {
    /// The address and port that the connection has: the client's, or the proxy's if it has named none.
    pub fn address(self) -> SocketAddr {
        match self.header {
            Header::From(client) => client,
            Header::Unknown | Header::Local => self.proxy,
        }
    }

    /// Whether the proxy may have made the connection itself, to see whether the server answers. Some say of such a connection
    /// that they do not know from where it comes.
    pub fn may_be_check(self) -> bool {
        !matches!(self.header, Header::From(_))
    }
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
    proxies: Ranges,
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
            proxies: Ranges::default(),
            outcomes: [0; Outcome::LABELS.len()],
        }
    }
}

impl<S> Handshakes<S> {
    /// From now on, connections from these ranges must begin with a PROXY header.
    pub fn set_proxies(&mut self, proxies: Ranges) {
        self.proxies = proxies;
    }

    /// Whether connections from this address must begin with a PROXY header.
    pub fn is_proxy(&self, address: Option<SocketAddr>) -> bool {
        let is_in = |address: SocketAddr| self.proxies.contains(address.ip());
        !self.proxies.is_empty() && address.is_some_and(is_in)
    }

    /// How many there are.
    pub fn unfinished(&self) -> usize {
        self.pending.len()
    }

    /// Whether no more are to be accepted, beside so many connections of which there may be `clients_max`.
    pub fn are_full(&self, clients: usize, clients_max: usize) -> bool {
        let len = self.unfinished();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::Wire;

    /// A newcomer from this address, which is to shake hands; whether it may.
    fn add(handshakes: &mut Handshakes<()>, now: Now, address: &str) -> (HandshakeId, bool) {
        let address: SocketAddr = address.parse().unwrap();
        let peer = Peer::new(Some(address.ip()), Wire::Chat);
        let id = handshakes.next_id();
        let step = Step::Handshake;
        handshakes.add(now, id, (), peer, Some(address), 0, step);
        (id, handshakes.begin(id))
    }

    #[test]
    fn unfinished_handshakes_are_limited_by_address() {
        let (mut handshakes, now) = (Handshakes::default(), Now::default());
        let mut ids = Vec::new();
        for port in 0..HANDSHAKES_PER_ADDRESS_MAX {
            let (id, may) = add(&mut handshakes, now, &format!("[2001:db8::{port:x}]:1"));
            assert!(may, "{port}");
            ids.push(id);
        }
        let (one_more, may) = add(&mut handshakes, now, "[2001:db8::ffff]:1");
        assert!(!may, "of IPv6 a /64 counts");
        handshakes.remove(one_more, Outcome::AddressFull);
        assert!(add(&mut handshakes, now, "[2001:db8:0:1::1]:1").1);
        assert!(add(&mut handshakes, now, "192.0.2.1:1").1);
        handshakes.remove(ids[5], Outcome::Done);
        assert!(add(&mut handshakes, now, "[2001:db8::ffff]:1").1);
        handshakes.close_all();
        assert!(handshakes.by_address.is_empty() && handshakes.unfinished() == 0);
        let counted: Vec<_> = handshakes.outcomes().filter(|(_, n)| *n > 0).collect();
        let others = HANDSHAKES_PER_ADDRESS_MAX as u64 + 2;
        assert_eq!(
            counted,
            [("done", 1), ("address_full", 1), ("shutdown", others)]
        );
    }

    #[test]
    fn labels_are_in_the_order_of_outcomes() {
        for (nth, (outcome, _)) in Outcome::LABELS.into_iter().enumerate() {
            assert_eq!(outcome as usize, nth);
        }
    }

    #[test]
    fn the_oldest_is_overdue_first_unless_something_of_it_waits_to_be_read() {
        let (mut handshakes, start) = (Handshakes::default(), Now::from_micros(7));
        let (one, _) = add(&mut handshakes, start, "192.0.2.1:1");
        let (two, _) = add(&mut handshakes, start.after(5), "192.0.2.1:2");
        let due = start.after(HANDSHAKE_US);
        assert_eq!(handshakes.deadline(), Some(due));
        assert_eq!(handshakes.overdue(start.after(HANDSHAKE_US - 1)), None);
        assert_eq!(handshakes.overdue(due), Some(one));
        handshakes.note_ready(one);
        handshakes.note_ready(one);
        assert_eq!((handshakes.overdue(due), handshakes.ready()), (None, 1));
        assert_eq!(handshakes.next_ready(), Some(one));
        assert_eq!(handshakes.overdue(due), Some(one));
        handshakes.remove(one, Outcome::TimedOut);
        // A late event does nothing.
        handshakes.note_ready(one);
        assert!(!handshakes.have_ready() && handshakes.find(one).is_none());
        assert_eq!(handshakes.overdue(due), None);
        assert_eq!(handshakes.overdue(due.after(5)), Some(two));
    }

    #[test]
    fn they_are_full_at_the_cap_or_when_few_places_are_left() {
        let (mut handshakes, now) = (Handshakes::default(), Now::default());
        assert!(!handshakes.are_full(0, 10_000));
        // More connections than the limits allow by now: one at a time can be told so.
        assert!(!handshakes.are_full(500, 10));
        for port in 0..HANDSHAKES_BESIDE_MAX {
            assert!(!handshakes.are_full(10, 10), "{port}");
            add(&mut handshakes, now, &format!("192.0.2.{port}:1"));
        }
        assert!(handshakes.are_full(10, 10) && handshakes.are_full(500, 10));
        assert!(!handshakes.are_full(9, 10));
        for port in HANDSHAKES_BESIDE_MAX..HANDSHAKES_MAX {
            assert!(!handshakes.are_full(0, 10_000), "{port}");
            add(
                &mut handshakes,
                now,
                &format!("10.0.{}.{}:1", port / 256, port % 256),
            );
        }
        assert!(handshakes.are_full(0, 10_000));
    }
}

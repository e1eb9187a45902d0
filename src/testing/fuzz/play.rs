//! A hub and its peers, driven by its contract: a peer is read only after the hub has allowed it, and written to only after
//! the hub has asked for it. After each call all invariants are checked. Decides nothing about what happens.

use super::model::{Model, Schooling};
use crate::hub::client::{Client, Role, State};
use crate::hub::limits::{LOG_BLOCK_BYTES, Limits, READ_BYTES_MAX, SLICES_MAX};
use crate::hub::{ConnId, Resume, Wire};
use crate::testing::test_hub::TestHub;
use std::io::IoSlice;

/// Whether the peer has finished sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fin {
    No,
    /// As soon as all that it sent before has been received.
    Sent,
    Received,
}

/// The other side of one connection. Peers are never forgotten, so a peer's number stays its own.
#[derive(Debug)]
pub struct Peer {
    /// `None` once it is disconnected.
    pub id: Option<ConnId>,
    /// What it has sent and nobody has received.
    pub sent: Vec<u8>,
    pub fin: Fin,
    /// It may be asked whether it may be read; if not, it must come out of the queue first.
    readable: bool,
    /// It did not take all that it was given: it need not come out of the queue again.
    blocked: bool,
    /// Reads everything at once, so that it never loses a line.
    pub witness: bool,
}

pub struct Play {
    pub test: TestHub,
    pub peers: Vec<Peer>,
    pub model: Model,
    /// Ids that are in use no more.
    pub stale: Vec<ConnId>,
    pub over: bool,
    /// The console's id, if it has connected.
    console: Option<ConnId>,
}

/// What the peers do.
impl Play {
    pub fn new(limits: Limits, schooling: Schooling) -> Play {
        let mut play = Play {
            test: TestHub::new(limits),
            peers: Vec::new(),
            model: Model::new(schooling),
            stale: Vec::new(),
            over: false,
            console: None,
        };
        if schooling == Schooling::Exact {
            for wire in [Wire::Chat, Wire::Raw] {
                play.connect(wire, true);
            }
        }
        play
    }

    /// The peers that are connected.
    pub fn present(&self) -> Vec<usize> {
        let present = |number: &usize| self.peers[*number].id.is_some();
        (0..self.peers.len()).filter(present).collect()
    }

    pub fn connect(&mut self, wire: Wire, witness: bool) {
        let hub = &self.test.hub;
        let console = self.console.is_some_and(|id| hub.client(id).is_some());
        let others = hub.clients() - usize::from(console);
        let full = others >= hub.limits().clients_max || self.over;
        let got = self.test.connect(wire);
        assert_eq!(got.is_err(), full);
        if let Ok(id) = got {
            self.arrive(id, wire, witness);
        }
    }

    /// The console connects, if it has not before. Though a server would end with it, the others stay when it leaves.
    pub fn connect_console(&mut self) {
        if self.console.is_none() && !self.over {
            let id = self.test.hub.connect_console(self.test.now);
            self.console = Some(id);
            self.arrive(id, Wire::Chat, false);
        }
    }

    fn arrive(&mut self, id: ConnId, wire: Wire, witness: bool) {
        assert!(!self.stale.contains(&id), "an id is never given again");
        self.peers.push(Peer {
            id: Some(id),
            sent: Vec::new(),
            fin: Fin::No,
            readable: true,
            blocked: false,
            witness,
        });
        let name = self.client(id).name.as_ref();
        let name = name.map(ToString::to_string).unwrap_or_default();
        self.model.arrive(wire, name);
        self.check();
    }

    /// The server reads at most `n` bytes of the peer, if it may.
    pub fn offer(&mut self, number: usize, n: usize) {
        let Some(id) = self.peers[number]
            .id
            .filter(|_| self.peers[number].readable)
        else {
            return;
        };
        let open = matches!(self.client(id).state(), State::Open(_));
        let resume = self.test.hub.resume(self.test.now, id);
        self.finished(number, open);
        self.peers[number].readable = resume == Resume::Read;
        if resume != Resume::Read {
            return;
        }
        let peer = &mut self.peers[number];
        if !peer.sent.is_empty() {
            let n = n.clamp(1, READ_BYTES_MAX).min(peer.sent.len());
            let bytes: Vec<u8> = peer.sent.drain(..n).collect();
            self.test.hub.receive(self.test.now, id, &bytes);
            self.finished(number, false);
        } else if peer.fin == Fin::Sent {
            peer.fin = Fin::Received;
            // It may be read, so it is open.
            self.test.hub.finish(self.test.now, id);
            self.finished(number, true);
        }
    }

    /// After a call about this peer alone: if its end was acted upon, all that it is to be given is there.
    fn finished(&mut self, number: usize, was_open: bool) {
        self.check();
        let peer = &self.peers[number];
        let client = peer.id.map(|id| self.client(id));
        let acted = client.is_some_and(|client| !client.is_receiving());
        let closing = client.is_some_and(Client::is_closing);
        if was_open && acted && peer.fin == Fin::Received {
            self.model.assert_said_all(number);
            if closing {
                self.model.promise(number);
            }
        }
    }

    /// The server writes to the peer, which takes at most `n` bytes. Whether it took any.
    pub fn read(&mut self, number: usize, n: usize) -> bool {
        let Some(id) = self.peers[number].id else {
            return false;
        };
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let filled = self.test.hub.output(id, &mut slices);
        // Not byte by byte: each comparison is traced while fuzzing.
        let mut given = Vec::new();
        for slice in &slices[..filled] {
            given.extend_from_slice(slice);
        }
        let n = n.min(given.len());
        self.peers[number].blocked = n < given.len();
        if n == 0 {
            return false;
        }
        assert!(!self.is_closed(id), "a closed client is not written to");
        let more = self.test.hub.sent(self.test.now, id, n);
        assert!(more || n == given.len(), "the rest is forgotten");
        self.peers[number].blocked = more;
        self.model.hear(number, &given[..n]);
        if self.is_closed(id) {
            self.model.assert_kept(number);
        }
        self.test.check();
        true
    }

    pub fn read_all(&mut self, number: usize) -> bool {
        let mut any = false;
        while self.read(number, usize::MAX) {
            any = true;
        }
        any
    }

    /// The next that is to be written to, of which it takes at most `n` bytes. Whether there was any.
    pub fn visit(&mut self, n: usize) -> bool {
        let Some(id) = self.test.hub.next_writable(self.test.now) else {
            return false;
        };
        let number = self.number(id).expect("a connected peer");
        // A peer whose socket is full is not written to: it is again when it reads.
        if n > 0 || !self.peers[number].blocked {
            self.read(number, n);
        }
        true
    }

    /// The peers that may have input may be read. Whether there was any.
    pub fn wake(&mut self) -> bool {
        let mut any = false;
        while let Some(id) = self.test.hub.next_readable() {
            if let Some(number) = self.number(id) {
                any |= !self.peers[number].readable;
                self.peers[number].readable = true;
            }
        }
        any
    }

    pub fn pass(&mut self, micros: u64) {
        self.test.now = self.test.now.after(micros);
        self.test.hub.tick(self.test.now);
        self.check();
    }

    /// Closes those that are to be closed. Whether there was any.
    pub fn reap(&mut self) -> bool {
        let mut any = false;
        while let Some(id) = self.test.hub.next_closed() {
            if let Some(number) = self.number(id) {
                assert!(self.is_closed(id));
                // Where nobody sends `/quit`, the console leaves only when it has finished or the server ends.
                let goes = self.over || self.peers[number].fin == Fin::Received;
                assert!(goes || !self.model.is_exact() || self.client(id).role != Role::Console);
                self.disconnect(number);
                any = true;
            }
        }
        any
    }

    pub fn disconnect(&mut self, number: usize) {
        if let Some(id) = self.peers[number].id.take() {
            self.test.hub.disconnect(self.test.now, id);
            self.stale.push(id);
            self.check();
        }
    }

    pub fn shutdown(&mut self) {
        let speaking: Vec<usize> = self
            .present()
            .into_iter()
            .filter(|&number| self.is_staying(number))
            .collect();
        self.over = true;
        self.test.hub.shutdown(self.test.now);
        for number in speaking {
            self.model.promise(number);
        }
        self.check();
    }

    /// Whatever comes late for those that are gone changes nothing.
    pub fn late_events(&mut self) {
        let before = (self.test.hub.census(), self.test.hub.totals());
        for &id in &self.stale {
            let (hub, now) = (&mut self.test.hub, self.test.now);
            assert_eq!(hub.resume(now, id), Resume::Blocked);
            hub.receive(now, id, b"boo\n/quit\n");
            hub.finish(now, id);
            assert!(!hub.sent(now, id, 7));
            hub.disconnect(now, id);
            assert_eq!(hub.output(id, &mut [IoSlice::new(&[])]), 0);
        }
        assert_eq!((self.test.hub.census(), self.test.hub.totals()), before);
    }
}

/// What must hold.
impl Play {
    /// After each call: witnesses read, then everything is looked at.
    fn check(&mut self) {
        for number in 0..self.peers.len().min(2) {
            if self.peers[number].witness {
                self.read_all(number);
            }
        }
        self.test.check();
        let totals = self.test.hub.totals();
        self.model.assert_totals(totals.lines, totals.skipped_lines);
    }

    /// Everybody reads and sends all that it can, and time passes, until there is nothing to wait for. Whoever could
    /// go on and is not woken is found here.
    pub fn rest(&mut self) {
        for _ in 0..100_000 {
            let mut busy = false;
            while self.visit(usize::MAX) {
                busy = true;
            }
            for number in self.present() {
                busy |= self.peers[number].blocked && self.read_all(number);
            }
            busy |= self.wake();
            for number in self.present() {
                let before = self.waits(number);
                self.offer(number, READ_BYTES_MAX);
                busy |= self.waits(number) != before;
            }
            busy |= self.reap();
            if busy || self.test.hub.has_writable() || self.test.hub.readables() > 0 {
                continue;
            }
            let resting = self
                .present()
                .iter()
                .all(|&number| self.is_staying(number) && self.waits(number) == (0, false, false));
            let due = self.test.hub.next_deadline();
            if resting || due.is_none() {
                return self.assert_at_rest();
            }
            let wait = due.map_or(0, |due| due.as_micros());
            self.pass(wait.saturating_sub(self.test.now.as_micros()));
        }
        panic!("the hub does not come to rest");
    }

    /// What of a peer's waits to be taken: bytes, whether some are held, and its end.
    fn waits(&self, number: usize) -> (usize, bool, bool) {
        let peer = &self.peers[number];
        let Some(id) = peer.id else {
            return (0, false, false);
        };
        let client = self.client(id);
        if client.is_closing() {
            return (0, false, false);
        }
        let has_deferred = self.test.hub.input(id).has_deferred();
        (peer.sent.len(), has_deferred, peer.fin == Fin::Sent)
    }

    fn assert_at_rest(&self) {
        for number in self.present() {
            assert!(self.is_staying(number), "{number} is never closed");
            assert_eq!(self.waits(number), (0, false, false), "{number} waits");
            self.model.assert_said_all(number);
            self.model.assert_heard_all(number);
        }
    }

    /// All leave, and nothing is left.
    pub fn leave(&mut self) {
        for number in self.present() {
            self.disconnect(number);
        }
        self.wake();
        self.reap();
        self.late_events();
        let hub = &mut self.test.hub;
        assert_eq!(hub.next_writable(self.test.now), None);
        let census = hub.census();
        assert_eq!((census.clients, census.names, census.addresses), (0, 0, 0));
        assert_eq!(census.timers, 0);
        if hub.limits().history_lines == 0 {
            assert_eq!(census.rooms, 2);
            // A log that nobody reads and that has no history keeps less than a block.
            assert!(census.bytes <= 2 * LOG_BLOCK_BYTES);
        }
    }

    fn number(&self, id: ConnId) -> Option<usize> {
        self.peers.iter().position(|peer| peer.id == Some(id))
    }

    /// Whether a peer is connected and is not on its way out.
    fn is_staying(&self, number: usize) -> bool {
        let id = self.peers[number].id;
        id.is_some_and(|id| !self.client(id).is_closing())
    }

    fn is_closed(&self, id: ConnId) -> bool {
        matches!(self.client(id).state(), State::Closed)
    }

    fn client(&self, id: ConnId) -> &Client {
        self.test.hub.client(id).expect("a connected peer")
    }
}

//! Drives a hub and its peers by the hub's contract: reads a peer only after the hub has allowed it, and writes to a
//! peer only after the hub has asked for it. Checks all invariants after each call. Does not decide which operation
//! comes next.

use super::model::{Expectation, Model};
use crate::hub::accounts::account::NAME;
use crate::hub::client::{Client, Role, State};
use crate::hub::limits::{LOG_BLOCK_BYTES, Limits, OPERATORS_MAX, READ_BYTES_MAX, SLICES_MAX};
use crate::hub::requests::{Answer, Change, Random, Request};
use crate::hub::{ConnId, Resume, Wire};
use crate::protocol::Refusal;
use crate::testing::test_hub::TestHub;
use std::io::IoSlice;

/// Whether the peer has finished sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fin {
    No,
    /// It has; the hub does not know it yet.
    Sent,
    /// Its connection was cut; the hub does not know it yet.
    Cut,
    /// It has, or was cut, and the hub knows it.
    Received,
}

/// The other side of one connection. Peers are never removed, so that each keeps its number.
#[derive(Debug)]
pub struct Peer {
    /// `None` after it is disconnected.
    pub id: Option<ConnId>,
    /// Bytes that the peer has sent and the hub has not received.
    pub sent: Vec<u8>,
    pub fin: Fin,
    /// The driver may call `resume` for it. If not, `next_readable` must return it first.
    readable: bool,
    /// It has not read all output, so the driver may write to it before `next_writable` returns it again.
    blocked: bool,
    /// Reads everything at once, and so never loses a line.
    pub recorder: bool,
}

/// Input that the hub has not handled: bytes not received, whether any is deferred, whether the end is not received.
type Unhandled = (usize, bool, bool);
const NOTHING: Unhandled = (0, false, false);

pub struct Driver {
    pub test: TestHub,
    pub peers: Vec<Peer>,
    pub model: Model,
    /// Ids of connections that have ended.
    pub old_ids: Vec<ConnId>,
    pub is_shutting_down: bool,
    /// The console's id, if it has ever connected.
    console: Option<ConnId>,
}

/// Operations.
impl Driver {
    pub fn new(limits: Limits, expectation: Expectation) -> Driver {
        let mut driver = Driver {
            test: TestHub::new(limits),
            peers: Vec::new(),
            model: Model::new(expectation),
            old_ids: Vec::new(),
            is_shutting_down: false,
            console: None,
        };
        if expectation == Expectation::Exact {
            for wire in [Wire::Chat, Wire::Raw] {
                driver.connect(wire, true);
            }
        }
        driver
    }

    /// The peers that are connected.
    pub fn present(&self) -> Vec<usize> {
        let present = |number: &usize| self.peers[*number].id.is_some();
        (0..self.peers.len()).filter(present).collect()
    }

    pub fn connect(&mut self, wire: Wire, recorder: bool) {
        let hub = &self.test.hub;
        let console = self.console.is_some_and(|id| hub.client(id).is_some());
        let operators = self
            .present()
            .into_iter()
            .filter(|&it| self.model.is_operator(it));
        let operators = operators.count();
        let others = hub.clients() - usize::from(console) - operators;
        let full = match wire {
            Wire::Control => operators >= OPERATORS_MAX,
            _ => others >= hub.limits().clients_max || hub.is_draining(),
        };
        let got = self.test.connect(wire);
        let is_banned = matches!(got, Err(Refusal::Banned { .. } | Refusal::BannedWhy { .. }));
        assert!(!is_banned || !self.model.is_exact());
        assert_eq!(got.is_err(), full || self.is_shutting_down || is_banned);
        if let Ok(id) = got {
            self.add_peer(id, wire, recorder);
        }
    }

    /// Connects the console, if it has never connected. When it leaves, the hub continues, though a server would end.
    pub fn connect_console(&mut self) {
        if self.console.is_none() && !self.is_shutting_down {
            let id = self.test.hub.connect_console(self.test.now);
            self.console = Some(id);
            self.add_peer(id, Wire::Chat, false);
        }
    }

    fn add_peer(&mut self, id: ConnId, wire: Wire, recorder: bool) {
        assert!(!self.old_ids.contains(&id), "an id is used twice");
        self.peers.push(Peer {
            id: Some(id),
            sent: Vec::new(),
            fin: Fin::No,
            readable: true,
            blocked: false,
            recorder,
        });
        let name = self.client(id).name.as_ref();
        let name = name.map(ToString::to_string).unwrap_or_default();
        self.model.add(wire, name);
        self.check();
    }

    /// The server reads at most `n` bytes of the peer, if the hub allows it.
    pub fn server_reads(&mut self, number: usize, n: usize) {
        let peer = &self.peers[number];
        let Some(id) = peer.id.filter(|_| peer.readable) else {
            return;
        };
        let open = matches!(self.client(id).state(), State::Open(_));
        let resume = self.test.hub.resume(self.test.now, id);
        self.check_end(number, open);
        self.peers[number].readable = resume == Resume::Read;
        if resume != Resume::Read {
            return;
        }
        let peer = &mut self.peers[number];
        if !peer.sent.is_empty() {
            let n = n.clamp(1, READ_BYTES_MAX).min(peer.sent.len());
            let bytes: Vec<u8> = peer.sent.drain(..n).collect();
            self.test.hub.receive(self.test.now, id, &bytes);
            self.check_end(number, false);
        } else if matches!(peer.fin, Fin::Sent | Fin::Cut) {
            let is_cut = std::mem::replace(&mut peer.fin, Fin::Received) == Fin::Cut;
            // It may be read, so it is open.
            match is_cut {
                true => self.test.hub.cut(self.test.now, id),
                false => self.test.hub.finish(self.test.now, id),
            }
            self.check_end(number, true);
        }
    }

    /// After a call for this peer alone: if the hub has handled the peer's end, the peer's lines have all been said,
    /// and all lines that the peer must still receive are in its room.
    fn check_end(&mut self, number: usize, was_open: bool) {
        self.check();
        let peer = &self.peers[number];
        let client = peer.id.map(|id| self.client(id));
        let acted = client.is_some_and(|client| !client.is_receiving());
        let closing = client.is_some_and(Client::is_closing);
        if was_open && acted && peer.fin == Fin::Received {
            self.model.assert_said_all(number);
            if closing {
                self.model.require_delivery(number);
            }
        }
    }

    /// The server writes to the peer, which reads at most `n` bytes. Returns whether it has read any.
    pub fn peer_reads(&mut self, number: usize, n: usize) -> bool {
        let Some(id) = self.peers[number].id else {
            return false;
        };
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let filled = self.test.hub.output(id, &mut slices);
        // Whole slices, not byte by byte: libFuzzer traces each comparison.
        let mut output = Vec::new();
        for slice in &slices[..filled] {
            output.extend_from_slice(slice);
        }
        let n = n.min(output.len());
        self.peers[number].blocked = n < output.len();
        if output.is_empty() {
            let _ = self.test.hub.sent(self.test.now, id, 0);
        }
        if n == 0 {
            return false;
        }
        assert!(!self.is_closed(id), "a closed client is not written to");
        let more = self.test.hub.sent(self.test.now, id, n);
        assert!(more || n == output.len(), "the hub forgets the rest");
        self.peers[number].blocked = more;
        self.model.receive(number, &output[..n]);
        if self.is_closed(id) {
            self.model.assert_required_received(number);
        }
        self.test.check();
        true
    }

    pub fn peer_reads_all(&mut self, number: usize) -> bool {
        let mut any = false;
        while self.peer_reads(number, usize::MAX) {
            any = true;
        }
        any
    }

    /// The next peer in the write queue reads at most `n` bytes. Returns whether there was one.
    pub fn visit(&mut self, n: usize) -> bool {
        let Some(id) = self.test.hub.next_writable(self.test.now) else {
            return false;
        };
        let number = self.number(id).expect("a connected peer");
        // A peer whose socket is full is not written to until it reads.
        if n > 0 || !self.peers[number].blocked {
            self.peer_reads(number, n);
        }
        true
    }

    /// Takes all peers out of the read queue. Returns whether any peer has become readable.
    pub fn mark_readable(&mut self) -> bool {
        let mut any = false;
        while let Some(id) = self.test.hub.next_readable() {
            if let Some(number) = self.number(id) {
                any |= !self.peers[number].readable;
                self.peers[number].readable = true;
            }
        }
        any
    }

    pub fn advance(&mut self, micros: u64) {
        self.test.now = self.test.now.after(micros);
        while self.test.hub.tick(self.test.now) {}
        self.check();
    }

    /// Disconnects all peers that the hub wants closed. Returns whether there was any.
    pub fn reap(&mut self) -> bool {
        let mut any = false;
        while let Some(id) = self.test.hub.next_closed() {
            if let Some(number) = self.number(id) {
                assert!(self.is_closed(id));
                // With exact expectations no peer sends `/quit`: the console leaves only when it finishes or at
                // shutdown.
                let may_leave = self.is_shutting_down || self.peers[number].fin == Fin::Received;
                let may_quit = !self.model.is_exact() || self.client(id).role != Role::Console;
                assert!(may_leave || may_quit);
                self.disconnect(number);
                any = true;
            }
        }
        any
    }

    pub fn disconnect(&mut self, number: usize) {
        if let Some(id) = self.peers[number].id.take() {
            self.test.hub.disconnect(self.test.now, id);
            self.old_ids.push(id);
            self.check();
        }
    }

    /// The hub does a step of an operator's command, or a request of it is answered with a yes or a no. Returns whether there
    /// was anything to do.
    pub fn carry_on(&mut self, yes: bool) -> bool {
        let mut is_busy = self.test.carry_on();
        while let Some((ticket, request)) = self.test.hub.next_request() {
            is_busy = true;
            if request == Request::Shutdown && !self.is_shutting_down {
                self.shutdown();
            }
            let answer = match request {
                _ if !yes => Answer::Refused(vec!["no".into(); 9]),
                Request::Random => Answer::Bytes(Random([7; 16])),
                Request::Store(Change::Put { kind: NAME, .. }) => Answer::Done,
                _ => Answer::NotKept,
            };
            self.test.hub.answer(self.test.now, ticket, answer);
        }
        self.check();
        is_busy
    }

    pub fn shutdown(&mut self) {
        let mut staying = self.present();
        staying.retain(|&number| self.is_staying(number));
        self.is_shutting_down = true;
        self.test.hub.shutdown();
        self.test.advance(0);
        for number in staying {
            self.model.require_delivery(number);
        }
        self.check();
    }

    /// Asserts that calls with the ids of ended connections change nothing.
    pub fn late_events(&mut self) {
        let before = (self.test.hub.census(), self.test.hub.totals());
        for &id in &self.old_ids {
            let (hub, now) = (&mut self.test.hub, self.test.now);
            assert_eq!(hub.resume(now, id), Resume::Blocked);
            hub.receive(now, id, b"boo\n/quit\n");
            hub.finish(now, id);
            hub.cut(now, id);
            assert!(!hub.sent(now, id, 7));
            hub.disconnect(now, id);
            assert_eq!(hub.output(id, &mut [IoSlice::new(&[])]), 0);
        }
        assert_eq!((self.test.hub.census(), self.test.hub.totals()), before);
    }
}

/// Checks.
impl Driver {
    /// After each call: the recorders read, then all invariants are checked.
    fn check(&mut self) {
        for number in 0..self.peers.len().min(2) {
            if self.peers[number].recorder {
                self.peer_reads_all(number);
            }
        }
        self.test.check();
        let totals = self.test.hub.totals();
        self.model.assert_totals(totals.lines, totals.skipped_lines);
    }

    /// All peers read and send all that they can, and time passes, until no deadline is left. Finds a peer that could
    /// continue and that the hub does not wake.
    pub fn run_until_quiet(&mut self) {
        for _ in 0..100_000 {
            let mut busy = false;
            while self.visit(usize::MAX) {
                busy = true;
            }
            for number in self.present() {
                busy |= self.peers[number].blocked && self.peer_reads_all(number);
            }
            while self.carry_on(true) {
                busy = true;
            }
            busy |= self.mark_readable();
            for number in self.present() {
                let before = self.unhandled(number);
                self.server_reads(number, READ_BYTES_MAX);
                busy |= self.unhandled(number) != before;
            }
            busy |= self.reap();
            if busy || self.test.hub.has_writable() || self.test.hub.readables() > 0 {
                continue;
            }
            let is_quiet = |&number| self.is_staying(number) && self.unhandled(number) == NOTHING;
            let quiet = self.present().iter().all(is_quiet);
            let due = self.test.hub.next_deadline();
            if quiet || due.is_none() {
                return self.assert_quiet();
            }
            let wait = due.map_or(0, |due| due.as_micros());
            self.advance(wait.saturating_sub(self.test.now.as_micros()));
        }
        panic!("the hub does not become quiet");
    }

    /// A peer's input that the hub has not handled.
    fn unhandled(&self, number: usize) -> Unhandled {
        let peer = &self.peers[number];
        let Some(id) = peer.id.filter(|_| self.is_staying(number)) else {
            return NOTHING;
        };
        let has_deferred = self.test.hub.input(id).has_deferred();
        (
            peer.sent.len(),
            has_deferred,
            matches!(peer.fin, Fin::Sent | Fin::Cut),
        )
    }

    fn assert_quiet(&self) {
        for number in self.present() {
            assert!(self.is_staying(number), "{number} is never closed");
            assert_eq!(self.unhandled(number), NOTHING, "input of {number}");
            self.model.assert_said_all(number);
            self.model.assert_all_received(number);
        }
    }

    /// Disconnects all peers; then the hub must hold nothing.
    pub fn disconnect_all(&mut self) {
        for number in self.present() {
            self.disconnect(number);
        }
        self.mark_readable();
        self.reap();
        self.late_events();
        let hub = &mut self.test.hub;
        assert_eq!(hub.next_writable(self.test.now), None);
        let census = hub.census();
        assert_eq!((census.clients, census.names, census.addresses), (0, 0, 0));
        // Of bans that end, and of registered names.
        assert!(census.timers <= 2);
        if hub.limits().history_lines == 0 {
            assert_eq!(census.rooms, 3);
            // A log without readers and history keeps less than a block.
            assert!(census.bytes <= 2 * LOG_BLOCK_BYTES);
        }
    }

    fn number(&self, id: ConnId) -> Option<usize> {
        self.peers.iter().position(|peer| peer.id == Some(id))
    }

    /// Whether a peer is connected and not closing.
    fn is_staying(&self, number: usize) -> bool {
        let id = self.peers[number].id;
        id.is_some_and(|id| !self.client(id).is_closing())
    }

    fn is_closed(&self, id: ConnId) -> bool {
        matches!(
            self.client(id).state(),
            State::Closed(_) | State::CutShort(_)
        )
    }

    fn client(&self, id: ConnId) -> &Client {
        self.test.hub.client(id).expect("a connected peer")
    }
}

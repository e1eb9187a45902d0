//! A hub with peers on the other side who keep its contract: they are read only when it says so, and are written to
//! only when it asks for it. After each call what must hold of it is checked. Decides nothing about what happens.

use super::super::limits::{LOG_BLOCK_BYTES, Limits, READ_BYTES_MAX, SLICES_MAX};
use super::super::session::Phase;
use super::super::yard::Yard;
use super::super::{Client, ConnId, Resume, Wire};
use super::model::{Model, Schooling};
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
    pub yard: Yard,
    pub peers: Vec<Peer>,
    pub model: Model,
    /// Ids that are in use no more.
    pub stale: Vec<ConnId>,
    pub over: bool,
}

/// What the peers do.
impl Play {
    pub fn new(limits: Limits, schooling: Schooling) -> Play {
        let mut play = Play {
            yard: Yard::new(limits),
            peers: Vec::new(),
            model: Model::new(schooling),
            stale: Vec::new(),
            over: false,
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
        let hub = &self.yard.hub;
        let others = hub.clients.len() - usize::from(hub.host_slot().is_some());
        let full = others >= hub.limits.clients_max || self.over;
        let got = self.yard.knock(wire);
        assert_eq!(got.is_err(), full);
        if let Ok(id) = got {
            self.arrive(id, wire, witness);
        }
    }

    /// The host comes, if it has not come before. Though the server would end with it, the others stay when it leaves.
    pub fn connect_host(&mut self) {
        if self.yard.hub.host.is_none() && !self.over {
            let id = self.yard.hub.connect_host(self.yard.now);
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
        let name = self.client(id).session.name.to_string();
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
        let open = self.client(id).session.phase == Phase::Open;
        let resume = self.yard.hub.resume(self.yard.now, id);
        self.finished(number, open);
        self.peers[number].readable = resume == Resume::Read;
        if resume != Resume::Read {
            return;
        }
        let peer = &mut self.peers[number];
        if !peer.sent.is_empty() {
            let n = n.clamp(1, READ_BYTES_MAX).min(peer.sent.len());
            let bytes: Vec<u8> = peer.sent.drain(..n).collect();
            self.yard.hub.receive(self.yard.now, id, &bytes);
            self.finished(number, false);
        } else if peer.fin == Fin::Sent {
            peer.fin = Fin::Received;
            // It may be read, so it is open.
            self.yard.hub.finish(self.yard.now, id);
            self.finished(number, true);
        }
    }

    /// After a call about this peer alone: if its end was acted upon, all that it is to be given is there.
    fn finished(&mut self, number: usize, was_open: bool) {
        self.check();
        let peer = &self.peers[number];
        let phase = peer.id.map(|id| self.client(id).session.phase);
        let acted = !matches!(phase, None | Some(Phase::Open | Phase::Moving { .. }));
        if was_open && acted && peer.fin == Fin::Received {
            self.model.assert_said_all(number);
            if matches!(phase, Some(Phase::Draining { .. } | Phase::Done)) {
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
        let filled = self.yard.hub.output(id, &mut slices);
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
        let done = self.client(id).session.phase == Phase::Done;
        assert!(!done, "who is to be closed is not written to");
        let more = self.yard.hub.sent(self.yard.now, id, n);
        assert!(more || n == given.len(), "the rest is forgotten");
        self.peers[number].blocked = more;
        self.model.hear(number, &given[..n]);
        if self.client(id).session.phase == Phase::Done {
            self.model.assert_kept(number);
        }
        self.check_hub();
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
        let Some(id) = self.yard.hub.next_owed(self.yard.now) else {
            return false;
        };
        let number = self.number(id).expect("who is owed bytes is there");
        // A peer whose socket is full is not written to: it is again when it reads.
        if n > 0 || !self.peers[number].blocked {
            self.read(number, n);
        }
        true
    }

    /// Those that are to be asked again. Whether there was any.
    pub fn wake(&mut self) -> bool {
        let mut any = false;
        while let Some(id) = self.next_runnable() {
            if let Some(number) = self.number(id) {
                any |= !self.peers[number].readable;
                self.peers[number].readable = true;
            }
        }
        any
    }

    fn next_runnable(&mut self) -> Option<ConnId> {
        let hub = &mut self.yard.hub;
        hub.next_called().or_else(|| hub.next_runnable())
    }

    pub fn pass(&mut self, micros: u64) {
        self.yard.now = self.yard.now.after(micros);
        self.yard.hub.tick(self.yard.now);
        self.check();
    }

    /// Closes those that are to be closed. Whether there was any.
    pub fn reap(&mut self) -> bool {
        let mut any = false;
        while let Some(id) = self.yard.hub.next_done() {
            if let Some(number) = self.number(id) {
                assert_eq!(self.client(id).session.phase, Phase::Done);
                // Where nobody knows `/quit`, the host goes only when it has finished or the server ends.
                let goes = self.over || self.peers[number].fin == Fin::Received;
                assert!(goes || !self.model.is_exact() || !self.client(id).session.is_host());
                self.disconnect(number);
                any = true;
            }
        }
        any
    }

    pub fn disconnect(&mut self, number: usize) {
        if let Some(id) = self.peers[number].id.take() {
            self.yard.hub.disconnect(self.yard.now, id);
            self.stale.push(id);
            self.check();
        }
    }

    pub fn shutdown(&mut self) {
        let speaking: Vec<usize> = self
            .present()
            .into_iter()
            .filter(|&number| self.phase(number).is_some_and(speaks_or_listens))
            .collect();
        self.over = true;
        self.yard.hub.shutdown(self.yard.now);
        for number in speaking {
            self.model.promise(number);
        }
        self.check();
    }

    /// Whatever comes late for those that are gone changes nothing.
    pub fn late_events(&mut self) {
        let before = (self.yard.hub.census(), self.yard.hub.totals());
        for &id in &self.stale {
            let (hub, now) = (&mut self.yard.hub, self.yard.now);
            assert_eq!(hub.resume(now, id), Resume::Blocked);
            hub.receive(now, id, b"boo\n/quit\n");
            hub.finish(now, id);
            assert!(!hub.sent(now, id, 7));
            hub.disconnect(now, id);
            assert_eq!(hub.output(id, &mut [IoSlice::new(&[])]), 0);
        }
        assert_eq!((self.yard.hub.census(), self.yard.hub.totals()), before);
    }
}

fn speaks_or_listens(phase: Phase) -> bool {
    !matches!(phase, Phase::Draining { .. } | Phase::Done)
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
        self.check_hub();
        let totals = self.yard.hub.totals();
        self.model.assert_totals(totals.lines, totals.skipped_lines);
    }

    fn check_hub(&self) {
        self.yard.check();
        let hub = &self.yard.hub;
        let census = hub.census();
        assert!(census.bytes <= hub.limits.memory_bytes_max());
        // The room of raw connections has no name and is not counted.
        assert!(census.rooms <= hub.limits.rooms_max + 1);
        for (_, room) in &hub.crowd.rooms {
            assert!(room.log.memory_bytes() <= hub.limits.room_log_bytes_max);
        }
        for (_, client) in &hub.clients {
            assert!(client.memory_bytes() <= hub.limits.client_bytes_max());
        }
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
            if busy || self.yard.hub.has_owed() || self.yard.hub.has_runnable() {
                continue;
            }
            let resting = self.present().iter().all(|&number| {
                let open = self.phase(number).is_some_and(speaks_or_listens);
                open && self.waits(number) == (0, false, false)
            });
            let due = self.yard.hub.next_deadline();
            if resting || due.is_none() {
                return self.assert_at_rest();
            }
            let wait = due.map_or(0, |due| due.as_micros());
            self.pass(wait.saturating_sub(self.yard.now.as_micros()));
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
        if matches!(client.session.phase, Phase::Draining { .. } | Phase::Done) {
            return (0, false, false);
        }
        let held = client.session.intake.has_held();
        (peer.sent.len(), held, peer.fin == Fin::Sent)
    }

    fn assert_at_rest(&self) {
        for number in self.present() {
            let phase = self.phase(number);
            assert!(phase.is_some_and(speaks_or_listens), "{phase:?} for ever");
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
        let hub = &mut self.yard.hub;
        assert_eq!(hub.next_owed(self.yard.now), None);
        let census = hub.census();
        assert_eq!((census.clients, census.names, census.addresses), (0, 0, 0));
        if hub.limits.history_lines == 0 {
            assert_eq!(census.rooms, 2);
            // A log that nobody reads and that has no history keeps less than a block.
            assert!(census.bytes <= 2 * LOG_BLOCK_BYTES);
        }
    }

    fn number(&self, id: ConnId) -> Option<usize> {
        self.peers.iter().position(|peer| peer.id == Some(id))
    }

    fn phase(&self, number: usize) -> Option<Phase> {
        self.peers[number]
            .id
            .map(|id| self.client(id).session.phase)
    }

    fn client(&self, id: ConnId) -> &Client {
        &self.yard.hub.clients[id.slot() as usize]
    }
}

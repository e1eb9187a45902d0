//! For tests: a hub whose clients read and write in memory, and what must hold of it between any two calls.

use super::limits::{Limits, SLICES_MAX};
use super::*;
use std::net::Ipv4Addr;

/// A hub and a clock that only the test moves.
pub struct Yard {
    pub hub: Hub,
    pub now: Now,
}

impl Yard {
    pub fn new(limits: Limits) -> Yard {
        limits.check().unwrap();
        Yard {
            hub: Hub::new(limits),
            now: Now::from_micros(1),
        }
    }

    /// Connects and reads the greeting.
    pub fn join(&mut self) -> ConnId {
        let id = self.knock(Wire::Chat).unwrap();
        let greeting = self.read(id);
        assert!(greeting.contains("you are guest"), "{greeting}");
        id
    }

    /// Connects.
    pub fn knock(&mut self, wire: Wire) -> Result<ConnId, Refusal> {
        let address = Some(Ipv4Addr::LOCALHOST.into());
        let got = self.hub.connect(self.now, Peer { address, wire });
        self.check();
        got
    }

    /// Sends bytes, as far as they are taken at once.
    pub fn send(&mut self, id: ConnId, bytes: &[u8]) -> Resume {
        let resume = self.hub.resume(self.now, id);
        if resume == Resume::Read {
            self.hub.receive(self.now, id, bytes);
        }
        self.check();
        resume
    }

    /// Sends bytes as soon as they are taken.
    pub fn say(&mut self, id: ConnId, bytes: &[u8]) {
        for _ in 0..10 {
            if self.send(id, bytes) == Resume::Read {
                return;
            }
            self.pass(limits::LATE_PATIENCE_US);
            self.run();
        }
        panic!("{id:?} may not speak");
    }

    /// Reads at most `n` bytes of what is owed.
    pub fn read_some(&mut self, id: ConnId, n: usize) -> String {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let filled = self.hub.output(id, &mut slices);
        let mut bytes: Vec<u8> = slices[..filled]
            .iter()
            .flat_map(|slice| slice.iter().copied())
            .collect();
        bytes.truncate(n);
        self.hub.sent(self.now, id, bytes.len());
        self.check();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Reads all that is owed.
    pub fn read(&mut self, id: ConnId) -> String {
        let mut all = String::new();
        loop {
            let some = self.read_some(id, usize::MAX);
            if some.is_empty() {
                return all;
            }
            all += &some;
        }
    }

    /// Lets time pass, and what waits for it happen.
    pub fn pass(&mut self, micros: u64) {
        self.now = self.now.after(micros);
        self.hub.tick(self.now);
        self.check();
    }

    /// Lets everything be announced and read that there is to announce.
    pub fn settle(&mut self) {
        for _ in 0..2 {
            self.pass(limits::ANNOUNCE_INTERVAL_US);
            self.flush();
        }
    }

    /// Takes up everything that is held and may go on.
    pub fn run(&mut self) {
        while let Some(id) = self.hub.next_called().or_else(|| self.hub.next_runnable()) {
            self.hub.resume(self.now, id);
            self.check();
        }
    }

    /// Offers everybody what is owed, who reads all of it: the ids visited.
    pub fn flush(&mut self) -> Vec<ConnId> {
        let mut visited = Vec::new();
        while let Some(id) = self.hub.next_owed(self.now) {
            self.read(id);
            visited.push(id);
        }
        visited
    }

    /// Offers what is owed to those that read all of it; the others are passed over.
    pub fn flush_only(&mut self, readers: &[ConnId], mut each: impl FnMut(ConnId, &str)) {
        while let Some(id) = self.hub.next_owed(self.now) {
            if readers.contains(&id) {
                each(id, &self.read(id));
            }
        }
    }

    /// The connections that are to be closed; closes them.
    pub fn reap(&mut self) -> Vec<ConnId> {
        let mut closed = Vec::new();
        while let Some(id) = self.hub.next_done() {
            if self.hub.slot(id).is_some() {
                self.hub.disconnect(self.now, id);
                closed.push(id);
            }
        }
        self.check();
        closed
    }

    /// Members sit where they think they do, every log counts its readers, and no cap is passed.
    pub fn check(&self) {
        let hub = &self.hub;
        let mut seats = 0;
        for (number, room) in &hub.crowd.rooms {
            seats += room.members.len();
            for (seat, &slot) in room.members.iter().enumerate() {
                let client = &hub.clients[slot as usize];
                assert_eq!((client.room as usize, client.seat as usize), (number, seat));
                assert!(client.outbox.cursor() >= room.log.start());
            }
            assert!(room.log.live_bytes() <= hub.limits.room_log_bytes_max);
            let stalled = room.stalled.iter().enumerate();
            for (at, id) in stalled {
                assert!(!room.stalled[..at].contains(id), "{id:?} waits twice");
            }
            assert_eq!(
                room.carousel.is_turning(),
                hub.turning
                    .iter()
                    .filter(|&&turning| turning as usize == number)
                    .count()
                    == 1
            );
        }
        assert_eq!(seats, hub.clients.len());
        for (_, client) in &hub.clients {
            assert!(client.outbox.private_bytes() <= hub.limits.private_bytes_max());
            assert!(client.outbox.own_ranges() <= limits::OWN_RANGES_MAX);
        }
    }
}

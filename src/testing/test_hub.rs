//! The test hub: a hub whose clients read and write in memory. Checks the hub's invariants after each call.

use crate::hub::limits::{ANNOUNCE_INTERVAL_US, LATE_TIMEOUT_US, Limits, SLICES_MAX};
use crate::hub::{ConnId, Details, Hub, Now, Peer, Peers, Resume, Wire};
use crate::protocol::Refusal;
use std::collections::BTreeMap;
use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A hub, and a clock that only the test moves.
pub struct TestHub {
    pub hub: Hub,
    pub now: Now,
    pub peers: Addresses,
}

/// The addresses from which clients come. Their ports are their serial numbers and this.
#[derive(Default)]
pub struct Addresses(BTreeMap<ConnId, SocketAddr>);
const PORT_BASE: u16 = 1000;

impl Peers for Addresses {
    fn address(&mut self, id: ConnId) -> Option<SocketAddr> {
        self.0.get(&id).copied()
    }

    fn details(&mut self, _: ConnId) -> Details {
        Details {
            listener: "a, listener 2".into(),
            seconds: 60,
            bytes_in: 7,
            proxy: Some(([10, 0, 0, 7], 40_112).into()),
        }
    }
}

impl TestHub {
    pub fn new(limits: Limits) -> TestHub {
        limits.check().unwrap();
        TestHub {
            hub: Hub::new(limits),
            now: Now::from_micros(1),
            peers: Addresses::default(),
        }
    }

    /// Connects a chat client, which reads its greeting.
    pub fn join(&mut self) -> ConnId {
        let id = self.connect(Wire::Chat).unwrap();
        let greeting = self.read(id);
        assert!(greeting.contains("you are guest"), "{greeting}");
        id
    }

    /// Connects a client from the loopback address, or an operator.
    pub fn connect(&mut self, wire: Wire) -> Result<ConnId, Refusal<'static>> {
        let address = (wire != Wire::Control).then_some(Ipv4Addr::LOCALHOST.into());
        self.connect_from(address, wire)
    }

    /// Connects a client from this address.
    pub fn connect_from(
        &mut self,
        address: Option<IpAddr>,
        wire: Wire,
    ) -> Result<ConnId, Refusal<'static>> {
        let result = self.hub.connect(self.now, Peer::new(address, wire));
        let refused = result.map_err(|refusal| refusal.to_string());
        self.check();
        if let (Ok(id), Some(address)) = (&refused, address) {
            let port = PORT_BASE + id.serial() as u16;
            self.peers.0.insert(*id, SocketAddr::new(address, port));
        }
        // Tests may forget this memory.
        refused.map_err(|refusal| Refusal::parse(refusal.leak()))
    }

    /// Does one step of an operator's command; false: there is none to be done.
    pub fn carry_on(&mut self) -> bool {
        let is_under_way = self.hub.carry_on(self.now, &mut self.peers);
        self.check();
        is_under_way
    }

    /// The client sends bytes; the hub receives them if the client may be read, and loses them otherwise.
    pub fn send(&mut self, id: ConnId, bytes: &[u8]) -> Resume {
        let resume = self.hub.resume(self.now, id);
        if resume == Resume::Read {
            self.hub.receive(self.now, id, bytes);
        }
        self.check();
        resume
    }

    /// The client sends bytes; time passes until it may be read.
    pub fn send_later(&mut self, id: ConnId, bytes: &[u8]) {
        for _ in 0..10 {
            if self.send(id, bytes) == Resume::Read {
                return;
            }
            self.advance(LATE_TIMEOUT_US);
            self.resume_all();
        }
        panic!("{id:?} is blocked");
    }

    /// The client reads at most `n` bytes of the hub's next write.
    pub fn read_some(&mut self, id: ConnId, n: usize) -> String {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let filled = self.hub.output(id, &mut slices);
        let bytes = slices[..filled].iter().flat_map(|slice| slice.iter());
        let bytes: Vec<u8> = bytes.copied().take(n).collect();
        let _ = self.hub.sent(self.now, id, bytes.len());
        self.check();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The client reads all of the hub's output for it.
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

    /// Lets time pass and fires the timers that are due.
    pub fn advance(&mut self, micros: u64) {
        self.now = self.now.after(micros);
        while self.hub.tick(self.now) {}
        self.check();
    }

    /// Fires all announcements; every client reads all of its output.
    pub fn flush_announcements(&mut self) {
        for _ in 0..2 {
            self.advance(ANNOUNCE_INTERVAL_US);
            self.flush();
        }
    }

    /// Resumes every client in the read queue, so that the hub handles deferred input.
    pub fn resume_all(&mut self) {
        while let Some(id) = self.hub.next_readable() {
            let _ = self.hub.resume(self.now, id);
            self.check();
        }
    }

    /// Visits every client in the write queue; each reads everything. Returns the ids visited.
    pub fn flush(&mut self) -> Vec<ConnId> {
        let mut visited = Vec::new();
        while let Some(id) = self.hub.next_writable(self.now) {
            self.read(id);
            visited.push(id);
        }
        visited
    }

    /// Visits every client in the write queue. Those in `readers` read everything; the others read nothing.
    pub fn flush_only(&mut self, readers: &[ConnId], mut each: impl FnMut(ConnId, &str)) {
        while let Some(id) = self.hub.next_writable(self.now) {
            if readers.contains(&id) {
                each(id, &self.read(id));
            }
        }
    }

    /// The lobby, with its gate brought up to date.
    #[cfg(test)]
    pub fn lobby(&mut self) -> &crate::hub::room::Room {
        self.hub.observed_room(self.now, 1)
    }

    /// Whether the lobby accepts lines.
    #[cfg(test)]
    pub fn lobby_accepts_lines(&mut self) -> bool {
        let limits = self.hub.limits().clone();
        self.lobby().accepts_lines(&limits)
    }

    /// Disconnects the connections that the hub wants closed. Returns their ids.
    pub fn reap(&mut self) -> Vec<ConnId> {
        let mut closed = Vec::new();
        while let Some(id) = self.hub.next_closed() {
            if self.hub.client(id).is_some() {
                self.hub.disconnect(self.now, id);
                closed.push(id);
            }
        }
        self.check();
        closed
    }

    /// Checks the hub's invariants and memory limits.
    pub fn check(&self) {
        self.hub.check();
        let (hub, limits) = (&self.hub, self.hub.ceiling());
        let census = hub.census();
        assert!(census.bytes <= limits.memory_bytes_max());
        for (_, room) in hub.rooms().iter() {
            assert!(room.log.memory_bytes() <= limits.room_log_bytes_max);
            for &slot in &room.members {
                let bytes = hub.client_memory_bytes(slot);
                assert!(bytes <= limits.client_bytes_max());
            }
        }
    }
}

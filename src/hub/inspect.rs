//! Questions to the hub, and what must hold of it between any two calls. Changes nothing.

use super::Hub;
use super::client::{Block, Gate, State};
use super::types::{Census, ConnId, Departure, Totals};
#[cfg(any(test, fuzzing))]
use super::{client::Client, input::Input, limits::Limits, rooms::Rooms};

impl Hub {
    /// How many connections there are.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Whether [`shutdown`](Hub::shutdown) has been called.
    pub fn is_shutting_down(&self) -> bool {
        self.shutdown.has_begun()
    }

    /// Whether there was a console that has left, or is on its way out: the server is to end with it.
    pub fn console_has_left(&self) -> bool {
        self.console.is_some_and(|id| {
            self.slot(id)
                .is_none_or(|slot| self.clients[slot as usize].is_closing())
        })
    }

    /// Whether [`next_writable`](Hub::next_writable) has a connection.
    pub fn has_writable(&self) -> bool {
        self.schedule.has_writes()
    }

    /// Whether [`next_closed`](Hub::next_closed) has a connection.
    pub fn has_closed(&self) -> bool {
        self.schedule.has_closes()
    }

    /// Whether a connection is to be closed because all is written that it was to receive.
    pub fn is_closed(&self, id: ConnId) -> bool {
        let slot = self.slot(id);
        slot.is_some_and(|slot| matches!(self.clients[slot as usize].state(), State::Closed(_)))
    }

    /// What is known of a client that is about to be disconnected.
    pub fn departure(&self, id: ConnId) -> Option<Departure> {
        let client = &self.clients[self.slot(id)? as usize];
        Some(Departure {
            name: client.name.as_ref().map(ToString::to_string),
            lines: client.said,
            bytes: client.outbox.written,
            ending: client.ending(),
        })
    }

    /// What has happened since the start.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// What is held right now. Looks at everything: for operators and tests, not for every turn.
    pub fn census(&self) -> Census {
        let clients = self.clients.iter();
        let clients = clients.map(|(slot, _)| self.client_memory_bytes(slot as u32));
        Census {
            clients: self.clients.len(),
            rooms: self.rooms.len(),
            names: self.directory.names(),
            addresses: self.addresses.len(),
            timers: self.schedule.timers(),
            bytes: clients.sum::<usize>() + self.rooms.memory_bytes(),
        }
    }

    /// Bytes that are held for a client besides its fixed record.
    pub(crate) fn client_memory_bytes(&self, slot: u32) -> usize {
        self.clients[slot as usize].memory_bytes() + self.inputs[slot as usize].memory_bytes()
    }

    /// Panics if an invariant of the hub or of one of its parts is broken. For tests: looks at everything.
    pub fn check(&self) {
        self.directory.check();
        self.addresses.check();
        self.rooms.check(&self.limits);
        self.schedule.check();
        self.operators.check();
        let operators = self
            .clients
            .iter()
            .filter(|(_, client)| client.is_operator());
        assert_eq!(operators.count(), self.operators.connected);
        for (slot, client) in &self.clients {
            let room = self.rooms.get(client.room);
            assert_eq!(room.members.get(client.seat as usize), Some(&(slot as u32)));
            let private_bytes_max = self.limits.private_bytes_max();
            client.outbox.check(&room.log, private_bytes_max);
            self.inputs[slot].check(self.limits.line_bytes_max);
            let id = client.id(slot as u32);
            let is_answered = !self.operators.jobs.is_busy(id);
            assert!(is_answered || !matches!(client.state(), State::Open(Gate::Ready)));
            assert!(!is_answered || !client.is_blocked_by(Block::Answer));
        }
        let members = self.rooms.iter().map(|(_, room)| room.members.len());
        assert_eq!(members.sum::<usize>(), self.clients.len());
        for (number, room) in self.rooms.iter() {
            let is_turning = room.carousel.is_turning();
            assert_eq!(self.schedule.fans_out(number), is_turning, "room {number}");
        }
        let census = self.census();
        assert!(census.timers <= census.clients + census.rooms + 1);
        assert!(census.bytes <= self.limits.memory_bytes_max());
    }
}

#[cfg(any(test, fuzzing))]
impl Hub {
    /// The limits, for tests.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// A client, for tests.
    pub(crate) fn client(&self, id: ConnId) -> Option<&Client> {
        self.slot(id).map(|slot| &self.clients[slot as usize])
    }

    /// A client's input, for tests.
    pub(crate) fn input(&self, id: ConnId) -> &Input {
        &self.inputs[id.slot() as usize]
    }

    /// A room whose gate is up to date, for tests.
    #[cfg(test)]
    pub(crate) fn observed_room(&mut self, now: super::Now, number: u32) -> &super::room::Room {
        let room = self.rooms.get_mut(number);
        room.observe(now, &self.limits);
        room
    }

    /// All rooms, for tests.
    pub(crate) fn rooms(&self) -> &Rooms {
        &self.rooms
    }
}

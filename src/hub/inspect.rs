//! Questions to the hub, and what must hold of it between any two calls. Changes nothing.

use super::Hub;
use super::addresses::Addresses;
use super::client::{Block, Gate, State};
use super::limits::Limits;
use super::types::{Census, ConnId, Departure, Ending, Survey, Totals};
#[cfg(any(test, fuzzing))]
use super::{client::Client, input::Input, rooms::Rooms};
use std::ops::Range;

impl Hub {
    /// How many connections there are.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Bytes that the hub can be made to hold: by the limits, or by former ones until all is within the new ones.
    pub fn memory_bytes_max(&self) -> usize {
        self.ceiling.memory_bytes_max()
    }

    /// Whether connections are counted by their addresses.
    pub fn counts_addresses(&self) -> bool {
        Addresses::are_counted(&self.limits)
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

    /// Whether a connection is to be closed although it was to receive more, which it did not take in time.
    pub fn is_cut_short(&self, id: ConnId) -> bool {
        let slot = self.slot(id);
        slot.is_some_and(|slot| matches!(self.clients[slot as usize].state(), State::CutShort(_)))
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

    /// Why the server closes a client, if it does.
    pub fn ending(&self, id: ConnId) -> Option<Ending> {
        self.clients[self.slot(id)? as usize].ending()
    }

    /// What has happened since the start.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// All slots that clients may have, for [`survey`](Hub::survey).
    pub fn slots(&self) -> Range<usize> {
        0..self.inputs.len()
    }

    /// Adds the clients in some of the slots to a survey. So a survey of many clients can be taken piece by piece.
    pub fn survey(&self, slots: Range<usize>, survey: &mut Survey) {
        for slot in slots {
            let Some(client) = self.clients.get(slot) else {
                continue;
            };
            survey.clients += 1;
            survey.laggards += usize::from(!client.outbox.is_awaited());
            survey.input_bytes += self.inputs[slot].memory_bytes();
            survey.output_bytes += client.memory_bytes();
            match client.state() {
                State::Open(Gate::Blocked(Block::RateLimit)) => survey.blocked_by_rate += 1,
                State::Open(Gate::Blocked(Block::Backlog)) => survey.blocked_by_backlog += 1,
                State::Open(Gate::Blocked(Block::Room)) => survey.blocked_by_room += 1,
                _ => {}
            }
        }
    }

    /// The names of the largest rooms with members, and how many members each has, the largest first.
    pub fn largest_rooms(&self) -> impl Iterator<Item = (&str, usize)> {
        let rooms = self.rooms.largest();
        rooms.map(|room| (&*room.name, room.members.len()))
    }

    /// How many rooms with a name have members.
    pub fn occupied_rooms(&self) -> usize {
        self.rooms.occupied_len()
    }

    /// How many rooms there are, the lobby and the room of raw connections included.
    pub fn rooms_open(&self) -> usize {
        self.rooms.len()
    }

    /// Bytes of memory that the logs of all rooms take, but for their marks of ignored persons.
    pub fn room_log_bytes(&self) -> usize {
        self.rooms.log_bytes()
    }

    /// The limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What is held right now. Looks at every client: for operators and tests, not for every turn.
    pub fn census(&self) -> Census {
        let mut survey = Survey::default();
        self.survey(self.slots(), &mut survey);
        Census {
            clients: self.clients.len(),
            rooms: self.rooms.len(),
            names: self.directory.names(),
            addresses: self.addresses.len(),
            timers: self.schedule.timers(),
            bytes: survey.input_bytes
                + survey.output_bytes
                + self.rooms.memory_bytes()
                + self.ignoring.memory_bytes(),
        }
    }

    /// Bytes that are held for a client besides its fixed record, for tests.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn client_memory_bytes(&self, slot: u32) -> usize {
        self.clients[slot as usize].memory_bytes() + self.inputs[slot as usize].memory_bytes()
    }

    /// Panics if an invariant of the hub or of one of its parts is broken. For tests: looks at everything.
    pub fn check(&self) {
        self.directory.check();
        self.addresses.check();
        let within = self.limit_change.rooms_within();
        self.rooms
            .check(self.ceiling.rooms_max, |number| match number < within {
                true => &self.limits,
                false => &self.ceiling,
            });
        self.schedule.check();
        self.ignoring.check();
        self.operators.check();
        self.accounts.check();
        self.strangers.check();
        self.lock_tries.check();
        let operators = self
            .clients
            .iter()
            .filter(|(_, client)| client.role.is_extra());
        assert_eq!(operators.count(), self.operators.connected);
        for (slot, client) in &self.clients {
            let room = self.rooms.get(client.room);
            assert_eq!(room.members.get(client.seat as usize), Some(&(slot as u32)));
            let private_bytes_max = self.ceiling.private_bytes_max();
            client.outbox.check(&room.log, private_bytes_max);
            self.inputs[slot].check(self.ceiling.line_bytes_max);
            let is_ignored = self.ignoring.is_ignored(slot as u32);
            assert_eq!(client.outbox.is_ignored, is_ignored);
            let id = client.id(slot as u32);
            let is_busy = self.operators.jobs.is_busy(id) || self.accounts.claims.is_busy(id);
            let is_answered = !is_busy;
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
        assert!(census.timers <= census.clients + census.rooms + 2);
        assert!(census.bytes <= self.memory_bytes_max());
    }
}

#[cfg(any(test, fuzzing))]
impl Hub {
    /// What holds while there are rooms and clients from before the limits, for tests.
    pub(crate) fn ceiling(&self) -> &Limits {
        &self.ceiling
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

//! The hub: what madang is, without a socket, a clock or a system call.
//!
//! # Contract
//! *Inputs* take the time and change the state: [`connect`](Hub::connect), [`connect_console`](Hub::connect_console),
//! [`readable`](Hub::readable), [`resume`](Hub::resume), [`receive`](Hub::receive), [`finish`](Hub::finish),
//! [`sent`](Hub::sent), [`disconnect`](Hub::disconnect), [`tick`](Hub::tick), [`shutdown`](Hub::shutdown). *Outputs* are
//! drained after inputs, until they return `None`:
//!
//! - [`next_readable`](Hub::next_readable): connections that may have input, in the order in which they are to be read.
//!   Before one is read, [`resume`](Hub::resume) says whether it may be, and handles what was deferred.
//! - [`next_writable`](Hub::next_writable): connections to write to. [`output`](Hub::output) lends the slices, and
//!   [`sent`](Hub::sent) takes how many bytes were written. One that could not take all need only be visited again when it
//!   is writable.
//! - [`next_closed`](Hub::next_closed): connections to close. Each is answered with [`disconnect`](Hub::disconnect), which
//!   alone frees its slot.
//! - [`next_deadline`](Hub::next_deadline): when [`tick`](Hub::tick) is to be called.
//!
//! An id that is no longer in use is ignored by every input, so a late event can do no harm. Nothing that a peer sends
//! makes the hub panic: a panic is a fault of the hub or of its caller.
//!
//! The loop that drives a hub, here with sockets that are pairs of byte vectors:
//!
//! ```
//! use madang::hub::{ConnId, Hub, Now, Peer, Resume, Wire, limits::Limits};
//! use std::{collections::BTreeMap, io::IoSlice};
//!
//! let mut hub = Hub::new(Limits::default());
//! let peer = Peer { address: None, wire: Wire::Chat };
//! let ids = [(); 2].map(|()| hub.connect(Now::default(), peer).unwrap());
//! let mut received = BTreeMap::from([(ids[0], b"hello\n".to_vec())]);
//! let mut sent: BTreeMap<ConnId, Vec<u8>> = BTreeMap::new();
//!
//! hub.readable(ids[0]); // the poll says so
//! while let Some(id) = hub.next_readable() {
//!     if hub.resume(Now::default(), id) == Resume::Read {
//!         let bytes = received.remove(&id).unwrap_or_default(); // read(2)
//!         hub.receive(Now::default(), id, &bytes);
//!     }
//! }
//! while let Some(id) = hub.next_writable(Now::default()) {
//!     let mut slices = [IoSlice::new(&[]); 16];
//!     let filled = hub.output(id, &mut slices);
//!     let bytes = slices[..filled].concat(); // writev(2)
//!     hub.sent(Now::default(), id, bytes.len());
//!     sent.entry(id).or_default().extend(bytes);
//! }
//! assert!(sent[&ids[1]].ends_with(b"guest1: hello\n"));
//! hub.tick(Now::from_micros(1_000_000));
//! while let Some(id) = hub.next_closed() {
//!     hub.disconnect(Now::from_micros(1_000_000), id);
//! }
//! ```
//!
//! # Where to read
//! [`types`] is what the contract speaks of, [`limits`] every cap. The parts, each with its own state and a `check()`:
//! `input` (bytes to requests), `client` (one client), `room` (one room), `directory` (names), `rooms`, `schedule` (queues
//! and timers). What acts on several of them takes a view that names them: `handlers` (one function a command),
//! `membership`, `room::backpressure`. This file composes them.

pub(crate) mod client;
mod context;
pub(crate) mod directory;
mod handlers;
pub mod input;
pub mod limits;
mod membership;
pub(crate) mod name;
pub(crate) mod room;
pub(crate) mod rooms;
mod schedule;
pub mod types;

use crate::protocol::{Notice, Refusal};
use client::{Block, Client, Clients, Gate, Role, State};
use context::Context;
use directory::Directory;
pub use input::command::COMMANDS;
pub use input::frame::{Frame, Line};
pub use input::text::Text;
use input::{Input, Item, Options};
use limits::{Limits, READ_BYTES_MAX, VISIT_LINES_MAX};
use name::Name;
pub use name::{LOBBY, is_persons_name};
use room::backpressure;
use room::view::RoomView;
use rooms::Rooms;
use schedule::{Place, Schedule, Timer};
use std::io::IoSlice;
use std::net::IpAddr;
pub use types::{Census, ConnId, Now, Peer, Resume, Totals, Wire};

/// The whole state of the server. See the [module](self) for the order of calls.
#[derive(Debug)]
pub struct Hub {
    limits: Limits,
    clients: Clients,
    /// By slot. Apart from `clients`, so that a line can be borrowed from its client's input while it is handled.
    inputs: Vec<Input>,
    directory: Directory,
    rooms: Rooms,
    schedule: Schedule,
    totals: Totals,
    /// The serial number of the last connection.
    serial: u32,
    /// The console's connection, if there has been one.
    console: Option<ConnId>,
    is_shutting_down: bool,
}

/// Inputs.
impl Hub {
    /// A hub without connections.
    pub fn new(limits: Limits) -> Hub {
        Hub {
            rooms: Rooms::new(&limits),
            limits,
            clients: Clients::new(),
            inputs: Vec::new(),
            directory: Directory::default(),
            schedule: Schedule::default(),
            totals: Totals::default(),
            serial: 0,
            console: None,
            is_shutting_down: false,
        }
    }

    /// A newcomer connects. It gets a guest's name, enters the lobby, and is greeted.
    ///
    /// # Errors
    /// The newcomer is refused, and is to be told so.
    pub fn connect(&mut self, now: Now, peer: Peer) -> Result<ConnId, Refusal<'static>> {
        let counted = peer.address.filter(|_| self.limits.clients_per_ip_max > 0);
        let address = counted.map(|address| address.to_canonical());
        if let Some(refusal) = self.admission_refusal(address) {
            self.totals.refused_connections += 1;
            return Err(refusal);
        }
        let slot = self.clients.vacant_key() as u32;
        if let Some(address) = address {
            self.directory.addresses().add(address, slot);
        }
        let name = (peer.wire == Wire::Chat).then(|| self.directory.add_guest(slot));
        Ok(self.insert(now, Role::of(peer.wire), name))
    }

    /// The person at the server itself connects, under a name that nobody else can have: see [`Role::Console`].
    ///
    /// # Panics
    /// A console has been connected before.
    pub fn connect_console(&mut self, now: Now) -> ConnId {
        assert!(self.console.is_none(), "there is one console");
        let slot = self.clients.vacant_key() as u32;
        let name = self.directory.add_host(slot);
        let id = self.insert(now, Role::Console, Some(name));
        self.console = Some(id);
        id
    }

    /// A connection may have input: bytes, or its peer's end.
    pub fn readable(&mut self, id: ConnId) {
        // One that waits is read when what it waits for has happened.
        if let Some(slot) = self.slot(id)
            && !self.waits(slot)
        {
            self.schedule.want_read(id, Place::Last);
        }
    }

    /// Whether a connection may be read. First handles what was deferred of its input.
    #[must_use = "a connection may only be read after `Resume::Read`"]
    pub fn resume(&mut self, now: Now, id: ConnId) -> Resume {
        let Some(slot) = self.slot(id) else {
            return Resume::Blocked;
        };
        if self.waits_for_room(slot) {
            return Resume::Wait;
        }
        if let Some(room) = self.clients[slot as usize].end_move(now) {
            handlers::enter_room(&mut self.parts(now).0, slot, &room);
        }
        if !matches!(self.clients[slot as usize].state(), State::Open(_)) {
            return Resume::Blocked;
        }
        if let Some(reason) = self.parts(now).0.block_reason(slot) {
            return self.block(now, slot, reason);
        }
        self.clients[slot as usize].unblock(now);
        if self.inputs[slot as usize].has_deferred() {
            let bytes = self.inputs[slot as usize].take_deferred();
            return self.process(now, slot, &bytes, false);
        }
        self.arm(slot);
        Resume::Read
    }

    /// Bytes have been received: at most [`READ_BYTES_MAX`] at a time, and only after [`resume`](Hub::resume) has returned
    /// [`Resume::Read`].
    pub fn receive(&mut self, now: Now, id: ConnId, bytes: &[u8]) {
        debug_assert!(bytes.len() <= READ_BYTES_MAX);
        let Some(slot) = self.slot(id) else { return };
        let client = &mut self.clients[slot as usize];
        if client.is_receiving() {
            client.break_silence(now);
            self.process(now, slot, bytes, false);
        }
    }

    /// The peer has finished sending. An unterminated last line counts as a line.
    pub fn finish(&mut self, now: Now, id: ConnId) {
        let Some(slot) = self.slot(id) else { return };
        if !self.clients[slot as usize].is_receiving() {
            return;
        }
        let input = &mut self.inputs[slot as usize];
        let is_next = !input.has_deferred_bytes();
        input.finish();
        if is_next
            && matches!(
                self.clients[slot as usize].state(),
                State::Open(Gate::Ready)
            )
        {
            self.process(now, slot, b"", false);
        }
    }

    /// The first `n` bytes that [`output`](Hub::output) lent have been written. Returns whether more is to be written.
    #[must_use = "a connection to which more is to be written is visited again"]
    pub fn sent(&mut self, now: Now, id: ConnId, n: usize) -> bool {
        let Some(client) = client::find(&mut self.clients, id) else {
            return false;
        };
        let number = client.room;
        let room = self.rooms.get_mut(number);
        let until = client.log_until(room.log.end());
        client.outbox.sent(&mut room.log, until, n);
        client.progress_at = now;
        let has_more = client.outbox.has_output(until);
        let (waits, has_blocked) = (client.waits_for_progress(), room.gate.has_blocked());
        if waits || has_blocked {
            let mut view = self.room(now, number);
            if waits {
                view.settle(id.slot());
            }
            backpressure::wake_blocked(&mut view);
        }
        has_more
    }

    /// A connection is closed, for whatever reason: its slot and its name are free.
    pub fn disconnect(&mut self, now: Now, id: ConnId) {
        let Some(slot) = self.slot(id) else { return };
        membership::leave(&mut self.parts(now).0, slot);
        let client = self.clients.remove(slot as usize);
        if let Some(name) = &client.name {
            self.directory.release(name);
        }
        self.directory.addresses().remove(slot);
        self.inputs[slot as usize] = Input::default();
        self.schedule.forget_client(slot);
    }

    /// Does what is due by now.
    pub fn tick(&mut self, now: Now) {
        while let Some(timer) = self.schedule.next_timeout(now) {
            match timer {
                Timer::Client(slot) => self.tick_client(now, slot),
                Timer::Room(number) => {
                    let mut view = self.room(now, number);
                    membership::announce(&mut view);
                    backpressure::tick(&mut view);
                }
            }
        }
    }

    /// The server is to end: every client is told so, receives what it is to receive by now, and is closed.
    pub fn shutdown(&mut self, now: Now) {
        self.is_shutting_down = true;
        let slots: Vec<u32> = self.clients.iter().map(|(slot, _)| slot as u32).collect();
        for slot in slots {
            let (mut cx, _, _) = self.parts(now);
            let mut view = cx.room_of(slot);
            view.notify(slot, Notice::ShuttingDown {});
            view.drain(slot);
        }
    }
}

/// Outputs.
impl Hub {
    /// The next connection that may have input. After it has been read, and if it may have more,
    /// [`readable`](Hub::readable) is to be called again.
    #[must_use = "what is taken out must be acted upon"]
    pub fn next_readable(&mut self) -> Option<ConnId> {
        self.schedule.next_read()
    }

    /// How many connections [`next_readable`](Hub::next_readable) has, at most.
    pub fn readables(&self) -> usize {
        self.schedule.reads()
    }

    /// The next connection to write to. Those with output of their own, and the members of rooms in which something was
    /// said, take turns.
    #[must_use = "what is taken out must be acted upon"]
    pub fn next_writable(&mut self, now: Now) -> Option<ConnId> {
        if self.schedule.is_fan_out_next() {
            self.next_member(now).or_else(|| self.schedule.next_write())
        } else {
            self.schedule.next_write().or_else(|| self.next_member(now))
        }
    }

    /// Whether [`next_writable`](Hub::next_writable) has a connection.
    pub fn has_writable(&self) -> bool {
        self.schedule.has_writes()
    }

    /// Lends what to write next to a connection, and returns how many slices that is; 0: nothing.
    pub fn output<'a>(&'a mut self, id: ConnId, slices: &mut [IoSlice<'a>]) -> usize {
        let Some(client) = client::find(&mut self.clients, id) else {
            return 0;
        };
        if client.outbox.skipped_lines() > 0 && client.outbox.private_bytes() == 0 {
            let lines = client.outbox.take_skipped();
            let skipped = Notice::Skipped { lines };
            client.outbox.push_private(|out| skipped.write(out));
        }
        let log = &self.rooms.get(client.room).log;
        let until = client.log_until(log.end());
        if matches!(client.state(), State::Closed) {
            return 0;
        }
        client.outbox.output(log, until, slices)
    }

    /// The next connection that is to be closed and [disconnected](Hub::disconnect).
    #[must_use = "what is taken out must be acted upon"]
    pub fn next_closed(&mut self) -> Option<ConnId> {
        self.schedule.next_close()
    }

    /// When [`tick`](Hub::tick) is to be called.
    pub fn next_deadline(&self) -> Option<Now> {
        self.schedule.deadline()
    }

    /// How many connections there are.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Whether [`shutdown`](Hub::shutdown) has been called.
    pub fn is_shutting_down(&self) -> bool {
        self.is_shutting_down
    }

    /// Whether there was a console that has left, or is on its way out: the server is to end with it.
    pub fn console_has_left(&self) -> bool {
        self.console.is_some_and(|id| {
            self.slot(id)
                .is_none_or(|slot| self.clients[slot as usize].is_closing())
        })
    }

    /// What is held right now. Looks at everything: for tests and operators, not for every turn.
    pub fn census(&self) -> Census {
        let clients = self.clients.iter();
        let clients = clients.map(|(slot, _)| self.client_memory_bytes(slot as u32));
        Census {
            clients: self.clients.len(),
            rooms: self.rooms.len(),
            names: self.directory.names(),
            addresses: self.directory.counted_addresses(),
            timers: self.schedule.timers(),
            bytes: clients.sum::<usize>() + self.rooms.memory_bytes(),
        }
    }

    /// Bytes that are held for a client besides its fixed record.
    pub(crate) fn client_memory_bytes(&self, slot: u32) -> usize {
        self.clients[slot as usize].memory_bytes() + self.inputs[slot as usize].memory_bytes()
    }

    /// What has happened since the start.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Panics if an invariant of the hub or of one of its parts is broken. For tests: looks at everything.
    pub fn check(&self) {
        self.directory.check();
        self.rooms.check(&self.limits);
        self.schedule.check();
        for (slot, client) in &self.clients {
            let room = self.rooms.get(client.room);
            assert_eq!(room.members.get(client.seat as usize), Some(&(slot as u32)));
            let private_bytes_max = self.limits.private_bytes_max();
            client.outbox.check(&room.log, private_bytes_max);
            self.inputs[slot].check(self.limits.line_bytes_max);
        }
        let members = self.rooms.iter().map(|(_, room)| room.members.len());
        assert_eq!(members.sum::<usize>(), self.clients.len());
        for (number, room) in self.rooms.iter() {
            let is_turning = room.carousel.is_turning();
            assert_eq!(self.schedule.fans_out(number), is_turning, "room {number}");
        }
        let census = self.census();
        assert!(census.timers <= census.clients + census.rooms);
    }
}

/// What composes the parts.
impl Hub {
    fn slot(&self, id: ConnId) -> Option<u32> {
        self.clients
            .get(id.slot() as usize)
            .filter(|client| client.serial == id.serial())
            .map(|_| id.slot())
    }

    /// What a request may touch; names; the clients' input.
    fn parts(&mut self, now: Now) -> (Context<'_>, &mut Directory, &mut [Input]) {
        let cx = Context {
            now,
            limits: &self.limits,
            clients: &mut self.clients,
            rooms: &mut self.rooms,
            schedule: &mut self.schedule,
            totals: &mut self.totals,
        };
        (cx, &mut self.directory, &mut self.inputs)
    }

    fn room(&mut self, now: Now, number: u32) -> RoomView<'_> {
        RoomView {
            now,
            limits: &self.limits,
            number,
            room: self.rooms.get_mut(number),
            clients: &mut self.clients,
            schedule: &mut self.schedule,
            totals: &mut self.totals,
        }
    }

    /// Why a newcomer may not come in, if it may not. Its address is given if connections are counted by address.
    fn admission_refusal(&mut self, address: Option<IpAddr>) -> Option<Refusal<'static>> {
        if self.is_shutting_down {
            return Some(Refusal::ShuttingDown {});
        }
        // The console takes nobody's place.
        let console = self.console.and_then(|id| self.slot(id));
        let clients_max = self.limits.clients_max;
        if self.clients.len() - usize::from(console.is_some()) >= clients_max {
            return Some(Refusal::ServerFull { clients_max });
        }
        let clients_max = self.limits.clients_per_ip_max;
        let is_full =
            address.is_some_and(|address| self.directory.addresses().count(address) >= clients_max);
        is_full.then_some(Refusal::AddressFull { clients_max })
    }

    /// A newcomer takes the vacant slot.
    fn insert(&mut self, now: Now, role: Role, name: Option<Name>) -> ConnId {
        self.totals.connections += 1;
        // 0 is nobody's.
        self.serial = self.serial.checked_add(1).unwrap_or(1);
        let client = Client::new(now, self.serial, role, name);
        let slot = self.clients.insert(client) as u32;
        if slot as usize >= self.inputs.len() {
            self.inputs.resize_with(slot as usize + 1, Input::default);
        }
        self.inputs[slot as usize] = Input::new(role == Role::Person);
        let wire = if role == Role::Raw {
            Wire::Raw
        } else {
            Wire::Chat
        };
        let (mut cx, _, _) = self.parts(now);
        membership::enter(&mut cx, slot, Rooms::first(wire));
        handlers::greet(&mut cx.room_of(slot), slot);
        self.arm(slot);
        ConnId::new(slot, self.serial)
    }

    /// Handles a client's input, item by item, as far as the client may go on now. The rest is deferred.
    fn process(&mut self, now: Now, slot: u32, bytes: &[u8], flush: bool) -> Resume {
        let (mut cx, directory, inputs) = self.parts(now);
        let options = Options {
            raw: cx.clients[slot as usize].role == Role::Raw,
            line_bytes_max: cx.limits.line_bytes_max,
            flush,
        };
        let mut items = inputs[slot as usize].items(bytes, options);
        let (mut handled, mut block, mut is_exhausted) = (0, None, true);
        while let Some(item) = items.next() {
            let is_charged = !matches!(item, Item::Line([]));
            handlers::handle(&mut cx, directory, slot, item);
            handled += 1;
            if is_charged {
                cx.clients[slot as usize].charge(now, cx.limits);
                if !matches!(cx.clients[slot as usize].state(), State::Open(_)) {
                    is_exhausted = false;
                    break;
                }
                block = cx.block_reason(slot);
            }
            if block.is_some() || handled == VISIT_LINES_MAX {
                is_exhausted = false;
                break;
            }
        }
        let client = &cx.clients[slot as usize];
        if !client.is_receiving() {
            items.discard();
        }
        drop(items);
        let is_open = matches!(client.state(), State::Open(_));
        let id = client.id(slot);
        cx.totals.discarded_bytes += u64::from(inputs[slot as usize].take_discarded());
        match block {
            _ if !is_open => Resume::Blocked,
            Some(reason @ (Block::RateLimit | Block::Backlog)) => self.block(now, slot, reason),
            // It has had its visit. It waits for its room only after those that the room has refused meanwhile.
            _ if !is_exhausted => {
                self.schedule.want_read(id, Place::Last);
                Resume::Wait
            }
            _ => {
                self.arm(slot);
                Resume::Read
            }
        }
    }

    /// A client's input may not be handled, for this reason, until it is woken.
    fn block(&mut self, now: Now, slot: u32, reason: Block) -> Resume {
        if reason == Block::Room {
            backpressure::block(&mut self.parts(now).0.room_of(slot), slot);
        } else {
            self.clients[slot as usize].block(reason);
        }
        self.arm(slot);
        match reason {
            Block::RateLimit | Block::Room => Resume::Wait,
            Block::Backlog => Resume::Blocked,
        }
    }

    /// Whether time or other clients will have a client read.
    fn waits(&self, slot: u32) -> bool {
        let client = &self.clients[slot as usize];
        client.is_blocked_by(Block::RateLimit) || client.is_blocked_by(Block::Room)
    }

    fn waits_for_room(&self, slot: u32) -> bool {
        self.clients[slot as usize].is_blocked_by(Block::Room)
    }

    /// Arms a client's timer for its next deadline.
    fn arm(&mut self, slot: u32) {
        let input = &self.inputs[slot as usize];
        let has_partial = !input.partial().is_empty() && !input.has_deferred();
        let client = &self.clients[slot as usize];
        if let Some(due) = client.deadline(&self.limits, has_partial) {
            self.schedule.arm(Timer::Client(slot), due);
        }
    }

    fn tick_client(&mut self, now: Now, slot: u32) {
        let client = &mut self.clients[slot as usize];
        let is_due = |due: Option<Now>| due.is_some_and(|due| due <= now);
        match *client.state() {
            State::Draining { since, .. } if since.after(self.limits.drain_us) <= now => {
                client.close();
                self.schedule.want_close(client.id(slot));
            }
            State::Open(Gate::Blocked(Block::RateLimit))
                if is_due(client.deadline(&self.limits, false)) =>
            {
                self.parts(now).0.room_of(slot).wake(slot, Place::Last);
            }
            State::Open(Gate::Ready) if is_due(client.idle_due(&self.limits)) => {
                let seconds = self.limits.idle_timeout_us / 1_000_000;
                let (mut cx, _, _) = self.parts(now);
                let mut view = cx.room_of(slot);
                view.refuse(slot, Refusal::Idle { seconds });
                view.drain(slot);
            }
            State::Open(Gate::Ready) if is_due(client.partial_due(&self.limits)) => {
                client.break_silence(now);
                match self.parts(now).0.block_reason(slot) {
                    Some(reason) => self.block(now, slot, reason),
                    None => self.process(now, slot, b"", true),
                };
            }
            _ => {}
        }
        self.arm(slot);
    }

    fn next_member(&mut self, now: Now) -> Option<ConnId> {
        while let Some(number) = self.schedule.next_fan_out() {
            let room = self.rooms.get_mut(number);
            let member = room.next_visit();
            if !room.carousel.is_turning() {
                self.schedule.end_fan_out();
            }
            if room.gate.has_blocked() {
                backpressure::wake_blocked(&mut self.room(now, number));
            }
            if let Some(member) = member {
                return Some(self.clients[member as usize].id(member));
            }
        }
        None
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
    pub(crate) fn observed_room(&mut self, now: Now, number: u32) -> &room::Room {
        let room = self.rooms.get_mut(number);
        room.observe(now, &self.limits);
        room
    }

    /// All rooms, for tests.
    pub(crate) fn rooms(&self) -> &Rooms {
        &self.rooms
    }
}

#[cfg(test)]
mod tests;
